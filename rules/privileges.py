"""Family P: privileges that a container holds, alone and put together."""

from collections.abc import Iterator

from ..scanner.startup import Any
from ..scanner.subjects import Container, Spec, System
from .aggregate import has_containers, is_whole
from .engine import Location, Profile, Severity, Verdict, fail, rule, undecided
from .escape import Way, effective, has_all_capabilities, is_setup, muted, shares, ways
from .namespaces import KEYS
from .origins import Key, absent, fail_at, is_set, open_question, unsettled, where
from .spec import is_parsed, violations
from .tables import load

_DECIDE = ("capabilities", "ambient", "pid", "devices", "resources", "binds", "mounts")
"""The keys of a container that can lead to the host."""


@rule(
    "LKP001",
    "all-capabilities",
    Severity.HIGH,
    {
        "default": "Container '{0}' holds every capability ('{1}' of them).",
        "inert": "Container '{0}' lists every capability ('{1}' of them), though its user does not get all of them.",
    },
    remedy="List the capabilities that the program needs; LinuxKit grants none by default.",
    nist=("3.4.3",),
)
def all_capabilities(container: Container) -> Iterator[Verdict]:
    """A container holds every capability that Linux knows.

    All means the 38 that every kernel since 3.16 has; the three that came with 5.8 and 5.9 may be missing, as they
    are in an image that an older LinuxKit built.
    """
    keys = (("capabilities", "CAP_SYS_ADMIN"),)
    if has_all_capabilities(container):
        inert = not effective(container) >= container.capabilities
        yield fail_at(
            container,
            keys,
            str(len(container.capabilities)),
            variant="inert" if inert else "default",
            severity=Severity.LOW if inert else None,
            profile=Profile.PEDANTIC if inert else muted(container),
        )
    else:
        yield from unsettled(container, "capabilities", "ambient")


@rule(
    "LKP002",
    "host-root-equivalent",
    Severity.CRITICAL,
    {
        "default": "Container '{0}' can become root on the host; the shortest way: '{1}'.",
        "detour": "Container '{0}' can reach the host by a detour: '{1}'.",
    },
    remedy="Take away a part of each way that is listed: a capability, the host's pid namespace, a bind, a device.",
    nist=("3.4.3", "3.5.5"),
)
def host_root_equivalent(container: Container) -> Iterator[Verdict]:
    """A container holds what it takes to become root on the host."""
    found = ways(container)
    if found and found[0].kind == "detour":
        yield _way_out(container, found, "detour", Severity.HIGH, Profile.PEDANTIC)
    elif found:
        quieter = Profile.PEDANTIC if is_setup(container) else Profile.REGULAR
        profile = Profile.AUDITOR if found[0].kind == "told" else quieter
        yield _way_out(container, found, "default", Severity.CRITICAL, profile)
    else:
        yield from unsettled(container, *_DECIDE)


@rule(
    "LKP003",
    "unknown-capability",
    Severity.MEDIUM,
    "LinuxKit stops the build: '{0}'.",
    remedy="Write the capability as capabilities(7) does: in upper case, with CAP_ in front.",
    nist=("3.4.3",),
    about=is_parsed,
    autofix="safe",
)
def unknown_capability(spec: Spec) -> Iterator[Verdict]:
    """A capability has a name that LinuxKit does not know."""
    yield from violations(spec, "capability")


# --- one capability


@rule(
    "LKP006",
    "dangerous-capability",
    Severity.MEDIUM,
    "Container '{0}' holds '{1}': it can '{2}'.",
    remedy="Drop the capability, or give the container a namespace of its own where that confines it ('net: new').",
    nist=("3.4.3",),
)
def dangerous_capability(container: Container) -> Iterator[Verdict]:
    """A container holds a capability that reaches beyond it, even alone.

    Silent where host-root-equivalent speaks: who is root on the host gains nothing more by it.
    """
    if ways(container):
        return
    held = effective(container)
    rows = [row for row in load("capabilities")["dangerous"] if row["capability"] in held and _reaches(container, row)]
    yield from (_dangerous(container, row) for row in rows)
    if not rows:
        yield from unsettled(container, "capabilities", "ambient")


def _reaches(container: Container, row: dict[str, Any]) -> bool:
    return "needs" not in row or shares(container, row["needs"])


def _dangerous(container: Container, row: dict[str, Any]) -> Verdict:
    """The failure for a capability; open where an unknown label may keep it inside a namespace."""
    name, needs = row["capability"], row.get("needs", "")
    key = KEYS.get(needs, "")
    keys: tuple[Key, ...] = (("capabilities", name), *(((key, None),) if key else ()))
    if key and container.namespace(needs) == "host" and (question := open_question(container, key)):
        return undecided(container.title, where(container, keys)[0].place, question, key=name)
    quiet = is_setup(container) or row.get("profile") == "pedantic"
    return fail_at(
        container,
        keys,
        name,
        row["gain"],
        severity=Severity[row["severity"].upper()],
        profile=Profile.PEDANTIC if quiet else None,
        evidence=(f"It shares the {needs} namespace of the host.",) if needs else (),
        key=name,
    )


@rule(
    "LKP007",
    "inert-capabilities",
    Severity.LOW,
    "Container '{0}' runs as user '{1}', whom execve leaves without '{2}'.",
    remedy="Move to 'ambient' what the program needs, and drop the rest.",
    nist=("3.4.3",),
    profile=Profile.PEDANTIC,
)
def inert_capabilities(container: Container) -> Iterator[Verdict]:
    """A container gives capabilities to a user who is not root, without making them ambient.

    The kernel drops them when the program is executed. What remains is a bounding set that a program with file
    capabilities or a set-user-ID one could take up.
    """
    lost = sorted(container.capabilities - container.ambient)
    if container.uid and lost and not has_all_capabilities(container):
        keys = (("capabilities", lost[0]), ("uid", None))
        yield fail_at(container, keys, str(container.uid), ", ".join(lost), members=lost)
    elif container.uid:
        yield from unsettled(container, "uid", "capabilities", "ambient")
    else:
        reason = "It runs as root, who gains its bounding set at execve."
        yield absent(container, reason, "uid", "capabilities", "ambient")


# --- what no container can have, and what nobody knows


@rule(
    "LKP014",
    "unknown-privileges",
    Severity.NOTE,
    "What '{0}' of '{1}' containers may do is not known: the labels of their images are not.",
    remedy="Name the packages ('--packages DIR') or a cache that holds the images ('--cache DIR'), or set "
    "'capabilities', 'binds', 'devices' and the namespaces in the spec.",
    nist=("3.4.3",),
    profile=Profile.AUDITOR,
    about=has_containers,
)
def unknown_privileges(system: System) -> Iterator[Verdict]:
    """Containers leave their capabilities to labels of images that are not known."""
    found = [one for one in system.containers if one.label.kind == "unknown" and not is_set(one, "capabilities")]
    if found:
        yield _unknown(system, found)


def _unknown(system: System, found: list[Container]) -> Verdict:
    images = dict.fromkeys(one.image.text if one.image else one.name for one in found)
    counts = str(len(found)), str(len(system.containers))
    first, *others = (one.image.place if one.image else one.place for one in found)
    return fail(
        system.kind,
        first,
        *counts,
        related=[Location(place) for place in others],
        evidence=(f"Images: {', '.join(images)}.",),
        members=[one.title for one in found],
        retold=lambda titles: _unknown(system, [one for one in found if one.title in titles]),
    )


@rule(
    "LKP015",
    "platform-without-seccomp",
    Severity.NOTE,
    "None of the '{0}' containers has a seccomp filter, an AppArmor or SELinux profile, or a cgroup namespace.",
    remedy="LinuxKit cannot give them any: keep capabilities, devices and the host's namespaces few, and prefer "
    "programs that install a seccomp filter themselves.",
    nist=("3.4.3",),
    profile=Profile.AUDITOR,
    about=is_whole,
)
def platform_without_seccomp(system: System) -> Iterator[Verdict]:
    """LinuxKit confines containers by namespaces, capabilities and cgroups, and by nothing else."""
    if not any(_is_filtered(one) for one in system.containers):
        yield fail(system.kind, system.containers[0].place, str(len(system.containers)))


def _is_filtered(container: Container) -> bool:
    """Whether somebody put more into its config.json than LinuxKit can."""
    process, linux = container.oci.get("process") or {}, container.oci.get("linux") or {}
    profiles = (linux.get("seccomp"), process.get("apparmorProfile"), process.get("selinuxLabel"))
    return any(profiles) or not shares(container, "cgroup")


def _way_out(container: Container, found: list[Way], variant: str, severity: Severity, profile: Profile) -> Verdict:
    evidence = tuple(f"or: {way.text}" for way in found[1:])
    keys = tuple(dict.fromkeys(key for way in found for key in way.keys))
    return fail_at(
        container,
        keys,
        found[0].text.replace("'", ""),
        variant=variant,
        severity=severity,
        profile=profile,
        evidence=evidence,
    )


RULES = (
    all_capabilities,
    host_root_equivalent,
    unknown_capability,
    dangerous_capability,
    inert_capabilities,
    unknown_privileges,
    platform_without_seccomp,
)
