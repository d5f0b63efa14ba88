"""Programs within the image that they are in: their copies, where the loader looks for their libraries, who runs them.

All of that is known only when the whole image was met, so programs are held until then.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from . import elf
from .startup import Literal
from .subjects import Binary, Container, Directory, File, Use

_HELD = 1 << 16
"""Programs that are held: a large distribution has 5,000."""
_NODES = 1 << 18
"""Folders and links that are known by then."""
_USES = 1 << 17
"""Uses of programs by containers that are told."""
_PARTS = 32
"""Folders of one search path that are looked up."""
_HOPS = 40
"""Links that are followed for one path, as Linux does."""
_SET_ID, _WORLD, _STICKY, _GROUP = 0o6000, 0o002, 0o1000, 0o020
_CONTAINER = re.compile(r"(containers/[^/]+/[^/]+)/(?:rootfs|lower)/")
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run/user")  # noqa: S108 - names that are looked for
_FOREIGN = ("/home", "/build", "/builds", "/root", "/Users", "/mnt", "/media")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWN = re.compile(r"\$ORIGIN\b|\$\{ORIGIN\}")
_C_LIBRARY = re.compile(r"ld-|ld\.so|libc\.|libpthread\.|libc-")
"""Their own calls to start programs say nothing: it counts who calls those."""

_Tree = tuple[str, ...]
_Place = tuple[_Tree, str]


@dataclass(frozen=True, slots=True)
class _Node:
    """A folder (with its mode and owners) or a link; the target of a hard one is a path from the root of the tree."""

    mode: int
    uid: int
    gid: int
    target: str | None = None
    is_hard: bool = False


@dataclass(slots=True)
class _Held:
    """A program, what tells its content, how many entries were met before it, and the tree and root it lies in."""

    binary: Binary
    content: int
    met: int
    tree: _Tree
    root: str


@dataclass(slots=True)
class _Started:
    """What a container starts: the program, all that it needs by itself, and whether it can start others."""

    program: _Held | None = None
    parts: set[_Place] = field(default_factory=set)
    is_closed: bool = False
    listens: bool = False


class Programs:
    """Takes note of an image's folders, links and programs as they are met."""

    def __init__(self, exists: Callable[[_Place], bool]) -> None:
        """`exists` tells whether a path of a tree was met, whatever it is."""
        self._exists = exists
        self._held: dict[_Place, _Held] = {}
        self._awaited: dict[int, _Held] = {}
        self._nodes: dict[_Place, _Node] = {}
        self._void: dict[_Tree, int] = {}
        self._met = 0
        self._has_folders: set[_Tree] = set()

    def meet(self, file: File) -> None:
        """Take note of any file; of one that replaces another, what was within that is void."""
        self._met += 1
        artifacts = file.place.artifacts
        if file.replaces:
            self._void[artifacts] = self._met
            self._nodes.pop((artifacts[:-1], file.path), None)
        if file.kind in {"dir", "symlink", "hardlink"} and len(self._nodes) < _NODES:
            target = None if file.kind == "dir" else file.target
            node = _Node(file.mode, file.uid, file.gid, target, file.kind == "hardlink")
            self._nodes[artifacts[:-1], file.path] = node
            self._has_folders.add(artifacts[:-1])

    def hold(self, binary: Binary, data: bytes | None) -> bool:
        """Keep a program, whose content is `data` if it is known, until the end; False where there are too many."""
        place = binary.file.place.artifacts[:-1], binary.file.path
        return self._hold(binary, hash(data or place)) is not None

    def await_one(self, file: File, number: int) -> bool:
        """Keep room for a program that somebody else examines, who tells of it by its number; False as for `hold`."""
        held = self._hold(elf.damaged(file, "it is not told yet"), 0)
        if held:
            self._awaited[number] = held
        return held is not None

    def _hold(self, binary: Binary, content: int) -> _Held | None:
        if len(self._held) >= _HELD:
            return None
        file = binary.file._replace(read=None, pieces=None, again=None, packed=None)
        tree = file.place.artifacts[:-1]
        found = _CONTAINER.match(file.path)
        held = _Held(binary._replace(file=file), content, self._met, tree, found[0] if found else "")
        self._held[tree, file.path] = held
        return held

    def complete(self, number: int, content: int, binary: Binary | None) -> bool:
        """What the program of that number is, and what stands for its content; None where it is no program.

        Whether there is one more.
        """
        held = self._awaited.pop(number, None)
        if held and binary:
            held.binary, held.content = binary._replace(file=held.binary.file), content
        elif held and self._held.get(place := (held.tree, held.binary.file.path)) is held:
            del self._held[place]
        return bool(held and binary)

    def joined(self, containers: Iterable[Container]) -> Iterator[Binary]:
        """Those that count in the end, one for each content, in the order of the first of each."""
        held = {place: one for place, one in self._held.items() if not self._is_void(one)}
        uses = self._uses(held, tuple(containers))
        groups: dict[tuple[object, ...], list[_Held]] = {}
        for one in held.values():
            groups.setdefault(_identity(one), []).append(one)
        for group in groups.values():
            first, *others = group
            directories = [self._directory(one, part) for one in group for part in first.binary.search[:_PARTS]]
            yield first.binary._replace(
                copies=tuple(one.binary.file for one in others),
                directories=tuple(dict.fromkeys(directories)),
                uses=tuple(use for one in group for use in uses.get((one.tree, one.binary.file.path), ())),
            )

    def _is_void(self, held: _Held) -> bool:
        """In an archive the last file of a path wins, with all that lies within it."""
        if not self._void:
            return False
        path = held.binary.file.place.artifacts
        return any(held.met < self._void.get(path[:length], 0) for length in range(1, len(path) + 1))

    # --- paths

    def _resolve(self, tree: _Tree, root: str, path: str) -> str | None:
        """The path from the tree's root that a path within `root` leads to; None in a circle of links."""
        rest, links = path.split("/")[::-1], 0
        done: list[str] = []
        while rest:
            part = rest.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                del done[-1:]
                continue
            node = self._nodes.get((tree, root + "/".join([*done, part])))
            if node is None or node.target is None:
                done.append(part)
                continue
            links += 1
            if links > _HOPS or (node.is_hard and not node.target.startswith(root)):
                return None
            if node.is_hard or node.target.startswith("/"):
                done = []
            rest += node.target[len(root) if node.is_hard else 0 :].split("/")[::-1]
        return root + "/".join(done)

    def _directory(self, held: _Held, written: str) -> Directory:
        """What one part of a search path is."""
        file = held.binary.file
        inside = "/" + file.path[len(held.root) :]
        path = _OWN.sub(lambda _: posixpath.dirname(inside), written)
        if not path.startswith("/"):
            return Directory(written, path, "relative" if "$" not in path else "unknown")
        path = posixpath.normpath(path)
        if "$" in path:
            return Directory(written, path, "unknown")
        if _is_within(path, _TEMPORARY):
            return Directory(written, path, "temporary")
        if held.tree not in self._has_folders or len(self._nodes) >= _NODES:
            return Directory(written, path, "unknown")
        return self._in_tree(held, written, path)

    def _in_tree(self, held: _Held, written: str, path: str) -> Directory:
        """The folder itself counts, and those above it, where whoever may write can put another in its place."""
        resolved = self._resolve(held.tree, held.root, path)
        if resolved is None:
            return Directory(written, path, "missing")
        trusted = {0, held.binary.file.uid}
        at, is_last, is_there = resolved, True, True
        while len(at) >= len(held.root):
            node = self._nodes.get((held.tree, at))
            is_there &= node is not None or not is_last
            if node and _is_open(node, trusted, is_strict=is_last):
                return Directory(written, "/" + at[len(held.root) :], "writable")
            is_last &= node is None
            if not at:
                break
            at = posixpath.dirname(at)
        missing: Literal["foreign", "missing"] = "foreign" if _is_within(path, _FOREIGN) else "missing"
        return Directory(written, path, "fine" if is_there else missing)

    # --- who runs what

    def _uses(self, held: Mapping[_Place, _Held], containers: tuple[Container, ...]) -> dict[_Place, list[Use]]:
        uses: dict[_Place, list[Use]] = {}
        by_root: dict[_Place, list[_Held]] = {}
        for one in held.values():
            by_root.setdefault((one.tree, one.root), []).append(one)
        told = 0
        for container in containers:
            tree, folders = roots(container)
            inhabited = [one for root in dict.fromkeys(folders) for one in by_root.get((tree, root), ())]
            told += len(inhabited)
            if told > _USES:
                break
            found = self._started(container, tree, folders, held, inhabited)
            for one in inhabited:
                place = (one.tree, one.binary.file.path)
                uses.setdefault(place, []).append(_use(container, one, found))
            if found.program and found.program not in inhabited:  # a program of the host, which it sees by a bind
                place = (tree, found.program.binary.file.path)
                uses.setdefault(place, []).append(_use(container, found.program, found))
        return uses

    def _started(
        self,
        container: Container,
        tree: _Tree,
        roots: list[str],
        held: Mapping[_Place, _Held],
        inhabited: list[_Held],
    ) -> _Started:
        path = self._program(container, tree, roots)
        program = held.get((tree, path)) if path is not None else None
        if program is None:
            return _Started()
        by_name: dict[str, list[_Held]] = {}
        for one in inhabited:
            for name in {one.binary.soname, one.binary.file.path.rpartition("/")[2]} - {""}:
                by_name.setdefault(name, []).append(one)
        wanted, parts = [program], {(tree, program.binary.file.path): program}
        while wanted:
            asking = wanted.pop().binary
            for name in (*asking.needed, posixpath.basename(asking.interpreter)):
                for library in by_name.get(name, ()):
                    place = (tree, library.binary.file.path)
                    if place not in parts:
                        parts[place] = library
                        wanted.append(library)
        own = [one.binary for one in parts.values() if not _C_LIBRARY.match(one.binary.file.path.rpartition("/")[2])]
        is_closed = all(one.interpreter or one.kind == "dso" for one in own) and not any(
            {"exec", "dlopen"} & {*one.calls} or one.made.startswith("Go") for one in own
        )
        return _Started(program, {*parts}, is_closed, any("listen" in one.calls for one in own))

    def _program(self, container: Container, tree: _Tree, roots: list[str]) -> str | None:
        """The file that a container starts, None where that is not known."""
        if not container.command:
            return None
        name = container.command[0]
        if "/" in name:
            folder = str((container.oci.get("process") or {}).get("cwd") or "/")
            candidates = [posixpath.join(folder, name)]
        else:
            given = [one.partition("=")[2] for one in container.env if one.startswith("PATH=")]
            candidates = [posixpath.join(folder, name) for folder in (given[-1] if given else PATH).split(":")]
        for candidate in candidates:
            if (bind := bound(container, candidate)) is not None:
                where, seen = [""], bind
            else:
                where, seen = roots, candidate
            for root in where:
                found = self._resolve(tree, root, seen)
                if found is not None and self._exists((tree, found)):
                    return found
        return None


def _identity(held: _Held) -> tuple[object, ...]:
    """What files have in common that are told of together: the content, and what executing them grants."""
    file = held.binary.file
    return held.content, file.size, held.binary.kind, file.mode & _SET_ID, file.xattrs.get("security.capability")


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)


def _is_open(node: _Node, trusted: set[int], *, is_strict: bool) -> bool:
    """Whether others than root and the program's owner may put something there; not strict: replace what is there."""
    if node.target is not None:
        return False
    if node.mode & _WORLD and (is_strict or not node.mode & _STICKY):
        return True
    return node.uid not in trusted or bool(node.mode & _GROUP and node.gid not in trusted)


def roots(container: Container) -> tuple[_Tree, list[str]]:
    """The tree that a container is described in, and the folders of it that make up its root.

    Of several containers with one image, LinuxKit unpacks it for the first alone: the others have that mounted, as the
    lower folder of an overlay, or as it is (ImageBundle in src/cmd/linuxkit/moby/build/image.go).
    """
    *tree, config = container.place.artifacts
    folder = posixpath.dirname(config)
    own = f"/{folder}/rootfs"
    roots: list[str] = []
    for mount in container.runtime.get("mounts") or ():
        texts = [one for one in mount.get("options") or () if isinstance(one, str)]
        roots += [one.removeprefix("lowerdir=").strip("/") for one in texts if one.startswith("lowerdir=")]
        if "bind" in texts and mount.get("destination") == own:
            roots.append(str(mount.get("source") or "").strip("/"))
    roots = list(dict.fromkeys([*roots, f"{folder}/lower", f"{folder}/rootfs"]))
    return tuple(tree), [f"{root}/" for one in roots for root in one.split(":")[:1]]


def bound(container: Container, path: str) -> str | None:
    """The path of the host that a bind shows at `path`; None where the path is the container's own."""
    over = [one for one in container.mounts if _is_within(path, (one.destination.rstrip("/") or "/.",))]
    mount = max(over, key=lambda one: len(one.destination), default=None)
    if mount is None:
        return None
    return mount.source + path[len(mount.destination.rstrip("/")) :] if mount.is_bind else "/dev/null/nowhere"


def _use(container: Container, held: _Held, started: _Started) -> Use:
    path = held.binary.file.path
    if started.program is None:
        return Use(path, container, "unknown")
    if held is started.program:
        return Use(path, container, "process", started.listens)
    if (held.tree, path) in started.parts:
        return Use(path, container, "library", started.listens)
    return Use(path, container, "idle" if started.is_closed else "unknown", started.listens)
