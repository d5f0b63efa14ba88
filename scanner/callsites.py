"""Call sites in machine code of x86-64 and arm64: which system calls and imported functions, with which constants.

A constant is told only where every way through the function that leads to the call sets it: values are followed
backwards over jumps, into callers where they are parameters, and are unknown where anything else may have set them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from struct import iter_unpack, pack, unpack_from

from .elf import Elf
from .imports import defined, undefined
from .instructions import Chunk, Instruction, added, branch, enters, loaded, near, page, words
from .source import DamagedError, LimitError
from .startup import NamedTuple, late

TYPE_CHECKING = False
if TYPE_CHECKING:
    import capstone

_LOAD, _EH_FRAME_HDR, _X, _R = 1, 0x6474E550, 1, 4
_RELA, _RELASZ, _JMPREL, _PLTRELSZ = 7, 8, 23, 2
_SYMTAB, _STRTAB, _ENTRY, _EXEC = 6, 5, 24, 2
_CODE = 64 << 20
"""Bytes of code of one file that are searched."""
_SWEPT = 1 << 20
"""Bytes of code that are disassembled in one piece where nothing tells where functions start."""
_FUNCTION = 1 << 18
"""Bytes of one function that are disassembled: the largest that are written by hand have 30,000."""
_STEPS = 20_000
"""Instructions that are looked at for one value."""
_VALUES = 512
"""Constants that one argument is told to have."""
_WORD = (1 << 64) - 1
_GO_OWN = ("runtime.", "syscall.runtime_")
_GO_HANDS_ON = frozenset(
    f"{package}.{name}"
    for package in (
        *("syscall", "golang.org/x/sys/unix", "runtime/internal/syscall"),
        *("internal/runtime/syscall", "internal/runtime/syscall/linux"),
    )
    for name in (
        *("Syscall", "Syscall6", "RawSyscall", "RawSyscall6", "SyscallNoError", "RawSyscallNoError"),
        *("rawSyscallNoError", "rawVforkSyscall", "AllThreadsSyscall", "AllThreadsSyscall6", "syscall", "syscall6"),
    )
)
"""Functions of Go that take the number of a system call; some hand it on to assembly on the stack."""
_APART = 16
"""Instructions that may stand between ADRP and ADD of one address."""
_SITES = 4096
"""Sites of one file that are looked at."""

_FRAME_HEAD, _FRAME_ENTRY = 12, 12

_JUMPS = late(rb"[\xe8\xe9](?=....)|\x0f[\x80-\x8f](?=....)", re.DOTALL)
_SHORT_JUMPS = late(rb"[\x70-\x7f\xe0-\xe3\xeb](?=.)", re.DOTALL)
_REACH = 130
"""Bytes that a short jump leads over at most, its own included."""
_SLOTS = late(rb"\xff[\x15\x25](?=....)", re.DOTALL)
_ADDRESSES = late(rb"[\x48-\x4f][\x8b\x8d\x39\x3b][\x05\x0d\x15\x1d\x25\x2d\x35\x3d](?=....)", re.DOTALL)
"""LEA, MOV and CMP of what stands at a distance from the next instruction."""
_SYSCALLS = late(rb"\x0f[\x05\x34]|\xcd\x80")


class Value(NamedTuple):
    """What an argument may be: the constants that reach it, and whether nothing else does.

    Each constant has the address of the instruction that sets it, and of the call (0 where there is none) that hands it
    on as a parameter, with the register that it is handed on in.
    """

    constants: Mapping[int, tuple[int, int, str]]
    is_known: bool


UNKNOWN = Value({}, is_known=False)


class Site(NamedTuple):
    """A call: its address, and the number of the system call or the name of the imported function; None: not told.

    `register` is that of the number where the call is one of a function that takes it and hands it on to the kernel.
    """

    address: int
    what: str | int | None
    register: str = ""


class _Machine(NamedTuple):
    """What differs between machines; registers go by their widest name."""

    arguments: tuple[str, ...]
    call_arguments: tuple[str, ...]
    number: str
    go: str
    stacked: tuple[str, ...]
    kept: frozenset[str]
    jump_slot: int
    data_slot: int
    absolute: int


_GO_FCNTL = frozenset(
    f"{package}.{name}"
    for package in ("syscall", "internal/syscall/unix", "internal/poll", "golang.org/x/sys/unix")
    for name in (
        *("IsNonblock", "HasNonblockFlag", "Fcntl", "fcntl", "FcntlInt", "FcntlFlock"),
        *("newPipe", "forkAndExecInChild", "forkAndExecInChild1"),
    )
)
"""Functions of Go that take the number of fcntl from a variable, as it is another one on some machines of 32 bits."""
_FCNTL = (72, 25)

_GO = {"rax": ("rbx", "rcx", "rdi", "rsi", "r8", "r9")}
"""The arguments behind the first one, where functions of Go take it."""

_MACHINES = {
    "x86_64": _Machine(
        ("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
        ("rdi", "rsi", "rdx", "r10", "r8", "r9"),
        "rax",
        "rax",
        ("[rsp]", "[rsp + 8]", "[rsp + 0x10]", "[rsp + 0x18]", "[rsp + 0x20]", "[rsp + 0x28]", "[rsp + 0x30]"),
        frozenset({"rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"}),
        7,
        6,
        1,
    ),
    "arm64": _Machine(
        ("x0", "x1", "x2", "x3", "x4", "x5"),
        ("x0", "x1", "x2", "x3", "x4", "x5"),
        "x8",
        "x0",
        ("[sp, #8]", *(f"[sp, #{at:#x}]" for at in range(16, 64, 8))),
        frozenset({"sp", *(f"x{number}" for number in range(19, 30))}),
        1026,
        1025,
        257,
    ),
}


class Code:
    """The code of one ELF file; addresses are those in memory."""

    def __init__(self, elf: Elf, names: Mapping[int, str] | None = None) -> None:
        """`names` are the functions of a Go program by their addresses. Raises LimitError for too much code."""
        self._elf = elf
        self._names = names or {}
        self._machine = _MACHINES.get(elf.machine)
        self._is_arm = elf.machine == "arm64"
        self._pieces = [
            (one.address, elf.data[one.offset : one.offset + one.filesize])
            for one in elf.segments
            if one.type == _LOAD and one.flags & _X and one.filesize
        ]
        self._chunks: dict[int, Chunk | None] = {}
        self._elsewhere: dict[int, bool] = {}
        self._engine: capstone.Cs | None = None
        if sum(len(data) for _, data in self._pieces) > _CODE:
            raise LimitError(f"more than {_CODE} bytes of code")

    @property
    def is_read(self) -> bool:
        """Whether it is code of a machine that is told, in the order of bytes that it has."""
        return self._machine is not None and self._elf.order == "<"

    # --- sites

    @cached_property
    def system_calls(self) -> list[Site]:
        """The instructions that enter the kernel, or hand it a number; a site for each number, None where not told.

        Those of Go's own runtime are left out. Raises LimitError.
        """
        if self._machine is None:
            return []
        found: list[Site] = []
        for address in self._entering():
            chunk = self._chunk(address)
            if chunk is not None and address not in chunk.index:
                found += () if chunk.is_exact else (Site(address, None),)  # bytes of another instruction
            elif not self._is_of_go(self.function(address)):
                way = self._machine.number if chunk and chunk.enters_kernel(address) else ""
                found += self._numbered(address, way)
        for start, name in self._names.items():
            if name in _GO_HANDS_ON:
                found += self._handed_on(start)
        if len(found) > _SITES:
            raise LimitError(f"more than {_SITES} places that enter the kernel")
        return sorted(set(found), key=lambda one: (one.address, str(one.what)))

    @staticmethod
    def _is_of_go(name: str) -> bool:
        """Whether a function is of Go's own runtime, or hands on numbers, which is asked by itself."""
        return name.startswith(_GO_OWN) or name in _GO_HANDS_ON

    def _numbered(self, address: int, register: str) -> Iterator[Site]:
        """A site for each number that a register may hold at an address."""
        value = self._value(address, register) if register else UNKNOWN
        for number, (_, call, handed) in value.constants.items():
            yield Site(call or address, number, handed)
        if not value.is_known:
            yield Site(address, None)

    def _handed_on(self, start: int) -> Iterator[Site]:
        """The sites of a function of Go that takes a number: in a register, or on the stack where it is assembly."""
        machine = self._machine
        callers = [one for one in self._before(start).callers if not self._is_of_go(self.function(one))]
        if machine is None or not callers:
            return
        if self._may_be_called_from_elsewhere(start):
            yield Site(start, None)
        stacked = [self._value(one, machine.stacked[0]) for one in callers]
        is_stacked = 2 * sum(one.is_known for one in stacked) > len(stacked)
        for number, caller in enumerate(callers):
            value = stacked[number] if is_stacked else self._value(caller, machine.go)
            if not value.is_known and self.function(caller) in _GO_FCNTL:
                yield Site(caller, _FCNTL[self._is_arm])
                continue
            for constant, (_, call, handed) in value.constants.items():
                way = machine.stacked[0] if is_stacked else machine.go
                yield Site(call or caller, constant, handed if call else way)
            if not value.is_known:
                yield Site(caller, None)

    def calls(self, names: Iterable[str]) -> tuple[list[Site], frozenset[str]]:
        """Where imported functions are called, and which of them may be called from elsewhere, too.

        Through a pointer, that is. Raises DamagedError, LimitError.
        """
        wanted = frozenset(names)
        slots, taken = self._slots(wanted)
        sites = sorted({Site(address, name) for address, name in self._called(slots, taken)})
        if len(sites) > _SITES:
            raise LimitError(f"more than {_SITES} calls")
        return sites, frozenset(taken | (wanted - {str(one.what) for one in sites}))

    def argument(self, site: Site, number: int) -> Value:
        """What the argument of that number, from 0, may be: of the system call, or of the function."""
        machine = self._machine
        if machine is None or site.what is None:
            return UNKNOWN
        if isinstance(site.what, str):
            registers = machine.arguments
        elif not site.register:
            registers = machine.call_arguments
        elif site.register == machine.arguments[0]:
            registers = machine.arguments[1:]
        elif site.register == machine.stacked[0]:
            registers = machine.stacked[1:]
        else:
            registers = _GO.get(site.register, ())
        return self._value(site.address, registers[number]) if number < len(registers) else UNKNOWN

    def function(self, address: int) -> str:
        """The name of the function of Go that an address lies in, else ""."""
        return self._names.get(self._start(address), "")

    def _start(self, address: int) -> int:
        at = bisect_right(self._starts, address) - 1
        return self._starts[at] if at >= 0 else 0

    def _entering(self) -> Iterator[int]:
        for start, data in self._pieces:
            if self._is_arm:
                yield from (start + 4 * number for number, word in enumerate(words(data)) if enters(word))
            else:
                yield from (start + found.start() for found in _SYSCALLS.finditer(data))

    def _slots(self, wanted: frozenset[str]) -> tuple[dict[int, str], set[str]]:
        """Words that hold the addresses of imported functions, and the functions whose address is used otherwise."""
        elf, tags, machine = self._elf, self._elf.tags, self._machine
        if machine is None:
            return {}, set(wanted)
        numbers = {number: name for name, number in undefined(elf).items() if name in wanted}
        slots: dict[int, str] = {}
        taken: set[str] = set()
        for at, size in ((tags.get(_RELA), tags.get(_RELASZ, 0)), (tags.get(_JMPREL), tags.get(_PLTRELSZ, 0))):
            if at is None:
                continue
            for offset, info, _ in iter_unpack("<QQq", elf.bytes_at(elf.offset_of(at), size // 24 * 24, "relocations")):
                name, kind = numbers.get(info >> 32), info & 0xFFFFFFFF
                if name is None:
                    continue
                if kind == machine.jump_slot or (kind == machine.data_slot and not self._is_arm):
                    slots[offset] = name
                else:
                    taken.add(name)
        if tags.get(_SYMTAB) is not None:
            table = elf.offset_of(tags[_SYMTAB])
            for number, name in numbers.items():
                if unpack_from("<Q", elf.data, table + _ENTRY * number + 8)[0]:
                    taken.add(name)  # its stub has an address that counts as the function's
        return slots, taken

    def _called(self, slots: Mapping[int, str], taken: set[str]) -> Iterator[tuple[int, str]]:
        stubs = dict(self._arm_stubs(slots)) if self._is_arm else {}
        for start, data in self._pieces if not self._is_arm else ():
            for found in _SLOTS.finditer(data):
                at = found.start()
                address = start + at
                name = slots.get(address + 6 + unpack_from("<i", data, at + 2)[0])
                if name is None:
                    continue
                if data[at + 1] == 0x15 or self._is_reached_from_above(address):  # noqa: PLR2004 - CALL
                    yield address, name
                else:
                    stubs |= dict.fromkeys((address, address - 1, address - 4, address - 5), name)
        taken |= {name for address, name in {**slots, **stubs}.items() if address in self._addresses}
        for target, name in stubs.items():
            yield from ((address, name) for address in (*self._sources.get(target, ()), *self._short_jumps(target)))

    def _is_reached_from_above(self, address: int) -> bool:
        """Whether a jump ends a function, and is no stub of the procedure linkage table."""
        chunk = self._chunk(address)
        if chunk is None or not chunk.index.get(address):
            return False
        before = chunk.index[address] - 1
        return not chunk.is_end(before) and not chunk.code[before][2].startswith(("endbr", "nop"))

    def _arm_stubs(self, slots: Mapping[int, str]) -> Iterator[tuple[int, str]]:
        """ADRP x16, page; LDR x17, [x16, #offset]: the start of every stub."""
        for start, data in self._pieces:
            code = words(data)
            for number, following in enumerate(code[1:]):
                if (offset := loaded(following)) is None:
                    continue
                address = start + 4 * number
                base = page(code[number], address)
                if base is not None and (name := slots.get(base + offset)):
                    yield address, name
                    yield address - 4, name  # behind BTI

    # --- the code as a graph

    @cached_property
    def _sources(self) -> dict[int, list[int]]:
        """The direct calls and jumps that lead to each address, but short ones of x86-64; some are none."""
        found: dict[int, list[int]] = {}
        for start, data in self._pieces:
            if self._is_arm:
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
        for start, data in self._pieces if not self._is_arm else ():
            if not start <= target < start + len(data):
                continue
            first = max(0, target - start - _REACH)
            for match in _SHORT_JUMPS.finditer(data, first, target - start + _REACH):
                distance = data[match.end()] - ((data[match.end()] & 0x80) << 1)
                source = start + match.start()
                if source + 2 + distance == target and (chunk := self._chunk(source)) and source in chunk.index:
                    yield source

    @cached_property
    def _addresses(self) -> set[int]:
        """Addresses in memory that the code of x86-64 names as a distance."""
        return {
            start + found.end() + 4 + unpack_from("<i", data, found.end())[0]
            for start, data in self._pieces
            if not self._is_arm
            for found in _ADDRESSES.finditer(data)
        }

    @cached_property
    def _exported(self) -> set[int]:
        return defined(self._elf)

    def _may_be_called_from_elsewhere(self, address: int) -> bool:
        """Whether others know of a function: it is exported, or its address stands somewhere."""
        if address not in self._elsewhere:
            self._elsewhere[address] = self._is_known_elsewhere(address)
        return self._elsewhere[address]

    def _is_known_elsewhere(self, address: int) -> bool:
        if address == self._elf.entry or address in self._addresses or (address in self._exported and not self._names):
            return True
        if self._is_arm and self._arm_names(address):
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
        for start, data in self._pieces:
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

    def _chunk(self, address: int) -> Chunk | None:
        """The function around an address, or all code where nothing tells where functions are; None if too large."""
        piece = next(((start, data) for start, data in self._pieces if start <= address < start + len(data)), None)
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
            too_large = last - first > (_FUNCTION if is_exact else _SWEPT)
            self._chunks[first] = (
                None
                if too_large
                else Chunk(
                    self._disassembled(data[first - start : last - start], first),
                    is_exact=is_exact,
                    is_arm=self._is_arm,
                )
            )
        return self._chunks[first]

    def _disassembled(self, data: bytes, address: int) -> list[Instruction]:
        if self._engine is None:
            import capstone

            if self._is_arm:
                self._engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
            else:
                self._engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
            self._engine.skipdata = True
        return list(self._engine.disasm_lite(data, address))

    # --- values

    def _value(self, address: int, register: str) -> Value:
        """What a register may hold right before the instruction at an address."""
        kept = self._machine.kept if self._machine else frozenset()
        waiting = [(address, register, 0, 0, "")]
        seen = set(waiting)
        constants: dict[int, tuple[int, int, str]] = {}
        is_known = True
        for _ in range(_STEPS):
            if not waiting:
                return Value(constants, is_known and bool(constants))
            here, wanted, more, call, handed = waiting.pop()
            before = self._before(here)
            if not before.is_whole:
                is_known = False
            states = [
                (source, wanted, more, source, wanted)
                for source in before.callers
                if not self._is_of_go(self.function(source))  # whoever calls such a one is asked by itself
            ]
            for chunk, index in before.steps:
                found = chunk.effect(index, wanted, kept)
                at = chunk.code[index][0]
                if found is None:
                    is_known = False
                elif not found.register:
                    constants[(found.plus + more) & _WORD] = (at, call, handed)
                else:
                    states.append((at, found.register, more + found.plus, call, handed))
            waiting += [one for one in states if one not in seen]
            seen.update(states)
            if len(constants) > _VALUES:
                break
        return Value(constants, is_known=False)

    def _before(self, address: int) -> _Before:
        """What may run right before the instruction at an address."""
        chunk = self._chunk(address)
        if chunk is None or address not in chunk.index:
            return _Before((), (), is_whole=False)
        at = chunk.index[address]
        is_start = at == 0 and chunk.is_exact
        steps = [(chunk, one) for one in chunk.jumps.get(address, ()) if not (at == 0 and self._names)]
        far, callers, is_whole = self._far(address, chunk)
        steps += far
        is_entry = is_start or address in chunk.called or bool(callers)
        if is_entry and self._may_be_called_from_elsewhere(address):
            is_whole = False
        if at and not chunk.is_end(at - 1) and not (is_entry and chunk.is_filled(at)):
            steps.append((chunk, at - 1))
        if not steps and not is_entry:
            if chunk.code[at][2].startswith("nop"):
                return _Before((), (), is_whole=True)  # it fills up, and is never reached
            steps = [(chunk, one) for one in chunk.switches] if chunk.is_exact else []
        return _Before(tuple(steps), tuple(callers), is_whole and bool(steps or callers))

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
            other = self._chunk(source)
            if other is None:
                is_whole = False
            elif source in other.index and other.is_call(source):
                callers.append(source)
            elif source in other.index:
                steps.append((other, other.index[source]))
        return steps, callers, is_whole


class _Before(NamedTuple):
    """What may run right before an instruction: instructions, and calls of the function that it is the first of.

    `is_whole`: nothing else may.
    """

    steps: tuple[tuple[Chunk, int], ...]
    callers: tuple[int, ...]
    is_whole: bool
