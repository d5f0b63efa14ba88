"""FAT12, FAT16 and FAT32 with long names, as Microsoft's specification (fatgen 1.03) and Linux have them.

As in Linux, `BPB_FATSz16` tells FAT32 from the others, and the number of clusters only tells FAT12 from FAT16:
LinuxKit's `raw-efi` makes a FAT32 with so few clusters that readers which go by their number find nothing in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from .blocks import RUNS, Tables
from .source import DamagedError, LimitError, Source
from .stream import Part, Stream, over
from .tree import Entry, Tree

_SECTOR_SIZES = frozenset({512, 1024, 2048, 4096})
_CLUSTERS = 1 << 28
_FAT12_LIMIT = 4085
"""Clusters from which a FAT without FAT32's mark has 16 bits."""
_DIRECTORY_BYTES = 2 << 20
"""Bytes of a directory: 65,536 entries."""
_ENTRY = 32
_LONG, _VOLUME, _DIRECTORY = 0x0F, 0x08, 0x10
_END, _DELETED = 0x00, 0xE5
_LONG_PARTS = 20
_MODE_FILE, _MODE_DIRECTORY = 0o100755, 0o040755
"""What Linux shows, as FAT keeps no modes."""
_WINDOW = 1 << 14
"""Entries of the table that are read at once."""
_BPB = struct.Struct("<3s8sHBHBHHBHHHII")
"""Jump, maker, bytes a sector, sectors a cluster, reserved, tables, root entries, sectors, media, sectors a table,
geometry (3), sectors (32 bits)."""


class Geometry(NamedTuple):
    """Where things are; sizes and offsets are in bytes, `bits` are of an entry of the table."""

    bits: int
    cluster: int
    table: int
    table_bytes: int
    root: int
    """FAT32: the root's first cluster; else its offset."""
    root_bytes: int
    """FAT32: 0."""
    data: int
    clusters: int
    end: int


def sniff(source: Source) -> str | None:
    """`FAT12`, `FAT16`, `FAT32`, or None for anything else."""
    found = _geometry(source.pread(0, 512))
    return f"FAT{found.bits}" if found else None


def _geometry(head: bytes) -> Geometry | None:
    """The geometry that a boot sector tells; None when it cannot be one."""
    if len(head) < 512 or head[0] not in {0xE9, 0xEB}:  # noqa: PLR2004 - its length
        return None
    _, _, sector, per, reserved, tables, entries_, small, media, short, _, _, _, large = _BPB.unpack_from(head)
    plausible = sector in _SECTOR_SIZES and per and not per & per - 1 and reserved and tables and media >= 0xF0  # noqa: PLR2004 - media
    if not plausible:
        return None
    table = short or int.from_bytes(head[36:40], "little")
    root_bytes = -(-entries_ * _ENTRY // sector) * sector
    before = (reserved + tables * table) * sector
    data = before + root_bytes
    end = (small or large) * sector
    clusters = (end - data) // (sector * per)
    if not table or not 0 < clusters < _CLUSTERS:
        return None
    bits = 32 if not short else 12 if clusters < _FAT12_LIMIT else 16
    root = int.from_bytes(head[44:48], "little") if bits == 32 else before  # noqa: PLR2004 - FAT32
    return Geometry(bits, sector * per, reserved * sector, table * sector, root, root_bytes, data, clusters, end)


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The files, directory by directory. Raises DamagedError where there is no file system to read."""
    geometry = _geometry(source.pread(0, 512))
    if geometry is None:
        raise DamagedError("the FAT boot sector is damaged")
    if geometry.end > source.size:
        yield tree.problem(b".", f"the file system has {geometry.end} bytes, but the image ends at byte {source.size}")
    yield tree.entry(b".", _MODE_DIRECTORY, (0, 0), 0)
    yield from _Walk(source, geometry, tree).all()


class _Record(NamedTuple):
    """One file or directory."""

    name: bytes
    attributes: int
    cluster: int
    size: int


class _Pending(NamedTuple):
    """A directory still to be read, and the first clusters of those that lead to it."""

    path: bytes
    cluster: int
    above: tuple[int, ...]


class _Walk:
    """The walk through the directories."""

    def __init__(self, source: Source, geometry: Geometry, tree: Tree) -> None:
        self.source = source
        self.geometry = geometry
        self.tree = tree

    def all(self) -> Iterator[Entry]:
        """Everything below the root."""
        pending = [_Pending(b"", self.geometry.root if self.geometry.bits == 32 else 0, ())]  # noqa: PLR2004 - FAT32
        while pending:
            here = pending.pop()
            level = len(pending)
            try:
                for record in _records(self._directory(here), wide=self.geometry.bits == 32):  # noqa: PLR2004 - FAT32
                    self.tree.budget.entry()
                    name = here.path + record.name
                    if record.name in {b"", b"."}:
                        yield self.tree.problem(name, "an entry has no name that can be; skipped")
                    elif record.attributes & _DIRECTORY:
                        yield self.tree.entry(name, _MODE_DIRECTORY, (0, 0), 0)
                        if record.cluster in {*here.above, here.cluster}:
                            yield self.tree.problem(name, "the directory holds itself; not followed")
                        elif len(here.above) >= self.tree.budget.limits.depth:
                            yield self.tree.problem(
                                name, "the directory is nested too deep (limit: depth); not followed"
                            )
                        else:
                            pending.append(_Pending(name + b"/", record.cluster, (*here.above, here.cluster)))
                    else:
                        yield from self._file(record, name)
            except LimitError:
                raise
            except DamagedError as error:
                yield self.tree.problem(here.path or b".", str(error))
            pending[level:] = reversed(pending[level:])

    def _directory(self, here: _Pending) -> bytes:
        """All bytes of a directory. Raises DamagedError."""
        geometry = self.geometry
        if not here.path and geometry.bits != 32:  # noqa: PLR2004 - FAT32
            extents = [(geometry.root, geometry.root_bytes)]
        else:
            extents = self._chain(here.cluster, _DIRECTORY_BYTES, whole=False)
        size = sum(length for _, length in extents)
        self.tree.budget.spend(size)
        data = Part(self.source, extents).pread(0, size)
        if len(data) < size:
            raise DamagedError(f"the directory breaks off, {size - len(data)} bytes too early")
        if here.path and data[:1] in {b"", b"\0"}:
            raise DamagedError("the directory holds nothing, not even itself, as each does: it may have held more")
        return data

    def _file(self, record: _Record, name: bytes) -> Iterator[Entry]:
        try:
            extents = self._chain(record.cluster, record.size, whole=True) if record.size else []
        except LimitError:
            raise
        except DamagedError as error:
            yield self.tree.entry(name, _MODE_FILE, (0, 0), record.size)
            yield self.tree.problem(name, f"the content is not read: {error}")
            return
        part = Part(self.source, extents)
        content = over(part, self.tree.budget, "the content of the file") if record.size else Stream(iter(()))
        yield self.tree.entry(name, _MODE_FILE, (0, 0), record.size, content)
        content.close()
        end = max((offset + length for offset, length in extents), default=0)
        if end > self.source.size:
            yield self.tree.problem(
                name, f"the content ends at byte {end}, behind the end of the image at byte {self.source.size}"
            )

    def _chain(self, cluster: int, size: int, *, whole: bool) -> list[tuple[int, int]]:
        """The stretches of a chain of clusters up to `size` bytes; it has to have so many when `whole`.

        Raises DamagedError where it leaves the file system, ends too early, holds more clusters than the file system,
        or (`whole` is not) goes on for too long; LimitError.
        """
        geometry = self.geometry
        if size > geometry.clusters * geometry.cluster and whole:
            raise DamagedError(f"it has {size} bytes, more than the file system")
        found: list[tuple[int, int]] = []
        left, steps = size, 0
        while left > 0:
            if not 2 <= cluster < geometry.clusters + 2:  # noqa: PLR2004 - the first cluster's number
                if not whole and cluster >= self._last:
                    break
                what = f"its chain of clusters {'ends' if cluster >= self._last else 'leads to cluster'}"
                raise DamagedError(
                    f"{what} {'too early' if cluster >= self._last else cluster}, {left} bytes are missing"
                )
            at, length = geometry.data + (cluster - 2) * geometry.cluster, min(left, geometry.cluster)
            if found and sum(found[-1]) == at:
                found[-1] = (found[-1][0], found[-1][1] + length)
            else:
                found.append((at, length))
            left -= length
            steps += 1
            if steps > geometry.clusters or len(found) > RUNS:
                why = "goes round in a ring" if steps > geometry.clusters else f"is in more than {RUNS} pieces"
                raise DamagedError(f"its chain of clusters {why}")
            self.tree.budget.steps(1)
            cluster = self._next(cluster)
        if not whole and left <= 0 and cluster < self._last:
            raise DamagedError(f"a directory of more than {_DIRECTORY_BYTES} bytes")
        return found

    @property
    def _last(self) -> int:
        """The least entry that ends a chain."""
        return {12: 0xFF8, 16: 0xFFF8, 32: 0xFFFFFF8}[self.geometry.bits]

    def _next(self, cluster: int) -> int:
        """What the table says of a cluster. Raises DamagedError where it ends before."""
        if self.geometry.bits == 12:  # noqa: PLR2004 - FAT12
            return _entry12(self._whole, cluster)
        window, index = divmod(cluster, _WINDOW)
        width = self.geometry.bits // 8
        return self._table.at(self.geometry.table + window * _WINDOW * width, index) & 0x0FFFFFFF

    @cached_property
    def _table(self) -> Tables:
        code = "I" if self.geometry.bits == 32 else "H"  # noqa: PLR2004 - FAT32
        return Tables(self.source, code, "little", _WINDOW, spend=self.tree.budget.spend)

    @cached_property
    def _whole(self) -> bytes:
        return self.source.pread(self.geometry.table, min(self.geometry.table_bytes, _FAT12_LIMIT * 2))


def _entry12(table: bytes, cluster: int) -> int:
    at = cluster * 3 // 2
    if at + 2 > len(table):
        raise DamagedError(f"the table of clusters breaks off before cluster {cluster}")
    pair = table[at] | table[at + 1] << 8
    return pair >> 4 if cluster & 1 else pair & 0xFFF


def _records(data: bytes, *, wide: bool) -> Iterator[_Record]:
    """The entries of a directory, with the long names that belong to them; `wide`: clusters have 32 bits."""
    parts: dict[int, bytes] = {}
    checksum = -1
    for at in range(0, len(data) - _ENTRY + 1, _ENTRY):
        row = data[at : at + _ENTRY]
        if row[0] == _END:
            return
        if row[0] == _DELETED:
            parts.clear()
        elif row[11] & 0x3F == _LONG:
            if row[0] & 0x40:
                parts.clear()
                checksum = row[13]
            if row[13] == checksum and 0 < row[0] & 0x3F <= _LONG_PARTS:
                parts[row[0] & 0x3F] = row[1:11] + row[14:26] + row[28:32]
        else:
            if not row[11] & _VOLUME and row[:11].rstrip() not in {b".", b".."}:
                whole = sorted(parts) == list(range(1, len(parts) + 1)) and parts and checksum == _sum(row[:11])
                name = _long(parts) if whole else _short(row)
                high = int.from_bytes(row[20:22], "little") << 16 if wide else 0
                cluster = high | int.from_bytes(row[26:28], "little")
                yield _Record(name, row[11], cluster, int.from_bytes(row[28:32], "little"))
            parts.clear()


def _sum(short: bytes) -> int:
    """The sum over a short name that binds a long one to it."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total


def _long(parts: dict[int, bytes]) -> bytes:
    units = b"".join(parts[number] for number in sorted(parts))
    name = units.decode("utf-16-le", "replace").partition("\0")[0].rstrip("\uffff")
    return name.encode("utf-8", "replace").replace(b"/", b"_")


def _short(row: bytes) -> bytes:
    """`NAME.EXT`, small letters where Windows NT's flags say so."""
    base, extension = row[:8], row[8:11].rstrip(b" ")
    if base[0] == 0x05:  # noqa: PLR2004 - stands for the mark of deleted entries
        base = b"\xe5" + base[1:]
    base = base.rstrip(b" ")
    base = base.lower() if row[12] & 0x08 else base
    extension = extension.lower() if row[12] & 0x10 else extension
    name = base + b"." + extension if extension else base
    return name.decode("cp437").encode().replace(b"/", b"_")
