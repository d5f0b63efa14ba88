"""squashfs 4.0, as the kernel's fs/squashfs/squashfs_fs.h has it: gzip, xz, lzma, zstd, lz4 and lzo.

Everything but file data stands in metadata blocks of at most 8 KiB; a reference is the place of such a block in its
table and an offset in it. No block is unpacked to more than the superblock allows.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from . import walk
from .compression import unpack
from .source import DamagedError, PackedBlocks, Source, UnreadError
from .stream import Stream
from .tree import NOTHING, Entry, Tree, text

MAGIC = b"hsqs"
_SUPER = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
_COMPRESSIONS = {1: "zlib", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_METADATA = 8192
_NONE = 0xFFFFFFFF
_NO_TABLE = (1 << 64) - 1
_BLOCK = range(4096, (1 << 20) + 1)
_PLAIN = 1 << 24
"""Flag in a block's length: it is not compressed."""
_HEADER = struct.Struct("<HHHHII")
_DIRECTORY_BYTES = 64 << 20
_RUN = 256
"""Entries behind one header of a directory."""
_KEPT = 256
"""Metadata blocks that are kept: 2 MiB."""
_FRAGMENTS = 4
"""Blocks of file ends that are kept: files next to one another share them."""
_XATTRS = 1 << 16
"""Bytes of an extended attribute's value."""
_PREFIXES = {0: "user.", 1: "trusted.", 2: "security."}
_FILE, _SYMLINK = 2, 3
_EXTENDED = 7
"""Added to the kind of an inode that has more to tell."""
_ELSEWHERE = 0x100
"""Flag of an attribute: its value is a reference."""
_BLOCKS = 1 << 20
"""Blocks of one file: 128 GiB of the usual size."""
_MODES = {1: 0o040000, 2: 0o100000, 3: 0o120000, 4: 0o060000, 5: 0o020000, 6: 0o010000, 7: 0o140000}


class Super(NamedTuple):
    """The superblock: offsets are in bytes, references are a block's place and an offset in it."""

    block: int
    compression: str
    ids: int
    root: int
    used: int
    id_table: int
    xattr_table: int
    inode_table: int
    directory_table: int
    fragment_table: int
    fragments: int


class _Inode(NamedTuple):
    """An inode of a kind (1 directory, 2 file, 3 link, 4 to 7 others); `start` is where its blocks or its listing is.

    `fragment` are the number of the fragment that holds its end, and the offset in it.
    """

    kind: int
    mode: int
    owner: tuple[int, int]
    links: int = 1
    size: int = 0
    start: int = 0
    fragment: tuple[int, int] = (_NONE, 0)
    blocks: tuple[int, ...] = ()
    target: bytes = b""
    xattr: int = _NONE


def sniff(source: Source) -> str | None:
    """`squashfs (xz)` and the like; None for anything else."""
    head = source.pread(0, _SUPER.size)
    if not head.startswith(MAGIC) or len(head) < _SUPER.size:
        return None
    return f"squashfs ({_COMPRESSIONS.get(_SUPER.unpack(head)[5], 'unknown').replace('zlib', 'gzip')})"


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The files, directory by directory. Raises DamagedError where there is no file system to read."""
    found = _super(source)
    if found.used > source.size:
        yield tree.problem(b".", f"the file system has {found.used} bytes, but the image ends at byte {source.size}")
    yield from _Walk(source, found, tree).below(found.root, "squashfs")


def _super(source: Source) -> Super:
    fields = _SUPER.unpack(source.pread(0, _SUPER.size))
    _, _, _, block, fragments, method, log, _, ids, major, minor, root, used, id_table, xattrs, inodes, *rest = fields
    if (major, minor) != (4, 0):
        raise UnreadError(f"the squashfs is of version {major}.{minor}; 4.0 is read")
    if method not in _COMPRESSIONS:
        raise DamagedError(f"the squashfs is compressed by a method that nobody knows ({method})")
    if block not in _BLOCK or block != 1 << log:
        raise DamagedError(f"the squashfs has blocks of {block} bytes")
    directories, fragment_table = rest[:2]
    return Super(
        block,
        _COMPRESSIONS[method],
        ids,
        root,
        used,
        id_table,
        xattrs,
        inodes,
        directories,
        fragment_table,
        fragments,
    )


class _Metadata:
    """Reads metadata blocks, each once for as long as it is kept."""

    def __init__(self, source: Source, compression: str, spend: Callable[[int], None]) -> None:
        self._source = source
        self._compression = compression
        self._spend = spend
        self._kept: OrderedDict[int, tuple[bytes, int]] = OrderedDict()

    def read(self, at: int, skip: int, length: int) -> bytes:
        """`length` bytes from `skip` on in the block at `at`, and in those that follow it. Raises DamagedError."""
        return self.take(at, skip, length)[0]

    def take(self, at: int, skip: int, length: int) -> tuple[bytes, int, int]:
        """The same, and where it goes on: the block's place and the offset in it."""
        pieces: list[bytes] = []
        while True:
            data, following = self._block(at)
            piece = data[skip : skip + length]
            pieces.append(piece)
            length -= len(piece)
            skip += len(piece)
            if not length:
                return b"".join(pieces), at, skip
            if len(data) < skip or not data:
                raise DamagedError(f"a reference leads behind the end of the metadata block at byte {at}")
            at, skip = following, 0

    def _block(self, at: int) -> tuple[bytes, int]:
        found = self._kept.get(at)
        if found is not None:
            self._kept.move_to_end(at)
            return found
        head = self._source.pread(at, 2)
        length = int.from_bytes(head, "little") & 0x7FFF
        raw = self._source.pread(at + 2, length)
        if len(head) < 2 or len(raw) < length or not length:  # noqa: PLR2004 - a block's length has two bytes
            raise DamagedError(f"the metadata block at byte {at} is behind the end of the image")
        data = raw if head[1] & 0x80 else unpack(self._compression, raw, _METADATA, f"the metadata block at byte {at}")
        self._spend(_METADATA)  # a block of one byte takes nearly as long as a full one
        self._kept[at] = found = (data, at + 2 + length)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found


class _Walk(walk.Walk[_Inode]):
    """The walk; keys are references, as numbers of inodes are only said to be unique."""

    def __init__(self, source: Source, found: Super, tree: Tree) -> None:
        super().__init__(source, tree)
        self._super = found
        self._metadata = _Metadata(source, found.compression, tree.budget.spend)
        self._fragments: OrderedDict[int, bytes] = OrderedDict()

    def content(self, inode: _Inode) -> tuple[Stream, int]:
        """See walk.Walk."""
        stream = Stream(self._blocks(inode), packed=partial(self._packed, inode))
        return stream, inode.start + sum(length & _PLAIN - 1 for length in inode.blocks)

    def target(self, inode: _Inode) -> bytes:
        """See walk.Walk."""
        return inode.target

    # --- inodes

    def inode(self, key: int) -> _Inode:
        """The inode that a reference leads to. Raises DamagedError, LimitError."""
        place = self._super.inode_table + (key >> 16)
        head, at, skip = self._metadata.take(place, key & 0xFFFF, _HEADER.size)
        kind, mode, uid, gid, _, number = _HEADER.unpack(head)
        extended = kind > _EXTENDED
        base = kind - _EXTENDED if extended else kind
        if base not in _MODES:
            raise DamagedError(f"inode {number} is of a kind that nobody knows ({kind})")
        body = _BODIES[kind]
        data, at, skip = self._metadata.take(at, skip, body.size)
        blank = _Inode(base, _MODES[base] | mode & 0o7777, (self._id(uid), self._id(gid)))
        found = _filled(blank, kind, body.unpack(data))
        if base == _SYMLINK:
            if found.size > self.tree.budget.limits.path:
                raise DamagedError(f"a symbolic link of {found.size} bytes")
            target, at, skip = self._metadata.take(at, skip, found.size)
            xattr = self._metadata.read(at, skip, 4) if extended else b"\xff" * 4
            return found._replace(target=target, xattr=int.from_bytes(xattr, "little"))
        return self._with_blocks(found, at, skip) if base == _FILE else found

    def _with_blocks(self, inode: _Inode, at: int, skip: int) -> _Inode:
        """With the lengths of its blocks; what is left over at its end may be in a fragment."""
        block = self._super.block
        count = inode.size // block if inode.fragment[0] != _NONE else -(-inode.size // block)
        if count > _BLOCKS:
            raise DamagedError(f"a file of {inode.size} bytes, more than {_BLOCKS} blocks")
        self.tree.budget.spend(16 * count)  # reading a length takes the time of as many bytes
        return inode._replace(blocks=struct.unpack(f"<{count}I", self._metadata.read(at, skip, 4 * count)))

    def _id(self, index: int) -> int:
        """The user or group that an index into the table of ids stands for."""
        if index >= self._super.ids:
            raise DamagedError(f"there is no id {index}")
        return int.from_bytes(self._indexed(self._super.id_table, index, 4), "little")

    def _indexed(self, table: int, index: int, width: int) -> bytes:
        """An entry of a table whose metadata blocks are found through a list of their places."""
        block, skip = divmod(index * width, _METADATA)
        place = self.source.pread(table + 8 * block, 8)
        if len(place) < 8:  # noqa: PLR2004 - bytes of a place
            raise DamagedError(f"the table at byte {table} is behind the end of the image")
        return self._metadata.read(int.from_bytes(place, "little"), skip, width)

    # --- content

    def _blocks(self, inode: _Inode) -> Iterator[bytes]:
        """The bytes of a file, block by block."""
        at, left, spend = inode.start, inode.size, self.tree.budget.spend
        for length in inode.blocks:
            wanted = min(left, self._super.block)
            data = self._data(at, length, wanted) if length else bytes(wanted)
            if len(data) != wanted:
                raise DamagedError(f"the block at byte {at} holds {len(data)} bytes, not {wanted}")
            spend(wanted)
            yield data
            at += length & _PLAIN - 1
            left -= wanted
        if left:
            index, skip = inode.fragment
            data = self._fragment(index)[skip : skip + left]
            if len(data) < left:
                raise DamagedError(f"fragment {index} breaks off, {left - len(data)} bytes too early")
            spend(left)
            yield data

    def _packed(self, inode: _Inode, held: bytes) -> PackedBlocks | None:
        """The same as they lie there, but for the first of them, if `held` is what it holds; None for one alone."""
        size, at, left = self._super.block, inode.start, inode.size
        if len(inode.blocks) < 2 or len(held) != size:  # noqa: PLR2004 - the first one is held already
            return None
        blocks = [(held, size, False)]
        for number, length in enumerate(inode.blocks):
            if number:
                data = self._raw(at, length) if length else b""
                blocks.append((data, min(left, size), bool(length) and not length & _PLAIN))
            at += length & _PLAIN - 1
            left -= min(left, size)
        if left:
            index, skip = inode.fragment
            blocks.append((self._fragment(index)[skip : skip + left], left, False))
        self.tree.budget.spend(inode.size - size)
        return PackedBlocks(self._super.compression, tuple(blocks))

    def _data(self, at: int, length: int, limit: int) -> bytes:
        """A block of file data."""
        raw = self._raw(at, length)
        return raw if length & _PLAIN else unpack(self._super.compression, raw, limit, f"the block at byte {at}")

    def _raw(self, at: int, length: int) -> bytes:
        """The same as it lies there."""
        if length & _PLAIN - 1 > self._super.block:
            raise DamagedError(f"the block at byte {at} has {length & _PLAIN - 1} bytes")
        raw = self.source.pread(at, length & _PLAIN - 1)
        if len(raw) < length & _PLAIN - 1:
            raise DamagedError(f"the block at byte {at} is behind the end of the image")
        return raw

    def _fragment(self, index: int) -> bytes:
        found = self._fragments.get(index)
        if found is None:
            if index >= self._super.fragments:
                raise DamagedError(f"there is no fragment {index}")
            at, length = struct.unpack("<QI4x", self._indexed(self._super.fragment_table, index, 16))
            self.tree.budget.spend(self._super.block)
            found = self._fragments[index] = self._data(at, length, self._super.block)
            if len(self._fragments) > _FRAGMENTS:
                self._fragments.popitem(last=False)
        return found

    # --- directories

    def names(self, inode: _Inode) -> Iterator[tuple[int, bytes]]:
        """Reference and name of each entry of a directory."""
        size = inode.size - 3  # a directory's size counts three bytes more than its listing has
        if size > _DIRECTORY_BYTES:
            raise DamagedError(f"a directory of {size} bytes, more than {_DIRECTORY_BYTES}")
        if size <= 0:
            return
        self.tree.budget.spend(size)
        data = self._metadata.read(self._super.directory_table + inode.start, inode.fragment[1], size)
        at = 0
        while at < size:
            if at + 12 > size:
                raise DamagedError("a directory breaks off inside a header")
            count, start, _ = struct.unpack_from("<III", data, at)
            at += 12
            if count >= _RUN:
                raise DamagedError(f"a directory's header tells {count + 1} entries")
            for _ in range(count + 1):
                offset, _, _, length = _entry(data, at)
                name = data[at + 8 : at + 9 + length]
                at += 9 + length
                if at > size or b"/" in name or name in {b".", b".."}:
                    raise DamagedError("a directory entry has no name that can be")
                yield start << 16 | offset, name

    # --- extended attributes

    def attributes(self, inode: _Inode) -> Mapping[str, bytes]:
        """See walk.Walk."""
        table = self._super.xattr_table
        if inode.xattr == _NONE or table == _NO_TABLE:
            return NOTHING
        head = self.source.pread(table, 16)
        start, ids = struct.unpack("<QI4x", head) if len(head) == 16 else (0, 0)  # noqa: PLR2004 - its length
        if inode.xattr >= ids:
            raise DamagedError(f"there are no extended attributes {inode.xattr}")
        reference, count, _ = struct.unpack("<QII", self._indexed(table + 16, inode.xattr, 16))
        at, skip = start + (reference >> 16), reference & 0xFFFF
        found: dict[str, bytes] = {}
        if count > _RUN:
            raise DamagedError(f"{count} extended attributes of one file")
        for _ in range(count):
            head, at, skip = self._metadata.take(at, skip, 4)
            kind, length = struct.unpack("<HH", head)
            name, at, skip = self._metadata.take(at, skip, length)
            value, at, skip = self._value(at, skip)
            self.tree.budget.spend(length)
            if kind & _ELSEWHERE:
                if len(value) != 8:  # noqa: PLR2004 - bytes of a reference
                    raise DamagedError("an extended attribute's reference is damaged")
                other = int.from_bytes(value, "little")
                value, _, _ = self._value(start + (other >> 16), other & 0xFFFF)
            found[_PREFIXES.get(kind & 0xFF, f"{kind & 0xFF}.") + text(name)] = value
        return found

    def _value(self, at: int, skip: int) -> tuple[bytes, int, int]:
        """The value of an attribute, and where it goes on behind it."""
        head, at, skip = self._metadata.take(at, skip, 4)
        length = int.from_bytes(head, "little")
        if length > _XATTRS:
            raise DamagedError(f"an extended attribute of {length} bytes")
        self.tree.budget.spend(length)
        return self._metadata.take(at, skip, length)


_BODIES = {
    1: struct.Struct("<IIHHI"),
    2: struct.Struct("<IIII"),
    3: struct.Struct("<II"),
    4: struct.Struct("<II"),
    5: struct.Struct("<II"),
    6: struct.Struct("<I"),
    7: struct.Struct("<I"),
    8: struct.Struct("<IIIIHHI"),
    9: struct.Struct("<QQQIIII"),
    10: struct.Struct("<II"),
    11: struct.Struct("<III"),
    12: struct.Struct("<III"),
    13: struct.Struct("<II"),
    14: struct.Struct("<II"),
}
"""What follows an inode's header, by its kind; the extended kinds are the plain ones with 7 added."""


def _filled(inode: _Inode, kind: int, fields: tuple[int, ...]) -> _Inode:
    """An inode with what its body tells; a directory's `fragment` is where its listing begins in its block."""
    if kind == 1:
        start, _, size, offset, _ = fields
        return inode._replace(size=size, start=start, fragment=(_NONE, offset))
    if kind == 8:  # noqa: PLR2004 - an extended directory
        _, size, start, _, _, offset, xattr = fields
        return inode._replace(size=size, start=start, fragment=(_NONE, offset), xattr=xattr)
    if kind == 2:  # noqa: PLR2004 - a file
        start, fragment, offset, size = fields
        return inode._replace(size=size, start=start, fragment=(fragment, offset))
    if kind == 9:  # noqa: PLR2004 - an extended file
        start, size, _, links, fragment, offset, xattr = fields
        return inode._replace(links=links, size=size, start=start, fragment=(fragment, offset), xattr=xattr)
    links = fields[0]
    if inode.kind == _SYMLINK:
        return inode._replace(links=links, size=fields[1])
    return inode._replace(links=links, xattr=fields[-1] if kind > _EXTENDED else _NONE)


def _entry(data: bytes, at: int) -> tuple[int, int, int, int]:
    if at + 8 > len(data):
        raise DamagedError("a directory breaks off inside an entry")
    offset, number, kind, length = struct.unpack_from("<HhHH", data, at)
    return offset, number, kind, length
