"""Family F: what the modes of files allow."""

import re
from collections.abc import Iterator

from ..scanner.subjects import File
from .engine import Severity, Verdict, fail, not_applicable, rule

_CONTAINER = re.compile(r"containers/[^/]+/[^/]+/(?P<tree>rootfs|lower)/(?P<path>.+)", re.DOTALL)
MOUNTED = {"": ("dev", "proc", "run", "sys", "tmp", "var"), "container": ("dev", "proc", "sys")}
"""Where LinuxKit's init, and runc in a container, mount something over what the image has there (rc.init, doMounts)."""
_SCRIPTS = ("etc/init.d", "etc/shutdown.d", "etc/rc.d", "etc/profile.d")
"""Folders whose files are run, or read by a shell, as root."""


def _is_file(file: File) -> bool:
    return file.kind in {"file", "hardlink"}


def _has_mode(file: File) -> bool:
    return file.kind != "symlink"


@rule(
    "LKF001",
    "world-writable-file",
    Severity.MEDIUM,
    {
        "default": "'{0}' can be written by every user (mode '{1}').",
        "program": "'{0}' is a program or script that every user can change (mode '{1}').",
        "directory": "In '{0}' every user can replace the files of others (mode '{1}').",
    },
    remedy="Take the write permission from others (0644, 0755); a directory that all share needs a sticky bit (1777).",
    nist=("3.1.2",),
    about=_has_mode,
)
def world_writable_file(file: File) -> Iterator[Verdict]:
    """A file or directory can be written by every user.

    Symbolic links have no mode that counts; directories with the sticky bit are fine. The severity follows from
    what the file is (programs and scripts weigh more) and whether its tree is writable at run time: a container's
    `lower/` is, the root filesystem and a container's `rootfs/` are mounted read-only.
    """
    if not file.mode & 0o002:
        return
    if file.kind not in {"file", "hardlink", "dir"}:
        yield not_applicable(file.path, file.place, f"It is a {file.kind}: its mode guards no content of the image.")
    elif mount := _hidden_by(file):
        yield not_applicable(file.path, file.place, _hidden(mount))
    elif file.kind != "dir" or not file.mode & 0o1000:
        variant = "directory" if file.kind == "dir" else "program" if _is_run(file) else "default"
        evidence = [f"mode {_octal(file)}, owner {file.uid}:{file.gid}", _writability(file)]
        severity = _weight(file, heavy=variant == "program")
        yield fail(
            file.path, file.place, file.path, _octal(file), variant=variant, evidence=evidence, severity=severity
        )


def _weight(file: File, *, heavy: bool) -> Severity:
    writable = _tree(file)[0] == "lower"
    return (Severity.LOW, Severity.MEDIUM, Severity.HIGH)[writable + heavy]


def _is_run(file: File) -> bool:
    """Whether it is executed, or read by a shell that root runs."""
    return bool(file.mode & 0o111) or _tree(file)[1].rpartition("/")[0] in _SCRIPTS


def _writability(file: File) -> str:
    return {
        "lower": "its container has a writable root filesystem",
        "rootfs": "its container has a read-only root filesystem",
        "": "it lies in the root filesystem, read-only where LinuxKit's init runs",
    }[_tree(file)[0]]


@rule(
    "LKF002",
    "set-id-file",
    Severity.MEDIUM,
    {"default": "'{0}' runs as its owner, uid '{1}' (mode '{2}').", "group": "'{0}' runs as group '{1}' (mode '{2}')."},
    remedy="Remove the program or its set-id bit; where a service needs one privilege, give it that capability.",
    nist=("3.1.2", "3.4.3"),
    about=_is_file,
)
def set_id_file(file: File) -> Iterator[Verdict]:
    """A program runs with the rights of its owner or group, whoever starts it.

    Only bits that take effect count: set-user-ID on a file that can be executed, set-group-ID on one that its group
    can execute. Low where it isn't root that one becomes, or where others cannot execute it.
    """
    setuid = bool(file.mode & 0o4000 and file.mode & 0o111)
    setgid = bool(file.mode & 0o2000 and file.mode & 0o010)
    if not (setuid or setgid):
        return
    if mount := _hidden_by(file):
        yield not_applicable(file.path, file.place, _hidden(mount))
        return
    variant, identity = ("default", file.uid) if setuid else ("group", file.gid)
    severity = None if setuid and file.uid == 0 and file.mode & 0o001 else Severity.LOW
    evidence = [f"mode {_octal(file)}, owner {file.uid}:{file.gid}"]
    arguments = (file.path, str(identity), _octal(file))
    yield fail(file.path, file.place, *arguments, variant=variant, evidence=evidence, severity=severity)


def _tree(file: File) -> tuple[str, str]:
    """`lower` or `rootfs` of a container, or "" for the root filesystem; and the path inside it."""
    match = _CONTAINER.fullmatch(file.path)
    return (match["tree"], match["path"]) if match else ("", file.path)


def _hidden_by(file: File) -> str:
    """The mount that hides the file as soon as the system, or its container, runs; "" when none does."""
    tree, path = _tree(file)
    top = path.partition("/")[0]
    return top if top in MOUNTED["container" if tree else ""] else ""


def _hidden(mount: str) -> str:
    return f"Nobody sees it at run time: a mount on '/{mount}' hides it."


def _octal(file: File) -> str:
    return f"{file.mode:04o}"


RULES = (world_writable_file, set_id_file)
