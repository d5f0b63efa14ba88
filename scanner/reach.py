"""What a container's programs can reach: the command, the libraries and programs that it may call on, step by step.

Everything is looked up in the container's own root file system, as the kernel, the loader and the shell would.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from . import scripts
from .programs import bound
from .reached import Certainty, Program, Reach, Step
from .startup import late
from .subjects import Container
from .trees import Root, Trees

_STEPS = 4096
"""Programs and libraries that one container is told to reach."""
_UNNAMED = "(it starts programs by names that are not told)"
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "zsh", "ksh", "mksh"})
_INTERPRETERS = late(
    r"(?:python|perl|ruby|lua|luajit|php|tclsh|node|nodejs|java|guile|awk|gawk|mawk|expect|fish|csh|tcsh)[\d.]*"
)
_AWKS = frozenset({"awk", "gawk", "mawk"})
"""Whose programs stand in the script, and are read as a part of it."""
_MULTI = late(r"(?:busybox|toybox)(?:[.-].*)?")
_CALLED = late(r"lib\w*\.so(?:\.\d+)*|[\w+-]+\.so(?:\.\d+)*")
_NAME_SERVICE = frozenset(
    {"getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getgrnam", "getgrgid", "getgrouplist", "initgroups",
     "gethostbyname", "gethostbyname_r", "getaddrinfo", "getservbyname", "getspnam", "getgrnam_r", "getgrgid_r"}
)  # fmt: skip


def reach(trees: Trees, container: Container) -> Reach:
    """What a container's command reaches."""
    return _Walk(trees, container, Root(trees, container)).reach()


@dataclass(slots=True)
class _Walk:
    """One container's way through its tree."""

    trees: Trees
    container: Container
    root: Root
    steps: dict[str, Step] = field(default_factory=dict)
    gaps: dict[str, None] = field(default_factory=dict)
    waiting: deque[Step] = field(default_factory=deque)
    is_open: set[str] = field(default_factory=set)

    def reach(self) -> Reach:
        """All of it."""
        if not self.root:
            return Reach((), ("its root file system is not in what was read",))
        if not self.container.command:
            return Reach((), ("it has no command",))
        if self.trees.left:
            self.gap(f"{self.trees.left} files of containers are beyond what is kept")
        self.start(self.container.command, "certain", "the container's command", is_told=True)
        for variable in self.container.env:
            self.variable(*variable.partition("=")[::2])
        while self.waiting:
            self.follow(self.waiting.popleft())
            if len(self.steps) > _STEPS:
                self.gap(f"more than {_STEPS} programs and libraries are reached")
                break
        return Reach(tuple(self.steps.values()), tuple(self.gaps))

    def variable(self, name: str, value: str) -> None:
        """A variable of the environment names programs, or libraries that every program loads."""
        for one in value.replace(" ", ":").split(":"):
            if name == "LD_PRELOAD" and one:
                self.library(one, "certain", "LD_PRELOAD")
            elif one.startswith("/") and name != "PATH" and (found := self.root.runnable(one)):
                self.add(found, "named", f"the variable {name}")

    def gap(self, why: str) -> None:
        """Note why more may run than is told."""
        self.gaps.setdefault(why)

    # --- programs

    def start(self, command: Iterable[str], certainty: Certainty, by: str, *, is_told: bool) -> None:
        """A program is started with arguments; not `is_told`: nobody knows all of them."""
        name, *arguments = command
        path = self.root.runnable(name)
        if path is None:
            if (where := bound(self.container, posixpath.join("/", name))) is not None and "/" in name:
                self.gap(f"'{name}' is the host's: {where} is bound there")
            elif certainty == "certain":
                self.gap(f"its program '{name}' is not in its root file system")
            return
        base = posixpath.basename(path)
        script = self.root.script(path)
        if _MULTI.fullmatch(base) and arguments:
            base, *arguments = arguments
        self.add(path, certainty, by)
        told = arguments if is_told else None
        if script:
            self.script(path, script[1], told, certainty)
        elif base in _SHELLS:
            self.shell(path, told, certainty, by)
        elif _INTERPRETERS.fullmatch(base):
            self.gap(f"'{path}' interprets programs, which are not followed ({by})")
        for one in told or ():
            self.argument(one, path)

    def argument(self, text: str, path: str) -> None:
        """An argument of a program may name another one, or a script."""
        if found := self.root.runnable(text):
            self.start((found,), "named", f"an argument of {path}", is_told=False)
        elif script := self.root.script(text):
            self.script(*script, None, "named")

    def shell(self, path: str, arguments: list[str] | None, certainty: Certainty, by: str) -> None:
        """A shell is started: with a text, with a script, or with what nobody knows."""
        rest = list(arguments or ())
        while rest and rest[0].startswith("-") and "c" not in rest[0][1:]:
            rest.pop(0)
        if arguments is None or not rest:
            self.gap(f"{by} may give commands to the shell '{path}' that are not told")
        elif rest[0].startswith("-") and len(rest) > 1:
            self.text(f"the command of {path}", rest[1], rest[3:], certainty)
        elif script := self.root.script(rest[0]):
            self.script(*script, rest[1:], certainty, is_shell=True)
        elif (found := self.root.text(rest[0])) and found[1]:
            self.text(*found, rest[1:], certainty)
        else:
            self.gap(f"the script '{rest[0]}' is not in the root file system, or not read")

    def script(
        self, path: str, program: Program, arguments: list[str] | None, certainty: Certainty, *, is_shell: bool = False
    ) -> None:
        """A script is run, by a shell or by what its first line names."""
        words = program.interpreter.split()
        if words and posixpath.basename(words[0]) == "env":
            words = [one for one in words[1:] if not one.startswith("-")]
        name = posixpath.basename(words[0]) if words else "sh"
        if words and (found := self.root.runnable(words[0])):
            self.add(found, certainty, f"the first line of {path}")
        elif words and not is_shell:
            self.gap(f"'{words[0]}', which the script '{path}' names, is not in its root file system")
        if program.unread:
            self.gap(f"'{path}' {program.unread}")
        elif is_shell or name in _SHELLS or (_MULTI.fullmatch(name) and words[1:2] and words[1] in _SHELLS):
            self.text(path, program.text, arguments, certainty)
        else:
            self.gap(f"'{path}' is a script for '{name}', whose language is not followed")

    def text(self, path: str, text: str, arguments: list[str] | None, certainty: Certainty) -> None:
        """Commands for a shell are run."""
        key = f"{path}\0{arguments}"
        if key in self.is_open:
            return
        self.is_open.add(key)
        found = scripts.read(text, arguments)
        if found.unknown:
            self.gap(f"what '{path}' starts is not told: {found.unknown}")
        for word in sorted(found.words):
            if runs := self.root.runnable(word):
                self.add(runs, "named", f"the script {path}")
                self.named(path, text, runs)
        for name in sorted(found.sourced):
            self.sourced(path, name, certainty)

    def named(self, path: str, text: str, runs: str) -> None:
        """A script names a program: that may be a script, or run others."""
        base = posixpath.basename(runs)
        is_first = f"#!{runs}" in text.partition("\n")[0]
        if script := self.root.script(runs):
            self.script(*script, None, "named")
        elif (base in _SHELLS or _INTERPRETERS.fullmatch(base)) and base not in _AWKS and not is_first:
            self.inner(path, text, runs)

    def sourced(self, path: str, name: str, certainty: Certainty) -> None:
        """A script reads another one in."""
        found = self.root.text(name)
        if found and found[1]:
            self.text(*found, None, certainty)
        elif found:
            self.gap(f"'{name}', which '{path}' reads in, is not read")

    def inner(self, path: str, text: str, runs: str) -> None:
        """A script names a shell or another interpreter: it may be given what is in the script, or other files."""
        base = posixpath.basename(runs)
        given = re.search(rf"(?:^|[\s;|&(/]){re.escape(base)}[ \t]+(?:-\w+[ \t]+)*([\w./-]+)", text)
        script = self.root.script(given[1]) if given and base in _SHELLS else None
        if script:
            self.script(*script, None, "named", is_shell=True)
        elif base not in _SHELLS or re.search(
            rf"(?:^|[\s;|&(/]){re.escape(base)}(?:[ \t]+-\w+)*[ \t]*(?:$|[|;&<>])", text, re.MULTILINE
        ):
            self.gap(f"the script '{path}' starts '{runs}', and what that runs is not followed")

    def add(self, path: str, certainty: Certainty, by: str) -> None:
        """A program is reached; what it brings is looked at later."""
        found = self.root.resolve(path)
        if found is None:
            return
        real, entry = found
        order: tuple[Certainty, ...] = ("certain", "named", "guessed")
        known = self.steps.get(real)
        if known and order.index(known.certainty) <= order.index(certainty):
            return
        if bound(self.container, real) is not None:
            self.gap(f"'{real}' is covered by a mount, and what lies there instead is not told")
        program = entry.program
        if program is None:
            self.gap(f"'{real}' is neither an ELF file nor a script")
            return
        is_multiple = _MULTI.fullmatch(posixpath.basename(real)) is not None
        step = Step(real, certainty, by, program, is_multiple)
        self.steps[real] = step
        self.waiting.append(step)

    def follow(self, step: Step) -> None:
        """What a program brings along, and may start."""
        program, path = step.program, step.path
        if not program.is_elf:
            return
        if program.unread:
            self.gap(f"'{path}' {program.unread}" if program.unread.startswith("is") else f"'{path}': {program.unread}")
        if program.unknown and not program.is_library:
            where = ", ".join(f"{one:#x}" for one in program.unknown[:3])
            self.gap(f"'{path}' makes system calls whose number is not told (at {where})")
        self.linked(step)
        for name in sorted(one for one in program.starts if one):
            self.start((name,), "named", path, is_told=False)
        self.commanded(step)
        if None in program.starts:
            self.open_programs(step)

    def linked(self, step: Step) -> None:
        """The loader and the libraries of a program, those that it asks for by name included."""
        program, path = step.program, step.path
        if program.interpreter and (found := self.root.resolve(program.interpreter)):
            self.add(found[0], step.certainty, f"the loader of {path}")
        for name in program.needed:
            self.library(name, step.certainty, path, program, path)
        if program.imports & _NAME_SERVICE and "libc.so.6" in program.needed:
            for one in self.root.libraries(lambda name: fnmatchcase(name, "libnss_*.so.2")):
                self.add(one, "named", f"name services that {path} asks")
        for name in sorted(one for one in program.loads if one):
            self.library(name, "named", path, program, path)
        if None in program.loads:
            self.open_libraries(step)

    def commanded(self, step: Step) -> None:
        """The commands that a program gives to a shell (system, popen)."""
        shell = self.root.runnable("/bin/sh") if step.program.commands else None
        if shell is None:
            return
        for text in sorted(one for one in step.program.commands if one):
            self.text(f"a command of {step.path}", text, [], "named")
            self.add(shell, "named", f"a command of {step.path}")
        if None in step.program.commands:
            self.start((shell,), "named", step.path, is_told=False)

    def open_programs(self, step: Step) -> None:
        """A program starts others by names that are not told: those in its strings, then whatever there is."""
        for name in sorted(step.program.names):
            if self.root.runnable(name):
                self.start((name,), "named", step.path, is_told=False)
        if "programs" in self.is_open:
            return
        self.is_open.add("programs")
        for path in self.root.runnables(_SHELLS):
            self.start((path,), "guessed", f"{step.path} {_UNNAMED}", is_told=False)

    def open_libraries(self, step: Step) -> None:
        """A program loads libraries by names that are not told."""
        for name in sorted(step.program.names):
            if _CALLED.fullmatch(posixpath.basename(name)):
                self.library(name, "named", step.path, step.program, step.path, is_needed=False)
        if "libraries" in self.is_open:
            return
        self.is_open.add("libraries")
        for one in self.root.libraries(lambda name: ".so" in name):
            self.add(one, "guessed", f"{step.path} (it loads libraries by names that are not told)")

    # --- libraries

    def library(
        self,
        name: str,
        certainty: Certainty,
        by: str,
        program: Program | None = None,
        path: str = "/",
        *,
        is_needed: bool = True,
    ) -> None:
        """A library is loaded: from where its name says, or from the first folder that has it."""
        folders = ["/"] if "/" in name else self.root.folders(program, path)
        for folder in folders:
            if found := self.root.program(posixpath.join(folder, name)):
                self.add(found[0], certainty, by)
                return
        elsewhere = self.root.names.get(posixpath.basename(name), [])
        for one in elsewhere:
            self.add(one, certainty, by)
        if not elsewhere and is_needed and program is not None and name in program.needed:
            self.gap(f"'{name}', which '{by}' needs, is not in its root file system")
