"""Virtual disks: blocks of one size that lie somewhere in another source, in it compressed, or nowhere (zeros)."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .source import ZEROS, DamagedError, Source, Stretched

DISK_LIMIT = 2 << 40
"""Bytes of a virtual disk; LinuxKit's largest has 25 GiB."""
TABLE_LIMIT = 32 << 20
"""Bytes of one table; QEMU refuses more."""
_UNPACKED = 8 << 20
"""Bytes of unpacked blocks that are kept: what reads a disk goes back and forth between few of them."""


Spend = Callable[[int], None]
"""Counts bytes that were read or unpacked; raises LimitError when they are too many."""


def _free(_length: int) -> None:
    """For sources that are read once and in order."""


class Packed(NamedTuple):
    """Where a compressed block lies: offset and length in bytes; it begins `skip` bytes into what is unpacked."""

    at: int
    length: int
    skip: int = 0


Place = int | Packed
"""Of a block: its offset in the source, ZEROS, or where it lies compressed."""


class Blocks:
    """A disk of `size` bytes in blocks of `block` bytes: a Source.

    `locate` tells the place of a block by its number, `unpack` what a compressed one holds; both may raise
    DamagedError. What is unpacked is spent each time: who reads back and forth between many blocks pays for it.
    Where the source ends before a block does, reads get short, as at the end of any source.
    """

    def __init__(
        self,
        source: Source,
        size: int,
        block: int,
        locate: Callable[[int], Place],
        unpack: Callable[[Packed], bytes] | None = None,
        *,
        spend: Spend = _free,
    ) -> None:
        self.size = size
        self._source = source
        self._block = block
        self._locate = locate
        self._unpack = unpack
        self._spend = spend
        self._kept: OrderedDict[Packed, bytes] = OrderedDict()

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        end = min(offset + length, self.size)
        pieces: list[bytes] = []
        while 0 <= offset < end:
            number, skip = divmod(offset, self._block)
            wanted = min(self._block - skip, end - offset)
            place = self._locate(number)
            if isinstance(place, Packed):
                skip += place.skip
                piece = self._content(place._replace(skip=0))[skip : skip + wanted]
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
            self._spend(max(place.length, self._block))
            data = self._unpack(place) if self._unpack else b""
            self._kept[place] = data
            if len(self._kept) > max(1, _UNPACKED // max(len(data), self._block)):
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(place)
        return data


class Tables:
    """Big or little endian numbers in tables of equal length, read when they are asked for and kept for a while."""

    def __init__(self, source: Source, code: str, order: str, length: int, *, spend: Spend, kept: int = 32) -> None:
        """`code` is array's: `H`, `I`, `Q` for 16, 32, 64 bits. `order` is `big` or `little`, `length` in numbers.

        Each reading of a table is spent.
        """
        self._source = source
        self._code = code
        self._order = order
        self._length = length
        self._spend = spend
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
        data = self._source.pread(offset, self._length * array(self._code).itemsize)
        self._spend(len(data))
        return numbers(data, self._code, self._order)


def numbers(data: bytes, code: str, order: str) -> array[int]:
    """Numbers of one width (see Tables); bytes that are left over at the end are not one."""
    found = array(code)
    found.frombytes(data[: len(data) - len(data) % found.itemsize])
    if sys.byteorder != order:
        found.byteswap()
    return found


class Run(NamedTuple):
    """A stretch of a file: `length` bytes from `start` on lie at `at` in the source, or are ZEROS."""

    start: int
    length: int
    at: int


RUNS = 1 << 18
"""Runs of one file: more than the most scattered file has, and few enough to be held."""


class Mapped(Stretched):
    """A file of `size` bytes made of runs, zeros where there is none: a Source."""

    def __init__(self, source: Source, size: int, runs: Iterable[Run]) -> None:
        """`runs` may come in any order. Raises DamagedError where they overlap or are too many."""
        self.size = size
        self.source = source
        self._runs = sorted(_joined(runs))
        self._starts = [run.start for run in self._runs]
        if any(run.start + run.length > start for run, start in zip(self._runs, self._starts[1:], strict=False)):
            raise DamagedError("its pieces overlap")

    @property
    def end(self) -> int:
        """Where in the source the last of its bytes ends."""
        inside = (run.at + min(run.length, self.size - run.start) for run in self._runs if run.start < self.size)
        return max(inside, default=0)

    def stretches(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See Stretched."""
        end = min(offset + length, self.size)
        index = bisect_right(self._starts, offset) - 1
        while 0 <= offset < end:
            following = self._starts[index + 1] if index + 1 < len(self._starts) else end
            run = self._runs[index] if index >= 0 else None
            if run is not None and offset < run.start + run.length:
                wanted = min(run.start + run.length, following, end) - offset
                yield run.at + offset - run.start, wanted
            else:
                wanted = min(following, end) - offset
                yield ZEROS, wanted
            offset += wanted
            index += offset >= following and index + 1 < len(self._starts)


def _joined(runs: Iterable[Run]) -> list[Run]:
    """The same runs, zeros left out and those that go on where the one before ends joined."""
    found: list[Run] = []
    for run in runs:
        if run.at == ZEROS or run.length <= 0:
            continue
        last = found[-1] if found else Run(0, 0, ZEROS)
        if run.start == last.start + last.length and run.at == last.at + last.length:
            found[-1] = Run(last.start, last.length + run.length, last.at)
        else:
            found.append(run)
            if len(found) > RUNS:
                raise DamagedError(f"it is in more than {RUNS} pieces")
    return found
