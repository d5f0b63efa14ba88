"""The assessment by NIST SP 800-190 as Markdown: a table of the sections, and what is behind each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..rules.engine import Finding
from ..rules.funnel import Result
from ..rules.tables import load
from .compliance import Assessed, Status, assess
from .formats import Options
from .markdown import text

_SHOWN = 20
"""Findings of a section that are written out."""


def render(result: Result, options: Options) -> str:  # noqa: ARG001 - as every format
    """The report; see `formats.render`."""
    return "\n".join(_lines(assess(result), result)) + "\n"


def _lines(found: list[Assessed], result: Result) -> Iterator[str]:
    counts = Counter(one.status for one in found)
    yield f"# {load('nist')['title']}"
    yield ""
    inputs = ", ".join(f"{text(one.place.artifacts[0])} ({one.kind})" for one in result.systems)
    yield f"Assessed: {inputs or 'nothing'}."
    yield ""
    yield f"{', '.join(f'{counts[status]} {status}' for status in Status)}."
    yield ""
    yield "| Risk | Title | Status | Findings |"
    yield "| --- | --- | --- | ---: |"
    for one in found:
        yield f"| {one.section.risk} | {one.section.title} | {one.status} | {len(one.findings)} |"
    for one in found:
        yield from _section(one)
    if result.problems:
        yield ""
        yield "## What could not be read"
        yield ""
        for problem in result.problems:
            yield f"- {text(str(problem.place))}: {text(problem.message)}"


def _section(one: Assessed) -> Iterator[str]:
    yield ""
    yield f"## {one.section.risk} {one.section.title}: {one.status}"
    yield ""
    answer = f"{one.section.countermeasure} {one.section.countermeasure_title}"
    yield f"Answered by countermeasure {answer}."
    if one.findings:
        yield ""
        yield from map(_finding, one.findings[:_SHOWN])
        if len(one.findings) > _SHOWN:
            yield f"- ... and {len(one.findings) - _SHOWN} more; `--format json` lists them all."
    passed = [judge for judge in one.judges if judge.passed]
    if passed:
        yield ""
        yield f"Passed: {', '.join(f'{judge.rule.id} {judge.rule.name} ({judge.passed})' for judge in passed)}."
    if one.rest:
        yield ""
        yield "Left open; it takes:"
        yield ""
        yield from (f"- {line}" for line in one.rest)


def _finding(finding: Finding) -> str:
    evidence = f" Evidence: {'; '.join(finding.evidence[:3])}" if finding.evidence else ""
    told = f"{finding.message} At {finding.place}.{evidence}"
    return f"- **{finding.severity}** {finding.rule.id}: {text(told)}"
