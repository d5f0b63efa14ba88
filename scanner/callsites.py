"""Call sites in machine code of x86-64 and arm64: which system calls and imported functions, with which constants.

A constant is told only where every way through the function that leads to the call sets it: values are followed
backwards over jumps, into callers where they are parameters, and are unknown where anything else may have set them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from struct import iter_unpack, unpack_from

from .codegraph import Graph
from .elf import Elf
from .imports import undefined
from .instructions import enters, loaded, page, words
from .source import LimitError
from .startup import NamedTuple, late

_RELA, _RELASZ, _JMPREL, _PLTRELSZ = 7, 8, 23, 2
_SYMTAB, _ENTRY = 6, 24
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
_SITES = 4096
"""Sites of one file that are looked at."""

_SLOTS = late(rb"\xff[\x15\x25](?=....)", re.DOTALL)
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
    ),
}


class Code:
    """The code of one ELF file; addresses are those in memory."""

    def __init__(self, elf: Elf, names: Mapping[int, str] | None = None) -> None:
        """`names` are the functions of a Go program by their addresses. Raises LimitError for too much code."""
        self._elf = elf
        self._names = names or {}
        self._machine = _MACHINES.get(elf.machine)
        self._graph = Graph(elf, names or {})

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
            chunk = self._graph.chunk(address)
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
        callers = [one for one in self._graph.before(start).callers if not self._is_of_go(self.function(one))]
        if machine is None or not callers:
            return
        if self._graph.may_be_called_from_elsewhere(start):
            yield Site(start, None)
        stacked = [self._value(one, machine.stacked[0]) for one in callers]
        is_stacked = 2 * sum(one.is_known for one in stacked) > len(stacked)
        for number, caller in enumerate(callers):
            value = stacked[number] if is_stacked else self._value(caller, machine.go)
            if not value.is_known and self.function(caller) in _GO_FCNTL:
                yield Site(caller, _FCNTL[self._graph.is_arm])
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
        return self._graph.function(address)

    def _entering(self) -> Iterator[int]:
        for start, data in self._graph.pieces:
            if self._graph.is_arm:
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
                if kind == machine.jump_slot or (kind == machine.data_slot and not self._graph.is_arm):
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
        stubs = dict(self._arm_stubs(slots)) if self._graph.is_arm else {}
        for start, data in self._graph.pieces if not self._graph.is_arm else ():
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
        taken |= {name for address, name in {**slots, **stubs}.items() if address in self._graph.addresses}
        for target, name in stubs.items():
            yield from ((address, name) for address in self._graph.leading_to(target))

    def _is_reached_from_above(self, address: int) -> bool:
        """Whether a jump ends a function, and is no stub of the procedure linkage table."""
        chunk = self._graph.chunk(address)
        if chunk is None or not chunk.index.get(address):
            return False
        before = chunk.index[address] - 1
        return not chunk.is_end(before) and not chunk.code[before][2].startswith(("endbr", "nop"))

    def _arm_stubs(self, slots: Mapping[int, str]) -> Iterator[tuple[int, str]]:
        """ADRP x16, page; LDR x17, [x16, #offset]: the start of every stub."""
        for start, data in self._graph.pieces:
            code = words(data)
            for number, following in enumerate(code[1:]):
                if (offset := loaded(following)) is None:
                    continue
                address = start + 4 * number
                base = page(code[number], address)
                if base is not None and (name := slots.get(base + offset)):
                    yield address, name
                    yield address - 4, name  # behind BTI

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
            before = self._graph.before(here)
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
