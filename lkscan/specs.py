"""The specs that images were built from, as the user names them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .inputs import Input
from .scanner import spec
from .scanner.labels import LabelFinder, read_file
from .scanner.sniff import likely
from .scanner.subjects import Problem, Spec
from .terminal import UsageError

Documents = Sequence[tuple[str, bytes]]
"""Specs by path, as LinuxKit joins them."""
Sources = Mapping[tuple[str, str], tuple[int, str, str]]
"""By the path of a spec and a `source:` in it: size and SHA-256 of that file, and why they are not known, if so."""
_SOURCE = 256 << 20
"""Bytes of a file that is read for a `source:`."""


def load(paths: Sequence[str]) -> Documents:
    """The specs by path. Raises UsageError for what cannot be read, or is no spec that LinuxKit could build from."""
    return [(path, _load(path)) for path in paths]


def _load(path: str) -> bytes:
    try:
        data = read_file(path, spec.SIZE_LIMIT)
    except OSError as error:
        raise UsageError(f"{path}: the spec cannot be read: {error.strerror or error}") from None
    if likely(data, path) != "spec":
        raise UsageError(f"{path}: is no LinuxKit spec")
    for one in spec.read([(path, data)], LabelFinder(), "spec"):
        if isinstance(one, Problem):
            raise UsageError(f"{one.place}: {one.message}")
        if isinstance(one, Spec) and (faults := [fault for fault in one.violations if fault.kind == "yaml"]):
            raise UsageError(f"{faults[0].place}: cannot be read as YAML: {faults[0].message}")
    return data


def sources(documents: Documents) -> Sources:
    """What the `source:` of files lead to, as far as it lies in the folder of its spec; no link is followed."""
    found: dict[tuple[str, str], tuple[int, str, str]] = {}
    for path, data in documents:
        for one in spec.read([(path, data)], LabelFinder(), "spec"):
            for entry in (one.value.get("files") or ()) if isinstance(one, Spec) else ():
                if isinstance(entry, Mapping) and (source := str(entry.get("source") or "")):
                    found[path, source] = _source(os.path.dirname(path), source)
    return found


def _source(folder: str, source: str) -> tuple[int, str, str]:
    parts = source.split("/")
    if source.startswith(("/", "~")) or ".." in parts:
        return 0, "", "its source lies outside of the folder of the spec"
    whole = folder
    for part in parts:
        whole = os.path.join(whole, part)
        if os.path.islink(whole):
            return 0, "", "its source leads through a link"
    try:
        data = read_file(whole, _SOURCE)
    except OSError as error:
        return 0, "", f"its source cannot be read: {error.strerror or error}"
    from hashlib import sha256

    return len(data), sha256(data).hexdigest(), ""


def traced(inputs: Iterable[Input | Problem], paths: Sequence[str]) -> Iterator[Input | Problem]:
    """The inputs, each image with the specs in the files `paths`. Raises UsageError, too where there is no image."""
    documents = tuple(load(paths))
    given = sources(documents)
    images = 0
    for one in inputs:
        if isinstance(one, Input) and one.kind == "image":
            images += 1
            yield one._replace(specs=documents, sources=given)
        else:
            yield one
    if not images:
        raise UsageError("--spec tells what an image was built from; name an image, too")
