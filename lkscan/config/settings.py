"""What a configuration file says, checked: every key that there is, and what it may hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..rules.engine import Profile, Rule, Severity
from ..rules.funnel import unknown
from ..scanner.schema import suggest
from .tables import Table

SEVERITIES = tuple(str(one) for one in sorted(Severity, reverse=True))
PROFILES = tuple(map(str, Profile))
NEVER = "never"
"""`fail-on` that no finding reaches."""


class PerPath(NamedTuple):
    """What holds for some paths only; None where it says nothing. `severities` are by rule id."""

    path: str
    profile: Profile | None
    select: tuple[str, ...] | None
    ignore: tuple[str, ...]
    severities: Mapping[str, Severity]


class Settings(NamedTuple):
    """A configuration file; None where it says nothing.

    `path` is the file, `tree` its content, `rules` are all that there are. `severities` and `parameters` are by rule
    id; `packages` and `cache` are as written: relative to the file's folder.
    """

    path: str
    tree: Mapping[str, Any]
    rules: tuple[Rule, ...]
    profile: Profile | None = None
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    fail_on: str | None = None
    require_reason: bool | None = None
    packages: str | None = None
    cache: str | None = None
    severities: Mapping[str, Severity] = {}
    parameters: Mapping[str, Mapping[str, Any]] = {}
    per_path: tuple[PerPath, ...] = ()


def settings(path: str, tree: Mapping[str, Any], rules: Iterable[Rule]) -> Settings:
    """The settings in the tree of a file, `rules` being lkscan's own. Raises ConfigurationError."""
    table, known = Table(path, tree), tuple(rules)
    found = Settings(
        path,
        tree,
        known,
        profile=_profile(table),
        select=_patterns(table, "select", known),
        ignore=_patterns(table, "ignore", known),
        fail_on=table.choice("fail-on", (*SEVERITIES, NEVER)),
        require_reason=table.flag("require-reason"),
        packages=table.text("packages"),
        cache=table.text("cache"),
        severities=_severities(table.table("severity"), known),
        parameters=_parameters(table.table("rules"), known),
        per_path=tuple(_per_path(one, known) for one in table.tables("per-path")),
    )
    table.close()
    return found


def find(rules: Iterable[Rule], text: str) -> Rule | None:
    """The rule with this id (in any case) or name."""
    return next((rule for rule in rules if text.upper() == rule.id or text == rule.name), None)


def stranger(text: str, rules: Iterable[Rule]) -> str:
    """What to say of a text that names no rule."""
    hint = suggest(text, [name for rule in rules for name in (rule.id, rule.name)])
    return f"no rule is called {text}; {hint or '`lkscan rules` lists them'}"


def _per_path(table: Table, rules: tuple[Rule, ...]) -> PerPath:
    found = PerPath(
        table.glob("path"),
        _profile(table),
        _patterns(table, "select", rules),
        _patterns(table, "ignore", rules) or (),
        _severities(table.table("severity"), rules),
    )
    table.close()
    return found


def _profile(table: Table) -> Profile | None:
    word = table.choice("profile", PROFILES)
    return Profile[word.upper()] if word else None


def _patterns(table: Table, key: str, rules: tuple[Rule, ...]) -> tuple[str, ...] | None:
    found = table.texts(key)
    for text in unknown(found or (), rules):
        raise table.error(key, stranger(text, rules))
    return found


def _severities(table: Table, rules: tuple[Rule, ...]) -> Mapping[str, Severity]:
    found = {}
    for key in table:
        word = table.choice(key, SEVERITIES)
        found[_rule(table, key, rules).id] = Severity[str(word).upper()]
    return found


def _parameters(table: Table, rules: tuple[Rule, ...]) -> Mapping[str, Mapping[str, Any]]:
    found = {}
    for key in table:
        rule, values = _rule(table, key, rules), table.table(key)
        if not rule.parameters:
            raise table.error(key, "has no parameters to set")
        given = {name: values.like(name, default) for name, default in rule.parameters.items()}
        values.close()
        found[rule.id] = {name: value for name, value in given.items() if value is not None}
    return found


def _rule(table: Table, key: str, rules: tuple[Rule, ...]) -> Rule:
    rule = find(rules, key)
    if rule is None:
        raise table.error(key, f"is unknown: {stranger(key, rules)}")
    return rule
