"""Workflow commands of GitHub Actions: findings become annotations without any upload.

GitHub shows ten errors, ten warnings and ten notices of a step; the most severe come first.
"""

from __future__ import annotations

from ..rules.engine import Finding, Severity
from ..rules.funnel import Result
from .formats import Options
from .grouping import inside
from .paths import from_root
from .printable import printable

_COMMANDS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.NOTE: "notice",
}


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    lines = [_annotation(one, options) for one in sorted(result.findings, key=lambda one: -one.severity)]
    lines += [f"::error title=lkscan::{_data(f'{one.place}: {one.message}')}" for one in result.problems]
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding, options: Options) -> str:
    place = finding.shown.place
    values = {"file": from_root(place.artifacts[0], options.root, options.top)}
    if place.span and len(place.artifacts) == 1:
        span = place.span
        values |= {"line": str(span.line), "endLine": str(span.end_line)}
        if span.line == span.end_line:  # GitHub refuses columns of several lines
            values |= {"col": str(span.column), "endColumn": str(span.end_column)}
    values["title"] = f"{finding.rule.id} {finding.rule.name}"
    where = f" In {inside(finding)}." if inside(finding) else ""
    text = f"{finding.message}{where} {finding.rule.remedy}"
    told = ",".join(f"{name}={_property(value)}" for name, value in values.items())
    return f"::{_COMMANDS[finding.severity]} {told}::{_data(text)}"


def _data(text: str) -> str:
    """Text after the colons: printable, and so on one line."""
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
