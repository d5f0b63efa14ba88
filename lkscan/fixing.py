"""Mending specs: the fixes that findings offer, carried out round by round, and the result held against its claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from .inputs import Input
from .rules.engine import Finding
from .rules.funnel import Result
from .scanner.startup import NamedTuple
from .scanner.subjects import Change, Span
from .scanner.yamlpatch import Edit, apply, edits, moved
from .scanner.yamlpos import YamlError, decode
from .scanner.yamltext import PatchError
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
        accepted, refused, made = together(text, list(_offers(result, unsafe=unsafe)))
        if not accepted:
            break
        after = apply(text, made)
        before, result = result, scan(_input(path, encode(after, data)))
        if failure := _broken_claim(accepted, result, text, made) or _silenced(before, result):
            return Mended(path, data, data, failure=failure), first
        done += accepted
        text = after
    else:
        refused = []
    left = tuple(_left(result, refused, unsafe=unsafe))
    return Mended(path, data, encode(text, data), tuple(done), left), first


def _input(path: str, data: bytes) -> Input:
    return Input("spec", (path,), ((path, data),))


def _offers(result: Result, *, unsafe: bool) -> Iterator[Finding]:
    """The findings whose fixes are to be carried out."""
    for finding in result.findings:
        if finding.fix is not None and (finding.fix.safe or unsafe):
            yield finding


def together(text: str, wanted: Sequence[Finding]) -> tuple[list[Finding], list[Left], tuple[Edit, ...]]:
    """The findings whose fixes can be made at once, those whose fixes cannot be made at all, and the edits.

    Fixes that get in one another's way wait for the next round. Halves are tried before single ones: 1,400 fixes and 2
    that cannot be made take a second, and took 84 one by one.
    """
    accepted: list[Finding] = []
    refused: list[Left] = []
    made: tuple[Edit, ...] = ()
    stack = [list(wanted)] if wanted else []
    while stack:
        some = stack.pop()
        try:
            made = edits(text, _changes([*accepted, *some]))
            accepted += some
        except PatchError as error:
            if len(some) > 1:
                half = len(some) // 2
                stack += [some[half:], some[:half]]
            elif reason := _refusal(text, some) if accepted else str(error):
                refused.append(Left(some[0], reason))
    return accepted, refused, made


def _refusal(text: str, alone: Sequence[Finding]) -> str:
    """Why a fix cannot be made even by itself; or ""."""
    try:
        edits(text, _changes(alone))
    except PatchError as error:
        return str(error)
    return ""


def _changes(findings: Iterable[Finding]) -> list[Change]:
    fixes = (finding.fix for finding in findings)
    return [change for fix in fixes if fix is not None for change in fix.changes]


def _broken_claim(done: Iterable[Finding], result: Result, text: str, made: tuple[Edit, ...]) -> str:
    """Which finding is still where it was although it was mended, in a sentence; or "".

    The same elsewhere is another one: it may have come to light by what was mended beside it.
    """
    there = {(one.fingerprint, one.message, _start(one.place.span)) for one in result.findings}
    for one in done:
        span = one.place.span
        at = span and moved(text, made, span)
        if (at or span is None) and (one.fingerprint, one.message, at) in there:
            return f"{one.rule.id} would still be found after its fix; please report it"
    return ""


def _silenced(before: Result, after: Result) -> str:
    """Which finding a directive silences now that stood above something else, in a sentence; or ""."""
    shown = {finding.fingerprint for finding in before.findings}
    known = {one.finding.fingerprint for one in before.suppressed}
    for one in after.suppressed:
        if one.finding.fingerprint in shown - known:
            return f"a directive would come to silence {one.finding.rule.id}, which it was not written for"
    return ""


def _start(span: Span | None) -> tuple[int, int] | None:
    return span and span[:2]


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
