"""Family B: what the daemons of LinuxKit's base are written in."""

from collections.abc import Iterator

from ..scanner.subjects import Binary
from .engine import Profile, Severity, Verdict, fail, rule, undecided

_DAEMONS = frozenset(
    {
        "init",
        "bin/rc.init",
        "bin/rc.shutdown",
        "usr/bin/service",
        "usr/bin/containerd",
        "usr/bin/containerd-shim",
        "usr/bin/containerd-shim-runc-v2",
        "usr/bin/ctr",
        "usr/bin/runc",
    }
)
"""What LinuxKit's init, containerd and runc packages run as root outside of all containers."""
_SAFE = ("Go ", "Rust", "OCaml")


def _is_daemon(binary: Binary) -> bool:
    return any(file.path in _DAEMONS for file in binary.files)


@rule(
    "LKB022",
    "daemon-not-type-safe",
    Severity.LOW,
    "'{0}', which runs as root outside of all containers, was made by '{1}'.",
    remedy="Use LinuxKit's own, or write it in a language that checks types and bounds: Go, Rust, OCaml.",
    nist=("3.5.1", "3.5.3"),
    profile=Profile.PEDANTIC,
    about=_is_daemon,
)
def daemon_not_type_safe(binary: Binary) -> Iterator[Verdict]:
    """A part of LinuxKit's core is written in a language that does not check types and bounds."""
    for file in binary.files:
        if file.path not in _DAEMONS:
            continue
        if not binary.made:
            yield undecided(file.path, file.place, "What made it is not told.")
        elif not f"{binary.made} ".startswith(_SAFE):
            yield fail(file.path, file.place, file.path, binary.made)


RULES = (daemon_not_type_safe,)
