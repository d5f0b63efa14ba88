"""The HTML report: one file that needs nothing else, to read, filter, link into, print and hand on.

What its script shows it sets as text, never as markup. Without scripts, the page still has everything but the less
severe findings.
"""

from __future__ import annotations

from markupsafe import Markup

from ..rules.engine import Severity
from ..rules.funnel import Result
from . import html_parts as parts
from . import treemap
from .compliance import assess
from .formats import Options
from .html_findings import Listed, as_json, listed
from .html_page import render as page
from .kernels import judged
from .promises import words

_PLAIN = 50
"""Findings that are there without scripts, the most severe."""


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    findings = listed(result)
    return page(
        "report.html",
        script="report.js",
        version=options.version,
        data=Markup(as_json(findings)),  # noqa: S704 - nothing in it can end its element
        findings=findings,
        plain=findings[:_PLAIN],
        result=result,
        verdict=parts.verdict(result),
        counts=[(str(one), result.count(one)) for one in sorted(Severity, reverse=True)],
        actions=parts.actions(findings),
        inputs=parts.inputs(result),
        containers=parts.containers(result, findings),
        maps=_maps(result),
        sizes=(("wide", treemap.WIDE), ("tall", treemap.TALL)),
        kernels=judged(result),
        hardening=parts.hardening(result),
        promises=list(words(result)),
        sections=assess(result),
        open=parts.alike(result),
        silenced=parts.silenced(result),
        choices=_choices(findings),
    )


def _maps(result: Result) -> list[dict[str, object]]:
    """The maps of the images, each in two shapes, and the same in rows."""
    made: list[dict[str, object]] = []
    for contents in result.contents:
        name = contents.place.artifacts[0]
        tones = treemap.Tones(one for one in result.findings if one.place.artifacts[0] == name)
        rows = treemap.rows(contents, tones)
        drawn = {
            shape: treemap.draw(contents, tones, size)
            for shape, size in (("wide", treemap.WIDE), ("tall", treemap.TALL))
        }
        if rows:
            made.append({"name": name, "rows": rows, "drawn": drawn, "size": sum(row.size for row in rows)})
    return made


def _choices(findings: list[Listed]) -> dict[str, list[tuple[str, str]]]:
    """What the filters offer, as (value, text)."""
    rules = {one.finding.rule.id: one.finding.rule for one in findings}
    return {
        "rule": [(number, f"{number} {rules[number].name}") for number in sorted(rules)],
        "component": [(name, name) for name in sorted({one.component for one in findings})],
        "input": [(name, name) for name in dict.fromkeys(one.input for one in findings)],
    }
