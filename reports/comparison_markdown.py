"""The comparison of two builds as Markdown, for a comment on a pull request, within what GitHub takes."""

from __future__ import annotations

from collections.abc import Iterator

from ..rules.differences import Comparison, Difference
from .comparison import HEADINGS, parts, summary, values
from .formats import Options
from .markdown import LIMIT, text

_ROOM = 400
"""Characters kept free for saying what was left out."""

_MOST = 30
"""Differences of one judgement and area that are written out, unless they are worse."""

_APART = 20


def render(comparison: Comparison, options: Options) -> str:  # noqa: ARG001 - as every format
    """The report; see `formats.render`. What got worse stands first; what does not fit is counted."""
    head, tail = list(_head(comparison)), list(_tail(comparison))
    room = LIMIT - _ROOM - sum(len(line) + 1 for line in (*head, *tail))
    lines: list[str] = []
    rows = left = 0
    for line, is_row in _body(comparison):
        room -= len(line) + 1
        if room < 0:
            left += is_row
        else:
            lines.append(line)
            rows += is_row
    more = ["", f"{left:,} more differences did not fit in here."] if left else []
    return "\n".join([*head, *lines, *more, *tail]) + "\n"


def _head(comparison: Comparison) -> Iterator[str]:
    yield f"### lkscan diff: {summary(comparison)}"
    yield ""
    old, new = (
        f"{text(name)} ({text(form)})"
        for name, form in zip((comparison.old, comparison.new), comparison.formats, strict=True)
    )
    yield f"From {old} to {new}."
    for problem in comparison.problems[:_APART]:
        yield f"- **not read whole** {text(f'{problem.place}: {problem.message}')}"


def _body(comparison: Comparison) -> Iterator[tuple[str, bool]]:
    """Lines, and whether each is a difference."""
    for part in parts(comparison, _MOST):
        lines = ["", f"#### {HEADINGS[part.judgement]}: {part.heading.lower()}", ""]
        lines += ["| Where | What | Old → new |", "| --- | --- | --- |"]
        yield from ((line, False) for line in lines)
        for one in part.differences:
            yield _row(one), True
        if part.left:
            yield "", False
            yield f"And {part.left:,} more.", False


def _row(one: Difference) -> str:
    why = f"<br>*{text(one.reason)}*" if one.judgement != "neutral" else ""
    return f"| {text(one.subject)} | {text(one.what)} | {text(values(one))}{why} |"


def _tail(comparison: Comparison) -> Iterator[str]:
    for title, texts in (("Only the formats make", comparison.apart), ("Not compared", comparison.undecided)):
        if texts:
            yield from ("", f"{title}:", "")
            yield from (f"- {text(one)}" for one in texts[:_APART])
            if len(texts) > _APART:
                yield f"- and {len(texts) - _APART:,} more"
