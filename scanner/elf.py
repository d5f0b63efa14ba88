"""ELF files: what program headers and the dynamic section prove about a binary's hardening.

The loader and the kernel look at segments, so this does too: section headers may be stripped or lie. They are read
only to tell separate debug symbols from programs, and in relocatable objects, which have nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from struct import Struct, unpack

from .source import DamagedError, LimitError
from .startup import Literal, NamedTuple
from .subjects import Binary, File, Yes

MAGIC = b"\x7fELF"

_REL, _EXEC, _DYN = 1, 2, 3
_LOAD, _DYNAMIC, _INTERP, _STACK, _RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
_X, _W = 1, 2
_PN_XNUM = 0xFFFF
_DF_TEXTREL, _DF_BIND_NOW, _DF_1_NOW, _DF_1_PIE = 0x4, 0x8, 0x1, 0x08000000
_NEEDED, _PLTRELSZ, _PLTGOT, _STRTAB, _STRSZ, _SONAME, _DEBUG, _TEXTREL = 1, 2, 3, 5, 10, 14, 21, 22
_RPATH, _RUNPATH = 15, 29
_PLTREL, _RELA, _BIND_NOW, _FLAGS, _FLAGS_1 = 20, 7, 24, 30, 0x6FFFFFFB
_ALLOC, _PROGBITS, _SYMTAB, _NOTE, _NOBITS = 0x2, 1, 2, 7, 8
_FOR_DEBUGGERS = (b".debug", b".zdebug", b".stab")
"""How the names of sections begin that only debuggers read, and strip takes away."""

_ENTRIES = 10_000
"""Segments, or entries of a dynamic section, that a file may have: real ones stay below 100."""
_SEGMENTS = 512
"""Segments of what is examined: core dumps, which are not, have thousands."""
_SECTIONS = 1 << 17
"""Sections that an object may have: one for each function, in the largest ones."""
_STRING = 4096
"""Bytes of a path or library name."""
_PAGE = 4096
"""The loader protects whole pages; where pages are larger still, less is protected."""

_MACHINES = {
    (3, 32): "x86",
    (62, 64): "x86_64",
    (62, 32): "x32",
    (40, 32): "arm",
    (183, 64): "arm64",
    (243, 64): "riscv64",
    (243, 32): "riscv32",
    (22, 64): "s390x",
    (22, 32): "s390",
    (21, 64): "ppc64",
    (20, 32): "ppc",
    (8, 32): "mips",
    (8, 64): "mips64",
    (258, 64): "loongarch64",
    (247, 64): "bpf",
}
_STACK_DEFAULT: dict[str, Yes] = {
    "x86": "no",
    "arm": "no",
    "arm64": "yes",
    "ppc64": "yes",
    "riscv64": "yes",
    "loongarch64": "yes",
}
"""Whether the stack is protected when GNU_STACK is missing, where the kernel and every C library agree on it."""
_STACK_DEFAULT_OF_GLIBC = frozenset({"x86_64", "x32", "s390x", "s390"})
"""Here glibc makes stacks executable when GNU_STACK is missing; the kernel by itself (from 5.8 on x86-64) doesn't."""
_BOUND_BY_PLT = frozenset({"x86", "x86_64", "x32", "arm", "arm64", "riscv64", "s390x", "loongarch64"})
"""Here functions are bound through the PLT alone, and PLTGOT names the words that hold their addresses."""
_RESERVED = 2
"""Words at PLTGOT that come before those: two on RISC-V and LoongArch, three elsewhere."""
_KERNEL_LOADS = ("linux-vdso", "linux-gate")


class Segment(NamedTuple):
    """A program header; `offset` and `filesize` in bytes of the file, `address` and `memsize` in memory."""

    type: int
    flags: int
    offset: int
    address: int
    filesize: int
    memsize: int

    @property
    def permissions(self) -> str:
        """As readelf prints them: `RWE`, `R E`, `RW`."""
        return "".join(letter if self.flags & bit else " " for letter, bit in (("R", 4), ("W", _W), ("E", _X))).rstrip()


class Section(NamedTuple):
    """A section header; `name` is an offset into the section that `Elf.names` gives."""

    name: int
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """The structures of one class (32 or 64 bits) in one byte order."""

    bits: int
    header: Struct
    segment: Struct
    section: Struct
    dynamic: Struct

    @staticmethod
    def of(bits: int, order: str) -> _Layout:
        """The layout for `bits` and struct's byte order character; what nobody asks for is left out."""
        if bits == 64:  # noqa: PLR2004 - the class
            shapes = ("HHIQQQIHHHHHH", "IIQQ8xQQ8x", "IIQ8xQQII16x", "QQ")
        else:
            shapes = ("HHIIIIIHHHHHH", "III4xIII4x", "III4xIIII8x", "II")
        return _Layout(bits, *(Struct(order + shape) for shape in shapes))

    def segments(self, table: bytes) -> list[Segment]:
        """Those of a table; the two classes differ in where the flags stand."""
        if self.bits == 64:  # noqa: PLR2004 - the class
            return list(map(Segment._make, self.segment.iter_unpack(table)))
        return [Segment(one[0], one[5], *one[1:5]) for one in self.segment.iter_unpack(table)]

    def sections(self, table: bytes) -> list[Section]:
        """Those of a table."""
        return list(map(Section._make, self.section.iter_unpack(table)))


_LAYOUTS = {(kind, order): _Layout.of(32 * kind, "<>"[order - 1]) for kind in (1, 2) for order in (1, 2)}


class Elf:
    """The headers of an ELF file whose first bytes are `data` and whose full length is `size`."""

    def __init__(self, data: bytes, size: int = 0) -> None:
        """Read the header and the program headers. Raises DamagedError."""
        self.data = data
        self.size = max(size, len(data))
        layout = _LAYOUTS.get((data[4], data[5])) if len(data) > 16 and data[:4] == MAGIC else None  # noqa: PLR2004 - e_ident
        if layout is None:
            raise DamagedError("no ELF header, or one of an unknown class or byte order, at byte 0")
        self._layout = layout
        self.bits = layout.bits
        self.order = "<>"[data[5] - 1]
        """Of bytes, as struct names it."""
        raw = layout.header.unpack(self.bytes_at(16, layout.header.size, "the ELF header"))
        self.type, machine, _, self.entry, phoff, self._shoff = raw[:6]
        phentsize, phnum, shentsize, self._shnum, self._names = raw[8:]
        self.machine = _MACHINES.get((machine, self.bits), f"machine {machine}")
        self._sections: list[Section] | None = None
        if self._shoff and shentsize != layout.section.size:
            self._shoff = 0  # the loader doesn't look either
        if phnum and phentsize != layout.segment.size:
            raise DamagedError(f"program headers of {phentsize} bytes each, not {layout.segment.size}")
        self.segments = self._segments(phoff, self._first_section().info if phnum == _PN_XNUM else phnum)

    def bytes_at(self, offset: int, length: int, what: str) -> bytes:
        """Exactly `length` bytes from `offset`; `what` names them in the DamagedError."""
        end = offset + length
        if end > len(self.data):
            raise DamagedError(f"{what} ends at byte {end}, the file at {len(self.data)}")
        return self.data[offset:end]

    def numbers(self, offset: int, count: int, what: str) -> tuple[int, ...]:
        """`count` numbers of 32 bits from `offset`. Raises DamagedError."""
        return unpack(f"{self.order}{count}I", self.bytes_at(offset, 4 * count, what))

    def sections(self) -> list[Section]:
        """The section headers; empty when the file has none. Raises DamagedError, LimitError."""
        if self._sections is None:
            self._sections = self._all_sections()
        return self._sections

    def _all_sections(self) -> list[Section]:
        if not self._shoff:
            return []
        count = self._shnum or self._first_section().size
        if count > _SECTIONS:
            raise LimitError(f"{count} sections, more than {_SECTIONS}")
        table = self.bytes_at(self._shoff, count * self._layout.section.size, "the table of sections")
        return self._layout.sections(table)

    def section_named(self, name: bytes) -> bytes | None:
        """The content of the first section of that name, None when there is none. Raises DamagedError."""
        sections, names = self.sections(), self.section_names
        for section in sections if name in names else ():
            if section.type != _NOBITS and names.startswith(name + b"\0", section.name):
                return self.bytes_at(section.offset, section.size, f"section {name.decode()}")
        return None

    @cached_property
    def section_names(self) -> bytes:
        """The names of the sections, each with a NUL behind it; empty when there are none. Raises DamagedError."""
        sections = self.sections()
        index = sections[0].link if sections and self._names == _PN_XNUM else self._names
        if not 0 < index < len(sections):
            return b""
        return self.bytes_at(sections[index].offset, sections[index].size, "the names of the sections")

    def loader_sections(self) -> list[Section]:
        """The same of a program: without them where they are damaged, as the loader never looks."""
        try:
            return self.sections()
        except DamagedError:
            self._sections = []
            return []

    @cached_property
    def tags(self) -> dict[int, int]:
        """The first value of each tag of the dynamic section. Raises DamagedError, LimitError."""
        return dict(reversed(self.dynamic))

    @cached_property
    def dynamic(self) -> list[tuple[int, int]]:
        """The entries (tag, value) of the dynamic section up to its end. Raises DamagedError, LimitError."""
        segment = next((one for one in self.segments if one.type == _DYNAMIC), None)
        if segment is None:
            return []
        size = self._layout.dynamic.size
        count = min(segment.filesize // size, _ENTRIES + 1)
        table = self.bytes_at(segment.offset, count * size, "the dynamic section")
        entries: list[tuple[int, int]] = list(self._layout.dynamic.iter_unpack(table))
        end = next((number for number, entry in enumerate(entries) if not entry[0]), len(entries))
        if end > _ENTRIES:
            raise LimitError(f"a dynamic section of more than {_ENTRIES} entries")
        return entries[:end]

    def stretches(self, flags: int, without: int = 0) -> list[tuple[int, int]]:
        """Where in the file loaded segments with these flags, and without those, start and end; no byte comes twice."""
        places = sorted(
            (one.offset, one.offset + one.filesize)
            for one in self.segments
            if one.type == _LOAD and one.flags & flags == flags and not one.flags & without
        )
        joined: list[tuple[int, int]] = []
        for start, end in places:
            if joined and start < joined[-1][1]:
                joined[-1] = joined[-1][0], max(end, joined[-1][1])
            else:
                joined.append((start, end))
        return joined

    def offset_of(self, address: int) -> int:
        """Where in the file the byte at `address` in memory stands. Raises DamagedError when nowhere."""
        for one in self.segments:
            if one.type == _LOAD and one.address <= address < one.address + one.filesize:
                return address - one.address + one.offset
        raise DamagedError(f"address {address:#x} is in no loaded segment")

    def entry_offset(self) -> int | None:
        """Where in the file a program starts; None where it is no program."""
        try:
            return self.offset_of(self.entry) if self.entry else None
        except DamagedError:
            return None

    def string(self, offset: int, length: int, what: str) -> str:
        """The text at `offset` up to its NUL, within `length` bytes. Raises DamagedError."""
        end = self.data.find(b"\0", offset, offset + min(length, _STRING))
        if end < 0:
            raise DamagedError(f"{what} at byte {offset} has no end")
        return self.data[offset:end].decode("utf-8", "surrogateescape")

    def _first_section(self) -> Section:
        if not self._shoff:
            raise DamagedError("a count that stands in the first section, and no sections")
        size = self._layout.section.size
        return self._layout.sections(self.bytes_at(self._shoff, size, "the first section header"))[0]

    def _segments(self, offset: int, count: int) -> list[Segment]:
        if count > _ENTRIES:
            raise LimitError(f"{count} program headers, more than {_ENTRIES}")
        table = self.bytes_at(offset, count * self._layout.segment.size, "the table of program headers")
        return self._layout.segments(table)


def read(file: File, data: bytes) -> Binary | None:
    """What the headers in `data`, the content of `file`, tell of its hardening.

    None when it is not ELF, or ELF but neither program, library nor object (a core dump). Raises DamagedError when it
    breaks off or contradicts itself, LimitError when a table is absurdly long.
    """
    return binary(file, Elf(data, file.size)) if data[:4] == MAGIC else None


def looks_whole(head: bytes, size: int) -> bool:
    """Whether a file of this size and these first bytes is a program that is likely to be read without damage."""
    try:
        found = Elf(head, size)
    except DamagedError:
        return False
    ends = [one.offset + one.filesize for one in found.segments if one.type == _LOAD]
    return bool(ends) and max(ends) <= size


def binary(file: File, elf: Elf) -> Binary | None:
    """The same of a file that is parsed already. Raises DamagedError, LimitError."""
    if _is_debug(elf):
        return _bare(file, elf, "debug", "allocated sections are NOBITS")
    if elf.type == _REL:
        return _bare(file, elf, "object", "REL")
    if elf.type not in {_EXEC, _DYN}:
        return None
    return _Facts(elf).binary(file)


def damaged(file: File, why: str) -> Binary:
    """What is left to say of an ELF file that breaks off or contradicts itself."""
    evidence = dict.fromkeys(("relro", "nx", "pie"), why)
    return Binary(file, "", 0, "damaged", "", (), "undecided", "undecided", (), textrel=False, evidence=evidence)


def facts(binary: Binary) -> dict[str, str]:
    """What the headers tell, as `lkscan inspect --binaries` names it.

    `relro` none, partial, full, static, na; `nx` yes, no, na; `pie` no, pie, static-pie, dso, na; or undecided.
    """
    pie = {"exec": "no", "static": "no", "object": "na", "debug": "na", "damaged": "undecided"}
    return {"relro": binary.relro, "nx": binary.nx, "pie": pie.get(binary.kind, binary.kind)}


def _is_debug(elf: Elf) -> bool:
    """Whether only symbols are left: nothing that would be loaded, notes aside, has any content."""
    loaded = [one.type for one in elf.loader_sections() if one.flags & _ALLOC and one.size and one.type != _NOTE]
    return bool(loaded) and all(one == _NOBITS for one in loaded)


def _symbols(elf: Elf) -> int:
    """Bytes of symbols and of what debuggers read, which nothing loads; 0 where the sections contradict themselves."""
    sections = elf.loader_sections()
    try:
        names = elf.section_names
    except DamagedError:
        return 0
    size = 0
    for one in sections:
        if one.flags & _ALLOC or one.offset + one.size > elf.size:
            continue
        if one.type == _SYMTAB:
            size += one.size + (sections[one.link].size if one.link < len(sections) else 0)  # with their names
        elif one.type == _PROGBITS and names.startswith(_FOR_DEBUGGERS, one.name):
            size += one.size
    return min(size, elf.size)


def _bare(file: File, elf: Elf, kind: Literal["object", "debug"], why: str) -> Binary:
    evidence = {"relro": why, "nx": why, "pie": why}
    return Binary(file, elf.machine, elf.bits, kind, "", (), "na", "na", (), textrel=False, evidence=evidence)


class _Facts:
    """The properties of one program or library; each method gives one and its evidence."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf
        self._loads = [one for one in elf.segments if one.type == _LOAD]
        self._check()
        self._interpreter = self._find_interpreter()
        self._tags = elf.tags
        needed = [value for tag, value in elf.dynamic if tag == _NEEDED]
        self._needed = tuple(self._dynamic_string(one) for one in needed)
        self._soname = self._dynamic_string(self._tags[_SONAME]) if _SONAME in self._tags else ""

    def binary(self, file: File) -> Binary:
        """All of it together."""
        kind, pie = self._kind()
        relro, relro_evidence = self._relro(kind)
        nx, nx_evidence = self._nx(kind)
        rwx = tuple(title(one) for one in self._loads if one.flags & _W and one.flags & _X)
        textrel = self._textrel()
        evidence = {
            "pie": pie,
            "relro": relro_evidence,
            "nx": nx_evidence,
            "rwx": ", ".join(rwx) or "no LOAD is RWE",
            "textrel": textrel or "no TEXTREL",
        }
        elf = self._elf
        return Binary(
            file,
            elf.machine,
            elf.bits,
            kind,
            self._interpreter,
            self._needed,
            relro,
            nx,
            rwx,
            textrel=bool(textrel),
            evidence=evidence,
            soname=self._soname,
            search=self._search(),
            symbols=_symbols(elf),
        )

    def _check(self) -> None:
        if len(self._elf.segments) > _SEGMENTS:
            raise LimitError(f"{len(self._elf.segments)} program headers, more than {_SEGMENTS}")
        if not self._loads:
            raise DamagedError("no segment to load, so it can't be run or linked")
        for one in self._loads:
            if one.offset + one.filesize > self._elf.size:
                raise DamagedError(
                    f"segment {title(one)} ends at byte {one.offset + one.filesize}, the file at {self._elf.size}"
                )

    def _find_interpreter(self) -> str:
        segment = next((one for one in self._elf.segments if one.type == _INTERP), None)
        return self._elf.string(segment.offset, segment.filesize, "the interpreter") if segment else ""

    @cached_property
    def _strings_at(self) -> int:
        return self._elf.offset_of(self._tags.get(_STRTAB, 0))

    def _dynamic_string(self, index: int) -> str:
        if index >= self._tags.get(_STRSZ, 0):
            raise DamagedError(f"a name at byte {index} of the dynamic strings, beyond their end")
        return self._elf.string(self._strings_at + index, self._tags[_STRSZ] - index, "a dynamic string")

    def _search(self) -> tuple[str, ...]:
        """RUNPATH, or else RPATH, in parts; RPATH is ignored where both are."""
        tag = next((one for one in (_RUNPATH, _RPATH) if one in self._tags), None)
        text = self._dynamic_string(self._tags[tag]) if tag else ""
        return tuple(text.split(":")) if text else ()  # a loader takes an empty one for none

    def _kind(self) -> tuple[Literal["exec", "pie", "static-pie", "static", "dso"], str]:
        if self._elf.type == _EXEC:
            return ("exec", "EXEC") if self._interpreter else ("static", "EXEC, no INTERP")
        if self._tags.get(_FLAGS_1, 0) & _DF_1_PIE:
            return ("pie", "DYN, FLAGS_1 PIE") if self._interpreter else ("static-pie", "DYN, FLAGS_1 PIE, no INTERP")
        if self._soname:
            return "dso", f"DYN, SONAME {self._soname}"
        if self._interpreter and _DEBUG in self._tags:  # linkers from before DF_1_PIE (binutils 2.26)
            return "pie", "DYN, INTERP and DEBUG, no SONAME"
        return "dso", "DYN, no FLAGS_1 PIE"

    def _relro(self, kind: str) -> tuple[Literal["none", "partial", "full", "static", "na"], str]:
        segment = next((one for one in self._elf.segments if one.type == _RELRO), None)
        present = "GNU_RELRO" if segment else "no GNU_RELRO"
        if kind in {"static", "static-pie"} or not self._tags:
            return "static", f"{present}, nothing is bound at run time"
        if segment is None:
            if not any(one.flags & _W for one in self._loads):
                return "na", "no GNU_RELRO, no writable LOAD"
            return "none", ", ".join((present, *self._bind_now()))
        start, end = segment.address // _PAGE * _PAGE, (segment.address + segment.memsize) // _PAGE * _PAGE
        if end <= start:
            return "none", f"GNU_RELRO {segment.address:#x} of {segment.memsize:#x} bytes covers no whole page"
        return self._binding(start, end)

    def _binding(self, start: int, end: int) -> tuple[Literal["partial", "full"], str]:
        """Full when nothing is bound lazily, and the words that are bound lie within the protected pages."""
        slots, now = self._plt_slots(), self._bind_now()
        if not slots and self._elf.machine in _BOUND_BY_PLT:
            return "full", ", ".join(("GNU_RELRO", *now, "no JMPREL: nothing is bound lazily"))
        if not now:
            return "partial", "GNU_RELRO, no BIND_NOW"
        got = self._tags.get(_PLTGOT)
        got_end = (got or 0) + (_RESERVED + slots) * self._elf.bits // 8
        if got is not None and self._elf.machine in _BOUND_BY_PLT and not start <= got <= got_end <= end:
            return "partial", f"GNU_RELRO, {now[0]}, but PLTGOT {got:#x}-{got_end:#x} is outside {start:#x}-{end:#x}"
        return "full", ", ".join(("GNU_RELRO", *now))

    def _bind_now(self) -> tuple[str, ...]:
        """The first of the three ways in which a file asks to be bound at once, as readelf shows it."""
        if self._tags.get(_FLAGS_1, 0) & _DF_1_NOW:
            return ("FLAGS_1 NOW",)
        if self._tags.get(_FLAGS, 0) & _DF_BIND_NOW:
            return ("FLAGS BIND_NOW",)
        return ("BIND_NOW",) if _BIND_NOW in self._tags else ()

    def _plt_slots(self) -> int:
        """How many functions are bound through the PLT."""
        words = 2 if self._tags.get(_PLTREL) != _RELA else 3
        return self._tags.get(_PLTRELSZ, 0) // (words * self._elf.bits // 8)

    def _nx(self, kind: str) -> tuple[Yes, str]:
        segment = next((one for one in self._elf.segments if one.type == _STACK), None)
        if segment:
            return "no" if segment.flags & _X else "yes", f"GNU_STACK {segment.permissions}".rstrip()
        machine = self._elf.machine
        if self._soname.startswith(_KERNEL_LOADS):
            return "na", f"SONAME {self._soname}: mapped by the kernel, which asks for no GNU_STACK"
        if machine in _STACK_DEFAULT:
            return _STACK_DEFAULT[machine], f"no GNU_STACK, so the default of {machine}"
        if machine in _STACK_DEFAULT_OF_GLIBC and not kind.startswith("static") and not self._is_musl():
            return "no", "no GNU_STACK, so glibc makes stacks executable"
        return "undecided", f"no GNU_STACK: the kernel's version decides on {machine}"

    def _is_musl(self) -> bool:
        return any("musl" in one for one in (self._interpreter, *self._needed))

    def _textrel(self) -> str:
        if _TEXTREL in self._tags:
            return "TEXTREL"
        return "FLAGS TEXTREL" if self._tags.get(_FLAGS, 0) & _DF_TEXTREL else ""


def title(segment: Segment) -> str:
    """`LOAD 0x002dd0 0x3dd0 RWE`: offset, address and permissions, as readelf -lW shows them."""
    return f"LOAD {segment.offset:#08x} {segment.address:#x} {segment.permissions}"
