"""U-Boot's legacy images, as its include/image.h has them: 64 bytes in front of a kernel, an initrd or a script.

A kernel or a ramdisk is what it was before; `rpi3` has both so. Several files in one are not read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .source import DamagedError
from .stream import Stream
from .tree import Entry, Layer, Tree

MAGIC = b"\x27\x05\x19\x56"
_HEADER = struct.Struct(">IIIIIIIBBBB32s")
"""Magic, the header's sum, time, size, load address, entry point, the data's sum, system, machine, type, compression,
name."""
_KERNEL, _RAMDISK, _MULTI, _SCRIPT = 2, 3, 4, 6
_TYPES = {_KERNEL: "kernel", _RAMDISK: "ramdisk", _MULTI: "several files", _SCRIPT: "script"}
_NAMES = {_KERNEL: b"kernel", _SCRIPT: b"boot.script"}
"""What the files inside are called; the format keeps no name that is one."""


class Header(NamedTuple):
    """What a header tells: the number of bytes behind it, and what they are."""

    size: int
    type: int


def sniff(head: bytes) -> str | None:
    """`uImage (kernel)` and the like, out of the first 64 bytes; None for anything else. The header's sum must hold."""
    found = _header(head)
    return f"uImage ({_TYPES.get(found.type, 'other')})" if found else None


def _header(head: bytes) -> Header | None:
    if not head.startswith(MAGIC) or len(head) < _HEADER.size:
        return None
    _, total, _, size, _, _, _, _, _, kind, _, _ = _HEADER.unpack_from(head)
    plain = head[:4] + bytes(4) + head[8 : _HEADER.size]
    return Header(size, kind) if zlib.crc32(plain) == total else None


def entries(stream: Stream, tree: Tree) -> Iterator[Entry]:
    """What is inside: an initrd as a layer, anything else as a file. Raises DamagedError."""
    found = _header(stream.exactly(_HEADER.size, "the uImage"))
    if found is None:
        raise DamagedError("the uImage's header is damaged")
    if found.type == _MULTI:
        raise DamagedError("the uImage holds several files, which are not read")
    end = stream.offset + found.size
    content = stream.window(found.size, "the uImage")
    if found.type == _RAMDISK:
        yield Layer(content)
        return
    size = found.size
    if found.type == _SCRIPT:  # its length, and the end of a list of lengths that has just this one
        content.skip(8, "the uImage")
        size -= 8
    yield tree.entry(_NAMES.get(found.type, b"file"), 0o100644, (0, 0), size, content)
    content.close()
    stream.skip(max(0, end - stream.offset), "the uImage")
