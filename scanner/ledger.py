"""The ledger: what an image holds, path by path, as far as a spec is held against it; kept while its files pass by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import TypeVar

from .builds import Row
from .startup import NamedTuple
from .subjects import File, Place

_CONTENT = 1 << 20
"""Bytes of a file that is read for its digest though nobody asked for it: `contents:` of a spec has less."""
_WHOLE = 256 << 20
"""Bytes of a file that somebody asked for."""
_ROWS = 200_000
"""Files that are kept: LinuxKit's root file systems have some thousands outside of containers."""
_COUNTED = 50_000
"""Records and parts of folders that are told apart: an image has a few for each container."""
_FOLDERS = frozenset({"onboot", "onshutdown", "services", "volumes"})
_BUNDLE = 4
"""`containers/services/web/rootfs`: the components of a path down to a part of a bundle."""

_UNRECORDED = re.compile(r"Dockerfile|[^/]+\.spdx\.json")
"""What LinuxKit writes without a record: what makes a tar a folder for `docker build`, and its bill of materials."""

_KERNEL = re.compile(r"(?:^|[/-])(?:kernel|vmlinu[xz][^/]*|bzImage|Image)$|^\.linux$|\.uimg$")

Key = TypeVar("Key")
Tree = tuple[str, ...]
"""The artifacts that a file tree lies in."""


class Record(NamedTuple):
    """LinuxKit's own record of where a file came from, and the part of the image that the file is in.

    `part` is `containers/services/web`, "" for the root file system; `source` a reference (or `linuxkit.files`),
    `location` as `services[2]`; both are "" where there is none.
    """

    part: str
    source: str
    location: str


class Seen(NamedTuple):
    """The first of some files, and how many they are."""

    place: Place
    number: int


class Ledger:
    """Takes the files of one image. A tree that holds LinuxKit's /init or containers is a root."""

    def __init__(self, wanted: Iterable[str] = (), *, is_open: bool = True, whole: bool = False) -> None:
        """`wanted` are paths whose content is to be compared; `is_open`: any small file's may be.

        `whole`: every file of every container is kept, with its digest.
        """
        self._wanted = frozenset(wanted)
        self._is_open = is_open
        self._is_whole = whole
        self.roots: set[Tree] = set()
        self.rows: dict[Tree, dict[str, Row]] = {}
        self.records: dict[Tree, dict[Record, Seen]] = {}
        self.bare: dict[Tree, Seen] = {}
        """Files without a record."""
        self.parts: dict[Tree, dict[str, Seen]] = {}
        """By path down to the part of a bundle (`containers/services/web/rootfs`): what lies below it."""
        self.digests: dict[tuple[str, ...], str] = {}
        """Of what may be a kernel, by its artifacts, where every file is kept."""
        self._kept = 0
        self.left = 0
        """Files beyond the limit, which were not kept."""

    def meet(self, file: File) -> None:
        """Take note of a file while its content can be read."""
        path, place = file.path, file.place
        tree = place.artifacts[:-1]
        part = ""
        if path.startswith("containers/"):
            self.roots.add(tree)
            part = self._part(tree, path, place)
        elif path in {"init", "bin/rc.init"}:
            self.roots.add(tree)
        if file.location:
            _count(self.records.setdefault(tree, {}), Record(part, file.source, file.location), place)
        elif path != "." and not _UNRECORDED.fullmatch(path):
            _count(self.bare, tree, place)
        if not part or self._is_whole or path in self._wanted:
            self._keep(tree, file)
        if self._is_whole and _KERNEL.search(path):
            self.digests[place.artifacts] = self._digest(file)

    def _part(self, tree: Tree, path: str, place: Place) -> str:
        """The container or volume that a path is in; what is in its parts is counted."""
        steps = path.split("/", _BUNDLE)
        if len(steps) > _BUNDLE:
            _count(self.parts.setdefault(tree, {}), "/".join(steps[:_BUNDLE]), place)
        elif len(steps) != _BUNDLE - 1 or steps[1] not in _FOLDERS:
            parts = self.parts.setdefault(tree, {})
            if len(parts) < _COUNTED:
                parts.setdefault(path, Seen(place, 0))
        return "/".join(steps[: _BUNDLE - 1])

    def _keep(self, tree: Tree, file: File) -> None:
        rows = self.rows.setdefault(tree, {})
        if self._kept >= _ROWS and file.path not in self._wanted:
            self.left += 1
            return
        self._kept += 1
        rows[file.path] = Row(
            file.path, file.kind, file.mode, file.uid, file.gid, file.size, self._digest(file), file.target
        )

    def _digest(self, file: File) -> str:
        if file.kind != "file" or file.read is None:
            return ""
        asked = self._is_whole or file.path in self._wanted
        limit = _WHOLE if asked else _CONTENT if self._is_open else 0
        if file.size > limit:
            return ""
        if not asked and file.read(4) == b"\x7fELF":  # which no text of a spec is
            return ""
        data = file.read(file.size) if file.size else b""
        return sha256(data).hexdigest() if len(data) == file.size else ""


def _count(seen: dict[Key, Seen], key: Key, place: Place) -> None:
    first = seen.get(key)
    if first is None and len(seen) >= _COUNTED:
        return
    seen[key] = Seen(first.place if first else place, first.number + 1 if first else 1)
