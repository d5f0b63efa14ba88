"""What a program or library may ask of the kernel, as far as its file tells: calls with their arguments, and names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from struct import pack

from .callsites import Code, Site, Value
from .elf import MAGIC, Elf, binary
from .imports import undefined
from .marks import Marks
from .pclntab import functions
from .reached import Call, Interest, Program, plain
from .source import DamagedError
from .startup import late
from .subjects import Binary, File
from .toolchain import Toolchain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

_X, _R = 1, 4
_NAMES = 20_000
"""Strings of one program that may name others."""
_SCRIPT = 256 << 10
"""Bytes of a script; longer ones are not followed."""
_AT_ONCE = 8
_TEXT = 4096
"""Bytes of a string that a call is given."""

_C_LIBRARY = late(
    r"(?:libc|libpthread|librt|libdl|libm|libresolv|libutil|libanl|libBrokenLocale|ld|ld-linux|ld64)[-.].*so.*|ld-[\w.-]+"
)
"""Their calls count where somebody calls them, and not by themselves."""
_STRING = late(rb"(?<=\0)[\w./+:@%=,-]{2,128}(?=\0)", re.ASCII)
_WAKES = late(rb"[\x00-\x1f][\x00\x20]\x00[\x20\x60\xa0\xe0]|\x0f\xba[\xe8-\xef]\x1d")
"""EPOLLWAKEUP, alone or with other events, or the instruction that sets that bit."""

STARTS = {
    "execve": 0, "execv": 0, "execvp": 0, "execvpe": 0, "execl": 0, "execlp": 0, "execle": 0, "execveat": 1,
    "fexecve": -1, "posix_spawn": 1, "posix_spawnp": 1, "system": 0, "popen": 0, "wordexp": 0,
}  # fmt: skip
"""Functions that start programs, and the argument that names one; of the last three it is a command for a shell."""
COMMANDS = frozenset({"system", "popen", "wordexp"})
LOADS = {"dlopen": 0, "dlmopen": 1}


def is_one(head: bytes) -> bool:
    """Whether a file that starts with these bytes is an ELF file or a script."""
    return head.startswith((MAGIC, b"#!"))


def script(data: bytes) -> Program:
    """A script, or the text that a shell is given. Its interpreter is what stands in its first line."""
    unread = (
        f"is a script of more than {_SCRIPT} bytes" if len(data) > _SCRIPT else "is no text" if b"\0" in data else ""
    )
    text = data[:_SCRIPT].decode("utf-8", "replace")
    first = text.partition("\n")[0]
    return Program(first[2:].strip() if first.startswith("#!") else "", is_elf=False, text=text, unread=unread)


def program(file: File, data: bytes, interest: Interest) -> Program:
    """What the ELF file of that content may ask for; what cannot be told is in `unread`. Raises nothing."""
    try:
        elf = Elf(data)
        found = binary(file, elf)
    except DamagedError as error:
        return Program(unread=str(error))
    if found is None or found.kind in {"object", "debug"}:
        return Program(unread="is no program")
    return _Reader(elf, found, interest).program()


class _Reader:
    """Reads one ELF file."""

    def __init__(self, elf: Elf, found: Binary, interest: Interest) -> None:
        self._elf = elf
        self._found = found
        self._interest = interest
        self._is_go = Toolchain(elf, found).is_go

    def program(self) -> Program:
        """All of it."""
        elf, found = self._elf, self._found
        is_library = _C_LIBRARY.fullmatch(found.soname or os.path.basename(found.file.path)) is not None
        outline = Program(
            found.interpreter,
            found.needed,
            found.search,
            found.soname,
            is_library=is_library,
            is_runnable=found.kind != "dso",
        )
        if is_library:
            return outline
        outline = outline._replace(
            constants=frozenset(self._constants()),
            texts=frozenset(found_texts(self._interest.texts, elf.data, is_go=self._is_go)),
            wakes=elf.machine != "x86_64" or any(_WAKES.search(elf.data, *one) for one in elf.stretches(_R)),
        )
        try:
            outline = outline._replace(imports=frozenset(undefined(elf)))
            return self._with_calls(outline)
        except DamagedError as error:
            why = str(error)
        except ImportError:
            why = "its code is not read, for want of capstone: install lkscan[evidence]"
        return outline._replace(unread=why, starts=frozenset({None}), names=self._strings())

    def _with_calls(self, outline: Program) -> Program:
        """The same with what its code does. Raises DamagedError, LimitError, ImportError."""
        elf = self._elf
        names = functions(elf) if self._is_go else {}
        if self._is_go and not names:
            raise DamagedError("is of Go, and its table of functions is not read: Go 1.18 and later write one that is")
        code = Code(elf, names)
        if not code.is_read:
            raise DamagedError(f"the code of {elf.machine} is not read")
        wanted = {*self._interest.arguments, *self._interest.strings, *STARTS, *LOADS, "syscall"}
        imported = {one: name for one in outline.imports if (name := plain(one, wanted))}
        sites, taken = code.calls(imported)
        numbers = system_calls(elf.machine)
        calls: list[Call] = []
        unknown: list[int] = []
        for site in sites:
            name = imported[str(site.what)]
            if name == "syscall":
                first = code.argument(site, 0)
                calls += [self._call(code, site, numbers.get(one, f"number {one}"), 1) for one in first.constants]
                unknown += [] if first.is_known else [site.address]
            else:
                calls.append(self._call(code, site, name))
        for name in sorted(imported[one] for one in taken):
            if name == "syscall":
                unknown.append(0)
            calls.append(Call(name, 0, {}))
        for site in code.system_calls:
            if site.what is None:
                unknown.append(site.address)
            else:
                calls.append(self._call(code, site, numbers.get(int(site.what), f"number {site.what}"), is_direct=True))
        started = self._named(calls, {one: at for one, at in STARTS.items() if one not in COMMANDS})
        loaded, commands = self._named(calls, LOADS), self._named(calls, dict.fromkeys(COMMANDS, 0))
        return outline._replace(
            calls=tuple(calls),
            unknown=tuple(unknown) if outline.soname not in self._interest.handed_on else (),
            starts=started,
            loads=loaded,
            commands=commands,
            names=self._strings() if None in {*started, *loaded} else frozenset(),
        )

    def _call(self, code: Code, site: Site, name: str, skipped: int = 0, *, is_direct: bool = False) -> Call:
        """A call with what is asked of it; `skipped` arguments come before its own."""
        texts = {*self._interest.strings.get(name, ()), STARTS.get(name, -1), LOADS.get(name, -1)} - {-1}
        wanted = {*self._interest.arguments.get(name, ()), *texts}
        told = {number: _told(code.argument(site, number + skipped)) for number in sorted(wanted)}
        return Call(
            name,
            site.address,
            told,
            {number: self._texts(told[number]) for number in sorted(texts)},
            is_direct or skipped > 0,
            code.function(site.address),
        )

    def _named(self, calls: Iterable[Call], which: Mapping[str, int]) -> frozenset[str | None]:
        """The strings that some calls are given; None stands for those that are not told."""
        return frozenset(
            text for call in calls if call.name in which for text in call.texts.get(which[call.name], (None,))
        )

    def _texts(self, addresses: frozenset[int] | None) -> frozenset[str | None]:
        return frozenset({None} if addresses is None else {self._text(one) for one in addresses if one})

    def _text(self, address: int) -> str | None:
        try:
            at = self._elf.offset_of(address)
            return self._elf.string(at, _TEXT, "a name")
        except DamagedError:
            return None

    def _strings(self) -> frozenset[str]:
        """Strings that may be names of programs, files or libraries."""
        elf, found = self._elf, set()
        for start, end in elf.stretches(_R, _X) or elf.stretches(_R):
            for match in _STRING.finditer(elf.data, start, end):
                found.add(match[0].decode("ascii"))
                if len(found) >= _NAMES:
                    return frozenset(found)
        return frozenset(found)

    def _constants(self) -> Iterator[int]:
        """Those of the interest that stand in the file; of arm64, whose code is told by its lower half alone."""
        marks, numbers = _marks(self._interest.constants, self._elf.machine)
        for start, end in self._elf.stretches(_R):
            yield from {numbers[mark] for mark, _, _ in marks.places(self._elf.data, start, end)}


@cache
def system_calls(machine: str) -> dict[int, str]:
    """The system calls of a machine by their numbers."""
    import tomli

    with open(os.path.join(os.path.dirname(__file__), "syscall_numbers.toml"), "rb") as file:
        return {number: name for name, number in tomli.load(file).get(machine, {}).items()}


@cache
def _marks(constants: frozenset[int], machine: str) -> tuple[Marks, tuple[int, ...]]:
    """Marks for all constants, and the constant of each: four bytes, or an instruction of arm64.

    There, MOVZ sets the lower half, in any register; whether MOVK sets the right upper one is not looked at.
    """
    ways: list[tuple[bytes, int]] = []
    for number in sorted(constants):
        ways.append((pack("<I", number), number))
        half, shift = (number & 0xFFFF, 0) if number & 0xFFFF else (number >> 16, 1)
        for register in range(31) if machine == "arm64" else ():
            word = 0x52800000 | shift << 21 | half << 5 | register
            ways += [(pack("<I", word), number), (pack("<I", word | 1 << 31), number)]
    return Marks(*(mark for mark, _ in ways)), tuple(number for _, number in ways)


@cache
def _finder(texts: tuple[str, ...], is_go: bool) -> tuple[BytesAhoCorasick, tuple[str, ...]]:  # noqa: FBT001 - of a cache
    """What finds texts in bytes, and the text of each of its patterns.

    Go puts no NUL behind a text. Compilers of x86-64 write the start of one into a register, eight bytes at once.
    """
    from ahocorasick_rs import BytesAhoCorasick

    patterns: list[tuple[bytes, str]] = []
    for text in texts:
        data = text.encode().rstrip(b"\0") if is_go else text.encode()
        patterns.append((data, text))
        if len(data) > _AT_ONCE:
            patterns += [
                (bytes((prefix, move)) + data[:_AT_ONCE], text) for prefix in b"HI" for move in range(0xB8, 0xC0)
            ]
    return BytesAhoCorasick([data for data, _ in patterns]), tuple(text for _, text in patterns)


def found_texts(texts: tuple[str, ...], data: bytes, *, is_go: bool) -> set[str]:
    """Those of the texts that stand in a program; where several are alike in their start, it may be any of them."""
    finder, known = _finder(texts, is_go)
    return {known[number] for number, _, _ in finder.find_matches_as_indexes(data, overlapping=True)}


def _told(value: Value) -> frozenset[int] | None:
    return frozenset(value.constants) if value.is_known else None
