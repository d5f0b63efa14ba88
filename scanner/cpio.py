"""The cpio archives of initrds: newc (070701) and its twin with sums (070702), which are verified.

As the kernel's documentation of the initramfs buffer format has it. A header is 110 bytes of hexadecimal text; names
and contents are padded to four bytes, counted from the archive's start; an entry named TRAILER!!! ends it.
"""

from __future__ import annotations

import struct
from binascii import Error as HexError
from binascii import unhexlify
from collections.abc import Iterator

from .source import DamagedError, LimitError
from .startup import NamedTuple
from .stream import Stream
from .tree import Entry, Tree, text

_SUMMED = b"070702"
MAGICS = (b"070701", _SUMMED)
_HEADER = 110
_FIELDS = struct.Struct(">13I")
_TRAILER = b"TRAILER!!!"
_REGULAR, _SYMLINK, _TYPE = 0o100000, 0o120000, 0o170000

_Key = tuple[int, int, int]


class _Named(NamedTuple):
    """An entry without its content; `owner` is (uid, gid)."""

    name: bytes
    mode: int
    owner: tuple[int, int]


def sniff(head: bytes) -> bool:
    """Whether `head` starts a cpio archive that initrds are made of."""
    return head.startswith(MAGICS)


def entries(stream: Stream, tree: Tree) -> Iterator[Entry]:
    """The entries of one archive, up to its trailer; what follows is left in `stream`.

    The content of files that share an inode stands with one of them only, usually the last: that one is the file, the
    others are its hard links and come after it. Raises DamagedError where it breaks off.
    """
    waiting: dict[_Key, list[_Named]] = {}
    known: dict[_Key, str] = {}
    start = stream.offset
    while True:
        at = stream.offset
        header = stream.exactly(_HEADER, "the cpio archive")
        fields = _fields(header, at)
        total = fields[-1] if header.startswith(_SUMMED) else None
        inode, mode, uid, gid, links, _time, size, major, minor, _rmajor, _rminor, length, _sum = fields
        item = _Named(_name(stream, length, at, tree.budget.limits.path), mode, (uid, gid))
        stream.skip(start - stream.offset & 3, "the cpio archive")
        if item.name == _TRAILER:
            break
        tree.budget.entry()
        end = stream.offset + size + (-(stream.offset - start + size) & 3)
        key = (major, minor, inode) if links > 1 and mode & _TYPE == _REGULAR else None
        if key is None:
            yield from _entry(stream, tree, item, size, total)
        elif size:
            yield from _entry(stream, tree, item, size, total)
            known[key] = tree.path(item.name)
            yield from _links(tree, waiting.pop(key, []), known[key])
        elif key in known:
            yield from _links(tree, [item], known[key])
        else:
            waiting.setdefault(key, []).append(item)
        stream.skip(end - stream.offset, "the cpio archive")
    for first, *others in waiting.values():
        yield from _entry(stream, tree, first, 0)
        yield from _links(tree, others, tree.path(first.name))


def _entry(stream: Stream, tree: Tree, item: _Named, size: int, total: int | None = None) -> Iterator[Entry]:
    """`total` is what the bytes of a regular file must add up to, None where the archive does not tell."""
    what = "the content of a cpio entry"
    if item.mode & _TYPE == _SYMLINK:
        if size > tree.budget.limits.path:
            raise LimitError(f"a symbolic link of {size} bytes at byte {stream.offset} (limit: path)")
        yield tree.entry(*item, size, link=text(stream.exactly(size, what)))
    elif item.mode & _TYPE == _REGULAR:
        content = (
            stream.window(size, what) if total is None else Stream(_summed(stream.window(size, what), found := [0]))
        )
        yield tree.entry(*item, size, content)
        if total is not None:
            while content.take():
                pass
            if found[0] & 0xFFFFFFFF != total:
                yield tree.problem(item.name, "its content does not add up to the sum in its header")
        content.close()
    else:
        yield tree.entry(*item, 0)


def _summed(content: Stream, total: list[int]) -> Iterator[bytes]:
    """The content as it is, its bytes added up in `total`."""
    while piece := content.take():
        total[0] += sum(piece)
        yield piece


def _links(tree: Tree, group: list[_Named], target: str) -> Iterator[Entry]:
    for item in group:
        yield tree.entry(*item, 0, kind="hardlink", link=target)


def _fields(header: bytes, at: int) -> tuple[int, ...]:
    """The 13 numbers of a header: inode, mode, uid, gid, links, time, size, device, special device, name size, sum."""
    if not header.startswith(MAGICS):
        raise DamagedError(f"no cpio header where one must be, at byte {at}")
    try:
        return _FIELDS.unpack(unhexlify(header[6:]))
    except HexError as error:
        raise DamagedError(f"the cpio header at byte {at} is damaged") from error


def _name(stream: Stream, length: int, at: int, limit: int) -> bytes:
    if not length:
        raise DamagedError(f"the cpio entry at byte {at} has no name")
    if length > limit + 1:
        raise LimitError(f"a name of {length} bytes in the cpio entry at byte {at} (limit: path)")
    return stream.exactly(length, "the cpio archive").partition(b"\0")[0]
