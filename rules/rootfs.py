"""Family F, its third part: what only a whole root file system tells: unknown owners, and links that lead away."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from ..scanner.subjects import Container, Link, Owners, Rootfs, System
from .engine import Location, Profile, Severity, Verdict, fail, rule
from .files import MOUNTED

_SHOWN = 3
"""Links of one root file system that the evidence names."""
_SHARED = ("tmp/", "var/tmp/", "dev/shm/")
"""Where every user may write."""


def is_root(root: Rootfs) -> bool:
    """Whether it is a system to run, not only a folder of files to boot from."""
    return len(root.tops & {"bin", "etc", "sbin", "usr", "lib"}) > 1 or bool(root.container)


def roots(system: System) -> list[Rootfs]:
    """The root file systems of an image."""
    return [root for root in system.roots if system.kind == "image" and is_root(root)]


def note(found: dict[str, tuple[Rootfs, str]], root: Rootfs, line: str) -> None:
    """Take note of what was found in a root file system, by its title, which several layers may share."""
    title, number = root.title, 1
    while title in found:
        number += 1
        title = f"{root.title} ({number})"
    found[title] = (root, f"{title}: {line}")


def users(system: System) -> dict[tuple[str, ...], list[Container]]:
    """The containers of each root file system, by its artifacts: that in whose folder it lies, and who mounts it."""
    found: dict[tuple[str, ...], list[Container]] = {}
    for one in system.containers:
        *outer, folder = one.place.home
        paths = {f"{folder}/rootfs", f"{folder}/lower"}
        for mount in one.runtime.get("mounts") or ():
            lower = [option.removeprefix("lowerdir=") for option in mount.get("options") or ()]
            paths.update(
                path.strip("/") for path in (mount.get("source") or "", *lower) if path.startswith("/containers/")
            )
        for path in paths:
            found.setdefault((*outer, path), []).append(one)
    return found


def told(system: System, found: Mapping[str, tuple[Rootfs, str]], *more: str, **facts: object) -> Iterator[Verdict]:
    """One failure for all root file systems in which something was found, by title, each with a line of evidence."""
    if found:
        yield _told(system, found, more, facts)


def _told(
    system: System, found: Mapping[str, tuple[Rootfs, str]], more: tuple[str, ...], facts: Mapping[str, object]
) -> Verdict:
    at, *related = [Location(root.place) for root, _ in found.values()]
    return fail(
        system.kind,
        at.place,
        f"{len(found)}",
        *more,
        related=related,
        evidence=[line for _, line in found.values()],
        members=found,
        retold=lambda titles: _told(system, {one: found[one] for one in titles}, more, facts),
        **facts,  # type: ignore[arg-type]  # what `fail` takes
    )


def _has_accounts(system: System) -> bool:
    return any("etc/passwd" in root.texts for root in roots(system))


@rule(
    "LKF010",
    "unowned-file",
    Severity.LOW,
    "Files in '{0}' root file systems belong to ids that no account or group has.",
    remedy="Give them to root or to a user that the image knows; a later account of that number would own them.",
    nist=("3.1.2",),
    profile=Profile.PEDANTIC,
    about=_has_accounts,
)
def unowned_file(system: System) -> Iterator[Verdict]:
    """Files belong to a user or group that etc/passwd or etc/group of their root file system does not have.

    A root file system without accounts is left alone: its programs run by numbers. So is id 0.
    """
    found: dict[str, tuple[Rootfs, str]] = {}
    for root in roots(system):
        lines = [
            *_unknown(root, "etc/passwd", "uid", root.users),
            *_unknown(root, "etc/group", "gid", root.groups),
        ]
        if lines:
            note(found, root, "; ".join(lines))
    yield from told(system, found)


def _unknown(root: Rootfs, table: str, kind: str, owners: Iterable[Owners]) -> list[str]:
    text = root.texts.get(table)
    if text is None:
        return []
    fields = [line.split(b":") for line in text.split(b"\n")]
    known = {int(one[2]) for one in fields if len(one) > 3 and one[2].isdigit() and len(one[2]) < 20}  # noqa: PLR2004 - name:password:id:…
    return [
        f"{kind} {one.number} owns {one.files} ({one.paths[0]})"
        for one in owners
        if one.number and one.number not in known
    ]


def _has_links(system: System) -> bool:
    return bool(roots(system))


@rule(
    "LKF011",
    "link-out-of-root",
    Severity.LOW,
    "Links in '{0}' root file systems lead above their root directory.",
    remedy="Make the links relative to where they are, without more steps up than there are directories.",
    nist=("3.1.2",),
    profile=Profile.PEDANTIC,
    about=_has_links,
)
def link_out_of_root(system: System) -> Iterator[Verdict]:
    """A symbolic link has more steps up than there are directories above it.

    Within its root it ends there; whoever follows it from outside (a copy, an unpacked archive, the host that looks
    into a container's folder) comes out of it.
    """
    yield from told(system, _links(system, lambda link, _: link.climbs))


@rule(
    "LKF012",
    "dangling-link",
    Severity.NOTE,
    {
        "default": "Links in '{0}' root file systems lead to nothing.",
        "shared": "Links in '{0}' root file systems lead to nothing yet, where every user may make it.",
    },
    remedy="Remove the links, or what removed their targets.",
    nist=("3.1.2",),
    profile=Profile.AUDITOR,
    about=_has_links,
)
def dangling_link(system: System) -> Iterator[Verdict]:
    """A symbolic link leads to nothing, not even to where a mount would be at run time.

    Low where it leads to /tmp and its like: there every user decides what it leads to.
    """
    shared = _links(system, lambda link, _: link.missing.startswith(_SHARED) and not link.path.startswith(_SHARED))
    yield from told(system, shared, variant="shared", key="shared", severity=Severity.LOW, profile=Profile.PEDANTIC)
    yield from told(system, _links(system, _leads_nowhere))


def _leads_nowhere(link: Link, mounts: tuple[str, ...]) -> bool:
    return bool(link.missing) and not f"{link.missing}/".startswith((*mounts, *_SHARED))


def _links(system: System, wanted: Callable[[Link, tuple[str, ...]], bool]) -> dict[str, tuple[Rootfs, str]]:
    """By title: the root file system, and a line on those of its links that are wanted."""
    found: dict[str, tuple[Rootfs, str]] = {}
    running = users(system)
    for root in roots(system):
        mounts = _mounts(root, running.get(root.place.artifacts, ()))
        links = [link for link in root.links if wanted(link, mounts)]
        if links:
            shown = ", ".join(f"{link.path} -> {link.target}" for link in links[:_SHOWN])
            more = f" and {len(links) - _SHOWN} more" if len(links) > _SHOWN else ""
            note(found, root, f"{shown}{more}")
    return found


def _mounts(root: Rootfs, containers: Iterable[Container]) -> tuple[str, ...]:
    """What is mounted over the root file system as it runs, below its root directory, each with a slash."""
    fixed = MOUNTED["container" if root.container else ""]
    own = [mount.destination for one in containers for mount in one.mounts]
    return tuple(f"{path.strip('/')}/" for path in (*fixed, *own) if path.strip("/"))


RULES = (unowned_file, link_out_of_root, dangling_link)
