"""The assessment by NIST SP 800-190 as text for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from ..rules.engine import Finding
from ..rules.funnel import Result
from ..rules.tables import load
from .compliance import Assessed, Status, assess
from .formats import Options
from .grouping import telling, within
from .printable import printable
from .style import Style

_SHOWN = 5
"""Findings of a section that are written out."""
_STATUS = 15
_INDENT = 8
_COLORS = {Status.FAIL: "1;31", Status.PASS: "32", Status.PARTLY: "33", Status.NOT: "2"}


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    style = Style(color=options.color, width=options.width)
    found = assess(result)
    return "\n".join(_lines(found, result, style)) + "\n"


def _lines(found: list[Assessed], result: Result, style: Style) -> Iterator[str]:
    yield style.bold(load("nist")["title"])
    for system in result.systems:
        yield f"  {printable(system.place.artifacts[0])}  {style.dim(system.kind)}"
    for group, members in groupby(found, key=lambda one: one.section.group):
        yield ""
        rows = list(members)
        number = rows[0].section.risk.rpartition(".")[0] if len(rows) > 1 else ""
        yield style.bold(f"{number} {group}".strip())
        for row in rows:
            yield from _section(row, style)
    counts = Counter(one.status for one in found)
    yield ""
    yield style.bold(", ".join(f"{counts[status]} {status}" for status in Status))


def _section(one: Assessed, style: Style) -> Iterator[str]:
    status = style.paint(_COLORS[one.status], f"{one.status!s:<{_STATUS}}")
    yield f"  {one.section.risk:<5} {status}  {one.section.title}"
    for finding in one.findings[:_SHOWN]:
        yield from _finding(finding, style)
    if len(one.findings) > _SHOWN:
        yield f"{' ' * _INDENT}{style.dim(f'... and {len(one.findings) - _SHOWN} more (--format json lists them all)')}"
    passed = [judge for judge in one.judges if judge.passed]
    if passed:
        rules = ", ".join(f"{judge.rule.id} ({judge.passed:,})" for judge in passed)
        yield from style.hanging(f"{' ' * _INDENT}{style.dim('passed:')} ", style.dim(rules), _INDENT + 8)
    for text in one.rest:
        yield from style.hanging(f"{' ' * _INDENT}{style.dim('open:')}   ", text, _INDENT + 8)


def _finding(finding: Finding, style: Style) -> Iterator[str]:
    word = style.severity(finding.severity, f"{finding.severity!s:<8}")
    place = within(finding.place) or str(finding.place)
    note = telling(finding.locations[0])
    text = f"{finding.message}  {finding.rule.id} at {place}{f' ({note})' if note else ''}"
    yield from style.hanging(f"{' ' * _INDENT}{word} ", printable(text), _INDENT + 9)
