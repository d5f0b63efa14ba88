"""Family P: privileges that a container holds, alone and put together."""

from collections.abc import Iterator

from ..scanner.subjects import Container, Spec
from .engine import Profile, Severity, Verdict, fail, rule, undecided
from .escape import Way, effective, has_all_capabilities, is_setup, is_told_once, ways
from .provenance import Key, confidence, open_question, stand_in, where
from .spec import is_parsed, violations

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
        yield _fail(
            container,
            keys,
            str(len(container.capabilities)),
            variant="inert" if inert else "default",
            severity=Severity.LOW if inert else None,
            profile=Profile.PEDANTIC if inert or is_told_once(container) else None,
        )
    elif question := open_question(container, "capabilities", "ambient"):
        yield undecided(container.title, container.place, question)


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
        quiet = is_setup(container) or found[0].kind == "told"
        yield _way_out(container, found, "default", Severity.CRITICAL, Profile.PEDANTIC if quiet else Profile.REGULAR)
    elif question := open_question(container, *_DECIDE):
        yield undecided(container.title, container.place, question)


@rule(
    "LKP003",
    "unknown-capability",
    Severity.MEDIUM,
    "LinuxKit stops the build: '{0}'.",
    remedy="Write the capability as capabilities(7) does: in upper case, with CAP_ in front.",
    nist=("3.4.3",),
    about=is_parsed,
)
def unknown_capability(spec: Spec) -> Iterator[Verdict]:
    """A capability has a name that LinuxKit does not know."""
    yield from violations(spec, "capability")


def _way_out(container: Container, found: list[Way], variant: str, severity: Severity, profile: Profile) -> Verdict:
    evidence = tuple(f"or: {way.text}" for way in found[1:])
    keys = tuple(dict.fromkeys(key for way in found for key in way.keys))
    return _fail(
        container,
        keys,
        found[0].text.replace("'", ""),
        variant=variant,
        severity=severity,
        profile=profile,
        evidence=evidence,
    )


def _fail(
    container: Container,
    keys: tuple[Key, ...],
    argument: str,
    *,
    variant: str,
    severity: Severity | None = None,
    profile: Profile | None = None,
    evidence: tuple[str, ...] = (),
) -> Verdict:
    first, *related = where(container, keys)
    return fail(
        container.title,
        first.place,
        container.name,
        argument,
        note=first.note,
        related=related,
        variant=variant,
        evidence=(*evidence, *stand_in(container, keys)),
        severity=severity,
        profile=profile,
        confidence=confidence(container, keys),
    )


RULES = (all_capabilities, host_root_equivalent, unknown_capability)
