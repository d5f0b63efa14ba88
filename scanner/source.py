"""Bytes to read from: random access (Source) and one-way streams (Stream), both bounded."""

import errno
import os
import stat
from collections.abc import Iterator

from .startup import NamedTuple, Protocol


class DamagedError(Exception):
    """An input breaks off or contradicts itself; the message says what and where (a byte offset)."""


class LimitError(DamagedError):
    """An input exceeds a limit that keeps hostile bytes harmless; the message names the limit."""


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


class Budget:
    """What one input has cost so far, over all its layers: entries met and bytes delivered."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.entries = 0
        self.delivered = 0
        self.given = 0
        """Bytes of the files that were named; what is delivered is measured by them, unless they are not known."""

    def spend(self, length: int) -> None:
        """Count bytes delivered. Raises LimitError."""
        self.delivered += length
        limits = self.limits
        if self.delivered > limits.total:
            raise LimitError(f"more than {limits.total} bytes were unpacked (limit: total)")
        if self.given and self.delivered > limits.ratio_from + limits.ratio * self.given:
            raise LimitError(f"the whole unpacks to more than {limits.ratio} times its size (limit: ratio)")

    def entry(self) -> None:
        """Count an entry. Raises LimitError."""
        self.entries += 1
        if self.entries > self.limits.entries:
            raise LimitError(f"more than {self.limits.entries} entries (limit: entries)")


class Source(Protocol):
    """Bytes with random access."""

    size: int

    def pread(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; shorter only at the end of the source."""
        ...


class FileSource:
    """A regular file, opened once, read with pread (a file that shrinks meanwhile yields short reads, no signal)."""

    def __init__(self, path: str) -> None:
        """Open `path` without blocking. Raises OSError, also for what is not a regular file."""
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        self.status = os.fstat(self._descriptor)
        self.size = self.status.st_size
        if not stat.S_ISREG(self.status.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", path)

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class MemorySource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        return self._data[offset : offset + length]


Chunks = Iterator[bytes]
"""A stream's raw material: non-empty pieces in order."""
