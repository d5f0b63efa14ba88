"""Family P: as whom containers run: root, root's group, one user for several."""

from collections.abc import Iterator

from ..scanner.subjects import Container, System
from .aggregate import aggregated, has_services, left_open, services
from .engine import Location, Profile, Severity, Verdict, fail, rule, undecided
from .escape import is_host_root
from .origins import absent, confidence, fail_at, open_question, unsettled, where

_EASY = frozenset({"CAP_NET_BIND_SERVICE"})
"""Capabilities that root rarely needs to be root for: to a user of its own they can be given as ambient."""


@rule(
    "LKP008",
    "runs-as-root",
    Severity.LOW,
    "'{0}' of '{1}' services run as root, though they hold no capability that takes root.",
    remedy="Set 'uid' and 'gid' to the container's own name, for which LinuxKit allocates a number; list "
    "CAP_NET_BIND_SERVICE under 'ambient' where a low port is served.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
    about=has_services,
)
def runs_as_root(system: System) -> Iterator[Verdict]:
    """Services run as root without using its privileges: their user still owns root's files on every bind."""
    keys = ("uid", "capabilities", "ambient", "userns")
    yield from aggregated(system, services(system), keys, lambda one: is_host_root(one) and one.capabilities <= _EASY)


@rule(
    "LKP009",
    "root-group",
    Severity.LOW,
    {
        "default": "Container '{0}' runs as user '{1}', but in the group of root ('{2}').",
        "additional": "Container '{0}' runs as user '{1}', but has the group of root among its others ('{2}').",
    },
    remedy="Set 'gid' to the container's own name, and leave 0 out of 'additionalGids'.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
)
def root_group(container: Container) -> Iterator[Verdict]:
    """A container gave up root but not its group, which owns files and devices of the host."""
    if not container.uid:
        yield absent(container, "It runs as root.", "uid")
        return
    first, *others = _groups(container)
    if first == 0:
        yield from _in_group(container, "gid", "default", "gid 0")
    elif 0 in others:
        yield from _in_group(container, "additionalGids", "additional", "additionalGids")
    else:
        yield from unsettled(container, "additionalGids")


def _groups(container: Container) -> list[int]:
    """Its group, and then its additional ones."""
    user = (container.oci.get("process") or {}).get("user") or {}
    return [int(user.get("gid") or 0), *(user.get("additionalGids") or ())]


def in_root_group(container: Container) -> bool:
    """Whether its processes are in the group of root, which they are unless `gid` says otherwise."""
    return 0 in _groups(container)


def _in_group(container: Container, key: str, variant: str, value: str) -> Iterator[Verdict]:
    keys = ((key, None), ("uid", None))
    at = where(container, keys)[0]
    if question := open_question(container, key):
        yield undecided(container.title, at.place, question)
        return
    yield fail_at(container, keys, str(container.uid), value, variant=variant)


@rule(
    "LKP010",
    "shared-user",
    Severity.LOW,
    "'{0}' services run as the same user '{1}': '{2}'.",
    remedy="Set 'uid' of each to its own name; for files that they share, give them a group under 'additionalGids'.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
    about=has_services,
)
def shared_user(system: System) -> Iterator[Verdict]:
    """Several services run as one user, who owns the files, processes and shared memory of all of them."""
    users: dict[int, list[Container]] = {}
    everyone = services(system)
    for one in everyone:
        if one.uid and one.namespace("user") == "host" and not one.error:
            users.setdefault(one.uid, []).append(one)
    shared = {uid: together for uid, together in sorted(users.items()) if len(together) > 1}
    yield from (_together(system, uid, together) for uid, together in shared.items())
    if not shared and len(everyone) > 1:
        yield from left_open(system, everyone, len(everyone), "uid")


def _together(system: System, uid: int, together: list[Container]) -> Verdict:
    places: list[Location] = [where(one, (("uid", None),))[0] for one in together]
    names = ", ".join(one.name for one in together)
    sure = min(confidence(one, (("uid", None),)) for one in together)
    at, *related = places
    return fail(
        system.kind,
        at.place,
        str(len(together)),
        str(uid),
        names,
        note=at.note,
        related=related,
        key=str(uid),
        confidence=sure,
        members=[one.title for one in together],
    )


RULES = (runs_as_root, root_group, shared_user)
