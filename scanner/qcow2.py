"""qcow2 disks, versions 2 and 3, as QEMU's docs/interop/qcow2.rst has them; nothing outside of the file is ever opened.

Snapshots are passed over: what is read is the disk as it would start. A backing file, an external data file, encryption
and features that nobody knows are refused, as the disk is not whole without them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .blocks import DISK_LIMIT, TABLE_LIMIT, Blocks, Packed, Place, Spend, Tables, numbers
from .compression import unpack
from .source import ZEROS, DamagedError, LimitError, Source, UnreadError
from .subjects import Problem
from .tree import Entry, Layer, Tree, text
from .yamlpos import shown

MAGIC = b"QFI\xfb"
_VERSIONS = (2, 3)
_CLUSTER_BITS = range(9, 22)
_FIELDS = struct.Struct(">IQIIQIIQ")
"""From byte 4: version, backing file (offset, length), cluster bits, size, encryption, table (length, offset)."""
_OFFSET = (1 << 56) - 512
_COMPRESSED = 1 << 62
_ZERO = 1
_SECTOR = 512

_DATA_FILE = 4
"""Incompatible feature: the content is in another file."""
_EXTENDED = 16
"""Incompatible feature: each entry of a table is followed by two bits for each 32nd of its cluster."""
_PARTS, _ALL_PARTS = 32, 0xFFFFFFFF
_LEAST_EXTENDED = 14
"""Bits of a cluster whose parts are no smaller than a sector."""
_KNOWN = 1 | 2 | 8 | _EXTENDED
"""Incompatible features that do not matter (dirty, corrupt: of reference counts) or are read (compression type)."""


class Header(NamedTuple):
    """The fields of a header that matter here; sizes and offsets are in bytes."""

    size: int
    cluster_bits: int
    table: int
    entries: int
    incompatible: int
    zstd: bool
    encryption: int
    backing: tuple[int, int]

    @property
    def extended(self) -> bool:
        """Whether entries have 16 bytes, not 8."""
        return bool(self.incompatible & _EXTENDED)


def sniff(source: Source) -> str | None:
    """`qcow2`, or None for anything else."""
    return "qcow2" if source.pread(0, 4) == MAGIC else None


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The disk inside, as one layer. Raises DamagedError, LimitError."""
    header = _header(source)
    _check(source, header)
    if (end := _end(source, header, tree.budget.spend)) > source.size:
        yield Problem(tree.place, f"the disk's clusters end at byte {end}, but the image ends at byte {source.size}")
    yield Layer(disk(source, tree.budget.spend))


def disk(source: Source, spend: Spend) -> Blocks:
    """The disk as its guest sees it. Raises DamagedError where it is not whole without another file, LimitError."""
    header = _header(source)
    _check(source, header)
    cluster = 1 << header.cluster_bits
    width = 2 if header.extended else 1
    per_table = cluster // 8 // width
    first = Tables(source, "Q", "big", header.entries, spend=spend, kept=1)
    second = Tables(source, "Q", "big", per_table * width, spend=spend)

    def locate(number: int) -> Place:
        table = first.at(header.table, number // per_table) & _OFFSET
        entry = second.at(table, number % per_table) if table else 0
        if entry & _COMPRESSED:
            return _packed(entry, header.cluster_bits)
        return ZEROS if entry & _ZERO or not entry & _OFFSET else entry & _OFFSET

    def locate_part(number: int) -> Place:
        number, part = divmod(number, _PARTS)
        table = first.at(header.table, number // per_table) & _OFFSET
        entry, bits = (second.at(table, number % per_table * 2 + i) if table else 0 for i in range(2))
        if entry & _COMPRESSED:
            return _packed(entry, header.cluster_bits)._replace(skip=part * cluster // _PARTS)
        is_there = bits >> part & 1 and not bits >> part + _PARTS & 1
        return (entry & _OFFSET) + part * cluster // _PARTS if is_there else ZEROS

    def unpack(place: Packed) -> bytes:
        return _unpacked(source, place, cluster, header.zstd)

    if header.extended:
        return Blocks(source, header.size, cluster // _PARTS, locate_part, unpack, spend=spend)
    return Blocks(source, header.size, cluster, locate, unpack, spend=spend)


def _end(source: Source, header: Header, spend: Spend) -> int:
    """Where the last of the clusters ends that the tables name; a compressed one, where its last sector begins."""
    cluster, end = 1 << header.cluster_bits, 0
    first = source.pread(header.table, header.entries * 8)
    spend(len(first))
    for table in {entry & _OFFSET for entry in numbers(first, "Q", "big")} - {0}:
        data = source.pread(table, cluster)
        spend(len(data) * 8)  # each number takes a step or two
        end = max(end, table + cluster)
        found = numbers(data, "Q", "big")
        parts = found[1::2] if header.extended else [_ALL_PARTS] * len(found)
        for entry, bits in zip(found[:: 2 if header.extended else 1], parts, strict=False):
            if entry & _COMPRESSED:
                packed = _packed(entry, header.cluster_bits)
                end = max(end, packed.at + packed.length - _SECTOR + 1)
            elif entry & _OFFSET:
                end = max(end, (entry & _OFFSET) + cluster * (bits & _ALL_PARTS).bit_length() // _PARTS)
    return end


def _header(source: Source) -> Header:
    data = source.pread(0, 112)
    if len(data) < 72:  # noqa: PLR2004 - a header of version 2
        raise DamagedError(f"the qcow2 header breaks off at byte {len(data)}")
    version, backing, length, bits, size, encryption, entries_, table = _FIELDS.unpack_from(data, 4)
    if version not in _VERSIONS:
        raise UnreadError(f"the qcow2 disk is of version {version}; 2 and 3 are read")
    incompatible, zstd = 0, False
    if version == 3:  # noqa: PLR2004 - it has more fields
        if len(data) < 104:  # noqa: PLR2004 - their end
            raise DamagedError(f"the qcow2 header breaks off at byte {len(data)}")
        incompatible = int.from_bytes(data[72:80], "big")
        zstd = bool(incompatible & 8 and data[104:105] == b"\1")
    return Header(size, bits, table, entries_, incompatible, zstd, encryption, (backing, length))


def _check(source: Source, header: Header) -> None:
    if any(header.backing):
        offset, length = header.backing
        name = source.pread(offset, min(length, 1023))
        raise DamagedError(f"the qcow2 disk rests on another file, '{shown(text(name))}', which is never opened")
    if header.incompatible & _DATA_FILE:
        raise DamagedError("the qcow2 disk keeps its content in another file, which is never opened")
    if header.encryption:
        raise UnreadError("the qcow2 disk is encrypted")
    if header.incompatible & ~_KNOWN:
        raise UnreadError(f"the qcow2 disk uses features that are not read (bits {header.incompatible & ~_KNOWN:#x})")
    if header.cluster_bits not in _CLUSTER_BITS:
        raise DamagedError(f"the qcow2 disk has clusters of 2^{header.cluster_bits} bytes")
    if header.size > DISK_LIMIT:
        raise LimitError(f"the virtual disk has {header.size} bytes, more than {DISK_LIMIT}")
    if header.entries * 8 > TABLE_LIMIT:
        raise LimitError(f"the disk's table has {header.entries} entries, more than {TABLE_LIMIT // 8}")
    if header.extended and header.cluster_bits < _LEAST_EXTENDED:
        raise DamagedError(f"the qcow2 disk has clusters of 2^{header.cluster_bits} bytes, too small for 32 parts")
    needed = -(-header.size >> 2 * header.cluster_bits - (4 if header.extended else 3))
    if needed > header.entries:
        raise DamagedError(f"the qcow2 disk's table has {header.entries} entries and needs {needed}")


def _packed(entry: int, bits: int) -> Packed:
    """Offset, and length up to the last sector that the cluster reaches into."""
    shift = 62 - (bits - 8)
    at = entry & (1 << shift) - 1
    sectors = (entry >> shift & (1 << bits - 8) - 1) + 1
    return Packed(at, sectors * _SECTOR - at % _SECTOR)


def _unpacked(source: Source, place: Packed, cluster: int, zstd: bool) -> bytes:  # noqa: FBT001 - one of two kinds
    """A compressed cluster: raw deflate, or a zstd frame; never more than a cluster comes out."""
    what = f"the compressed cluster at byte {place.at}"
    found = unpack("zstd" if zstd else "deflate", source.pread(*place[:2]), cluster, what)
    if len(found) < cluster:
        raise DamagedError(f"{what} holds {len(found)} bytes, not {cluster}")
    return found
