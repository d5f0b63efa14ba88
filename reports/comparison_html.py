"""The comparison of two builds as a page: what got worse first, area by area. It needs no script."""

from __future__ import annotations

from ..rules.differences import ORDER, Comparison
from .comparison import HEADINGS, parts, summary
from .formats import Options
from .html_page import MOST
from .html_page import render as page


def render(comparison: Comparison, options: Options) -> str:
    """The report; see `formats.render`."""
    shown = parts(comparison, MOST)
    return page(
        "comparison.html",
        version=options.version,
        result=comparison,
        summary=summary(comparison),
        counts=[(HEADINGS[one], judgement_tone(one), comparison.count(one)) for one in ORDER],
        inputs=[
            (name, [("is", sign), ("format", form)])
            for sign, name, form in zip(
                ("old", "new"), (comparison.old, comparison.new), comparison.formats, strict=True
            )
        ],
        judgements=[
            (HEADINGS[one], one, judgement_tone(one), [part for part in shown if part.judgement == one])
            for one in ORDER
            if comparison.count(one)
        ],
        lists=[
            ("What only the formats make", comparison.apart),
            ("What was not compared", comparison.undecided),
        ],
    )


def judgement_tone(judgement: str) -> str:
    """The colour of a judgement: that of a severity, or of what is good."""
    return {"worse": "high", "better": "good"}.get(judgement, "note")
