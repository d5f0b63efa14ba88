"""Family M: what of the host a container can reach or write through its mounts."""

from collections.abc import Iterator

from ..scanner.startup import NamedTuple
from ..scanner.subjects import Container, Mount
from .engine import Fix, Profile, Severity, Verdict, not_applicable, partial, rule
from .escape import (
    HostPath,
    bind_key,
    effective,
    host_path,
    is_host_root,
    muted,
    sensitive,
    sockets,
    takeover,
)
from .fixes import read_only
from .origins import fail_at, unsettled, where


@rule(
    "LKM001",
    "runtime-socket-reachable",
    Severity.CRITICAL,
    "Container '{0}' can reach the socket of '{1}' through the bind of '{2}'.",
    remedy="Bind the one file or directory below it that the program needs, or drop the bind.",
    nist=("3.4.3", "3.4.5"),
)
def runtime_socket_reachable(container: Container) -> Iterator[Verdict]:
    """A container can reach the socket of a container runtime, and so start containers that are root on the host."""
    if container.section == "onboot":
        reason = "No container runtime runs yet while the containers of onboot do."
        yield not_applicable(container.title, container.place, reason)
        return
    holder = _Holder.of(container)
    found = [_reachable(holder, mount, socket, runtime) for mount, socket, runtime in sockets(container)]
    yield from found or unsettled(container, "binds", "mounts")


@rule(
    "LKM002",
    "writable-host-path",
    Severity.MEDIUM,
    "Container '{0}' can write to '{1}' of the host: '{2}'.",
    remedy="Add ':ro' to the bind, or bind only the file or directory that must be written.",
    nist=("3.5.5",),
    autofix="safe",
)
def writable_host_path(container: Container) -> Iterator[Verdict]:
    """A container can write to a path of the host that decides what the host runs, trusts or boots."""
    holder = _Holder.of(container)
    exposed = [(mount, sensitive(mount.source)) for mount in container.mounts if mount.is_bind]
    verdicts = [_exposed(holder, mount, entry) for mount, entry in exposed if entry is not None]
    found = [verdict for verdict in verdicts if verdict is not None]
    yield from found or unsettled(container, "binds", "mounts")


class _Holder(NamedTuple):
    """A container and what it takes to judge each of its binds, found out once: an image may hold many."""

    container: Container
    root: bool
    administers: bool
    profile: Profile | None

    @classmethod
    def of(cls, container: Container) -> "_Holder":
        administers = "CAP_SYS_ADMIN" in effective(container)
        return cls(container, is_host_root(container), administers, muted(container))


def _reachable(holder: _Holder, mount: Mount, socket: str, runtime: str) -> Verdict:
    path = host_path(mount.source)
    evidence = [] if path == socket else [f"'{socket}' lies below '{path}'."]
    if not mount.writable:
        evidence.append("A read-only bind does not keep anyone from connecting to a socket.")
    if not holder.root:
        uid = holder.container.uid
        evidence.append(f"Its user is not root on the host (uid {uid}): the mode of the socket decides.")
    return _bind(
        holder.container,
        mount,
        runtime,
        mount.source,
        evidence=evidence,
        severity=None if holder.root else Severity.MEDIUM,
        profile=holder.profile or (None if holder.root else Profile.PEDANTIC),
    )


def _exposed(holder: _Holder, mount: Mount, entry: HostPath) -> Verdict | None:
    if mount.writable:
        return _writable(holder, mount, entry)
    if entry.submounts and "rbind" in mount.options and "rro" not in mount.options:
        return _not_recursive(holder.container, mount, entry)
    return None


def _writable(holder: _Holder, mount: Mount, entry: HostPath) -> Verdict:
    """The failure for one bind, less severe where LinuxKit's read-only root filesystem stands in the way."""
    evidence = []
    severity = Severity[entry.severity.upper()]
    if above := takeover(mount):
        if above != entry:
            evidence.append(f"Below it lies '{above.path}': {above.reason}.")
        severity = Severity.CRITICAL
    if entry.root and not entry.submounts and not holder.administers:
        evidence.append("LinuxKit mounts its root filesystem read-only; without CAP_SYS_ADMIN that still holds.")
        severity = Severity.LOW
    if not holder.root:
        uid = holder.container.uid
        evidence.append(f"Its user is not root on the host (uid {uid}): the modes of the files decide.")
        severity = Severity.LOW
    return _bind(
        holder.container,
        mount,
        mount.source,
        entry.reason,
        evidence=evidence,
        severity=severity,
        profile=holder.profile or (Profile.PEDANTIC if entry.profile == "pedantic" else None),
        fix=read_only(holder.container, mount),
    )


def _not_recursive(container: Container, mount: Mount, entry: HostPath) -> Verdict:
    below = ", ".join(f"'{path}'" for path in entry.submounts)
    at = where(container, (bind_key(container, mount),))[0]
    reason = (
        f"Container '{container.name}' binds '{mount.source}' read-only, but not the filesystems mounted below it: "
        f"LinuxKit adds 'rbind', and 'ro' is not recursive."
    )
    return partial(container.title, at.place, reason, key=mount.destination, evidence=(f"Still writable: {below}.",))


def _bind(
    container: Container,
    mount: Mount,
    *arguments: str,
    evidence: list[str],
    severity: Severity | None = None,
    profile: Profile | None = None,
    fix: Fix | None = None,
) -> Verdict:
    """The failure for one bind, at its entry."""
    return fail_at(
        container,
        (bind_key(container, mount),),
        *arguments,
        key=mount.destination,
        evidence=evidence,
        severity=severity,
        profile=profile,
        members=(mount.source,),
        fix=fix,
    )


RULES = (runtime_socket_reachable, writable_host_path)
