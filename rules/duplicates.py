"""Family L: programs and libraries that several containers of an image bring, each for itself."""

from collections.abc import Iterator, Mapping

from ..scanner.ballast import Ballast, Copies
from ..scanner.startup import Any
from .engine import Location, Profile, Severity, Verdict, fail, rule, undecided

_SUBJECT = "containers"
_SHOWN = 5
"""Groups that are named, and containers of each."""


def _has_containers(ballast: Ballast) -> bool:
    return len(ballast.system.containers) > 1


@rule(
    "LKL014",
    "duplicate-program",
    Severity.NOTE,
    "Containers bring '{0}' programs and libraries that others bring, too: '{1}' bytes more than once.",
    remedy="Build one image for containers that have much in common: LinuxKit unpacks an image once for all of them.",
    nist=("3.5.1",),
    profile=Profile.AUDITOR,
    about=_has_containers,
    parameters={"bytes": 1 << 20},
)
def duplicate_program(ballast: Ballast, parameters: Mapping[str, Any]) -> Iterator[Verdict]:
    """Programs or libraries of the same content lie in the root file systems of several containers.

    Told once for an image, where they take more than so many `bytes`, unpacked, besides the first of each. Undecided in
    a squashfs or an EROFS, which can store the same content once.
    """
    least = parameters["bytes"]
    own = [one for one in ballast.copies if not one.may_share]
    shared = sum(one.saved for one in ballast.copies if one.may_share)
    if shared >= least:
        reason = f"Whether {shared:,} bytes of the same programs in several containers take any room can't be told"
        yield undecided(_SUBJECT, ballast.place, f"{reason}: their file system can store the same content once.")
    if (saved := sum(one.saved for one in own)) >= least:
        groups = sorted(own, key=lambda one: (-one.saved, one.places[0].artifacts))
        lines = [_line(one) for one in groups[:_SHOWN]]
        if rest := groups[_SHOWN:]:
            lines.append(f"and {len(rest):,} more, {sum(one.saved for one in rest):,} bytes")
        if ballast.in_memory(place for one in own for place in one.places):
            lines.append("They are unpacked into memory at boot.")
        first, *related = groups[0].places
        others = [Location(place, "the same") for place in related]
        arguments = f"{len(groups):,}", f"{saved:,}"
        yield fail(_SUBJECT, first, *arguments, related=others, evidence=lines)


def _line(one: Copies) -> str:
    """`bin/busybox: 4 times 820,000 bytes (onboot/000-sysctl, services/sshd, …)`."""
    paths = [place.artifacts[-1].split("/", 4) for place in one.places]
    names = [f"{section}/{name}" for _, section, name, *_ in paths[:_SHOWN]]
    more = [f"{len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return f"{paths[0][-1]}: {len(paths)} times {one.size:,} bytes ({', '.join([*names, *more])})"


RULES = (duplicate_program,)
