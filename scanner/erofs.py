"""EROFS, as the kernel's fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst have it: plain, inline, in chunks.

Compressed files are read by `erofs_clusters`. Files spread over several devices are not read: each is said. LinuxKit's
`kernel+erofs` uses neither these nor compression.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from . import erofs_clusters as clusters
from . import walk
from .blocks import Mapped, Run
from .source import ZEROS, DamagedError, Source, UnreadError
from .stream import Stream
from .tree import NOTHING, Entry, Tree, text

MAGIC = b"\xe2\xe1\xf5\xe0"
_SUPERBLOCK = 1024
MARK = b".{%d}" % _SUPERBLOCK + re.escape(MAGIC)
"""What they start with, as a pattern."""
_SUPER = struct.Struct("<4sIIBBHQQIIII16s16sIHHHBBIQ")
_SLOT = 32
"""Bytes of an inode's place: node ids count them."""
_KNOWN = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40
"""Incompatible features that are read, or told file by file: padding, big clusters, chunks, devices, tails …"""
_FRAGMENTS = 0x20
_SUMMED, _PLAIN_PREFIXES = 0x1, 0x10
_PADDED = 0x1
"""Feature: compressed data stands at the end of its cluster, so that its length is known."""
_PLAIN, _FULL, _INLINE, _COMPACT, _CHUNKS = range(5)
_BLOCK_BITS = range(9, 17)
_HOLE = 0xFFFFFFFF
_INDEXED = 0x20
"""Flag of a file in chunks: eight bytes a chunk instead of four."""
_CHUNKS_LIMIT = 1 << 20
"""Chunks of a file."""
_DIRECTORY_BYTES = 64 << 20
_DIRENT = struct.Struct("<QHBB")
_XATTR_HEAD = 12
_PAIR = 4 + 255 + (1 << 16)
"""Bytes of an attribute at most."""
_LONG_PREFIX = 0x80
_PREFIXES = {
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    5: "lustre.",
    6: "security.",
}


class Super(NamedTuple):
    """The superblock; sizes and offsets are in bytes."""

    block: int
    root: int
    blocks: int
    inodes: int
    xattrs: int
    incompatible: int
    prefixes: tuple[int, int]
    """How many long prefixes of names of attributes there are, and where: among the fragments, or in the image."""
    plain_prefixes: bool
    summed: bool
    packed: int
    """The node whose content are the fragments of all files; 0 where there are none."""


class _Inode(NamedTuple):
    """An inode; `end` is where it and its attributes end, `value` what its last field holds."""

    nid: int
    end: int
    layout: int
    mode: int
    owner: tuple[int, int]
    links: int
    size: int
    value: int
    xattrs: bytes


def sniff(source: Source) -> str | None:
    """`EROFS`, or None for anything else."""
    return "EROFS" if source.pread(_SUPERBLOCK, 4) == MAGIC else None


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The files, directory by directory. Raises DamagedError where there is no file system to read."""
    found = _super(source)
    if found.blocks * found.block > source.size:
        yield tree.problem(
            b".", f"the file system has {found.blocks * found.block} bytes, but the image ends at byte {source.size}"
        )
    if found.summed and not _sum_holds(source, found.block):
        yield tree.problem(b".", "the superblock with a wrong checksum; damaged, or changed by hand")
    yield from _Walk(source, found, tree).below(found.root, "EROFS")


def _super(source: Source) -> Super:
    data = source.pread(_SUPERBLOCK, _SUPER.size)
    if len(data) < _SUPER.size:
        raise DamagedError("the EROFS superblock breaks off")
    _, _, compatible, bits, _, root, _, _, _, blocks, inodes, xattrs, _, _, incompatible, *rest = _SUPER.unpack(data)
    if bits not in _BLOCK_BITS:
        raise DamagedError(f"the EROFS has blocks of 2^{bits} bytes")
    if incompatible & ~_KNOWN:
        raise UnreadError(f"the EROFS uses features that are not read (bits {incompatible & ~_KNOWN:#x})")
    count, prefixes, packed = rest[-3:]
    return Super(
        1 << bits,
        root,
        blocks,
        inodes << bits,
        xattrs << bits,
        incompatible,
        (count, prefixes * 4),
        bool(compatible & _PLAIN_PREFIXES),
        bool(compatible & _SUMMED),
        packed,
    )


def _sum_holds(source: Source, block: int) -> bool:
    """Whether the sum in the superblock, taken over the rest of its block as well, is right."""
    from google_crc32c import value

    data = source.pread(_SUPERBLOCK, block - _SUPERBLOCK if block > _SUPERBLOCK else block)
    return int(value(data[:4] + bytes(4) + data[8:])) ^ 0xFFFFFFFF == int.from_bytes(data[4:8], "little")


class _Walk(walk.Walk[_Inode]):
    """The walk; keys are node ids."""

    def __init__(self, source: Source, found: Super, tree: Tree) -> None:
        super().__init__(source, tree)
        self._super = found

    @cached_property
    def _packed(self) -> Source | None:
        """The fragments of all files."""
        found = self._super
        return self._content(self.inode(found.packed)) if found.incompatible & _FRAGMENTS and found.packed else None

    def content(self, inode: _Inode) -> tuple[Stream, int]:
        """See walk.Walk."""
        return self.over(self._content(inode))

    def target(self, inode: _Inode) -> bytes:
        """See walk.Walk."""
        return self._read(self._content(inode), self.tree.budget.limits.path)

    # --- inodes

    def inode(self, key: int) -> _Inode:
        """An inode by its node id. Raises DamagedError."""
        at = self._super.inodes + key * _SLOT
        raw = self.source.pread(at, 64) if key < 1 << 48 else b""
        extended = bool(raw[:1] and raw[0] & 1)
        if len(raw) < (64 if extended else 32):
            raise DamagedError(f"node {key} is behind the end of the image")
        form, count, mode = struct.unpack_from("<HHH", raw)
        if extended:
            size, value, _, uid, gid = struct.unpack_from("<QIIII", raw, 8)
            links = int.from_bytes(raw[44:48], "little")
        else:
            links, size, _, value, _, uid, gid = struct.unpack_from("<HIIIIHH", raw, 6)
        length = 64 if extended else 32
        attributes = _XATTR_HEAD + 4 * (count - 1) if count else 0
        self.tree.budget.spend(length + attributes)
        xattrs = self.source.pread(at + length, attributes)
        if len(xattrs) < attributes:
            raise DamagedError(f"the attributes of node {key} are behind the end of the image")
        end = at + length + attributes
        return _Inode(key, end, form >> 1 & 7, mode, (uid, gid), links, size, value, xattrs)

    # --- content

    def _content(self, inode: _Inode) -> Source:
        """The bytes of a file, link or directory. Raises DamagedError, LimitError."""
        block = self._super.block
        if inode.layout in {_PLAIN, _INLINE}:
            runs = [Run(0, inode.size, inode.value * block)]
            if inode.layout == _INLINE:
                whole = inode.size - inode.size % block
                runs = [Run(0, whole, inode.value * block), Run(whole, inode.size - whole, inode.end)]
            return Mapped(self.source, inode.size, runs)
        if inode.layout == _CHUNKS:
            return Mapped(self.source, inode.size, self._chunks(inode))
        if inode.layout in {_FULL, _COMPACT} and not self._super.incompatible & _PADDED:
            raise UnreadError("it is compressed in the way of Linux 5.2 and before, which is not read")
        if inode.layout in {_FULL, _COMPACT}:
            compact, packed = inode.layout == _COMPACT, None if inode.nid == self._super.packed else self._packed
            where = self.source, inode.end, inode.size, block, self.tree.budget
            return clusters.content(*where, packed=packed, compact=compact)
        raise DamagedError(f"its layout is one that nobody knows ({inode.layout})")

    def _chunks(self, inode: _Inode) -> Iterator[Run]:
        block = self._super.block
        chunk = block << (inode.value & 0x1F)
        width = 8 if inode.value & _INDEXED else 4
        count = -(-inode.size // chunk)
        if count > _CHUNKS_LIMIT:
            raise DamagedError(f"a file of {count} chunks, more than {_CHUNKS_LIMIT}")
        self.tree.budget.steps(count)
        data = self.source.pread(inode.end + -inode.end % width, count * width)
        if len(data) < count * width:
            raise DamagedError("the table of chunks is behind the end of the image")
        for number, (device, at) in enumerate(struct.iter_unpack("<2xHI", data) if width == 8 else _plain(data)):  # noqa: PLR2004 - with a device
            if device:
                raise DamagedError("it lies on another device")
            yield Run(number * chunk, chunk, ZEROS if at == _HOLE else at * block)

    def _read(self, content: Source, limit: int) -> bytes:
        """All of something that must be small. Raises DamagedError."""
        if content.size > limit:
            raise DamagedError(f"it has {content.size} bytes, more than {limit}")
        self.tree.budget.spend(content.size)
        data = content.pread(0, content.size)
        if len(data) < content.size:
            raise DamagedError(f"it breaks off, {content.size - len(data)} bytes too early")
        return data

    # --- directories

    def names(self, inode: _Inode) -> Iterator[tuple[int, bytes]]:
        """Node id and name of each entry of a directory."""
        data = self._read(self._content(inode), _DIRECTORY_BYTES)
        for at in range(0, len(data), self._super.block):
            yield from _records(data[at : at + self._super.block])

    # --- extended attributes

    def attributes(self, inode: _Inode) -> Mapping[str, bytes]:
        """See walk.Walk."""
        data = inode.xattrs
        if not data:
            return NOTHING
        shared, found = data[4], dict[str, bytes]()
        for i in range(shared):
            place = data[_XATTR_HEAD + 4 * i :][:4]
            if len(place) < 4:  # noqa: PLR2004 - bytes of a place
                raise DamagedError("the list of shared attributes breaks off")
            at = self._super.xattrs + 4 * int.from_bytes(place, "little")
            pair = self.source.pread(at, _PAIR)
            self.tree.budget.spend(len(pair))
            name, value, _ = self._pair(pair, 0)
            found[name] = value
        at = _XATTR_HEAD + 4 * shared
        while at + 4 <= len(data) and any(data[at : at + 4]):
            name, value, at = self._pair(data, at)
            found[name] = value
        return found

    def _pair(self, data: bytes, at: int) -> tuple[str, bytes, int]:
        """Name and value of an attribute, and where the next one begins."""
        if at + 4 > len(data):
            raise DamagedError("an extended attribute breaks off")
        length, prefix, size = struct.unpack_from("<BBH", data, at)
        end = at + 4 + length + size
        if end > len(data):
            raise DamagedError("an extended attribute breaks off")
        name = data[at + 4 : at + 4 + length]
        if prefix & _LONG_PREFIX:
            start = self._long_prefixes.get(prefix & ~_LONG_PREFIX)
        else:
            start = _PREFIXES.get(prefix, f"{prefix}.")
        if start is None:
            raise DamagedError(f"there is no prefix {prefix & ~_LONG_PREFIX} for the name of an extended attribute")
        return start + text(name), data[at + 4 + length : end], end + -end % 4

    @cached_property
    def _long_prefixes(self) -> dict[int, str]:
        """Prefixes of names by number."""
        (count, at), is_plain = self._super.prefixes, self._super.plain_prefixes
        source, found = (None if is_plain else self._packed) or self.source, dict[int, str]()
        for number in range(count):
            length = int.from_bytes(source.pread(at, 2), "little")
            data = source.pread(at + 2, length)
            if not 0 < length == len(data):
                raise DamagedError("the prefixes of the names of extended attributes break off")
            found[number] = _PREFIXES.get(data[0], f"{data[0]}.") + text(data[1:])
            at += 2 + length + -(2 + length) % 4
        return found


def _plain(data: bytes) -> Iterator[tuple[int, int]]:
    """Chunks that tell just a block's number, as (0, number)."""
    return ((0, at) for (at,) in struct.iter_unpack("<I", data))


def _records(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Node id and name of the entries of a block, its own directory's and its parent's left out."""
    count = int.from_bytes(block[8:10], "little") // _DIRENT.size
    if not 0 < count * _DIRENT.size <= len(block):
        raise DamagedError("a block of a directory is damaged")
    rows = [_DIRENT.unpack_from(block, i * _DIRENT.size) for i in range(count)]
    ends = [row[1] for row in rows[1:]] + [len(block)]
    for (nid, start, _, _), end in zip(rows, ends, strict=True):
        name = block[start:end].partition(b"\0")[0]
        if not start < end <= len(block) or not name or b"/" in name:
            raise DamagedError("a directory entry has no name that can be")
        if name not in {b".", b".."}:
            yield nid, name
