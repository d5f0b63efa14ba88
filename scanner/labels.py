"""Labels: the default configuration that an image brings, from package folders, a local cache, or LinuxKit's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from .references import full_name
from .schema import decode
from .source import FileSource, LimitError
from .startup import Any
from .subjects import ImageReference, Label, Place, Problem
from .yamlpos import SIZE_LIMIT, YamlError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .layout import Layout

LABEL = "org.mobyproject.config"
"""The image label that holds a container's default configuration."""

OWN = "LinuxKit's own packages"
"""How a label's detail names the table that ships with lkscan."""
CACHE = "the image cache"
"""How it names the source that has an image's own configuration, too."""
_OWN = "docker.io/linuxkit/"
_FOLDERS = 20_000
_DEPTH = 8
_UNKNOWN = Label("unknown")

Found = tuple[Label, Any, Mapping[str, Any]]
"""How the label was found; the label itself (JSON text, a mapping, or None); the image's own configuration."""


ReadFile = Callable[[str, int], bytes]
"""Reads a local file whole, up to a number of bytes; raises OSError."""


def read_file(path: str, limit: int) -> bytes:
    """A regular file's bytes. Raises OSError for anything else, or when it holds more than `limit` bytes."""
    try:
        source = FileSource(path)
    except ValueError as error:
        raise OSError(str(error)) from None
    try:
        data = source.pread(0, limit + 1)
    finally:
        source.close()
    if len(data) > limit:
        raise OSError(f"larger than the limit of {limit} bytes")
    return data


class LabelError(Exception):
    """A folder given as a source of labels cannot be used; one clear line that names it."""


class LabelFinder:
    """Finds an image's label: in package folders, then in a cache, then among LinuxKit's own packages.

    `packages` is a folder with build.yml files anywhere below it; `cache` an OCI layout or LinuxKit's cache. Nothing
    is read before the first image asks. Raises LabelError when a folder is not there or is no layout.
    """

    def __init__(self, packages: str | None = None, cache: str | None = None, read: ReadFile = read_file) -> None:
        if packages is not None and not os.path.isdir(packages):
            raise LabelError(f"{packages}: not a folder")
        self._packages_folder = packages
        self.folders = tuple(folder for folder in (packages, cache) if folder is not None)
        """All that it reads is in these."""
        self.layers = cache
        """The cache whose layers may be read, too: only one that the user names is held against images."""
        self._packages: dict[str, Package] | None = None
        self.read = read
        self.unread: list[Problem] = []
        """Packages below `packages` that could not be read: what their images grant is not known."""
        self._layout = _layout(cache, read) if cache is not None else None

    def find(self, reference: ImageReference) -> Found:
        """The label of an image: a mapping or JSON text, None where it has none or is unknown."""
        if reference.kind == "package":
            return _UNKNOWN, None, {}
        name = full_name(reference.name)
        package = self._package(name)
        if package is not None:
            return Label("newest", package.path), package.config, {}
        config = self._layout.find(reference.text) if self._layout is not None else None
        if config is not None:
            return Label("exact", CACHE), _label_of(config), config
        return _own(name.removeprefix(_OWN), reference.tag) if name.startswith(_OWN) else (_UNKNOWN, None, {})

    def digest(self, reference: str) -> str:
        """The digest that the cache has for a reference's tag, or ""."""
        return self._layout.digest(reference) if self._layout is not None else ""

    def local(self, folder: str) -> Package | None:
        """The package in a folder, for `@pkg:`; None when there is none that can be read."""
        try:
            return _package(os.path.join(folder, "build.yml"), self.read)
        except (OSError, YamlError, LimitError):
            return None

    def _package(self, name: str) -> Package | None:
        if self._packages_folder is None:
            return None
        if self._packages is None:
            found = (self._read_package(path) for path in _build_files(self._packages_folder))
            self._packages = {full_name(one.name): one for one in found if one is not None}
        return self._packages.get(name)

    def _read_package(self, path: str) -> Package | None:
        try:
            return _package(path, self.read)
        except (OSError, YamlError, LimitError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.unread.append(Problem(Place((path,)), f"cannot be read as a package: {reason}"))
            return None


class Package:
    """What a build.yml says: `name` is org/image, `config` the label its image will carry (None: no label)."""

    def __init__(self, path: str, name: str, config: Mapping[str, Any] | None) -> None:
        self.path = path
        self.name = name
        self.config = config


def _package(path: str, read: ReadFile) -> Package | None:
    """The package that a build.yml describes; None when it describes none. Raises OSError, YamlError, LimitError."""
    document = parse(read(path, SIZE_LIMIT))
    value = decode(document.root, "package", known=True)[0] if document.root else {}
    if not value.get("image"):
        return None
    return Package(path, f"{value.get('org', 'linuxkit')}/{value['image']}", value.get("config"))


def _build_files(folder: str) -> Iterator[str]:
    """Every build.yml below `folder`, in order; symbolic links to folders are not followed."""
    base = folder.rstrip(os.sep).count(os.sep)
    for count, (path, folders, files) in enumerate(os.walk(folder)):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        if path.count(os.sep) - base >= _DEPTH or count >= _FOLDERS:
            folders.clear()
        if "build.yml" in files:
            yield os.path.join(path, "build.yml")


def _label_of(config: Mapping[str, Any]) -> str | None:
    labels = config.get("Labels")
    text = labels.get(LABEL) if isinstance(labels, dict) else None
    return text if isinstance(text, str) and text else None


def _layout(folder: str, read: ReadFile) -> Layout:
    from .layout import Layout, LayoutError

    try:
        return Layout(folder, read)
    except LayoutError as error:
        raise LabelError(str(error)) from None


def _own(name: str, tag: str) -> Found:
    """The label of LinuxKit's own package, from the table that ships with lkscan."""
    table, middle = _table()
    exact = _after(table, f"{name} {tag} ", 0, middle) if tag else None
    state = exact or _after(table, f"{name} ", 0, middle)
    if state is None:
        return _UNKNOWN, None, {}
    text = _after(table, f"{state.rpartition(' ')[2]} ", middle, len(table))
    return Label("exact" if exact else "newest", OWN), None if text == "null" else text, {}


def _after(table: bytes, start: str, first: int, last: int) -> str | None:
    """What follows `start` on the first line that begins so, of those behind `first` and before `last` (offsets).

    Searched as it is: parsing all 2,743 states for the few that a spec names took 4 ms of a cold start.
    """
    head = f"\n{start}".encode("utf-8", "surrogatepass")
    at = table.find(head, first, last)
    return None if at < 0 else table[at + len(head) : table.index(b"\n", at + 1)].decode()


@cache
def _table() -> tuple[bytes, int]:
    """The states of packages, a line each, then an empty line, and the labels they lead to; where that line is."""
    with open(os.path.join(os.path.dirname(__file__), "linuxkit-labels.txt"), "rb") as file:
        table = file.read()
    start = table.index(b"\n\n") + 1  # what comes before is a comment
    return table[start:], table.index(b"\n\n", start) + 1 - start
