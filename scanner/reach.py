"""What a container's programs can reach: the command, the libraries and programs that it may call on, step by step.

Everything is looked up in the container's own root file system, as the kernel, the loader and the shell would.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from . import calls, scripts
from .elf import MAGIC
from .programs import PATH, bound, roots
from .reached import Certainty, Interest, Program, Reach, Step
from .startup import late
from .subjects import Container, File

_ENTRIES = 1 << 19
"""Files, folders and links of containers that are kept."""
_PROGRAMS = 1 << 14
"""Programs and scripts of one image that are looked at."""
_HELD = 128 << 20
"""Bytes of programs that are kept, compressed, until somebody reaches them; others are read at once."""
_STEPS = 4096
"""Programs and libraries that one container is told to reach."""
_LINKS = 40
_TREE = late(r"(containers/[^/]+/[^/]+/(?:rootfs|lower))/(.+)")
_FOLDERS = ("/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64")
_MULTIARCH = ("x86_64-linux-gnu", "aarch64-linux-gnu")
_TEXTS = late(r"etc/(?:ld\.so\.conf|ld\.so\.conf\.d/[^/]+\.conf|ld-musl-\w+\.path)")
_UNNAMED = "(it starts programs by names that are not told)"
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "zsh", "ksh", "mksh"})
_INTERPRETERS = late(
    r"(?:python|perl|ruby|lua|luajit|php|tclsh|node|nodejs|java|guile|awk|gawk|mawk|expect|fish|csh|tcsh)[\d.]*"
)
_MULTI = late(r"(?:busybox|toybox)(?:[.-].*)?")
_CALLED = late(r"lib\w*\.so(?:\.\d+)*|[\w+-]+\.so(?:\.\d+)*")
_NAME_SERVICE = frozenset(
    {"getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getgrnam", "getgrgid", "getgrouplist", "initgroups",
     "gethostbyname", "gethostbyname_r", "getaddrinfo", "getservbyname", "getspnam", "getgrnam_r", "getgrgid_r"}
)  # fmt: skip


def _always(program: Program) -> Callable[[], Program]:
    return lambda: program


class _Held:
    """A program that is read when somebody reaches it: most of an image's never are."""

    def __init__(self, file: File, data: bytes, interest: Interest) -> None:
        from lz4.block import compress

        self._file = file._replace(read=None, pieces=None, again=None)
        self._data: bytes = compress(data)
        self._interest = interest
        self._program: Program | None = None
        self.size = len(self._data)

    def program(self) -> Program:
        """What it may ask for."""
        if self._program is None:
            from lz4.block import decompress

            self._program = calls.program(self._file, decompress(self._data), self._interest)
            self._data = b""
        return self._program


@dataclass(slots=True)
class Entry:
    """A file, folder or link of a container's tree."""

    kind: str
    mode: int
    target: str = ""
    read: Callable[[], Program] | None = None
    text: bytes = b""
    is_privileged: bool = False
    size: int = 0
    """Of an ELF file, its bytes; 0 of all others."""

    @property
    def program(self) -> Program | None:
        """The ELF file or script that it is."""
        return self.read() if self.read else None


class Trees:
    """The trees of containers, gathered while the files of an image pass by."""

    def __init__(self, interest: Interest, limit: int) -> None:
        """`limit` is how many bytes of a program are read."""
        self._interest = interest
        self._limit = limit
        self._known: dict[tuple[int, int], Callable[[], Program]] = {}
        self._held = 0
        self.entries: dict[tuple[tuple[str, ...], str], dict[str, Entry]] = {}
        self.left = 0
        """Files that were not kept, beyond the limits."""
        self._count = 0

    def meet(self, file: File) -> None:
        """Take note of a file while its content can be read."""
        match = _TREE.fullmatch(file.path)
        if match is None:
            return
        self._count += 1
        if self._count > _ENTRIES:
            self.left += 1
            return
        tree = self.entries.setdefault((file.place.artifacts[:-1], match[1]), {})
        entry = Entry(file.kind, file.mode, file.target)
        entry.is_privileged = bool(file.mode & 0o6000 and file.kind == "file") or "security.capability" in file.xattrs
        if file.kind == "file" and file.read is not None and file.size:
            head = file.read(4)
            if calls.is_one(head):
                entry.read = self._program(file)
                entry.size = file.size if head == MAGIC else 0
            elif _TEXTS.fullmatch(match[2]) or file.mode & 0o111:
                entry.text = file.read(1 << 16)
            elif file.size <= 1 << 16 and match[2].startswith(("etc/", "usr/lib/", "lib/", "usr/share/")):
                entry.text = file.read(1 << 12) if file.size <= 1 << 12 else b""
        tree[match[2]] = entry

    def _program(self, file: File) -> Callable[[], Program]:
        """What reads a file, whose content is kept for that where there is room."""
        if file.size > self._limit or file.read is None:
            return _always(Program(unread=f"is larger than {self._limit} bytes"))
        data = file.read(self._limit)
        key = (hash(data), len(data))
        if key not in self._known:
            if len(self._known) >= _PROGRAMS:
                return _always(Program(unread=f"is beyond the {_PROGRAMS} programs that are read"))
            if data.startswith(b"#!"):
                self._known[key] = _always(calls.script(data))
            else:
                held = _Held(file, data, self._interest)
                self._held += held.size
                self._known[key] = held.program if self._held <= _HELD else _always(held.program())
        return self._known[key]

    def same(self, tree: tuple[str, ...], entry: Entry) -> Entry | None:
        """The entry, or the file that it shares as a hard link, wherever that lies; None where it leads nowhere."""
        for _ in range(_LINKS):
            if entry.kind != "hardlink":
                return entry
            match = _TREE.fullmatch(entry.target)
            found = self.entries.get((tree, match[1]), {}).get(match[2]) if match else None
            if found is None:
                return None
            entry = found
        return None

    def grants(self, container: Container) -> bool:
        """Whether a file of a container's tree grants more when it is executed: set-id, or with capabilities."""
        tree, folders = roots(container)
        trees = (self.entries.get((tree, one.rstrip("/")), {}) for one in folders)
        return any(entry.is_privileged for entries in trees for entry in entries.values())

    def reach(self, container: Container) -> Reach:
        """What a container's command reaches."""
        return _Walk(self, container).reach()


@dataclass(slots=True)
class _Walk:
    """One container's way through its tree."""

    trees: Trees
    container: Container
    steps: dict[str, Step] = field(default_factory=dict)
    gaps: dict[str, None] = field(default_factory=dict)
    waiting: deque[Step] = field(default_factory=deque)
    roots: list[tuple[str, dict[str, Entry]]] = field(default_factory=list)
    tree: tuple[str, ...] = ()
    names: dict[str, list[str]] = field(default_factory=dict)
    is_open: set[str] = field(default_factory=set)

    def reach(self) -> Reach:
        """All of it."""
        self.tree, folders = roots(self.container)
        named = [(one.rstrip("/"), self.trees.entries.get((self.tree, one.rstrip("/")))) for one in folders]
        self.roots = [(name, entries) for name, entries in named if entries is not None]
        if not self.roots:
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
            elif one.startswith("/") and name != "PATH" and (found := self.runnable(one)):
                self.add(found, "named", f"the variable {name}")

    def gap(self, why: str) -> None:
        """Note why more may run than is told."""
        self.gaps.setdefault(why)

    # --- paths

    def entry(self, path: str) -> Entry | None:
        """What is at a path without links, in the uppermost layer that has it."""
        for _, entries in self.roots:
            if path in entries:
                return self.trees.same(self.tree, entries[path])
        return None

    def resolve(self, path: str, folder: str = "") -> tuple[str, Entry] | None:
        """What a path leads to, links followed inside the container's root alone; None where nothing is."""
        rest = [*(path if path.startswith("/") else f"{folder}/{path}").split("/")][::-1]
        done: list[str] = []
        links = 0
        found = None
        while rest:
            part = rest.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                del done[-1:]
                continue
            found = self.entry("/".join([*done, part]))
            if found is not None and found.kind == "symlink":
                links += 1
                if links > _LINKS:
                    return None
                if found.target.startswith("/"):
                    done = []
                rest += found.target.split("/")[::-1]
                continue
            done.append(part)
        found = self.entry("/".join(done))
        return ("/" + "/".join(done), found) if found else None

    def runnable(self, name: str) -> str | None:
        """The path at which a command is found: as it is, or in PATH; not what it leads to."""
        given = [one.partition("=")[2] for one in self.container.env if one.startswith("PATH=")]
        folder = str((self.container.oci.get("process") or {}).get("cwd") or "/")
        if "/" in name:
            candidates: Iterable[str] = (posixpath.join(folder, name),)
        else:
            candidates = (posixpath.join(one or folder, name) for one in (given[-1] if given else PATH).split(":"))
        for candidate in candidates:
            found = self.resolve(candidate)
            if found and found[1].kind == "file" and found[1].mode & 0o111:
                return candidate
        return None

    # --- programs

    def start(self, command: Iterable[str], certainty: Certainty, by: str, *, is_told: bool) -> None:
        """A program is started with arguments; not `is_told`: nobody knows all of them."""
        name, *arguments = command
        path = self.runnable(name)
        if path is None:
            if (where := bound(self.container, posixpath.join("/", name))) is not None and "/" in name:
                self.gap(f"'{name}' is the host's: {where} is bound there")
            elif certainty == "certain":
                self.gap(f"its program '{name}' is not in its root file system")
            return
        base = posixpath.basename(path)
        resolved = self.resolve(path)
        if _MULTI.fullmatch(base) and arguments:
            base, *arguments = arguments
        self.add(path, certainty, by)
        program = resolved[1].program if resolved else None
        told = arguments if is_told else None
        if program is not None and not program.is_elf:
            self.script(path, program, told, certainty)
        elif base in _SHELLS:
            self.shell(path, told, certainty, by)
        elif _INTERPRETERS.fullmatch(base):
            self.gap(f"'{path}' interprets programs, which are not followed ({by})")
        for one in told or ():
            self.argument(one, path)

    def argument(self, text: str, path: str) -> None:
        """An argument of a program may name another one, or a script."""
        if found := self.runnable(text):
            self.start((found,), "named", f"an argument of {path}", is_told=False)
        elif (given := self.resolve(text)) and given[1].program and not given[1].program.is_elf:
            self.script(given[0], given[1].program, None, "named")

    def shell(self, path: str, arguments: list[str] | None, certainty: Certainty, by: str) -> None:
        """A shell is started: with a text, with a script, or with what nobody knows."""
        rest = list(arguments or ())
        while rest and rest[0].startswith("-") and "c" not in rest[0][1:]:
            rest.pop(0)
        if arguments is None or not rest:
            self.gap(f"{by} may give commands to the shell '{path}' that are not told")
        elif rest[0].startswith("-") and len(rest) > 1:
            self.text(f"the command of {path}", rest[1], rest[3:], certainty)
        elif (found := self.resolve(rest[0])) and found[1].program and not found[1].program.is_elf:
            self.script(found[0], found[1].program, rest[1:], certainty, is_shell=True)
        elif found and found[1].text:
            self.text(found[0], found[1].text.decode("utf-8", "replace"), rest[1:], certainty)
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
        if words and (found := self.runnable(words[0])):
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
            if (runs := self.runnable(word)) is not None:
                base = posixpath.basename(runs)
                told = base in _SHELLS or _INTERPRETERS.fullmatch(base) is not None
                self.add(runs, "named", f"the script {path}")
                resolved = self.resolve(runs)
                if resolved and resolved[1].program and not resolved[1].program.is_elf:
                    self.script(resolved[0], resolved[1].program, None, "named")
                elif told and base not in {"awk", "gawk", "mawk"} and f"#!{runs}" not in text.partition("\n")[0]:
                    self.inner(path, text, runs)
        for name in sorted(found.sourced):
            seen = self.resolve(name)
            content = (
                seen[1].program.text
                if seen and seen[1].program
                else seen[1].text.decode("utf-8", "replace")
                if seen
                else ""
            )
            if seen and content:
                self.text(seen[0], content, None, certainty)
            elif seen:
                self.gap(f"'{name}', which '{path}' reads in, is not read")

    def inner(self, path: str, text: str, runs: str) -> None:
        """A script names a shell or another interpreter: it may be given what is in the script, or other files."""
        base = posixpath.basename(runs)
        given = re.search(rf"(?:^|[\s;|&(/]){re.escape(base)}[ \t]+(?:-\w+[ \t]+)*([\w./-]+)", text)
        found = self.resolve(given[1]) if given and base in _SHELLS else None
        if found and found[1].program and not found[1].program.is_elf:
            self.script(found[0], found[1].program, None, "named", is_shell=True)
        elif base not in _SHELLS or re.search(
            rf"(?:^|[\s;|&(/]){re.escape(base)}(?:[ \t]+-\w+)*[ \t]*(?:$|[|;&<>])", text, re.MULTILINE
        ):
            self.gap(f"the script '{path}' starts '{runs}', and what that runs is not followed")

    def add(self, path: str, certainty: Certainty, by: str) -> None:
        """A program is reached; what it brings is looked at later."""
        found = self.resolve(path)
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
        if program.interpreter and (found := self.resolve(program.interpreter)):
            self.add(found[0], step.certainty, f"the loader of {path}")
        for name in program.needed:
            self.library(name, step.certainty, path, program, path)
        if program.imports & _NAME_SERVICE and "libc.so.6" in program.needed:
            for one in self.find(lambda name: fnmatchcase(name, "libnss_*.so.2")):
                self.add(one, "named", f"name services that {path} asks")
        for name in sorted(one for one in program.loads if one):
            self.library(name, "named", path, program, path)
        if None in program.loads:
            self.open_libraries(step)

    def commanded(self, step: Step) -> None:
        """The commands that a program gives to a shell (system, popen)."""
        shell = self.runnable("/bin/sh") if step.program.commands else None
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
            if self.runnable(name):
                self.start((name,), "named", step.path, is_told=False)
        if "programs" in self.is_open:
            return
        self.is_open.add("programs")
        for root, entries in self.roots:
            for path, entry in entries.items():
                shared = self.trees.same(self.tree, entry)
                program = shared.program if shared else None
                is_program = program is not None and entry.mode & 0o111 and (program.is_runnable or not program.is_elf)
                is_shell = entry.kind == "symlink" and posixpath.basename(path) in _SHELLS
                if (is_program and self.is_seen(root, path)) or (is_shell and self.runnable(f"/{path}")):
                    self.start((f"/{path}",), "guessed", f"{step.path} {_UNNAMED}", is_told=False)

    def is_seen(self, root: str, path: str) -> bool:
        """Whether no upper layer has something else at a path."""
        return next((name for name, entries in self.roots if path in entries), root) == root

    def open_libraries(self, step: Step) -> None:
        """A program loads libraries by names that are not told."""
        for name in sorted(step.program.names):
            if _CALLED.fullmatch(posixpath.basename(name)):
                self.library(name, "named", step.path, step.program, step.path, is_needed=False)
        if "libraries" in self.is_open:
            return
        self.is_open.add("libraries")
        for one in self.find(lambda name: ".so" in name):
            self.add(one, "guessed", f"{step.path} (it loads libraries by names that are not told)")

    # --- libraries

    def find(self, wanted: Callable[[str], bool]) -> Iterator[str]:
        """The libraries whose names are wanted."""
        for name, paths in self.files.items():
            if not wanted(name):
                continue
            for path in paths:
                found = self.resolve(path)
                if found and found[1].program and found[1].program.is_elf and not found[1].program.is_runnable:
                    yield path

    @property
    def files(self) -> dict[str, list[str]]:
        """The paths of all files by their last name."""
        if not self.names:
            for _, entries in self.roots:
                for path, entry in entries.items():
                    if entry.kind in {"file", "hardlink"}:
                        self.names.setdefault(posixpath.basename(path), []).append(f"/{path}")
        return self.names

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
        folders = [] if "/" in name else self.folders(program, path)
        for candidate in [name] if "/" in name else [posixpath.join(one, name) for one in folders]:
            found = self.resolve(candidate)
            if found and found[1].program:
                self.add(found[0], certainty, by)
                return
        elsewhere = self.files.get(posixpath.basename(name), [])
        for one in elsewhere:
            self.add(one, certainty, by)
        if not elsewhere and is_needed and program is not None and name in program.needed:
            self.gap(f"'{name}', which '{by}' needs, is not in its root file system")

    def folders(self, program: Program | None, path: str) -> list[str]:
        """Where the loader looks, in its order; a few places more do no harm."""
        own = posixpath.dirname(path)
        search = [re.sub(r"\$ORIGIN\b|\$\{ORIGIN\}", own, one) for one in (program.search if program else ())]
        given = [one.partition("=")[2] for one in self.container.env if one.startswith("LD_LIBRARY_PATH=")]
        texts = [
            entry.text.decode("utf-8", "replace")
            for _, entries in self.roots
            for inner, entry in entries.items()
            if entry.text and _TEXTS.fullmatch(inner)
        ]
        told = [one for text in texts for one in re.split(r"[\s:]+", text) if one.startswith("/")]
        default = [f"{one}/{arch}" for arch in _MULTIARCH for one in ("/lib", "/usr/lib")]
        return [*search, *(one for text in given for one in text.split(":") if one), *told, *default, *_FOLDERS]
