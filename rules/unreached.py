"""Family L, with evidence: programs and libraries of a container that nothing reaches which it starts."""

from collections.abc import Iterator

from ..scanner.reached import Unreached
from .engine import Confidence, Profile, Severity, Verdict, fail, rule, undecided

_SHOWN = 5
"""Files that are named, and reasons."""


def _has_programs(found: Unreached) -> bool:
    return found.programs > 0


@rule(
    "LKL012",
    "unreached-program",
    Severity.LOW,
    "Nothing that container '{0}' starts reaches '{1}' of its '{2}' programs and libraries: '{3}' bytes.",
    remedy="Leave them out: copy only the program and what it loads into an image that starts from scratch.",
    nist=("3.5.1", "3.1.2"),
    profile=Profile.PEDANTIC,
    confidence=Confidence.MEDIUM,
    about=_has_programs,
)
def unreached_program(found: Unreached) -> Iterator[Verdict]:
    """A container brings programs or libraries that its command does not lead to, however far it is followed.

    Asked with --evidence only. Undecided where more may run than is told: a shell without a script, an interpreter.
    """
    container = found.container
    if found.gaps:
        more = len(found.gaps) - _SHOWN
        reasons = "; ".join(found.gaps[:_SHOWN]) + (f"; and {more} more reasons" if more > 0 else "")
        reason = f"What container '{container.name}' never runs can't be told: {reasons}."
        yield undecided(container.title, container.place, reason)
    elif found.files:
        yield fail(
            container.title,
            container.place,
            container.name,
            f"{len(found.files):,}",
            f"{found.programs:,}",
            f"{found.size:,}",
            evidence=_lines(found),
        )


def _lines(found: Unreached) -> Iterator[str]:
    """The largest files, the rest in one line, and where all that lies as the system runs."""
    for path, size in found.files[:_SHOWN]:
        yield f"/{path}: {size:,} bytes"
    if rest := found.files[_SHOWN:]:
        yield f"{len(rest):,} more: {sum(size for _, size in rest):,} bytes"
    if found.seen_by:
        yield f"They are seen, and may be started by hand, from {', '.join(found.seen_by)}."
    if found.is_in_memory:
        yield "They are unpacked into memory on every machine, whether or not the container runs."


RULES = (unreached_program,)
