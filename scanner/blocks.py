"""Virtual disks: blocks of one size that lie somewhere in another source, in it compressed, or nowhere (zeros)."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .source import DamagedError, Source

DISK_LIMIT = 2 << 40
"""Bytes of a virtual disk; LinuxKit's largest has 25 GiB."""
TABLE_LIMIT = 32 << 20
"""Bytes of one table; QEMU refuses more."""
ZEROS = -1
"""The place of a block that was never written."""

_UNPACKED = 8 << 20
"""Bytes of unpacked blocks that are kept: what reads a disk goes back and forth between few of them."""


class Packed(NamedTuple):
    """Where a compressed block lies: offset and length in bytes."""

    at: int
    length: int


Place = int | Packed
"""Of a block: its offset in the source, ZEROS, or where it lies compressed."""


class Blocks:
    """A disk of `size` bytes in blocks of `block` bytes: a Source.

    `locate` tells the place of a block by its number, `unpack` what a compressed one holds; both may raise
    DamagedError. Where the source ends before a block does, reads get short, as at the end of any source.
    """

    def __init__(
        self,
        source: Source,
        size: int,
        block: int,
        locate: Callable[[int], Place],
        unpack: Callable[[Packed], bytes] | None = None,
    ) -> None:
        self.size = size
        self._source = source
        self._block = block
        self._locate = locate
        self._unpack = unpack
        self._kept: OrderedDict[Packed, bytes] = OrderedDict()

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        end = min(offset + length, self.size)
        pieces: list[bytes] = []
        while offset < end:
            number, skip = divmod(offset, self._block)
            wanted = min(self._block - skip, end - offset)
            place = self._locate(number)
            if isinstance(place, Packed):
                piece = self._content(place)[skip : skip + wanted]
            elif place == ZEROS:
                piece = bytes(wanted)
            else:
                wanted = min(self._together(number, place, end) - offset, end - offset)
                piece = self._source.pread(place + skip, wanted)
            pieces.append(piece)
            offset += len(piece)
            if len(piece) < wanted:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _together(self, number: int, place: int, end: int) -> int:
        """Where the blocks end that lie side by side in the source, as they do on the disk."""
        following = number + 1
        while following * self._block < end and self._locate(following) == place + (following - number) * self._block:
            following += 1
        return following * self._block

    def _content(self, place: Packed) -> bytes:
        """A compressed block, unpacked."""
        data = self._kept.get(place)
        if data is None:
            data = self._unpack(place) if self._unpack else b""
            self._kept[place] = data
            if len(self._kept) > max(1, _UNPACKED // self._block):
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(place)
        return data


class Tables:
    """Big or little endian numbers in tables of equal length, read when they are asked for and kept for a while."""

    def __init__(self, source: Source, code: str, order: str, length: int, kept: int = 32) -> None:
        """`code` is array's: `H`, `I`, `Q` for 16, 32, 64 bits. `order` is `big` or `little`, `length` in numbers."""
        self._source = source
        self._code = code
        self._order = order
        self._length = length
        self._kept = kept
        self._tables: OrderedDict[int, array[int]] = OrderedDict()

    def at(self, offset: int, index: int) -> int:
        """The number `index` of the table at `offset`. Raises DamagedError where the source ends before it."""
        table = self._tables.get(offset)
        if table is None:
            table = self._tables[offset] = self._read(offset)
            if len(self._tables) > self._kept:
                self._tables.popitem(last=False)
        if index >= len(table):
            raise DamagedError(f"the disk's table at byte {offset} breaks off")
        return table[index]

    def _read(self, offset: int) -> array[int]:
        found = array(self._code)
        data = self._source.pread(offset, self._length * found.itemsize)
        found.frombytes(data[: len(data) - len(data) % found.itemsize])
        if sys.byteorder != self._order:
            found.byteswap()
        return found


class Run(NamedTuple):
    """A stretch of a file: `length` bytes from `start` on lie at `at` in the source, or are ZEROS."""

    start: int
    length: int
    at: int


class Mapped:
    """A file of `size` bytes made of runs, zeros where there is none: a Source."""

    def __init__(self, source: Source, size: int, runs: Iterable[Run]) -> None:
        """`runs` may come in any order; where they overlap, the one that starts later counts."""
        self.size = size
        self._source = source
        self._runs = sorted(run for run in runs if run.at != ZEROS and run.length > 0)
        self._starts = [run.start for run in self._runs]

    @property
    def end(self) -> int:
        """Where in the source the last of its bytes ends."""
        inside = (run.at + min(run.length, self.size - run.start) for run in self._runs if run.start < self.size)
        return max(inside, default=0)

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        end = min(offset + length, self.size)
        pieces: list[bytes] = []
        index = bisect_right(self._starts, offset) - 1
        while offset < end:
            following = self._starts[index + 1] if index + 1 < len(self._starts) else end
            run = self._runs[index] if index >= 0 else None
            if run is not None and offset < run.start + run.length:
                wanted = min(run.start + run.length, following, end) - offset
                piece = self._source.pread(run.at + offset - run.start, wanted)
            else:
                wanted = min(following, end) - offset
                piece = bytes(wanted)
            pieces.append(piece)
            offset += len(piece)
            if len(piece) < wanted:
                break
            index += offset >= following and index + 1 < len(self._starts)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
