"""Files are written whole or not at all: with the mode, owner and encoding that they had."""

from __future__ import annotations

import os
import stat
from tempfile import mkstemp

from .scanner.labels import read_file


class WriteError(Exception):
    """A file could not be replaced, and is as it was; one clear line that names it."""


def encode(text: str, like: bytes) -> bytes:
    """The bytes of a text, in the encoding and with the byte order mark of the file that it was read from."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if like.startswith(mark):
            return mark + text.encode(encoding)
    return text.encode()


def replace(path: str, new: bytes, *, old: bytes | None) -> None:
    """Put `new` where `old` was read from (None: there was no file). Raises WriteError.

    At any moment, and after a crash, the file is the old or the new one; a symbolic link stays one.
    """
    target = os.path.realpath(path)
    try:
        status = os.stat(target) if os.path.lexists(target) else None
        if (None if status is None else read_file(target, max(len(old or b""), status.st_size))) != old:
            raise WriteError(f"{path}: was changed by somebody else meanwhile; nothing was written")
        _put(target, new, status)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}") from None


def write(path: str, new: bytes) -> None:
    """Write a file, whatever was there. Raises WriteError.

    At any moment, and after a crash, it is the old or the new one. What is no regular file (a pipe, /dev/stdout) is
    written to as it is.
    """
    target = os.path.realpath(path)
    try:
        status = os.stat(target) if os.path.lexists(target) else None
        if status is None or stat.S_ISREG(status.st_mode):
            _put(target, new, status)
        else:
            with open(path, "wb") as file:
                file.write(new)
    except (OSError, ValueError) as error:
        raise WriteError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _put(target: str, new: bytes, status: os.stat_result | None) -> None:
    """Put a file in the place of one of this status, or where there is none, in one step."""
    descriptor, temporary = mkstemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            _dress(file.fileno(), status)
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _dress(descriptor: int, status: os.stat_result | None) -> None:
    """Give a new file the owner and mode of the one it replaces; without one, what the umask leaves."""
    if status is None:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        return
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
