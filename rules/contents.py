"""What images are made of, for the reports that show it: how large, and how their programs are hardened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..scanner.startup import NamedTuple, late
from ..scanner.subjects import Binary, File, Place, Problem, Subject, System
from .binaries import beyond
from .components import KERNEL, ROOT, Component, Part, paged

_CONTAINER = late(r"containers/(?:(onboot|onshutdown)/\d{3}-|(services)/)([^/]+)/")
_KERNEL = late(r"boot/|(?:usr/)?lib/modules/|(?:kernel|vmlinuz|bzImage)[^/]*$")
_LAYERS = late(r"containers/[^/]+/[^/]+/(?:rootfs|lower)/")

_SHARE = 400
"""A file or folder of less than one part in so many of the whole is not told by itself."""

_MANY, _DEPTH = 10, 12
"""A folder of more than so many such parts is told by those in it, down to this depth."""

_NAMES = 40
"""Programs of one sort that are named; the others are counted."""

_FACTS = ("relro", "nx", "pie", "canary", "fortify", "cet", "rwx", "textrel")
"""What `Hardening.facts` tells, in this order."""

_PIE = {"exec": "no", "static": "no", "pie": "yes", "static-pie": "yes", "dso": "library"}
"""By `Binary.kind`; what is of another kind is loaded by nobody, or nothing is known of it."""


class Hardening(NamedTuple):
    """Programs and libraries of a component that are hardened alike: `number` of them, some of their `names`.

    `facts` has a word for each of relro, nx, pie, canary, fortify, cet, rwx, textrel, as in `subjects.Binary`; `pie` is
    yes, no or library, `rwx` and `textrel` are yes or no.
    """

    component: str
    facts: tuple[str, ...]
    number: int
    names: tuple[str, ...]

    def fact(self, name: str) -> str:
        """One of them by its name."""
        return self.facts[_FACTS.index(name)]


class Contents(NamedTuple):
    """What one image is made of: components by size, and programs by component."""

    place: Place
    components: tuple[Component, ...]
    hardening: tuple[Hardening, ...]


class Collector:
    """Meets the subjects of images as they come; `contents` are those of the images that it has met the end of.

    It takes some 300 bytes for each file of an image.
    """

    def __init__(self) -> None:
        self.contents: list[Contents] = []
        self._sizes: dict[tuple[str, ...], int] = {}
        self._programs: dict[tuple[str, ...], tuple[str, ...]] = {}

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of files and binaries; the system, which comes last, sums them up."""
        if isinstance(subject, File):
            if subject.replaces:
                self._sizes.pop(subject.place.artifacts, None)
                self._programs.pop(subject.place.artifacts, None)
            if subject.kind == "file" and subject.size:
                self._sizes[subject.place.artifacts] = subject.size
        elif isinstance(subject, Binary):
            if not beyond(subject):
                self._programs.update(dict.fromkeys((file.place.artifacts for file in subject.files), _facts(subject)))
        elif isinstance(subject, System) and subject.kind == "image":
            for layer in subject.layers:  # what a file holds is told, and the file is not
                artifacts = layer.place.artifacts
                for length in range(1, len(artifacts) + 1) if layer.entries else ():
                    self._sizes.pop(artifacts[:length], None)
            self.contents.append(Contents(subject.place, _components(self._sizes), _hardening(self._programs)))
            self._sizes.clear()
            self._programs.clear()


def component(path: str) -> str:
    """The component that a path in an image belongs to."""
    match = _CONTAINER.match(path)
    if match:
        return f"{match[1] or match[2]}/{match[3]}"
    return KERNEL if _KERNEL.match(path) else ROOT


def within(path: str) -> str:
    """The path as a container sees it; of other files as it stands."""
    return _LAYERS.sub("", path, count=1)


def _facts(binary: Binary) -> tuple[str, ...]:
    said = ["yes" if one else "no" for one in (binary.rwx, binary.textrel)]
    asked = [binary.answer(name) for name in ("canary", "fortify", "cet")]
    return (binary.relro, binary.nx, _PIE[binary.kind], *asked, *said)


def _components(sizes: dict[tuple[str, ...], int]) -> tuple[Component, ...]:
    least = sum(sizes.values()) / _SHARE
    found: dict[tuple[tuple[str, ...], str], list[tuple[str, ...]]] = {}
    for artifacts in sizes:
        found.setdefault((artifacts[:-1], component(artifacts[-1])), []).append(artifacts)
    made = (
        Component(
            name,
            Place(layer),
            sum(sizes[one] for one in files),
            len(files),
            tuple(sorted(_parts(files, sizes, least), key=lambda part: (-part.size, part.path))),
            sum(paged(sizes[one]) for one in files),
        )
        for (layer, name), files in found.items()
    )
    return tuple(sorted(made, key=lambda one: (-one.size, one.name, one.layer.artifacts)))


def _parts(files: Iterable[tuple[str, ...]], sizes: dict[tuple[str, ...], int], least: float) -> list[Part]:
    """Large files by themselves, the others by the folders that are large with all that is in them."""
    parts: list[Part] = []
    small: list[tuple[str, int]] = []
    for artifacts in files:
        size, path = sizes[artifacts], within(artifacts[-1])
        if size >= least:
            parts.append(Part(path, size, 1, Place(artifacts)))
        else:
            small.append((path, size))
    return parts + _folders("", small, least)


def _folders(above: str, files: list[tuple[str, int]], least: float) -> list[Part]:
    """The folders in the folder `above` (which ends in a slash) by themselves, and together what is not large."""
    folders: dict[str, list[tuple[str, int]]] = {}
    for path, size in files:
        name, slash, _ = path[len(above) :].partition("/")
        folders.setdefault(f"{above}{name}/" if slash else "", []).append((path, size))
    parts: list[Part] = []
    rest: list[tuple[str, int]] = []
    for folder, some in folders.items():
        total = sum(size for _, size in some)
        if not folder or total < least:
            rest += some
        elif total < _MANY * least or folder.count("/") > _DEPTH:
            parts.append(Part(folder, total, len(some)))
        else:
            parts += _folders(folder, some, least)
    return [*parts, Part(above, sum(size for _, size in rest), len(rest))] if rest else parts


def _hardening(programs: dict[tuple[str, ...], tuple[str, ...]]) -> tuple[Hardening, ...]:
    names: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for artifacts, facts in programs.items():
        key = component(artifacts[-1]), facts
        counts[key] += 1
        some = names.setdefault(key, [])
        if len(some) < _NAMES:
            some.append(within(artifacts[-1]))
    return tuple(Hardening(*key, counts[key], tuple(some)) for key, some in sorted(names.items()))
