"""Markdown for a comment on a pull request: what was found, most severe first, within what GitHub takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..rules.engine import Finding, Outcome, Severity
from ..rules.funnel import Result
from .formats import Options
from .grouping import Input, inputs
from .printable import printable

LIMIT = 65_536
"""Characters of a comment that GitHub takes."""
_ROOM = 400
"""Characters kept free for saying what was left out."""
_LONG = 1_000
"""Characters of a cell; a longer one helps nobody."""
_FACTS = 3
_ESCAPED = str.maketrans({one: f"\\{one}" for one in "\\`*_{}[]()<>#+!|~&@-"})


def render(result: Result, options: Options) -> str:  # noqa: ARG001 - as every format
    """The report; see `formats.render`. Of too many findings the least severe are left out, and that is said."""
    head = list(_head(result))
    rows = [row for one in inputs(result) for row in _rows(one)]
    rows.sort(key=lambda row: -row[0])
    room = LIMIT - _ROOM - sum(len(line) + 1 for line in head)
    kept: list[str] = []
    for _, text in rows:
        room -= len(text) + 1
        if room < 0:
            break
        kept.append(text)
    table = ["", "| | Where | What |", "| --- | --- | --- |", *kept] if kept else []
    left = len(rows) - len(kept)
    tail = ["", f"{left:,} more findings, none of them more severe, did not fit in here."] if left else []
    return "\n".join([*head, *table, *tail]) + "\n"


def _head(result: Result) -> Iterator[str]:
    counts = [
        f"{number} {severity}" for severity in sorted(Severity, reverse=True) if (number := result.count(severity))
    ]
    number = len(result.findings)
    yield f"### lkscan: {number:,} findings ({', '.join(counts)})" if number else "### lkscan: no findings"
    yield ""
    scanned = [f"{text(one.place.artifacts[0])} ({one.kind})" for one in result.systems[:20]]
    more = f" and {len(result.systems) - 20} more" if len(result.systems) > 20 else ""  # noqa: PLR2004 - as above
    yield f"Scanned: {', '.join(scanned) or 'nothing'}{more}."
    others = Counter(one.outcome for one in result.others)
    told = {
        "hidden by the profile": result.hidden,
        "silenced": len(result.suppressed),
        "in the baseline": len(result.baselined),
        "undecided": others[Outcome.UNDECIDED] + others[Outcome.PARTIAL],
    }
    if any(told.values()):
        yield f"Besides: {', '.join(f'{value:,} {name}' for name, value in told.items() if value)}."
    for proof in result.proofs[:20]:
        yield f"- **proved** {text(proof.message)}"
    for problem in result.problems[:20]:
        yield f"- **not read whole** {text(f'{problem.place}: {problem.message}')}"


def _rows(one: Input) -> Iterator[tuple[Severity, str]]:
    for group in one.groups:
        for finding in group.findings:
            yield finding.severity, _row(finding)


def _row(finding: Finding) -> str:
    what = f"{text(finding.message)} `{finding.rule.id}` {finding.rule.name}"
    facts = "".join(f"<br>{text(one)}" for one in finding.evidence[:_FACTS])
    where = text(str(finding.shown.place)) + (f"<br>{text(str(finding.place))}" if finding.origin else "")
    return f"| **{finding.severity}** | {where} | {what}{facts}<br>*{text(finding.rule.remedy)}* |"


def text(raw: str) -> str:
    """Text that Markdown shows as it is, whatever a name in an image holds, on one line and not too long."""
    shown = printable(raw)
    return (shown if len(shown) <= _LONG else f"{shown[:_LONG]} ...").translate(_ESCAPED)
