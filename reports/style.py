"""How a terminal shows things: colours and links when asked for, and lines that wrap under themselves.

Own code: to import rich would take a scan of one spec twice as long.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..rules.engine import Severity

_CODES = {
    Severity.CRITICAL: "1;97;41",
    Severity.HIGH: "1;31",
    Severity.MEDIUM: "33",
    Severity.LOW: "36",
    Severity.NOTE: "2",
}

_LEAST = 24
"""Columns a wrapped text gets at least, however narrow the terminal."""


class Style:
    """Paints when `color` is set; wraps when `width` (columns) is not 0; links, where `links` is no None.

    `links` is the folder that paths are relative to. Painted and linked text takes no more columns.
    """

    def __init__(self, *, color: bool = False, width: int = 0, links: str | None = None) -> None:
        self._color = color
        self.links = links
        self.width = width

    def paint(self, code: str, text: str) -> str:
        """The text between an SGR code and its reset."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._color and text else text

    def bold(self, text: str) -> str:
        """For what to look at first."""
        return self.paint("1", text)

    def dim(self, text: str) -> str:
        """For what to look at last."""
        return self.paint("2", text)

    def severity(self, severity: Severity, text: str) -> str:
        """In the severity's colour."""
        return self.paint(_CODES[severity], text)

    def link(self, address: str, text: str) -> str:
        """The text as a link (OSC 8) to an address, which is ASCII and printable."""
        return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\" if self.links is not None else text

    def wrapped(self, text: str, indent: int) -> list[str]:
        """The text in lines that fit beside an indentation, which is not included; words are never broken."""
        if not self.width:
            return [text]
        from textwrap import wrap

        room = max(self.width - indent, _LEAST)
        return wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]

    def hanging(self, head: str, text: str, indent: int) -> Iterator[str]:
        """`head` (painted, `indent` columns wide) and the text beside it."""
        for number, line in enumerate(self.wrapped(text, indent)):
            yield f"{' ' * indent if number else head}{line}"

    def clipped(self, text: str, indent: int) -> str:
        """The text cut to the rest of the line."""
        room = max(self.width - indent, _LEAST)
        return text if not self.width or len(text) <= room else f"{text[: room - 1].rstrip(' ,')}…"
