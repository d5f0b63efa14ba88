"""What a container image in a cache holds, laid out as LinuxKit lays it out into an image.

As `ImageTar` of src/cmd/linuxkit/moby/build/image.go has it: what an image brings for Docker's sake is left out or
replaced, and what every root file system must have is added.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from hashlib import sha256

from . import compression, oci, tar
from .builds import Row
from .source import Budget, DamagedError, Limits
from .stream import Stream
from .subjects import File, Place, Problem
from .tree import Entry, Layer, Tree

_EXCLUDED = frozenset({".dockerenv", "Dockerfile", "dev/console", "dev/pts", "dev/shm", "etc/hostname"})
_HOSTS = b"""127.0.0.1       localhost
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""
_REPLACED = {"etc/hosts": _HOSTS, "etc/resolv.conf": b"\n# no resolv.conf configured\n"}
_FOLDERS = ("dev", "dev/pts", "dev/shm", "etc", "proc", "sys")
_RESOLV = "/run/resolvconf/resolv.conf"
"""Where the root file system's own etc/resolv.conf leads."""
_NO_MODE = -1
"""Stands for a mode and an owner that LinuxKit takes from the image or sets itself, by how it gets the image."""
_ARCHITECTURES = {"x86_64": "amd64", "x86": "386"}

Rows = Mapping[str, Row]


def entries(folder: str, reference: str, machine: str, tree: Tree) -> Iterator[tuple[File, Stream | None]]:
    """The files of an image in a cache, for a machine as kernels name it. Raises DamagedError with the reason."""
    for item in oci.image(folder, reference, _ARCHITECTURES.get(machine, machine), tree):
        if isinstance(item, Problem):
            raise DamagedError(item.message)
        if not isinstance(item, Layer) and len(item[0].place.artifacts) > len(tree.place.artifacts) + 1:
            yield item  # what is not deeper is the configuration beside it


def laid_out(folder: str, reference: str, config: Place, limits: Limits) -> Iterator[File]:
    """The files of an image in a cache as those of the container that is described at `config`.

    Of several platforms the first one that the cache holds. Raises DamagedError where it does not hold it whole.
    """
    *outer, name = config.artifacts
    root = f"{posixpath.dirname(name)}/rootfs"
    for file, content in entries(folder, reference, "", Tree(Place((folder,)), Budget(limits))):
        path = f"{root}/{file.path}"
        target = posixpath.normpath(f"{root}/{file.target}") if file.kind == "hardlink" else file.target
        yield file._replace(
            path=path, place=Place((*outer, path)), target=target, read=content.peek if content else None
        )


def rows(folder: str, reference: str, machine: str, tree: Tree, *, is_init: bool) -> dict[str, Row]:
    """The tree of an image as LinuxKit lays it out, by path; `is_init`: for the root file system.

    Raises DamagedError where the cache does not hold it whole.
    """
    found: dict[str, Row] = {}
    for file, content in entries(folder, reference, machine, tree):
        if file.path not in _EXCLUDED and file.path != ".":
            found[file.path] = row(file, content)
    for path in _FOLDERS:
        found[path] = Row(path, "dir", _NO_MODE, _NO_MODE, _NO_MODE)
    for path, data in _REPLACED.items():
        old = found.get(path)
        mode, uid, gid = (old.mode, old.uid, old.gid) if old else (0o644, 0, 0)
        made = Row(path, "file", mode, uid, gid, len(data), sha256(data).hexdigest())
        is_link = is_init and path == "etc/resolv.conf"
        found[path] = Row(path, "symlink", mode, uid, gid, 0, "", _RESOLV) if is_link else made
    found.setdefault("etc/mtab", Row("etc/mtab", "symlink", 0o755, 0, 0, 0, "", "/proc/mounts"))
    return found


def row(file: File, content: Stream | None) -> Row:
    """A file of a layer, its content read to the end."""
    digest = ""
    if file.kind == "file":
        digest = _digest(content)
    return Row(file.path, file.kind, file.mode, file.uid, file.gid, file.size, digest, file.target)


def _digest(content: Stream | None) -> str:
    made = sha256()
    for piece in content.pieces() if content else ():
        made.update(piece)
    if content and content.failure:
        raise content.failure
    return made.hexdigest()


def kernel(
    folder: str, reference: str, machine: str, tree: Tree, given: Mapping[str, object]
) -> tuple[frozenset[str], dict[str, Row]]:
    """The digests that the kernel of an image may have (as it is, and unpacked), and what its kernel.tar holds.

    `given` is what the spec says of the kernel: `binary`, `tar`. Raises DamagedError.
    """
    binary, archive = str(given.get("binary") or "kernel"), str(given.get("tar") or "kernel.tar")
    digests: frozenset[str] = frozenset()
    found: dict[str, Row] = {}
    for file, content in entries(folder, reference, machine, tree):
        if content is None:
            continue
        if file.path == binary:
            data = content.peek(file.size)
            digests = frozenset({sha256(data).hexdigest(), *_unpacked(data, tree)})
        elif file.path == archive:
            found = {one.path: one for one in _members(content, tree)}
    if not digests:
        raise DamagedError(f"there is no '{binary}' in it")
    return digests, found


def _unpacked(data: bytes, tree: Tree) -> Iterator[str]:
    """What `linuxkit build --decompress-kernel` makes of a kernel that is a gzip stream, or a bzImage with one."""
    start = 0
    if data[0x202:0x206] == b"HdrS":
        start = (data[0x1F1] + 1) * 512 + int.from_bytes(data[0x248:0x24C], "little")
    if data[start : start + 2] != b"\x1f\x8b":
        return
    made = sha256()
    try:
        for piece in compression.decompress("gzip", Stream(iter((data[start:],))), tree.budget):
            made.update(piece)
    except DamagedError:
        return
    yield made.hexdigest()


def _members(content: Stream, tree: Tree) -> Iterator[Row]:
    item: Entry
    for item in tar.entries(content, tree):
        if isinstance(item, Problem):
            raise DamagedError(item.message)
        if not isinstance(item, Layer):
            yield row(*item)


def differences(wanted: Rows, found: Rows, prefix: str) -> Iterator[str]:
    """What is not the same of two trees, in words, path by path; `found` has its paths below `prefix`."""
    for path, one in wanted.items():
        there = found.get(prefix + path)
        if there is None:
            yield f"{path} is not in the image"
        elif what := _difference(one, there, prefix, found):
            yield f"{path} has {what}"


def _difference(wanted: Row, found: Row, prefix: str, rows: Rows) -> str:
    """What a path has otherwise; "" where it is as it should be."""
    if wanted.kind == "hardlink":
        return "" if _is_linked(wanted, found, prefix, rows) else "another target"
    if found.kind == "hardlink" and wanted.kind == "file":  # the other name came first
        found = rows.get(found.target, found)
    if wanted.kind != found.kind:
        return f"kind '{found.kind}' instead of '{wanted.kind}'"
    if wanted.target != found.target:
        return f"target '{found.target}' instead of '{wanted.target}'"
    if wanted.sha256 != found.sha256:
        return "another content"
    return "" if wanted.mode == _NO_MODE or wanted.kind == "symlink" else _other_rights(wanted, found)


def _other_rights(wanted: Row, found: Row) -> str:
    if wanted.mode != found.mode:
        return f"mode {found.mode:04o} instead of {wanted.mode:04o}"
    if (wanted.uid, wanted.gid) != (found.uid, found.gid):
        return f"owner {found.uid}:{found.gid} instead of {wanted.uid}:{wanted.gid}"
    return ""


def _is_linked(wanted: Row, found: Row, prefix: str, rows: Rows) -> bool:
    """Whether a hard link is there: as such, as an initrd's relative symbolic one, or as a file of that content."""
    target = posixpath.normpath(prefix + wanted.target)
    if found.kind == "symlink":
        return posixpath.normpath(posixpath.join(posixpath.dirname(found.path), found.target)) == target
    other = rows.get(target)
    if found.kind == "hardlink":
        return posixpath.normpath(found.target) == target or (other is not None and other.target == found.target)
    if other is not None and other.kind == "hardlink":
        return posixpath.normpath(other.target) == found.path
    return found.kind == "file" and other is not None and found.sha256 == other.sha256
