"""What shows only when parts of a spec are held against one another, or all of its containers are looked at."""

import posixpath
import re
from collections.abc import Iterable, Iterator

from ..scanner.subjects import Change, Container, File, System
from .aggregate import aggregated, has_containers, has_services, is_whole, services
from .engine import Confidence, Fix, Location, Profile, Severity, Verdict, fail, not_applicable, rule, undecided
from .escape import effective, host_path, shares
from .files import MOUNTED
from .namespaces import KEYS
from .origins import absent, fail_at, is_set, open_question, where
from .sysctls import applies_settings

_IPC = frozenset(
    {
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    }
)
"""The kernel's own settings that belong to an ipc namespace, as runc's validator lists them."""


# --- namespaces joined by path


@rule(
    "LKN002",
    "namespace-path-nobody-makes",
    Severity.MEDIUM,
    "Container '{0}' joins '{1}' as its '{2}' namespace, but no other container makes it.",
    remedy="Correct the path, or give the container that is to make it this path in 'runtime.bindNS'.",
    nist=("3.4.3",),
    about=is_whole,
)
def namespace_path_nobody_makes(system: System) -> Iterator[Verdict]:
    """A container joins a namespace by a path that no other container's `runtime.bindNS` makes."""
    joins = list(_joins(system.containers))
    for container, kind, path in joins:
        others = [one for one in system.containers if one is not container]
        if host_path(path) not in _made(others, kind):
            yield _unmade(container, kind, path, others)
    if not joins:
        reason = "No container joins a namespace by path, as far as the labels are known."
        yield not_applicable(system.kind, system.place, reason)


def _joins(containers: Iterable[Container]) -> Iterator[tuple[Container, str, str]]:
    """Every namespace that is joined by a path: the container, its kind, the path. Those of /proc always exist."""
    for container in containers:
        for kind in KEYS:
            path = container.namespace(kind)
            if path not in {"host", "new"} and not host_path(path).startswith("/proc/"):
                yield container, kind, path


def _bound(container: Container, kind: str) -> str:
    """The path at which it leaves its namespace of a kind for others to join, or ""."""
    bound = container.runtime.get("bindNS") or {}
    return host_path(bound.get("user" if kind == "user" else KEYS[kind], ""))


def _made(containers: Iterable[Container], kind: str) -> list[str]:
    return sorted({path for one in containers if (path := _bound(one, kind))})


def _unmade(container: Container, kind: str, path: str, others: list[Container]) -> Verdict:
    keys = ((KEYS[kind], None),)
    if doubt := _other_maker(others, kind, path) or open_question(container):
        return undecided(container.title, where(container, keys)[0].place, doubt, key=kind)
    listed = ", ".join(f"'{one}'" for one in _made(others, kind))
    evidence = (f"Paths of that kind that others make: {listed or 'none'}.",)
    return fail_at(container, keys, path, kind, key=kind, evidence=evidence)


def _other_maker(others: list[Container], kind: str, path: str) -> str:
    """Who else may make it, in a sentence: a container not fully known, or one that can mount there; or ""."""
    for one in others:
        if not _bound(one, kind) and (question := open_question(one, "runtime.bindNS")):
            return f"'{path}' may be made by '{one.name}'. {question}"
        folders = [host_path(mount.source).rstrip("/") for mount in one.mounts if mount.is_bind]
        if "CAP_SYS_ADMIN" in effective(one) and any(host_path(path).startswith(f"{folder}/") for folder in folders):
            return f"Container '{one.name}' can mount at '{path}': whether its program does is not known."
    return ""


# --- files below a mount of init


def _is_from_files(file: File) -> bool:
    """Whether a spec's `files:` put it there: only then is LinuxKit's init known to run."""
    return file.source == "linuxkit.files" and (file.parts is not None or file.kind == "file")


@rule(
    "LKM003",
    "file-hidden-at-boot",
    Severity.LOW,
    "Nobody will see '{0}': init mounts a filesystem on '{1}' before anything runs.",
    remedy="Put it below /etc, /usr or /opt and bind it where it is needed; let 'runtime.mkdir' make folders.",
    nist=("3.1.2",),
    confidence=Confidence.MEDIUM,
    about=_is_from_files,
)
def file_hidden_at_boot(file: File) -> Iterator[Verdict]:
    """An entry of `files:` lies where LinuxKit's init mounts a filesystem over it."""
    path = posixpath.normpath(f"/{file.path.lstrip('/')}")
    top, _, rest = path[1:].partition("/")
    if top in MOUNTED[""] and rest:
        profile = Profile.PEDANTIC if file.parts is None else None
        yield fail(file.path, file.place, path, f"/{top}", profile=profile)


# --- additions that LinuxKit ignores


def _is_of_spec(container: Container) -> bool:
    return container.section != "package" and container.label.kind != "built"


@rule(
    "LKP004",
    "ignored-addition",
    Severity.LOW,
    "Container '{0}' sets both '{1}' and '{2}': LinuxKit ignores the second.",
    remedy="Move what it adds to the plain key, or drop the plain key where the label's value was meant to stay.",
    nist=("3.4.3",),
    about=_is_of_spec,
    autofix="safe",
)
def ignored_addition(container: Container) -> Iterator[Verdict]:
    """A container adds to a label's capabilities or binds, and replaces them at the same time."""
    for key in ("capabilities", "binds"):
        if origin := container.origins.get(f"{key}.add"):
            plain = container.origin(key)
            related = (Location(plain.place, "takes the place of the label's and of all additions"),)
            yield fail(
                container.title,
                origin.place,
                container.name,
                key,
                f"{key}.add",
                note="ignored",
                related=related,
                key=key,
                fix=Fix(f"remove '{key}.add'", (Change("remove", origin.place),)),
            )


# --- kernel settings of a container


@rule(
    "LKY001",
    "sysctl-of-the-host",
    Severity.MEDIUM,
    {
        "default": "Container '{0}' sets '{1}' in the '{2}' namespace of the host: runc refuses to start it.",
        "none": "Container '{0}' sets '{1}', which belongs to no namespace: runc refuses to start it.",
        "hostname": "Container '{0}' sets '{1}', which only the key 'hostname' may: runc refuses to start it.",
    },
    remedy="Give the container a namespace of its own ('net: new', 'ipc: new', 'uts: new') for a setting that belongs "
    "to one. Set all others for the whole machine: have linuxkit/sysctl read a file from /etc/sysctl.d.",
    nist=("3.4.3",),
)
def sysctl_of_the_host(container: Container) -> Iterator[Verdict]:
    """A container's `sysctl:` names a setting of the host, which runc refuses to change for one container."""
    settings = (container.oci.get("linux") or {}).get("sysctl") or {}
    for name in sorted(settings):
        kind = _namespace_of(_dotted(name))
        if not kind or kind == "hostname":
            yield _refused(container, name, variant=kind or "none")
        elif _is_refused(container, kind):
            yield _refused(container, name, kind)
    if not settings:
        yield absent(container, "It has no 'sysctl'.", "sysctl")


def _dotted(name: str) -> str:
    """The name with dots between its parts, as runc reads it: `net/ipv4/conf/eth0.1/x` has slashes instead."""
    first = re.search(r"[./]", name)
    return name.translate(str.maketrans("./", "/.")) if first and first[0] == "/" else name


def _namespace_of(name: str) -> str:
    """The kind of namespace that a setting belongs to, `hostname` for the one with a key of its own, or ""."""
    if name in _IPC or name.startswith("fs.mqueue."):
        return "ipc"
    if name.startswith("net."):
        return "network"
    return {"kernel.domainname": "uts", "kernel.hostname": "hostname"}.get(name, "")


def _is_refused(container: Container, kind: str) -> bool:
    """Whether runc takes the namespace for the host's; a path to the host's it sees through for the network only."""
    return container.namespace(kind) == "host" or (kind == "network" and shares(container, kind))


def _refused(container: Container, name: str, kind: str = "", *, variant: str = "default") -> Verdict:
    """The failure, at the setting; open where an unknown label may give the container the namespace it needs."""
    key = KEYS.get(kind)
    keys = (("sysctl", None), *(((key, None),) if key else ()))
    if key and container.label.kind == "unknown" and not is_set(container, key):
        at = where(container, keys)[0]
        return undecided(container.title, at.place, open_question(container, key), key=name)
    return fail_at(container, keys, name, *filter(None, (kind,)), variant=variant, key=name)


# --- what all containers lack: one finding with the list


@rule(
    "LKP005",
    "new-privileges-allowed",
    Severity.LOW,
    "'{0}' of '{1}' containers may gain privileges when they execute a program.",
    remedy="Set 'noNewPrivileges: true' for those that run no set-user-ID program and none with file capabilities.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
    about=has_containers,
    autofix="unsafe",
)
def new_privileges_allowed(system: System) -> Iterator[Verdict]:
    """Containers lack `noNewPrivileges`, which keeps execve from granting what a process has given up or never had."""
    keys = ("noNewPrivileges", "capabilities")
    yield from aggregated(system, system.containers, keys, _may_gain, switch="noNewPrivileges")


def _may_gain(container: Container) -> bool:
    """Whether there may be anything to gain: root whose bounding set is known to be empty has nothing left."""
    if container.no_new_privileges:
        return False
    return bool(container.capabilities or container.uid or open_question(container, "capabilities"))


@rule(
    "LKM004",
    "writable-root-filesystem",
    Severity.LOW,
    "'{0}' of '{1}' services can change their own root filesystem.",
    remedy="Set 'readonly: true' and list the folders that the program writes to under 'tmpfs' or 'binds'.",
    nist=("3.4.4",),
    profile=Profile.PEDANTIC,
    about=has_services,
    autofix="unsafe",
)
def writable_root_filesystem(system: System) -> Iterator[Verdict]:
    """Services lack `readonly: true`: who takes one over can replace its programs until the next boot."""
    yield from aggregated(system, services(system), ("readonly",), lambda one: not one.readonly, switch="readonly")


@rule(
    "LKL001",
    "no-sysctl-container",
    Severity.LOW,
    "Nothing applies kernel settings before the services start ('{0}' of them).",
    remedy="Add linuxkit/sysctl to 'onboot', before all others.",
    nist=("3.5.1",),
    profile=Profile.PEDANTIC,
    confidence=Confidence.MEDIUM,
    about=has_services,
)
def no_sysctl_container(system: System) -> Iterator[Verdict]:
    """LinuxKit's sysctl package is absent, and with it the settings that harden the kernel."""
    if not any(applies_settings(one) for one in system.containers):
        found = services(system)
        yield fail(system.kind, found[0].place, str(len(found)))


RULES = (
    namespace_path_nobody_makes,
    file_hidden_at_boot,
    ignored_addition,
    sysctl_of_the_host,
    new_privileges_allowed,
    writable_root_filesystem,
    no_sysctl_container,
)
