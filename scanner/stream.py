"""One-way streams: bytes in order, with a view ahead, honest about where they break off."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import accumulate

from .source import ZEROS, Budget, Chunks, DamagedError, FileSource, LimitError, Limits, PackedBlocks, Source, Stretched
from .startup import NamedTuple

PIECE = 1 << 18
"""Bytes asked of a source at once."""
_FIRST = 1 << 16
"""Bytes that are fetched first of a file: what it is, and the whole of most texts."""
_MOST = 1 << 22
"""Bytes that are fetched at once of a file of which much is wanted."""
_SPARSE = 1 << 16
"""Bytes that are looked at together when zeros are left out."""
_PLACES = 256
"""Places in which a content may lie to be told by them: most have one or two."""
_HELD = 48 << 20
"""Bytes that are held of a stream for random access, where it can be read again."""


class Stream:
    """Bytes in order, with a view ahead; `offset` counts what was consumed, `source` gives random access if there is.

    Looking ahead (`peek`) never raises: it gives what there is, and `failure` tells why it is less. Consuming raises
    that failure (DamagedError) at the byte where it happened.
    """

    __slots__ = ("_again", "_chunks", "_closed", "_held", "_packed", "_position", "failure", "offset", "source")

    def __init__(
        self,
        chunks: Chunks,
        source: Source | None = None,
        again: Source | None = None,
        packed: Callable[[bytes], PackedBlocks | None] | None = None,
    ) -> None:
        """`again` gives the same bytes at random, at a price; `packed`, for the first of them, what `packed()` does."""
        self._chunks = chunks
        self._packed = packed
        self._again = again
        self._held = b""
        self._position = 0
        self._closed = False
        self.offset = 0
        self.source = source
        self.failure: DamagedError | None = None

    def peek(self, length: int) -> bytes:
        """The next `length` bytes without consuming them; fewer at the end or at damage."""
        if len(self._held) - self._position < length:
            self._gather(length)
        if not self._position and len(self._held) <= length:
            return self._held
        return self._held[self._position : self._position + length]

    def read(self, length: int) -> bytes:
        """The next `length` bytes; fewer at the end only. Raises DamagedError."""
        data = self.peek(length)
        if len(data) < length and self.failure:
            raise self.failure
        self._advance(len(data))
        return data

    def exactly(self, length: int, what: str) -> bytes:
        """The next `length` bytes. Raises DamagedError, naming `what`, if they are not all there."""
        data = self.peek(length)
        if len(data) < length:
            raise self.failure or self.broken(what)
        self._advance(length)
        return data

    def skip(self, length: int, what: str) -> None:
        """Consume `length` bytes. Raises DamagedError, naming `what`, if they are not all there."""
        while length > 0:
            step = min(length, len(self._held) - self._position)
            self._advance(step)
            length -= step
            if length and not self._fill(PIECE):
                raise self.failure or self.broken(what)

    def take(self) -> bytes:
        """Whatever comes next, in the size in which it comes; empty at the end. Raises DamagedError."""
        data = self.some(PIECE)
        if not data and self.failure:
            raise self.failure
        return data

    def some(self, wanted: int) -> bytes:
        """Consume what is at hand, up to `wanted` bytes; nothing at the end or at damage: `failure` tells which."""
        if self._position == len(self._held) and not self._fill(wanted):
            return b""
        data = self._held[self._position : self._position + wanted]
        self._advance(len(data))
        return data

    def pieces(self) -> Iterator[bytes]:
        """All that is left, bit by bit, up to where it ends or breaks off; `failure` tells which."""
        while piece := self.some(PIECE):
            yield piece

    def unread(self, data: bytes) -> None:
        """Give back the last bytes that were consumed."""
        self._held = data + self._held[self._position :]
        self._position = 0
        self.offset -= len(data)

    def skip_zeros(self) -> None:
        """Consume the zero bytes that come next. Raises DamagedError."""
        while data := self.take():
            if rest := data.lstrip(b"\0"):
                self.unread(rest)
                return

    def window(self, length: int, what: str) -> Stream:
        """The next `length` bytes as a stream of its own; this one moves as that one is read."""
        return _Window(self, length, what)

    def again(self) -> Source | None:
        """Random access to all of it, from its first byte on, by reading it once more; None where there is none."""
        return self.source or self._again

    def afresh(self, spend: Callable[[int], None]) -> Iterator[bytes] | None:
        """All of it from its first byte on, bit by bit, by reading it once more; None where that cannot be.

        What is read is spent; it ends where that is too much.
        """
        whole = self.again()
        return None if whole is None else _read(whole, spend)

    def packed(self) -> PackedBlocks | Extents | None:
        """All of it as it lies in the image, before anything is consumed; None where that cannot be told.

        It is spent as if it were read here. Raises DamagedError.
        """
        return self._packed(self._held) if self._packed and not self.offset and not self._closed else None

    def close(self) -> None:
        """Drop what is held; to look at it afterwards is a mistake and raises ValueError."""
        self._held = b""
        self._position = 0
        self._closed = True

    def _advance(self, length: int) -> None:
        self._position += length
        self.offset += length

    def broken(self, what: str) -> DamagedError:
        """That `what` ends too early, with the byte where it does."""
        return DamagedError(f"{what} breaks off at byte {self.offset + len(self._held) - self._position}")

    def _more(self, wanted: int) -> bytes:  # noqa: ARG002 - it comes in the size in which it comes
        """The next piece, of `wanted` bytes where that can be chosen; empty at the end. Raises DamagedError."""
        return next(self._chunks, b"")

    def _next(self, wanted: int) -> bytes:
        if self._closed:
            raise ValueError("content was asked for after the next subject")
        if self.failure is None:
            try:
                return self._more(wanted)
            except DamagedError as error:
                self.failure = error
        return b""

    def _fill(self, wanted: int) -> bool:
        """Replace what is used up by the next piece."""
        self._held = self._next(wanted)
        self._position = 0
        return bool(self._held)

    def _gather(self, length: int) -> None:
        """Hold at least `length` bytes, as far as they are there."""
        if self._position == len(self._held):
            self._fill(length)
        missing = length - (len(self._held) - self._position)
        if missing <= 0 or not (piece := self._next(missing)):
            return
        whole = BytesIO()  # it gives its own buffer away: joining pieces would need the room twice
        whole.write(memoryview(self._held)[self._position :])
        self._held, self._position = b"", 0
        while piece:
            missing -= whole.write(piece)
            piece = self._next(missing) if missing > 0 else b""
        self._held = whole.getvalue()


class _Window(Stream):
    """A stretch of another stream, which moves as this one is read."""

    __slots__ = ("_left", "_length", "_parent", "_start", "_what")

    def __init__(self, parent: Stream, length: int, what: str) -> None:
        super().__init__(iter(()))
        self._parent = parent
        self._start = parent.offset
        self._left = self._length = length
        self._what = what

    def _more(self, wanted: int) -> bytes:
        if not self._left:
            return b""
        piece = self._parent.some(min(self._left, max(wanted, _FIRST)))
        if not piece:
            raise self._parent.failure or self._parent.broken(self._what)
        self._left -= len(piece)
        return piece

    def again(self) -> Source | None:
        whole = self._parent.again()
        return whole and Part(whole, ((self._start, self._length),))


class _Over(Stream):
    """The whole of a source, from which it is fetched as it is wanted."""

    __slots__ = ("_at", "_budget", "_what", "_whole")

    def __init__(self, source: Source, budget: Budget, what: str) -> None:
        super().__init__(iter(()), source)
        self._whole = source
        self._budget = budget
        self._what = what
        self._at = 0

    def _more(self, wanted: int) -> bytes:
        missing = self._whole.size - self._at
        if missing <= 0:
            return b""
        piece = self._whole.pread(self._at, min(missing, max(_FIRST, min(wanted, _MOST))))
        if not piece:
            raise DamagedError(f"{self._what} breaks off at byte {self._at}, {missing} bytes too early")
        self._budget.spend(len(piece))
        self._at += len(piece)
        return piece

    def packed(self) -> Extents | None:
        """See Stream: where it lies in the file that was named, if it is longer than what is held of it."""
        size = self._whole.size
        if self.offset or self._closed or len(self._held) >= size:
            return None
        found = _located(self._whole, 0, size)
        if found is None:
            return None
        self._budget.spend(size - self._at)
        return Extents(found[0].path, found[0].identity, tuple(found[1]))

    def _gather(self, length: int) -> None:
        """What is held is fetched once more, with the rest: it costs less than to join the two."""
        start = self._at - len(self._held) + self._position
        wanted = min(length, self._whole.size - start)
        if self._at < start + wanted <= start + _MOST and self.failure is None and not self._closed:
            try:
                data = self._whole.pread(start, wanted)
                self._budget.spend(wanted - (self._at - start) if len(data) == wanted else 0)
            except LimitError as error:
                self.failure = error
                return
            except DamagedError:
                data = b""  # bit by bit, it is found out where
            if len(data) == wanted:
                self._held, self._position, self._at = data, 0, start + wanted
                return
        super()._gather(length)


class Extents(NamedTuple):
    """Where a content lies in the file at `path`: offsets and lengths in order, in bytes, an offset below 0 for zeros.

    `identity` tells the file from another one of that path.
    """

    path: str
    identity: tuple[int, ...]
    places: tuple[tuple[int, int], ...]

    def read(self, file: FileSource) -> bytes:
        """The content, out of that file. Raises DamagedError."""
        if file.identity != self.identity:
            raise DamagedError("the file is another one now")
        pieces = [file.pread(at, length) if at >= 0 else bytes(length) for at, length in self.places]
        if any(len(piece) < length for piece, (_, length) in zip(pieces, self.places, strict=True)):
            raise DamagedError("the file is shorter now")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


_Located = tuple[FileSource, list[tuple[int, int]]]


def _located(source: Source, offset: int, length: int) -> _Located | None:
    """The file that a stretch of a source lies in, and where in it; None where that cannot be told."""
    if isinstance(source, FileSource):
        return (source, [(offset, length)]) if offset + length <= source.size else None
    if not isinstance(source, Stretched):
        return None
    file: FileSource | None = None
    places: list[tuple[int, int]] = []
    for at, size in source.stretches(offset, length):
        if at >= 0:
            found = _located(source.source, at, size)
            if found is None:
                return None
            file = found[0]
            places += found[1]
        else:
            places.append((ZEROS, size))
        if len(places) > _PLACES:
            return None
    return (file, places) if file else None


class Part(Stretched):
    """Stretches of a source, joined: a Source again, such as the content of a file in a filesystem image."""

    def __init__(self, source: Source, extents: Sequence[tuple[int, int]]) -> None:
        """`extents` are (offset, length) in bytes, in the order of the content."""
        self.source = source
        self._extents = extents
        self._ends = list(accumulate(length for _, length in extents))
        self.size = self._ends[-1] if self._ends else 0
        self.offset = extents[0][0] if extents else 0

    def stretches(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See Stretched."""
        end = min(offset + length, self.size)
        index = bisect_right(self._ends, offset)
        while 0 <= offset < end:
            start, size = self._extents[index]
            skip = offset - self._ends[index] + size
            wanted = min(size - skip, end - offset)
            if wanted:
                yield start + skip, wanted
            offset, index = offset + wanted, index + 1


def _read(source: Source, spend: Callable[[int], None]) -> Iterator[bytes]:
    """All of a source, up to where it ends or breaks off."""
    at = 0
    with suppress(DamagedError):
        while piece := source.pread(at, PIECE):
            spend(len(piece))
            at += len(piece)
            yield piece


def over(source: Source, budget: Budget, what: str) -> Stream:
    """A stream over the whole of `source`, which stays at hand for random access; `what` names it in messages."""
    return _Over(source, budget, what)


class Sparse:
    """What was read of a stream, without the stretches of zeros: a Source."""

    def __init__(self) -> None:
        self.size = 0
        self.kept = 0
        self._pieces: dict[int, bytes] = {}

    def append(self, piece: bytes) -> None:
        """Add what comes next: `_SPARSE` bytes, fewer only at the end."""
        if piece.count(0) != len(piece):
            self._pieces[self.size // _SPARSE] = piece
            self.kept += len(piece)
        self.size += len(piece)

    def forget(self) -> None:
        """Keep nothing but the size."""
        self._pieces.clear()

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        end = min(offset + length, self.size)
        pieces = []
        while 0 <= offset < end:
            number, skip = divmod(offset, _SPARSE)
            wanted = min(_SPARSE - skip, end - offset)
            piece = self._pieces.get(number)
            pieces.append(bytes(wanted) if piece is None else piece[skip : skip + wanted])
            offset += wanted
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def held(stream: Stream, limits: Limits) -> Source:
    """Random access to the rest of a stream: its own source, or all that can be read of it in memory, zeros left out.

    Where that is too much, what can be read again is read again, as far as the stream goes. Where it breaks off,
    `stream.failure` says why. Raises LimitError.
    """
    if stream.source is not None:
        return stream.source
    start, again = stream.offset, stream.again()
    room = limits.body if again is None else min(_HELD, limits.body)
    found = Sparse()
    while piece := stream.peek(_SPARSE):
        stream.skip(len(piece), "")
        found.append(piece)
        if found.kept > room:
            if again is None:
                raise LimitError(f"needs random access and holds more than {limits.body} bytes (limit: body)")
            found.forget()
    return Part(again, ((start, found.size),)) if again and found.kept > room else found
