"""The report formats: which module makes which, and which suffix asks for it."""

import os
from collections.abc import Mapping
from importlib import import_module

from ..scanner.startup import Any, NamedTuple

FORMATS = {
    "text": ".text",
    "json": ".jsonreport",
    "sarif": ".sarif",
    "markdown": ".markdown",
    "junit": ".junit",
    "gitlab": ".gitlab",
    "github": ".github",
    "html": ".html",
}
"""Format -> module, imported only when it is asked for; each has `render(result, options) -> str`."""

COMPLIANCE = {
    "text": ".compliance_text",
    "json": ".compliance_json",
    "markdown": ".compliance_markdown",
    "oscal": ".oscal",
    "html": ".compliance_html",
}
"""The same for the assessment by NIST SP 800-190."""

COMPARISON = {
    "text": ".comparison_text",
    "json": ".comparison_json",
    "markdown": ".comparison_markdown",
    "html": ".comparison_html",
    "sarif": ".comparison_sarif",
}
"""The same for the comparison of two builds."""

SIZES = {
    "text": ".size_text",
    "json": ".size_json",
    "markdown": ".size_markdown",
    "html": ".size_html",
}
"""The same for the sizes of images."""

_SUFFIXES = {
    ".txt": "text",
    ".json": "json",
    ".sarif": "sarif",
    ".sarif.json": "sarif",
    ".md": "markdown",
    ".xml": "junit",
    ".gitlab.json": "gitlab",
    ".oscal.json": "oscal",
    ".html": "html",
    ".htm": "html",
}
"""End of a file's name -> format; of two that fit, the longer one counts."""

SHOWS_CONTENTS = frozenset({"html", "json"})
"""The formats that tell what images are made of; for the others nobody collects it."""


class Options(NamedTuple):
    """How to render; a format ignores what it has no use for.

    `width` is in columns, 0 for lines of any length. `version` is lkscan's. `root` is the folder that relative paths
    in a report start from, "" when absolute paths are to stay as they are. `checkout` is the working tree it is in.
    `everything`: all outcomes are told, not only fails; `silenced`: those findings, too, that somebody silenced.
    `links`: a terminal shows links.
    """

    color: bool = False
    width: int = 0
    version: str = "0.0.0"
    root: str = ""
    checkout: "Checkout | None" = None
    everything: bool = False
    silenced: bool = False
    links: bool = False

    @property
    def top(self) -> str:
        """The folder that paths start from where code is hosted: the root of the checkout; "" without one."""
        return self.checkout.root if self.checkout else ""


class Checkout(NamedTuple):
    """A git working tree: its folder, its remote's address, the commit that is checked out, and the branch or ""."""

    root: str
    repository: str
    revision: str
    branch: str


def render(name: str, result: object, known: Mapping[str, str] = FORMATS, **options: Any) -> str:  # noqa: ANN401 - as in Options
    """The whole document, ending in a newline; the same result and options give the same text.

    `result` is what the module takes: a Result, a Comparison, or a Report on sizes.
    Raises KeyError for a format that is none of those `known`.
    """
    module = import_module(known[name], __package__)
    text: str = module.render(result, Options(**options))
    return text


def suffixes(known: Mapping[str, str] = FORMATS) -> list[str]:
    """The suffixes that ask for one of the formats."""
    return [suffix for suffix, name in _SUFFIXES.items() if name in known]


def of_suffix(path: str, known: Mapping[str, str] = FORMATS) -> str | None:
    """The format that a file's name asks for, None when its suffix asks for none."""
    name = os.path.basename(path).lower()
    fitting = [suffix for suffix in suffixes(known) if name.endswith(suffix)]
    return _SUFFIXES[max(fitting, key=len)] if fitting else None
