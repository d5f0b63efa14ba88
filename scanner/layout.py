"""OCI image layouts, LinuxKit's cache among them: the configuration and labels of an image, by its reference."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping

from .references import canonical, is_sha256, split
from .startup import Any

ReadFile = Callable[[str, int], bytes]
"""Reads a local file whole, up to a number of bytes; raises OSError."""

LIMIT = 8 << 20
"""Bytes of an index, manifest or image configuration."""
NESTING = 3
"""Indexes inside one another."""
_MANIFESTS = 10_000
"""Entries of an index."""
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


class LayoutError(Exception):
    """A folder is no OCI layout, or its index cannot be read; one clear line."""


class Layout:
    """An OCI image layout in a folder. Raises LayoutError when its index.json cannot be read."""

    def __init__(self, folder: str, read: ReadFile) -> None:
        self._folder = folder
        self._read = read
        self._by_name: dict[str, Mapping[str, Any]] = {}
        self._by_digest: dict[str, Mapping[str, Any]] = {}
        self._tags: dict[str, str] = {}
        index = self._json("index.json")
        if index is None:
            raise LayoutError(f"{folder}: no OCI image layout or LinuxKit cache (no readable index.json)")
        for entry in entries(index):
            self._by_digest[str(entry.get("digest"))] = entry
            annotations = entry.get("annotations")
            names = annotations if isinstance(annotations, dict) else {}
            for key in _NAMES:
                if isinstance(names.get(key), str):
                    self._by_name[canonical(names[key])] = entry
                    if "@" not in names[key]:  # the name of what was asked for by digest; its tag may have moved
                        self._tags[canonical(names[key])] = str(entry.get("digest"))

    def find(self, reference: str) -> Mapping[str, Any] | None:
        """The image's `config` (Labels, Entrypoint, Cmd, Env, WorkingDir), or None when it is not here whole."""
        digest = split(reference)[2]
        entry = self._by_digest.get(digest) if digest else self._by_name.get(canonical(reference))
        return None if entry is None else self._config(entry, NESTING)

    def digest(self, reference: str) -> str:
        """What the tag of `reference` stood for when it came here: the digest of the index, if it has one; or ""."""
        found = self._tags.get(canonical(reference), "")
        return found if is_sha256(found) else ""

    def _config(self, entry: Mapping[str, Any], depth: int) -> Mapping[str, Any] | None:
        """Follow an index to a manifest and a manifest to its configuration; the first one found for Linux."""
        blob = self._blob(entry)
        if blob is None:
            return None
        if "manifests" in blob:
            children = sorted(entries(blob), key=_preference) if depth else []
            return next(filter(None, (self._config(child, depth - 1) for child in children)), None)
        image = self._blob(blob.get("config"))
        found = image.get("config", {}) if image else None
        return found if isinstance(found, dict) else None

    def _blob(self, descriptor: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - JSON holds anything
        path = blob_path(descriptor)
        return self._json(path) if path else None

    def _json(self, path: str) -> Mapping[str, Any] | None:
        import json

        try:
            value = json.loads(self._read(os.path.join(self._folder, path), LIMIT))
        except (OSError, ValueError, RecursionError, MemoryError):
            return None
        return value if isinstance(value, dict) else None


def is_layout(folder: str) -> bool:
    """Whether a folder holds a layout, LinuxKit's cache included."""
    return os.path.isfile(os.path.join(folder, "index.json")) and (
        os.path.isfile(os.path.join(folder, "oci-layout")) or os.path.isdir(os.path.join(folder, "blobs"))
    )


def blob_path(descriptor: Any) -> str:  # noqa: ANN401 - JSON holds anything
    """Where in a layout the blob of a descriptor lies; "" when it names none as LinuxKit and others do."""
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    return posixpath.join("blobs", *digest.split(":")) if isinstance(digest, str) and is_sha256(digest) else ""


def name(entry: Mapping[str, Any]) -> str:
    """The name that an index gives an entry; containerd's, which is whole, before one that may be a mere tag."""
    annotations = entry.get("annotations")
    names = annotations if isinstance(annotations, dict) else {}
    return next((names[key] for key in reversed(_NAMES) if isinstance(names.get(key), str)), "")


def entries(index: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The descriptors in an index, as far as they are some."""
    manifests = index.get("manifests")
    for entry in manifests[:_MANIFESTS] if isinstance(manifests, list) else ():
        if isinstance(entry, dict):
            yield entry


def _preference(entry: Mapping[str, Any]) -> int:
    """Linux on x86-64 first, then other Linux, attestations last: labels do not differ between architectures."""
    platform = entry.get("platform")
    system = platform if isinstance(platform, dict) else {}
    if system.get("os") != "linux":
        return 2
    return 0 if system.get("architecture") == "amd64" else 1
