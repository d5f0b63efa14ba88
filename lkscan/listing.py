"""Long lists of facts, held as compressed JSON: an image may have 400,000 files, and as objects they take gigabytes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator

from .scanner.startup import Any

_PIECE = 1 << 12
_LONGEST = 1 << 26
"""Bytes of one object: extended attributes may be long."""


class ListingError(ValueError):
    """It is nothing that `packed` gave."""


class Listing:
    """A list of JSON objects that is only ever added to and read in order."""

    def __init__(self, packed: bytes = b"") -> None:
        """`packed` is what another one gave; to that nothing can be added. Iterating it may raise ListingError."""
        self._packer = None if packed else zlib.compressobj(1)
        self._pieces = [packed]
        self._waiting: list[str] = []

    def append(self, value: dict[str, Any]) -> None:
        """Add an object."""
        self._waiting.append(json.dumps(value, separators=(",", ":")))
        if len(self._waiting) == 1000:  # noqa: PLR2004 - few enough to take no room, enough to be packed at once
            self._pack()

    def extend(self, values: Iterable[dict[str, Any]]) -> None:
        """Add several."""
        for value in values:
            self.append(value)

    def packed(self) -> bytes:
        """All of it, for another process; it ends with that."""
        if self._packer:
            self._pack()
            self._pieces.append(self._packer.flush())
            self._packer = None
        return b"".join(self._pieces)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The objects, each made anew."""
        unpacker, rest, packed = zlib.decompressobj(), b"", self.packed()
        try:
            for at in range(0, len(packed), _PIECE):
                *lines, rest = (rest + unpacker.decompress(packed[at : at + _PIECE])).split(b"\n")
                if len(rest) > _LONGEST:
                    break
                for line in lines:
                    value = json.loads(line)
                    if not isinstance(value, dict):
                        raise ListingError(type(value).__name__)
                    yield value
        except (zlib.error, ValueError, RecursionError) as error:
            raise ListingError(type(error).__name__) from error
        if rest or not unpacker.eof:
            raise ListingError("it breaks off")

    def _pack(self) -> None:
        if self._packer and self._waiting:
            self._pieces.append(self._packer.compress("".join(f"{one}\n" for one in self._waiting).encode("ascii")))
            self._waiting.clear()
