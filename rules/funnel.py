"""The funnel: the one place that filters, suppresses, orders and counts findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ..scanner.subjects import Problem, Spec, System
from .engine import Finding, Outcome, Profile, Rule, Severity

_IGNORE = re.compile(r"#\s*lkscan:\s*ignore\[(?P<rules>[^\]]*)\]\s*(?P<reason>.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Options:
    """What the user wants to see. `select` and `ignore` hold rule ids or names, `*` and `?` allowed (`LKB*`)."""

    profile: Profile = Profile.REGULAR
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that somebody silenced, and the reason given."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """All that a report is made of; the same input gives the same result, in the same order.

    `findings` are to be shown: every FAIL that the options ask for. `others` are the outcomes UNDECIDED, PARTIAL and
    NOT_APPLICABLE, each with its reason. `hidden` counts the fails that a lower profile leaves out. `tally` maps
    (rule id, outcome) to a number of subjects. `texts` maps the name of a spec to its text, for snippets.
    """

    findings: tuple[Finding, ...] = ()
    others: tuple[Finding, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    hidden: int = 0
    problems: tuple[Problem, ...] = ()
    systems: tuple[System, ...] = ()
    tally: Mapping[tuple[str, Outcome], int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def count(self, severity: Severity) -> int:
        """How many findings to show have this severity."""
        return sum(finding.severity is severity for finding in self.findings)
