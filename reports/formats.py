"""The report formats: which module makes which, and which suffix asks for it."""

import os
from importlib import import_module

from ..rules.funnel import Result
from ..scanner.startup import NamedTuple

FORMATS = {"text": ".text", "json": ".jsonreport", "sarif": ".sarif"}
"""Format -> module, imported only when it is asked for; each has `render(result, options) -> str`."""

SUFFIXES = {".txt": "text", ".json": "json", ".sarif": "sarif"}
"""Suffix of a file's name -> format. `report.sarif.json` is SARIF too, as that standard recommends it."""


class Options(NamedTuple):
    """How to render; a format ignores what it has no use for.

    `width` is in columns, 0 for lines of any length. `version` is lkscan's. `root` is the folder that relative paths
    in a report start from, "" when absolute paths are to stay as they are.
    """

    color: bool = False
    width: int = 0
    version: str = "0.0.0"
    root: str = ""


def render(
    name: str, result: Result, *, color: bool = False, width: int = 0, version: str = "0.0.0", root: str = ""
) -> str:
    """The whole document, ending in a newline; the same result and options give the same text.

    Raises KeyError for an unknown format.
    """
    module = import_module(FORMATS[name], __package__)
    text: str = module.render(result, Options(color, width, version, root))
    return text


def of_suffix(path: str) -> str | None:
    """The format that a file's name asks for, None when its suffix asks for none."""
    if path.lower().endswith(".sarif.json"):
        return "sarif"
    return SUFFIXES.get(os.path.splitext(path)[1].lower())
