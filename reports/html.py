"""The HTML report: one file that needs nothing else, to read, filter, link into, print and hand on.

All that comes from an input is made printable, then escaped; the page's policy allows no request, and of scripts and
styles only those that stand in it, by their hashes. What its script shows it sets as text, never as markup. Without
scripts, the page still has everything but the less severe findings.
"""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..rules.engine import Severity
from ..rules.funnel import Result
from . import html_parts as parts
from . import treemap
from .compliance import assess
from .formats import Options
from .html_findings import Listed, as_json, clean, evidence, listed
from .promises import words

_FOLDER = os.path.join(os.path.dirname(__file__), "templates")

_MOST = 300
"""Containers, rows and items of a list that are written out; of what there is more, the number is told."""

_PLAIN = 50
"""Findings that are there without scripts, the most severe."""


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    script, style = _text("report.js"), _text("report.css")
    findings = listed(result)
    # Markup only of what is ours: the script, the style, and JSON in which nothing can end its element.
    page = (
        _environment()
        .get_template("report.html")
        .render(
            version=options.version,
            script=Markup(script),  # noqa: S704 - our own file
            style=Markup(style),  # noqa: S704 - our own file
            policy=_policy(script, style),
            data=Markup(as_json(findings)),  # noqa: S704 - escaped there
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
            kernels=parts.kernels(result),
            hardening=parts.hardening(result),
            promises=list(words(result)),
            sections=assess(result),
            open=parts.alike(result),
            silenced=parts.silenced(result),
            choices=_choices(findings),
            most=_MOST,
        )
    )
    return page if page.endswith("\n") else f"{page}\n"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER, encoding="utf-8"),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(code=_code, amount=treemap.amount, number=_number, evidence=evidence)
    return environment


def _finalized(value: object) -> object:
    """Whatever is written into the page: nothing in it may act on the terminal or editor that shows the source."""
    return clean(value) if type(value) is str else value


def _text(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return f"\n{file.read()}"


def _policy(script: str, style: str) -> str:
    """The Content-Security-Policy: nothing but this script and this style; text never becomes markup."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _code(text: str) -> Markup:
    """What stands between backticks, as code."""
    pieces = clean(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _number(value: int) -> str:
    return f"{value:,}"


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
