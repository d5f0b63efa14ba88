"""The root file systems of containers, gathered while the files of an image pass by, and what is found in them.

Paths, commands and libraries are looked up as the kernel, a shell and the loader would do it inside the container.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from . import calls
from .elf import MAGIC
from .programs import PATH, roots
from .reached import Interest, Program
from .startup import late
from .subjects import Container, File

_ENTRIES = 1 << 19
"""Files, folders and links of containers that are kept."""
_PROGRAMS = 1 << 14
"""Programs and scripts of one image that are looked at."""
_HELD = 128 << 20
"""Bytes of programs that are kept, compressed, until somebody reaches them; others are read at once."""
_LINKS = 40
_TREE = late(r"(containers/[^/]+/[^/]+/(?:rootfs|lower))/(.+)")
_FOLDERS = ("/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64")
_MULTIARCH = ("x86_64-linux-gnu", "aarch64-linux-gnu")
_TEXTS = late(r"etc/(?:ld\.so\.conf|ld\.so\.conf\.d/[^/]+\.conf|ld-musl-\w+\.path)")


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


class Root:
    """The root file system of a container, its layers one over the other, the uppermost first."""

    def __init__(self, trees: Trees, container: Container) -> None:
        self._trees = trees
        self._tree, folders = roots(container)
        named = [(one.rstrip("/"), trees.entries.get((self._tree, one.rstrip("/")))) for one in folders]
        self._layers = [(name, entries) for name, entries in named if entries is not None]
        self._cwd = str((container.oci.get("process") or {}).get("cwd") or "/")
        self._path = _variable(container, "PATH", [PATH])
        self._preferred = _variable(container, "LD_LIBRARY_PATH", [])

    def __bool__(self) -> bool:
        """Whether anything of it was met."""
        return bool(self._layers)

    def _entry(self, path: str) -> Entry | None:
        """What is at a path without links, in the uppermost layer that has it."""
        for _, entries in self._layers:
            if path in entries:
                return self._trees.same(self._tree, entries[path])
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
            found = self._entry("/".join([*done, part]))
            if found is not None and found.kind == "symlink":
                links += 1
                if links > _LINKS:
                    return None
                if found.target.startswith("/"):
                    done = []
                rest += found.target.split("/")[::-1]
                continue
            done.append(part)
        found = self._entry("/".join(done))
        return ("/" + "/".join(done), found) if found else None

    def runnable(self, name: str) -> str | None:
        """The path at which a command is found: as it is, or in PATH; not what it leads to."""
        folders = [""] if "/" in name else self._path[-1].split(":")
        for folder in folders:
            candidate = posixpath.join(self._cwd, folder, name)
            found = self.resolve(candidate)
            if found and found[1].kind == "file" and found[1].mode & 0o111:
                return candidate
        return None

    def program(self, path: str) -> tuple[str, Program] | None:
        """The ELF file or script that a path leads to, behind the path without links."""
        found = self.resolve(path)
        return (found[0], found[1].program) if found and found[1].program else None

    def script(self, path: str) -> tuple[str, Program] | None:
        """The same, of a script alone."""
        found = self.program(path)
        return None if found is None or found[1].is_elf else found

    def text(self, path: str) -> tuple[str, str] | None:
        """The text of a file, "" where it was not kept, behind the path without links."""
        found = self.resolve(path)
        if found is None:
            return None
        real, entry = found
        return real, entry.program.text if entry.program else entry.text.decode("utf-8", "replace")

    def runnables(self, shells: frozenset[str]) -> Iterator[str]:
        """The paths of all programs and scripts that can be executed, and of links that are called as `shells` are."""
        for layer, entries in self._layers:
            for path, entry in entries.items():
                shared = self._trees.same(self._tree, entry)
                program = shared.program if shared else None
                is_program = program is not None and entry.mode & 0o111 and (program.is_runnable or not program.is_elf)
                is_shell = entry.kind == "symlink" and posixpath.basename(path) in shells
                if (is_program and self._is_seen(layer, path)) or (is_shell and self.runnable(f"/{path}")):
                    yield f"/{path}"

    def _is_seen(self, layer: str, path: str) -> bool:
        """Whether no upper layer has something else at a path."""
        return next((name for name, entries in self._layers if path in entries), layer) == layer

    def libraries(self, wanted: Callable[[str], bool]) -> Iterator[str]:
        """The paths of libraries whose last names are wanted."""
        for name, paths in self.names.items():
            for path in paths if wanted(name) else ():
                found = self.program(path)
                if found and found[1].is_elf and not found[1].is_runnable:
                    yield path

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """The paths of all files by their last name."""
        names: dict[str, list[str]] = {}
        for _, entries in self._layers:
            for path, entry in entries.items():
                if entry.kind in {"file", "hardlink"}:
                    names.setdefault(posixpath.basename(path), []).append(f"/{path}")
        return names

    def folders(self, program: Program | None, path: str) -> list[str]:
        """Where the loader looks for what the program at a path needs, in its order; a few more do no harm."""
        own = posixpath.dirname(path)
        search = [re.sub(r"\$ORIGIN\b|\$\{ORIGIN\}", own, one) for one in (program.search if program else ())]
        return [*search, *self._folders]

    @cached_property
    def _folders(self) -> list[str]:
        """The same of every program: what the environment, the loader's configuration and custom say."""
        preferred = [one for text in self._preferred for one in text.split(":") if one]
        texts = [
            entry.text.decode("utf-8", "replace")
            for _, entries in self._layers
            for path, entry in entries.items()
            if entry.text and _TEXTS.fullmatch(path)
        ]
        told = [one for text in texts for one in re.split(r"[\s:]+", text) if one.startswith("/")]
        default = [f"{one}/{arch}" for arch in _MULTIARCH for one in ("/lib", "/usr/lib")]
        return [*preferred, *told, *default, *_FOLDERS]


def _variable(container: Container, name: str, default: list[str]) -> list[str]:
    """The values that a variable of the environment is given, the last of which counts."""
    return [one.partition("=")[2] for one in container.env if one.startswith(f"{name}=")] or default
