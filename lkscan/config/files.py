"""Configuration files: which one governs a path, and reading it without trusting it."""

from __future__ import annotations

import os
import stat

from ..terminal import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NAME, PROJECT = "lkscan.toml", "pyproject.toml"

SIZE = 256 << 10
"""Bytes of a configuration file; a longer one is refused."""


class ConfigurationError(UsageError):
    """A configuration that cannot be used: `path` is the file, the message names it, the place and what to do."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class Finder:
    """Finds the file that governs a folder: the nearest `lkscan.toml` or `pyproject.toml` with `[tool.lkscan]`.

    The search goes upwards from the folder as it was named, and ends with the folder that holds `.git`, or with the
    root. Of two in one folder, `lkscan.toml` counts. A link is no configuration file, and an error.
    """

    def __init__(self) -> None:
        self._found: dict[str, str | None] = {}

    def nearest(self, folder: str) -> str | None:
        """The path of the file that governs the folder, an absolute path; None without one.

        Raises ConfigurationError where there is one that must not be read.
        """
        passed: list[str] = []
        while folder not in self._found:
            passed.append(folder)
            here, above = _in_folder(folder), os.path.dirname(folder)
            if here is not None or above == folder or os.path.lexists(os.path.join(folder, ".git")):
                self._found[folder] = here
                break
            folder = above
        self._found.update(dict.fromkeys(passed, self._found[folder]))
        return self._found[folder]


def repository(folder: str) -> str:
    """The nearest folder upwards that holds `.git`; the folder itself where none does."""
    here = folder
    while not os.path.lexists(os.path.join(here, ".git")):
        if here == os.path.dirname(here):
            return folder
        here = os.path.dirname(here)
    return here


def is_within(path: str, folder: str) -> bool:
    """Whether a path is in a folder or is it, links followed."""
    real, top = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath((real, top)) == top


def _in_folder(folder: str) -> str | None:
    own, project = os.path.join(folder, NAME), os.path.join(folder, PROJECT)
    if os.path.lexists(own):
        return own
    if os.path.isfile(project) and _mentions(_bytes(project, SIZE)):
        return project if _own(_parsed(project)[0]) is not None else None
    return None


def _mentions(project: bytes) -> bool:
    """Whether a pyproject.toml may have a table [tool.lkscan], however written; most have not, and are not parsed.

    To parse it, and to import the module for it, would be a sixteenth of what lkscan does for one spec.
    """
    if b"lkscan" not in project:
        return False
    plain = project.translate(None, b" \t\"'")
    return any(one in plain for one in (b"tool.lkscan", b"[tool]", b"tool=", b"\\u", b"\\U"))


def load(path: str, *, named: bool = False) -> tuple[Mapping[str, Any], str]:
    """The tree of a configuration file, and its text. Raises ConfigurationError.

    A file that the user `named` may be a link; one that was found may not: it would lead out of the folders searched.
    """
    if not named and os.path.islink(path):
        raise ConfigurationError(path, "is a link, which is not followed; name its target with --config")
    tree, text = _parsed(path)
    if os.path.basename(path) != PROJECT:
        return tree, text
    table = _own(tree)
    if not isinstance(table, dict):
        raise ConfigurationError(path, "has no table [tool.lkscan]")
    return table, text


def _own(project: Mapping[str, Any]) -> object:
    tools = project.get("tool")
    return tools.get("lkscan") if isinstance(tools, dict) else None


def _parsed(path: str) -> tuple[Mapping[str, Any], str]:
    data = _bytes(path, SIZE + 1)
    if len(data) > SIZE:
        raise ConfigurationError(path, f"is longer than {SIZE >> 10} KiB, which no configuration is")
    import tomli  # 10 ms cheaper to import than the standard library's tomllib, and there from 3.10 on

    try:
        text = data.decode("utf-8-sig")
        return tomli.loads(text), text
    except UnicodeDecodeError as error:
        raise ConfigurationError(path, f"is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise ConfigurationError(path, "is nested too deeply") from None
    except ValueError as error:
        hint = "; [[ignore]] and ignore = [...] exclude each other" if "'ignore'" in str(error) else ""
        raise ConfigurationError(path, f"is no TOML: {error}{hint}") from None


def _bytes(path: str, limit: int) -> bytes:
    """The start of a regular file; opened so that a FIFO or a device blocks nobody."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ConfigurationError(path, "is no regular file")
            return os.read(handle, limit)
        finally:
            os.close(handle)
    except OSError as error:
        raise ConfigurationError(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(path, "is no path") from None
