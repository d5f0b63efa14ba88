"""What a comparison of two builds is made of: differences, each with a judgement and its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..scanner.startup import Literal, NamedTuple
from ..scanner.subjects import Place, Problem, System
from .engine import Finding, Severity

Judgement = Literal["worse", "better", "neutral"]
"""Whether the new build is less secure by it, more, or neither."""

ORDER: Mapping[Judgement, int] = {"worse": 0, "better": 1, "neutral": 2}
"""What is told first."""

AREAS: Mapping[str, str] = {
    "container": "Containers",
    "image": "Images",
    "kernel": "Kernel",
    "cmdline": "Command line",
    "setting": "Kernel settings",
    "file": "Files",
    "program": "Programs",
    "exposure": "Exposure",
    "size": "Sizes",
    "finding": "Findings",
}
"""Areas of differences, in the order in which they are told, and their headings; from `exposure` on they are effects:
what follows from the others."""


class Difference(NamedTuple):
    """One thing that is not in both builds as it is.

    `subject` is what it is about (`services/sshd`, `usr/bin/su`), `what` the property that differs ("capability
    CAP_SYS_ADMIN"), `old` and `new` its values, "" where there is none. `reason` is a sentence. `place` is in the new
    build, or in the old one for what is gone. `severity` is NOTE unless it is worse. `finding` is there where the
    difference is that a finding is new.
    """

    area: str
    subject: str
    what: str
    old: str
    new: str
    judgement: Judgement
    reason: str
    place: Place
    severity: Severity = Severity.NOTE
    finding: Finding | None = None


def difference(  # noqa: PLR0917 - the fields of one
    area: str,
    subject: str,
    what: str,
    values: Iterable[str],
    judgement: Judgement,
    reason: str,
    place: Place,
    severity: Severity = Severity.NOTE,
    finding: Finding | None = None,
) -> Difference:
    """One whose old and new value are at hand as a pair."""
    old, new = values
    return Difference(area, subject, what, old, new, judgement, reason, place, severity, finding)


class Comparison(NamedTuple):
    """All that a report on two builds is made of, in order.

    `old` and `new` are the names of the builds, as the user gave them, and `formats` what each is; `systems` are what
    was read of them, none where that could not be. `changes` are what
    was changed, `effects` what follows from that. `apart` are differences that the formats alone make, as sentences;
    `undecided` what could not be compared, with the reason.
    """

    old: str
    new: str
    formats: tuple[str, str]
    changes: tuple[Difference, ...] = ()
    effects: tuple[Difference, ...] = ()
    apart: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    systems: tuple[System, ...] = ()

    @property
    def regressions(self) -> tuple[Difference, ...]:
        """What got worse."""
        return tuple(one for one in (*self.changes, *self.effects) if one.judgement == "worse")

    def count(self, judgement: Judgement) -> int:
        """How many changes and effects are judged so."""
        return sum(one.judgement == judgement for one in (*self.changes, *self.effects))


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(key, old value, new value) of what is not the same in both, "" where there is none, in the order of keys."""
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, ""), new.get(key, "")
        if before != after:
            yield key, before, after


def judged(before: float, after: float) -> Judgement:
    """By how dangerous it was and is."""
    return "worse" if after > before else "better" if after < before else "neutral"


def ordered(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """By area, and in each the worst first."""
    areas = list(AREAS)
    return tuple(
        sorted(
            differences,
            key=lambda one: (areas.index(one.area), ORDER[one.judgement], -one.severity, one.subject, one.what),
        )
    )
