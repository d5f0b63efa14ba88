"""Family L: programs and libraries with symbols that only debuggers read."""

from collections.abc import Iterator, Mapping

from ..scanner.ballast import Ballast
from ..scanner.startup import Any
from .engine import Profile, Severity, Verdict, fail, rule

_SHOWN = 5
"""Files that are named."""


def _has_programs(ballast: Ballast) -> bool:
    return ballast.system.binaries > 0


@rule(
    "LKL015",
    "unstripped-program",
    Severity.NOTE,
    "'{0}' of '{1}' programs and libraries hold symbols and what debuggers read: '{2}' bytes that nothing loads.",
    remedy="Strip them as they are built (`strip`, `go build -ldflags='-s -w'`), and keep the symbols elsewhere.",
    nist=("3.5.1",),
    profile=Profile.AUDITOR,
    about=_has_programs,
    parameters={"bytes": 1 << 20},
)
def unstripped_program(ballast: Ballast, parameters: Mapping[str, Any]) -> Iterator[Verdict]:
    """Programs or libraries are not stripped: their symbols and debugging information are in the image, and never used.

    Told once for an image, where they take more than so many `bytes`, unpacked.
    """
    size = sum(one for _, one in ballast.symbols)
    if size >= parameters["bytes"]:
        found = sorted(ballast.symbols, key=lambda one: (-one[1], one[0].artifacts))
        lines = [f"{place.artifacts[-1]}: {one:,} bytes" for place, one in found[:_SHOWN]]
        if rest := found[_SHOWN:]:
            lines.append(f"and {len(rest):,} more, {sum(one for _, one in rest):,} bytes")
        if ballast.in_memory(place for place, _ in found):
            lines.append("They are unpacked into memory at boot.")
        arguments = f"{len(found):,}", f"{ballast.system.binaries:,}", f"{size:,}"
        yield fail("programs", found[0][0], *arguments, evidence=lines)


RULES = (unstripped_program,)
