"""Family Y: settings of the kernel, in files and commands: what they give away, and which have no effect."""

import re
from collections.abc import Iterable, Iterator, Mapping

from ..scanner.startup import Any, NamedTuple, late
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


def _sets(system: System) -> bool:
    return any(is_applied(one.path) for one in system.sysctls)


@rule(
    "LKY002",
    "weak-kernel-setting",
    Severity.LOW,
    "'{0}' sets '{1}' to '{2}'.",
    remedy="Take the line out, or set a stricter value.",
    nist=("3.5.2",),
    about=_sets,
)
def weak_kernel_setting(system: System) -> Iterator[Verdict]:
    """A file of kernel settings gives a defence of the kernel away.

    Of several lines for one setting the last counts, and of several files that are applied, the last one. Files in the
    trees of containers that apply none are left out.
    """
    final, in_force = effective(system), applied(system)
    for sysctl in (one for one in system.sysctls if is_applied(one.path)):
        if sysctl.settings is None:
            yield unread(sysctl)
            continue
        last = {name: (value, line) for name, value, line in sysctl.settings}
        for name, (value, line) in last.items():
            row = _row(name, value)
            later = final.get(name)
            if row and (later is None or later.value == value or sysctl not in in_force):
                evidence = [f"line {line} of the file", row["reason"]]
                yield _weak(row, sysctl.path, sysctl.place, sysctl.path, name, value, evidence=evidence)


class Setting(NamedTuple):
    """A setting in force: its value, and the file and line that give it."""

    value: str
    sysctl: Sysctl
    line: int


def effective(system: System) -> dict[str, Setting]:
    """What the files that are applied set in the end, by name."""
    return {
        name: Setting(value, sysctl, line) for sysctl in applied(system) for name, value, line in sysctl.settings or ()
    }


def applied(system: System) -> list[Sysctl]:
    """The files of settings that somebody applies, in the order in which that happens.

    In LinuxKit containers do it, each the files that it sees in /etc/sysctl.d, by name; without containers it is the
    system itself, or whoever gave them beside a kernel.
    """
    if not system.containers:
        return [one for one in system.sysctls if is_applied(one.path)]
    found: list[Sysctl] = []
    for container in filter(applies_settings, system.containers):
        found += [one for _, one in sorted(_seen(container, system.sysctls).items())]
    return found


def _seen(container: Container, sysctls: Iterable[Sysctl]) -> dict[str, Sysctl]:
    """The files that a container sees in /etc/sysctl.d, by name: those of its tree, over them what is mounted there."""
    own = f"{container.place.home[-1]}/"
    is_covered, folders, files = False, set(), {}
    for mount in container.mounts:
        source, destination = host_path(mount.source), host_path(mount.destination)
        folder, _, name = destination.rpartition("/")
        if destination in {"/etc", _FOLDER}:
            is_covered = True
            folders |= {f"{source.rstrip('/')}{_FOLDER[len(destination) :]}"} if mount.is_bind else set()
        elif folder == _FOLDER and mount.is_bind:
            files[source] = name
    seen = {}
    for sysctl in sysctls:
        folder, _, name = f"/{sysctl.path}".rpartition("/")
        is_own = sysctl.path.startswith(own) and folder.endswith(_FOLDER) and not is_covered
        if is_own or folder in folders:
            seen[name] = sysctl
        if bound := files.get(f"/{sysctl.path}"):
            seen[bound] = sysctl
    return seen


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
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if line and line[0] not in "#;":
            name = line.partition("=")[0].strip()
            if flaw := _flaw(line, name):
                yield fail(file.path, file.place, file.path, str(number), flaw, key=f"{name} {flaw}")


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


# --- what the kernel makes of them


def _applies(system: System) -> bool:
    return bool(applied(system))


_JOINED = late(r"net\.ipv4\.conf\.(?P<whose>all|default)\.(?P<key>\w+)")
_OTHER = {"all": "default", "default": "all"}


@rule(
    "LKY007",
    "half-a-kernel-setting",
    Severity.LOW,
    "'{1}' in '{0}' has no effect without '{2}'.",
    remedy="Set both: the one for all interfaces, and the one that interfaces start with.",
    nist=("3.1.2", "3.5.2"),
    profile=Profile.PEDANTIC,
    about=_applies,
)
def half_a_kernel_setting(system: System) -> Iterator[Verdict]:
    """A setting is one half of two that the kernel joins, and the other half is still on.

    All files that are applied count, in their order; of LinuxKit's own sysctl, in a spec, what it is known to set. A
    machine that forwards packets joins redirects another way, and is left out.
    """
    found, table = effective(system), load("sysctls")
    given = {**(table["linuxkit"] if _has_package(system) else {}), **{name: one.value for name, one in found.items()}}
    if given.get("net.ipv4.ip_forward") == "1" or given.get("net.ipv4.conf.all.forwarding") == "1":
        return
    for name, one in found.items():
        match = _JOINED.fullmatch(name)
        row = table["joined"].get(match["key"]) if match else None
        if match is None or row is None or one.value != "0":
            continue
        other = f"net.ipv4.conf.{_OTHER[match['whose']]}.{match['key']}"
        single = [key for key in given if key.startswith("net.ipv4.conf.") and key.endswith(f".{match['key']}")]
        if given.get(other, str(row["start"])) != "0" and not set(single) - {name, other}:
            evidence = [
                f"line {one.line} of the file",
                f"the other half is {given.get(other, row['start'])}",
                row["why"],
            ]
            told = f"{name}={one.value}", f"{other}=0"
            yield fail(one.sysctl.path, one.sysctl.place, one.sysctl.path, *told, key=name, evidence=evidence)


def _has_package(system: System) -> bool:
    """Whether LinuxKit's sysctl is there, its settings not covered, and its files not seen."""
    return system.kind != "image" and any(
        _is_package(one) and not any(host_path(mount.destination) in {"/etc", _FOLDER} for mount in one.mounts)
        for one in system.containers
    )


def _is_known(system: System) -> bool:
    return system.kind == "image" and _applies(system)


@rule(
    "LKY008",
    "missing-kernel-settings",
    Severity.LOW,
    "Nothing sets '{0}'.",
    remedy="Set them in a file below etc/sysctl.d that the sysctl container reads.",
    nist=("3.5.2",),
    profile=Profile.PEDANTIC,
    about=_is_known,
)
def missing_kernel_settings(system: System) -> Iterator[Verdict]:
    """Settings that harden the kernel are left at what it starts with, though others are set.

    Where nothing at all is set, no-sysctl-container tells. Halves are told of by half-a-kernel-setting.
    """
    given = {name: one.value for name, one in effective(system).items()}
    configs = [kernel.config for kernel in system.kernels if kernel.config is not None]
    missing = {
        name: row
        for name, row in load("sysctls")["wanted"].items()
        if all(_matters(row, config) for config in configs) and not _is_set(name, row, given)
    }
    if missing:
        evidence = [f"{name} ({', '.join(row['sources'])}): {row['why']}" for name, row in missing.items()]
        yield fail(system.kind, applied(system)[-1].place, " ".join(missing), evidence=evidence, members=missing)


def _matters(row: Mapping[str, Any], config: Mapping[str, str]) -> bool:
    """Whether the kernel has what the setting is about, and is not built to do it anyway."""
    needs = row.get("needs", ())
    return (not needs or any(config.get(one) == "y" for one in needs)) and not any(
        config.get(one) == "y" for one in row.get("unless", ())
    )


def _is_set(name: str, row: Mapping[str, Any], given: Mapping[str, str]) -> bool:
    """Whether a setting has a value that is wanted in the end; one of interfaces joined as the kernel does it."""
    start = row["start"]
    if "join" not in row:
        return re.fullmatch(row["values"], given.get(name, start)) is not None
    halves = [
        given.get(name.replace("*", "all"), row.get("all", start)),
        given.get(name.replace("*", "default"), start),
    ]
    if row["join"] == "or" and "0" in halves and halves != ["0", "0"]:
        return any(name.replace("*", whose) in given for whose in _OTHER)  # told of as a half
    numbers = [int(one) if one.isdecimal() else 0 for one in halves]
    joined = {"or": max, "and": min, "max": max}[row["join"]](numbers)
    return re.fullmatch(row["values"], str(joined)) is not None


def _has_sysctl(container: Container) -> bool:
    return bool((container.oci.get("linux") or {}).get("sysctl"))


@rule(
    "LKY009",
    "weak-setting-of-container",
    Severity.LOW,
    "Container '{0}' sets '{1}' to '{2}' for itself.",
    remedy="Take it out of the container's 'sysctl', or set a stricter value.",
    nist=("3.4.3", "3.5.2"),
    about=_has_sysctl,
)
def weak_setting_of_container(container: Container) -> Iterator[Verdict]:
    """A container's `sysctl:` gives a defence of its own network or ipc namespace away."""
    origin = container.origin("sysctl")
    for name, value in sorted(container.oci["linux"]["sysctl"].items()):
        if row := _row(name.replace("/", "."), value):
            told = {"note": note(container, origin), "evidence": [row["reason"]]}
            yield _weak(row, container.title, origin.place, container.name, name, value, **told)


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
    half_a_kernel_setting,
    missing_kernel_settings,
    weak_setting_of_container,
)
