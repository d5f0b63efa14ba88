"""Unified kernel images: EFI programs with a kernel, an initrd and a command line in sections of their own.

As the UAPI group's specification of them has it; PE as Microsoft's specification of the format. Each section is a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .source import DamagedError, Source
from .stream import Part, Stream, over
from .subjects import Problem
from .tree import Entry, Tree

_SECTIONS = 96
"""Sections of a program: Windows refuses more."""
_SECTION = struct.Struct("<8sIIIIIIHHI")
_KINDS = (
    b".linux",
    b".initrd",
    b".cmdline",
    b".osrel",
    b".uname",
    b".dtb",
    b".ucode",
    b".sbat",
    b".pcrsig",
    b".pcrpkey",
)
"""Sections that the specification names; the code of the stub is none of them."""


class _Section(NamedTuple):
    name: bytes
    at: int
    size: int


def sniff(source: Source) -> str | None:
    """`UKI`, or None for anything else, EFI programs without a kernel in them included."""
    try:
        return "UKI" if any(one.name == b".linux" for one in _sections(source)) else None
    except DamagedError:
        return None


def _sections(source: Source) -> list[_Section]:
    """The sections of a PE file; none when it is no such file. Raises DamagedError."""
    head = source.pread(0, 64)
    if head[:2] != b"MZ" or len(head) < 64:  # noqa: PLR2004 - a DOS header's length
        return []
    at = int.from_bytes(head[60:64], "little")
    header = source.pread(at, 24)
    if header[:4] != b"PE\0\0" or len(header) < 24:  # noqa: PLR2004 - the signature and the COFF header
        return []
    count, length = int.from_bytes(header[6:8], "little"), int.from_bytes(header[20:22], "little")
    table = source.pread(at + 24 + length, min(count, _SECTIONS) * _SECTION.size)
    if len(table) < count * _SECTION.size:
        raise DamagedError(f"the table of {count} sections breaks off")
    found = []
    for name, virtual, _, raw, place, *_ in _SECTION.iter_unpack(table):
        found.append(_Section(name.rstrip(b"\0"), place, min(virtual, raw) if virtual else raw))
    return found


def _symbols(source: Source) -> int:
    """Where the table of symbols and the strings behind it end, 0 if there is none: the last thing in a program."""
    at = int.from_bytes(source.pread(60, 4), "little")
    place, count = (int.from_bytes(source.pread(at + skip, 4), "little") for skip in (12, 16))
    strings = place + count * 18
    return strings + max(4, int.from_bytes(source.pread(strings, 4), "little")) if place else 0


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The sections as files. Raises DamagedError."""
    sections = _sections(source)
    end = max(_symbols(source), *(one.at + one.size for one in sections if one.name not in _KINDS), 0)
    if end > source.size:
        yield Problem(tree.place, f"the program ends at byte {end}, but the image ends at byte {source.size}")
    for one in sections:
        if one.name not in _KINDS:
            continue
        tree.budget.entry()
        part = Part(source, ((one.at, one.size),))
        content = over(part, tree.budget, "the section") if one.size else Stream(iter(()))
        yield tree.entry(one.name, 0o100644, (0, 0), one.size, content)
        content.close()
        if one.at + one.size > source.size and not content.failure:
            why = f"the section ends at byte {one.at + one.size}, behind the end of the image at byte {source.size}"
            yield tree.problem(one.name, why)
