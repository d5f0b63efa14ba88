"""LinuxKit specs and packages: YAML in, subjects out, every value with its place and every reason to refuse it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from .document import Entry, Source, load
from .effective import Effective, RefusedError, check_volumes, effective, numeric_id, octal
from .effective import Source as Layer
from .labels import Found, LabelFinder
from .references import complaint, reference
from .schema import decode, validate
from .sniff import Kind, likely, sniff
from .source import LimitError
from .startup import Any, late
from .subjects import (
    SECTIONS,
    Change,
    Container,
    Cure,
    File,
    FileKind,
    ImageReference,
    KernelCommandLine,
    Label,
    Origin,
    Place,
    Problem,
    Rootfs,
    Subject,
    Sysctl,
    System,
    Violation,
    Volume,
)
from .yamlpos import SIZE_LIMIT, Node, YamlError, node_of, parse, shown

__all__ = ["SIZE_LIMIT", "read", "sniff"]

_REFUSALS = 10
"""Values of one container that are reported as refused; nothing more is looked for in a worse one."""
_FIRST_ID = 100
_LONGEST_PATH = 512
_DEEPEST_PATH = 32
"""Characters and folders of a path whose folders are listed: all prefixes of a hostile one would fill the memory."""
_CONFIGURATION = 64 << 10
"""Bytes of a configuration that are judged."""
_VOLUME_NAME = late(r"[a-z0-9_-]*")


def read(
    documents: Sequence[tuple[str, bytes]], labels: LabelFinder, kind: Kind | None = None
) -> Iterator[Subject | Problem]:
    """The subjects of specs or packages, given as (path, bytes); several specs are joined as `linuxkit build` does.

    In order: a Spec for each document, image references, the kernel command line, containers, files (one of kernel
    settings has a Sysctl behind it), the System. A document that cannot be parsed is a Spec with the reason; one that
    is neither spec nor package is a Problem. `kind` says what the documents are, instead of looking. Nothing is raised.
    """
    sources: list[Source] = []
    for path, data in documents:
        found = kind or likely(data, path)
        loaded = (
            load(path, data, found) if found else Problem(Place((path,)), "not a LinuxKit spec or image", "unusable")
        )
        if isinstance(loaded, Problem):
            yield loaded
        else:
            sources.append(loaded)
    if sources:
        joined = _Joined([source for source in sources if source.kind == "spec"], labels)
        subjects = list(_subjects(sources, joined))
        yield from (source.subject() for source in sources)
        yield from subjects
        yield _system(sources, subjects, joined.volumes)


def _subjects(sources: Sequence[Source], spec: _Joined) -> Iterator[Subject]:
    """Everything but the Spec subjects and the System; violations are noted in the sources on the way."""
    yield from spec.references()
    yield from spec.command_line()
    yield from spec.containers()
    for source in sources:
        if source.kind == "package":
            yield from _package(source)
    for file in spec.files():
        yield file
        yield from _settings(file)


def _settings(file: File) -> Iterator[Sysctl]:
    """What a file sets if it is one of kernel settings; one that is too large for that is left to the built image."""
    if file.kind != "file" or "sysctl" not in file.path:
        return
    from . import sysctl

    if sysctl.is_mine(file.path):
        place = (file.parts or {}).get("contents", file.place)
        if file.read is None or file.size > sysctl.LIMIT:
            yield Sysctl(place, None, file.path)
        else:
            yield sysctl.read(file.read(sysctl.LIMIT).decode("utf-8", "replace"), place, file.path)


def _system(sources: Sequence[Source], subjects: Sequence[Subject], volumes: Sequence[Volume]) -> System:
    return System(
        Place((sources[0].path,)),
        "spec" if any(source.kind == "spec" for source in sources) else "package",
        is_linuxkit=True,
        format="YAML",
        containers=tuple(one for one in subjects if isinstance(one, Container)),
        command_lines=tuple(one for one in subjects if isinstance(one, KernelCommandLine)),
        sysctls=tuple(one for one in subjects if isinstance(one, Sysctl)),
        files=sum(isinstance(one, File) for one in subjects),
        images=tuple(one for one in subjects if isinstance(one, ImageReference)),
        volumes=tuple(volumes),
        roots=_roots(Place((sources[0].path,)), subjects),
    )


def _roots(place: Place, subjects: Iterable[Subject]) -> tuple[Rootfs, ...]:
    """What is written for sshd, as a root file system of its own: it may be bound to its place in any container."""
    found = [one for one in subjects if isinstance(one, File) and "sshd_config" in one.path and one.kind == "file"]
    if not found:
        return ()
    texts = {file.path: None if file.read is None else file.read(_CONFIGURATION) for file in found}
    return (Rootfs(place, "", len(found), frozenset(), texts, places={file.path: file.place for file in found}),)


class _Joined:
    """Specs joined in their order: lists follow one another, of the kernel's keys the last one counts."""

    def __init__(self, sources: Sequence[Source], labels: LabelFinder) -> None:
        self._sources = sources
        self._labels = labels
        self._entries = {
            section: [entry for source in sources for entry in source.entries(section)]
            for section in (*SECTIONS, "volumes", "files")
        }
        names = [entry.text("name") for section in SECTIONS for entry in self._entries[section]]
        self._ids = {name: _FIRST_ID + i for i, name in enumerate(names)}
        self.volumes = tuple(
            Volume(entry.text("name"), bool(entry.value.get("readonly")), entry.place("name"))
            for entry in self._entries["volumes"]
            if entry.source is sources[-1]
        )
        """Those that containers may name: the last document's, as in LinuxKit."""
        self._read_only = {volume.name: volume.readonly for volume in self.volumes}
        self._check_names()

    def _check_names(self) -> None:
        """The names of services are unique over all documents, those of volumes within each."""
        seen: set[str] = set()
        for entry in self._entries["services"]:
            _unique(entry, seen, "service")
        for source in self._sources:
            seen = set()
            for entry in source.entries("volumes"):
                name = entry.text("name")
                if not _VOLUME_NAME.fullmatch(name):
                    message = f"the volume name '{shown(name)}' holds more than a-z, 0-9, _ and -"
                    entry.refuse(message, entry.place("name"), late=False)
                _unique(entry, seen, "volume")

    # --- references and the command line

    def references(self) -> Iterator[ImageReference]:
        """Every image reference that ends up in the image; all of them are checked."""
        kernels = [_checked(source, text, place, "kernel") for source, text, place in self._kernel("image")]
        yield from kernels[-1:]
        for source in self._sources:
            node = source.root.get("init") if source.root else None
            for i, item in enumerate(node.items if node else ()):
                if item.kind not in {"map", "seq", "null"}:
                    yield _checked(source, item.text, source.place(item, f"init[{i}]"), "init")
        for section in (*SECTIONS, "volumes"):
            for entry in self._entries[section]:
                if entry.text("image"):
                    yield _checked(entry.source, entry.text("image"), entry.place("image"), section)

    def command_line(self) -> Iterator[KernelCommandLine]:
        """The kernel's command line, if there is one."""
        for _, text, place in list(self._kernel("cmdline"))[-1:]:
            yield KernelCommandLine(place, text)

    def _kernel(self, key: str) -> Iterator[tuple[Source, str, Place]]:
        """A text of the `kernel:` sections that is not empty, document by document."""
        for source in self._sources:
            kernel = source.value.get("kernel") or {}
            node = source.root.get("kernel") if source.root else None
            if kernel.get(key) and node is not None:
                yield source, kernel[key], source.place(node.get(key), f"kernel.{key}")

    # --- containers

    def containers(self) -> Iterator[Container]:
        """The containers in the order in which LinuxKit numbers them."""
        for section in SECTIONS:
            for index, entry in enumerate(self._entries[section]):
                yield self._container(entry, index)

    def _container(self, entry: Entry, index: int) -> Container:
        image = reference(entry.text("image"), entry.section, entry.place("image"))
        found, raw, config = self._label(entry, image)
        label, fault = _decoded(raw)
        if fault:
            entry.refuse(f"the label of {shown(image.text)} is refused: {fault}", image.place)
            found = Label("unknown", found.detail)
        result, refusals = _settled(entry.value, label, config, self._ids)
        for refusal in (*refusals, *islice(check_volumes(entry.value, self._read_only), _REFUSALS)):
            _refuse(entry, refusal, _blamed(entry, image, refusal.source), own=refusal.source.layer == "spec")
        return Container(
            entry.text("name"),
            entry.section,
            index,
            entry.place("name"),
            image if image.text else None,
            found,
            result.oci,
            result.runtime,
            _origins(entry, image, result.sources),
            error=f"the label is refused: {fault}" if fault else str(refusals[0]) if refusals else "",
            restated={key: entry.place(key) for key, value in entry.value.items() if _restates(key, value, label)},
        )

    def _label(self, entry: Entry, image: ImageReference) -> Found:
        """How the image's label was found; `@pkg:DIR` is looked for beside the spec."""
        if image.kind != "package":
            return self._labels.find(image)
        folder = os.path.join(os.path.dirname(entry.source.path), image.text.removeprefix("@pkg:").lstrip("/"))
        package = self._labels.local(folder)
        if package is None:
            return Label("unknown", f"no build.yml in {folder}"), None, {}
        return Label("exact", package.path), package.config, {}

    # --- files

    def files(self) -> Iterator[File]:
        """What `files:` puts into the root filesystem."""
        made: set[str] = set()
        for entry in self._entries["files"]:
            file = self._file(entry)
            folders = tuple(folder for folder in _folders(file.path) if folder not in made)
            yield file._replace(folders=folders)
            if not entry.value.get("optional"):
                made.update(folders, (file.path,))

    def _file(self, entry: Entry) -> File:
        complaint_ = _file_complaint(entry)
        if complaint_:
            entry.refuse(complaint_[1], entry.place(complaint_[0]))
        is_directory = bool(entry.value.get("directory"))
        target = "" if is_directory else entry.text("symlink")
        kind: FileKind = "dir" if is_directory else "symlink" if target else "file"
        content = entry.value.get("contents") if kind == "file" else None
        data = None if content is None else content.encode("utf-8", "replace")
        return File(
            entry.text("path").lstrip("/"),
            kind,
            _mode(entry, 0o700 if is_directory else 0o600),
            self._id(entry, "uid"),
            self._id(entry, "gid"),
            len(data or b""),
            entry.place("path"),
            target=target,
            source="linuxkit.files",
            location=entry.pointer,
            read=None if data is None else lambda limit: data[:limit],
            parts={
                key.text: entry.source.place(value, f"{entry.pointer}.{key.text}") for key, value in entry.node.pairs
            },
        )

    def _id(self, entry: Entry, key: str) -> int:
        try:
            return numeric_id(entry.value.get(key), self._ids)
        except ValueError as error:
            entry.refuse(f"'{key}' cannot be resolved: {error}", entry.place(key))
            return 0


def _folders(path: str) -> list[str]:
    """The folders above a path, from the root down; none for a path that is longer than any real one."""
    above = posixpath.normpath(posixpath.dirname(path))
    steps = [] if above in {".", "/"} else above.split("/")
    if len(path) > _LONGEST_PATH or len(steps) > _DEEPEST_PATH:
        return []
    return ["/".join(steps[: i + 1]) for i in range(len(steps))]


_SETS = frozenset({"capabilities", "capabilities.add", "ambient", "binds", "binds.add"})
"""Lists of texts whose order means nothing, as long as no two mount on one path."""


def _restates(key: str, value: Any, label: Mapping[str, Any]) -> bool:  # noqa: ANN401 - what a spec holds
    """Whether the container would be the same without the key: the label says so already, or an addition is there."""
    if key.endswith(".add"):
        own = label.get(key.removesuffix(".add"))
        return own is not None and bool(value) and set(value) <= set(own)
    if key not in label:
        return False
    return bool(value == label[key] or (key in _SETS and sorted(value) == sorted(label[key])))


def _refuse(entry: Entry, refusal: RefusedError, place: Place, *, own: bool) -> None:
    """Note a refusal; `own`: the value itself stands at the place, and not an image that brings it."""
    if not entry.source.is_full:
        cure = Cure(Change("replace", place, refusal.cure), certain=True) if own and refusal.cure else None
        entry.refuse(str(refusal), place, hint=refusal.hint, capability=bool(refusal.capability), cure=cure)


def _unique(entry: Entry, seen: set[str], what: str) -> None:
    name = entry.text("name")
    if name in seen:
        entry.refuse(f"two {what}s are called '{shown(name)}'", entry.place("name"), late=False)
    seen.add(name)


def _checked(source: Source, text: str, place: Place, role: str) -> ImageReference:
    """The reference; noted as a violation where LinuxKit cannot parse it. Templates are not judged."""
    found = reference(text, role, place)
    reason = "" if found.kind in {"placeholder", "package"} else complaint(text)
    if reason:
        message = f"the image reference '{shown(text)}' cannot be parsed: {reason}"
        source.note(Violation("build", message, place))
    return found


def _mode(entry: Entry, default: int) -> int:
    try:
        return octal(entry.text("mode")) & 0o7777
    except ValueError:
        return default


def _file_complaint(entry: Entry) -> tuple[str, str] | None:
    """Why LinuxKit would not write a file: the key to point at, and the sentence."""
    path, mode, metadata = shown(entry.text("path")), entry.text("mode"), entry.text("metadata")
    has_contents, is_directory = "contents" in entry.value, bool(entry.value.get("directory"))
    is_whole = has_contents or is_directory or bool(entry.text("symlink"))
    from_source = bool(entry.text("source"))
    checks = (
        (not path, "path", "a file must have a path"),
        (not _is_octal(mode or "0"), "mode", f"the mode '{shown(mode)}' of {path} is not octal"),
        (is_whole and metadata, "metadata", f"{path} has contents, or is a directory or link, and has metadata too"),
        (is_whole and from_source, "source", f"{path} has contents, or is a directory or link, and has a source too"),
        (not is_whole and not from_source and not metadata, "path", f"{path} has neither contents nor source"),
        (from_source and metadata, "metadata", f"{path} has both source and metadata"),
        (metadata not in {"", "json", "yaml"}, "metadata", f"metadata must be yaml or json, not '{shown(metadata)}'"),
        (is_directory and has_contents, "contents", f"the directory {path} cannot have contents"),
    )
    return next(((key, sentence) for is_wrong, key, sentence in checks if is_wrong), None)


def _is_octal(text: str) -> bool:
    try:
        octal(text)
    except ValueError:
        return False
    return True


# --- labels and origins


def _decoded(raw: Any) -> tuple[Mapping[str, Any], str]:  # noqa: ANN401 - JSON text, a map, or None
    """A label as LinuxKit reads it, or why it refuses it."""
    if raw is None:
        return {}, ""
    return _decoded_text(raw) if isinstance(raw, str) else _decoded_node(node_of(raw))


@lru_cache(maxsize=256)  # the containers of many specs come from few images
def _decoded_text(text: str) -> tuple[Mapping[str, Any], str]:
    try:
        return _decoded_node(parse(text.encode("utf-8", "replace")).root)
    except (YamlError, LimitError) as error:
        return {}, str(error)


def _decoded_node(node: Node | None) -> tuple[Mapping[str, Any], str]:
    if node is None or node.kind != "map":
        return {}, "it is no object"
    value, faults = decode(node, "image")
    faults = [*validate(Node("map", [*_ANY_IMAGE, *node.pairs]), "image"), *faults]
    if value.get("name") or value.get("image"):
        return {}, "it cannot set a name or an image"
    return (value, "") if not faults else ({}, faults[0].message)


_ANY_IMAGE = node_of({"name": "any", "image": "any"}).pairs
"""What a label lacks of a container, whose schema it must fulfil."""


def _settled(
    spec: Mapping[str, Any],
    label: Mapping[str, Any],
    image: Mapping[str, Any],
    ids: Mapping[str, int],
) -> tuple[Effective, list[RefusedError]]:
    """The effective configuration without the values that LinuxKit refuses, and the refusals."""
    refusals: list[RefusedError] = []
    layers = {"spec": dict(spec), "label": dict(label)}
    while len(refusals) < _REFUSALS:
        try:
            return effective(layers["spec"], layers["label"], image, ids), refusals
        except RefusedError as refusal:
            refusals.append(refusal)
            _drop(layers[refusal.source.layer], refusal.source)
    return effective({}, {}, image, ids), refusals


def _drop(values: dict[str, Any], source: Layer) -> None:
    """Blank out a refused value; the other items keep their numbers."""
    if source.item is None:
        del values[source.key]
    else:
        values[source.key] = [None if i == source.item else one for i, one in enumerate(values[source.key])]


def _blamed(entry: Entry, image: ImageReference, source: Layer) -> Place:
    return entry.place(source.key, source.item) if source.layer == "spec" else image.place


def _origins(entry: Entry, image: ImageReference, sources: Mapping[str, Layer]) -> dict[str, Origin]:
    """The places behind the sources; many share one."""
    default = Origin("default", entry.place("name"))
    origins = {
        source: default if source.layer == "default" else Origin(source.layer, _blamed(entry, image, source))
        for source in set(sources.values())
    }
    return {key: origins[source] for key, source in sources.items()}


# --- packages


def _package(source: Source) -> Iterator[Container]:
    """The container that a package's `config` makes of its image, as long as no spec says otherwise."""
    raw, node = source.value.get("config"), source.root.get("config") if source.root else None
    if raw is None or node is None:
        return
    entry = Entry(source, "package", "config", node, raw)
    label, fault = _decoded(raw)
    if fault:
        entry.refuse(f"no spec can use the image, its label is refused: {fault}", source.place(node, "config"))
    result, refusals = _settled({}, label, {}, {})
    for refusal in refusals:
        _refuse(entry, refusal, entry.place(refusal.source.key, refusal.source.item), own=True)
    name, place = str(source.value.get("image") or ""), source.place(source.root and source.root.get("image"), "image")
    yield Container(
        name,
        "package",
        0,
        place,
        None,
        Label("exact", source.path),
        result.oci,
        result.runtime,
        {key: Origin("label", entry.place(one.key, one.item)) for key, one in result.sources.items() if one.key},
        error=fault or (str(refusals[0]) if refusals else ""),
    )
