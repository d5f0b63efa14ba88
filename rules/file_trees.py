"""The root file system of an image, whatever format it lies in, and what the format adds around it.

One system looks different in each format: in an initrd its tree lies beside the kernel, in a partition, in a disk; in
an ISO the kernel, and a boot loader, lie in the tree. To compare two, files are called by their paths in the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..scanner.startup import NamedTuple
from ..scanner.subjects import System
from .builds import Build, Entry
from .tables import load

_ROOT = re.compile(r"(?:etc|bin|sbin|usr|lib|lib64|containers|init|dev|proc|sys)(?:/.*)?", re.DOTALL)
"""What only root file systems have at their top."""

_MICROCODE = "kernel/x86/microcode/"
"""Where the kernel looks for microcode: in front of the initrd, or in an archive beside the kernel."""

_KEEPS = ("tar", "squashfs", "EROFS", "ext")
"""Beginnings of names of formats that keep extended attributes."""

_MODULES = re.compile(r"((?:usr/)?lib/modules/)([^/]+)(/.*)?", re.DOTALL)

_MANY = 3
"""Paths that are named of those that a format adds."""


class Trees(NamedTuple):
    """The files of one image: `files` of its root file system by path, `around` what lies around it, by path.

    `keeps_xattrs`: whether the format of the root file system holds extended attributes at all. `release` is that of
    its kernel modules, where all are of one; their paths have `*` in its place.
    """

    files: Mapping[str, Entry]
    around: Mapping[str, Entry]
    keeps_xattrs: bool
    release: str


def trees(build: Build) -> Trees:
    """Sort the files of an image. Hard links have the content of what they lead to; the root folder is left out."""
    layers: dict[tuple[str, ...], dict[str, Entry]] = {}
    for (layer, path), entry in build.entries.items():
        if path.strip("./"):
            layers.setdefault(layer, {})[path.removeprefix("./")] = entry
    roots = [layer for layer, found in layers.items() if any(map(_ROOT.fullmatch, found))] or list(layers)
    files: dict[str, Entry] = {}
    around: dict[str, Entry] = {}
    for layer, found in layers.items():
        for path, entry in found.items():
            one = _resolved(entry, found)
            if layer in roots:
                files[path if len(roots) == 1 else f"{' / '.join(layer[1:])}: {path}"] = one
            elif path.startswith(_MICROCODE):
                files[path] = one
            else:
                around[" / ".join((*layer[1:], path))] = one
    releases = {match[2] for path in files if (match := _MODULES.fullmatch(path)) and match[3]}
    release = releases.pop() if len(releases) == 1 else ""
    if release:
        files = {
            _MODULES.sub(_starred, path) if path.find("lib/modules/") >= 0 else path: one for path, one in files.items()
        }
    return Trees(files, around, _keeps_xattrs(build.system, roots), release)


def _starred(match: re.Match[str]) -> str:
    return f"{match[1]}*{match[3] or ''}"


def _resolved(entry: Entry, found: Mapping[str, Entry]) -> Entry:
    if entry.kind != "hardlink":
        return entry
    first = found.get(entry.target.removeprefix("./"))
    return entry._replace(kind="file") if first is None else first._replace(place=entry.place)


def _keeps_xattrs(system: System | None, roots: Iterable[tuple[str, ...]]) -> bool:
    formats = {layer.place.artifacts: layer.format for layer in system.layers} if system else {}
    return all(formats.get(layer, "").startswith(_KEEPS) for layer in roots)


def is_of_format(path: str, *, around: bool) -> str:
    """What of a format brings a file of this path, in the root file system or around it; "" where none does."""
    inner = path.rpartition(" / ")[2]
    for row in load("boot_files")["file"]:
        if (around or row.get("boot")) and re.fullmatch(row["path"], inner, re.DOTALL):
            return str(row["reason"])
    return ""
