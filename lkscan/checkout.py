"""The git checkout that lkscan runs in, read from git's own files: no program is run."""

from __future__ import annotations

import os
import re

from .config.files import repository
from .reports.formats import Checkout

_LIMIT = 1 << 20
"""Bytes of a file of git's that are read."""
_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SCP = re.compile(r"(?:[^@/:]+@)?([^/:]+):(?!/)(.+)")
"""`git@host:owner/name`, as ssh has it."""


def checkout(folder: str) -> Checkout | None:
    """That of a folder, or of one above it; None without one, or where it names no remote or no commit.

    The remote is `origin`, or else the first one. Its address is given without names and passwords.
    """
    root = repository(folder)
    git = _git(os.path.join(root, ".git"))
    common = os.path.normpath(os.path.join(git, _text(git, "commondir").strip()))
    head = _text(git, "HEAD").strip()
    ref = head.removeprefix("ref: ") if head.startswith("ref: ") else ""
    revision = _revision(git, common, ref) if ref else head
    address = _address(_text(common, "config"))
    if not (address and _REVISION.fullmatch(revision)):
        return None
    return Checkout(root, address, revision, ref.removeprefix("refs/heads/"))


def _git(path: str) -> str:
    """The folder that holds git's files: `.git` itself, or what that file of a linked working tree names."""
    if os.path.isdir(path):
        return path
    named = _text(*os.path.split(path)).partition("gitdir: ")[2].strip()
    return os.path.normpath(os.path.join(os.path.dirname(path), named))


def _revision(git: str, common: str, ref: str) -> str:
    if ".." in ref.split("/"):
        return ""
    for folder in (git, common):
        if found := _text(folder, ref).strip():
            return found
    packed = (line.split(" ", 1) for line in _text(common, "packed-refs").splitlines() if line[:1] not in "#^")
    return next((parts[0] for parts in packed if parts[1:] == [ref]), "")


def _address(config: str) -> str:
    """The address of the remote in git's configuration, as a URI; "" where there is none that others could use."""
    remotes: dict[str, str] = {}
    remote = ""
    for line in map(str.strip, config.splitlines()):
        if line.startswith("["):
            match = re.match(r'\[remote "(.*)"\]', line)
            remote = match[1] if match else ""
        elif remote and (match := re.match(r"url\s*=\s*(.*)", line)):
            remotes.setdefault(remote, match[1])
    url = remotes.get("origin") or next(iter(remotes.values()), "")
    scheme, separator, rest = url.partition("://")
    if not separator and (match := _SCP.fullmatch(url)):
        return f"https://{match[1]}/{match[2]}"
    if scheme not in {"http", "https", "ssh", "git"}:
        return ""
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    return f"{'https' if scheme == 'ssh' else scheme}://{host}{slash}{path}" if host else ""


def _text(folder: str, name: str) -> str:
    """The start of a regular file; "" for what is none, or cannot be read."""
    path = os.path.join(folder, name)
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LIMIT)
    except (OSError, ValueError):
        return ""
