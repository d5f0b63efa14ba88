"""Disks with partitions: GPT (its backup where the primary is damaged) and MBR with extended partitions.

GPT as UEFI 2.10 chapter 5 has it. What a partition holds is told by its content, never by its type: LinuxKit's own
`raw-bios` has a FAT file system in a partition whose type says Linux.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .source import DamagedError, Source
from .stream import Part
from .tree import Entry, Layer, Tree

_SECTORS = (512, 4096)
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
"""Signature, revision, header's size and sum, zero, own place, backup's, first and last usable, GUID, table's place,
entries, bytes of one, the table's sum."""
_GPT = b"EFI PART"
_ENTRIES = 1024
_ENTRY = range(128, 4097)
"""Bytes of an entry."""
_TABLE, _MARK = 446, b"\x55\xaa"
MARK = b"|".join([b".{510}" + re.escape(_MARK), *(b".{%d}" % size + _GPT for size in _SECTORS)])
"""What they start with, as a pattern."""
_EXTENDED = frozenset({0x05, 0x0F, 0x85})
_PROTECTIVE = 0xEE
_CHAIN = 128
"""Extended boot records that are followed."""
_LOOK = 1 << 20
"""Bytes at a partition's start that are looked at to tell an empty one: btrfs leaves the first 64 KiB free."""


class Partition(NamedTuple):
    """A stretch of the disk, in bytes."""

    number: int
    start: int
    length: int
    name: str = ""

    @property
    def label(self) -> str:
        """`partition 1 (EFI System)`."""
        return f"partition {self.number} ({self.name})" if self.name else f"partition {self.number}"


def sniff(source: Source) -> str | None:
    """`GPT` or `MBR`; None for anything else."""
    if any(source.pread(size, len(_GPT)) == _GPT for size in _SECTORS):
        return "GPT"
    head = source.pread(0, 512)
    if head[510:] != _MARK:
        return None
    rows = [head[at : at + 16] for at in range(_TABLE, 510, 16)]
    used = [row for row in rows if row[4] and any(row[12:])]
    if not used or any(row[0] not in {0, 0x80} for row in rows):
        return None
    return "GPT" if any(row[4] == _PROTECTIVE for row in used) else "MBR"


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """Each partition that holds something, as a layer. Raises DamagedError where there is no table that can be read."""
    found = gpt(source, tree) if sniff(source) == "GPT" else mbr(source, tree)
    seen = {0: Partition(0, 0, 0)}
    for item in found:
        if not isinstance(item, Partition):
            yield item
            continue
        tree.budget.entry()
        if not item.length:
            yield tree.problem(item.label.encode(), "the partition ends before it begins; not read")
        if item.start + item.length > source.size:
            yield tree.problem(item.label.encode(), _beyond(item, source.size))
        length = min(item.length, source.size - item.start)
        if item.start in seen and item.length:
            why = f"it begins where {seen[item.start].label} does" if item.start else "it holds the partition table"
            yield tree.problem(item.label.encode(), f"{why}; not read")
        elif length > 0 and any(source.pread(item.start, min(length, _LOOK))):
            yield Layer(Part(source, ((item.start, length),)), item.label)
        seen.setdefault(item.start, item)


def _beyond(one: Partition, size: int) -> str:
    return f"the partition ends at byte {one.start + one.length}, behind the end of the disk at byte {size}"


def gpt(source: Source, tree: Tree) -> Iterator[Partition | Entry]:
    """The partitions of a GPT. Raises DamagedError when neither the primary nor the backup can be read."""
    faults = []
    for size in _SECTORS:
        for sector in (1, source.size // size - 1):
            if sector < 1 or source.pread(sector * size, len(_GPT)) != _GPT:
                continue
            try:
                found = _table(source, sector * size, size)
            except DamagedError as error:
                faults.append(str(error))
                continue
            if sector == 1 and (end := _end(source, size)) > source.size:
                yield tree.problem(b"GPT", f"the disk ends at byte {source.size}, before its end at byte {end}")
            if sector > 1:
                why = faults[0] if faults else "it is not there"
                yield tree.problem(b"GPT", f"the primary partition table is not used ({why}); its backup is")
            yield from found
            return
    raise DamagedError("; ".join(faults) or "the disk has no GPT where one must be")


def _end(source: Source, sector: int) -> int:
    """Where the disk ends, as the primary header tells: with the backup header."""
    return (int.from_bytes(source.pread(sector + 32, 8), "little") + 1) * sector


def _table(source: Source, at: int, sector: int) -> list[Partition]:
    head = source.pread(at, sector)
    if len(head) < _HEADER.size:
        raise DamagedError(f"the GPT header at byte {at} breaks off")
    _, _, length, total, _, _, _, _, _, _, place, count, width, checksum = _HEADER.unpack_from(head)
    if not _HEADER.size <= length <= sector or zlib.crc32(head[:16] + bytes(4) + head[20:length]) != total:
        raise DamagedError(f"the GPT header at byte {at} is damaged: its sum is wrong")
    if count > _ENTRIES or width not in _ENTRY:
        raise DamagedError(f"the GPT at byte {at} has {count} entries of {width} bytes")
    data = source.pread(place * sector, count * width)
    if len(data) < count * width or zlib.crc32(data) != checksum:
        raise DamagedError(f"the partition table at byte {place * sector} is damaged: its sum is wrong")
    rows = (data[number * width : (number + 1) * width] for number in range(count))
    return [_entry(number, row, sector) for number, row in enumerate(rows, 1) if any(row[:16])]


def _entry(number: int, row: bytes, sector: int) -> Partition:
    first, last = struct.unpack_from("<QQ", row, 32)
    name = row[56:128].decode("utf-16-le", "replace").partition("\0")[0]
    return Partition(number, first * sector, max(0, last - first + 1) * sector, name)


def mbr(source: Source, tree: Tree) -> Iterator[Partition | Entry]:
    """The partitions of an MBR: four of them, and a chain of further ones in an extended one."""
    head = source.pread(0, 512)
    for number, (kind, start, length) in enumerate(_rows(head), 1):
        if kind in _EXTENDED:
            yield from _chain(source, tree, start)
        elif kind:
            yield Partition(number, start * 512, length * 512)


def _rows(record: bytes) -> list[tuple[int, int, int]]:
    """The four rows of a boot record: type, first sector, sectors; type 0 is none."""
    rows = [record[at : at + 16] for at in range(_TABLE, 510, 16)]
    return [(row[4] if any(row[12:]) else 0, *struct.unpack_from("<II", row, 8)) for row in rows]


def _chain(source: Source, tree: Tree, extended: int) -> Iterator[Partition | Entry]:
    """Logical partitions, from 5 on; each record tells one, and where the next record is."""
    record, seen = extended, set[int]()
    for number in range(5, 5 + _CHAIN):
        seen.add(record)
        data = source.pread(record * 512, 512)
        if data[510:] != _MARK:
            yield tree.problem(b"extended partition", f"there is no boot record at byte {record * 512}; not followed")
            return
        (kind, start, length), (following, offset, _) = _rows(data)[:2]
        if kind:
            yield Partition(number, (record + start) * 512, length * 512)
        if following not in _EXTENDED:
            return
        record = extended + offset
        if record in seen:
            yield tree.problem(
                b"extended partition", f"the boot record at byte {record * 512} comes twice in the chain"
            )
            return
    yield tree.problem(b"extended partition", f"more than {_CHAIN} logical partitions; the others are not read")
