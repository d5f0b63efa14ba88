"""How pages in HTML are made: of templates that escape by themselves, under a policy that allows only what is in them.

All that comes from an input is made printable, then escaped; a page's policy allows no request, and of scripts and
styles only those that stand in it, by their hashes.
"""

from __future__ import annotations

import os
from base64 import b64encode
from functools import cache
from hashlib import sha256

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..rules.components import amount
from .html_findings import clean, evidence

_FOLDER = os.path.join(os.path.dirname(__file__), "templates")

MOST = 300
"""Containers, rows and items of a list that are written out; of what there is more, the number is told."""


def render(template: str, *, script: str = "", **values: object) -> str:
    """A page out of a template of the folder, with the name of its script if it has one, ending in a newline."""
    code, style = _file(script) if script else "", _file("report.css")
    own = {"script": Markup(code), "style": Markup(style)}  # noqa: S704 - our own files
    return _environment().get_template(template).render(**values, **own, policy=_policy(code, style), most=MOST)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER, encoding="utf-8"),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        keep_trailing_newline=True,
    )
    environment.filters.update(code=_code, amount=amount, number=_number, evidence=evidence)
    return environment


def _finalized(value: object) -> object:
    """Whatever is written into the page: nothing in it may act on the terminal or editor that shows the source."""
    return clean(value) if type(value) is str else value


def _file(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return f"\n{file.read()}"


def _policy(script: str, style: str) -> str:
    """The Content-Security-Policy: nothing but this script and this style; text never becomes markup."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}" if text else "none"


def _code(text: str) -> Markup:
    """What stands between backticks, as code."""
    pieces = clean(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _number(value: int) -> str:
    return f"{value:,}"
