"""Short marks in long bytes: all places of them, by a library where there is one, which takes a tenth of the time."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property


class Marks:
    """Some byte strings that are looked for together; of several at one place the first counts."""

    def __init__(self, *marks: bytes) -> None:
        self._marks = marks

    def places(self, data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
        """Those between two offsets, in order and apart: the number of the mark, its offset and its end."""
        found = self._library(memoryview(data)[start:end]) if self._library else None
        if found is not None:
            return [(number, start + at, start + to) for number, at, to in found] if start else found
        numbers = {mark: number for number, mark in enumerate(self._marks)}
        return [(numbers[one[0]], *one.span()) for one in self._pattern.finditer(data, start, end)]

    def count(self, data: bytes, start: int, end: int) -> int:
        """How many there are."""
        if self._library:
            return len(self._library(memoryview(data)[start:end]))
        return sum(1 for _ in self._pattern.finditer(data, start, end))

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(map(re.escape, self._marks)))

    @cached_property
    def _library(self) -> Callable[[memoryview], list[tuple[int, int, int]]] | None:
        try:
            from ahocorasick_rs import BytesAhoCorasick, MatchKind
        except ImportError:
            return None
        find: Callable[[memoryview], list[tuple[int, int, int]]]
        find = BytesAhoCorasick(self._marks, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes
        return find
