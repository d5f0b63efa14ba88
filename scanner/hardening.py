"""How an ELF program or library was compiled, as far as its imports, notes and code prove it.

Five answers, each with its evidence: yes, no, `na` (nothing to protect, or the language does it its own way), `partial`
and `undecided`. What is cheap is asked first; code is read only where that leaves a question open.

The properties are `canary` (stacks are checked), `fortify` (calls of glibc are), `cet` (marked for both parts of it),
`bind_now` (all functions are bound at the start), `stack_clash` (frames are probed page by page), `cfi` (Clang's),
`safestack`, `sanitizer` (a debugging runtime is linked in), `ibt` and `shstk` (x86), `bti` and `pac` (arm64),
`separate_code` (headers and data lie in no executable segment), `stripped` and `packed`.
"""

from __future__ import annotations

from functools import cached_property
from math import inf

from . import codebytes, elf
from .elf import Elf, Section
from .fortify import levels
from .imports import strings, undefined
from .notes import features
from .source import DamagedError, LimitError
from .startup import NamedTuple
from .subjects import Answer, Binary, File
from .toolchain import Toolchain

PROPERTIES = (
    "canary",
    "fortify",
    "cet",
    "bind_now",
    "stack_clash",
    "cfi",
    "safestack",
    "sanitizer",
    "ibt",
    "shstk",
    "bti",
    "pac",
    "separate_code",
    "stripped",
    "packed",
)
"""Those of `Binary.answers`."""
_COMPILED = ("canary", "fortify", "cet", "stack_clash", "sanitizer")
"""What a packer hides."""

_LOAD, _X = 1, 1
_X86_FEATURES, _ARM64_FEATURES = 0xC0000002, 0xC0000000
_X86 = frozenset({"x86_64", "x86", "x32"})
_SYMTAB = 2
_PLTRELSZ, _FLAGS, _FLAGS_1, _BIND_NOW = 2, 30, 0x6FFFFFFB, 24
_GUARDS = frozenset({"__stack_chk_fail", "__stack_chk_guard", "__stack_chk_fail_local", "__stack_smash_handler"})
_FORMATTED_NAMES = "printf fprintf vprintf vfprintf dprintf vdprintf asprintf vasprintf syslog vsyslog"
_FORMATTED = frozenset(_FORMATTED_NAMES.split())
"""Functions that level 2 always replaces: a plain import is proof of a part that was compiled without that."""
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
_LEAST_MARKED, _LEAST_TARGETS = 20, 0.3
"""Functions, fewer of which are mostly the C library's own, and how many of them start with a branch target in what was
compiled for it: 80 % are usual, 2 % without."""
_STARTING_NAMES = (
    "execve execv execvp execvpe execl execlp execle execveat fexecve posix_spawn posix_spawnp system popen"
)
_CALLS = {
    "exec": frozenset(_STARTING_NAMES.split()),
    "dlopen": frozenset({"dlopen", "dlmopen"}),
    "listen": frozenset({"listen", "accept", "accept4"}),
}
_SANITIZERS = {
    b"__asan_init": "AddressSanitizer",
    b"__hwasan_init": "HWAddressSanitizer",
    b"__msan_init": "MemorySanitizer",
    b"__tsan_init": "ThreadSanitizer",
    b"__ubsan_handle_": "UndefinedBehaviorSanitizer",
}
_ANY_SANITIZER = b"san_"
_MINIMAL = b"_minimal"
"""A part of the names of the runtime of -fsanitize-minimal-runtime, which is made for production."""
_RUNTIMES = ("libasan.", "libhwasan.", "libtsan.", "libubsan.", "liblsan.", "libclang_rt.")
_UPX, _UPX_HEAD, _UPX_TAIL = b"UPX!", 1024, 128
_SAFESTACK = b"__safestack_"
_ANY_CFI = b"cfi"
_CFI = (b"__cfi_check\0", b".cfi\0", b".cfi_jt\0")
_SYMBOL_NAMES = 16 << 20


class _Found(NamedTuple):
    """An answer and the fact that decides it, in the words of readelf or objdump."""

    answer: Answer
    why: str


class Inspector:
    """Answers for one program or library; a question about a damaged part of it raises DamagedError."""

    def __init__(self, parsed: Elf, binary: Binary, *, code: bool, exact: bool) -> None:
        """`binary` is the same file, as far as its headers tell; `code` says whether its code may be read.

        Where `exact`, all of it is read, also where a part of it decides the answer.
        """
        self._elf = parsed
        self._reads_code = code
        self._exact = exact
        self._binary = binary
        self._is_static = binary.kind in {"static", "static-pie"}
        self.toolchain = Toolchain(parsed, binary)

    def complete(self) -> Binary:
        """The binary with all answers."""
        found = {name: self._ask(name) for name in PROPERTIES}
        if found["packed"].answer == "yes":
            why = f"{found['packed'].why}: what it unpacks to is not read"
            found.update(dict.fromkeys(_COMPILED, _Found("undecided", why)))
        return self._binary._replace(
            answers={name: one.answer for name, one in found.items()},
            evidence={**self._binary.evidence, **{name: one.why for name, one in found.items()}},
            made=self.toolchain.made,
            libc=self.toolchain.libc,
            calls=self._calls(),
        )

    def _ask(self, name: str) -> _Found:
        try:
            found: _Found = getattr(self, name)()
        except DamagedError as error:
            return _Found("undecided", str(error))
        return found

    def _calls(self) -> tuple[str, ...]:
        try:
            return tuple(kind for kind, names in _CALLS.items() if not names.isdisjoint(self.imports))
        except DamagedError:
            return ()

    @property
    def _code(self) -> Elf:
        """The file, for what its code tells. Raises LimitError where that is not asked for."""
        if not self._reads_code:
            raise LimitError("its code was not read")
        return self._elf

    @cached_property
    def imports(self) -> dict[str, int]:
        """Its undefined symbols and their numbers."""
        return undefined(self._elf)

    @cached_property
    def _named(self) -> list[str]:
        return sorted(_GUARDS & self.imports.keys())

    @cached_property
    def _names(self) -> bytes:
        """The names of all its symbols, each behind a NUL: the dynamic ones, and the others unless it is stripped."""
        tables, sections = [strings(self._elf)], self._elf.loader_sections()
        for one in self._symbol_tables:
            if one.link < len(sections):
                names = sections[one.link]
                tables.append(self._elf.data[names.offset : names.offset + min(names.size, _SYMBOL_NAMES)])
        return b"\0".join(tables)

    @cached_property
    def _symbol_tables(self) -> list[Section]:
        return [one for one in self._elf.loader_sections() if one.type == _SYMTAB]

    # --- stack canaries

    def canary(self) -> _Found:
        """Whether functions with buffers check a canary on their stacks."""
        if self.toolchain.is_go and not self._named:
            if self.toolchain.uses_cgo:
                return _Found("undecided", "Go with C: whose code it is cannot be told")
            return _Found("na", "Go grows and checks its stacks itself")
        if self._named:
            return self._covered(self._named[0])
        machine = self._elf.machine
        if machine == "x86_64":
            return self._by_code()
        if machine == "arm64" and not self._is_static:
            how = "ADD Xn, SP for a variable"
            return self._lacking(f"no UND __stack_chk_fail, {how}", f"no {how}")
        return _Found("undecided", f"no UND __stack_chk_fail, and code of {machine} is not read for it")

    def _covered(self, name: str) -> _Found:
        """A file that can call the handler: it may still be one small part of it that does."""
        functions = codebytes.functions(self._elf)
        if self._elf.machine != "x86_64" or functions < _LEAST_FUNCTIONS or not self._reads_code:
            return _Found("yes", f"UND {name}")
        least = functions * _LEAST_COVERAGE
        guarded = codebytes.guards(self._code, inf if self._exact else least).functions
        told = f"{guarded}" if self._exact or guarded < least else f"at least {guarded}"
        why = f"UND {name}, {told} of {functions} functions guarded"
        return _Found("partial" if guarded < least else "yes", why)

    @cached_property
    def _guarded(self) -> int:
        return codebytes.guards(self._code).functions

    def _by_code(self) -> _Found:
        """Without an import: statically linked, or with a handler of its own, or without canaries."""
        if self._guarded and self._is_static:
            return self._recorded(f"statically linked, {self._guarded} functions test %fs:0x28")
        if self._guarded:
            return _Found("yes", f"{self._guarded} functions test %fs:0x28")
        return self._lacking(
            "no instruction tests %fs:0x28, and LEA n(%rsp) takes addresses of local variables",
            "no LEA n(%rsp): no function takes the address of a local variable",
        )

    def _lacking(self, why: str, nothing: str) -> _Found:
        if not codebytes.takes_addresses(self._code):
            return _Found("na", nothing)
        return _Found("na", "Rust checks bounds itself") if self.toolchain.is_rust else _Found("no", why)

    def _recorded(self, why: str) -> _Found:
        """Whose code it is that checks: the C library's and the program's own look alike, but compilers may tell."""
        units = self.toolchain.records
        records = [one for one in units if "-fstack-protector" in one or "-fno-stack-protector" in one]
        guarded = [one for one in records if "-fno-stack-protector" not in one]
        if not records or len(records) < len(units):
            return _Found("undecided", f"{why}: whose they are is not told")
        told = f"{why}; -fstack-protector recorded for {len(guarded)} of {len(records)} units"
        return _Found("yes" if len(guarded) == len(records) else "partial" if guarded else "no", told)

    # --- FORTIFY

    def fortify(self) -> _Found:
        """Whether functions of glibc are called in their checked form."""
        if self.toolchain.is_go and not self.toolchain.uses_cgo:
            return _Found("na", "Go checks bounds itself")
        if self.toolchain.libc == "musl":
            return _Found("na", "musl has no checked functions")
        if self._is_static:
            return _Found("undecided", "statically linked: the checked functions have no names left")
        checked = sorted(_CHECKED & self.imports.keys())
        return self._checked(checked) if checked else self._unchecked()

    def _checked(self, names: list[str]) -> _Found:
        """With imports of checked functions: all of it, unless one that level 2 always replaces was not."""
        told = f"UND {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        plain = sorted(_FORMATTED & self.imports.keys())
        found = levels(self._elf, self.imports) if self._reads_code and (plain or self._exact) else frozenset()
        level = f", calls of level {', '.join(map(str, sorted(found)))}" if found else ""
        if not plain or found == {1}:
            return _Found("yes", told + level)
        reason = "which level 2 always replaces" if found else "so it is of level 1, or fortified in a part only"
        return _Found("partial", f"{told}{level}, but also UND {plain[0]}, {reason}")

    def _unchecked(self) -> _Found:
        if plain := sorted(_FORMATTED & self.imports.keys()):
            return _Found("no", f"UND {plain[0]}, which FORTIFY replaces from level 2 on, and no UND __*_chk")
        if sized := sorted(_SIZED & self.imports.keys()):
            return _Found("undecided", f"UND {sized[0]}, which FORTIFY replaces where it must, and no UND __*_chk")
        return _Found("na", "no import of a function that FORTIFY replaces")

    # --- binding, layout

    def bind_now(self) -> _Found:
        """Whether every function is bound before the program starts."""
        tags = self._elf.tags
        if not tags or not tags.get(_PLTRELSZ):
            return _Found("na", "no JMPREL: nothing is bound lazily")
        if tags.get(_FLAGS_1, 0) & 0x1:
            return _Found("yes", "FLAGS_1 NOW")
        if tags.get(_FLAGS, 0) & 0x8:
            return _Found("yes", "FLAGS BIND_NOW")
        return _Found("yes", "BIND_NOW") if _BIND_NOW in tags else _Found("no", "no BIND_NOW")

    def separate_code(self) -> _Found:
        """Whether the executable segments hold code only: the first bytes of a file are headers."""
        mixed = [one for one in self._elf.segments if one.type == _LOAD and one.flags & _X and not one.offset]
        return (
            _Found("no", f"{elf.title(mixed[0])} holds the headers") if mixed else _Found("yes", "no LOAD 0x000000 R E")
        )

    def stripped(self) -> _Found:
        """Whether the symbols that only debuggers need are gone."""
        if not self._elf.loader_sections():
            return _Found("yes", "no sections")
        if not self._symbol_tables:
            return _Found("yes", "no .symtab")
        debug = b".debug_info\0" in self._elf.section_names
        return _Found("no", ".symtab and .debug_info" if debug else ".symtab")

    def packed(self) -> _Found:
        """Whether it is packed by UPX: it unpacks itself as it starts, into memory that it makes executable."""
        data = self._elf.data
        places = () if self._elf.tags else ((0, _UPX_HEAD), (max(0, len(data) - _UPX_TAIL), len(data)))
        for start, end in places:
            if (at := data.find(_UPX, start, end)) >= 0:
                return _Found("yes", f"UPX! at byte {at}")
        return _Found("no", "no mark of UPX")

    # --- what is linked in

    def sanitizer(self) -> _Found:
        """Whether a runtime for finding bugs is in it, or asked for."""
        if self._binary.soname.startswith(_RUNTIMES):
            return _Found("na", f"SONAME {self._binary.soname} is such a runtime")
        for name, title in _SANITIZERS.items() if _ANY_SANITIZER in self._names else ():
            at = self._names.find(b"\0" + name)
            symbol = self._names[at + 1 : self._names.find(b"\0", at + 1)] if at >= 0 else b""
            if symbol and _MINIMAL not in symbol:
                return _Found("yes", f"symbol {symbol.decode('utf-8', 'replace')} of {title}")
        return _Found("no", "no symbol of a sanitizer's runtime")

    def cfi(self) -> _Found:
        """Whether Clang checks what is called through pointers."""
        mark = next((one for one in _CFI if one in self._names), None) if _ANY_CFI in self._names else None
        return _Found("yes", f"symbol *{mark[:-1].decode()}") if mark else self._without_symbols("CFI")

    def safestack(self) -> _Found:
        """Whether buffers lie on a stack of their own."""
        is_there = _SAFESTACK in self._names
        return _Found("yes", f"symbol {_SAFESTACK.decode()}*") if is_there else self._without_symbols("SafeStack")

    def _without_symbols(self, what: str) -> _Found:
        if self.toolchain.made.startswith(("Go", "GCC")) and "Clang" not in self.toolchain.made:
            return _Found("no", f"made by {self.toolchain.made}")
        if not self._symbol_tables:
            return _Found("undecided", f"no symbol of {what}, but .symtab was stripped")
        return _Found("no", f"no symbol of {what}")

    # --- frames

    def stack_clash(self) -> _Found:
        """Whether large frames touch every page, so that a stack cannot grow past the guard page below it."""
        if self.toolchain.is_go:
            return _Found("na", "Go grows and checks its stacks itself")
        if self._elf.machine not in {"x86_64", "arm64"}:
            return _Found("undecided", f"code of {self._elf.machine} is not read for it")
        return self._framed(*codebytes.frames(self._code))

    def _framed(self, large: int, probed: int, computed: int) -> _Found:
        """By the number of large frames, of probes, and of arrays whose length is computed."""
        room = "SUB sp,sp,#n,lsl #12 above 64 KiB" if self._elf.machine == "arm64" else "SUB $n,%rsp above 0x1000"
        if not large and probed:
            return _Found("yes", f"{probed} probes of a page, no {room}")
        if not large and computed:
            return _Found("undecided", f"no {room}, but {computed} SUB of a register from the stack pointer, no probe")
        if not large:
            return _Found("na", f"no {room}: no frame reaches beyond a guard page")
        if self._is_static:
            return _Found(
                "undecided", f"statically linked, {large} {room}, {probed} probes: whose they are is not told"
            )
        if self.toolchain.is_rust and probed:
            return _Found("yes", f"{probed} probes of a page")
        return _Found("partial" if probed else "no", f"{large} {room}, {probed} probes of a page")

    # --- control flow

    @cached_property
    def _x86_bits(self) -> int:
        return features(self._elf, _X86_FEATURES) if self._elf.machine in _X86 else 0

    @cached_property
    def _arm64_bits(self) -> int:
        return features(self._elf, _ARM64_FEATURES) if self._elf.machine == "arm64" else 0

    def cet(self) -> _Found:
        """Whether the whole file is marked for both parts of Intel's CET."""
        if self._elf.machine not in _X86:
            return _Found("na", f"{self._elf.machine} has none")
        names = [name for bit, name in ((1, "IBT"), (2, "SHSTK")) if self._x86_bits & bit]
        if len(names) == 2:  # noqa: PLR2004 - both
            return _Found("yes", "GNU_PROPERTY x86 feature: IBT, SHSTK")
        if names:
            return _Found("partial", f"GNU_PROPERTY x86 feature: {names[0]} only")
        return _Found("no", "no GNU_PROPERTY for it")

    def ibt(self) -> _Found:
        """Whether indirect branches may go to marked places only (x86); partial: compiled so, and lost at the link."""
        if self._elf.machine not in _X86:
            return _Found("na", f"{self._elf.machine} has none")
        return self._marked(bool(self._x86_bits & 1), "x86 feature: IBT", "ENDBR")

    def shstk(self) -> _Found:
        """Whether a shadow stack may be used (x86)."""
        if self._elf.machine not in _X86:
            return _Found("na", f"{self._elf.machine} has none")
        if self._x86_bits & 2:
            return _Found("yes", "GNU_PROPERTY x86 feature: SHSTK")
        return _Found("no", "no GNU_PROPERTY for it")

    def bti(self) -> _Found:
        """The same as IBT on arm64."""
        if self._elf.machine != "arm64":
            return _Found("na", f"{self._elf.machine} has none")
        return self._marked(bool(self._arm64_bits & 1), "AArch64 feature: BTI", "BTI c or PACIASP")

    def pac(self) -> _Found:
        """Whether return addresses are signed (arm64)."""
        if self._elf.machine != "arm64":
            return _Found("na", f"{self._elf.machine} has none")
        if self._arm64_bits & 2:
            return _Found("yes", "GNU_PROPERTY AArch64 feature: PAC")
        return _Found("no", "no GNU_PROPERTY for it")

    def _marked(self, is_marked: bool, what: str, mark: str) -> _Found:  # noqa: FBT001 - one of two
        if is_marked:
            return _Found("yes", f"GNU_PROPERTY {what}")
        functions = codebytes.functions(self._elf)
        is_asked = functions >= _LEAST_MARKED and self._reads_code and not self.toolchain.is_go
        targets = codebytes.branch_targets(self._elf) if is_asked else 0
        if targets > functions * _LEAST_TARGETS:
            return _Found("partial", f"{targets} {mark} in {functions} functions, but no GNU_PROPERTY {what}")
        return _Found("no", "no GNU_PROPERTY for it")


def examine(file: File, data: bytes, *, code: bool = True, exact: bool = True) -> Binary | None:
    """All that `data`, the content of `file`, tells; None where `elf.read` gives that.

    Without `code`, only headers, symbols and notes are looked at, and what they leave open is undecided. Without
    `exact`, the answers are the same, and the evidence for a yes may say less: no rule prints it.

    Raises DamagedError, LimitError where its headers are damaged; where only the rest is, what that leaves open is
    undecided, and why.
    """
    if data[:4] != elf.MAGIC:
        return None
    parsed = Elf(data, file.size)
    binary = elf.binary(file, parsed)
    if binary is None or binary.kind == "debug":
        return binary
    if binary.kind == "object":
        return _of_object(parsed, binary)
    return Inspector(parsed, binary, code=code, exact=exact).complete()


def undecided(binary: Binary, why: str) -> Binary:
    """The binary with the answers left open for one reason: it was not read whole."""
    return binary._replace(
        answers=dict.fromkeys(PROPERTIES, "undecided"), evidence={**binary.evidence, **dict.fromkeys(PROPERTIES, why)}
    )


def facts(binary: Binary) -> dict[str, str]:
    """The properties decided, as `lkscan inspect --binaries` names them.

    `relro`, `nx` and `pie` as `elf.facts` has them; all others yes, no, na, partial or undecided.
    """
    bare = "na" if binary.kind == "debug" else "undecided"
    return {**elf.facts(binary), **{name: binary.answers.get(name, bare) for name in PROPERTIES}}


def _of_object(parsed: Elf, binary: Binary) -> Binary:
    """A relocatable object: most of it is decided when it is linked."""
    why = "REL: decided when it is linked"
    try:
        bits = features(parsed, _X86_FEATURES) if parsed.machine in _X86 else 0
    except DamagedError:
        bits = 0
    cet: Answer = "yes" if bits & 3 == 3 else "no"  # noqa: PLR2004 - both
    note = "GNU_PROPERTY x86 feature: IBT, SHSTK" if cet == "yes" else "no GNU_PROPERTY for it"
    evidence = {**binary.evidence, **dict.fromkeys(PROPERTIES, why), "cet": note}
    answers: dict[str, Answer] = dict.fromkeys(PROPERTIES, "na")
    return binary._replace(answers={**answers, "cet": cet}, evidence=evidence)
