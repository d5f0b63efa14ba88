"""VMDK disks in one file, sparse or stream-optimised, as VMware's Virtual Disk Format 5.0 has them.

What the descriptor names beside the file itself, extents and parents, is never opened.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from .blocks import DISK_LIMIT, TABLE_LIMIT, Blocks, Packed, Place, Spend, Tables, numbers
from .compression import unpack
from .source import ZEROS, DamagedError, LimitError, Source
from .subjects import Problem
from .tree import Entry, Layer, Tree
from .yamlpos import shown

MAGIC = b"KDMV"
DESCRIPTOR = b"# Disk DescriptorFile"
MARK = MAGIC + b"|" + re.escape(DESCRIPTOR)
"""What they start with, as a pattern."""
_SECTOR = 512
_DESCRIPTOR_LIMIT = 1 << 20
"""Bytes of a descriptor."""
_AT_END = (1 << 64) - 1
"""The grain directory's place, when a footer tells it."""
_PACKED = 1 << 16
"""Flag: grains are compressed."""
_ZEROED = 1 << 2
"""Flag: a grain table's entry of 1 stands for zeros."""
_FIELDS = struct.Struct("<4sIIQQQQIQQQB4sH")
_PARENT = re.compile(
    r"^[ \t]*(?:parentFileNameHint[ \t]*=|parentCID[ \t]*=(?![ \t]*ffffffff\b))", re.IGNORECASE | re.MULTILINE
)
_EXTENT = re.compile(r'^[ \t]*(?:RW|RDONLY)[ \t]+\d+[ \t]+\w+[ \t]+"([^"\n]*)"', re.IGNORECASE | re.MULTILINE)


class Header(NamedTuple):
    """The fields of a header that matter here, in sectors of 512 bytes where they are sizes or places."""

    version: int
    flags: int
    capacity: int
    grain: int
    descriptor: tuple[int, int]
    per_table: int
    directory: int
    packed: bool


def sniff(source: Source) -> str | None:
    """`VMDK (sparse)`, `VMDK (stream-optimised)`, `VMDK descriptor`, or None for anything else."""
    if source.pread(0, len(DESCRIPTOR)) == DESCRIPTOR:
        return "VMDK descriptor"
    head = source.pread(0, _FIELDS.size)
    if not head.startswith(MAGIC) or len(head) < _FIELDS.size:
        return None
    return "VMDK (stream-optimised)" if _parsed(head).packed else "VMDK (sparse)"


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The disk inside, as one layer. Raises DamagedError, LimitError."""
    content = disk(source, tree.budget.spend)
    if (end := _end(source, tree.budget.spend)) > source.size:
        yield Problem(tree.place, f"the disk's grains end at byte {end}, but the image ends at byte {source.size}")
    yield Layer(content)


def disk(source: Source, spend: Spend) -> Blocks:
    """The disk as its guest sees it. Raises DamagedError where it is not whole without another file, LimitError."""
    if source.pread(0, len(DESCRIPTOR)) == DESCRIPTOR:
        raise DamagedError(_elsewhere(source.pread(0, _DESCRIPTOR_LIMIT)))
    header = _header(source)
    if header.descriptor[1]:
        at, length = (sectors * _SECTOR for sectors in header.descriptor)
        described = source.pread(at, min(length, _DESCRIPTOR_LIMIT)).partition(b"\0")[0]
        if _PARENT.search(described.decode("latin-1")):
            raise DamagedError("the VMDK disk rests on another file, its parent, which is never opened")
    return _blocks(source, header, spend)


def _elsewhere(data: bytes) -> str:
    names = ", ".join(f"'{shown(name)}'" for name in _EXTENT.findall(data.decode("utf-8", "replace"))[:4])
    return f"the VMDK descriptor's content is in other files ({names or 'none named'}), never opened; name them instead"


def _header(source: Source) -> Header:
    """The header; of a disk that was written as a stream, the one in its footer, which knows the directory."""
    header = _parsed(source.pread(0, _FIELDS.size))
    if header.directory * _SECTOR >= _AT_END - _AT_END % _SECTOR:
        data = source.pread(max(0, source.size - 2 * _SECTOR), _FIELDS.size)
        if not data.startswith(MAGIC) or len(data) < _FIELDS.size:
            raise DamagedError("the VMDK disk breaks off before the footer that tells where its parts are")
        header = _parsed(data)
    if header.version not in {1, 2, 3}:
        raise DamagedError(f"the VMDK disk is of version {header.version}; 1 to 3 are read")
    if header.capacity * _SECTOR > DISK_LIMIT:
        raise LimitError(f"the virtual disk has {header.capacity * _SECTOR} bytes, more than {DISK_LIMIT}")
    if not 0 < header.grain <= 1 << 14 or not 0 < header.per_table <= 1 << 16:
        raise DamagedError(f"the VMDK disk has grains of {header.grain} sectors, {header.per_table} to a table")
    return header


def _parsed(data: bytes) -> Header:
    fields = _FIELDS.unpack(data)
    _, version, flags, capacity, grain, at, length, per_table, _, directory, _, _, _, method = fields
    return Header(version, flags, capacity, grain, (at, length), per_table, directory, bool(flags & _PACKED and method))


def _blocks(source: Source, header: Header, spend: Spend) -> Blocks:
    grain = header.grain * _SECTOR
    directory = Tables(source, "I", "little", _tables(header), spend=spend, kept=1)
    grains = Tables(source, "I", "little", header.per_table, spend=spend)

    def locate(number: int) -> Place:
        table = directory.at(header.directory * _SECTOR, number // header.per_table)
        sector = grains.at(table * _SECTOR, number % header.per_table) if table else 0
        if not sector or (sector == 1 and header.flags & _ZEROED):
            return ZEROS
        if not header.packed:
            return sector * _SECTOR
        return Packed(sector * _SECTOR, min(grain, header.capacity * _SECTOR - number * grain))

    def unpack(place: Packed) -> bytes:
        return _unpacked(source, place, grain)

    return Blocks(source, header.capacity * _SECTOR, grain, locate, unpack, spend=spend)


def _tables(header: Header) -> int:
    """The number of the grain tables. Raises LimitError."""
    tables = -(-header.capacity // (header.grain * header.per_table))
    if tables * 4 > TABLE_LIMIT:
        raise LimitError(f"the disk's table has {tables} entries, more than {TABLE_LIMIT // 4}")
    return tables


def _end(source: Source, spend: Spend) -> int:
    """Where the last of the grains and tables ends."""
    header = _header(source)
    end = last = 0
    first = source.pread(header.directory * _SECTOR, _tables(header) * 4)
    spend(len(first))
    for table in set(numbers(first, "I", "little")) - {0}:
        data = source.pread(table * _SECTOR, header.per_table * 4)
        spend(len(data))
        last = max(last, 0, *numbers(data, "I", "little"))
        end = max(end, table * _SECTOR + header.per_table * 4)
    if last <= 1:
        return end
    packed = int.from_bytes(source.pread(last * _SECTOR + 8, 4), "little") + 12
    return max(end, last * _SECTOR + (packed if header.packed else header.grain * _SECTOR))


def _unpacked(source: Source, place: Packed, grain: int) -> bytes:
    """A compressed grain: where it belongs (8 bytes), its length (4), and that much of a zlib stream."""
    length = int.from_bytes(source.pread(place.at + 8, 4), "little")
    if not 0 < length <= 2 * grain + _SECTOR:
        raise DamagedError(f"the grain at byte {place.at} has {length} bytes")
    found = unpack("zlib", source.pread(place.at + 12, length), grain, f"the grain at byte {place.at}")
    if len(found) < place.length:
        raise DamagedError(f"the grain at byte {place.at} holds {len(found)} bytes, not {place.length}")
    return found
