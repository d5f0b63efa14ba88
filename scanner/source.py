"""Bytes to read from, by offset: files and memory; what reading may cost in all, and how it fails."""

import errno
import os
import stat
from collections.abc import Callable, Iterator

from .startup import NamedTuple, Protocol


class DamagedError(Exception):
    """An input breaks off or contradicts itself; the message says what and where (a byte offset)."""


class LimitError(DamagedError):
    """An input exceeds a limit that keeps hostile bytes harmless; the message names the limit."""


class UnreadError(DamagedError):
    """An input is whole, and uses what is not read; the message says what."""


class Limits(NamedTuple):
    """What an input may cost; what exceeds it is reported, never silently cut."""

    entries: int = 400_000
    """Entries of all file trees together; archives, extended headers and compressed streams count as well."""
    path: int = 4096
    """Bytes of a path."""
    depth: int = 256
    """Components of a path."""
    nesting: int = 8
    """Layers peeled one inside the other."""
    body: int = 256 << 20
    """Bytes of one file that are handed to a reader or rule at once."""
    total: int = 16 << 30
    """Bytes delivered by all layers together."""
    ratio: int = 250
    """Bytes out per byte in, of one layer and of all of them, once `ratio_from` bytes came out."""
    ratio_from: int = 256 << 20
    memory: int = 128 << 20
    """Bytes a decompressor's window may take."""
    layers: int = 10_000
    """Layers peeled in all: partitions may hold each other, and each one is looked at for every format."""
    address: int = 4 << 30
    """Bytes of addresses that the process which reads an image may have, where it has one of its own."""
    seconds: int = 3600
    """Seconds of processor time of that process."""


STEP = 256
"""Bytes that one step through a map counts for, such as a link of a chain of clusters: it takes the time of as many."""


class Budget:
    """What one input has cost so far, over all its layers: entries met and bytes delivered."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.entries = 0
        self.layers = 0
        self.delivered = 0
        self.given = 0
        """Bytes of the files that were named; what is delivered is measured by them, unless they are not known."""

    def spend(self, length: int) -> None:
        """Count bytes delivered. Raises LimitError."""
        self.delivered += length
        limits = self.limits
        if self.delivered > limits.total:
            raise LimitError(f"more than {limits.total} bytes were read and unpacked (limit: total)")
        if self.given and self.delivered > limits.ratio_from + limits.ratio * self.given:
            raise LimitError(f"the whole unpacks to more than {limits.ratio} times its size (limit: ratio)")

    def steps(self, count: int) -> None:
        """Count steps through what maps a file, which deliver nothing and take time. Raises LimitError."""
        self.spend(count * STEP)

    def layer(self) -> None:
        """Count a layer, which is an entry too. Raises LimitError."""
        self.entry()
        self.layers += 1
        if self.layers > self.limits.layers:
            raise LimitError(f"more than {self.limits.layers} layers (limit: layers)")

    def entry(self) -> None:
        """Count an entry. Raises LimitError."""
        self.entries += 1
        if self.entries > self.limits.entries:
            raise LimitError(f"more than {self.limits.entries} entries (limit: entries)")


class Source(Protocol):
    """Bytes with random access."""

    size: int

    def pread(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; shorter only at the end of the source, and empty outside of it.

        Both may be any number that a file tells. Raises DamagedError.
        """
        ...


Watch = Callable[[int], None]
"""Is told how many bytes were read, each time."""


class FileSource:
    """A regular file, opened once, read with pread (a file that shrinks meanwhile yields short reads, no signal)."""

    def __init__(self, path: str, watch: Watch | None = None) -> None:
        """Open `path` without blocking; `watch` is told how many bytes are read, each time.

        Raises OSError, also for what is not a regular file.
        """
        self.path = path
        self._watch = watch
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        self.status = os.fstat(self._descriptor)
        self.size = self.status.st_size
        self.identity = (self.status.st_dev, self.status.st_ino, self.size, self.status.st_mtime_ns)
        if not stat.S_ISREG(self.status.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", path)

    def pread(self, offset: int, length: int) -> bytes:
        """See Source. Raises DamagedError where the file system gives an error."""
        if not 0 <= offset < self.size or length <= 0:
            return b""
        try:
            data = os.pread(self._descriptor, min(length, self.size - offset), offset)
        except OSError as error:
            raise DamagedError(f"the file cannot be read at byte {offset}: {error.strerror}") from error
        if self._watch:
            self._watch(len(data))
        return data

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class PackedBlocks(NamedTuple):
    """A content as it lies in an image: blocks of a kind that `compression.unpack` knows, one after another.

    Of each, its bytes, how many they unpack to, and whether they are packed at all; without bytes it is zeros.
    """

    kind: str
    blocks: tuple[tuple[bytes, int, bool], ...]


ZEROS = -1
"""The place of what was never written."""


class Stretched:
    """A Source made of stretches of another one, and of zeros."""

    source: Source
    size: int

    def stretches(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Where in the source up to `length` bytes from `offset` lie, and how many each time; ZEROS for zeros."""
        raise NotImplementedError

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        pieces: list[bytes] = []
        for at, wanted in self.stretches(offset, length):
            piece = self.source.pread(at, wanted) if at >= 0 else bytes(wanted)
            pieces.append(piece)
            if len(piece) < wanted:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class MemorySource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        return self._data[offset : offset + length] if offset >= 0 and length > 0 else b""


Chunks = Iterator[bytes]
"""A stream's raw material: non-empty pieces in order."""
