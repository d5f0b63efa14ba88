"""One finding for what many containers of a spec lack, with the list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from ..scanner.subjects import Container, System
from .engine import Verdict, fail, undecided
from .fixes import set_true
from .origins import doubtful_places, open_question, where


def has_containers(system: System) -> bool:
    """Whether there is a container to speak of."""
    return bool(system.containers)


def is_whole(system: System) -> bool:
    """Whether it has containers that run together: a package has one, and what it will run beside is not known."""
    return system.kind != "package" and bool(system.containers)


def has_services(system: System) -> bool:
    """Whether it is more than a package and has services."""
    return system.kind != "package" and any(one.section == "services" for one in system.containers)


def services(system: System) -> list[Container]:
    """Those of its containers that keep running."""
    return [one for one in system.containers if one.section == "services"]


def aggregated(
    system: System,
    containers: Iterable[Container],
    keys: tuple[str, ...],
    lacks: Callable[[Container], bool],
    *,
    parts: Mapping[str, Callable[[Container], bool]] | None = None,
    switch: str = "",
) -> Iterator[Verdict]:
    """One failure for all that lack something, at the first of them; those not fully known are left out and named.

    `keys` decide it, the one to point at first. The arguments are how many lack it, and of how many. `parts` says of
    whom what is true, for the evidence, where the lack has several. `switch` is the key that mends it, set to true.
    """
    everyone = list(containers)
    suspects = [one for one in everyone if lacks(one)]
    unknown = {one.title: doubt for one in suspects if (doubt := open_question(one, *keys))}

    def tell(found: list[Container]) -> Verdict:
        at, *related = [where(one, ((keys[0], None),))[0] for one in found]
        evidence = _listed(found, parts or {"Containers": lacks})
        if unknown:
            evidence.append(f"Not known of: {', '.join(unknown)}.")
        return fail(
            system.kind,
            at.place,
            *(str(len(found)), str(len(everyone))),
            note=at.note,
            related=related,
            evidence=evidence,
            members=[one.title for one in found],
            retold=lambda titles: tell([one for one in found if one.title in titles]),
            fix=set_true(found, switch) if switch else None,
        )

    if found := [one for one in suspects if one.title not in unknown]:
        yield tell(found)
    else:
        yield from left_open(system, suspects, len(everyone), *keys)


def left_open(system: System, containers: Iterable[Container], of: int, *keys: str) -> Iterator[Verdict]:
    """One undecided for all of whom it is not known what `keys` hold, with the reason of the first; `of` how many."""
    doubts = {one.title: (one, doubt) for one in containers if (doubt := open_question(one, *keys))}
    if doubts:
        first = next(iter(doubts.values()))[1]
        verdict = undecided(system.kind, system.place, f"{first} That is so of {len(doubts)} of {of} containers.")
        places = (place for one, _ in doubts.values() for place in doubtful_places(one))
        yield verdict._replace(locations=(*verdict.locations, *places))


def _listed(containers: list[Container], parts: Mapping[str, Callable[[Container], bool]]) -> list[str]:
    """What is true of whom, a line for all that is true of the same ones."""
    labels: dict[str, list[str]] = {}
    for label, test in parts.items():
        if titles := ", ".join(one.title for one in containers if test(one)):
            labels.setdefault(titles, []).append(label)
    return [f"{', '.join(found).capitalize()}: {titles}." for titles, found in labels.items()]
