"""U-Boot's legacy images, as its include/image.h has them: 64 bytes in front of a kernel, an initrd or a script.

A kernel or a ramdisk is what it was before; `rpi3` has both so. Of several files in one, the first is the kernel, the
second the initrd.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .source import DamagedError
from .stream import Stream
from .subjects import Problem
from .tree import Entry, Layer, Tree

MAGIC = b"\x27\x05\x19\x56"
_HEADER = struct.Struct(">IIIIIIIBBBB32s")
"""Magic, the header's sum, time, size, load address, entry point, the data's sum, system, machine, type, compression,
name."""
_KERNEL, _RAMDISK, _MULTI, _SCRIPT = 2, 3, 4, 6
_TYPES = {_KERNEL: "kernel", _RAMDISK: "ramdisk", _MULTI: "several files", _SCRIPT: "script"}
_SEVERAL = 16
"""Files in one image; U-Boot's own tools make no more than three."""
_NAMES = {_KERNEL: (b"kernel",), _MULTI: (b"kernel", b"initrd"), _SCRIPT: (b"boot.script",)}
"""What the files inside are called; the format keeps no name that is one. U-Boot boots the first two of several."""


class Header(NamedTuple):
    """What a header tells: the number of bytes behind it, their sum, and what they are."""

    size: int
    total: int
    type: int


def sniff(head: bytes) -> str | None:
    """`uImage (kernel)` and the like, out of the first 64 bytes; None for anything else. The header's sum must hold."""
    found = _header(head)
    return f"uImage ({_TYPES.get(found.type, 'other')})" if found else None


def _header(head: bytes) -> Header | None:
    if not head.startswith(MAGIC) or len(head) < _HEADER.size:
        return None
    _, total, _, size, _, _, data, _, _, kind, _, _ = _HEADER.unpack_from(head)
    plain = head[:4] + bytes(4) + head[8 : _HEADER.size]
    return Header(size, data, kind) if zlib.crc32(plain) == total else None


def entries(stream: Stream, tree: Tree) -> Iterator[Entry]:
    """What is inside: an initrd as a layer, anything else as files. Raises DamagedError."""
    found = _header(stream.exactly(_HEADER.size, "the uImage"))
    if found is None:
        raise DamagedError("the uImage's header is damaged")
    total = 0

    def summed(pieces: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal total
        for piece in pieces:
            total = zlib.crc32(piece, total)
            yield piece

    window = stream.window(found.size, "the uImage")
    content = Stream(summed(iter(window.take, b"")))
    if found.type == _RAMDISK:
        yield Layer(content)
    else:
        yield from _files(found, content, tree)
    while content.take():
        pass
    if total != found.total:
        yield Problem(tree.place, "what is in the uImage has a wrong checksum; get a whole copy of it")


def _files(found: Header, content: Stream, tree: Tree) -> Iterator[Entry]:
    """One file, or as many as a list in front of them tells the lengths of; each begins at a multiple of four."""
    sizes = _sizes(content) if found.type in {_MULTI, _SCRIPT} else [found.size]
    names = _NAMES.get(found.type, ())
    for number, size in enumerate(sizes):
        name = names[number] if number < len(names) else b"file.%d" % number if number else b"file"
        part = content.window(size, "the uImage")
        end = content.offset + size
        yield tree.entry(name, 0o100644, (0, 0), size, part)
        part.close()
        content.skip(end - content.offset, "the uImage")
        if number + 1 < len(sizes):
            content.skip(-size % 4, "the uImage")


def _sizes(content: Stream) -> list[int]:
    """The lengths of the files, up to a zero."""
    found: list[int] = []
    while size := int.from_bytes(content.exactly(4, "the uImage"), "big"):
        found.append(size)
        if len(found) > _SEVERAL:
            raise DamagedError(f"the uImage holds more than {_SEVERAL} files")
    return found
