"""Random access to what is inside a gzip stream, without holding it: reads start at the nearest of a few kept states.

A disk in an archive (LinuxKit's gcp output) is read here and there, and may be larger than memory. ISA-L cannot copy
its state, so this is zlib, at a third of the speed; whoever can hold what is inside has no need of it.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from .source import DamagedError, Source
from .startup import NamedTuple

_CHUNK = 1 << 18
"""Bytes that are unpacked at once."""
_KEPT = 64
"""Chunks that are kept: who reads a file system goes back to few places of it."""
_APART = 32
"""Chunks between two states, at first."""
_STATES = 256
"""States that are kept, of some 48 KiB each; with more, every second one goes."""
_FEED = 1 << 14
_GZIP = b"\x1f\x8b\x08"
_UNKNOWN = 1 << 62


class _State(NamedTuple):
    """A decompressor that stands before a chunk, and where in the source its next input is; None behind the end."""

    decoder: zlib._Decompress | None
    at: int


class Restarts:
    """The inside of the gzip stream that starts at byte `start` of a source, its members joined: a Source.

    Its `size` is not known, and no reader asks for it: they are given parts. Each chunk is spent whenever it is
    unpacked.
    """

    size = _UNKNOWN

    def __init__(self, source: Source, start: int, spend: Callable[[int], None]) -> None:
        self._source = source
        self._spend = spend
        self._states = {0: _State(zlib.decompressobj(31), start)}
        self._apart = _APART
        self._next, self._state = 0, self._copied(self._states[0])
        self._chunks: OrderedDict[int, bytes] = OrderedDict()

    def pread(self, offset: int, length: int) -> bytes:
        """See Source. Raises DamagedError."""
        pieces: list[bytes] = []
        while length > 0 <= offset:
            number, skip = divmod(offset, _CHUNK)
            piece = self._chunk(number)[skip : skip + length]
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
            if not piece:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _chunk(self, number: int) -> bytes:
        """A chunk, shorter at the end only."""
        if number in self._chunks:
            self._chunks.move_to_end(number)
            return self._chunks[number]
        known = sorted(self._states)
        nearest = known[bisect_right(known, number) - 1]
        if not nearest <= self._next <= number:
            self._next, self._state = nearest, self._copied(self._states[nearest])
        data = b""
        for present in range(self._next, number + 1):
            self._next = -1  # nowhere, should it fail
            data = self._unpack()
            self._arrive(present + 1)
            self._chunks[present] = data
            if len(self._chunks) > _KEPT:
                self._chunks.popitem(last=False)
            if len(data) < _CHUNK:
                return data if present == number else b""
        return data

    def _arrive(self, number: int) -> None:
        """Stand before a chunk, and keep the state there if the last one kept is far behind."""
        self._next = number
        if number % self._apart == 0 and number not in self._states:
            self._states[number] = self._copied(self._state)
            if len(self._states) > _STATES:
                self._apart *= 2
                self._states = {number: one for number, one in self._states.items() if number % self._apart == 0}

    @staticmethod
    def _copied(state: _State) -> _State:
        return state._replace(decoder=state.decoder and state.decoder.copy())

    def _unpack(self) -> bytes:
        """The next chunk; the state moves on."""
        decoder, at = self._state
        pieces: list[bytes] = []
        missing = _CHUNK
        while missing and decoder:
            data = self._source.pread(at, _FEED)
            try:
                piece = decoder.decompress(data, missing)
            except zlib.error as error:
                raise DamagedError(f"gzip data is damaged (before byte {at + len(data)})") from error
            pieces.append(piece)
            missing -= len(piece)
            at += len(data) - len(decoder.unconsumed_tail) - len(decoder.unused_data)
            if decoder.eof:
                decoder, at = self._following(at)
            elif not data:
                raise DamagedError(f"gzip data breaks off at byte {at}")
        self._state = _State(decoder, at)
        self._spend(_CHUNK)
        return b"".join(pieces)

    def _following(self, at: int) -> tuple[zlib._Decompress | None, int]:
        """The next member, behind zeros if there are any."""
        while (data := self._source.pread(at, _FEED)) and not data.strip(b"\0"):
            at += len(data)
        at += len(data) - len(data.lstrip(b"\0"))
        return (zlib.decompressobj(31) if self._source.pread(at, 3) == _GZIP else None), at
