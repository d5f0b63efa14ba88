"""The comparison of two builds for a terminal: what got worse first, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator

from ..rules.differences import Comparison, Difference, Judgement
from ..rules.engine import Severity
from .comparison import HEADINGS, Part, parts, summary, values
from .formats import Options
from .printable import printable
from .style import Style

_MOST = 20
"""Differences of one judgement and area that are written out, unless they are worse."""

_LONG = 200
"""Characters of a text that are written out."""

_COLOURS: dict[Judgement, Severity] = {"worse": Severity.HIGH, "better": Severity.LOW, "neutral": Severity.NOTE}
"""The colours of severities that judgements have."""


def render(comparison: Comparison, options: Options) -> str:
    """The report; see `formats.render`."""
    style = Style(color=options.color, width=options.width)
    blocks = [list(_head(comparison, style))]
    shown = parts(comparison, _MOST)
    for judgement in HEADINGS:
        some = [part for part in shown if part.judgement == judgement]
        if some:
            blocks.append(list(_judgement(judgement, some, style)))
    unread = tuple(f"{one.place}: {one.message}" for one in comparison.problems)
    blocks.append(list(_listed("not read whole: what is missing may only be unread", unread, style)))
    blocks.append(list(_listed("the formats alone make", comparison.apart, style)))
    blocks.append(list(_listed("not compared", comparison.undecided, style)))
    blocks.append([style.bold(summary(comparison))])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _fit(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONG else f"{shown[:_LONG]}…"


def _head(comparison: Comparison, style: Style) -> Iterator[str]:
    for sign, name, form in zip("-+", (comparison.old, comparison.new), comparison.formats, strict=True):
        yield f"{sign} {style.paint('1;4', _fit(name))}  {style.dim(_fit(form))}"


def _judgement(judgement: Judgement, some: list[Part], style: Style) -> Iterator[str]:
    yield style.severity(_COLOURS[judgement], HEADINGS[judgement])
    for part in some:
        yield f"  {style.bold(part.heading)}"
        for one in part.differences:
            yield from _difference(one, style)
        if part.left:
            yield f"    {style.dim(f'and {part.left:,} more; --format json has them')}"


def _difference(one: Difference, style: Style) -> Iterator[str]:
    head = f"    {_fit(one.subject)}  "
    yield from style.hanging(head, f"{_fit(one.what)}: {_fit(values(one))}", 6)
    if one.judgement != "neutral":
        for line in style.wrapped(_fit(one.reason), 6):
            yield f"      {style.dim(line)}"


def _listed(title: str, texts: tuple[str, ...], style: Style) -> Iterator[str]:
    if texts:
        yield style.dim(title)
    for text in texts[:_MOST]:
        yield from style.hanging("  - ", _fit(text), 4)
    if len(texts) > _MOST:
        yield f"  - and {len(texts) - _MOST:,} more; --format json has them"
