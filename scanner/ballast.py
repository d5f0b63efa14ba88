"""Ballast: what an image carries twice, may never load or never reads, as far as its readers tell it anyway."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .startup import NamedTuple
from .subjects import Binary, File, KernelModule, Place, Problem, Subject, System

_MODULES = 30_000
"""Kernel modules that are kept: a distribution's kernel has some 4,000."""
_ALIASES = 16
"""Names of one module besides its own that are kept."""
_ROOT = re.compile(r"containers/[^/]+/[^/]+/(?:rootfs|lower)(?=/)")
_PLAIN = re.compile(r"^[\w-]{1,128}$", re.ASCII | re.MULTILINE)
"""An alias that somebody may write (`fs-xfs`), not one that the kernel makes of a device's numbers."""


class Module(NamedTuple):
    """A loadable module: its file with its bytes as they lie there, and the modules that it needs.

    `names` are its own, as the kernel has it, and plain aliases (`fs-xfs`, here with `_`).
    """

    place: Place
    size: int
    names: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its path in the root file system."""
        return self.place.artifacts[-1]


class Copies(NamedTuple):
    """A program or library that lies in the root file systems of several containers: one path in each, and its bytes.

    `may_share`: it is in a squashfs or an EROFS, which can hold such files with one content.
    """

    size: int
    places: tuple[Place, ...]
    may_share: bool

    @property
    def saved(self) -> int:
        """Bytes, unpacked, of all of them but one."""
        return self.size * (len(self.places) - 1)


class Ballast(NamedTuple):
    """What an image carries more of than it may need.

    `symbols` are programs and libraries with the bytes of their symbols and of what debuggers read.
    """

    system: System
    modules: tuple[Module, ...]
    copies: tuple[Copies, ...]
    symbols: tuple[tuple[Place, int], ...] = ()

    @property
    def place(self) -> Place:
        """The image's."""
        return self.system.place

    def in_memory(self, places: Iterable[Place]) -> bool:
        """Whether all of these files are unpacked into memory at boot."""
        memory = {one.place.artifacts for one in self.system.layers if one.is_in_memory}
        return all(one.artifacts[:-1] in memory for one in places)


class Scale:
    """Looks on while an image is read; tells in the end."""

    def __init__(self) -> None:
        self._modules: dict[tuple[str, ...], Module] = {}
        self._groups: list[tuple[File, ...]] = []
        self._symbols: list[tuple[Place, int]] = []
        self._system: System | None = None

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of a subject."""
        kind = type(subject)
        if kind is File:
            return
        if isinstance(subject, Binary):
            if subject.copies:
                self._groups.append(subject.files)
            if subject.symbols:
                self._symbols += [(one.place, subject.symbols) for one in subject.files]
        elif isinstance(subject, KernelModule):
            if len(self._modules) < _MODULES:
                self._modules[subject.place.artifacts] = _module(subject)
        elif isinstance(subject, System):
            self._system = subject

    def subjects(self) -> Iterator[Ballast]:
        """What was gathered, if the image was read to its end."""
        if self._system:
            layers = {one.place.artifacts: one.format for one in self._system.layers}
            copies = (one for group in self._groups for one in _copies(group, layers))
            yield Ballast(self._system, tuple(self._modules.values()), tuple(copies), tuple(self._symbols))


def _module(found: KernelModule) -> Module:
    aliases = _PLAIN.findall(found.info.get("alias", ""))
    softly = [one for one in found.info.get("softdep", "").split() if not one.endswith(":")]
    needs = [*found.info.get("depends", "").split(","), *softly]
    return Module(
        found.place,
        found.file.size,
        tuple(plain(one) for one in (found.name, *aliases[:_ALIASES])),
        tuple(plain(one) for one in needs if one),
    )


def plain(name: str) -> str:
    """The name of a module as the kernel has it, which takes both signs for one."""
    return name.replace("-", "_")


def _copies(files: Iterable[File], layers: dict[tuple[str, ...], str]) -> Iterator[Copies]:
    """The files of one content that lie in several containers of one tree, the first in each."""
    trees: dict[tuple[str, ...], dict[str, File]] = {}
    for file in files:
        if match := _ROOT.match(file.path):
            trees.setdefault(file.place.artifacts[:-1], {}).setdefault(match[0], file)
    for tree, found in trees.items():
        if len(found) > 1:
            first, *_ = found.values()
            may_share = layers.get(tree, "").startswith(("squashfs", "EROFS"))
            yield Copies(first.size, tuple(one.place for one in found.values()), may_share)
