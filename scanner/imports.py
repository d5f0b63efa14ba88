"""What a dynamic ELF object asks of others: its undefined symbols, found without reading those that it defines."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from struct import iter_unpack

from .elf import Elf
from .source import LimitError

_HASH, _SYMTAB, _STRTAB, _STRSZ, _GNU_HASH = 4, 6, 5, 10, 0x6FFFFEF5
_SYMBOLS = 1 << 20
"""Symbols that are looked at: the largest programs have some 200,000, of which a few hundred are undefined."""
_NAMES = 16 << 20
"""Bytes of the names of symbols."""
_NAME = 1024
"""Bytes of a name that is looked at; longer ones, of C++, are none that anything is asked about."""
_UNDEFINED = 100_000
_DEFINED = 1 << 14
"""Symbols that are defined, and still looked through for undefined ones: the largest define more,
and to read theirs takes longer than all else."""
_DYNSYM = 11
"""Type of the section that holds the symbols."""
_SHAPES = {64: (24, 3), 32: (16, 7)}
"""Bytes of a symbol, which begins with the place of its name, and the half word of it that tells its section."""


def undefined(elf: Elf) -> dict[str, int]:
    """The undefined symbols of an object: name and place in its table. Raises DamagedError, LimitError."""
    tags = elf.tags
    if _SYMTAB not in tags or _STRTAB not in tags:
        return {}
    names, (size, place) = strings(elf), _SHAPES[elf.bits]
    find, count = names.find, _count(elf, tags, size)
    table = elf.bytes_at(elf.offset_of(tags[_SYMTAB]), count * size, "the table of symbols")
    sections, starts = array("H", table)[place :: size // 2], array("I", table)[:: size // 4]
    if (elf.order == "<") != (sys.byteorder == "little"):
        starts.byteswap()
    wanted = [(starts[number], number) for number, section in enumerate(sections) if not section and starts[number]]
    if len(wanted) > _UNDEFINED:
        raise LimitError(f"{len(wanted)} undefined symbols, more than {_UNDEFINED}")
    return {
        names[at : end if (end := find(b"\0", at, at + _NAME)) >= 0 else at].decode("utf-8", "replace"): number
        for at, number in wanted
    }


def defined(elf: Elf) -> set[int]:
    """The addresses of what an object lets others use. Raises DamagedError, LimitError."""
    tags, (size, _) = elf.tags, _SHAPES[elf.bits]
    if _SYMTAB not in tags or _STRTAB not in tags:
        return set()
    whole = next((one.size // size for one in elf.loader_sections() if one.type == _DYNSYM), 0)
    count = whole or max(0, tags[_STRTAB] - tags[_SYMTAB]) // size
    if count > _SYMBOLS:
        raise LimitError(f"{count} symbols, more than {_SYMBOLS}")
    table = elf.bytes_at(elf.offset_of(tags[_SYMTAB]), count * size, "the table of symbols")
    shape, at = (elf.order + "IBBHQQ", 4) if elf.bits == 64 else (elf.order + "IIIBBH", 1)  # noqa: PLR2004 - the class
    return {symbol[at] for symbol in iter_unpack(shape, table) if symbol[at]}


def strings(elf: Elf) -> bytes:
    """The names of all its dynamic symbols, defined or not, each with a NUL behind it. Raises DamagedError."""
    tags = elf.tags
    if _STRTAB not in tags:
        return b""
    length = tags.get(_STRSZ, 0)
    if length > _NAMES:
        raise LimitError(f"{length} bytes of names of symbols, more than {_NAMES}")
    return elf.bytes_at(elf.offset_of(tags[_STRTAB]), length, "the names of the symbols")


def _count(elf: Elf, tags: Mapping[int, int], size: int) -> int:
    """How many symbols to look at: in GNU's hash table, nearly all undefined ones come before the first that it holds.

    Behind that are such whose address is compared, as of a weak one: they are looked for where few are defined, too.
    A linker that exports nothing writes a table that holds nothing and says nothing: then the older table, the section
    header or the distance to the names tells how many there are.
    """
    whole = next((one.size // size for one in elf.loader_sections() if one.type == _DYNSYM), 0)
    whole = whole or max(0, tags[_STRTAB] - tags[_SYMTAB]) // size
    count = 0
    if _GNU_HASH in tags:
        at = elf.offset_of(tags[_GNU_HASH])
        buckets, first, bloom, _ = elf.numbers(at, 4, "the hash table")
        used = elf.numbers(at + 16 + bloom * elf.bits // 8, min(buckets, _SYMBOLS), "the hash table")
        count = first if any(used) else 0
        if count < whole <= count + _DEFINED:
            count = whole
    if not count and _HASH in tags:
        count = elf.numbers(elf.offset_of(tags[_HASH]), 2, "the hash table")[1]
    count = count or whole
    if count > _SYMBOLS:
        raise LimitError(f"{count} symbols, more than {_SYMBOLS}")
    return count
