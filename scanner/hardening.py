"""How an ELF program or library was compiled, as far as its imports, notes and code prove it.

Five answers, each with its evidence: yes, no, `na` (nothing to protect, or the language does it its own way), `partial`
and `undecided`. What is cheap is asked first; code is read only where that leaves a question open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from . import codebytes
from .elf import Elf, dynamic_tags
from .imports import undefined
from .source import DamagedError
from .startup import Literal, NamedTuple
from .subjects import Answer, Binary

_NOTE, _PROPERTY = 4, 0x6474E553
_GNU_PROPERTY = (b"GNU\0", 5)
_NOTES = 7
"""Type of a section with notes."""
_NOTE_BYTES = 1 << 16
_X86_FEATURES = 0xC0000002
_X86 = frozenset({"x86_64", "x86", "x32"})
_SCAN = 64 << 20
"""Bytes that are searched for marks of languages and libraries."""
_GUARDS = frozenset({"__stack_chk_fail", "__stack_chk_guard", "__stack_chk_fail_local", "__stack_smash_handler"})
_FORMATTED_NAMES = "printf fprintf vprintf vfprintf dprintf vdprintf asprintf vasprintf syslog vsyslog"
_FORMATTED = frozenset(_FORMATTED_NAMES.split())
"""Functions that FORTIFY always replaces: a plain import is proof of a part that was compiled without it."""
_SIZED_NAMES = (
    "memcpy memmove mempcpy memset strcpy stpcpy strncpy stpncpy strcat strncat sprintf snprintf vsprintf vsnprintf "
    "fgets fread gets read pread pread64 recv recvfrom poll ppoll readlink readlinkat realpath getcwd getwd confstr "
    "getgroups ttyname_r getlogin_r gethostname getdomainname longjmp wcscpy wcsncpy wcscat wcsncat wmemcpy wmemmove "
    "wmemset mbstowcs wcstombs mbsrtowcs obstack_printf obstack_vprintf fdelt explicit_bzero"
)
_SIZED = frozenset(_SIZED_NAMES.split())
"""Functions that FORTIFY replaces where it knows the size of the object and cannot prove that it is kept."""
_CHECKED = frozenset(f"__{name}_chk" for name in _FORMATTED | _SIZED)
"""What it replaces them with."""
_LEAST_COVERAGE, _LEAST_FUNCTIONS = 0.02, 100
"""Of 646 files that use canaries, one has less than 2 % of its functions guarded, and the median is 23 %."""
_MUSL = (b"MUSL_LOCPATH", b"No error information\0")
_GLIBC = (b"GLIBC_TUNABLES", b"Fatal glibc error")
"""What statically linked programs of each have in them: a variable that they heed, a message that is their own."""
_GO = b"\xff Go buildinf:"
_CGO = b"CGO_ENABLED=1"


class Traits(NamedTuple):
    """What was found; `evidence` maps a trait to the fact that decides it, in the words of readelf or objdump."""

    canary: Answer
    fortify: Answer
    cet: Answer
    evidence: Mapping[str, str]


class Inspector:
    """Answers for one program or library; each question is asked once."""

    def __init__(self, elf: Elf, binary: Binary) -> None:
        """`binary` is the same file, as far as its headers tell. Raises DamagedError."""
        self._elf = elf
        self._tags = dynamic_tags(elf)
        self._libraries = (binary.interpreter, *binary.needed)
        self._is_static = binary.kind in {"static", "static-pie"}

    def traits(self) -> Traits:
        """All of them."""
        canary, fortify, cet = self._canary(), self._fortify(), self._cet()
        evidence = {"canary": canary[1], "fortify": fortify[1], "cet": cet[1]}
        return Traits(canary[0], fortify[0], cet[0], evidence)

    # --- what it is made of

    @cached_property
    def imports(self) -> frozenset[str]:
        """The names of its undefined symbols."""
        return undefined(self._elf, self._tags)

    @cached_property
    def is_go(self) -> bool:
        """Whether Go's linker made it."""
        return self._has(_GO)

    @cached_property
    def uses_cgo(self) -> bool:
        """Whether there is C in a Go program."""
        return self.is_go and self._has(_CGO)

    @cached_property
    def libc(self) -> str:
        """`musl`, `glibc`, or "" when it uses neither or that is not known."""
        if any(self._libraries):
            text = " ".join(self._libraries)
            return "musl" if "musl" in text else "glibc" if "libc.so.6" in text or "ld-linux" in text else ""
        return "musl" if any(map(self._has, _MUSL)) else "glibc" if any(map(self._has, _GLIBC)) else ""

    def _has(self, mark: bytes) -> bool:
        return self._elf.data.find(mark, 0, _SCAN) >= 0

    # --- stack canaries

    def _canary(self) -> tuple[Answer, str]:
        named = sorted(self.imports & _GUARDS)
        if self.is_go and not named:
            return self._go("Go grows and checks its stacks itself")
        if named:
            return self._covered(named[0])
        if self._elf.machine == "x86_64":
            return self._by_code()
        if self._elf.machine == "arm64" and not self._is_static:
            how = "ADD Xn, SP for a variable"
            taken = codebytes.takes_addresses(self._elf)
            return ("no", f"no UND __stack_chk_fail, {how}") if taken else ("na", f"no {how}")
        return "undecided", f"no UND __stack_chk_fail, and code of {self._elf.machine} is not read for it"

    def _covered(self, name: str) -> tuple[Answer, str]:
        """A file that can call the handler: it may still be one small part of it that does."""
        functions = codebytes.functions(self._elf)
        if self._elf.machine != "x86_64" or functions < _LEAST_FUNCTIONS:
            return "yes", f"UND {name}"
        guarded = codebytes.guards(self._elf).functions
        why = f"UND {name}, {guarded} of {functions} functions guarded"
        return ("partial", why) if guarded < functions * _LEAST_COVERAGE else ("yes", why)

    def _by_code(self) -> tuple[Answer, str]:
        """Without an import: statically linked, or with a handler of its own, or without canaries."""
        guarded = codebytes.guards(self._elf).functions
        if guarded and self._is_static:
            return "undecided", f"statically linked, {guarded} functions test %fs:0x28: whose they are is not told"
        if guarded:
            return "yes", f"{guarded} functions test %fs:0x28"
        if codebytes.takes_addresses(self._elf):
            return "no", "no instruction tests %fs:0x28, and LEA n(%rsp) takes addresses of local variables"
        return "na", "no LEA n(%rsp): no function takes the address of a local variable"

    def _go(self, why: str) -> tuple[Answer, str]:
        return ("undecided", "Go with C: whose code it is cannot be told") if self.uses_cgo else ("na", why)

    # --- FORTIFY

    def _fortify(self) -> tuple[Answer, str]:
        if self.is_go and not self.uses_cgo:
            return "na", "Go checks bounds itself"
        if self.libc == "musl":
            return "na", "musl has no checked functions"
        if self._is_static:
            return "undecided", "statically linked: the checked functions have no names left"
        checked = sorted(self.imports & _CHECKED)
        return self._checked(checked) if checked else self._unchecked()

    def _checked(self, names: list[str]) -> tuple[Answer, str]:
        """With imports of checked functions: all of it, unless a function that is always replaced was not."""
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        if plain := sorted(self.imports & _FORMATTED):
            return "partial", f"UND {names[0]}{more}, but also UND {plain[0]}"
        return "yes", f"UND {names[0]}{more}"

    def _unchecked(self) -> tuple[Answer, str]:
        if plain := sorted(self.imports & _FORMATTED):
            return "no", f"UND {plain[0]}, which FORTIFY always replaces, and no UND __*_chk"
        if sized := sorted(self.imports & _SIZED):
            return "undecided", f"UND {sized[0]}, which FORTIFY replaces where it must, and no UND __*_chk"
        return "na", "no import of a function that FORTIFY replaces"

    # --- control flow

    def _cet(self) -> tuple[Answer, str]:
        if self._elf.machine not in _X86:
            return "na", f"{self._elf.machine} has none"
        bits = features(self._elf, _X86_FEATURES)
        names = [name for bit, name in ((1, "IBT"), (2, "SHSTK")) if bits & bit]
        if len(names) == 2:  # noqa: PLR2004 - both
            return "yes", "GNU_PROPERTY x86 feature: IBT, SHSTK"
        return ("partial", f"GNU_PROPERTY x86 feature: {names[0]} only") if names else ("no", "no GNU_PROPERTY for it")


def features(elf: Elf, kind: int) -> int:
    """The bits of a property of its note NT_GNU_PROPERTY_TYPE_0 (a feature that all parts of it have); 0 for none.

    The kernel looks at the segment GNU_PROPERTY; files of older linkers have a note alone, objects a section.
    """
    places = [(one.offset, one.filesize) for one in elf.segments if one.type == _PROPERTY]
    places += [(one.offset, one.filesize) for one in elf.segments if one.type == _NOTE]
    if not elf.segments:
        places = [(one.offset, one.size) for one in elf.sections() if one.type == _NOTES]
    notes = (note for offset, length in places for note in _notes(elf, offset, length))
    found = (_property(elf, content, kind) for name, number, content in notes if (name, number) == _GNU_PROPERTY)
    return next(filter(None, found), 0)


def _notes(elf: Elf, offset: int, length: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, type and content of each note; those with properties are aligned to words of the class."""
    data, at = elf.bytes_at(offset, min(length, _NOTE_BYTES), "the notes"), 0
    while at + 12 <= len(data):
        size, content, kind = elf.numbers(offset + at, 3, "a note")
        begin = at + 12 + (size + 3 & ~3)
        name = data[at + 12 : at + 12 + size]
        step = elf.bits // 8 if (name, kind) == _GNU_PROPERTY else 4
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


def complete(binary: Binary, data: bytes) -> Binary:
    """The same with what its compiler did, `data` being the whole file; undecided, and why, where that is damaged."""
    if binary.kind in {"debug", "damaged"}:
        return binary
    try:
        elf = Elf(data, binary.file.size)
        found = _of_object(elf) if binary.kind == "object" else Inspector(elf, binary).traits()
    except DamagedError as error:
        found = Traits("undecided", "undecided", "undecided", dict.fromkeys(("canary", "fortify", "cet"), str(error)))
    evidence = {**binary.evidence, **found.evidence}
    return binary._replace(canary=found.canary, fortify=found.fortify, cet=found.cet, evidence=evidence)


def _of_object(elf: Elf) -> Traits:
    """A relocatable object: most of it is decided when it is linked."""
    why = "REL: decided when it is linked"
    bits = features(elf, _X86_FEATURES) if elf.machine in _X86 else 0
    cet: Answer = "yes" if bits & 3 == 3 else "no"  # noqa: PLR2004 - both
    note = "GNU_PROPERTY x86 feature: IBT, SHSTK" if cet == "yes" else "no GNU_PROPERTY for it"
    return Traits("na", "na", cet, {"canary": why, "fortify": why, "cet": note})
