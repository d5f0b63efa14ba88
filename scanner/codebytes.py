"""What machine code tells of the flags it was compiled with: x86-64 and arm64, by the bytes of telling instructions.

Patterns are those of GCC's and Clang's own output; each was held against full disassemblies. They are looked for only
where what is cheaper leaves a question open.
"""

from __future__ import annotations

import re
import sys
from array import array
from math import inf

from .elf import Elf
from .marks import Marks
from .startup import NamedTuple, late

_WINDOW = 4 << 20
"""Bytes of arm64 code that are taken for numbers at once."""
_PART = 1 << 18
"""Bytes of code between two looks at whether enough was found."""
_X = 1
_EH_FRAME_HDR = 0x6474E550
_TESTS, _LOADS = b"\x33\x2b\x3b", b"\x8b"
_GUARD = Marks(
    *(
        bytes((0x64, prefix, opcode, operand, 0x25, 0x28, 0, 0, 0))
        for opcode in _TESTS + _LOADS
        for prefix in range(0x48, 0x50)
        for operand in range(0x04, 0x40, 8)
    )
)
"""An instruction on %fs:0x28, where glibc and musl keep the canary on x86-64: a prefix for %fs, REX.W, the opcode, an
operand without a register. XOR, SUB and CMP test the canary, MOV loads it."""
_GUARD_LENGTH = 9
_FIRST_LOAD = 64 * len(_TESTS)
"""The number of the first of them that loads it."""
_ESCAPE = late(
    rb"\x48\x8d[\x44\x4c\x54\x5c\x6c\x74\x7c\x84\x8c\x94\x9c\xac\xb4\xbc]\x24"
    rb"|\x4c\x8d[\x44\x4c\x54\x5c\x64\x6c\x74\x7c\x84\x8c\x94\x9c\xa4\xac\xb4\xbc]\x24"
    rb"|\x48\x89[\xe0\xe1\xe3\xe6\xe7]|\x49\x89[\xe0-\xe7]"
)
"""LEA of a place on the stack, or the stack pointer moved into a register: an address of a local variable is taken.

Into RBP, a function moves it for its frame; into RDX, the start of every program does."""
_FRAME = b"\x55\x48\x89\xe5"
"""PUSH %rbp; MOV %rsp,%rbp: the function reaches its local variables through the frame pointer."""
_FRAME_ESCAPE = late(
    rb"[\x48\x4c]\x8d(?:[\x45\x4d\x55\x5d\x65\x6d\x75\x7d][\x80-\xff]|[\x85\x8d\x95\x9d\xa5\xad\xb5\xbd]...\xff)",
    re.DOTALL,
)
_GROWS = Marks(b"\x48\x81\xec")
_GROWTH = late(
    rb"\x48\x81\xec(....)(\x48\x83\x0c\x24\x00|\x48\x83\x8c\x24\xf8\x0f\x00\x00\x00|\x48\xc7\x04\x24)?", re.DOTALL
)
"""SUB $n,%rsp, and what touches the page that it reaches: ORQ $0,(%rsp) or $0,0xff8(%rsp) by GCC, MOVQ by Clang."""
_COMPUTED = Marks(
    b"\xf3\x0f\x1e\xfa",
    *(bytes((prefix, 0x29, operand)) for prefix in b"\x48\x4c" for operand in b"\xc4\xcc\xd4\xdc\xec\xf4\xfc"),
)
"""SUB of a register from %rsp: an array whose length is known at run time only. The first mark, ENDBR64, is no such:
without it the library chooses another way to search, which takes ten times as long."""
_PAGE, _LARGEST_FRAME = 0x1000, 64 << 20
_ARM64_PROBE = late(rb"\xff\x03\x02\xf9")
"""STR xzr,[sp,#1024]: what GCC touches every 64 KiB."""
_ARM64_GROWTH = late(
    rb"\xff[\x03\x07\x0b\x0f\x13\x17\x1b\x1f\x23\x27\x2b\x2f\x33\x37\x3b\x3f\x43-\xff][\x40-\x7f]\xd1", re.DOTALL
)
"""SUB sp,sp,#n,lsl #12."""
_ARM64_COMPUTED = late(rb"\xff\x63[\x20-\x3e]\xcb")
"""SUB sp,sp,Xn: of such an array, or of a length that fits into no instruction."""
_ARM64_GUARD = 16
"""Pages of 4 KiB in the guard that GCC expects below a stack of arm64: it never probes less, and steps by as much."""
_START = 64
"""Bytes of the code that a program starts with, before it calls the C library."""
_ENDBR64, _ENDBR32 = Marks(b"\xf3\x0f\x1e\xfa"), Marks(b"\xf3\x0f\x1e\xfb")
_BTI = Marks(b"\x5f\x24\x03\xd5", b"\x3f\x23\x03\xd5")
"""BTI c and PACIASP: where functions of arm64 begin that may be called through a pointer."""


class Guards(NamedTuple):
    """Instructions that test the canary, and such that load it."""

    tests: int
    loads: int

    @property
    def functions(self) -> int:
        """Functions that check a canary: GCC loads it once and tests it once, Clang loads it twice and compares.

        One that never returns loads it and tests nothing.
        """
        return self.tests or (self.loads + 1) // 2


def functions(elf: Elf) -> int:
    """How many functions there are, by the table for unwinding; 0 where it is not there in its usual form."""
    segment = next((one for one in elf.segments if one.type == _EH_FRAME_HDR), None)
    head = elf.data[segment.offset : segment.offset + 12] if segment else b""
    if len(head) < 12 or head[2] != 0x03:  # noqa: PLR2004 - its length; udata4
        return 0
    return int.from_bytes(head[8:12], "little" if elf.order == "<" else "big")


def guards(elf: Elf, enough: float = inf) -> Guards:
    """What x86-64 code does with the canary; no more is counted behind `enough` tests of it."""
    tests = loads = 0
    for start, end in _code(elf):
        for at in range(start, end, _PART):
            found = _GUARD.places(elf.data, at, min(end, at + _PART + _GUARD_LENGTH - 1))
            loaded = sum(number >= _FIRST_LOAD for number, _, _ in found)
            tests += len(found) - loaded
            loads += loaded
            if tests >= enough:
                return Guards(tests, loads)
    return Guards(tests, loads)


class Frames(NamedTuple):
    """Places that grow the stack by more than a page, that touch a page as they do, that compute by how much.

    The last are looked for only where there is none of the others.
    """

    large: int
    probed: int
    computed: int


def frames(elf: Elf) -> Frames:
    """How x86-64 or arm64 code makes room on the stack."""
    large = probed = 0
    for start, end in _code(elf):
        if elf.machine == "arm64":
            probed += _aligned(_ARM64_PROBE, elf.data, start, end)
            grown = (_arm64_pages(found) for found in _ARM64_GROWTH.finditer(elf.data, start, end))
            large += sum(pages > _ARM64_GUARD for pages in grown)
            continue
        for _, at, _ in _GROWS.places(elf.data, start, end):
            if (found := _GROWTH.match(elf.data, at, end)) is None:
                continue
            size, touch = found.groups()
            length = int.from_bytes(size, "little")
            probed += length == _PAGE and bool(touch)
            large += _PAGE < length < _LARGEST_FRAME
    return Frames(large, probed, 0 if large or probed else _computed(elf))


def _computed(elf: Elf) -> int:
    if elf.machine == "arm64":
        return sum(_aligned(_ARM64_COMPUTED, elf.data, start, end) for start, end in _code(elf))
    found = (_COMPUTED.places(elf.data, start, end) for start, end in _code(elf))
    return sum(number > 0 for places in found for number, _, _ in places)


def _aligned(pattern: re.Pattern[bytes], data: bytes, start: int, end: int) -> int:
    return sum(found.start() % 4 == 0 for found in pattern.finditer(data, start, end))


def _arm64_pages(found: re.Match[bytes]) -> int:
    return int.from_bytes(found[0], "little") >> 10 & 0xFFF if found.start() % 4 == 0 else 0


def branch_targets(elf: Elf) -> int:
    """How many instructions mark places that may be branched to: ENDBR on x86, BTI c or PACIASP on arm64."""
    marks = {"arm64": _BTI, "x86": _ENDBR32}.get(elf.machine, _ENDBR64)
    return sum(marks.count(elf.data, start, end) for start, end in _code(elf))


def takes_addresses(elf: Elf) -> bool:
    """Whether x86-64 or arm64 code takes the address of a local variable: what a canary is for."""
    if elf.machine != "arm64":
        return any(_x86_64(elf.data, start, end) for start, end in _code(elf))
    begin = elf.entry_offset()  # where every program takes the address of its arguments, which are no variable
    apart = [] if begin is None else [(begin, begin + _START)]
    return any(_arm64(elf.data, *part) for whole in _code(elf) for part in _without(whole, apart))


def _without(whole: tuple[int, int], apart: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of a stretch outside others, the first of which counts."""
    start, end = whole
    if not apart or not start <= apart[0][0] < end:
        return [whole]
    return [(start, apart[0][0]), (min(end, apart[0][1]), end)]


def _x86_64(data: bytes, start: int, end: int) -> bool:
    framed = data.find(_FRAME, start, end) >= 0
    return bool(_ESCAPE.search(data, start, end) or (framed and _FRAME_ESCAPE.search(data, start, end)))


def _arm64(data: bytes, start: int, end: int) -> bool:
    """ADD Xn, SP, #n: the address of a local variable, or of the frame (X29), which every function takes."""
    return any(_adds(data[at : min(end, at + _WINDOW)]) for at in range(start, end, _WINDOW))


def _adds(data: bytes) -> bool:
    words = array("I", data[: len(data) // 4 * 4])
    if sys.byteorder != "little":
        words.byteswap()
    return any(word & 0xFF8003E0 == 0x910003E0 and word & 0x1F not in {29, 31} for word in words)  # noqa: PLR2004 - ADD


def _code(elf: Elf) -> list[tuple[int, int]]:
    """Where the executable segments start and end; they are searched where they lie, as copies cost more than that."""
    return elf.stretches(_X)
