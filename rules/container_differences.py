"""What differs between the containers of two builds: privileges, namespaces, mounts, limits, what is started."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..scanner.subjects import Container, Place
from .container_aspects import ASPECTS, MOUNTS, Aspect
from .differences import Difference, changed, difference, judged
from .engine import Severity
from .exposure import Exposure, exposure
from .origins import is_set
from .secrets import looks_secret
from .tables import load

_SHOWN = 200
"""Characters of a value that are told."""

_WITHIN_REACH = frozenset({"UNSAFE", "EXPOSED"})
"""Words for an exposure with which the host is within reach."""

_RO = re.compile(r"(?<=[(,])(?:ro|rw),|,(?:ro|rw)(?=\))")


def containers(old: Iterable[Container], new: Iterable[Container], undecided: list[str]) -> Iterator[Difference]:
    """Containers that came, went or changed; what cannot be compared is added to `undecided`."""
    before, after = {one.title: one for one in old}, {one.title: one for one in new}
    for title in sorted(before.keys() | after.keys()):
        if title not in after:
            yield _gone(before[title])
        elif title not in before:
            yield _come(after[title])
        else:
            yield from _changed(before[title], after[title], undecided)
    yield from _reordered(before, after)


def exposures(old: Iterable[Container], new: Iterable[Container]) -> Iterator[Difference]:
    """Containers of both builds whose exposure is another one."""
    before = {one.title: one for one in old}
    for one in new:
        if one.title not in before:
            continue
        first, second = exposure(before[one.title]), exposure(one)
        if (first.score is None) is not (second.score is None) or first.at_least == second.at_least:
            continue
        verdict = judged(first.at_least, second.at_least)
        were, are = ({item.label for item in score.items if item.bad} for score in (first, second))
        reason = {
            "worse": f"It is exposed by more: {', '.join(sorted(are - were))}.",
            "better": f"It is exposed by less: {', '.join(sorted(were - are))}.",
        }.get(verdict, "")
        severity = Severity.MEDIUM if verdict == "worse" else Severity.NOTE
        told = map(_score, (first, second))
        yield difference("exposure", one.title, "exposure", told, verdict, reason, one.place, severity)


def _score(score: Exposure) -> str:
    """`9.2 UNSAFE`; what is certain of it, where an unknown label could change it."""
    return f"{score.score} {score.word}" if score.score is not None else f"at least {score.at_least} {score.word}"


def _come(one: Container) -> Difference:
    score = exposure(one)
    values = "", f"exposure {_score(score)}"
    if score.word in _WITHIN_REACH:
        reason = "One more container from which the host is within reach."
        return difference("container", one.title, "container", values, "worse", reason, one.place, Severity.MEDIUM)
    return difference("container", one.title, "container", values, "neutral", "One more container.", one.place)


def _gone(one: Container) -> Difference:
    score = exposure(one)
    values = f"exposure {_score(score)}", ""
    if score.word in _WITHIN_REACH:
        reason = "One container less from which the host is within reach."
        return difference("container", one.title, "container", values, "better", reason, one.place)
    return difference("container", one.title, "container", values, "neutral", "One container less.", one.place)


def _changed(old: Container, new: Container, undecided: list[str]) -> Iterator[Difference]:
    if bool(old.error) != bool(new.error):
        yield _refusal(old, new)
        return
    unknown = [] if _same_label(old, new) else [one for one in (old, new) if one.label.kind == "unknown"]
    open_keys: dict[str, None] = {}
    for aspect in ASPECTS:
        if all(is_set(one, key) for one in unknown for key in aspect.keys):
            yield from _aspect(aspect, old, new)
        else:
            open_keys.update(dict.fromkeys(aspect.keys))
    if open_keys:
        images = " and ".join(dict.fromkeys(f"'{one.image.text}'" for one in unknown if one.image)) or "its image"
        undecided.append(f"{new.title}: the label of {images} is not known; {', '.join(open_keys)} may come from it.")


def _refusal(old: Container, new: Container) -> Difference:
    """LinuxKit builds one of the two only."""
    told = ["refused" if one.error else "built" for one in (old, new)]
    if new.error:
        reason, severity = f"LinuxKit does not build it: {new.error}", Severity.MEDIUM
        return difference("container", new.title, "build", told, "worse", reason, new.place, severity)
    return difference("container", new.title, "build", told, "better", "LinuxKit builds it again.", new.place)


def _same_label(old: Container, new: Container) -> bool:
    """Whether what is not known of both labels is the same, as it is of one image."""
    return old.image is not None and new.image is not None and old.image.text == new.image.text


def _aspect(aspect: Aspect, old: Container, new: Container) -> Iterator[Difference]:
    for key, before, after in changed(aspect.read(old), aspect.read(new)):
        if aspect.what == MOUNTS and _follows(old, new, before, after):
            continue
        verdict = judged(aspect.danger(key, before), aspect.danger(key, after))
        reason = {"worse": aspect.worse, "better": aspect.better}.get(verdict, "").format(_gain(key))
        severity = aspect.severity if verdict == "worse" else Severity.NOTE
        told, place = _told(aspect, before, after), _line(new, aspect, key)
        yield difference("container", new.title, aspect.what.format(key), told, verdict, reason, place, severity)


def _line(one: Container, aspect: Aspect, key: str) -> Place:
    """Where the spec, or the label, sets the value of that key."""
    if not aspect.keys:
        return one.place
    first, item = aspect.keys[0], key.partition(" ")[0]
    return (one.origin(first, item) if f"{first}:{item}" in one.origins else one.origin(first)).place


def _follows(old: Container, new: Container, before: str, after: str) -> bool:
    """Whether a mount of LinuxKit's own is read-only, or no more, because the root file system is."""
    is_own = bool(before and after) and not before.startswith("bind") and not after.startswith("bind")
    return is_own and old.readonly is not new.readonly and _RO.sub("", before) == _RO.sub("", after)


def _told(aspect: Aspect, before: str, after: str) -> tuple[str, str]:
    """The values as they may be shown: nothing that may be a secret, and no flood."""
    if aspect.is_hidden:
        return ("set" if before else "", ("set to something else" if before else "set") if after else "")
    return clipped(before), clipped(after)


def clipped(text: str) -> str:
    """A value for people; "(not shown …)" where something in it may be a secret."""
    if looks_secret(text):
        return "(not shown: it may hold a secret)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _reordered(before: Mapping[str, Container], after: Mapping[str, Container]) -> Iterator[Difference]:
    """Containers that are started one after another, and now in another order."""
    for section in ("onboot", "onshutdown"):
        old, new = (
            [one for one in some.values() if one.section == section and one.title in before.keys() & after.keys()]
            for some in (before, after)
        )
        lists = [[one.name for one in sorted(some, key=lambda one: one.index)] for some in (old, new)]
        if lists[0] != lists[1] and sorted(lists[0]) == sorted(lists[1]):
            told = (", ".join(names)[:_SHOWN] for names in lists)
            reason = "They are started in another order."
            yield difference("container", section, "order", told, "neutral", reason, new[0].place)


def _gain(key: str) -> str:
    """What a capability gives an attacker; of other keys, the key."""
    rows = {row["capability"]: str(row["gain"]) for row in load("capabilities")["dangerous"]}
    rows["CAP_SYS_MODULE"] = "load code into the kernel"
    return rows.get(key, f"use {key}" if key.startswith("CAP_") else key)
