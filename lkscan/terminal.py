"""What every command says to a terminal in the same way: exit statuses, complaints, the width of lines."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself is not imported: start-up is a feature
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from .scanner.subjects import Problem

_PLAIN = str.maketrans({"█": "#", "░": ".", "…": "...", "≥": ">"})
"""What our own words need where a terminal has ASCII only."""

OK, FINDINGS, USAGE, INCOMPLETE = 0, 1, 2, 3


class UsageError(Exception):
    """The order cannot be carried out as it was given; the message says what to change."""


def complain(text: str) -> None:
    """One line on standard error; the names in it may come from anywhere."""
    from .reports.printable import printable

    print(f"lkscan: {printable(text)}", file=sys.stderr)


def warn(problems: Iterable[Problem]) -> None:
    """A line for each thing that could not be read."""
    for problem in problems:
        complain(f"{problem.place}: {problem.message}")


def lenient() -> str:
    """The name of an error handler for streams: it puts plain characters for what their encoding lacks."""
    import codecs

    def plain(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        text = error.object[error.start : error.end]
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode(), error.end

    codecs.register_error("lkscan", plain)
    return "lkscan"


def width() -> int:
    """Columns to fill: COLUMNS or the terminal's, within reason; 0, lines of any length, where there is neither."""
    try:
        columns = int(os.environ["COLUMNS"]) if "COLUMNS" in os.environ else os.get_terminal_size().columns
    except (OSError, ValueError):
        return 0
    return max(50, min(columns, 160))


def paints(stream: TextIO) -> bool:
    """Whether colours are seen on a stream, and wanted."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def links(stream: TextIO) -> bool:
    """Whether a stream's terminal can be given links (OSC 8): one that does not know them leaves them out.

    But for the console of Linux, and for what is no terminal, where they would be noise.
    """
    return paints(stream) and os.environ.get("TERM", "linux") != "linux"


def folder() -> str:
    """The folder we are in; the root where somebody removed it meanwhile."""
    try:
        return os.getcwd()
    except OSError:
        return "/"
