"""Mending specs: the fixes that findings offer, carried out round by round, and the result held against its claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from .inputs import Input
from .rules.engine import Finding
from .rules.funnel import Result
from .scanner.startup import NamedTuple
from .scanner.subjects import Change
from .scanner.yamlpatch import PatchError, apply, edits
from .scanner.yamlpos import YamlError, decode
from .writing import encode

_ROUNDS = 20
"""Scans after one another: fixes of one line take turns, and a fix may bring to light what another one mends."""


class Left(NamedTuple):
    """A finding that offers a fix which was not carried out, and why."""

    finding: Finding
    reason: str


class Mended(NamedTuple):
    """What came of one file: its path, its bytes before and after, and what was mended and left, in order.

    `failure` says why nothing was done although there was something to mend, or is "".
    """

    path: str
    before: bytes
    after: bytes
    mended: tuple[Finding, ...] = ()
    left: tuple[Left, ...] = ()
    failure: str = ""


def mend(path: str, data: bytes, scan: Callable[[Input], Result], *, unsafe: bool = False) -> tuple[Mended, Result]:
    """Carry out the fixes of all findings that `scan` shows for a spec or package; and what it showed at first.

    Nothing is written. What was silenced is left alone. Afterwards `scan` finds nothing of what was mended, or the
    file stays as it was.
    """
    first = result = scan(_input(path, data))
    try:
        text = decode(data)
    except YamlError:  # a problem of the result, which says more
        return Mended(path, data, data), first
    done: list[Finding] = []
    for _ in range(_ROUNDS):
        accepted, refused, after = together(text, list(_offers(first, result, done, unsafe=unsafe)))
        if not accepted:
            break
        done += accepted
        text = after
        result = scan(_input(path, encode(text, data)))
    else:
        refused = []
    failure = _broken_claim(done, first, result)
    if failure:
        return Mended(path, data, data, failure=failure), first
    left = tuple(_left(result, refused, unsafe=unsafe))
    return Mended(path, data, encode(text, data), tuple(done), left), first


def _input(path: str, data: bytes) -> Input:
    return Input("spec", (path,), ((path, data),))


def _offers(first: Result, result: Result, done: Iterable[Finding], *, unsafe: bool) -> Iterator[Finding]:
    """The findings whose fixes are to be carried out; none more often than it was found."""
    found = Counter(finding.fingerprint for finding in first.findings)
    spent = Counter(finding.fingerprint for finding in done)
    for finding in result.findings:
        if finding.fix is None or not (finding.fix.safe or unsafe):
            continue
        if spent[finding.fingerprint] < max(1, found[finding.fingerprint]):
            yield finding


def together(text: str, wanted: Sequence[Finding]) -> tuple[list[Finding], list[Left], str]:
    """The findings whose fixes can be made at once, those whose fixes cannot be made at all, and the text after that.

    Fixes that get in one another's way wait for the next round.
    """
    try:
        return list(wanted), [], apply(text, edits(text, _changes(wanted)))
    except PatchError:
        accepted: list[Finding] = []
    refused: list[Left] = []
    after = text
    for finding in wanted:
        try:
            edits(text, _changes([finding]))
        except PatchError as error:
            refused.append(Left(finding, str(error)))
            continue
        try:
            after = apply(text, edits(text, _changes([*accepted, finding])))
        except PatchError:
            continue
        accepted.append(finding)
    return accepted, refused, after


def _changes(findings: Iterable[Finding]) -> list[Change]:
    fixes = (finding.fix for finding in findings)
    return [change for fix in fixes if fix is not None for change in fix.changes]


def _broken_claim(done: Iterable[Finding], first: Result, last: Result) -> str:
    """Which finding is still there although it was mended, in a sentence; or ""."""
    claimed = Counter(finding.fingerprint for finding in done)
    before = Counter(finding.fingerprint for finding in first.findings)
    for finding in last.findings:
        number = claimed[finding.fingerprint]
        if number and number >= before[finding.fingerprint]:
            return f"{finding.rule.id} would still be found after its fix; please report it"
    return ""


def _left(result: Result, refused: Iterable[Left], *, unsafe: bool) -> Iterator[Left]:
    """What of the last result offers a fix still, in its order."""
    reasons = {id(one.finding): one.reason for one in refused}
    for finding in result.findings:
        if finding.fix is None:
            continue
        if id(finding) in reasons:
            yield Left(finding, reasons[id(finding)])
        elif not finding.fix.safe and not unsafe:
            yield Left(finding, "not safe: --unsafe does it")
        else:
            yield Left(finding, "it came up again and again; mend it by hand")
