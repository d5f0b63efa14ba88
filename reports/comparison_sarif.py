"""What got worse between two builds as SARIF: a result for each regression, for code scanning.

A finding that is new is told by its own rule; any other regression by a rule of the comparison, one an area.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..rules.differences import AREAS, Comparison, Difference
from ..rules.engine import Check, Confidence, Finding, Location, Outcome, Profile, Rule, Verdict
from ..rules.engine import Severity as Grade
from ..rules.funnel import Result
from ..scanner.subjects import System
from . import sarif
from .formats import Options
from .printable import printable

_IMAGE, _KERNEL, _CONTAINER = "3.1.2", "3.5.2", "3.4.3"
_NIST = {
    "image": _IMAGE,
    "file": _IMAGE,
    "program": _IMAGE,
    "kernel": _KERNEL,
    "cmdline": _KERNEL,
    "setting": _KERNEL,
}
"""The risk of NIST SP 800-190 that an area belongs to; the others belong to that of a container's configuration."""


def render(comparison: Comparison, options: Options) -> str:
    """The report; see `formats.render`."""
    rules = {area: _rule(number, area, heading) for number, (area, heading) in enumerate(AREAS.items(), 1)}
    findings = tuple(one.finding or _finding(one, rules[one.area]) for one in comparison.regressions)
    return sarif.render(
        Result(findings, problems=comparison.problems, systems=comparison.systems[-1:], rules=tuple(rules.values())),
        options,
    )


def _rule(number: int, area: str, heading: str) -> Rule:
    return Rule(
        f"LKDIF{number}",
        f"regression-{area}",
        Grade.MEDIUM,
        {"default": "'{0}': '{1}' is '{3}' instead of '{2}': '{4}'."},
        "Take the change back, or accept what it costs.",
        (_NIST.get(area, _CONTAINER),),
        Profile.REGULAR,
        Confidence.HIGH,
        System,
        _check(heading),
        owner="lkscan diff",
    )


def _check(heading: str) -> Check:
    def check(_: System) -> Iterator[Verdict]:
        yield from ()

    check.__doc__ = f"{heading}: the new build is less secure than the old one."
    return check


def _finding(one: Difference, rule: Rule) -> Finding:
    old, new = one.old or "none", one.new or "none"
    arguments = (one.subject, one.what, old, new, one.reason.rstrip("."))
    return Finding(
        rule,
        Outcome.FAIL,
        one.subject,
        (Location(one.place),),
        tuple(map(printable, arguments)),
        "default",
        "",
        one.what,
        (f"{one.what}: {old} → {new}",),
        one.severity,
        Confidence.HIGH,
        Profile.REGULAR,
    )
