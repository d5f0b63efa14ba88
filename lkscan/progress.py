"""A progress bar in bytes on standard error: for work that takes longer than a moment, on a terminal, gone at the end.

Own code, as it is shorter than the calls to a library; `rich.progress` takes 45 ms to import.
"""

from __future__ import annotations

import os
from time import monotonic

from .terminal import width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_MOMENT = 0.5
"""Seconds before anything is shown."""
_STEP = 0.1
"""Seconds between two pictures."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_ERASE = "\r\033[K"


class Bar:
    """Called with the bytes there are and those that were read, it shows how far the work is; `close` takes it away."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = self._next = monotonic()
        self._next += _MOMENT
        self._is_shown = False

    @staticmethod
    def is_seen() -> bool:
        """Whether a terminal shows a bar as it is meant, and somebody looks at it."""
        return os.environ.get("TERM", "dumb") != "dumb" and "CI" not in os.environ

    def __call__(self, total: int, done: int) -> None:
        """Draw it, if it is time to. What is read twice counts once at most."""
        now = monotonic()
        if now < self._next:
            return
        self._next = now + _STEP
        self._is_shown = True
        share = min(1.0, done / total) if total else 1.0
        tail = f" {share:4.0%}  {amount(min(done, total))} of {amount(total)}  {now - self._start:.0f} s"
        room = max(10, min(40, (width() or 80) - len(tail) - 1))
        full = int(share * room)
        encoding = (self._stream.encoding or "ascii").lower()
        marks = "█░" if encoding.startswith("utf") else "#."
        self._stream.write(f"{_ERASE}{marks[0] * full}{marks[1] * (room - full)}{tail}")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line as it was."""
        if self._is_shown:
            self._is_shown = False
            self._stream.write(_ERASE)
            self._stream.flush()


def amount(size: int) -> str:
    """`12.3 MiB`."""
    value, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 - three digits
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == _UNITS[0] else f"{value:.1f} {unit}"
