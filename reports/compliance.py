"""NIST SP 800-190, section by section: what a scan says of each risk, and what it leaves to others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from ..rules.engine import Finding, Outcome, Rule
from ..rules.funnel import Result, Suppressed
from ..rules.nist import Section, sections
from ..rules.tables import load
from ..scanner.startup import NamedTuple

HARDWARE = Section("4.6", "Hardware countermeasures", "Hardware", "4.6", "Hardware countermeasures")
"""The one countermeasure without a risk of its own in section 3."""


class Status(Enum):
    """What can be said of a section."""

    FAIL = "fail"
    PASS = "pass"  # noqa: S105 - no password
    PARTLY = "partly assessed"
    NOT = "not assessable"

    def __str__(self) -> str:
        return self.value


class Judge(NamedTuple):
    """A rule of a section, and how many subjects passed, failed, were open, or not what it is about."""

    rule: Rule
    passed: int
    failed: int
    open: int
    not_applicable: int


class Assessed(NamedTuple):
    """A section and what is behind its status.

    `judges` are the rules that had something to judge. `findings` are the fails, most severe first; `hidden` counts
    those besides that only a higher profile shows. `undecided` are verdicts without enough evidence. `accepted` are
    fails that somebody silenced or a baseline holds. `rest` says what would decide what is left open.
    """

    section: Section
    status: Status
    judges: tuple[Judge, ...]
    findings: tuple[Finding, ...]
    hidden: int
    undecided: tuple[Finding, ...]
    accepted: tuple[Suppressed, ...]
    rest: tuple[str, ...]


def assess(result: Result) -> list[Assessed]:
    """Every section in the order of the document.

    FAIL: a rule fired. NOT: none had anything to judge. PASS: all that there is to judge passed, and nothing is left to
    others. PARTLY: the rest. What is silenced, hidden by the profile or undecided is no pass.
    """
    return [_assessed(one, result) for one in (*sections().values(), HARDWARE)]


def _assessed(section: Section, result: Result) -> Assessed:
    number = section.risk
    rules = sorted((rule for rule in result.rules if number in rule.nist), key=lambda rule: rule.id)
    judges = tuple(_judges(rules, result))
    findings = tuple(sorted(_of(number, result.findings), key=lambda one: -one.severity))
    undecided = tuple(_of(number, result.others))
    hidden = len(_of(number, result.quiet))
    accepted = tuple(one for one in (*result.suppressed, *result.baselined) if number in one.finding.rule.nist)
    rest = (*_left(number, result), *_open(len(undecided), hidden, len(accepted)))
    if findings:
        status = Status.FAIL
    elif not judges:
        status = Status.NOT
    else:
        status = Status.PARTLY if rest else Status.PASS
    return Assessed(section, status, judges, findings, hidden, undecided, accepted, rest)


def _of(number: str, findings: Iterable[Finding]) -> list[Finding]:
    return [one for one in findings if number in one.rule.nist]


def _judges(rules: Iterable[Rule], result: Result) -> Iterator[Judge]:
    for rule in rules:
        passed, failed, undecided, partial, other = (
            result.tally.get((rule.id, outcome), 0)
            for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.UNDECIDED, Outcome.PARTIAL, Outcome.NOT_APPLICABLE)
        )
        if passed or failed or undecided or partial:
            yield Judge(rule, passed, failed, undecided + partial, other)


def _left(number: str, result: Result) -> Iterator[str]:
    """What no scan of these inputs can tell, and who could, a sentence each."""
    kinds = {"image" if one.kind == "image" else "spec" for one in result.systems}
    table = load("nist")["rest"].get(number, {})
    yield from dict.fromkeys(table[kind] for kind in ("spec", "image") if kind in kinds and kind in table)
    if result.problems:
        yield "The inputs that could not be read, or not whole."


def _open(undecided: int, hidden: int, accepted: int) -> Iterator[str]:
    """What this scan left open, a sentence each."""
    if undecided:
        yield f"Evidence for {_count(undecided, 'verdict')} that could not be decided."
    if hidden:
        yield f"A look at {_count(hidden, 'finding')} that only --profile pedantic or auditor shows."
    if accepted:
        yield f"A review of {_count(accepted, 'finding')} that somebody silenced or a baseline accepts."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
