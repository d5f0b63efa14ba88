"""What evidence of needs is made of: what a program may ask of the kernel, what a container reaches, and what not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .startup import Literal, NamedTuple
from .subjects import Container, Place

Certainty = Literal["certain", "named", "guessed"]
"""It runs whenever the container does; its name stands in what does; it is there, and something may start it."""


class Interest(NamedTuple):
    """What is asked of programs: arguments of functions and system calls, constants, texts.

    `arguments` names calls and the numbers of their arguments, from 0; functions that are not named are told by their
    imports alone. `strings` are those of the arguments that are texts. `handed_on` are the names (SONAME) of libraries
    of which it is known which numbers they give the kernel, where that is not told.
    """

    handed_on: frozenset[str]
    arguments: Mapping[str, tuple[int, ...]]
    strings: Mapping[str, tuple[int, ...]]
    constants: frozenset[int]
    texts: tuple[str, ...]


class Call(NamedTuple):
    """A call: what is called, where, and what its arguments may be; None where that is not told.

    `texts` are arguments that point to texts, None among them for what is not told. `is_direct`: a system call of its
    own, not a function of a library. `function` is the Go function that makes it.
    """

    name: str
    address: int
    arguments: Mapping[int, frozenset[int] | None]
    texts: Mapping[int, frozenset[str | None]] = {}
    is_direct: bool = False
    function: str = ""


class Program(NamedTuple):
    """One ELF file or script. `interpreter` is the ELF one, or that of a script with its arguments.

    `imports` are the functions of others that it may call, `calls` those and the system calls that were asked for,
    `unknown` addresses of system calls whose number is not told. `starts` and `loads` are the names that it starts
    programs and loads libraries by, with None where one is not told; `commands` the same of commands for a shell.
    `names` are strings that may be names of either. `constants` and `texts` are those of the interest that stand in
    it. `wakes`: EPOLLWAKEUP may. `is_library`: it is part of a C library. `is_runnable`: it is no library. `text` is a
    script's. `unread` says why something of it is not told, "" where all is.
    """

    interpreter: str = ""
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    soname: str = ""
    imports: frozenset[str] = frozenset()
    calls: tuple[Call, ...] = ()
    unknown: tuple[int, ...] = ()
    starts: frozenset[str | None] = frozenset()
    loads: frozenset[str | None] = frozenset()
    commands: frozenset[str | None] = frozenset()
    names: frozenset[str] = frozenset()
    constants: frozenset[int] = frozenset()
    texts: frozenset[str] = frozenset()
    wakes: bool = False
    is_library: bool = False
    is_elf: bool = True
    is_runnable: bool = True
    text: str = ""
    unread: str = ""


class Step(NamedTuple):
    """A program or library that is reached: its path in the container, how certainly, and by what."""

    path: str
    certainty: Certainty
    by: str
    program: Program
    is_multiple: bool = False
    """Whether it is many programs in one (busybox), of which one was asked for."""


class Reach(NamedTuple):
    """All that a container's command reaches, the command first, and why more than that may run, a sentence each."""

    steps: tuple[Step, ...]
    gaps: tuple[str, ...]


class Unreached(NamedTuple):
    """What nothing reaches in the root file system that lies in the folder of a container.

    `programs` counts its ELF files that are there to be run or loaded; `files` are those that nothing reaches, their
    paths below its root with their bytes, the largest first. One with several names (hard links) counts once. `gaps`
    say why more may run there than is told: then nothing is known of any file. `seen_by` are other containers that have
    a folder above it mounted, where somebody may start these files by hand. `is_in_memory`: it is unpacked into memory
    as the system boots.
    """

    container: Container
    programs: int
    files: tuple[tuple[str, int], ...]
    gaps: tuple[str, ...]
    seen_by: tuple[str, ...] = ()
    is_in_memory: bool = False

    @property
    def place(self) -> Place:
        """The container's."""
        return self.container.place

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(size for _, size in self.files)


def plain(name: str, wanted: Iterable[str]) -> str:
    """The name by which a function is known: without what marks another version of it, "" for others."""
    for one in (name, name.removesuffix("64"), name.strip("_"), name.strip("_").removesuffix("64")):
        if one in wanted:
            return one
    return ""
