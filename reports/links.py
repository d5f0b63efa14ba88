"""Addresses that reports lead to: the pages of rules, and files on this machine."""

from __future__ import annotations

import os

from ..rules.engine import Rule
from ..scanner.subjects import Place

HOME = "https://github.com/linuxkit/lkscan"
"""Where the documentation is."""


def page(rule: Rule) -> str:
    """The page of a rule; of one of a user's own, how such rules are made; of what a comparison tells, its chapter."""
    if rule.id.startswith("LKDIF"):
        return f"{HOME}/blob/HEAD/docs/diff.md"
    return f"{HOME}/blob/HEAD/{'docs/configuration' if rule.owner else f'rules/pages/{rule.name}'}.md"


def file(place: Place, root: str) -> str:
    """The input that a place is in, and its line behind a `#`; `root` is the folder that its path is relative to."""
    from urllib.parse import quote

    path = quote(os.path.join(root, place.artifacts[0]).encode("utf-8", "surrogateescape"))
    return f"file://{os.uname().nodename}{path}{f'#{place.span.line}' if place.span else ''}"
