"""Notes of ELF files: what compilers and linkers left for the loader, the kernel and package managers."""

from __future__ import annotations

from collections.abc import Iterator

from .elf import Elf
from .startup import Literal

_SEGMENT, _PROPERTY_SEGMENT = 4, 0x6474E553
_SECTION = 7
"""Type of a section with notes."""
_BYTES = 1 << 16
_PROPERTIES = (b"GNU\0", 5)


def notes(elf: Elf) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, type and content of each note. Raises DamagedError.

    The kernel looks at the segment GNU_PROPERTY; files of older linkers have a note alone, objects a section.
    """
    places = [(one.offset, one.filesize) for one in elf.segments if one.type == _PROPERTY_SEGMENT]
    places += [(one.offset, one.filesize) for one in elf.segments if one.type == _SEGMENT]
    if not elf.segments:
        places = [(one.offset, one.size) for one in elf.sections() if one.type == _SECTION]
    for offset, length in places:
        yield from _notes(elf, offset, length)


def features(elf: Elf, kind: int) -> int:
    """The bits of a property of its note NT_GNU_PROPERTY_TYPE_0, which all parts of it have; 0 for none."""
    for name, number, content in notes(elf):
        if (name, number) == _PROPERTIES and (bits := _property(elf, content, kind)):
            return bits
    return 0


def _notes(elf: Elf, offset: int, length: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Those of one place; such with properties are aligned to words of the class."""
    data, at = elf.bytes_at(offset, min(length, _BYTES), "the notes"), 0
    while at + 12 <= len(data):
        size, content, kind = elf.numbers(offset + at, 3, "a note")
        begin = at + 12 + (size + 3 & ~3)
        name = data[at + 12 : at + 12 + size]
        step = elf.bits // 8 if (name, kind) == _PROPERTIES else 4
        at = begin + -(-content // step) * step
        yield name, kind, data[begin : begin + content]


def _property(elf: Elf, data: bytes, kind: int) -> int:
    """The bits of one property of a note, 0 where it has none."""
    order: Literal["little", "big"] = "little" if elf.order == "<" else "big"
    at, step = 0, elf.bits // 8
    while at + 8 <= len(data):
        number, length = (int.from_bytes(data[at + i : at + i + 4], order) for i in (0, 4))
        if number == kind:
            return int.from_bytes(data[at + 8 : at + 8 + min(length, 4)], order)
        at += 8 + -(-length // step) * step
    return 0
