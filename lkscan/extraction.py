"""`lkscan extract`: one file out of an image, found by the place that reports give it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from difflib import get_close_matches

from .desks import advised
from .scanner.layout import is_layout
from .scanner.peel import Peeler
from .scanner.source import FileSource, Limits, Watch
from .scanner.startup import NamedTuple
from .scanner.stream import over
from .scanner.subjects import File, Place, Problem
from .terminal import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot

SEPARATORS = ("!", " / ")
"""What stands between the artifacts of a place: as it is typed, and as reports print it."""
_NEAR, _NAMES = 4, 8
_MANY = 5000
"""Paths among which those are looked for that resemble a wrong one."""


class Found(NamedTuple):
    """What is at a place: a kind of file, or "" where there is nothing; `near` are places and names that are there.

    `number` tells files of the same place apart, of which the last counts. `problem` is the first that was met.
    """

    kind: str = ""
    size: int = 0
    target: str = ""
    number: int = 0
    near: tuple[str, ...] = ()
    problem: str = ""


def split(text: str) -> tuple[str, str]:
    """The path of the image and the rest, in `image.iso!boot/initrd.img!etc/shadow`, or with ` / `; "" where none is.

    An image's own name may have these in it: the longest part that is a file is the image.
    """
    cuts = [(at, mark) for mark in SEPARATORS for at in range(len(text)) if text.startswith(mark, at)]
    for at, mark in sorted(cuts, reverse=True):
        if os.path.isfile(text[:at]) or is_layout(text[:at]):
            return text[:at], text[at + len(mark) :]
    at, mark = min(cuts, default=(len(text), ""))
    return text[:at], text[at + len(mark) :]


def work(path: str, wanted: str, limits: Limits, slot: Slot | None) -> Iterator[bytes]:
    """A line of JSON with the fields of Found, then the content, if it is a file."""
    watch = slot.watch if slot else None
    found = _look(path, wanted, limits, watch)
    yield json.dumps(found).encode("ascii") + b"\n"
    if found.kind == "file":
        yield from _content(path, wanted, limits, found.number, watch)


def found(line: bytes) -> Found:
    """What such a line tells. Raises UsageError for anything else, which only a process that was taken over writes."""
    try:
        one = Found(*json.loads(line))
        texts = (one.kind, one.target, one.problem, *one.near)
        is_one = all(isinstance(text, str) for text in texts) and isinstance(one.size, int)
    except (ValueError, TypeError, RecursionError):
        is_one = False
    if not is_one:
        raise UsageError("the reading of the image gave nothing sensible; please report it")
    return one


def _files(path: str, limits: Limits, watch: Watch | None) -> Iterator[File | Problem]:
    if os.path.isdir(path):
        yield from Peeler(limits).peel_folder(path, Place((path,)))
        return
    source = FileSource(path, watch)
    try:
        peeler = Peeler(limits)
        peeler.budget.given = source.size
        yield from peeler.peel(over(source, peeler.budget, "the file"), Place((path,)))
    finally:
        source.close()


def _is_at(file: File, wanted: str) -> bool:
    inner = file.place.artifacts[1:]
    return any(separator.join(inner) == wanted for separator in SEPARATORS)


def _look(path: str, wanted: str, limits: Limits, watch: Watch | None) -> Found:
    """What is there, by a first pass over all of the image."""
    found, number, problem = Found(), 0, ""
    below: list[str] = []
    same: list[str] = []
    named: list[str] = []
    others: list[str] = []
    name = wanted.replace(" / ", "!").rpartition("!")[2].strip("/")
    base = name.rpartition("/")[2]
    for file in _files(path, limits, watch):
        if isinstance(file, Problem):
            problem = problem or f"{file.place}: {advised(file).message}"
            continue
        if _is_at(file, wanted):
            number += 1
            found = Found(file.kind, file.size, file.target, number)
            continue
        inner = "!".join(file.place.artifacts[1:])
        if found.kind == "dir" and inner.startswith(f"{wanted.replace(' / ', '!')}/") and len(below) < _NAMES:
            below.append(file.path)
        elif file.path == name:
            same.append(inner)
        elif file.path.rpartition("/")[2] == base:
            named.append(inner)
        elif len(others) < _MANY:
            others.append(inner)
    near = below if found.kind == "dir" else []
    if not found.kind:
        near = [f"{path}!{one}" for one in same or (*named, *get_close_matches(wanted, others, _NEAR))]
    return found._replace(near=tuple(dict.fromkeys(near))[: _NAMES if found.kind else _NEAR], problem=problem)


def _content(path: str, wanted: str, limits: Limits, number: int, watch: Watch | None) -> Iterator[bytes]:
    """What is in the file, bit by bit; a layer that cannot be read twice, at once."""
    for file in _files(path, limits, watch):
        if isinstance(file, File) and _is_at(file, wanted):
            number -= 1
            if not number:
                if file.pieces:
                    yield from file.pieces()
                elif file.again and (afresh := file.again()):
                    yield from afresh
                elif file.read:
                    yield file.read(min(file.size, limits.body))
                return
