"""Sight: which containers of an image see a file of it, where, and by what way; and which of them start it."""

import posixpath
from collections.abc import Iterable, Iterator

from .startup import NamedTuple
from .subjects import Container, Mount

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a program is looked for whose container sets no PATH."""


class View(NamedTuple):
    """What a container sees of a file: at which path, whether it can change it, and why it sees it.

    `starts`: it is the program that the container starts.
    """

    container: str
    path: str
    writable: bool
    why: str
    starts: bool = False


def views(path: str, containers: Iterable[Container]) -> Iterator[View]:
    """How the containers of one root file system see the file at `path` in it (`containers/services/web/rootfs/x`)."""
    found = list(containers)
    for one in found:
        for inner, writable, why in _ways(f"/{path}", one):
            yield View(one.title, inner, writable, why, starts=inner in _started(one))


def _ways(host: str, one: Container) -> Iterator[tuple[str, bool, str]]:
    """Each way in which a container sees a path of the host: its own root file system, and what is mounted in it."""
    mounts = one.mounts
    for root, why in _roots(one):
        if inner := _below(host, root):
            if not _hidden(inner, mounts, None):
                yield inner, not one.readonly, why
            break
    for mount in mounts:
        if mount.is_bind and (rest := _below(_merged(host), _merged(mount.source), itself=True)) is not None:
            inner = posixpath.normpath(mount.destination + rest)
            if not _hidden(inner, mounts, mount):
                yield inner, mount.writable, f"it has {mount.source} mounted there"


def _roots(one: Container) -> Iterator[tuple[str, str]]:
    """The folders of the image that make up a container's root file system, and whose they are."""
    folder = "/" + posixpath.dirname(one.place.artifacts[-1])
    for mount in one.runtime.get("mounts") or ():
        if mount.get("destination") != f"{folder}/rootfs":
            continue
        sources = [str(mount.get("source", ""))]
        sources += [text[9:] for text in mount.get("options") or () if text.startswith("lowerdir=")]
        for source in sources:
            if source.startswith("/containers/"):
                own = source.startswith(f"{folder}/")
                yield source, "in its root file system" if own else f"it shares the root file system in {source[1:]}"
    for part in ("rootfs", "lower"):
        yield f"{folder}/{part}", "in its root file system"


def _below(path: str, folder: str, *, itself: bool = False) -> str | None:
    """The path from a folder on (`/etc/motd`), "" for the folder `itself`; None where it is not in there."""
    folder = folder.rstrip("/")
    if path.startswith(f"{folder}/"):
        return path[len(folder) :]
    return "" if itself and path == folder else None


def _merged(path: str) -> str:
    """Volumes and containers whose files lie in `lower` are seen in what that is merged into at boot."""
    steps = path.split("/")
    if len(steps) > 4 and steps[1] == "containers" and steps[4] == "lower":  # noqa: PLR2004 - /containers/services/web/lower
        steps[4] = "merged" if steps[2] == "volumes" else "rootfs"
    return "/".join(steps)


def _hidden(inner: str, mounts: Iterable[Mount], own: Mount | None) -> bool:
    """Whether something else is mounted over a path: what is mounted deepest is seen."""
    deepest = max(
        (one for one in mounts if _below(inner, one.destination, itself=True) is not None),
        key=lambda one: len(one.destination),
        default=None,
    )
    return deepest is not own


def _started(one: Container) -> set[str]:
    """The paths at which the container's program may be: what it names, or where its PATH leads."""
    if not one.command:
        return set()
    name = one.command[0]
    if "/" in name:
        working = str((one.oci.get("process") or {}).get("cwd") or "/")
        return {posixpath.normpath(posixpath.join(working, name))}
    search = next((text[5:] for text in reversed(one.env) if text.startswith("PATH=")), _PATH)
    return {posixpath.join(folder, name) for folder in search.split(":") if folder}
