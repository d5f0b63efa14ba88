"""Instructions of x86-64 and arm64: what each makes of a register, and how those of a function follow one another."""

from __future__ import annotations

import re
import sys
from array import array

from .startup import NamedTuple, late

Instruction = tuple[int, int, str, str]
"""Address, size, mnemonic and operands."""

_NUMBER = late(r"#?(-?(?:0x[0-9a-f]+|\d+))")
_ON_STACK = late(r"\[sp, #(\w+)\]")
_AT_RIP = late(r"\[rip(?: ([+-]) (0x[0-9a-f]+|\d+))?\]")
_VECTOR = 32
"""Bytes that an instruction on a vector may write."""
_MOVES = frozenset({"mov", "movabs", "movsxd"})
_ALIGNED = 16
_CALLS = frozenset({"call", "bl", "blr", "blraa"})
_ADRP, _ADR, _ADD, _LDR_X17, _SVC = 0x90000000, 0x10000000, 0x91000000, 0xF9400211, 0xD4000001
_B_CONDITION = 0x54
_BRANCHES = dict.fromkeys((*range(0x14, 0x18), *range(0x94, 0x98)), (0, 26)) | {
    **dict.fromkeys((_B_CONDITION, 0x34, 0x35, 0xB4, 0xB5), (5, 19)),
    **dict.fromkeys((0x36, 0x37, 0xB6, 0xB7), (5, 14)),
}
"""The upper byte of B and BL; of B.cond, CBZ and CBNZ; of TBZ and TBNZ: where the distance stands, and its bits."""
_MIDDLE = 10
"""Numbers below are written as decimal ones, others as hexadecimal ones."""

_WIDE = {"eax": "rax", "ebx": "rbx", "ecx": "rcx", "edx": "rdx", "esi": "rsi", "edi": "rdi", "ebp": "rbp", "esp": "rsp"}
_WIDE |= {one: f"r{one[0]}x" for one in ("al", "bl", "cl", "dl", "ah", "bh", "ch", "dh")}
_WIDE |= {one: f"r{one}" for one in ("ax", "bx", "cx", "dx", "si", "di", "bp")}  # sp is that of arm64
_WIDE |= {f"{one}l": f"r{one}" for one in ("si", "di", "bp", "sp")}
_WIDE |= {f"r{number}{size}": f"r{number}" for number in range(8, 16) for size in "dwb"}
_WIDE |= {f"w{number}": f"x{number}" for number in range(31)}
_WHOLE = frozenset({"eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"}) | {f"r{number}d" for number in range(8, 16)}
"""Halves that clear the rest of their register."""
_WIDEST = frozenset({*_WIDE.values(), "rsp", "sp"})
_ENDS = frozenset({"jmp", "ret", "retf", "ud2", "hlt", "int3", "b", "br", "udf", "brk", "braa", "retaa", "retab"})
_READS = frozenset(
    {"cmp", "test", "push", "nop", "endbr64", "ret", "bt", "cmn", "tst", "ccmp", "fcmp", "ucomiss", "comiss", "ucomisd",
     "comisd", "hint", "bti", "cbz", "cbnz", "tbz", "tbnz", "prfm", "dmb", "ptest", "mfence"}
)  # fmt: skip
_READING = ("j", "st", "b.", "nop", "prefetch")
"""What the names of instructions begin with that write no register which they name first."""
_STRINGS = ("rep", "stos", "movsb", "movsw", "movsq", "scas", "cmps", "lods")
_BOTH = frozenset({"xchg", "xadd", "ldp", "ldpsw", "ldaxp", "ldxp", "mulx"})
"""Instructions that write more than the first register that they name."""
_ALSO = {
    "cdq": ("rdx",), "cqo": ("rdx",), "mul": ("rax", "rdx"), "div": ("rax", "rdx"),
    "idiv": ("rax", "rdx"), "imul": ("rax", "rdx"), "cpuid": ("rax", "rbx", "rcx", "rdx"), "rdtsc": ("rax", "rdx"),
    "rdtscp": ("rax", "rcx", "rdx"), "xgetbv": ("rax", "rdx"), "leave": ("rbp", "rsp"), "cmpxchg": ("rax",),
    "syscall": ("rax", "rcx", "r11"), "svc": ("x0",), "int": ("rax",), "cmpxchg8b": ("rax", "rdx"), "loop": ("rcx",),
    "cmpxchg16b": ("rax", "rdx"), "xlatb": ("rax",), "lahf": ("rax",), "pcmpestri": ("rcx",), "pcmpistri": ("rcx",),
    "movsd": ("rcx", "rsi", "rdi"), "enter": ("rbp", "rsp"), "rdpmc": ("rax", "rdx"), "vpcmpistri": ("rcx",),
}  # fmt: skip
"""Registers that an instruction writes without naming them first."""


class Effect(NamedTuple):
    """What an instruction makes of a register: what `register` holds, or nothing ("") yet, and `plus` more."""

    register: str
    plus: int = 0


class Chunk:
    """Disassembled code: a function, or (not `is_exact`) all that there is."""

    def __init__(self, code: list[Instruction], *, is_exact: bool, is_arm: bool) -> None:
        self.code = code
        self.is_exact = is_exact
        self.is_arm = is_arm
        self.index = {one[0]: number for number, one in enumerate(code)}
        self.jumps: dict[int, list[int]] = {}
        """The instructions that jump to an address."""
        self.called: set[int] = set()
        self.switches: list[int] = []
        """Those that jump to where a register says."""
        for number, (_, _, name, operands) in enumerate(code):
            bare = _bare(name)
            if bare in {"call", "bl"}:
                if (target := _number(operands)) is not None:
                    self.called.add(target)
            elif bare[0] in "jb" or bare[:2] in {"cb", "tb"} or bare[:4] in {"loop", "xbeg"}:
                target = _number(operands.rpartition(", ")[2])
                if target is not None:
                    self.jumps.setdefault(target, []).append(number)
                elif bare in {"jmp", "br"}:
                    self.switches.append(number)

    def is_end(self, number: int) -> bool:
        """Whether what stands behind an instruction is never reached from it."""
        name = self.code[number][2]
        return _bare(name) in _ENDS or name in {"repz ret", "rep ret", ".byte"}

    def is_filled(self, number: int) -> bool:
        """Whether filling stands before an instruction, and a call before that: one that never returns.

        So compilers align functions; behind any other call a function would go on, or return.
        """
        at = number - 1
        while at >= 0 and self.code[at][2].startswith("nop"):
            at -= 1
        is_aligned = self.code[number][0] % _ALIGNED == 0
        return 0 <= at < number - 1 and is_aligned and _bare(self.code[at][2]) in _CALLS

    def is_call(self, address: int) -> bool:
        """Whether the instruction at an address calls a function."""
        return _bare(self.code[self.index[address]][2]) in _CALLS

    def enters_kernel(self, address: int) -> bool:
        """Whether the instruction at an address enters the kernel in the way of its machine."""
        return self.code[self.index[address]][2] in {"syscall", "svc"}

    def effect(self, number: int, wanted: str, kept: frozenset[str]) -> Effect | None:
        """What an instruction makes of a register, or of a word on the stack (`[rsp + 8]`); None: that is not told.

        Functions that are called keep the registers `kept`.
        """
        _, _, name, operands = self.code[number]
        name = _bare(name)
        if wanted[0] == "[":
            return _stacked(name, operands, wanted)
        if name in _CALLS:
            return Effect(wanted) if wanted in kept else None
        target, _, rest = operands.partition(", ")
        is_read = _WIDE.get(target, target) != wanted or name in _READS or name in _ENDS or name.startswith(_READING)
        if is_read or _is_lost(name, operands, wanted):
            return None if _is_lost(name, operands, wanted) else Effect(wanted)
        return _arm(name, rest, wanted) if self.is_arm else self._intel(number, name, target, rest)

    def _intel(self, number: int, name: str, target: str, rest: str) -> Effect | None:
        """Of x86-64, the register that is named first."""
        address, size, _, _ = self.code[number]
        value = 0 if name == "xor" and rest == target else _number(rest) if name in _MOVES else None
        if target not in _WHOLE and target not in _WIDEST:
            return None
        if value is not None:
            return Effect("", value & 0xFFFFFFFF if target in _WHOLE else value)
        if name in _MOVES and (rest in _WIDE or rest in _WIDEST):
            return Effect(_WIDE.get(rest, rest))
        if name == "lea" and (match := _AT_RIP.fullmatch(rest)):
            distance = int(match[2], 0) if match[2] else 0
            return Effect("", address + size + (-distance if match[1] == "-" else distance))
        before = self.code[number - 1] if number and address not in self.jumps else None
        if name == "pop" and before and before[2] == "push" and (value := _number(before[3])) is not None:
            return Effect("", value)
        return None


def _bare(name: str) -> str:
    """The mnemonic without prefixes that change nothing here."""
    return name.removeprefix("lock ").removeprefix("notrack ").removeprefix("bnd ")


def _is_lost(name: str, operands: str, wanted: str) -> bool:
    """Whether an instruction writes a register that it does not name first."""
    if wanted in _ALSO.get(name, ()):
        return name != "imul" or "," not in operands
    if name.startswith(_STRINGS):
        return wanted in {"rcx", "rsi", "rdi", "rax"}
    if name.startswith((".byte", "stx", "stlx")):
        return True
    names = [_WIDE.get(one, one) for one in re.split(r"[^\w]+", operands)]
    if name in _BOTH or (name.startswith(("ld", "st")) and ("!" in operands or "], " in operands)):
        return wanted in names
    return False


def _stacked(name: str, operands: str, wanted: str) -> Effect | None:
    """What becomes of a word on the stack; what is stored through other registers is taken to be elsewhere."""
    target, _, rest = operands.partition(", ")
    if name in _CALLS or name in {"push", "pop", "svc", "syscall"} or target in {"rsp", "sp"}:
        return None
    if name in {"str", "stp"}:
        *sources, place = operands.replace(", #", " #").split(", ")
        places = [place.replace(" #", ", #")]
        if len(sources) > 1 and (match := _ON_STACK.fullmatch(places[0])):
            after = int(match[1], 0) + 8
            places.append(f"[sp, #{after if after < _MIDDLE else hex(after)}]")
        source = sources[places.index(wanted)] if wanted in places else ""
        return Effect(wanted) if not source else Effect("") if source == "xzr" else Effect(_WIDE.get(source, source))
    size, _, place = target.rpartition(" ptr ")
    if place == wanted and name == "mov":
        value = _number(rest)
        return Effect(_WIDE.get(rest, rest)) if value is None else Effect("", value)
    if size in {"xmmword", "ymmword"} and place.startswith("[rsp"):
        start = _offset(place)
        if start <= _offset(wanted) < start + _VECTOR:
            return Effect("") if rest == "xmm15" else None  # where Go keeps a zero
    return Effect(wanted)


def _offset(place: str) -> int:
    """Of `[rsp + 0x10]`."""
    return int(place[1:-1].rpartition(" ")[2], 0) if "+" in place else 0


def _arm(name: str, rest: str, wanted: str) -> Effect | None:
    """Of arm64, the register that is named first."""
    source, _, value = rest.partition(", ")
    number, shift = _number(source), value.removeprefix("lsl #")
    if name in {"mov", "movz", "adrp", "adr", "sxtw", "uxtw"}:
        if number is not None:
            return Effect("", number << int(shift or 0))
        return Effect("") if source in {"wzr", "xzr"} else Effect(_WIDE.get(source, source))
    if name == "movk" and number is not None:
        return Effect(wanted, number << int(shift or 0))
    more = _number(value)
    return Effect(_WIDE.get(source, source), more) if name == "add" and more is not None else None


def _number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    return int(match[1], 0) if match else None


# --- words of arm64


def words(data: bytes) -> array[int]:
    """Instructions of arm64 as numbers."""
    found = array("I", data[: len(data) // 4 * 4])
    if sys.byteorder != "little":
        found.byteswap()
    return found


def page(word: int, address: int) -> int | None:
    """The page that an ADRP at an address makes; None of another instruction."""
    return (address & ~0xFFF) + (_distance(word) << 12) if word & 0x9F000000 == _ADRP else None


def near(word: int, address: int) -> int | None:
    """The address that an ADR makes; None of another instruction."""
    return address + _distance(word) if word & 0x9F000000 == _ADR else None


def branch(word: int, address: int) -> int | None:
    """Where a B, BL or conditional branch leads to; None of another instruction."""
    place = _BRANCHES.get(word >> 24)
    if place is None or (word >> 24 == _B_CONDITION and word & 0x10):
        return None
    shift, bits = place
    distance = word >> shift & (1 << bits) - 1
    return address + 4 * (distance - (distance >> bits - 1 << bits))


def added(word: int) -> tuple[int, int] | None:
    """The register that an ADD adds a constant to, and that; None of another instruction."""
    return (word >> 5 & 31, word >> 10 & 0xFFF) if word & 0xFFC00000 == _ADD else None


def loaded(word: int) -> int | None:
    """How far behind x16 an LDR to x17 looks, as in stubs of the procedure linkage table; None of another one."""
    return (word >> 10 & 0xFFF) * 8 if word & 0xFFC003FF == _LDR_X17 else None


def enters(word: int) -> bool:
    """Whether it is an SVC."""
    return word & 0xFFE0001F == _SVC


def _distance(word: int) -> int:
    distance = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    return distance - ((distance >> 20 & 1) << 21)
