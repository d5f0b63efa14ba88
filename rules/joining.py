"""One result out of several: of the same run, each for the inputs that were judged alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..scanner.subjects import Place, Problem
from .funnel import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")
    _S = TypeVar("_S")


def join(parts: Sequence[Result], order: Iterable[str], problems: Sequence[Problem] = ()) -> Result:
    """The parts together, by the order of the inputs' paths, with problems that belong to no part.

    Where the parts were not judged by the same rules about secrets, no text is quoted: some may not have seen it.
    """
    place: dict[str, int] = {}
    for number, path in enumerate(order):
        place.setdefault(path, number)

    def ordered(found: Iterable[_T], of: Callable[[_T], Place]) -> tuple[_T, ...]:
        return tuple(sorted(found, key=lambda one: place.get(of(one).artifacts[0], len(place))))

    alike = len({frozenset(rule.id for rule in part.rules if rule.id.startswith("LKX")) for part in parts}) <= 1
    return Result(
        findings=ordered((one for part in parts for one in part.findings), lambda one: one.place),
        others=ordered((one for part in parts for one in part.others), lambda one: one.place),
        not_applicable=_summed(part.not_applicable for part in parts),
        suppressed=ordered((one for part in parts for one in part.suppressed), lambda one: one.finding.place),
        hidden=sum(part.hidden for part in parts),
        problems=ordered(
            dict.fromkeys((*problems, *(one for part in parts for one in part.problems))), lambda one: one.place
        ),
        systems=ordered((one for part in parts for one in part.systems), lambda one: one.place),
        tally=_summed(part.tally for part in parts),
        texts={name: text for part in parts for name, text in part.texts.items()} if alike else {},
        rules=tuple({rule.id: rule for part in parts for rule in part.rules}.values()),
        quiet=ordered((one for part in parts for one in part.quiet), lambda one: one.place),
        promised=tuple(dict.fromkeys(one for part in parts for one in part.promised)),
        tallies=dict(
            sorted(
                (pair for part in parts for pair in part.tallies.items()),
                key=lambda pair: place.get(pair[0][0], len(place)),
            )
        ),
        proofs=ordered((one for part in parts for one in part.proofs), lambda one: one.place),
        contents=ordered((one for part in parts for one in part.contents), lambda one: one.place),
    )


def _summed(counts: Iterable[Mapping[tuple[str, _S], int]]) -> dict[tuple[str, _S], int]:
    total: Counter[tuple[str, _S]] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items(), key=lambda item: (item[0][0], str(item[0][1]))))
