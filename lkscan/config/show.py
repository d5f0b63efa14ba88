"""The configuration that is in force, as TOML that could be used as a configuration file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

import tomli_w

from ..reports.printable import printable
from ..rules.engine import Rule
from ..scanner.source import Limits
from ..scanner.startup import Any
from .policies import DEFAULTS, Overrides, Policies, absolute
from .settings import Settings

_KEYS = ("profile", "select", "fail-on", "require-reason", "packages", "cache", "ignore")
_FOLDERS = {"packages", "cache"}
_AS_WRITTEN = ("plugins", "per-path", "rule")
_HEADER, _KEY = re.compile(r"\[\[?([\w.-]+)\]"), re.compile(r"([\w-]+) =")
_ORDER, _DEFAULT = "command line", "default"


def show(policies: Policies, path: str) -> str:
    """The configuration for a path, each value below a comment that says where it comes from.

    What the file says for some paths only is shown as it is written. Raises ConfigurationError.
    """
    file = policies.settings(policies.governing(path))
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, key, value in _values(policies.overrides, file):
        tree[key], origins[key] = value, origin
    for origin, budget in _budget(policies.overrides, file, policies(path).budget):
        tree["budget"], origins["budget"] = budget, origin
    for origin, rule, values in _parameters(file, policies(path).known()):
        tree.setdefault("rules", {})[rule], origins[f"rules.{rule}"] = values, origin
    for origin, limits in _limits(policies.overrides, file, policies(path).limits):
        tree["limits"], origins["limits"] = limits, origin
    if file:
        written = {"severity": {rule: str(one) for rule, one in file.severities.items()}}
        written |= {key: file.tree[key] for key in _AS_WRITTEN if key in file.tree}
        tree |= {key: value for key, value in written.items() if value}
        origins |= dict.fromkeys(written, file.path)
    return "\n".join(_commented(tomli_w.dumps(tree).splitlines(), origins)) + "\n"


def _commented(lines: Iterable[str], origins: Mapping[str, str]) -> Iterator[str]:
    """The lines, with its origin above each top-level value or table."""
    told: set[str] = set()
    top = True
    for line in lines:
        header = _HEADER.match(line)
        found = header or (_KEY.match(line) if top else None)
        top = top and header is None
        if found and found[1] in origins and found[1] not in told:
            told.add(found[1])
            yield f"# {printable(origins[found[1]])}"
        yield line


def _values(order: Overrides, file: Settings | None) -> Iterator[tuple[str, str, Any]]:
    """Every single value and its origin; the last is `ignore`, with the file's entries, which nothing overrides."""
    layers = [(_ORDER, order), *([(file.path, file)] if file else []), (_DEFAULT, DEFAULTS)]
    entries = [one for one in file.tree.get("ignore", ()) if isinstance(one, dict)] if file else []
    for key in _KEYS:
        found = ((origin, _plain(getattr(layer, key.replace("-", "_")))) for origin, layer in layers)
        origin, value = next((one for one in found if one[1] is not None), ("", None))
        if value is None:
            continue
        if origin == _ORDER and key in _FOLDERS:
            value = absolute(value)
        if file and key == "ignore" and entries:
            yield f"{origin}, {file.path}" if value and origin != file.path else file.path, key, [*value, *entries]
        else:
            yield origin, key, value


def _parameters(file: Settings | None, rules: Iterable[Rule]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The parameters of each rule that has any; those that the file sets apart from those that it leaves."""
    for rule in rules:
        given = (file.parameters if file else {}).get(rule.id, {})
        values = {name: _plain(value) for name, value in rule.parameters.items()}
        if values:
            origin = f"{file.path}: {', '.join(given)}" if file and given else _DEFAULT
            yield origin, rule.name, values


def _limits(order: Overrides, file: Settings | None, held: Limits) -> Iterator[tuple[str, Mapping[str, int]]]:
    """What images may cost, where somebody has a word on it."""
    given = [(_ORDER, order.limits), *([(file.path, file.limits)] if file else [])]
    origin = ", ".join(f"{name}: {', '.join(limits)}" for name, limits in given if limits)
    if origin:
        yield origin, held._asdict()


def _budget(order: Overrides, file: Settings | None, held: Mapping[str, int]) -> Iterator[tuple[str, list[str]]]:
    """How large images may be, where somebody has a word on it."""
    given = [(_ORDER, order.budget), *([(file.path, file.budget)] if file else [])]
    origin = ", ".join(name for name, budget in given if budget)
    if origin:
        yield origin, [f"{name}={most}" if name else str(most) for name, most in held.items()]


def _plain(value: Any) -> Any:  # noqa: ANN401 - as TOML has it
    if isinstance(value, (tuple, set, frozenset)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    return str(value) if isinstance(value, Enum) else value
