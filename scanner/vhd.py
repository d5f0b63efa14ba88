"""VHD disks, fixed and dynamic, as Microsoft's Virtual Hard Disk Image Format Specification (2006) has them.

A differencing disk is refused, as it is not whole without its parent, which is never opened.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .blocks import DISK_LIMIT, TABLE_LIMIT, Blocks, Place, Spend, Tables
from .source import ZEROS, DamagedError, LimitError, Source
from .stream import Part
from .subjects import Problem
from .tree import Entry, Layer, Tree

COOKIE = b"conectix"
_FOOTER = 512
_LEAST = 64
"""Bytes of a footer that tell what the disk is, when the rest is cut off."""
_KINDS = {2: "fixed", 3: "dynamic", 4: "differencing"}
_UNUSED = 0xFFFFFFFF
_SECTOR = 512
_ALL = 0xFFFFFFFF
_BLOCK_LIMIT = 1 << 30
"""Bytes of a block; the specification's usual size is 2 MiB."""
_HEADER = struct.Struct(">8sQQIII")
"""Of a dynamic disk: cookie, next structure, table's offset, version, entries, bytes of a block."""


def sniff(source: Source) -> str | None:
    """`VHD (fixed)` and the like; None for anything else. The footer counts; a dynamic disk has a copy at its start."""
    footer = _footer(source)
    return f"VHD ({_KINDS.get(int.from_bytes(footer[60:64], 'big'), 'of unknown kind')})" if footer else None


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The disk inside, as one layer. Raises DamagedError, LimitError."""
    if not any(source.pread(at, len(COOKIE)) == COOKIE for at in _ends(source)):
        yield Problem(tree.place, "the VHD disk breaks off: its footer is not there")
    content = disk(source, tree.budget.spend)
    for what, data, at in _summed(source):
        if ~(sum(data) - sum(data[at : at + 4])) & _ALL != int.from_bytes(data[at : at + 4], "big"):
            yield Problem(tree.place, f"the VHD disk's {what} has a wrong checksum; get a whole copy of it")
    if isinstance(content, Part) and content.size < _size(_footer(source)):
        why = f"the disk has {_size(_footer(source))} bytes, but the image ends at byte {source.size}"
        yield Problem(tree.place, why)
    yield Layer(content)


def disk(source: Source, spend: Spend) -> Part | Blocks:
    """The disk as its guest sees it. Raises DamagedError where it is not whole without another file, LimitError."""
    footer = _footer(source)
    size, kind = _size(footer), _KINDS.get(int.from_bytes(footer[60:64], "big"))
    if size > DISK_LIMIT:
        raise LimitError(f"the virtual disk has {size} bytes, more than {DISK_LIMIT}")
    if kind == "fixed":
        return Part(source, ((0, min(size, source.size)),))
    if kind == "dynamic":
        return _dynamic(source, size, int.from_bytes(footer[16:24], "big"), spend)
    why = "rests on another file, which is never opened" if kind else "is of a kind that nobody knows"
    raise DamagedError(f"the VHD disk {why}")


def _summed(source: Source) -> Iterator[tuple[str, bytes, int]]:
    """Name and bytes of what has a sum, and where in it."""
    footer = _footer(source)
    if len(footer) >= _FOOTER - 1:
        yield "footer", footer, 64
        if footer[60:64] == b"\0\0\0\3":
            yield "header", source.pread(int.from_bytes(footer[16:24], "big"), 1024), 36


def _size(footer: bytes) -> int:
    return int.from_bytes(footer[48:56], "big")


def _ends(source: Source) -> tuple[int, int]:
    """Where a footer may be: old ones have 511 bytes."""
    return source.size - _FOOTER, source.size - _FOOTER + 1


def _footer(source: Source) -> bytes:
    """The 512 bytes at the end, what is left of them, or their copy at the start; "" when none is there."""
    if COOKIE not in source.pread(max(0, source.size - _FOOTER), _FOOTER) and source.pread(0, len(COOKIE)) != COOKIE:
        return b""  # nearly all files of a tree
    for at in (*_ends(source), 0, source.size - source.size % _SECTOR):
        data = source.pread(at, _FOOTER)
        if data.startswith(COOKIE) and len(data) >= _LEAST:
            return data
    return b""


def _dynamic(source: Source, size: int, header: int, spend: Spend) -> Blocks:
    data = source.pread(header, _HEADER.size)
    if not data.startswith(b"cxsparse") or len(data) < _HEADER.size:
        raise DamagedError(f"the VHD disk has no header at byte {header}")
    _, _, table, _, count, block = _HEADER.unpack(data)
    if block < _SECTOR or block > _BLOCK_LIMIT or block & block - 1:
        raise DamagedError(f"the VHD disk has blocks of {block} bytes")
    if count * 4 > TABLE_LIMIT:
        raise LimitError(f"the disk's table has {count} entries, more than {TABLE_LIMIT // 4}")
    if count < -(-size // block):
        raise DamagedError(f"the VHD disk's table has {count} entries and needs {-(-size // block)}")
    bitmap = -(-block // _SECTOR // 8 // _SECTOR) * _SECTOR
    places = Tables(source, "I", "big", count, spend=spend, kept=1)

    def locate(number: int) -> Place:
        sector = places.at(table, number)
        return ZEROS if sector == _UNUSED else sector * _SECTOR + bitmap

    return Blocks(source, size, block, locate)
