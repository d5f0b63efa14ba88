"""Family Y: settings of the kernel, in files and commands: what they give away, and which have no effect."""

import re
from collections.abc import Iterator, Mapping

from ..scanner.startup import Any, late
from ..scanner.subjects import Container, File, Mount, Sysctl, System
from .engine import Confidence, Profile, Severity, Verdict, fail, not_applicable, rule, undecided
from .escape import bind_key, host_path
from .origins import fail_at, note, open_question, unread
from .tables import load

_INTERFACE = late(r"(net\.ipv[46]\.conf)\.(?:[^.]+)\.([a-z_]+)")
_CONTAINER = late(r"containers/[^/]+/(?P<name>[^/]+)/(?:rootfs|lower)/(?P<path>.+)", re.DOTALL)
_FOLDER = "/etc/sysctl.d"
_LIMIT = 1 << 20


def _row(name: str, value: str) -> Mapping[str, Any] | None:
    """The row of the table that a setting falls under."""
    row: Mapping[str, Any] | None = load("sysctls")["setting"].get(_INTERFACE.sub(r"\1.*.\2", name))
    return row if row and re.fullmatch(row["values"], value) else None


def is_applied(path: str) -> bool:
    """Whether the file is in the root filesystem or in the tree of a container that applies settings."""
    inside = _CONTAINER.fullmatch(path)
    return inside is None or "sysctl" in inside["name"]


def _sets(sysctl: Sysctl) -> bool:
    return is_applied(sysctl.path)


@rule(
    "LKY002",
    "weak-kernel-setting",
    Severity.LOW,
    "'{0}' sets '{1}' to '{2}'.",
    remedy="Take the line out, or set a stricter value.",
    nist=("3.5.2",),
    about=_sets,
)
def weak_kernel_setting(sysctl: Sysctl) -> Iterator[Verdict]:
    """A file of kernel settings gives a defence of the kernel away.

    Of several lines for one setting the last counts. Files in the trees of containers that apply none are left out.
    """
    if sysctl.settings is None:
        yield unread(sysctl)
        return
    last = {name: (value, line) for name, value, line in sysctl.settings}
    for name, (value, line) in last.items():
        if row := _row(name, value):
            evidence = [f"line {line} of the file", row["reason"]]
            yield _weak(row, sysctl.path, sysctl.place, sysctl.path, name, value, evidence=evidence)


def _weak(row: Mapping[str, Any], subject: str, at: Any, *arguments: str, **more: Any) -> Verdict:  # noqa: ANN401 - as fail takes them
    """The failure for a setting, `arguments` being whose it is, its name and its value."""
    return fail(
        subject,
        at,
        *arguments,
        key=arguments[1],
        severity=Severity[row["severity"].upper()],
        profile=Profile[row["profile"].upper()] if "profile" in row else None,
        **more,
    )


_ASSIGNMENT = late(r"(?<![\w./-])(?P<name>[a-z]\w*(?:[./][\w*-]+)+)[ \t]?=[ \t]?[\"']?(?P<value>[^\s\"';&|]+)")
_COMMAND = late(r"\bsysctl\b(?P<words>[^;&|\n]*)")
_WRITE = late(
    r"\b(?:echo|printf)[ \t]+(?:-[a-z]+[ \t]+)?[\"']?(?P<value>[^\s\"';&<>]+)[\"']?[ \t]*>"
    r"[ \t]*[\"']?/proc/sys/(?P<name>[\w./*-]+)"
)


def _has_command(container: Container) -> bool:
    return bool(container.command)


@rule(
    "LKY003",
    "weak-kernel-setting-by-command",
    Severity.LOW,
    "The command of container '{0}' sets '{1}' to '{2}'.",
    remedy="Take it out of the command, or set a stricter value.",
    nist=("3.5.2",),
    confidence=Confidence.MEDIUM,
    about=_has_command,
)
def weak_kernel_setting_by_command(container: Container) -> Iterator[Verdict]:
    """A container's command gives a defence of the kernel away, with sysctl or by writing below /proc/sys.

    Settings of the network are left out where the container has a network namespace of its own.
    """
    own_network = container.namespace("network") != "host"
    origin = container.origin("command")
    for name, value in dict(_written(" ".join(container.command))).items():
        row = _row(name, value)
        if row and not (own_network and name.startswith("net.")):
            told = {"note": note(container, origin), "evidence": [row["reason"]]}
            yield _weak(row, container.title, origin.place, container.name, name, value, **told)


def _written(text: str) -> Iterator[tuple[str, str]]:
    """Name and value of each setting that a command line, or a script in it, writes."""
    if "sysctl" not in text and "/proc/sys/" not in text:
        return
    for command in _COMMAND.finditer(text):
        for found in _ASSIGNMENT.finditer(command["words"]):
            yield found["name"].replace("/", "."), found["value"]
    for found in _WRITE.finditer(text):
        yield found["name"].replace("/", "."), found["value"]


_FILES = late(r"etc/sysctl\.d/[^/]+")
_UNREAD = late(r"etc/sysctl\.conf|(?:run|lib|usr/lib|usr/local/lib)/sysctl\.d/[^/]+\.conf")


def _is_settings(file: File) -> bool:
    """Whether LinuxKit's sysctl reads it, or a spec's writer thinks that it does."""
    if file.kind not in {"file", "hardlink"} or "sysctl" not in file.path:
        return False
    inside = _CONTAINER.fullmatch(file.path)
    if _FILES.fullmatch(inside["path"] if inside else file.path):
        return is_applied(file.path)
    return file.source == "linuxkit.files" and _UNREAD.fullmatch(file.path) is not None


@rule(
    "LKY004",
    "ineffective-kernel-setting",
    Severity.LOW,
    {
        "default": "Line '{1}' of '{0}' sets nothing: '{2}'.",
        "alone": "'{1}' in '{0}' has no effect without '{2}'.",
        "folder": "Nobody reads '{0}': LinuxKit's sysctl knows '/etc/sysctl.d' only.",
    },
    remedy="Write NAME=VALUE, one a line, into a file below etc/sysctl.d; set pairs that belong together.",
    nist=("3.1.2", "3.5.2"),
    confidence=Confidence.MEDIUM,
    about=_is_settings,
)
def ineffective_kernel_setting(file: File) -> Iterator[Verdict]:
    """A kernel setting has no effect: LinuxKit's sysctl cannot read the line or the file, or the kernel ignores it.

    LinuxKit's program knows less than others: no `-` in front of a name, no `*` in it, one `=` in a line.
    """
    if _UNREAD.fullmatch(file.path):
        yield fail(file.path, file.place, file.path, variant="folder")
        return
    if file.read is None:
        yield unread(file)
        return
    text = file.read(_LIMIT).decode("utf-8", "replace")
    settings: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if line and line[0] not in "#;":
            name, _, value = (part.strip() for part in line.partition("="))
            settings[name.replace("/", ".")] = value
            if flaw := _flaw(line, name):
                yield fail(file.path, file.place, file.path, str(number), flaw, key=f"{name} {flaw}")
    yield from _alone(file, settings)


def _flaw(line: str, name: str) -> str:
    """Why LinuxKit's sysctl sets nothing by a line, or ""."""
    if line.count("=") != 1:
        return "it has more than one equals sign" if "=" in line else "it has no equals sign"
    if name.startswith("-"):
        return "to LinuxKit a dash in front is a part of the name"
    if "*" in name:
        return "to LinuxKit an asterisk is a part of the name"
    if "/" in name and "." in name:
        return "LinuxKit parts a name at dots and slashes alike"
    return ""


def _alone(file: File, settings: Mapping[str, str]) -> Iterator[Verdict]:
    """Settings that the kernel joins with another one, which still has the value that it starts with."""
    for row in load("sysctls")["alone"]:
        if settings.get(row["name"]) == row["value"] and settings.get(row["needs"]) != row["value"]:
            needs = f"{row['needs']}={row['value']}"
            told = f"{row['name']}={row['value']}"
            variant = {"variant": "alone", "key": row["name"], "profile": Profile.PEDANTIC}
            yield fail(file.path, file.place, file.path, told, needs, **variant)


# --- who reads the files


def _is_spec(system: System) -> bool:
    return system.kind == "spec" and any(_FILES.fullmatch(one.path) for one in system.sysctls)


@rule(
    "LKY005",
    "unread-kernel-settings",
    Severity.MEDIUM,
    "Nobody reads '{0}': no container that applies kernel settings has it in its '/etc/sysctl.d'.",
    remedy="Bind the file into the sysctl container: '/etc/sysctl.d/NAME:/etc/sysctl.d/NAME:ro'.",
    nist=("3.1.2", "3.5.2"),
    confidence=Confidence.MEDIUM,
    about=_is_spec,
)
def unread_kernel_settings(system: System) -> Iterator[Verdict]:
    """An entry of `files` in etc/sysctl.d is seen by no container that applies it: LinuxKit's sysctl binds nothing."""
    appliers = [one for one in system.containers if applies_settings(one)]
    doubt = next(filter(None, (open_question(one, "binds") for one in appliers)), "")
    read = {host_path(mount.source) for one in system.containers for mount in one.mounts if _brings(one, mount)}
    for sysctl in system.sysctls:
        if not _FILES.fullmatch(sysctl.path) or not read.isdisjoint({f"/{sysctl.path}", _FOLDER, "/etc", "/"}):
            continue
        if doubt:
            yield undecided(system.kind, sysctl.place, doubt, key=sysctl.path)
        else:
            yield fail(system.kind, sysctl.place, sysctl.path, key=sysctl.path)


def _brings(container: Container, mount: Mount) -> bool:
    """Whether a bind brings files to where settings are read: the same path, /etc/sysctl.d, or one who applies them."""
    destination = host_path(mount.destination)
    same = destination == host_path(mount.source) or f"{destination}/".startswith(f"{_FOLDER}/")
    return mount.is_bind and (same or applies_settings(container))


def applies_settings(container: Container) -> bool:
    """Whether it is LinuxKit's sysctl, a build of it or a program so called, by its name, its image or its command."""
    image = container.image.name if container.image else ""
    return any("sysctl" in word for word in (container.name, image, *container.command))


def _is_package(container: Container) -> bool:
    """Whether it is LinuxKit's sysctl or a build of it, which brings settings of its own."""
    return container.image is not None and container.image.name.rpartition("/")[2] == "sysctl"


@rule(
    "LKY006",
    "sysctl-package-covered",
    Severity.LOW,
    "What container '{0}' brings in '/etc/sysctl.d', LinuxKit's hardening among it, is covered by the mount on '{1}'.",
    remedy="Bind single files: '/etc/sysctl.d/NAME:/etc/sysctl.d/NAME:ro'; or repeat LinuxKit's settings in your own.",
    nist=("3.1.2", "3.5.2"),
    about=_is_package,
)
def sysctl_package_covered(container: Container) -> Iterator[Verdict]:
    """A mount covers the settings that LinuxKit's sysctl package brings, so that they are not applied."""
    if container.command:
        yield not_applicable(container.title, container.place, "Its command is not the image's own.")
        return
    for mount in container.mounts:
        if host_path(mount.destination) in {"/etc", _FOLDER}:
            yield fail_at(
                container,
                (bind_key(container, mount),),
                mount.destination,
                key=mount.destination,
                evidence=("They still count if what is mounted there has them as well.",),
            )


RULES = (
    weak_kernel_setting,
    weak_kernel_setting_by_command,
    ineffective_kernel_setting,
    unread_kernel_settings,
    sysctl_package_covered,
)
