"""Container images as inputs: OCI layouts and LinuxKit's cache in a folder, the same or `docker save` in a tar archive.

As the OCI image specification has them (image-layout.md, layer.md). Of each image the file tree is told that its layers
make up: they are read from the uppermost down, and what an upper one replaces or deletes is left out below.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from . import compression, layout, references, tar
from .source import DamagedError, FileSource, LimitError, Source
from .startup import Any, NamedTuple, Protocol
from .stream import Part, Stream, over
from .subjects import File, Problem
from .tree import Entry, Layer, Tree

_LAYERS = 1000
"""Layers of an image: overlayfs takes 500."""
_IMAGES = 1000
"""Images of one input."""
_HOPS = 8
"""Links between members of a docker archive."""
_WHITEOUT, _OPAQUE, _INTERNAL = ".wh.", ".wh..wh..opq", ".wh..wh."
_ATTESTATION = "attestation-manifest"
_FIRST = re.compile(
    rb"(?:oci-layout|index\.json|manifest\.json|repositories|blobs(?:/.*)?|[0-9a-f]{64}(?:\.json|\.tar|/.*)?)"
)
"""What the first member of such a tar archive is called."""


class Store(Protocol):
    """The files of a layout, by their paths in it."""

    def open(self, path: str) -> Source | None:
        """Random access to a file; None when it is not here."""
        ...

    def close(self, source: Source) -> None:
        """Give back what `open` gave."""
        ...


class _Image(NamedTuple):
    """One image: its name and platform, the paths of its layers, the lowest first, and of its configuration."""

    label: str
    layers: tuple[str, ...]
    config: str


def sniff(source: Source) -> str | None:
    """`image archive`, by the first name in a tar archive; None for anything else."""
    at = 0
    for _ in range(4):  # an extended header or two, and the folder itself, may come before
        head = source.pread(at, tar.BLOCK)
        if not tar.sniff(head):
            return None
        name = head[:100].partition(b"\0")[0].removeprefix(b"./").rstrip(b"/")
        if name and head[156:157] not in b"xg":
            return "image archive" if _FIRST.fullmatch(name) else None
        digits = head[124:135].strip(b" \0")
        size = int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else 0
        at += tar.BLOCK + size + (-size & tar.BLOCK - 1)
    return None


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """All images of an archive; what only starts like one is a tar archive as any. Raises DamagedError."""
    members = _Members(source)
    yield from members.read(tree)
    if members.open("index.json") or members.open("manifest.json"):
        yield from _images(members, tree)
    else:
        yield from tar.entries(over(source, tree.budget, "the tar archive"), tree)


def folder(path: str, tree: Tree) -> Iterator[Entry]:
    """All images of a layout in a folder."""
    yield from _images(_Folder(path, tree), tree)


def image(path: str, reference: str, architecture: str, tree: Tree) -> Iterator[Entry]:
    """One image of a layout in a folder, by its reference: that for the architecture, or the only one there is.

    Raises DamagedError where it is not there.
    """
    store = _Folder(path, tree)
    index = _object(store, "index.json")
    digest, wanted = references.split(reference)[2], references.canonical(reference)
    for entry in layout.entries(index):
        name = layout.name(entry)
        is_meant = entry.get("digest") == digest if digest else name and references.canonical(name) == wanted
        if not is_meant:
            continue
        found = [one for one in _described(entry, "image", store, tree, layout.NESTING) if isinstance(one, _Image)]
        fitting = [one for one in found if f"/{architecture}" in one.label]
        if fitting or len(found) == 1:
            yield from _image((fitting or found)[0], store, tree)
            return
        raise DamagedError(f"the cache does not have it for {architecture}" if found else "the cache has it in part")
    raise DamagedError("the cache does not have it")


class _Folder:
    """A layout in a folder; nothing outside of it is opened, whatever links there are."""

    def __init__(self, path: str, tree: Tree) -> None:
        self._top = os.path.realpath(path)
        self._budget = tree.budget

    def open(self, path: str) -> Source | None:
        """See Store."""
        whole = os.path.realpath(os.path.join(self._top, path))
        if not whole.startswith(self._top + os.sep):
            return None
        try:
            found = FileSource(whole)
        except OSError:
            return None
        self._budget.given += found.size
        return found

    def close(self, source: Source) -> None:
        """See Store."""
        if isinstance(source, FileSource):
            source.close()


class _Members:
    """The members of a tar archive with random access."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}

    def read(self, tree: Tree) -> Iterator[Problem]:
        """Learn where each member stands; what cannot be told is a Problem."""
        at: int | None = 0
        while at is not None:
            at = yield from self._members(at, tree)

    def _members(self, start: int, tree: Tree) -> Generator[Problem, None, int | None]:
        """Those up to the first file with content; returns where the next one stands."""
        rest = Part(self._source, ((start, self._source.size - start),))
        stream = over(rest, tree.budget, "the tar archive")
        try:
            for item in tar.entries(stream, tree):
                if isinstance(item, Problem):
                    yield item
                elif not isinstance(item, Layer):
                    file = item[0]
                    if file.kind == "file":
                        at = start + stream.offset
                        self._parts[file.path] = (at, file.size)
                        return at + file.size + (-file.size & tar.BLOCK - 1)
                    if file.kind in {"symlink", "hardlink"}:
                        base = posixpath.dirname(file.path) if file.kind == "symlink" else ""
                        self._links[file.path] = posixpath.normpath(posixpath.join(base, file.target))
        except DamagedError as error:
            yield Problem(tree.place, f"{error}; only the members before it were read")
        return None

    def open(self, path: str) -> Source | None:
        """See Store."""
        for _ in range(_HOPS):
            if path in self._parts:
                return Part(self._source, (self._parts[path],))
            path = self._links.get(path, "")
        return None

    def close(self, source: Source) -> None:
        """See Store."""


def _images(store: Store, tree: Tree) -> Iterator[Entry]:
    found: list[_Image] = []
    for item in _indexed(store, tree) if _has(store, "index.json") else _saved(store, tree):
        if isinstance(item, Problem):
            yield item
        else:
            found.append(item)
        if len(found) > _IMAGES:
            raise LimitError(f"more than {_IMAGES} images")
    if not found:
        yield Problem(tree.place, "no container image is in it", "unusable")
    for image in found:
        yield from _image(image, store, tree)


def _has(store: Store, path: str) -> bool:
    source = store.open(path)
    if source is not None:
        store.close(source)
    return source is not None


def _json(store: Store, path: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """The value in a file; None when it is not here or is no JSON."""
    source = store.open(path)
    if source is None:
        return None
    import json

    try:
        return json.loads(source.pread(0, layout.LIMIT)) if source.size <= layout.LIMIT else None
    except (ValueError, RecursionError, MemoryError, OSError):
        return None
    finally:
        store.close(source)


def _object(store: Store, path: str) -> Mapping[str, Any]:
    value = _json(store, path)
    return value if isinstance(value, dict) else {}


def _indexed(store: Store, tree: Tree) -> Iterator[_Image | Problem]:
    """The images of an OCI layout, those with several names once."""
    names: dict[str, list[str]] = {}
    index = _json(store, "index.json")
    if not isinstance(index, dict):
        yield tree.problem(b"index.json", "it cannot be read as the index of a layout")
        return
    for entry in layout.entries(index):
        digest = str(entry.get("digest"))
        names.setdefault(digest, [])
        name = layout.name(entry)
        if name and name not in names[digest]:
            names[digest].append(name)
    for entry in {str(entry.get("digest")): entry for entry in layout.entries(index)}.values():
        digest = str(entry.get("digest"))
        title = ", ".join(names[digest]) or digest.partition(":")[2][:12] or "image"
        yield from _described(entry, title, store, tree, layout.NESTING)


def _described(
    entry: Mapping[str, Any], title: str, store: Store, tree: Tree, depth: int
) -> Iterator[_Image | Problem]:
    """The images that an entry of an index leads to: one, or one for each platform."""
    if _annotation(entry, "vnd.docker.reference.type") == _ATTESTATION:
        return  # what was recorded of the build of another image: it holds no files
    tree.budget.entry()
    path = layout.blob_path(entry)
    if not path or not _has(store, path):
        yield tree.problem(title.encode(), f"its manifest {entry.get('digest')} is not here; the image is not read")
        return
    manifest = _object(store, path)
    if "manifests" in manifest:
        yield from _platforms(manifest, title, store, tree, depth)
    elif isinstance(manifest.get("layers"), list):
        yield from _manifest(entry, manifest, title, store, tree)
    else:
        yield tree.problem(title.encode(), f"{path} is no manifest of an image that is read")


def _platforms(
    manifest: Mapping[str, Any], title: str, store: Store, tree: Tree, depth: int
) -> Iterator[_Image | Problem]:
    """Those that are here: a cache has of an index what was asked for, and only if nothing is here is that told."""
    if not depth:
        yield tree.problem(title.encode(), f"more than {layout.NESTING} indexes inside one another; not read")
        return
    children = list(layout.entries(manifest))
    here = [one for one in children if (path := layout.blob_path(one)) and _has(store, path)]
    for child in here or children:
        yield from _described(child, title, store, tree, depth - 1)


def _manifest(
    entry: Mapping[str, Any], manifest: Mapping[str, Any], title: str, store: Store, tree: Tree
) -> Iterator[_Image | Problem]:
    config = layout.blob_path(manifest.get("config"))
    facts = _object(store, config) if config else {}
    label = _label(title, _platform(entry.get("platform")) or _platform(facts))
    layers = []
    for one in manifest["layers"]:
        kind = str(one.get("mediaType", "tar")) if isinstance(one, dict) else ""
        path = layout.blob_path(one)
        if "in-toto" in kind:
            return
        if "tar" in kind and path:
            layers.append(path)
        else:
            yield tree.problem(label.encode(), f"a layer of the type {kind!r} is not read")
    yield _Image(label, tuple(layers), config)


def _saved(store: Store, tree: Tree) -> Iterator[_Image | Problem]:
    """The images of `docker save`, as its manifest.json has them."""
    value = _json(store, "manifest.json")
    rows = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    if not rows:
        yield tree.problem(b"manifest.json", "it cannot be read as the list of images of a docker archive")
    for number, row in enumerate(rows[: _IMAGES + 1], 1):
        tags, layers, config = row.get("RepoTags"), row.get("Layers"), row.get("Config")
        names = [one for one in tags if isinstance(one, str)] if isinstance(tags, list) else []
        paths = [one for one in layers if isinstance(one, str)] if isinstance(layers, list) else []
        config = config if isinstance(config, str) else ""
        label = _label(", ".join(names) or f"image {number}", _platform(_object(store, config)))
        yield _Image(label, tuple(paths), config)


def _annotation(entry: Mapping[str, Any], key: str) -> str:
    found = entry.get("annotations")
    return str(found.get(key, "")) if isinstance(found, dict) else ""


def _platform(facts: Any) -> str:  # noqa: ANN401 - JSON holds anything
    """`linux/arm64`, or "" where it is not told."""
    if not isinstance(facts, dict) or not isinstance(facts.get("architecture"), str):
        return ""
    parts = (facts.get("os") or "linux", facts["architecture"], facts.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _label(title: str, platform: str) -> str:
    return f"{title} ({platform})" if platform else title


@dataclass(slots=True)
class _Upper:
    """What the layers above say of those below: paths that are there, that are gone with all below, folders emptied."""

    there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)

    def hides(self, path: str) -> bool:
        """Whether an entry of a lower layer is not to be seen."""
        if path in self.there or path in self.gone:
            return True
        if not self.gone and not self.emptied:
            return False
        above = posixpath.dirname(path)
        while above:
            if above in self.gone or above in self.emptied:
                return True
            above = posixpath.dirname(above)
        return "" in self.emptied

    def add(self, other: _Upper) -> None:
        """Take in what one more layer says."""
        self.there |= other.there
        self.gone |= other.gone
        self.emptied |= other.emptied


def _image(image: _Image, store: Store, tree: Tree) -> Iterator[Entry]:
    """The configuration as a file beside the image, and the tree that its layers make up."""
    config = store.open(image.config) if image.config else None
    if config is not None and config.size:
        content = over(config, tree.budget, "the configuration of the image")
        name = image.config.encode("utf-8", "surrogateescape")
        yield tree.entry(name, 0o100644, (0, 0), config.size, content, provenance=(image.label, ""))
        content.close()
        store.close(config)
    if len(image.layers) > _LAYERS:
        raise LimitError(f"an image of more than {_LAYERS} layers")
    upper = _Upper()
    inside = Tree(tree.place.inside(image.label), tree.budget)
    for path in reversed(image.layers):
        tree.budget.entry()
        source = store.open(path)
        if source is None:
            yield Problem(inside.place, f"the layer {path} is not here; what it holds is not read")
            continue
        own = _Upper()
        try:
            for item in tar.entries(_unpacked(source, tree), inside):
                yield from _seen(item, upper, own, inside)
        except LimitError:
            raise
        except DamagedError as error:
            yield Problem(inside.place, f"the layer {path}: {error}; only what stands before it was read")
        finally:
            store.close(source)
        upper.add(own)


def _unpacked(source: Source, tree: Tree) -> Stream:
    stream = over(source, tree.budget, "the layer")
    kind = compression.identify(stream.peek(16))
    inner = Stream(compression.decompress(kind, stream, tree.budget)) if kind else stream
    head = inner.peek(tar.BLOCK)
    if inner.failure:
        raise inner.failure
    if head.strip(b"\0") and not tar.sniff(head):
        raise DamagedError("it is no tar archive")
    return inner


def _seen(item: Entry, upper: _Upper, own: _Upper, tree: Tree) -> Iterator[Entry]:
    """An entry if nothing above hides it; what it says of the layers below is noted in `own`."""
    if isinstance(item, Problem | Layer):
        yield item
        return
    file = item[0]
    folder_, _, name = file.path.rpartition("/")
    if name == _OPAQUE:
        own.emptied.add(folder_)
        return
    if f"/{file.path}".find(f"/{_INTERNAL}") >= 0:
        return
    if name.startswith(_WHITEOUT):
        own.gone.add(posixpath.join(folder_, name.removeprefix(_WHITEOUT)))
        return
    (own.there if file.kind == "dir" else own.gone).add(file.path)
    if upper.hides(file.path):
        return
    yield item
    if file.kind == "hardlink" and _is_lost(file, upper):
        why = f"it shares its content with '{file.target}', which an upper layer replaces; it is not examined"
        yield tree.problem(file.path.encode("utf-8", "surrogateescape"), why)


def _is_lost(file: File, upper: _Upper) -> bool:
    target = file.target.removeprefix("./").strip("/")
    return upper.hides(target)
