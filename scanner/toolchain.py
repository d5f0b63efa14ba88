"""What an ELF file was made with: the language, the C library, and the flags that its compiler wrote down."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import islice

from .elf import Elf
from .marks import Marks
from .notes import notes
from .source import DamagedError
from .startup import Literal, late
from .subjects import Binary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")

_LOAD, _EH_FRAME_HDR, _W, _X = 1, 0x6474E550, 2, 1
_GO_INFO = b"\xff Go buildinf:"
_GO_NOTE = b"Go\0\0"
_GO_SECTIONS = (b".go.buildinfo\0", b".gopclntab\0")
_GO_HEAD, _INLINE, _BIG = 32, 2, 1
_GO_SEARCHED = 1 << 20
"""Bytes of a writable segment in which Go's own reader looks for it; it stands at their start."""
_GO_TEXT = 1 << 16
"""Bytes of the list of modules and settings, or of the version, that are looked at."""
_GO_NAME = 80
_CGO = b"CGO_ENABLED=1"
_RUST = Marks(b"library/core/src/", b"library/std/src/", b"library/alloc/src/")
_COMMENT = 4096
_COMPILERS = (
    (late(r"GCC: \([^)]*\) (\d[\w.]*)"), "GCC"),
    (late(r"clang version (\d[\w.]*)"), "Clang"),
    (late(r"rustc version (\d[\w.]*)"), "Rust"),
)
_MUSL = (b"MUSL_LOCPATH", b"No error information\0")
_GLIBC = (b"GLIBC_TUNABLES", b"Fatal glibc error")
"""What statically linked programs of each have in them: a variable that they heed, a message that is their own."""
_SCAN = 64 << 20
"""Bytes that are searched for these."""
_UNITS = 256
"""Compilation units whose flags are read."""
_DEBUG = 64 << 20
"""Bytes of debug information that are read, unpacked."""
_DEBUG_SECTIONS = (".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_line")


class Toolchain:
    """Answers for one program or library; each question is asked once."""

    def __init__(self, elf: Elf, binary: Binary) -> None:
        """`binary` is the same file, as far as its headers tell."""
        self._elf = elf
        self._is_static = binary.kind in {"static", "static-pie"}
        self._libraries = (binary.interpreter, *binary.needed)

    @cached_property
    def made(self) -> str:
        """`Go 1.19.8 with C`, `Rust 1.75.0`, `GCC 12.2.0, Clang 14.0.6`; "" when nothing tells."""
        if self.is_go:
            version = self._go_texts[0][:_GO_NAME].decode("utf-8", "replace").removeprefix("go")
            return f"Go {version}".rstrip() + (" with C" if self.uses_cgo else "")
        return ", ".join(dict.fromkeys(self._compilers))

    @cached_property
    def libc(self) -> str:
        """`musl`, `glibc`, or "" when it uses neither or that is not known."""
        if any(self._libraries):
            text = " ".join(self._libraries)
            return "musl" if "musl" in text else "glibc" if "libc.so.6" in text or "ld-linux" in text else ""
        if not self._is_static or (self.is_go and not self.uses_cgo):
            return ""
        return "musl" if any(map(self._has, _MUSL)) else "glibc" if any(map(self._has, _GLIBC)) else ""

    def _has(self, mark: bytes) -> bool:
        return self._elf.data.find(mark, 0, _SCAN) >= 0

    # --- Go

    @cached_property
    def is_go(self) -> bool:
        """Whether Go's linker made it: by its sections, or without them by its note and what it keeps for `version`."""
        names = _quietly(lambda: self._elf.section_names, b"")
        if names:
            return any(one in names for one in _GO_SECTIONS)
        return self._go_info >= 0 or _quietly(lambda: any(name == _GO_NOTE for name, _, _ in notes(self._elf)), False)  # noqa: FBT003 - the default

    @cached_property
    def uses_cgo(self) -> bool:
        """Whether there may be C in a Go program: that was allowed, and a linker of C had a hand in it.

        Go's own linker writes no table for unwinding C.
        """
        has_c = bool(self._libraries[1:]) or any(one.type == _EH_FRAME_HDR for one in self._elf.segments)
        return self.is_go and has_c and _CGO in self._go_texts[1]

    @cached_property
    def _go_info(self) -> int:
        """Where Go's build information stands: in the first writable segment; -1 when nowhere."""
        for one in self._elf.segments:
            if one.type == _LOAD and one.flags & _W:
                end = one.offset + min(one.filesize, _GO_SEARCHED)
                if (at := self._elf.data.find(_GO_INFO, one.offset, end)) >= 0:
                    return at
        return -1

    @cached_property
    def _go_texts(self) -> tuple[bytes, bytes]:
        """Go's version, and the modules and settings of the build; b"" where it does not tell.

        Since Go 1.18 they stand behind the head, each after its length; before that, the head tells the addresses of
        two strings, which are an address and a length each.
        """
        elf, at = self._elf, self._go_info
        head = elf.data[at : at + _GO_HEAD] if at >= 0 else b""
        if len(head) < _GO_HEAD:
            return b"", b""
        size, flags = head[14], head[15]
        if flags & _INLINE:
            version, end = _counted(elf.data, at + _GO_HEAD)
            return version, _counted(elf.data, end)[0]
        order: Literal["little", "big"] = "big" if flags & _BIG else "little"
        found = []
        for start in (16, 16 + size):
            try:
                place = elf.offset_of(int.from_bytes(head[start : start + size], order))
                text, length = (int.from_bytes(elf.data[place + i : place + i + size], order) for i in (0, size))
                place = elf.offset_of(text)
            except DamagedError:
                return b"", b""
            found.append(elf.data[place : place + min(length, _GO_TEXT)])
        return found[0], found[1]

    # --- other languages

    @cached_property
    def is_rust(self) -> bool:
        """Whether Rust's compiler made a part of it: paths of its library stand in messages of its programs."""
        if any(one.startswith("Rust") for one in self._compilers):
            return True
        return any(_RUST.count(self._elf.data, *part) for part in self._elf.stretches(0, _W | _X))

    @cached_property
    def _compilers(self) -> list[str]:
        section = _quietly(lambda: self._elf.section_named(b".comment"), None) or b""
        text = section[:_COMMENT].decode("utf-8", "replace")
        return [f"{name} {found}" for pattern, name in _COMPILERS for found in pattern.findall(text)]

    # --- flags

    @cached_property
    def records(self) -> list[str]:
        """The command lines that the compilers left: in a section of their own, else in the debug information."""
        section = _quietly(lambda: self._elf.section_named(b".GCC.command.line"), None)
        if section:
            return [one.decode("utf-8", "replace") for one in section[:_COMMENT].split(b"\0") if one]
        names = _quietly(lambda: self._elf.section_names, b"")
        return _quietly(lambda: _producers(self._elf), []) if b".debug_info\0" in names else []


def _counted(data: bytes, at: int) -> tuple[bytes, int]:
    """The text behind its length, which is written in groups of seven bits, lowest first, and where it ends."""
    length = shift = 0
    for byte in data[at : at + 5]:
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            break
    return data[at : at + min(length, _GO_TEXT)], at + length


def _quietly(ask: Callable[[], _T], default: _T) -> _T:
    """What is asked, or `default` where sections are damaged, which the loader never looks at."""
    try:
        return ask()
    except DamagedError:
        return default


def _producers(elf: Elf) -> list[str]:
    """DW_AT_producer of each unit with debug information; none without pyelftools, or where it is damaged or huge."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError:
        return []
    from io import BytesIO

    try:
        file = ELFFile(BytesIO(elf.data))
        sections = [file.get_section_by_name(name) for name in _DEBUG_SECTIONS]
        if sum(one.data_size for one in sections if one) > _DEBUG:
            return []
        units = islice(file.get_dwarf_info(relocate_dwarf_sections=False).iter_CUs(), _UNITS)
        producers = [unit.get_top_DIE().attributes.get("DW_AT_producer") for unit in units]
    except Exception:  # noqa: BLE001 - a reader that raises whatever its parts do, on bytes that may be hostile
        return []
    return [one.value.decode("utf-8", "replace") for one in producers if one and isinstance(one.value, bytes)]
