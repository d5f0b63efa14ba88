"""Every rule there is, listed explicitly, in the order of the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module

from . import (
    access,
    accounts,
    cmdline,
    crosschecks,
    devices,
    files,
    hygiene,
    images,
    kernel,
    lean,
    mount_options,
    mounts,
    namespaces,
    privileges,
    provenance,
    registries,
    resources,
    runtimes,
    secrets,
    spec,
    sshd,
    sysctls,
    users,
    wording,
)
from .engine import Rule

_MODULES = (
    spec,
    hygiene,
    wording,
    images,
    registries,
    privileges,
    users,
    devices,
    namespaces,
    mounts,
    mount_options,
    resources,
    crosschecks,
    lean,
    "tools",
    "unreached",
    "idle_modules",
    "duplicates",
    "unstripped",
    "budgets",
    provenance,
    access,
    sshd,
    accounts,
    runtimes,
    sysctls,
    secrets,
    files,
    "special_files",
    "rootfs",
    "binaries",
    "daemons",
    "least",
    "modules",
    "efi",
    kernel,
    "kernel_groups",
    "microcode",
    cmdline,
    "drift",
)
"""The modules with rules. One that is only named has rules about what images alone hold: a spec's scan, of which it
would be a hundredth, does without it."""

RULES: tuple[Rule, ...]
"""All rules; made when it is first asked for."""


def of_specs() -> tuple[Rule, ...]:
    """The rules that may have something to say of a spec."""
    return tuple(rule for module in _MODULES if not isinstance(module, str) for rule in module.RULES)


@cache
def of_all() -> tuple[Rule, ...]:
    """The rules."""
    modules = (import_module(f".{one}", __package__) if isinstance(one, str) else one for one in _MODULES)
    return tuple(rule for module in modules for rule in module.RULES)


def __getattr__(name: str) -> tuple[Rule, ...]:
    if name == "RULES":
        return of_all()
    raise AttributeError(name)


def find(text: str, rules: Iterable[Rule] | None = None) -> Rule | None:
    """The rule with this id (in any case) or name, among lkscan's own unless told."""
    return next((rule for rule in rules or of_all() if text.upper() == rule.id or text == rule.name), None)
