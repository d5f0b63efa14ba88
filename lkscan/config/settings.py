"""What a configuration file says, checked: every key that there is, and what it may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..rules.catalogue import find
from ..rules.engine import Profile, Rule, Severity
from ..rules.entries import Entry
from ..rules.funnel import unknown
from ..rules.ignores import Ignore
from ..scanner.schema import suggest
from ..scanner.startup import Any, Literal, NamedTuple
from ..scanner.subjects import Place, Problem, Span
from .tables import Table

SEVERITIES = tuple(str(one) for one in sorted(Severity, reverse=True))
PROFILES = (*map(str, Profile), "linuxkit")
NEVER = "never"
"""`fail-on` that no finding reaches."""

_HEADER = re.compile(r"([ \t]*)\[\[[ \t]*(?:tool[ \t]*\.[ \t]*lkscan[ \t]*\.[ \t]*)?ignore[ \t]*\]\]")


class PerPath(NamedTuple):
    """What holds for some paths only; None where it says nothing. `severities` are by rule id."""

    path: str
    profile: Profile | Literal["linuxkit"] | None
    select: tuple[str, ...] | None
    ignore: tuple[str, ...]
    severities: Mapping[str, Severity]


class Settings(NamedTuple):
    """A configuration file; None where it says nothing.

    `path` is the file, `tree` its content, `rules` are all that there are, `problems` those of plugins. `severities`
    and `parameters` are by rule id; `packages` and `cache` are as written: relative to the file's folder. `entries`
    silence findings. `budget` is by component, "" for the whole image.
    """

    path: str
    tree: Mapping[str, Any]
    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...] = ()
    profile: Profile | Literal["linuxkit"] | None = None
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    fail_on: str | None = None
    require_reason: bool | None = None
    packages: str | None = None
    cache: str | None = None
    severities: Mapping[str, Severity] = {}
    parameters: Mapping[str, Mapping[str, Any]] = {}
    per_path: tuple[PerPath, ...] = ()
    entries: tuple[Entry, ...] = ()
    limits: Mapping[str, int] = {}
    budget: Mapping[str, int] = {}


def settings(path: str, tree: Mapping[str, Any], text: str, rules: Iterable[Rule]) -> Settings:
    """The settings in the tree of a file of this text, `rules` being lkscan's own. Raises ConfigurationError."""
    table = Table(path, tree)
    known, problems = _own(table, list(rules))
    ignore, entries = _ignore(table, known, text)
    found = Settings(
        path,
        tree,
        known,
        problems,
        profile=_profile(table),
        select=_patterns(table, "select", known),
        ignore=ignore,
        entries=entries,
        fail_on=table.choice("fail-on", (*SEVERITIES, NEVER)),
        require_reason=table.flag("require-reason"),
        packages=table.text("packages"),
        cache=table.text("cache"),
        severities=_severities(table.table("severity"), known),
        parameters=_parameters(table.table("rules"), known),
        per_path=tuple(_per_path(one, known) for one in table.tables("per-path")),
        limits=_limits(table.table("limits")),
        budget=_budget(table),
    )
    table.close()
    return found


def _own(table: Table, rules: list[Rule]) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """All rules, those of plugins and of the file itself included, and what is wrong with plugins."""
    plugins, declarations = table.texts("plugins"), table.tables("rule")
    problems: list[Problem] = []
    if plugins:
        from .plugins import load

        found, problems = load(table.path, plugins, rules)
        rules = [*rules, *found]
    if declarations:
        from .declarations import flaw, rule

        for one in declarations:
            made = rule(one)
            if reason := flaw(made, rules):
                raise one.error("id", f"{made.id} {reason}")
            rules = [*rules, made]
    return tuple(rules), tuple(problems)


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


def _profile(table: Table) -> Profile | Literal["linuxkit"] | None:
    word = table.choice("profile", PROFILES)
    return profile(word) if word else None


def profile(word: str) -> Profile | Literal["linuxkit"]:
    """The profile of this name."""
    return "linuxkit" if word == "linuxkit" else Profile[word.upper()]


def _patterns(table: Table, key: str, rules: tuple[Rule, ...]) -> tuple[str, ...] | None:
    found = table.texts(key)
    _known(table, key, found or (), rules)
    return found


def _known(table: Table, key: str, patterns: Iterable[str], rules: tuple[Rule, ...]) -> None:
    for text in unknown(patterns, rules):
        raise table.error(key, stranger(text, rules))


def _ignore(table: Table, rules: tuple[Rule, ...], text: str) -> tuple[tuple[str, ...] | None, tuple[Entry, ...]]:
    """Rules that are not to run, and entries that silence findings: one list may hold both."""
    items = table.items("ignore")
    patterns = tuple(one for one in items or () if isinstance(one, str))
    if items is not None:
        _known(table, "ignore", patterns, rules)
    rows = [(number, one) for number, one in enumerate(items or ()) if not isinstance(one, str)]
    spans = _headers(text) if len(rows) == len(items or ()) else []
    entries = [
        _entry(table.within("ignore", number, one), spans[number] if len(spans) == len(rows) else None)
        for number, one in rows
    ]
    return None if items is None or (rows and not patterns) else patterns, tuple(entries)


def _entry(table: Table, span: Span | None) -> Entry:
    patterns = table.texts("rules") or ()
    if not patterns:
        raise table.error("rules", "must name at least one rule")
    reason, until = " ".join((table.text("reason") or "").split()), table.day("until") or ""
    words = " ".join(filter(None, (reason, until and f"(until {until})")))
    ignore = Ignore(Place((table.path,), span, table.name), tuple(dict.fromkeys(patterns)), words, until, "")
    found = Entry(ignore, table.glob("path", needed=False), table.text("container") or "")
    table.close()
    return found


def _headers(text: str) -> list[Span]:
    """Where `[[ignore]]` stands: TOML's readers do not tell."""
    return [
        Span(number, len(match[1]) + 1, number, len(match[0]) + 1)
        for number, line in enumerate(text.split("\n"), 1)
        if (match := _HEADER.match(line))
    ]


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


def _limits(table: Table) -> Mapping[str, int]:
    """What images may cost: whole numbers, or texts such as "32G"."""
    found = {}
    for key in table:
        from ..limits import LimitsError, known, size

        try:
            known(key)
            found[key] = size(table.quantity(key) or "")
        except LimitsError as error:
            raise table.error(key, f"cannot be used: {error}") from None
    return found


def _budget(table: Table) -> Mapping[str, int]:
    """How many bytes images and components may have: texts as `--budget` takes them."""
    found = {}
    for text in table.texts("budget") or ():
        from ..limits import LimitsError, budget

        try:
            name, most = budget(text)
        except LimitsError as error:
            raise table.error("budget", f"cannot be used: {error}") from None
        found[name] = most
    return found


def _rule(table: Table, key: str, rules: tuple[Rule, ...]) -> Rule:
    rule = find(key, rules)
    if rule is None:
        raise table.error(key, f"is unknown: {stranger(key, rules)}")
    return rule
