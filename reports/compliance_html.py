"""The assessment by NIST SP 800-190 as a page: the sections, and what is behind each."""

from __future__ import annotations

from collections import Counter

from ..rules.funnel import Result
from ..rules.tables import load
from . import html_parts as parts
from .compliance import Status, assess
from .formats import Options
from .html_page import render as page


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    found = assess(result)
    counts = Counter(one.status for one in found)
    return page(
        "compliance.html",
        version=options.version,
        title=load("nist")["title"],
        counts=[(str(status), counts[status]) for status in Status],
        inputs=parts.inputs(result),
        sections=found,
        result=result,
    )
