"""`lkscan.lock`: the digests of tags, written down, so that pinning needs no network and gives the same every time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from .scanner.labels import read_file
from .scanner.references import address, is_sha256
from .scanner.startup import NamedTuple
from .terminal import folder as here

NAME = "lkscan.lock"
_LIMIT = 4 << 20
_VERSION = 1
_HEAD = f"""\
# The digests of image tags, found by `lkscan pin`; `lkscan pin --update` renews them.
version = {_VERSION}

[images]
"""


class LockError(Exception):
    """The lock file cannot be used: `path` is the file, the message one clear line that names it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class Lock(NamedTuple):
    """A lock file: its bytes, None when it is not there yet, and the digests of canonical references."""

    path: str
    data: bytes | None
    images: Mapping[str, str]


def find(folder: str) -> str | None:
    """The nearest lock file, as a path from here: in `folder` or above it, up to the one with `.git`; or None."""
    for above in _upwards(os.path.normpath(os.path.join(here(), folder))):
        path = os.path.join(above, NAME)
        if os.path.lexists(path):
            return os.path.relpath(path, here())
    return None


def _upwards(folder: str) -> Iterator[str]:
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder or os.path.lexists(os.path.join(folder, ".git")):
            return
        folder = above


def load(path: str, *, named: bool = False) -> Lock:
    """A lock file, empty when it is not there. Raises LockError when it is damaged.

    One that the user `named` may be a link; one that was found may not: it would lead out of the folders searched.
    """
    if not named and os.path.islink(path):
        raise LockError(path, "is a link, which is not followed; name its target with --lock")
    try:
        data = read_file(path, _LIMIT)
        return Lock(path, data, _parsed(data))
    except FileNotFoundError:
        return Lock(path, None, {})
    except OSError as error:
        raise LockError(path, f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise LockError(path, f"{error}; restore it, or delete it and pin again") from None


def _parsed(data: bytes) -> dict[str, str]:
    """What is in a lock file. Raises ValueError."""
    import tomli

    try:
        value = tomli.loads(data.decode())
    except UnicodeDecodeError:
        raise ValueError("is no text in UTF-8") from None
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"is no TOML: {error}") from None
    images = value.get("images")
    if value.get("version") != _VERSION:
        raise ValueError(f"has no 'version = {_VERSION}': it is of another lkscan, or damaged")
    if not isinstance(images, dict) or len(value) > 2:  # noqa: PLR2004 - the version and the images
        raise ValueError("holds something else than the table [images]")
    for name, digest in images.items():
        if address(name) is None or not isinstance(digest, str) or not is_sha256(digest):
            raise ValueError(f"the entry '{name}' is no full reference with a sha256 digest")
    return images


def render(images: Mapping[str, str]) -> str:
    """The text of a lock file: a line each, sorted; what `address` knows needs no escaping."""
    return _HEAD + "".join(f'"{name}" = "{digest}"\n' for name, digest in sorted(images.items()))
