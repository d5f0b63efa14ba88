"""Machine code of x86-64 and arm64 as a graph: functions, and what may run right before an instruction.

Functions start where Go's table or that for unwinding says so. Whatever may lead somewhere counts: bytes that look like
a jump as well, and addresses that stand anywhere in memory.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from struct import iter_unpack, pack, unpack_from

from .elf import Elf
from .imports import defined
from .instructions import Chunk, Instruction, added, branch, near, page, words
from .source import DamagedError, LimitError
from .startup import NamedTuple, late

TYPE_CHECKING = False
if TYPE_CHECKING:
    import capstone

_LOAD, _EH_FRAME_HDR, _X, _R = 1, 0x6474E550, 1, 4
_SYMTAB, _STRTAB, _EXEC = 6, 5, 2
_CODE = 64 << 20
"""Bytes of code of one file that are searched."""
_SWEPT = 1 << 20
"""Bytes of code that are disassembled in one piece where nothing tells where functions start."""
_FUNCTION = 1 << 18
"""Bytes of one function that are disassembled: the largest that are written by hand have 30,000."""
_WORD = (1 << 64) - 1
_APART = 16
"""Instructions that may stand between ADRP and ADD of one address."""
_FRAME_HEAD, _FRAME_ENTRY = 12, 12

_JUMPS = late(rb"[\xe8\xe9](?=....)|\x0f[\x80-\x8f](?=....)", re.DOTALL)
_SHORT_JUMPS = late(rb"[\x70-\x7f\xe0-\xe3\xeb](?=.)", re.DOTALL)
_REACH = 130
"""Bytes that a short jump leads over at most, its own included."""
_ADDRESSES = late(rb"[\x48-\x4f][\x8b\x8d\x39\x3b][\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=....)", re.DOTALL)
"""LEA, MOV and CMP of what stands at a distance from the next instruction."""


class Before(NamedTuple):
    """What may run right before an instruction: instructions, and calls of the function that it is the first of.

    `is_whole`: nothing else may.
    """

    steps: tuple[tuple[Chunk, int], ...]
    callers: tuple[int, ...]
    is_whole: bool


class Graph:
    """The code of one ELF file; addresses are those in memory."""

    def __init__(self, elf: Elf, names: Mapping[int, str]) -> None:
        """`names` are the functions of a Go program by their addresses. Raises LimitError for too much code."""
        self._elf = elf
        self._names = names
        self.is_arm = elf.machine == "arm64"
        self.pieces = [
            (one.address, elf.data[one.offset : one.offset + one.filesize])
            for one in elf.segments
            if one.type == _LOAD and one.flags & _X and one.filesize
        ]
        """What is loaded to be run: where it starts, and its bytes."""
        self._chunks: dict[int, Chunk | None] = {}
        self._elsewhere: dict[int, bool] = {}
        self._engine: capstone.Cs | None = None
        if sum(len(data) for _, data in self.pieces) > _CODE:
            raise LimitError(f"more than {_CODE} bytes of code")

    def function(self, address: int) -> str:
        """The name of the function of Go that an address lies in, else ""."""
        at = bisect_right(self._starts, address) - 1
        return self._names.get(self._starts[at] if at >= 0 else 0, "")

    def leading_to(self, target: int) -> Iterator[int]:
        """Where the direct calls and jumps stand that lead to an address; some are none."""
        yield from self._sources.get(target, ())
        yield from self._short_jumps(target)

    @cached_property
    def _sources(self) -> dict[int, list[int]]:
        """The direct calls and jumps that lead to each address, but short ones of x86-64; some are none."""
        found: dict[int, list[int]] = {}
        for start, data in self.pieces:
            if self.is_arm:
                for number, word in enumerate(words(data)):
                    if (target := branch(word, start + 4 * number)) is not None:
                        found.setdefault(target, []).append(start + 4 * number)
                continue
            end = len(data) - 4
            for match in _JUMPS.finditer(data):
                at = match.end()
                if at <= end:
                    target = start + at + 4 + unpack_from("<i", data, at)[0]
                    found.setdefault(target, []).append(start + match.start())
        return found

    def _short_jumps(self, target: int) -> Iterator[int]:
        """The jumps over up to 128 bytes that lead to an address: so a function may end with a call of the next one."""
        for start, data in self.pieces if not self.is_arm else ():
            if not start <= target < start + len(data):
                continue
            first = max(0, target - start - _REACH)
            for match in _SHORT_JUMPS.finditer(data, first, target - start + _REACH):
                distance = data[match.end()] - ((data[match.end()] & 0x80) << 1)
                source = start + match.start()
                if source + 2 + distance == target and (chunk := self.chunk(source)) and source in chunk.index:
                    yield source

    @cached_property
    def addresses(self) -> set[int]:
        """Addresses in memory that the code of x86-64 names as a distance."""
        return {
            start + found.end() + 4 + unpack_from("<i", data, found.end())[0]
            for start, data in self.pieces
            if not self.is_arm
            for found in _ADDRESSES.finditer(data)
        }

    @cached_property
    def _exported(self) -> set[int]:
        return defined(self._elf)

    def may_be_called_from_elsewhere(self, address: int) -> bool:
        """Whether others know of a function: it is exported, or its address stands somewhere."""
        if address not in self._elsewhere:
            self._elsewhere[address] = self._is_known_elsewhere(address)
        return self._elsewhere[address]

    def _is_known_elsewhere(self, address: int) -> bool:
        if address == self._elf.entry or address in self.addresses or (address in self._exported and not self._names):
            return True
        if self.is_arm and self._arm_names(address):
            return True
        is_short = self._elf.type == _EXEC and not self._names and address >> 32 == 0
        needle = pack("<I" if is_short else "<Q", address & _WORD)
        return any(self._elf.data.find(needle, start, end) >= 0 for start, end in self._stretches)

    @cached_property
    def _stretches(self) -> list[tuple[int, int]]:
        """Where in the file the address of a function may stand: all that is loaded but the table of symbols."""
        tags, found = self._elf.tags, self._elf.stretches(_R)
        if _SYMTAB not in tags or _STRTAB not in tags:
            return found
        start, end = self._elf.offset_of(tags[_SYMTAB]), self._elf.offset_of(tags[_STRTAB])
        return [piece for one in found for piece in ((one[0], min(one[1], start)), (max(one[0], end), one[1]))]

    def _arm_names(self, address: int) -> bool:
        """Whether ADRP and ADD, or ADR, make that address somewhere."""
        low, wanted = address & 0xFFF, address & ~0xFFF
        for start, data in self.pieces:
            code = words(data)
            for number, word in enumerate(code):
                here = start + 4 * number
                if near(word, here) == address:
                    return True
                if (what := added(word)) and what[1] == low:
                    before = range(max(0, number - _APART), number)
                    if any(code[one] & 31 == what[0] and page(code[one], start + 4 * one) == wanted for one in before):
                        return True
        return False

    @cached_property
    def _starts(self) -> list[int]:
        """Where functions start, by Go's table or that for unwinding; empty without one."""
        return sorted({*self._names, *self._unwound_starts()})

    def _unwound_starts(self) -> Iterable[int]:
        segment = next((one for one in self._elf.segments if one.type == _EH_FRAME_HDR), None)
        if segment is None:
            return self._unwound()
        data = self._elf.bytes_at(segment.offset, segment.filesize, "the table for unwinding")
        if len(data) < _FRAME_HEAD or data[0] != 1 or data[2:4] != b"\x03\x3b":
            return []
        count = min(unpack_from("<I", data, 8)[0], (len(data) - _FRAME_HEAD) // 8)
        pairs = iter_unpack("<ii", data[_FRAME_HEAD : _FRAME_HEAD + 8 * count])
        return (segment.address + start for start, _ in pairs)

    def _unwound(self) -> Iterator[int]:
        """The same from the table's entries, as in static programs without an index, by their distances."""
        elf = self._elf
        for section in elf.loader_sections():
            if not section.size or not elf.section_names.startswith(b".eh_frame\0", section.name):
                continue
            data = elf.bytes_at(section.offset, section.size, "the table for unwinding")
            at, base = 0, self._address_of(section.offset)
            while at + _FRAME_ENTRY <= len(data):
                length, kind, distance = unpack_from("<IIi", data, at)
                if not 0 < length < len(data):
                    break
                if kind:
                    yield base + at + 8 + distance
                at += 4 + length

    def _address_of(self, offset: int) -> int:
        """Where a byte of the file stands in memory."""
        for one in self._elf.segments:
            if one.type == _LOAD and one.offset <= offset < one.offset + one.filesize:
                return offset - one.offset + one.address
        raise DamagedError(f"byte {offset} is in no loaded segment")

    def chunk(self, address: int) -> Chunk | None:
        """The function around an address, or all code where nothing tells where functions are; None if too large."""
        piece = next(((start, data) for start, data in self.pieces if start <= address < start + len(data)), None)
        if piece is None:
            return None
        start, data = piece
        at = bisect_right(self._starts, address) - 1
        first, is_exact = start, False
        last = start + len(data)
        if at >= 0 and self._starts[at] >= start:
            first, is_exact = self._starts[at], True
            if at + 1 < len(self._starts):
                last = min(last, self._starts[at + 1])
        elif self._starts and at < 0:
            last = min(last, self._starts[0])
        if first not in self._chunks:
            made = None
            if last - first <= (_FUNCTION if is_exact else _SWEPT):
                code = self._disassembled(data[first - start : last - start], first)
                made = Chunk(code, is_exact=is_exact, is_arm=self.is_arm)
            self._chunks[first] = made
        return self._chunks[first]

    def _disassembled(self, data: bytes, address: int) -> list[Instruction]:
        if self._engine is None:
            import capstone

            if self.is_arm:
                self._engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
            else:
                self._engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
            self._engine.skipdata = True
        return list(self._engine.disasm_lite(data, address))

    def before(self, address: int) -> Before:
        """What may run right before the instruction at an address."""
        chunk = self.chunk(address)
        if chunk is None or address not in chunk.index:
            return Before((), (), is_whole=False)
        at = chunk.index[address]
        is_start = at == 0 and chunk.is_exact
        steps = [(chunk, one) for one in chunk.jumps.get(address, ()) if not (at == 0 and self._names)]
        far, callers, is_whole = self._far(address, chunk)
        steps += far
        is_entry = is_start or address in chunk.called or bool(callers)
        if is_entry and self.may_be_called_from_elsewhere(address):
            is_whole = False
        if at and not chunk.is_end(at - 1) and not (is_entry and chunk.is_filled(at)):
            steps.append((chunk, at - 1))
        if not steps and not is_entry:
            if chunk.code[at][2].startswith("nop"):
                return Before((), (), is_whole=True)  # it fills up, and is never reached
            steps = [(chunk, one) for one in chunk.switches] if chunk.is_exact else []
        return Before(tuple(steps), tuple(callers), is_whole and bool(steps or callers))

    def _far(self, address: int, chunk: Chunk) -> tuple[list[tuple[Chunk, int]], list[int], bool]:
        """Jumps from elsewhere to an address, calls of it, and whether all of them are told.

        Functions of Go jump to their start to begin anew with a larger stack, and the same parameters: that is none.
        """
        steps: list[tuple[Chunk, int]] = []
        callers: list[int] = []
        is_whole = True
        begin, (last, size, _, _) = chunk.code[0][0], chunk.code[-1]
        is_at_edge = min(address - begin, last + size - address) <= _REACH
        for source in (*self._sources.get(address, ()), *(self._short_jumps(address) if is_at_edge else ())):
            if source in chunk.index and not chunk.is_call(source):
                continue
            other = self.chunk(source)
            if other is None:
                is_whole = False
            elif source in other.index and other.is_call(source):
                callers.append(source)
            elif source in other.index:
                steps.append((other, other.index[source]))
        return steps, callers, is_whole
