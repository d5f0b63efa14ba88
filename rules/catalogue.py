"""Every rule there is, listed explicitly, in the order of the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from . import (
    access,
    accounts,
    binaries,
    cmdline,
    crosschecks,
    devices,
    efi,
    files,
    hygiene,
    images,
    kernel,
    kernel_groups,
    lean,
    microcode,
    modules,
    mount_options,
    mounts,
    namespaces,
    privileges,
    provenance,
    registries,
    resources,
    rootfs,
    runtimes,
    secrets,
    spec,
    special_files,
    sshd,
    sysctls,
    tools,
    users,
    wording,
)
from .engine import Rule

RULES: tuple[Rule, ...] = (
    *spec.RULES,
    *hygiene.RULES,
    *wording.RULES,
    *images.RULES,
    *registries.RULES,
    *privileges.RULES,
    *users.RULES,
    *devices.RULES,
    *namespaces.RULES,
    *mounts.RULES,
    *mount_options.RULES,
    *resources.RULES,
    *crosschecks.RULES,
    *lean.RULES,
    *tools.RULES,
    *provenance.RULES,
    *access.RULES,
    *sshd.RULES,
    *accounts.RULES,
    *runtimes.RULES,
    *sysctls.RULES,
    *secrets.RULES,
    *files.RULES,
    *special_files.RULES,
    *rootfs.RULES,
    *binaries.RULES,
    *modules.RULES,
    *efi.RULES,
    *kernel.RULES,
    *kernel_groups.RULES,
    *microcode.RULES,
    *cmdline.RULES,
)


def find(text: str, rules: Iterable[Rule] = RULES) -> Rule | None:
    """The rule with this id (in any case) or name, among lkscan's own unless told."""
    return next((rule for rule in rules if text.upper() == rule.id or text == rule.name), None)
