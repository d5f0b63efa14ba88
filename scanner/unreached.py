"""Programs and libraries in the root file systems of containers that nothing reaches which is started there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from .programs import roots
from .reached import Reach, Unreached
from .startup import NamedTuple
from .subjects import Container
from .trees import Entry, Trees

_LIBRARY = re.compile(r"[^/]+\.so(?:\.[\w.-]+)?")
_OTHERS = re.compile(
    r"(?:.+/)?(?:libgcc_s\.so\.1|libidn2\.so\.0|libnss_[\w-]+\.so\.2|gconv/.+|lib/(?:debug|modules|firmware)/.+|.+\.debug)"
)
"""What the C library loads of its own accord (pthread_cancel, getaddrinfo, names, iconv), whose code is not followed;
and what is not there to be run in the container."""

_PRELOAD = "etc/ld.so.preload"

_Root = tuple[tuple[str, ...], str]


class _Bind(NamedTuple):
    """A folder of the host that a container, whose own folder is `own`, has mounted."""

    tree: tuple[str, ...]
    own: str
    container: str
    source: str


def unreached(
    trees: Trees, reached: Sequence[tuple[Container, Reach]], in_memory: Iterable[tuple[str, ...]]
) -> Iterator[Unreached]:
    """For each container that brings a root file system; `in_memory` are the trees that are unpacked into memory."""
    users: dict[_Root, list[tuple[Container, Reach]]] = {}
    for one in reached:
        tree, folders = roots(one[0])
        for folder in dict.fromkeys(folders):
            users.setdefault((tree, folder.rstrip("/")), []).append(one)
    memory, binds = frozenset(in_memory), [*_binds(reached)]
    for container, _ in reached:
        *outer, config = container.place.artifacts
        own = posixpath.dirname(config)
        found = [(tuple(outer), f"{own}/{part}") for part in ("lower", "rootfs")]
        for root in found:
            if root in trees.entries:
                yield _judged(trees, container, root, users.get(root, []), binds)._replace(
                    is_in_memory=root[0] in memory
                )


def _judged(
    trees: Trees,
    container: Container,
    root: _Root,
    users: Sequence[tuple[Container, Reach]],
    binds: Sequence[_Bind],
) -> Unreached:
    """What nobody reaches in one root file system."""
    programs: dict[int, tuple[str, int]] = {}
    for path, entry in sorted(trees.entries[root].items()):
        shared = trees.same(root[0], entry)
        if shared and shared.size and _is_program(path, shared):
            programs.setdefault(id(shared), (path, shared.size))
    gaps = [gap for _, reach in users for gap in reach.gaps]
    if _PRELOAD in trees.entries[root]:
        gaps.append(f"'/{_PRELOAD}' names libraries that every program loads")
    shown = [*_shown(binds, root)]
    within = [one for one in shown if one.source.startswith(f"/{root[1]}/")]
    gaps += [f"container '{one.container}' has its '{one.source.rstrip('/')}' mounted" for one in within]
    if gaps:
        return Unreached(container, len(programs), (), tuple(dict.fromkeys(gaps)))
    known = {id(entry) for user, reach in users for entry in _entries(trees, user, reach)}
    files = [one for identity, one in programs.items() if identity not in known]
    seen = tuple(dict.fromkeys(one.container for one in shown))
    return Unreached(container, len(programs), tuple(sorted(files, key=lambda one: (-one[1], one[0]))), (), seen)


def _entries(trees: Trees, container: Container, reach: Reach) -> Iterator[Entry]:
    """The files of what a container reaches, in whichever of the folders of its root they lie."""
    tree, folders = roots(container)
    for step in reach.steps:
        for folder in folders:
            entry = trees.entries.get((tree, folder.rstrip("/")), {}).get(step.path.lstrip("/"))
            shared = trees.same(tree, entry) if entry else None
            if shared:
                yield shared
                break


def _is_program(path: str, entry: Entry) -> bool:
    """Whether an ELF file is there to be run or loaded, by those means that are followed."""
    is_one = bool(entry.mode & 0o111) or _LIBRARY.fullmatch(posixpath.basename(path)) is not None
    return is_one and not _OTHERS.fullmatch(path)


def _binds(reached: Iterable[tuple[Container, Reach]]) -> Iterator[_Bind]:
    """The folders, each with a slash, that containers have mounted from where root file systems lie, or from above."""
    for container, _ in reached:
        *tree, config = container.place.artifacts
        for mount in container.mounts:
            source = f"/{posixpath.normpath(mount.source).strip('/')}/".replace("//", "/")
            if mount.is_bind and (source == "/" or source.startswith("/containers/")):
                yield _Bind(tuple(tree), f"{posixpath.dirname(config)}/", container.name, source)


def _shown(binds: Iterable[_Bind], root: _Root) -> Iterator[_Bind]:
    """Those by which another container sees a root file system, or some of it."""
    path = f"/{root[1]}/"
    for one in binds:
        overlaps = path.startswith(one.source) or one.source.startswith(path)
        if overlaps and one.tree == root[0] and not root[1].startswith(one.own):
            yield one
