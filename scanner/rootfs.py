"""Root file systems as a whole: what single files do not tell, gathered while they pass by."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from .subjects import File, Link, Needless, Owners, Place, Rootfs

_TEXTS = re.compile(r"etc/(?:passwd|group|shadow|gshadow|subuid|subgid|ssh/(?!ssh_host_|moduli).+)|.+\.conf")
"""Files that rules read together; what sshd includes may be called anything that ends in `.conf`."""
_TEXT, _IN_ALL = 64 << 10, 16 << 20
"""Bytes of one of them that are kept, and of all."""
_FOLDERS = re.compile(r"(?:usr/|usr/local/)?s?bin/[^/]+|opt/(?:[^/]+/)?bin/[^/]+")
_ROOTS = 4_096
"""Root file systems of one image."""
_PROGRAMS = 20_000
"""Programs and scripts of one root file system that are kept."""
_LINKS = 500_000
"""Symbolic links of one root file system that are followed in the end."""
_LOST = 1_000
"""Of them, those that lead nowhere or out that are told."""
_HOPS = 40
"""Symbolic links on one way: as many as Linux follows."""
_STEPS = 1_000_000
"""Steps on the ways of all links of one root file system."""
_IDS = 10_000
"""Users, and groups, of one root file system that are told apart."""
_SHOWN = 3
"""Paths of an owner, or of needless files of a kind, that are told."""


@dataclass(slots=True)
class _Root:
    """What was seen of one root file system."""

    place: Place
    container: str
    files: int = 0
    tops: set[str] = field(default_factory=set)
    texts: dict[str, bytes] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    users: dict[int, list[str]] = field(default_factory=dict)
    groups: dict[int, list[str]] = field(default_factory=dict)
    owned: dict[tuple[str, int], int] = field(default_factory=dict)
    needless: dict[str, tuple[int, int, list[tuple[int, str]]]] = field(default_factory=dict)
    steps: int = _STEPS
    is_whole: bool = True

    def at(self, inner: str) -> tuple[str, ...]:
        """The artifacts of a path in it."""
        *outer, last = self.place.artifacts
        return (*outer, f"{last}/{inner}") if self.container else (*outer, last, inner)


class Roots:
    """Takes the files of an image one after the other and tells of their root file systems in the end."""

    def __init__(self, exists: Callable[[tuple[str, ...]], bool]) -> None:
        """`exists` tells whether a path was met, by its artifacts."""
        self._exists = exists
        self._roots: dict[tuple[str, ...], _Root] = {}
        self._last: tuple[tuple[str, ...], str, _Root] | None = None
        self._kept = 0
        self.left = 0
        """Files of root file systems beyond the limit, which are not told of."""

    def see(self, file: File) -> None:
        """Take note of a file while its content can be read."""
        outer, inner = file.place.artifacts[:-1], file.inner
        if not outer:
            return  # a file that was named, and no tree
        prefix = file.path[: len(file.path) - len(inner)]
        if self._last is None or self._last[1] != prefix or self._last[0] != outer:
            key = (*outer, prefix)
            if key not in self._roots:
                if len(self._roots) >= _ROOTS:
                    self.left += 1
                    return
                place = Place((*outer, prefix.rstrip("/")) if prefix else outer)
                self._roots[key] = _Root(place, file.container if prefix else "")
            self._last = (outer, prefix, self._roots[key])
        root = self._last[2]
        root.files += 1
        self._known(root, inner)
        _count(root, root.users, "user", file.uid, inner)
        _count(root, root.groups, "group", file.gid, inner)
        if file.kind == "symlink":
            if len(root.links) < _LINKS:
                root.links[inner] = file.target
            root.is_whole &= len(root.links) < _LINKS
        elif file.kind in {"file", "hardlink"}:
            root.links.pop(inner, None)
            self._text(root, file, inner)
        self._program(root, file, inner)
        if file.kind == "file" and not file.replaces and (kind := _kinds().fullmatch(inner)):
            _add(root, kind.lastindex or 0, file.size, inner)

    @staticmethod
    def _known(root: _Root, path: str) -> None:
        """The folders above a path exist, whether or not the format has entries for them."""
        folder = path.rpartition("/")[0]
        while folder and folder not in root.folders:
            root.folders.add(folder)
            folder = folder.rpartition("/")[0]
        top = path.partition("/")[0]
        if top not in root.tops and top != ".":
            root.tops.add(top)

    def _text(self, root: _Root, file: File, path: str) -> None:
        if file.read is not None and _TEXTS.fullmatch(path) and self._kept < _IN_ALL:
            root.texts[path] = file.read(_TEXT)
            self._kept += len(root.texts[path])

    @staticmethod
    def _program(root: _Root, file: File, path: str) -> None:
        """Programs where shells look for them, and scripts wherever they are."""
        in_folder = _FOLDERS.fullmatch(path) is not None
        if file.kind == "symlink":
            what = f"-> {file.target}" if in_folder else ""
        elif file.kind in {"file", "hardlink"} and file.mode & 0o111:
            head = file.read(256) if file.read else b""
            first = head.partition(b"\n")[0].decode("utf-8", "replace").strip() if head.startswith(b"#!") else ""
            what = first or ("program" if in_folder else "")
        else:
            return
        if what and len(root.programs) < _PROGRAMS:
            root.programs[path] = what
        root.is_whole &= len(root.programs) < _PROGRAMS

    def found(self) -> Iterator[Rootfs]:
        """All of them, in the order in which they began."""
        for root in self._roots.values():
            yield Rootfs(
                root.place,
                root.container,
                root.files,
                frozenset(root.tops),
                root.texts,
                root.programs,
                tuple(self._lost(root)),
                _owners(root, root.users, "user"),
                _owners(root, root.groups, "group"),
                root.is_whole,
                needless=tuple(
                    Needless(kind, files, size, tuple(path for _, path in largest))
                    for kind, (files, size, largest) in sorted(root.needless.items())
                ),
            )

    def _lost(self, root: _Root) -> Iterator[Link]:
        """The links that lead nowhere, or above the root directory, in order."""
        count = 0
        for path, target in sorted(root.links.items()):
            climbs = _climbs(path, target)
            missing = self._missing(root, path)
            if climbs or missing:
                count += 1
                if count > _LOST:
                    root.is_whole = False
                    return
                yield Link(path, target, missing, climbs)

    def _missing(self, root: _Root, path: str) -> str:
        """The first path on the link's way that is not there; "" where it leads somewhere, or round in a circle."""
        waiting = [part for part in path.split("/") if part][::-1]
        at, hops = "", 0
        while waiting:
            root.steps -= 1
            if root.steps < 0:
                root.is_whole = False
                return ""
            part = waiting.pop()
            if part == ".":
                continue
            if part == "..":
                at = posixpath.dirname(at)
                continue
            at = f"{at}/{part}" if at else part
            target = root.links.get(at)
            if target is not None:
                hops += 1
                if hops > _HOPS:
                    return at
                waiting += [one for one in target.split("/") if one][::-1]
                at = "" if target.startswith("/") else posixpath.dirname(at)
            elif at not in root.folders and not self._exists(root.at(at)):
                return "/".join((at, *waiting[::-1]))
        return ""


def _count(root: _Root, first: dict[int, list[str]], kind: str, number: int, path: str) -> None:
    """One more file of an owner."""
    if number not in first:
        if len(first) >= _IDS:
            root.is_whole = False
            return
        first[number] = []
    if len(first[number]) < _SHOWN:
        first[number].append(path)
    root.owned[kind, number] = root.owned.get((kind, number), 0) + 1


@cache
def _needless() -> dict[str, str]:
    """The kinds of files that running a system does not take, and the expression for the paths of each."""
    import tomli

    with open(os.path.join(os.path.dirname(__file__), "needless.toml"), "rb") as file:
        return tomli.load(file)


@cache
def _kinds() -> re.Pattern[str]:
    """One expression for all kinds, with a group for each, in order: a path is matched once."""
    return re.compile("|".join(f"({expression})" for expression in _needless().values()), re.DOTALL)


def _add(root: _Root, group: int, size: int, path: str) -> None:
    """One more file that running the system does not take; of each kind the largest are kept by name."""
    kind = list(_needless())[group - 1]
    files, total, largest = root.needless.get(kind, (0, 0, []))
    largest = sorted([*largest, (size, path)], key=lambda one: (-one[0], one[1]))[:_SHOWN]
    root.needless[kind] = files + 1, total + size, largest


def _owners(root: _Root, first: dict[int, list[str]], kind: str) -> tuple[Owners, ...]:
    return tuple(Owners(number, root.owned[kind, number], tuple(paths)) for number, paths in sorted(first.items()))


def _climbs(path: str, target: str) -> bool:
    """Whether a relative target has more steps up than there are directories above the link."""
    if target.startswith("/"):
        return False
    depth = path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
            if depth < 0:
                return True
        elif part not in {"", "."}:
            depth += 1
    return False
