"""ext2, ext3 and ext4, as the kernel's documentation of the disk layout (Documentation/filesystems/ext4) has them.

Block maps and extents, inline data, 64-bit block numbers, meta block groups, extended attributes in the inode, in a
block and in inodes of their own. The journal is not replayed: where it holds something, that is said.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from . import ext_sums, walk
from .blocks import Mapped, Run, numbers
from .source import ZEROS, DamagedError, MemorySource, Source, UnreadError
from .stream import Stream
from .tree import Entry, Tree, text

_SUPERBLOCK = 1024
_MAGIC = b"\x53\xef"
MARK = b".{%d}" % (_SUPERBLOCK + 56) + re.escape(_MAGIC)
"""What they start with, as a pattern."""
_ROOT = 2

_HAS_JOURNAL = 0x4
_FILETYPE, _RECOVER, _META_BG, _EXTENTS, _WIDE, _EA_INODE, _INLINE = 0x2, 0x4, 0x10, 0x40, 0x80, 0x400, 0x8000
_KNOWN = _FILETYPE | _RECOVER | _META_BG | _EXTENTS | _WIDE | _EA_INODE | _INLINE | 0x36300
"""Incompatible features that are read, or do not matter to a reader: MMP, flex groups, seeds of sums, large
directories, encryption (which each inode tells) and case folding."""

_EXTENT_FLAG, _EA_FLAG, _INLINE_FLAG, _ENCRYPTED_FLAG = 0x80000, 0x200000, 0x10000000, 0x800
_EXTENT_MAGIC = 0xF30A
_EXTENT_DEPTH = 5
_PENDING = 8192
"""Blocks of extents that wait to be read: all that a file of a depth of two can have in a block of 64 KiB."""
_MAP = 1 << 24
"""Blocks that a map of block numbers may have: 64 GiB of the usual size."""
_DIRECTORY_BYTES = 64 << 20
_HEAD = 8
"""Bytes of a directory's entry before the name."""
_XATTR_MAGIC = 0xEA020000
_XATTR_VALUE = 1 << 16
_PREFIXES = {
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    6: "security.",
    7: "system.",
    8: "system.richacl",
}
_DATA = "system.data"
"""The attribute that holds what of a small file does not fit into the inode."""


class Super(NamedTuple):
    """What the superblock tells; sizes are in bytes."""

    block: int
    blocks: int
    first: int
    per_group: int
    inodes: int
    inodes_per_group: int
    inode: int
    descriptor: int
    compat: int
    incompat: int
    first_meta: int
    sparse: bool

    @property
    def name(self) -> str:
        """The oldest of the three that has all of its features."""
        if self.incompat & (_EXTENTS | _WIDE | 0x200):
            return "ext4"
        return "ext3" if self.compat & _HAS_JOURNAL else "ext2"


class _Inode(NamedTuple):
    """An inode; `raw` is all of it."""

    number: int
    mode: int
    owner: tuple[int, int]
    size: int
    links: int
    flags: int
    raw: bytes

    @property
    def map(self) -> bytes:
        """Its 60 bytes of block map, extents or data."""
        return self.raw[40:100]


def sniff(source: Source) -> str | None:
    """`ext2`, `ext3`, `ext4`, or None for anything else."""
    try:
        found = _super(source)
    except DamagedError:
        return "ext2"
    return found.name if found else None


def _super(source: Source) -> Super | None:
    """The superblock; None when there is none. Raises DamagedError for one that contradicts itself."""
    data = source.pread(_SUPERBLOCK, 1024)
    if data[56:58] != _MAGIC or len(data) < 1024:  # noqa: PLR2004 - its length
        return None
    inodes, blocks, _, _, _, first, log_block, _, per_group, _, inodes_per_group = struct.unpack_from("<11I", data)
    revision, compat, incompat, compat_ro = (struct.unpack_from("<I", data, at)[0] for at in (76, 92, 96, 100))
    inode, wide = int.from_bytes(data[88:90], "little") if revision else 128, bool(incompat & _WIDE)
    descriptor = int.from_bytes(data[254:256], "little") if wide else 32
    blocks += int.from_bytes(data[336:340], "little") << 32 if wide else 0
    if log_block > 6 or not per_group or not inodes_per_group or not 128 <= inode <= 1024 << log_block:  # noqa: PLR2004 - 64 KiB
        raise DamagedError("the superblock contradicts itself")
    if not 32 <= descriptor <= 1024 or descriptor & descriptor - 1:  # noqa: PLR2004 - bounds of a descriptor
        raise DamagedError(f"the superblock tells group descriptors of {descriptor} bytes")
    meta = int.from_bytes(data[260:264], "little")
    size = 1024 << log_block
    return Super(
        size,
        blocks,
        first,
        per_group,
        inodes,
        inodes_per_group,
        inode,
        descriptor,
        compat,
        incompat,
        meta,
        sparse=bool(compat_ro & 1),
    )


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The files, directory by directory. Raises DamagedError where there is no file system to read."""
    found = _super(source)
    if found is None:
        raise DamagedError("the ext superblock is not there")
    if found.incompat & ~_KNOWN:
        raise UnreadError(f"the file system uses features that are not read (bits {found.incompat & ~_KNOWN:#x})")
    if found.incompat & _RECOVER:
        yield tree.problem(b".", "the file system was not unmounted: its journal holds changes that are not read")
    if found.blocks * found.block > source.size:
        yield tree.problem(
            b".", f"the file system has {found.blocks * found.block} bytes, but the image ends at byte {source.size}"
        )
    sums = ext_sums.sums(source.pread(_SUPERBLOCK, 1024))
    yield from _Walk(source, found, tree, sums).below(_ROOT, "file system")
    for wrong in sums.told() if sums else ():
        yield tree.problem(b".", wrong)


class _Walk(walk.Walk[_Inode]):
    """The walk; keys are the numbers of inodes."""

    def __init__(self, source: Source, found: Super, tree: Tree, sums: ext_sums.Sums | None) -> None:
        super().__init__(source, tree)
        self._super = found
        self._sums = sums
        self._tables: dict[int, int] = {}

    def attributes(self, inode: _Inode) -> Mapping[str, bytes]:
        """See walk.Walk."""
        found = self._attributes(inode)
        found.pop(_DATA, None)
        return found

    def content(self, inode: _Inode) -> tuple[Stream, int]:
        """See walk.Walk."""
        return self.over(self._content(inode, self._rest(inode)))

    def target(self, inode: _Inode) -> bytes:
        """See walk.Walk."""
        if not 0 < inode.size <= self.tree.budget.limits.path:
            raise DamagedError(f"a symbolic link of {inode.size} bytes")
        target = self._content(inode, self._rest(inode)).pread(0, inode.size)
        if len(target) < inode.size:
            raise DamagedError("the symbolic link breaks off")
        return target

    # --- inodes

    def inode(self, key: int) -> _Inode:
        """An inode by its number. Raises DamagedError."""
        found = self._super
        if not 0 < key <= found.inodes:
            raise DamagedError(f"there is no inode {key}")
        group, index = divmod(key - 1, found.inodes_per_group)
        table = self._tables.get(group)
        if table is None:
            table = self._tables[group] = self._table(group)
        at = table * found.block + index * found.inode
        raw = self.source.pread(at, found.inode)
        if len(raw) < found.inode:
            raise DamagedError(f"inode {key} is behind the end of the image")
        self.tree.budget.spend(len(raw))
        if self._sums:
            self._sums.inode(key, raw)
        mode, uid, size = struct.unpack_from("<HHI", raw)
        gid, links = struct.unpack_from("<HH", raw, 24)
        flags = int.from_bytes(raw[32:36], "little")
        size |= int.from_bytes(raw[108:112], "little") << 32 if mode & 0o170000 in {0o100000, 0o040000} else 0
        uid |= int.from_bytes(raw[120:122], "little") << 16
        gid |= int.from_bytes(raw[122:124], "little") << 16
        return _Inode(key, mode, (uid, gid), size, links, flags, raw)

    def _table(self, group: int) -> int:
        """The block where a group's inodes begin."""
        found = self._super
        per_block = found.block // found.descriptor
        behind = _SUPERBLOCK // found.block + 1  # the block behind the superblock's
        block = behind + group // per_block
        if found.incompat & _META_BG and group // per_block >= found.first_meta:
            first = group // per_block * per_block
            block = found.first + first * found.per_group + _has_super(first, sparse=found.sparse)
            block = block if first else behind
        data = self.source.pread(block * found.block + group % per_block * found.descriptor, found.descriptor)
        if len(data) < found.descriptor:
            raise DamagedError(f"the descriptor of group {group} is behind the end of the image")
        if self._sums:
            self._sums.group(group, data)
        high = int.from_bytes(data[40:44], "little") << 32 if found.descriptor >= 64 else 0  # noqa: PLR2004 - the wide kind
        return high | int.from_bytes(data[8:12], "little")

    # --- content

    def _content(self, inode: _Inode, rest: bytes = b"") -> Mapped | MemorySource:
        """The bytes of a file, link or directory; `rest` is what does not fit into its inode. Raises DamagedError."""
        if inode.flags & _ENCRYPTED_FLAG:
            raise DamagedError("it is encrypted")
        if inode.flags & _INLINE_FLAG:
            inline = (inode.map + rest)[: inode.size]
            if len(inline) == inode.size:
                return MemorySource(inline)
            return Mapped(MemorySource(inline), inode.size, [Run(0, len(inline), 0)])  # zeros, as Linux reads it
        if inode.mode & 0o170000 == 0o120000 and inode.size < 60 and not inode.flags & _EXTENT_FLAG:  # noqa: PLR2004 - the map's room
            return MemorySource(inode.map[: inode.size])
        runs = self._extents(inode) if inode.flags & _EXTENT_FLAG else self._blocks(inode)
        return Mapped(self.source, inode.size, runs)

    def _extents(self, inode: _Inode) -> Iterator[Run]:
        """The runs that a tree of extents tells."""
        size = self._super.block
        pending: list[tuple[int | None, int]] = [(None, _EXTENT_DEPTH + 1)]
        while pending:
            node, depth = pending.pop()
            data = inode.map if node is None else self._block(node)
            magic, count, _, level = struct.unpack_from("<HHHH", data)
            if magic != _EXTENT_MAGIC or level >= depth or 12 + count * 12 > len(data):
                raise DamagedError(f"the extents of inode {inode.number} are damaged")
            self.tree.budget.steps(count)
            if self._sums and node is not None:
                self._sums.extents(inode.number, inode.raw, data)
            for at in range(12, 12 + count * 12, 12):
                if level:
                    low, high = struct.unpack_from("<IH", data, at + 4)
                    pending.append((high << 32 | low, level))
                else:
                    block, length, high, low = struct.unpack_from("<IHHI", data, at)
                    unwritten = length > 1 << 15
                    length -= 1 << 15 if unwritten else 0
                    start = ZEROS if unwritten else (high << 32 | low) * size
                    yield Run(block * size, length * size, start)
            if len(pending) > _PENDING:
                raise DamagedError(f"more than {_PENDING} blocks of extents side by side")

    def _blocks(self, inode: _Inode) -> Iterator[Run]:
        """The runs that a map of blocks tells: twelve direct ones, then blocks of numbers up to three levels deep."""
        size, per = self._super.block, self._super.block // 4
        wanted = -(-inode.size // size)
        if wanted > _MAP:
            raise DamagedError(f"a map of {wanted} blocks, more than {_MAP}")
        found = struct.unpack("<15I", inode.map)
        position = 0
        levels = [(number, 0) for number in found[:12]] + [(found[12 + level], level + 1) for level in range(3)]
        for number, level in levels:
            if position >= wanted:
                return
            yield from self._follow(number, level, position, wanted)
            position += per**level
        if position < wanted:
            raise DamagedError(f"inode {inode.number} has {wanted} blocks, more than its map can hold")

    def _follow(self, number: int, level: int, position: int, wanted: int) -> Iterator[Run]:
        """What a block number stands for: a block of content, or at a level above 0 one of further numbers."""
        size, per = self._super.block, self._super.block // 4
        if not number:
            return
        if level:
            self.tree.budget.steps(per)
            for inner in numbers(self._block(number), "I", "little"):
                if position >= wanted:
                    return
                yield from self._follow(inner, level - 1, position, wanted)
                position += per ** (level - 1)
        else:
            yield Run(position * size, size, number * size)

    def _block(self, number: int) -> bytes:
        data = self.source.pread(number * self._super.block, self._super.block)
        if len(data) < self._super.block:
            raise DamagedError(f"block {number} is behind the end of the image")
        self.tree.budget.spend(len(data))
        return data

    # --- directories

    def names(self, inode: _Inode) -> Iterator[tuple[int, bytes]]:
        """Inode and name of each entry of a directory; the nodes of its index look like entries without an inode."""
        if inode.size > _DIRECTORY_BYTES:
            raise DamagedError(f"a directory of {inode.size} bytes, more than {_DIRECTORY_BYTES}")
        content = self._content(inode, self._rest(inode))
        self.tree.budget.spend(4 * content.size)  # its entries are short, and unused ones count nowhere else
        data = content.pread(0, content.size)
        if inode.flags & _INLINE_FLAG:  # the parent's number comes first, and the map ends before the attribute begins
            parts = [data[4:60], data[60:]]
        else:
            parts = [data[at : at + self._super.block] for at in range(0, len(data), self._super.block)]
        for part in parts:
            if self._sums and len(part) == self._super.block:
                self._sums.directory(inode.number, inode.raw, part)
            yield from _records(part)
        if len(data) < content.size:
            raise DamagedError(f"the directory breaks off, {content.size - len(data)} bytes too early")
        if not inode.flags & _INLINE_FLAG and (data[6:7], data[_HEAD : _HEAD + 1]) != (b"\1", b"."):
            raise DamagedError("the directory does not begin with itself, as each does: it may have held more")

    # --- extended attributes

    def _rest(self, inode: _Inode) -> bytes:
        """What of inline data does not fit into the inode."""
        is_long = inode.flags & _INLINE_FLAG and inode.size > len(inode.map)
        return self._attributes(inode).get(_DATA, b"") if is_long else b""

    def _attributes(self, inode: _Inode) -> dict[str, bytes]:
        """The extended attributes by name, with the one that the file system keeps for itself."""
        found: dict[str, bytes] = {}
        raw = inode.raw
        start = 128 + int.from_bytes(raw[128:130], "little") if len(raw) > 130 else len(raw)  # noqa: PLR2004 - the extra part
        if start > len(raw):
            raise DamagedError(f"the extra part of inode {inode.number} is longer than the inode")
        if raw[start : start + 4] == _XATTR_MAGIC.to_bytes(4, "little"):
            found.update(self._pairs(raw, start + 4, start + 4))
        block = int.from_bytes(raw[104:108], "little") | int.from_bytes(raw[118:120], "little") << 32
        if block:
            data = self._block(block)
            if int.from_bytes(data[:4], "little") != _XATTR_MAGIC:
                raise DamagedError(f"block {block} holds no extended attributes")
            if self._sums:
                self._sums.attributes(block, data)
            found.update(self._pairs(data, 32, 0))
        return found

    def _pairs(self, data: bytes, at: int, base: int) -> Iterator[tuple[str, bytes]]:
        """The pairs from an offset on; values count from `base`."""
        while at + 16 <= len(data) and data[at : at + 4] != bytes(4):
            length, prefix, offset, inode, size, _ = struct.unpack_from("<BBHIII", data, at)
            name = data[at + 16 : at + 16 + length]
            if size > _XATTR_VALUE:
                raise DamagedError(f"an extended attribute of {size} bytes")
            self.tree.budget.spend(size)
            if inode:
                value = self._content(self.inode(inode)).pread(0, size)
            else:
                value = data[base + offset : base + offset + size]
            if len(name) < length or len(value) < size:
                raise DamagedError("an extended attribute breaks off")
            yield _PREFIXES.get(prefix, f"{prefix}.") + text(name), value
            at += 16 + (length + 3 & ~3)


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Inode and name of the entries of a block of a directory, its own and its parent's left out."""
    at = 0
    while at + _HEAD <= len(data):
        inode, length, name, _ = struct.unpack_from("<IHBB", data, at)
        length = (length & 0xFFFC | (length & 3) << 16) or 1 << 16
        if length < _HEAD or (inode and at + max(length, _HEAD + name) > len(data)):
            raise DamagedError(f"a directory entry has {length} bytes")
        found = data[at + _HEAD : at + _HEAD + name]
        if inode and found not in {b".", b".."}:
            if not found or b"/" in found:
                raise DamagedError("a directory entry has no name that can be")
            yield inode, found
        at += length


def _has_super(group: int, *, sparse: bool) -> bool:
    """Whether a group begins with a copy of the superblock: with sparse_super, 0, 1 and powers of 3, 5 and 7."""
    if not sparse or group <= 1:
        return True
    return any(group == base**power for base in (3, 5, 7) for power in range(1, 21))
