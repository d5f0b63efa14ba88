"""The configuration that is in force, as TOML that could be used as a configuration file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

import tomli_w

from ..reports.printable import printable
from ..rules.engine import Rule
from ..scanner.startup import Any
from .policies import DEFAULTS, Overrides, Policies, absolute
from .settings import Settings

_KEYS = ("profile", "select", "fail-on", "require-reason", "packages", "cache", "ignore")
_FOLDERS = {"packages", "cache"}
_AS_WRITTEN = ("per-path",)
_ORDER, _DEFAULT = "command line", "default"


def show(policies: Policies, path: str) -> str:
    """The configuration for a path, each value below a comment that says where it comes from.

    What the file says for some paths only is shown as it is written. Raises ConfigurationError.
    """
    file = policies.settings(policies.governing(path))
    blocks = [*_values(policies.overrides, file), *_parameters(file, policies(path).known)]
    if file:
        written = {"severity": {rule: str(one) for rule, one in file.severities.items()}}
        written |= {key: file.tree[key] for key in _AS_WRITTEN if key in file.tree}
        blocks += [(file.path, {key: value}) for key, value in written.items() if value]
    return "\n".join(f"# {printable(origin)}\n{tomli_w.dumps(value)}" for origin, value in blocks)


def _values(order: Overrides, file: Settings | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
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
            yield f"{origin}, {file.path}" if value and origin != file.path else file.path, {key: [*value, *entries]}
        else:
            yield origin, {key: value}


def _parameters(file: Settings | None, rules: Iterable[Rule]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parameters of each rule that has any; those that the file sets apart from those that it leaves."""
    for rule in rules:
        given = (file.parameters if file else {}).get(rule.id, {})
        values = {name: _plain(value) for name, value in rule.parameters.items()}
        if values:
            origin = f"{file.path}: {', '.join(given)}" if file and given else _DEFAULT
            yield origin, {"rules": {rule.name: values}}


def _plain(value: Any) -> Any:  # noqa: ANN401 - as TOML has it
    if isinstance(value, (tuple, set, frozenset)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    return str(value) if isinstance(value, Enum) else value
