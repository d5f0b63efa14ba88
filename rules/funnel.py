"""The funnel: the one place that filters, suppresses, orders and counts findings."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..scanner.subjects import File, Problem, Spec, Subject, System
from .engine import Finding, Outcome, Profile, Rule, Severity

_IGNORE = re.compile(r"#\s*lkscan:\s*ignore\[(?P<rules>[^\]]*)\]\s*(?P<reason>.*?)\s*$")


class Options(NamedTuple):
    """What the user wants to see. `select` and `ignore` hold rule ids or names, `*` and `?` allowed (`LKB*`)."""

    profile: Profile = Profile.REGULAR
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


class Suppressed(NamedTuple):
    """A finding that somebody silenced, and the reason given."""

    finding: Finding
    reason: str


class Result(NamedTuple):
    """All that a report is made of; the same input gives the same result, in the same order.

    `findings` are to be shown: every FAIL that the options ask for. `others` are the outcomes UNDECIDED and PARTIAL,
    each with its reason. `not_applicable` counts that outcome by rule id and reason; `tally`, which maps (rule id,
    outcome) to a number of subjects, has those besides that a rule is not about at all. `hidden` counts the fails that
    a lower profile leaves out. `texts` maps the name of a spec to its text, for snippets.
    """

    findings: tuple[Finding, ...] = ()
    others: tuple[Finding, ...] = ()
    not_applicable: Mapping[tuple[str, str], int] = {}
    suppressed: tuple[Suppressed, ...] = ()
    hidden: int = 0
    problems: tuple[Problem, ...] = ()
    systems: tuple[System, ...] = ()
    tally: Mapping[tuple[str, Outcome], int] = {}
    texts: Mapping[str, str] = {}
    rules: tuple[Rule, ...] = ()

    def count(self, severity: Severity) -> int:
        """How many findings to show have this severity."""
        return sum(finding.severity is severity for finding in self.findings)


def choose(rules: Iterable[Rule], options: Options) -> tuple[Rule, ...]:
    """The rules that the options leave switched on."""
    return tuple(
        rule
        for rule in rules
        if (not options.select or names(rule, options.select)) and not names(rule, options.ignore)
    )


def names(rule: Rule, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns names this rule, by id or by name."""
    return any(fnmatchcase(rule.id, pattern.upper()) or fnmatchcase(rule.name, pattern) for pattern in patterns)


def unknown(patterns: Iterable[str], rules: Iterable[Rule]) -> list[str]:
    """The patterns that name no rule at all."""
    known = tuple(rules)
    return [pattern for pattern in patterns if not any(names(rule, (pattern,)) for rule in known)]


class Funnel:
    """Takes findings as they come and gives, in `result`, those to show, in order."""

    def __init__(self, rules: Iterable[Rule], options: Options) -> None:
        """`rules` are those that were run."""
        self._rules = tuple(rules)
        self._options = options
        self._inputs: list[list[Finding]] = [[]]
        self._void: dict[tuple[str, ...], int] = {}
        self._problems: list[Problem] = []
        self._systems: list[System] = []
        self._texts: dict[str, str] = {}
        self._not_applicable: Counter[tuple[str, str]] = Counter()

    def add(self, finding: Finding) -> None:
        """Take a finding of the present input."""
        if finding.outcome is Outcome.NOT_APPLICABLE:
            self._not_applicable[finding.rule.id, finding.reason] += 1
        else:
            self._inputs[-1].append(finding)

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of what the result must tell besides findings, before the subject is judged."""
        if isinstance(subject, Problem):
            self._problems.append(subject)
        elif isinstance(subject, Spec):
            self._document(subject)
        elif isinstance(subject, System):
            self._systems.append(subject)
        elif isinstance(subject, File) and subject.replaces:
            self._void[subject.place.artifacts] = len(self._inputs[-1])

    def close(self) -> None:
        """The present input ends: what was found in files that later ones of the same path replace is dropped."""
        if self._void:
            self._inputs[-1] = [one for i, one in enumerate(self._inputs[-1]) if not self._is_void(i, one)]
            self._void.clear()
        self._inputs.append([])

    def _is_void(self, index: int, finding: Finding) -> bool:
        """In an archive the last file of a path wins, with all that lies within it."""
        path = finding.place.artifacts
        return any(index < self._void.get(path[:length], 0) for length in range(1, len(path) + 1))

    def _document(self, spec: Spec) -> None:
        """Keep a spec's text: its comments silence findings, its lines are snippets."""
        self._texts[spec.place.artifacts[-1]] = spec.text
        for violation in spec.violations:
            if violation.kind == "yaml":
                self._problems.append(Problem(violation.place, f"cannot be read as YAML: {violation.message}"))

    def result(self, tally: Mapping[tuple[str, Outcome], int]) -> Result:
        """Filter, suppress, order."""
        ignores = {name: _ignores(text) for name, text in self._texts.items()}
        findings: list[Finding] = []
        others: list[Finding] = []
        suppressed: list[Suppressed] = []
        hidden = 0
        for finding in (one for batch in self._inputs for one in sorted(batch, key=_order)):
            if finding.outcome is not Outcome.FAIL:
                others.append(finding)
            elif finding.profile > self._options.profile and not names(finding.rule, self._options.select):
                hidden += 1
            elif (reason := _suppression(finding, ignores)) is not None:
                suppressed.append(Suppressed(finding, reason))
            else:
                findings.append(finding)
        return Result(
            findings=tuple(findings),
            others=tuple(others),
            not_applicable=dict(sorted(self._not_applicable.items())),
            suppressed=tuple(suppressed),
            hidden=hidden,
            problems=tuple(self._problems),
            systems=tuple(self._systems),
            tally=dict(sorted(tally.items(), key=lambda item: (item[0][0], item[0][1].value))),
            texts=self._texts,
            rules=self._rules,
        )


def _order(finding: Finding) -> tuple[tuple[str, ...], int, int, str, str]:
    span = finding.place.span
    return (
        finding.place.artifacts,
        span.line if span else 0,
        span.column if span else 0,
        finding.rule.id,
        finding.key,
    )


def _ignores(text: str) -> dict[int, tuple[tuple[str, ...], str]]:
    """Line number -> (patterns, reason): a comment speaks for its own line, or alone on a line for the next one."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if "lkscan:" in line and (match := _IGNORE.search(line)):
            patterns = tuple(pattern.strip() for pattern in match["rules"].split(",") if pattern.strip())
            alone = not line[: match.start()].strip()
            found[number + alone] = (patterns, match["reason"])
    return found


def _suppression(finding: Finding, ignores: Mapping[str, dict[int, tuple[tuple[str, ...], str]]]) -> str | None:
    """The reason given for silencing the finding at any of its places; None when it is not silenced."""
    for location in finding.locations:
        span = location.place.span
        patterns, reason = ignores.get(location.place.artifacts[-1], {}).get(span.line if span else 0, ((), ""))
        if names(finding.rule, patterns):
            return reason
    return None
