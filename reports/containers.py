"""Containers as reports show them: their mounts without what may be a secret."""

from __future__ import annotations

from ..scanner.subjects import Mount

NAMESPACES = ("network", "pid", "ipc", "uts", "user")
"""The kinds that are told."""

_PLAIN_OPTIONS = frozenset(
    {
        "gid",
        "gidmap",
        "lowerdir",
        "mode",
        "nr_inodes",
        "ptmxmode",
        "size",
        "subvol",
        "uid",
        "uidmap",
        "upperdir",
        "workdir",
    }
)
"""Options of mounts whose values nobody needs to keep to himself."""


def options(mount: Mount) -> list[str]:
    """The options of a mount, without values that may be a secret (`password=…`)."""
    return [_option(one) for one in mount.options]


def _option(text: str) -> str:
    name, equals, _ = text.partition("=")
    return f"{name}=…" if equals and name not in _PLAIN_OPTIONS else text
