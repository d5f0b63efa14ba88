"""A unified diff of a text, for people and for `patch`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff

from .style import Style

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_COLORS = {"+": "32", "-": "31", "@": "36"}


def unified(path: str, before: str, after: str, *, color: bool = False) -> str:
    """The difference of two texts, with `a/` and `b/` before the path, as `git diff` has it; "" where there is none."""
    texts = (_LINE.findall(before), _LINE.findall(after))
    short = path.lstrip("/")
    lines = unified_diff(*texts, f"a/{short}", f"b/{short}")
    return "".join(_painted(lines, Style(color=color, width=0)))


def _painted(lines: Iterator[str], style: Style) -> Iterator[str]:
    for line in lines:
        body = line.removesuffix("\n")
        yield f"{style.paint(_COLORS.get(line[0], ''), body)}\n" if line[0] in _COLORS else f"{body}\n"
        if body == line:
            yield "\\ No newline at end of file\n"
