"""The two files of each container in an image, config.json and runtime.json, whichever comes first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from . import built
from .source import DamagedError, LimitError
from .subjects import SECTIONS, Container, File, Place, Problem

_IN_ALL = 4 << 20
"""Bytes of config.json and runtime.json that are held until the end: LinuxKit's own have less than 20 KiB each."""
_LEAST = 4 << 10
"""Bytes that each of these counts for at least: as objects, small ones take more than they do as text."""

_PATH = re.compile(r"containers/(onboot|onshutdown|services)/([^/]+)/(config|runtime)\.json")
_NUMBERED = re.compile(r"(\d{1,9})-(.+)")

_Key = tuple[str, ...]
"""The artifacts of the tree that a container lies in, its section and its folder."""


def is_one(path: str) -> bool:
    """Whether it is where one of the two files of a container stands."""
    return _PATH.fullmatch(path) is not None


@dataclass(slots=True)
class _Parts:
    """What came of a container so far, and the how manieth of its tree it is, from 0."""

    index: int
    place: Place | None = None
    config: bytes | None = None
    runtime: bytes | None = None


class ContainerFiles:
    """The containers of one image, as their files come; a later file of the same path takes the place of the first."""

    def __init__(self) -> None:
        self._parts: dict[_Key, _Parts] = {}
        self._numbers: Counter[_Key] = Counter()
        self.found: dict[_Key, Container] = {}
        self._held = 0
        self.is_linuxkit = False

    def take(self, file: File, data: bytes) -> Iterator[Container | Problem]:
        """The container, once both files are there. Raises LimitError."""
        match = _PATH.fullmatch(file.path)
        if match is None:
            return
        if len(data) > built.LIMIT:
            raise LimitError(f"more than {built.LIMIT} bytes")
        self._held += max(len(data), _LEAST)
        if self._held > _IN_ALL:
            raise LimitError(f"configurations of containers of more than {_IN_ALL} bytes in all")
        section, folder, which = match.groups()
        key = (*file.place.artifacts[:-1], section, folder)
        if key not in self._parts:
            self._parts[key] = _Parts(self._numbers[key[:-1]])
            self._numbers[key[:-1]] += 1
        parts = self._parts[key]
        if which == "config":
            parts.place, parts.config = file.place, data
        else:
            parts.runtime = data
        if parts.config is not None and parts.runtime is not None:
            yield from self._made(key, parts)

    def unpaired(self) -> Iterator[Container | Problem]:
        """Those of which only one file was there."""
        for key, parts in self._parts.items():
            if parts.place is None:
                yield Problem(Place((*key[:-2], f"containers/{key[-2]}/{key[-1]}")), "runtime.json without config.json")
            elif parts.runtime is None:
                yield from self._made(key, parts)

    def in_order(self) -> tuple[Container, ...]:
        """All that were found, in the order in which LinuxKit starts them."""
        return tuple(sorted(self.found.values(), key=lambda one: (SECTIONS.index(one.section), one.index)))

    def _made(self, key: _Key, parts: _Parts) -> Iterator[Container | Problem]:
        if parts.place is None or parts.config is None:
            return
        section, folder = key[-2:]
        numbered = _NUMBERED.fullmatch(folder) if section != SECTIONS[-1] else None
        name, index = (numbered[2], int(numbered[1])) if numbered else (folder, parts.index)
        try:
            found = built.from_built(section, name, index, parts.config, parts.runtime, parts.place)
        except DamagedError as error:
            yield Problem(parts.place, f"{error}; the container is not examined")
            return
        self.found[key] = found
        self.is_linuxkit |= parts.runtime is not None
        yield found
