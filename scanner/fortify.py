"""The level of FORTIFY: what x86-64 code hands to the checked functions of glibc that print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from struct import Struct

from .elf import Elf
from .source import DamagedError
from .startup import late

_LOAD, _X = 1, 1
_JMPREL, _PLTRELSZ, _PLTREL, _RELA = 23, 2, 20, 7
_RELOCATION = Struct("<QII8x")
"""Of 64 bits: the address of the word, the kind, the number of the symbol."""
_RELOCATIONS = 1 << 16
_FLAG = {
    "__printf_chk": b"\xbf",
    "__vprintf_chk": b"\xbf",
    "__fprintf_chk": b"\xbe",
    "__vfprintf_chk": b"\xbe",
    "__dprintf_chk": b"\xbe",
    "__vdprintf_chk": b"\xbe",
    "__asprintf_chk": b"\xbe",
    "__vasprintf_chk": b"\xbe",
    "__sprintf_chk": b"\xbe",
    "__vsprintf_chk": b"\xbe",
    "__syslog_chk": b"\xbe",
    "__vsyslog_chk": b"\xbe",
    "__snprintf_chk": b"\xba",
    "__vsnprintf_chk": b"\xba",
}
"""The opcode of MOV $n into the register of the argument `flag`: first EDI, second ESI, third EDX."""
_ZERO = {b"\xbf": b"\x31\xff", b"\xbe": b"\x31\xf6", b"\xba": b"\x31\xd2"}
"""XOR of that register with itself, which is how a zero is passed."""
_SEARCHED = 64 << 10
"""Bytes of code in which calls are looked for: files are of one level throughout."""
_JUMP, _CALL = late(rb"\xff\x25(?=.{4})", re.DOTALL), late(rb"\xe8(?=.{4})", re.DOTALL)
_DISTANCE = Struct("<i").unpack_from
_CALLS = 8
_BEFORE = 40
"""Bytes before a call in which its arguments are loaded."""


def levels(elf: Elf, imports: Mapping[str, int]) -> frozenset[int]:
    """The levels (1, 2, 3) that the first calls show; empty when none does, or on other machines.

    glibc's headers pass the level less one. `imports` are the undefined symbols with their numbers.
    """
    wanted = {number: _FLAG[name] for name, number in imports.items() if name in _FLAG}
    if elf.machine != "x86_64" or not wanted:
        return frozenset()
    try:
        slots = _slots(elf, wanted)
    except DamagedError:
        return frozenset()
    found: list[int] = []
    for start, address, end in _code(elf):
        stubs = _stubs(elf.data, start, address, end, slots)
        for opcode, at in _calls(elf.data, start, address, end, stubs):
            found += _passed(elf.data[max(start, at - _BEFORE) : at], opcode)
            if len(found) == _CALLS:
                return frozenset(found)
    return frozenset(found)


def _slots(elf: Elf, wanted: Mapping[int, bytes]) -> dict[int, bytes]:
    """The addresses of the words through which these symbols are called."""
    tags = elf.tags
    if tags.get(_PLTREL) != _RELA or _JMPREL not in tags:
        return {}
    count = min(tags.get(_PLTRELSZ, 0) // _RELOCATION.size, _RELOCATIONS)
    table = elf.bytes_at(elf.offset_of(tags[_JMPREL]), count * _RELOCATION.size, "the relocations of the PLT")
    return {word: wanted[symbol] for word, _, symbol in _RELOCATION.iter_unpack(table) if symbol in wanted}


def _code(elf: Elf) -> Iterator[tuple[int, int, int]]:
    """Where executable segments start, their addresses, and where what is searched of them ends."""
    for one in elf.segments:
        if one.type == _LOAD and one.flags & _X:
            yield one.offset, one.address, one.offset + min(one.filesize, _SEARCHED)


def _stubs(data: bytes, start: int, address: int, end: int, slots: Mapping[int, bytes]) -> dict[int, bytes]:
    """The addresses to call: of each JMP through such a word, and of an ENDBR64 or a prefix before it."""
    stubs: dict[int, bytes] = {}
    missing = set(slots)
    for jump in _JUMP.finditer(data, start, end):
        at = jump.start()
        here = address + at - start
        word = here + 6 + _DISTANCE(data, at + 2)[0]
        if word in slots:
            missing.discard(word)
            for before in (0, 1, 4, 5):  # nothing, BND, ENDBR64, both
                stubs[here - before] = slots[word]
            if not missing:
                break
    return stubs


def _calls(data: bytes, start: int, address: int, end: int, stubs: Mapping[int, bytes]) -> Iterator[tuple[bytes, int]]:
    """The opcode that loads the flag, and the place of each call of a stub."""
    behind = address - start + 5
    for call in _CALL.finditer(data, start, end) if stubs else ():
        at = call.start()
        target = behind + at + _DISTANCE(data, at + 1)[0]
        if target in stubs:
            yield stubs[target], at


def _passed(before: bytes, opcode: bytes) -> list[int]:
    """The level that the last load of the flag before a call tells, if one is there."""
    places = [(before.rfind(opcode + bytes((flag, 0, 0, 0))), flag + 1) for flag in range(3)]
    places.append((before.rfind(_ZERO[opcode]), 1))
    at, level = max(places)
    return [level] if at >= 0 else []
