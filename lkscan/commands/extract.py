"""`lkscan extract`: write one file of an image to standard output, for a look."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from .. import extraction
from ..extraction import Found
from ..imaging import stream
from ..ordering import add_configuration, add_limits, limits_of, staff
from ..scanner.layout import is_layout
from ..terminal import INCOMPLETE, OK, UsageError, complain

EPILOG = """exit status:
  0  the file was written
  2  wrong usage, or there is no such file in the image
  3  the file, or what it lies in, could not be read whole
"""
_HEAD = 1 << 20
"""Bytes of the line that tells what is at the place; its paths are bounded."""
_TEXT = frozenset((*b"\t\n\r", *range(32, 127), *range(128, 256)))
_NONE = {
    "char": "a character device, which has no content",
    "block": "a block device, which has no content",
    "fifo": "a FIFO, which has no content",
    "socket": "a socket, which has no content",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "place",
        metavar="PLACE",
        help="IMAGE!PATH, or IMAGE!LAYER!PATH; ` / ` between them, as reports have it, will do as well",
    )
    add("--force", action="store_true", help="write to a terminal what is no text, too")
    add_limits(parser)
    add_configuration(parser)


def run(order: argparse.Namespace) -> int:
    """Write the file."""
    image, wanted = extraction.split(order.place)
    if not wanted:
        raise UsageError(f"{order.place}: name a file inside, such as {image or 'image.iso'}!etc/os-release")
    if not os.path.isfile(image) and not is_layout(image):
        raise UsageError(f"{image or order.place}: {'is no regular file' if os.path.exists(image) else 'no such file'}")
    limits = limits_of(order, image)
    wanted = wanted.strip("/")
    sink = _Sink(order.place, force=order.force or not sys.stdout.isatty())
    failure = stream(image, partial(extraction.work, image, wanted, limits), limits, staff(order), sink.take)
    return sink.end(failure)


class _Sink:
    """Takes what the work yields: first what is at the place, then the content, which goes to standard output."""

    def __init__(self, place: str, *, force: bool) -> None:
        self._place = place
        self._force = force
        self._head = b""
        self._found: Found | None = None
        self._written = 0

    def take(self, data: bytes) -> None:
        """Write what is content. Raises UsageError for what a terminal should not get."""
        if self._found is None:
            self._head += data
            line, newline, data = self._head.partition(b"\n")
            if not newline and len(self._head) <= _HEAD:
                return
            self._found = extraction.found(line)
        if not self._force and not _TEXT.issuperset(data):
            raise UsageError(f"{self._place}: is no text; redirect it to a file, or --force")
        sys.stdout.buffer.write(data)
        self._written += len(data)

    def end(self, failure: str) -> int:
        """What became of it, as an exit status. Raises UsageError where there is nothing to write."""
        sys.stdout.flush()
        found = self._found
        if failure or found is None:
            complain(f"{self._place}: {failure}")
            return INCOMPLETE
        if found.problem:
            complain(found.problem)
        if found.kind == "file":
            if self._written < found.size:
                hint = " (--max-file sets how much of a layer is shown)" if not self._written % (1 << 20) else ""
                complain(f"{self._place}: breaks off after {self._written} of {found.size} bytes{hint}")
                return INCOMPLETE
            return OK
        text = f"{self._place}: {_answer(found)}"
        if not found.kind and found.problem:
            complain(text)
            return INCOMPLETE
        raise UsageError(text)


def _answer(found: Found) -> str:
    """Why there is no content."""
    if found.kind in ("symlink", "hardlink"):
        kind = "symbolic" if found.kind == "symlink" else "hard"
        return f"is a {kind} link to {found.target}; name that, as nothing is followed"
    if found.kind == "dir":
        return "is a directory" + (f"; in it are {', '.join(found.near)}" if found.near else "")
    if found.kind:
        return f"is {_NONE[found.kind]}"
    hint = f"; did you mean {' or '.join(found.near)}?" if found.near else "; `lkscan inspect --files` lists all"
    return f"there is nothing of that name in the image{hint}"
