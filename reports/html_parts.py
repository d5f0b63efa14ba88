"""What stands above the findings in the HTML report: verdict, first steps, containers, kernels, programs, sections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..rules.contents import Hardening
from ..rules.engine import Finding, Severity
from ..rules.escape import has_all_capabilities
from ..rules.exposure import Exposure
from ..rules.funnel import Result
from ..scanner.startup import NamedTuple
from ..scanner.subjects import Container, Mount, System
from .containers import options
from .grouping import exposed
from .html_findings import Listed

_VERDICTS = {
    Severity.CRITICAL: "Host root, or a secret, is within reach.",
    Severity.HIGH: "A container's boundary is void, or a way in stands open.",
    Severity.MEDIUM: "Defences that LinuxKit or its kernel promise are missing.",
    Severity.LOW: "Sound, with hardening worth having.",
    Severity.NOTE: "Sound, with something to know.",
}
"""By the worst severity."""

_ACTIONS, _WHERE = 3, 4
"""Steps to take first, and components that each names."""

_MOST = 200
"""Rows of the lists of what is open and what is silenced."""

_QUOTED = re.compile(r"'[^']*'")

WORDS = {"UNSAFE": "critical", "EXPOSED": "high", "MEDIUM": "medium", "OK": "low", "TIGHT": "good", "UNKNOWN": "note"}
"""The colour of an exposure's word."""


class Verdict(NamedTuple):
    """The sentence of the first screen, its colour, and whether something was left out of the judgement."""

    text: str
    tone: str
    is_whole: bool


class Action(NamedTuple):
    """Something to do, and what it mends: findings of one rule."""

    finding: Finding
    number: int
    components: list[str]
    more: int


class Ranked(NamedTuple):
    """A container with its exposure, and how many findings there are on it."""

    container: Container
    exposure: Exposure
    tone: str
    findings: int
    input: str
    has_all: bool

    @property
    def reasons(self) -> list[str]:
        """What it is exposed by."""
        return [item.label for item in self.exposure.items if item.bad]

    @property
    def mounts(self) -> list[tuple[Mount, str]]:
        """Its mounts with their options, without values that may be a secret (`password=…`)."""
        return [(one, ", ".join(options(one))) for one in self.container.mounts]

    @property
    def unknown(self) -> list[str]:
        """What could not be told."""
        return [item.label for item in self.exposure.items if item.bad is None]


class Alike(NamedTuple):
    """Verdicts that are open for one reason, but for names in it: how many, an example, and their rules."""

    reason: str
    number: int
    rules: list[str]
    subjects: list[str]


def verdict(result: Result) -> Verdict:
    """What the first screen says of all inputs together."""
    whole = not result.problems
    if not result.systems and not result.findings:
        return Verdict("Nothing could be scanned.", "note", whole)
    worst = max((one.severity for one in result.findings), default=None)
    if worst is None:
        silenced = result.suppressed or result.baselined
        return Verdict("Nothing new to mend." if silenced else "Nothing to mend was found.", "good", whole)
    return Verdict(_VERDICTS[worst], str(worst), whole)


def actions(findings: Sequence[Listed]) -> list[Action]:
    """What to do first: by the worst severity that a rule found, how sure it is, and how often."""
    by_rule: dict[str, list[Listed]] = {}
    for one in findings:
        by_rule.setdefault(one.finding.rule.id, []).append(one)
    ranked = sorted(by_rule.values(), key=lambda some: (-some[0].finding.severity, -_surest(some), -len(some)))
    made: list[Action] = []
    for some in ranked[:_ACTIONS]:
        names = list(dict.fromkeys(one.component for one in some))
        made.append(Action(some[0].finding, len(some), names[:_WHERE], max(0, len(names) - _WHERE)))
    return made


def _surest(findings: Sequence[Listed]) -> int:
    return max(one.finding.confidence for one in findings)


def inputs(result: Result) -> list[tuple[str, list[tuple[str, str]]]]:
    """The inputs, each with its facts as pairs of a name and a text."""
    return [(system.place.artifacts[0], list(_facts(system))) for system in result.systems]


def _facts(system: System) -> list[tuple[str, str]]:
    made = "" if system.is_linuxkit else ", not made by LinuxKit"
    facts = [("kind", f"{system.kind}{made}")]
    facts += [("format", system.format)] if system.kind == "image" and system.format else []
    facts += [("kernel", " ".join(filter(None, (one.version, one.arch)))) for one in system.kernels if one.version]
    numbers = (("containers", len(system.containers)), ("files", system.files), ("binaries", system.binaries))
    return [*facts, *((name, f"{number:,}") for name, number in numbers if number)]


def containers(result: Result, findings: Sequence[Listed]) -> list[Ranked]:
    """All containers, the most exposed first."""
    numbers: dict[tuple[str, str], int] = {}
    for one in findings:
        numbers[one.input, one.component] = numbers.get((one.input, one.component), 0) + 1
    found: list[Ranked] = []
    for system in result.systems:
        name = system.place.artifacts[0]
        for container in system.containers:
            score = exposed(container, result)
            number = numbers.get((name, container.title), 0)
            is_all = has_all_capabilities(container)
            found.append(Ranked(container, score, WORDS[score.word], number, name, is_all))
    return sorted(found, key=lambda one: -one.exposure.at_least)


def hardening(result: Result) -> list[tuple[str, list[tuple[str, list[Hardening]]]]]:
    """The programs of each image by component, those that lack most first."""
    found: list[tuple[str, list[tuple[str, list[Hardening]]]]] = []
    for contents in result.contents:
        by_component: dict[str, list[Hardening]] = {}
        for one in sorted(contents.hardening, key=lambda one: (one.component, -lacking(one), -one.number, one.facts)):
            by_component.setdefault(one.component, []).append(one)
        if by_component:
            found.append((contents.place.artifacts[0], list(by_component.items())))
    return found


def lacking(one: Hardening) -> int:
    """How many properties are known to be missing."""
    bad = (*(("relro", word) for word in ("none", "partial")), *((name, "no") for name in _WANTED))
    bad = (*bad, ("rwx", "yes"), ("textrel", "yes"))
    return sum(one.fact(name) == word for name, word in bad)


_WANTED = ("nx", "pie", "canary", "fortify", "cet")


def alike(result: Result) -> tuple[list[Alike], int]:
    """What is not decided, by reason, and how many reasons more there are."""
    found: dict[str, list[Finding]] = {}
    for one in result.others:
        found.setdefault(_QUOTED.sub("''", one.message), []).append(one)
    made = [
        Alike(
            some[0].message,
            len(some),
            sorted({one.rule.id for one in some}),
            list(dict.fromkeys(one.subject for one in some))[:_WHERE],
        )
        for some in found.values()
    ]
    return made[:_MOST], max(0, len(made) - _MOST)


def silenced(result: Result) -> tuple[list[tuple[str, Finding, str]], int]:
    """What somebody silenced or accepted: how, the finding, and the reason; and how many more there are."""
    found = [("suppressed", one.finding, one.reason) for one in result.suppressed]
    found += [("baselined", one.finding, one.reason) for one in result.baselined]
    return found[:_MOST], max(0, len(found) - _MOST)
