"""Family M, its second part: how a container's mounts are made, whatever of the host they show."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import Container, Mount, System
from .aggregate import aggregated, has_containers, has_services, services
from .engine import Profile, Severity, Verdict, fail, not_applicable, rule
from .escape import bind_key, effective, is_host_root, muted, sensitive
from .origins import Key, fail_at, unsettled, where
from .tables import load

_SHARED = frozenset({"shared", "rshared"})
_APART = frozenset({"private", "rprivate", "slave", "rslave", "unbindable", "runbindable"})
_PROPAGATION: Key = ("rootfsPropagation", None)


@rule(
    "LKM005",
    "shared-mount-propagation",
    Severity.MEDIUM,
    {
        "default": "What container '{0}' mounts on '{1}' appears on the host as well.",
        "programs": "Container '{0}' can mount files of its own over '{1}', and they appear on the host.",
    },
    remedy="Leave 'rootfsPropagation' out; where the container has to mount for others, bind all else with ':rslave'.",
    nist=("3.4.3", "3.5.5"),
)
def shared_mount_propagation(container: Container) -> Iterator[Verdict]:
    """A container may mount, and its root filesystem is shared with the host: its mounts appear there.

    Both it takes: without `rootfsPropagation: shared` runc cuts the container's mounts off from the host's, whatever
    the options of a bind say; and `rshared`, which LinuxKit gives to binds without options, changes nothing then.
    """
    is_shared = (container.oci.get("linux") or {}).get("rootfsPropagation") in _SHARED
    shared = [m for m in container.mounts if is_shared and m.is_bind and _APART.isdisjoint(m.options)]
    if not shared or "CAP_SYS_ADMIN" not in effective(container):
        if not is_shared:
            reason = "Its mounts are cut off from those of the host, as far as its configuration is known."
            yield not_applicable(container.title, container.place, reason)
        else:
            yield from unsettled(container, "capabilities", "binds", "mounts")
        return
    programs = [mount for mount in shared if (entry := sensitive(mount.source)) is not None and entry.root]
    yield fail_at(
        container,
        (_PROPAGATION, ("capabilities", "CAP_SYS_ADMIN")),
        _several([mount.source for mount in programs or shared]),
        variant="programs" if programs else "default",
        severity=Severity.HIGH if programs else None,
        profile=muted(container),
    )


def _several(words: list[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")


_SHOWN = 3
"""Binds that a message lists."""

_GUARDS = ("nosuid", "nodev", "noexec")


def _is_bound(option: str) -> bool:
    name, _, value = option.partition("=")
    return name in {"size", "nr_blocks"} and bool(value)


@rule(
    "LKM006",
    "unguarded-tmpfs",
    Severity.LOW,
    "Container '{0}' mounts a tmpfs on '{1}' without '{2}'.",
    remedy="Give the options: '/tmp:nosuid,nodev,noexec,size=64m'; leave out those that the program cannot live with.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
)
def unguarded_tmpfs(container: Container) -> Iterator[Verdict]:
    """A container's tmpfs may hold programs, set-id files or device nodes, or as much as half of all memory."""
    found = [mount for mount in container.mounts if mount.type == "tmpfs" and mount.destination != "/dev"]
    for mount in found:
        lacking = [guard for guard in _GUARDS if guard not in mount.options]
        lacking += [] if any(map(_is_bound, mount.options)) else ["size=…"]
        if lacking:
            yield _on_mount(container, mount, mount.destination, ",".join(lacking))
    if not found:
        reason = "It mounts no tmpfs but LinuxKit's own on /dev, as far as its configuration is known."
        yield not_applicable(container.title, container.place, reason)


@rule(
    "LKM007",
    "writable-kernel-filesystem",
    Severity.MEDIUM,
    "Container '{0}' mounts '{1}' on '{2}' and can steer the kernel through it, for the whole machine.",
    remedy="Drop the mount; where the program needs to look at it, give it the option 'ro'.",
    nist=("3.4.3", "3.5.2"),
)
def writable_kernel_filesystem(container: Container) -> Iterator[Verdict]:
    """A container has a filesystem mounted through which the kernel is steered for the whole machine."""
    found = [mount for mount in container.mounts if _steers(container, mount)]
    for mount in found:
        row = load("kernel_filesystems")[mount.type]
        yield _on_mount(
            container,
            mount,
            *(mount.type, mount.destination),
            gain=row["gain"],
            severity=Severity[row["severity"].upper()],
            profile=muted(container) or (Profile.PEDANTIC if _is_quiet(container, row) else None),
        )
    if not found:
        yield from unsettled(container, "mounts")


def _steers(container: Container, mount: Mount) -> bool:
    row = load("kernel_filesystems").get(mount.type)
    if row is None or mount.is_bind or not is_host_root(container):
        return False
    return mount.writable or row.get("always", False)


def _is_quiet(container: Container, row: Mapping[str, Any]) -> bool:
    """Whether the mount is much used and little feared, or adds nothing to what the container may mount by itself."""
    return row.get("profile") == "pedantic" or "CAP_SYS_ADMIN" in effective(container)


def _on_mount(
    container: Container,
    mount: Mount,
    *arguments: str,
    gain: str = "",
    severity: Severity | None = None,
    profile: Profile | None = None,
) -> Verdict:
    """The failure for one mount, at its entry."""
    tmpfs = f"tmpfs:{mount.destination}" in container.origins
    return fail_at(
        container,
        (("tmpfs", mount.destination) if tmpfs else bind_key(container, mount),),
        *arguments,
        key=mount.destination,
        evidence=filter(None, [gain]),
        severity=severity,
        profile=profile,
    )


_STEERED = ("/proc/sys", "/proc/sysrq-trigger")
"""What root may write to without any capability, for the whole machine."""


@rule(
    "LKM008",
    "unprotected-kernel-paths",
    Severity.MEDIUM,
    "In '{0}' of '{1}' services root can change settings of the host's kernel and reset the machine, through /proc.",
    remedy="Set 'readonlyPaths: [/proc/sys, /proc/sysrq-trigger]', or a 'uid', where a service changes no settings.",
    nist=("3.4.3", "3.5.2"),
    profile=Profile.PEDANTIC,
    about=has_services,
)
def unprotected_kernel_paths(system: System) -> Iterator[Verdict]:
    """Services whose root, without any capability, may write to /proc/sys and /proc/sysrq-trigger.

    Left out are services that are not root on the host, and those with CAP_SYS_ADMIN: they can undo the protection.
    """
    yield from aggregated(system, services(system), ("readonlyPaths", "maskedPaths", "uid"), _steers_the_kernel)


def _steers_the_kernel(container: Container) -> bool:
    linux = container.oci.get("linux") or {}
    kept = [posixpath.normpath(path) for key in ("readonlyPaths", "maskedPaths") for path in linux.get(key) or ()]
    kept += ["/proc"] if any(m.destination == "/proc" and not m.writable for m in container.mounts) else []
    is_open = any(not any(path == one or path.startswith(f"{one}/") for one in kept) for path in _STEERED)
    return is_open and is_host_root(container) and "CAP_SYS_ADMIN" not in effective(container)


_VOLUMES = "/containers/volumes/"


class _Use(NamedTuple):
    """A container that can write to a volume, and the bind that lets it."""

    container: Container
    mount: Mount


@rule(
    "LKM009",
    "volume-written-by-several",
    Severity.LOW,
    "Volume '{0}' can be written by '{1}' containers.",
    remedy="Append ':ro' to the bind in those that only read.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
    about=has_containers,
)
def volume_written_by_several(system: System) -> Iterator[Verdict]:
    """More than one container can write to a volume: each may change what the others read there."""
    uses: dict[str, list[_Use]] = {}
    for container in system.containers:
        for mount in container.mounts:
            if mount.is_bind and mount.writable and (name := _volume(mount.source)):
                uses.setdefault(name, []).append(_Use(container, mount))
    for name, found in sorted(uses.items()):
        titles = list(dict.fromkeys(use.container.title for use in found))
        if len(titles) > 1:
            at, *related = [where(use.container, (bind_key(use.container, use.mount),))[0] for use in found]
            evidence = [f"Containers: {', '.join(titles)}."]
            counts = str(len(titles))
            yield fail(system.kind, at.place, name, counts, note=at.note, related=related, key=name, evidence=evidence)


def _volume(source: str) -> str:
    """The name of the volume that a bind's source is: the source in a spec, a part of it in an image; or ""."""
    if source and not source.startswith("/"):
        return source
    name, below, _ = source.removeprefix(_VOLUMES).partition("/")
    return name if below and source.startswith(_VOLUMES) else ""


@rule(
    "LKM010",
    "hidden-mount",
    Severity.LOW,
    "In container '{0}' the mount on '{1}' is hidden by the one on '{2}', which is made later.",
    remedy="Write each destination as an absolute path without '/' at its end, and each only once.",
    nist=("3.1.2",),
)
def hidden_mount(container: Container) -> Iterator[Verdict]:
    """Two mounts of a container are on the same place, and nobody sees the first.

    LinuxKit makes mounts in the order of their destinations as text, and takes `/data` and `/data/` for two places; of
    several with the same destination it keeps that of `mounts`, then `binds`, then `tmpfs`.
    """
    later: dict[str, str] = {}
    for mount in reversed([one for one in container.mounts if one.destination]):
        path = posixpath.normpath(f"/{mount.destination[:_LONGEST].lstrip('/')}")
        if by := next((later[one] for one in _upwards(path) if one in later), None):
            yield _hidden(container, bind_key(container, mount), by)
        later[path] = mount.destination
    for key, destination in _replaced(container):
        yield _hidden(container, (key, destination), destination)


_LONGEST = 4096
"""Characters that a path may have in Linux (PATH_MAX)."""


def _upwards(path: str) -> Iterator[str]:
    """A path and all that it lies in."""
    yield path
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path


def _replaced(container: Container) -> Iterable[tuple[str, str]]:
    """The spec's own mounts of which LinuxKit keeps another one, of the spec as well, with the same destination."""
    for name, origin in container.origins.items():
        if not name.startswith(("binds:", "tmpfs:")):
            continue
        key, _, destination = name.partition(":")
        kept = container.origins.get(f"mounts:{destination}")
        if destination and kept and kept != origin and kept.source == origin.source == "spec":
            yield key, destination


def _hidden(container: Container, key: Key, by: str) -> Verdict:
    return fail_at(container, (key,), key[1] or "", by, key=f"{key[0]}:{key[1]}")


RULES = (
    shared_mount_propagation,
    unguarded_tmpfs,
    writable_kernel_filesystem,
    unprotected_kernel_paths,
    volume_written_by_several,
    hidden_mount,
)
