"""What a component is made of, as a tree: folders with what is in them, the largest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..rules.components import Part
from ..scanner.startup import NamedTuple

_DEPTH = 8
"""Folders within one another that are told apart; what lies deeper is told by its whole path."""


class Node(NamedTuple):
    """A folder (its `name` ends in a slash) or a file, so many `files` in so many bytes; `depth` counts from 0."""

    name: str
    depth: int
    size: int
    files: int


def tree(parts: Sequence[Part], least: float = 0) -> list[Node]:
    """The parts of a component, each folder before what is in it; what has less than `least` bytes is told together."""
    return list(_nodes(parts, 0, 0, least))


def _nodes(parts: Sequence[Part], start: int, depth: int, least: float) -> Iterator[Node]:
    """The parts that share the first `start` characters of their paths."""
    groups: dict[str, list[Part]] = {}
    for part in parts:
        name, slash, _ = part.path[start:].partition("/")
        groups.setdefault(name + slash, []).append(part)
    left: list[Part] = []
    for name, some in sorted(groups.items(), key=lambda item: (-_size(item[1]), item[0])):
        size = _size(some)
        if size < least or not name:
            left += some
        elif not name.endswith("/") or (len(some) == 1 and some[0].path[start:] == name):
            yield Node(name, depth, size, _files(some))
        else:
            end = len(some[0].path) if len(some) == 1 else _shared(some)
            yield Node(some[0].path[start:end], depth, size, _files(some))
            if len(some) > 1 and depth < _DEPTH:
                yield from _nodes(some, end, depth + 1, least)
            elif len(some) > 1:
                yield from (Node(one.path[end:] or "other files", depth + 1, one.size, one.files) for one in some)
    if left:
        yield Node("other files", depth, _size(left), _files(left))


def _shared(parts: Sequence[Part]) -> int:
    """The length of the path of the innermost folder that holds all of them."""
    first, last = min(one.path for one in parts), max(one.path for one in parts)
    end = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first.rfind("/", 0, end) + 1


def _size(parts: Sequence[Part]) -> int:
    return sum(one.size for one in parts)


def _files(parts: Sequence[Part]) -> int:
    return sum(one.files for one in parts)
