"""The compressed files of EROFS: which stretch of the file each physical cluster holds, and how it is unpacked.

As the kernel's fs/erofs/zmap.c and erofs_fs.h have it. A file is cut into logical clusters of one block or more; each
is a head, in which a physical cluster begins, or goes on with the one before. The list of them is full (eight bytes
each) or compact (two or four bytes each, in packs that share a block number).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .compression import unpack
from .source import Budget, DamagedError, Source

_PLAIN, _HEAD, _TAIL, _HEAD2 = range(4)
"""Types of a logical cluster."""
_BLOCKS = 1 << 11
"""Flag in the first distance behind a head: the rest of it is the number of blocks of the physical cluster."""
_TWO_BYTES, _BIG, _BIG2, _INLINE, _INTERLACED, _FRAGMENT = 1, 2, 4, 8, 16, 32
"""What a file's header advises."""
_ALGORITHMS = {0: "lz4", 1: "lzma", 2: "deflate", 3: "zstd"}
_CLUSTERS = 1 << 18
"""Logical clusters of one file: 1 GiB of the usual size, and few enough to be held."""
_UNPACKED = 1 << 20
"""Bytes of one physical cluster, and of what it unpacks to at most (mkfs allows 1 MiB, and a block more)."""
_PARTIAL = 1 << 15
"""Flag of a head in a full list: the cluster holds more than this extent, as others share it."""
_KEPT = 4
"""Physical clusters that are kept unpacked."""


class _Logical(NamedTuple):
    """A logical cluster. Of a head: the offset in it where its extent begins, and the block; else of distances."""

    type: int
    offset: int
    block: int
    partial: bool = False


class Extent(NamedTuple):
    """`length` bytes of the file from `start` on, in the `packed` bytes at `at`, which may hold more (`partial`)."""

    start: int
    length: int
    at: int
    packed: int
    kind: str
    partial: bool = False


class Fragment(NamedTuple):
    """The end of a file, from `start` on: it lies at `at` in the file that holds the ends of many."""

    start: int
    at: int
    packed: Source


class Content:
    """A compressed file: a Source. Whole extents are unpacked, and some are kept."""

    def __init__(
        self,
        source: Source,
        size: int,
        extents: list[Extent],
        spend: Callable[[int], None],
        fragment: Fragment | None = None,
    ) -> None:
        self.size = size
        self._source = source
        self._fragment = fragment
        self._extents = extents
        self._starts = [one.start for one in extents]
        self._spend = spend
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def pread(self, offset: int, length: int) -> bytes:
        """See Source. Raises DamagedError."""
        end, pieces = min(offset + length, self.size), list[bytes]()
        while offset < end:
            if self._fragment and offset >= self._fragment.start:
                at = self._fragment.at + offset - self._fragment.start
                pieces.append(self._fragment.packed.pread(at, end - offset))
                break
            index = bisect_right(self._starts, offset) - 1
            if index < 0:
                raise DamagedError(f"no cluster holds byte {offset}")
            skip = offset - self._starts[index]
            piece = self._unpacked(index)[skip : skip + end - offset]
            if not piece:
                raise DamagedError(f"no cluster holds byte {offset}")
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _unpacked(self, index: int) -> bytes:
        found = self._kept.get(index)
        if found is None:
            one = self._extents[index]
            raw = self._source.pread(one.at, one.packed)
            if len(raw) < one.packed:
                raise DamagedError(f"the cluster at byte {one.at} is behind the end of the image")
            self._spend(max(one.length, one.packed))
            found = self._kept[index] = _decode(one, raw)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


def content(
    source: Source, end: int, size: int, block: int, budget: Budget, *, packed: Source | None, compact: bool
) -> Content:
    """The content of a file of `size` bytes whose inode ends at `end`; `packed` holds the fragments of all files.

    Raises DamagedError, LimitError.
    """
    at = end + -end % 8
    head = source.pread(at, 8)
    if len(head) < 8:  # noqa: PLR2004 - the header's length
        raise DamagedError("its header is behind the end of the image")
    _, tail, advice, algorithms, bits = struct.unpack("<HHHBB", head)
    whole = bool(bits & 0x80)
    if (whole or advice & _FRAGMENT) and packed is None:
        raise DamagedError("a part of it is in a fragment, and there are none")
    if whole and packed:
        place = int.from_bytes(head, "little") & (1 << 63) - 1
        return Content(source, size, [], budget.spend, Fragment(0, place, packed))
    cluster = block << (bits & 7)
    count = -(-size // cluster)
    if count > _CLUSTERS:
        raise DamagedError(f"a compressed file of {count} clusters, more than {_CLUSTERS}")
    budget.steps(count)
    big = bool(advice & (_BIG | _BIG2))
    if compact:
        logical, behind = _compact(source, at + 8, count, cluster, two=bool(advice & _TWO_BYTES), big=big)
    else:
        logical, behind = _full(source, at + 16, count)
    extents = list(_extents(logical, size, cluster, block, algorithms, interlaced=bool(advice & _INTERLACED)))
    if advice & _FRAGMENT and extents and packed:
        last = extents.pop()
        place = int.from_bytes(head[:4], "little") | (0 if compact else last.at // block << 32)
        return Content(source, size, extents, budget.spend, Fragment(last.start, place, packed))
    if advice & _INLINE and extents and tail:
        extents[-1] = extents[-1]._replace(at=behind, packed=tail)
    return Content(source, size, extents, budget.spend)


def _full(source: Source, at: int, count: int) -> tuple[list[_Logical], int]:
    """Eight bytes a cluster: its type, an offset, and a block's number or two distances."""
    data = source.pread(at, 8 * count)
    if len(data) < 8 * count:
        raise DamagedError("its list of clusters is behind the end of the image")
    found = []
    for advice, offset, block in struct.iter_unpack("<HHI", data):
        kind = advice & 3
        found.append(_Logical(kind, block & 0xFFFF if kind == _TAIL else offset, block, bool(advice & _PARTIAL)))
    return found, at + 8 * count


def _compact(source: Source, at: int, count: int, cluster: int, *, two: bool, big: bool) -> tuple[list[_Logical], int]:
    """Packs of two clusters in eight bytes, or of sixteen in 32; the smaller ones up to the first multiple of 32."""
    bits = cluster.bit_length() - 1
    first = min(count, (32 - at % 32) // 4 & 7)
    many = (count - first) // 16 * 16 if two and first < count else 0
    found: list[_Logical] = []
    for number, width in ((first, 4), (many, 2), (count - first - many, 4)):
        size = 16 * 2 if width == 2 else 2 * 4  # noqa: PLR2004 - the narrow kind
        packs = -(-number * width // size)
        data = source.pread(at, packs * size)
        if len(data) < packs * size:
            raise DamagedError("its list of clusters is behind the end of the image")
        rows = [
            row for i in range(packs) for row in _pack(data[i * size : (i + 1) * size], size // width, bits, big=big)
        ]
        found += rows[:number]
        at += packs * size
    return found, at


def _pack(data: bytes, number: int, bits: int, *, big: bool) -> Iterator[_Logical]:
    """The clusters of one pack: a few bits each, and the number of the block before the first one at its end."""
    low = max(bits, 12)
    width = (len(data) - 4) * 8 // number
    if width < low + 2:
        raise DamagedError(f"its clusters of 2^{bits} bytes do not fit into its list")
    whole = int.from_bytes(data[:-4], "little")
    rows = [(whole >> width * i & (1 << width) - 1) for i in range(number)]
    parts = [(row >> low & 3, row & (1 << low) - 1) for row in rows]
    base = int.from_bytes(data[-4:], "little")
    for i, (kind, value) in enumerate(parts):
        if kind == _TAIL:
            yield _Logical(kind, value, value)
        else:
            yield _Logical(kind, value, base + (_before_big(parts, i) if big else _before(parts, i)))


def _before(parts: list[tuple[int, int]], i: int) -> int:
    """How many blocks behind the pack's base a head's block is: one for each head before it, and itself."""
    blocks = 1
    while i > 0:
        i -= 1
        kind, value = parts[i]
        if kind == _TAIL:
            i -= value
        blocks += i >= 0
    return blocks


def _before_big(parts: list[tuple[int, int]], i: int) -> int:
    """The same where physical clusters may have more than one block: the first distance behind a head tells."""
    blocks = 0
    while i > 0:
        i -= 1
        kind, value = parts[i]
        if kind != _TAIL:
            blocks += 1
        elif value & _BLOCKS:
            i -= 1
            blocks += value & ~_BLOCKS
        elif value <= 1:
            raise DamagedError("its list of clusters is damaged")
        else:
            i -= value - 2
    return blocks


def _extents(
    logical: list[_Logical], size: int, cluster: int, block: int, algorithms: int, *, interlaced: bool
) -> Iterator[Extent]:
    """From one head to the next, each in the blocks that begin where the head says."""
    heads = [i for i, one in enumerate(logical) if one.type != _TAIL]
    if not heads:
        if size:
            raise DamagedError("its list of clusters is damaged")
        return
    starts = [i * cluster + logical[i].offset for i in heads]
    for i, start, end in zip(heads, starts, [*starts[1:], size], strict=True):
        if not start < end <= size:
            if start >= size:
                continue
            raise DamagedError("its list of clusters is damaged")
        one = logical[i]
        follower = logical[i + 1] if i + 1 < len(logical) else one
        blocks = follower.offset & ~_BLOCKS if follower.type == _TAIL and follower.offset & _BLOCKS else 1
        if end - start > _UNPACKED * 16 or blocks * block > _UNPACKED + block:
            raise DamagedError(f"a cluster of {blocks * block} bytes that unpacks to {end - start}")
        kind = _ALGORITHMS.get(algorithms >> 4 if one.type == _HEAD2 else algorithms & 15, "")
        if one.type == _PLAIN:
            kind = "interlaced" if interlaced else "plain"
        yield Extent(start, end - start, one.block * block, max(1, blocks) * block, kind, one.partial)


def _decode(one: Extent, raw: bytes) -> bytes:
    """What a physical cluster holds. Compressed data stands at its end, behind zeros. Raises DamagedError."""
    what = f"the cluster at byte {one.at}"
    if one.kind == "plain":
        found = raw[: one.length]
    elif one.kind == "interlaced":
        turn = one.start % len(raw)
        found = (raw[turn:] + raw[:turn])[: one.length]
    elif one.kind == "lzma":
        found = unpack("microlzma", raw.lstrip(b"\0"), one.length, what)
    elif one.kind == "lz4" and one.partial:  # it gives all or nothing, and at most 255 bytes for one
        found = unpack("lz4", raw.lstrip(b"\0"), min(255 * len(raw), 16 * _UNPACKED), what)[: one.length]
    elif one.kind:
        found = unpack(one.kind, raw.lstrip(b"\0"), one.length, what)
    else:
        raise DamagedError(f"{what} is compressed by a method that nobody knows")
    if len(found) < one.length:
        raise DamagedError(f"{what} holds {len(found)} bytes, not {one.length}")
    return found
