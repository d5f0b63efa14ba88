"""Outputs of a build: which of the files that are named make up one system, by what they are called."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

_ROLE = re.compile(
    r"(?P<name>.*?)(?P<role>vmlinu[xz]|bzImage|kernel|initrd|initramfs|cmdline)"
    r"(?P<version>-.+?)?(?P<suffix>\.img|\.gz|\.xz|\.zst|\.lz4|\.cpio|\.cpio\.gz|\.txt)?(?P<late>-.+)?"
)
_ROLES = {"initrd": 1, "initramfs": 1, "cmdline": 2}
_OUTPUTS = {"-kernel": 0, "-initrd.img": 1, "-squashfs.img": 1, "-erofs.img": 1, "-cmdline": 2}
"""What `linuxkit build` appends to the name of its outputs of several files, and the role of each."""


def group(paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The inputs that belong to one system, in the order in which they were named: the kernel first, then its initrd.

    A kernel, an initrd and a command line form one system when they lie in one folder and are named alike
    (`NAME-kernel`, `NAME-initrd.img`, `NAME-cmdline`; `vmlinuz-6.1`, `initrd.img-6.1`), and so do a squashfs, an EROFS
    or `NAME.iso` in the place of the initrd. `NAME` stands for all three when there is no such file and `NAME-kernel`
    exists; an ISO has to be named, as it may as well boot on its own.
    """
    groups: dict[tuple[object, ...], dict[int, str]] = {}
    for path in (found for named in paths for found in _outputs(named)):
        key, role = _role(path)
        members = groups.setdefault(key, {})
        if role in members:
            members = groups.setdefault((path, len(groups)), {})
        members[role] = path
    return [tuple(path for _, path in sorted(members.items())) for members in groups.values()]


def is_command_line(path: str) -> bool:
    """Whether the name is that of a kernel's command line."""
    return _role(path)[1] == _ROLES["cmdline"]


def _outputs(named: str) -> list[str]:
    if not os.path.lexists(named) and os.path.lexists(f"{named}-kernel"):
        return [named + suffix for suffix in _OUTPUTS if os.path.lexists(named + suffix)]
    return [named]


def _role(path: str) -> tuple[tuple[object, ...], int]:
    """What a path shares with its system's other files, and its part: 0 kernel, 1 initrd, 2 command line."""
    folder, name = os.path.split(path)
    for suffix, role in (*_OUTPUTS.items(), (".iso", 1)):
        if name.endswith(suffix):
            return (folder, name[: -len(suffix)] + "-", ""), role
    match = None if name.endswith((".yml", ".yaml")) else _ROLE.fullmatch(name)
    if match is None:
        return (path, None), 0
    version = (match["version"] or "") + (match["late"] or "")
    return (folder, match["name"], version), _ROLES.get(match["role"], 0)
