"""Family F: whose files are, what their modes allow, and what of LinuxKit's they take the place of."""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from ..scanner.startup import Any, late
from ..scanner.subjects import Change, File, Place
from .engine import Confidence, Fix, Profile, Severity, Verdict, fail, not_applicable, rule
from .tables import load

_CONTAINER = late(r"containers/[^/]+/[^/]+/(?P<tree>rootfs|lower)/(?P<path>.+)", re.DOTALL)
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
    autofix="unsafe",
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
    elif mount := hidden_by(file):
        yield not_applicable(file.path, file.place, _hidden(mount))
    elif file.kind != "dir" or not file.mode & 0o1000:
        variant = "directory" if file.kind == "dir" else "program" if _is_run(file) else "default"
        evidence = [f"mode {_octal(file)}, owner {file.uid}:{file.gid}", _writability(file), *_folders(file)]
        severity = _weight(file, heavy=variant == "program")
        arguments = (file.path, _octal(file))
        fix = _without(file, 0o002)
        at = _part(file, "mode")
        yield fail(file.path, at, *arguments, variant=variant, evidence=evidence, severity=severity, fix=fix)


def _folders(file: File) -> tuple[str, ...]:
    """Evidence for folders of the root filesystem that LinuxKit writes with the mode of a file."""
    folders = [f"'/{folder}'" for folder in file.folders if folder.split("/")[0] not in MOUNTED[""]]
    return (f"the folders above it get its mode, too: {', '.join(folders)}",) if folders else ()


def _without(file: File, bits: int) -> Fix | None:
    """Take permissions from a file of a spec, and from the folders that get its mode; who uses them would miss them."""
    place = file.parts.get("mode") if file.parts else None
    if place is None:
        return None
    mode = f"{file.mode & ~bits:04o}"
    change = Change("replace", place, f"'{mode}'")
    effects = tuple(f"{path} mode" for path in (file.path, *file.folders))
    return Fix(f"set the mode to {mode}", (change,), safe=False, effects=effects)


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
    if mount := hidden_by(file):
        yield not_applicable(file.path, file.place, _hidden(mount))
        return
    variant, identity = ("default", file.uid) if setuid else ("group", file.gid)
    severity = None if setuid and file.uid == 0 and file.mode & 0o001 else Severity.LOW
    evidence = [f"mode {_octal(file)}, owner {file.uid}:{file.gid}"]
    arguments = (file.path, str(identity), _octal(file))
    yield fail(file.path, _part(file, "mode"), *arguments, variant=variant, evidence=evidence, severity=severity)


_SECRET_HINTS = ("key", "shadow", "id_", "private", "wireguard", ".docker", "netrc", "pgpass", "-secrets")
"""Every path of secret_paths.toml holds one of these: most files of an image do not, and are asked no more."""
_KEY_HEAD = 4096


def _may_be_secret(file: File) -> bool:
    return _is_file(file) and any(hint in file.path for hint in _SECRET_HINTS)


@rule(
    "LKF003",
    "readable-secret-file",
    Severity.MEDIUM,
    "'{0}' can be read by every user (mode '{2}') and holds '{1}'.",
    remedy="Let only its owner read it: mode 0600, which is LinuxKit's default for an entry of 'files:'.",
    nist=("3.1.4", "3.5.4"),
    about=_may_be_secret,
    autofix="unsafe",
)
def readable_secret_file(file: File) -> Iterator[Verdict]:
    """A file that holds passwords or private keys can be read by every user.

    Told by its path; for a private key by its content too, where that is known. Low in a container's own tree.
    """
    tree, path = _tree(file)
    row = next((row for shape, row in _secret_paths() if shape.fullmatch(path)), None)
    if row is None or path.endswith(".pub"):
        yield not_applicable(file.path, file.place, "Its path is not one of those that are known to hold secrets.")
    elif mount := hidden_by(file):
        yield not_applicable(file.path, file.place, _hidden(mount))
    elif file.mode & 0o004:
        holds = file.read is not None and b"PRIVATE KEY" in file.read(_KEY_HEAD)
        if holds or not row.get("key") or file.read is None:
            unread = file.read is None and row.get("key")
            yield fail(
                file.path,
                _part(file, "mode"),
                *(file.path, row["what"], _octal(file)),
                evidence=["told by its path; its content was not read"] if file.read is None else [],
                severity=Severity.LOW if tree else None,
                confidence=Confidence.MEDIUM if unread else None,
                profile=Profile.PEDANTIC if holds else None,
                fix=_without(file, 0o004),
            )


@cache
def _secret_paths() -> tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...]:
    return tuple((re.compile(row["pattern"]), row) for row in load("secret_paths")["path"])


def _is_kept(file: File) -> bool:
    return file.kind in {"file", "hardlink", "dir"}


@rule(
    "LKF004",
    "group-writable-file",
    Severity.LOW,
    "'{0}' can be written by group '{1}' (mode '{2}').",
    remedy="Take the write permission from the group (0644, 0755), unless a group shares the file on purpose.",
    nist=("3.1.2",),
    profile=Profile.PEDANTIC,
    about=_is_kept,
    autofix="unsafe",
)
def group_writable_file(file: File) -> Iterator[Verdict]:
    """A program, a script, a configuration or an entry of a spec's `files` can be written by its group.

    Group 0 is no exception: a container with a `uid` and no `gid` runs with it.
    """
    if not file.mode & 0o020 or file.mode & 0o002 or (file.kind == "dir" and file.mode & 0o1000):
        return
    if file.parts is None and not (file.kind != "dir" and (_is_run(file) or _tree(file)[1].startswith("etc/"))):
        return
    if mount := hidden_by(file):
        yield not_applicable(file.path, file.place, _hidden(mount))
    else:
        fix = _without(file, 0o020)
        yield fail(file.path, _part(file, "mode"), file.path, str(file.gid), _octal(file), fix=fix)


_PROGRAMS = late(
    r"(?:(?:usr/|usr/local/)?(?:s?bin|lib(?:32|64|exec)?)|etc/(?:init|shutdown|rc|profile|cron)\.d)/.+|s?bin|init|etc/inittab",
    re.DOTALL,
)
"""What root runs, and the programs and libraries that this draws on."""
_SETTINGS = late(
    r"etc/(?:passwd|group|g?shadow|sudoers(?:\.d/.+)?|ssh/sshd_config(?:\.d/.+)?|ld\.so\.(?:conf|preload)"
    r"|containerd/.+|docker/.+|crontabs/.+|inittab|fstab)"
)
"""What decides who root is, and what root's programs do."""


def _is_of_another(file: File) -> bool:
    return file.uid != 0 and _is_kept(file)


@rule(
    "LKF005",
    "program-of-another-user",
    Severity.MEDIUM,
    "'{0}', which root runs or relies on, belongs to uid '{1}': that user can change it.",
    remedy="Give it to root: uid 0, which is LinuxKit's default for an entry of 'files:'.",
    nist=("3.1.2", "3.5.5"),
    about=_is_of_another,
)
def program_of_another_user(file: File) -> Iterator[Verdict]:
    """What root runs or relies on belongs to a user other than root, who can give it any mode and content.

    Programs, libraries, start scripts, and the settings that say who may log in and what is started.

    In a container's own tree the severity is low, in the pedantic profile: its programs may all run as that user.
    """
    tree, path = _tree(file)
    is_run = _PROGRAMS.fullmatch(path) and (file.kind == "dir" or _is_run(file) or _is_library(path))
    if not is_run and not _SETTINGS.fullmatch(path):
        yield not_applicable(file.path, file.place, "It is no program that root runs.")
        return
    evidence = [f"mode {_octal(file)}, owner {file.uid}:{file.gid}"]
    yield fail(
        file.path,
        _part(file, "uid"),
        *(file.path, str(file.uid)),
        evidence=evidence,
        severity=Severity.LOW if tree else None,
        profile=Profile.PEDANTIC if tree else None,
    )


def _is_library(path: str) -> bool:
    return ".so" in path.rpartition("/")[2]


def _is_from_files(file: File) -> bool:
    return file.source == "linuxkit.files" and file.kind in {"file", "hardlink", "symlink"}


@rule(
    "LKF006",
    "linuxkit-file-replaced",
    Severity.NOTE,
    {
        "default": "'{0}' takes the place of a file of LinuxKit's own.",
        "script": "'{0}' is run by init, as root and outside of any container.",
    },
    remedy="Check that it does what LinuxKit's own does; let a container of 'onboot' do what needs no more than that.",
    nist=("3.5.1", "3.5.5"),
    profile=Profile.AUDITOR,
    about=_is_from_files,
)
def linuxkit_file_replaced(file: File) -> Iterator[Verdict]:
    """An entry of `files` takes the place of a file of LinuxKit's own, or is a script that init runs."""
    path = file.path.strip("/")
    role = load("linuxkit_files").get(path)
    if role:
        yield fail(file.path, file.place, file.path, evidence=[f"LinuxKit's own: {role}"])
    elif path.startswith(("etc/init.d/", "etc/shutdown.d/")) and path.count("/") == 2:  # noqa: PLR2004 - right there
        yield fail(file.path, file.place, file.path, variant="script")


def _has_metadata(file: File) -> bool:
    return file.parts is not None and "metadata" in file.parts


@rule(
    "LKF007",
    "spec-in-image",
    Severity.NOTE,
    "'{0}' brings the whole spec into the image, with all that stands in it.",
    remedy="Leave it out of images that others get, or keep all that is not for them out of the spec.",
    nist=("3.1.4",),
    profile=Profile.AUDITOR,
    about=_has_metadata,
)
def spec_in_image(file: File) -> Iterator[Verdict]:
    """An entry of `files` with `metadata` writes the spec into the image."""
    evidence = [f"mode {_octal(file)}"]
    yield fail(file.path, _part(file, "metadata"), file.path, evidence=evidence)


def _part(file: File, key: str) -> Place:
    """Where a spec sets a key of the file; the file's place where it does not, or in an image."""
    return (file.parts or {}).get(key, file.place)


def _tree(file: File) -> tuple[str, str]:
    """`lower` or `rootfs` of a container, or "" for the root filesystem; and the path inside it."""
    match = _CONTAINER.fullmatch(file.path)
    return (match["tree"], match["path"]) if match else ("", file.path)


def hidden_by(file: File) -> str:
    """The mount that hides the file as soon as the system, or its container, runs; "" when none does."""
    tree, path = _tree(file)
    top = path.partition("/")[0]
    return top if top in MOUNTED["container" if tree else ""] else ""


def _hidden(mount: str) -> str:
    return f"Nobody sees it at run time: a mount on '/{mount}' hides it."


def _octal(file: File) -> str:
    return f"{file.mode:04o}"


RULES = (
    world_writable_file,
    set_id_file,
    readable_secret_file,
    group_writable_file,
    program_of_another_user,
    linuxkit_file_replaced,
    spec_in_image,
)
