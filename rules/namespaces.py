"""Family N: namespaces that a container shares with the host."""

from collections.abc import Callable, Iterator, Mapping

from ..scanner.startup import Any
from ..scanner.subjects import Container, System
from .aggregate import aggregated, has_services, services
from .engine import Profile, Severity, Verdict, not_applicable, rule, undecided
from .escape import effective, is_host_root, muted, runs_once, shares, ways
from .origins import absent, fail_at, open_question, unsettled, where

KEYS = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid", "user": "userns"}
"""The spec's key for each kind of namespace; `runtime.bindNS` says `user` for the last."""


@rule(
    "LKN001",
    "host-pid-namespace",
    Severity.HIGH,
    "Container '{0}' sees the processes of the host.",
    remedy="Leave 'pid' out, or set 'pid: new' where the image's label asks for the host's.",
    nist=("3.4.3",),
)
def host_pid_namespace(container: Container) -> Iterator[Verdict]:
    """A container shares the host's pid namespace: it sees, and as root may signal, the processes of all others."""
    keys = (("pid", None),)
    if shares(container, "pid"):
        looks = _only_looks(container)
        yield fail_at(
            container,
            keys,
            evidence=looks,
            severity=Severity.LOW if looks else None,
            profile=muted(container),
        )
    else:
        yield from unsettled(container, "pid")


def _only_looks(container: Container) -> tuple[str, ...]:
    """Evidence that it cannot touch the processes that it sees: those of root, unless it holds a capability."""
    if is_host_root(container) or not effective(container).isdisjoint({"CAP_KILL", "CAP_SYS_PTRACE"}):
        return ()
    return (f"Its user is not root on the host (uid {container.uid}): it sees the processes of root, and no more.",)


# --- shared by default


@rule(
    "LKN003",
    "host-namespaces-shared",
    Severity.LOW,
    "'{0}' of '{1}' services share the network, ipc or uts namespace of the host.",
    remedy="Set 'ipc: new' and 'uts: new', which few programs notice, and 'net: new' for those that use no network.",
    nist=("3.4.3", "3.4.2"),
    profile=Profile.PEDANTIC,
    about=has_services,
)
def host_namespaces_shared(system: System) -> Iterator[Verdict]:
    """Services share namespaces with the host, and so with one another: LinuxKit's default for net, ipc and uts."""
    parts: dict[str, Callable[[Container], bool]] = {
        "Share the network namespace": lambda one: shares(one, "network"),
        "Share the ipc namespace": lambda one: shares(one, "ipc"),
        "Share the uts namespace": lambda one: shares(one, "uts"),
    }
    yield from aggregated(
        system,
        services(system),
        ("ipc", "uts", "net"),
        lambda one: any(test(one) for test in parts.values()),
        parts=parts,
    )


# --- joined by a path


@rule(
    "LKN004",
    "joined-namespace",
    Severity.NOTE,
    "Container '{0}' joins the '{1}' namespace of another container: '{2}'.",
    remedy="Set the namespace to 'new', unless both are meant to be one unit.",
    nist=("3.4.3",),
    profile=Profile.AUDITOR,
)
def joined_namespace(container: Container) -> Iterator[Verdict]:
    """A container joins a namespace of another container by a path, and can do there what its capabilities allow.

    In a pid namespace root may signal all processes, and with CAP_SYS_PTRACE it owns them; in a network namespace
    CAP_NET_ADMIN rules.
    """
    joined = [kind for kind in KEYS if _is_joined(container, kind)]
    for kind in joined:
        evidence = _power(container, kind)
        yield fail_at(
            container,
            ((KEYS[kind], None),),
            kind,
            container.namespace(kind),
            severity=Severity.LOW if evidence else None,
            profile=Profile.PEDANTIC if evidence else None,
            evidence=evidence,
            key=kind,
        )
    if not joined:
        yield absent(container, "It joins no namespace by path.", *KEYS.values())


def _is_joined(container: Container, kind: str) -> bool:
    return container.namespace(kind) != "new" and not shares(container, kind)


def _power(container: Container, kind: str) -> tuple[str, ...]:
    """What it can do to those that it joins, by a right that it holds; nothing new to who is root on the host."""
    if ways(container):
        return ()
    held = effective(container)
    if kind == "pid" and "CAP_SYS_PTRACE" in held:
        return ("It may trace the processes there (CAP_SYS_PTRACE).",)
    if kind == "pid" and is_host_root(container):
        return ("It may signal the processes there that run as root.",)
    if kind == "network" and "CAP_NET_ADMIN" in held:
        return ("It may change the network there (CAP_NET_ADMIN).",)
    return ()


# --- made for others


@rule(
    "LKN006",
    "bound-host-namespace",
    Severity.MEDIUM,
    "Container '{0}' leaves '{1}' for others to join as '{2}' namespace, but it is the host's own.",
    remedy="Give the container that makes it a namespace of its own ('net: new'), or drop it from 'runtime.bindNS'.",
    nist=("3.4.3",),
)
def bound_host_namespace(container: Container) -> Iterator[Verdict]:
    """A container passes on a namespace that it shares with the host: who joins it by path is not isolated at all."""
    bound = container.runtime.get("bindNS") or {}
    paths = {kind: path for kind in KEYS if (path := bound.get("user" if kind == "user" else KEYS[kind]))}
    for kind, path in paths.items():
        if not shares(container, kind):
            continue
        keys = (("runtime", None), (KEYS[kind], None))
        if question := open_question(container, KEYS[kind]):
            yield undecided(container.title, where(container, keys)[0].place, question, key=kind)
        else:
            yield fail_at(container, keys, path, kind, key=kind)
    if not paths:
        yield absent(container, "It has no 'runtime.bindNS'.", "runtime")


@rule(
    "LKN007",
    "interface-in-host-network",
    Severity.LOW,
    "Container '{0}' is to have the network interface '{1}', but its network namespace is the host's own.",
    remedy="Set 'net: new', so that the interface is moved out of the host's network, or drop it.",
    nist=("3.4.2",),
)
def interface_in_host_network(container: Container) -> Iterator[Verdict]:
    """A container's `runtime.interfaces` would move an interface into it, but it has no network of its own."""
    names = [str(one.get("name") or "") for one in container.runtime.get("interfaces") or ()]
    keys = (("runtime", None), ("net", None))
    if not names:
        yield absent(container, "It has no 'runtime.interfaces'.", "runtime")
    elif shares(container, "network"):
        if question := open_question(container, "net"):
            yield undecided(container.title, where(container, keys)[0].place, question)
        else:
            yield fail_at(container, keys, ", ".join(names), members=names)


@rule(
    "LKN005",
    "other-containerd-namespace",
    Severity.NOTE,
    {
        "default": "Service '{0}' runs in the containerd namespace '{1}'.",
        "ignored": "Container '{0}' sets the containerd namespace '{1}', which only services have.",
    },
    remedy="Leave 'runtime.namespace' out, unless what works in that namespace is meant to see and manage it.",
    nist=("3.4.3",),
    profile=Profile.AUDITOR,
)
def other_containerd_namespace(container: Container) -> Iterator[Verdict]:
    """A service is put into another namespace of containerd: whoever manages that one can list, stop or change it."""
    name = container.runtime.get("namespace") or ""
    if not name:
        yield absent(container, "It has no 'runtime.namespace'.", "runtime")
    elif runs_once(container):
        yield fail_at(container, (("runtime", None),), name, variant="ignored")
    else:
        yield fail_at(container, (("runtime", None),), name)


# --- user namespaces


@rule(
    "LKN008",
    "experimental-user-namespace",
    Severity.MEDIUM,
    {
        "default": "Root in the user namespace of container '{0}' is root of the host: '{1}' maps it to uid 0.",
        "unmapped": "Container '{0}' has a new user namespace, but no '{1}': runc refuses to start it.",
        "alone": "Container '{0}' has '{1}', but no user namespace: runc refuses to start it.",
        "other": "Container '{0}' has a user namespace ('{1}'), which LinuxKit does not support yet.",
    },
    remedy="Drop 'userns' and the mappings, and run the container as a user of its own ('uid' set to its name).",
    nist=("3.4.3",),
)
def experimental_user_namespace(container: Container) -> Iterator[Verdict]:
    """A container has a user namespace or mappings for one: experimental in LinuxKit, and mostly not what it seems.

    LinuxKit loses the keys `hostID` and `containerID`, so that every mapping it builds begins with root as root.
    """
    linux = container.oci.get("linux") or {}
    mappings = [key for key in ("uidMappings", "gidMappings") if linux.get(key)]
    lacking = [key for key in ("uidMappings", "gidMappings") if not linux.get(key)]
    users = container.namespace("user")
    if doubts := list(unsettled(container, "userns", "uidMappings", "gidMappings")):
        yield from doubts
    elif users == "host":
        if mappings:
            yield fail_at(container, ((mappings[0], None),), ", ".join(mappings), variant="alone")
        else:
            yield not_applicable(container.title, container.place, "It has no user namespace of its own.")
    elif users == "new" and lacking:
        yield fail_at(container, (("userns", None),), ", ".join(lacking), variant="unmapped")
    elif users == "new" and _maps_root(linux):
        yield fail_at(container, (("uidMappings", None), ("userns", None)), "uidMappings")
    else:
        keys, text = (("userns", None),), f"userns: {users}"
        yield fail_at(container, keys, text, variant="other", severity=Severity.NOTE, profile=Profile.AUDITOR)


def _maps_root(linux: Mapping[str, Any]) -> bool:
    rows = linux.get("uidMappings") or ()
    return any(not row.get("hostID") and not row.get("containerID") for row in rows)


RULES = (
    host_pid_namespace,
    host_namespaces_shared,
    joined_namespace,
    other_containerd_namespace,
    bound_host_namespace,
    interface_in_host_network,
    experimental_user_namespace,
)
