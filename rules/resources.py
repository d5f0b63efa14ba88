"""Family R: what a container may use up, and whether its limits hold."""

import posixpath
from collections.abc import Callable, Iterator

from ..scanner.startup import Any
from ..scanner.subjects import Container, System
from .aggregate import aggregated, has_containers, has_services, left_open, services
from .engine import Confidence, Profile, Severity, Verdict, rule, undecided
from .escape import bind_key, cgroup_mount, effective, is_host_root
from .origins import Key, absent, fail_at, open_question, where
from .tables import load

_NEVER_KILLED = -999
"""From this oomScoreAdj on, the kernel kills all others first; at -1000 it never kills the process."""


_LIMITS = (("memory", "limit"), ("pids", "limit"), ("cpu", "quota"))
"""The limits of `resources` that keep a container from taking what others need."""


def _limit(container: Container, kind: str, name: str = "limit") -> int:
    """The limit of a kind (memory in bytes, pids) from `resources`; 0 where there is none, or an unlimited one."""
    found = (_resources(container).get(kind) or {}).get(name)
    return found if isinstance(found, int) and found > 0 else 0


def _resources(container: Container) -> dict[str, Any]:
    return (container.oci.get("linux") or {}).get("resources") or {}


def _cgroup(container: Container) -> str:
    return str((container.oci.get("linux") or {}).get("cgroupsPath") or "")


# --- limits of cgroups


@rule(
    "LKR001",
    "no-resource-limit",
    Severity.LOW,
    "'{0}' of '{1}' services have no limit of memory, or none of processes.",
    remedy="Set 'resources: {memory: {limit: BYTES}, pids: {limit: NUMBER}}'.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
    about=has_services,
)
def no_resource_limit(system: System) -> Iterator[Verdict]:
    """Services may use up all memory or all process ids, and so take the others down with them.

    A service with a cgroupsPath is left out: the cgroup above it may be limited by somebody else.
    """
    parts: dict[str, Callable[[Container], bool]] = {
        "Without a limit of memory": lambda one: not _limit(one, "memory"),
        "Without a limit of processes": lambda one: not _limit(one, "pids"),
    }
    yield from aggregated(
        system,
        services(system),
        ("resources", "cgroupsPath"),
        lambda one: not _cgroup(one) and any(test(one) for test in parts.values()),
        parts=parts,
    )


@rule(
    "LKR006",
    "limits-it-can-lift",
    Severity.MEDIUM,
    "Container '{0}' has a limit of '{1}', but can lift it: it may write to the cgroup hierarchy by '{2}'.",
    remedy="Leave LinuxKit's read-only mount of /sys/fs/cgroup as it is, and drop CAP_SYS_ADMIN.",
    nist=("3.4.3",),
)
def limits_it_can_lift(container: Container) -> Iterator[Verdict]:
    """A container is limited, but root in it may change the limit in its cgroup, or leave the cgroup."""
    limited = [kind for kind, name in _LIMITS if _limit(container, kind, name)]
    if not limited:
        yield absent(container, "It has no limits.", "resources")
    elif is_host_root(container) and (found := _writes_cgroups(container)):
        yield fail_at(container, (("resources", None), found[1]), ", ".join(limited), found[0])
    elif question := open_question(container, "capabilities", "binds", "mounts"):
        yield undecided(container.title, where(container, (("resources", None),))[0].place, question)


def _writes_cgroups(container: Container) -> tuple[str, Key] | None:
    """How it gets to write to the cgroup hierarchy, and the key of that."""
    if mount := cgroup_mount(container):
        return f"its mount on {mount.destination}", bind_key(container, mount)
    if "CAP_SYS_ADMIN" in effective(container):
        return "mounting it (CAP_SYS_ADMIN)", ("capabilities", "CAP_SYS_ADMIN")
    return None


@rule(
    "LKR005",
    "unusable-cgroup",
    Severity.MEDIUM,
    {
        "default": "Service '{0}' is to run in the cgroup '{1}' of service '{2}': runc starts only one of them.",
        "root": "Container '{0}' is to run in the cgroup '{1}', the root of all: runc refuses to start it.",
    },
    remedy="Give each container a 'cgroupsPath' of its own, below a common one where they belong together.",
    nist=("3.4.3",),
    confidence=Confidence.MEDIUM,
    about=has_containers,
)
def unusable_cgroup(system: System) -> Iterator[Verdict]:
    """A container is put into a cgroup that has processes already: the root, or that of another service.

    runc refuses since version 1.2; before, none of its limits held in the root, and two services shared one limit.
    """
    owners: dict[str, Container] = {}
    found: list[Verdict] = []
    for one in system.containers:
        path = posixpath.normpath(_cgroup(one)) if _cgroup(one) else ""
        if path in {"/", "//"}:
            found.append(_cgroup_of(one, path, variant="root"))
        elif path and one.section == "services" and owners.setdefault(path, one) is not one:
            found.append(_cgroup_of(one, path, owners[path].name))
    yield from found or left_open(system, system.containers, len(system.containers), "cgroupsPath")


def _cgroup_of(container: Container, *arguments: str, variant: str = "default") -> Verdict:
    return fail_at(container, (("cgroupsPath", None),), *arguments, variant=variant)


# --- limits of processes


@rule(
    "LKR002",
    "refused-rlimit",
    Severity.MEDIUM,
    {
        "default": "Container '{0}' sets '{1}' to more than '{2}' files, which the kernel refuses: it does not start.",
        "order": "Container '{0}' sets '{1}' with a soft limit ('{2}') above the hard one: it does not start.",
    },
    remedy="Keep the soft limit at or below the hard one, and 'nofile' at or below 1048576.",
    nist=("3.4.3",),
)
def refused_rlimit(container: Container) -> Iterator[Verdict]:
    """A limit of processes is one that the kernel does not accept, so that runc cannot start the container."""
    limits = _rlimits(container)
    most = int(load("rlimits")["nr_open"])
    for name, soft, hard in limits:
        keys = (("rlimits", None),)
        if soft > hard:
            yield fail_at(container, keys, name, str(soft), variant="order", key=name)
        elif name == "RLIMIT_NOFILE" and hard > most:
            evidence = ("That is fs.nr_open as the kernel starts with; a sysctl may raise it before.",)
            verdict = fail_at(container, keys, name, str(most), evidence=evidence, key=name)
            yield verdict._replace(confidence=Confidence.MEDIUM)
    if not limits:
        yield absent(container, "It has no 'rlimits'.", "rlimits")


@rule(
    "LKR003",
    "raised-rlimit",
    Severity.LOW,
    "Container '{0}' raises '{1}': '{2}'.",
    remedy="Drop the limit from 'rlimits', or lower it to what the program needs.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
)
def raised_rlimit(container: Container) -> Iterator[Verdict]:
    """A container raises a limit of processes at the cost of others, or of what should stay secret."""
    limits = _rlimits(container)
    rows = {row["name"]: row for row in load("rlimits")["raised"]}
    for name, soft, hard in limits:
        if name in rows and rows[name]["above"] < soft <= hard:
            yield fail_at(container, (("rlimits", None),), name, rows[name]["gain"], key=name)
    if not limits:
        yield absent(container, "It has no 'rlimits'.", "rlimits")


def _rlimits(container: Container) -> list[tuple[str, int, int]]:
    """Name, soft and hard limit of each entry."""
    listed = (container.oci.get("process") or {}).get("rlimits") or ()
    return [(str(one.get("type")), int(one.get("soft") or 0), int(one.get("hard") or 0)) for one in listed]


@rule(
    "LKR004",
    "spared-by-oom-killer",
    Severity.LOW,
    "Container '{0}' has an oomScoreAdj of '{1}': when memory runs out, the kernel kills '{2}'.",
    remedy="Leave 'oomScoreAdj' to what the machine cannot do without, and limit its memory.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
)
def spared_by_oom_killer(container: Container) -> Iterator[Verdict]:
    """A container's processes are never killed when memory runs out, even if they are the ones that use it up."""
    score = (container.oci.get("process") or {}).get("oomScoreAdj")
    if score is None:
        yield absent(container, "It has no 'oomScoreAdj'.", "oomScoreAdj")
    elif int(score) <= _NEVER_KILLED:
        others = "only others" if int(score) < _NEVER_KILLED else "all others first"
        evidence = () if _limit(container, "memory") else ("It has no limit of memory.",)
        yield fail_at(container, (("oomScoreAdj", None),), str(score), others, evidence=evidence)


RULES = (
    no_resource_limit,
    refused_rlimit,
    raised_rlimit,
    spared_by_oom_killer,
    unusable_cgroup,
    limits_it_can_lift,
)
