"""What the reports on two builds have in common: the order of things, and how values are put."""

from __future__ import annotations

from collections.abc import Sequence

from ..rules.differences import AREAS, Comparison, Difference, Judgement
from ..scanner.startup import NamedTuple

HEADINGS: dict[Judgement, str] = {
    "worse": "Worse",
    "better": "Better",
    "neutral": "Neither better nor worse",
}
"""What differences are told under."""


class Part(NamedTuple):
    """Differences of one judgement and area: so many are told, `left` are only counted."""

    judgement: Judgement
    heading: str
    differences: Sequence[Difference]
    left: int


def parts(comparison: Comparison, most: int) -> list[Part]:
    """All differences, the worse ones first; of a judgement and area at most so many, but of the worse ones all."""
    found: list[Part] = []
    everything = (*comparison.changes, *comparison.effects)
    for judgement in HEADINGS:
        for area, heading in AREAS.items():
            some = [one for one in everything if (one.judgement, one.area) == (judgement, area)]
            shown = some if judgement == "worse" else some[:most]
            if some:
                found.append(Part(judgement, heading, shown, len(some) - len(shown)))
    return found


def values(one: Difference) -> str:
    """`old → new`; what was not there is `none`."""
    return f"{one.old or 'none'} → {one.new or 'none'}"


def summary(comparison: Comparison) -> str:
    """`3 worse, 1 better, 12 neither`, or that there is no difference, or was no comparison."""
    if not comparison.systems:
        return "Not compared."
    told = [f"{comparison.count(one):,} {word}" for one, word in _WORDS if comparison.count(one)]
    return f"{', '.join(told)}." if told else "No difference."


_WORDS: tuple[tuple[Judgement, str], ...] = (("worse", "worse"), ("better", "better"), ("neutral", "neither"))
