"""Two builds compared: what was changed, what follows from it, and what only the formats make."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..scanner.startup import late
from ..scanner.subjects import ImageReference, Place, Problem, System
from .builds import Build, Entry
from .container_differences import clipped, containers, exposures
from .contents import component
from .differences import Comparison, Difference, Judgement, changed, difference, ordered
from .engine import Finding, Severity
from .file_differences import CAPABILITY, Rules, files, hardening
from .file_trees import Trees, is_of_format, trees
from .kernel_differences import arguments, command_lines, kernels, settings, version
from .sysctls import applied

_FOLDER = late(r"containers/(?:(onboot|onshutdown)/\d{3}-|(services)/)([^/]+)/(.*)", re.DOTALL)
_CONFIGURATION = frozenset({"config.json", "runtime.json"})
_PINS = {"digest": 0, "content-tag": 0, "package": 1, "version-tag": 1, "dirty-tag": 1, "placeholder": 1}
"""How well a reference is pinned; what is not here (`latest`, no tag at all) is not."""
_DEPTH = 2
"""Slashes in the path of a container's folder."""

_NAMED = 3
_AROUND = "[boot] "
"""Before the paths of files that lie around the root file system."""


def compare(old: Build, new: Build) -> Comparison:
    """The differences of two builds; what could not be read of them is in `problems`."""
    comparison = Comparison(
        old.name, new.name, (_format(old.system), _format(new.system)), problems=(*old.problems, *new.problems)
    )
    if old.system is None or new.system is None:
        return comparison
    if (old.system.kind == "image") is not (new.system.kind == "image"):
        why = "an image and a spec are not compared like this; `lkscan IMAGE --spec SPEC` holds one against the other"
        return comparison._replace(problems=(*comparison.problems, Problem(new.system.place, why, "unusable")))
    apart: list[str] = []
    undecided: list[str] = []
    one_format = old.system.format == new.system.format
    before, after = trees(old), trees(new)
    changes = [
        *containers(old.system.containers, new.system.containers, undecided),
        *_references(old.system, new.system),
        *_volumes(old.system, new.system),
        *kernels((old, new), undecided),
        *command_lines(old.system, new.system, one_format=one_format, apart=apart),
        *settings(old.system, new.system),
        *_files(old, new, (before, after), apart, one_format=one_format),
    ]
    effects = [
        *exposures(old.system.containers, new.system.containers),
        *_sizes(before, after, new.system.place),
        *_findings(old, new, _lost(before, after), apart, one_format=one_format),
    ]
    return comparison._replace(
        changes=ordered(changes),
        effects=ordered(effects),
        apart=tuple(dict.fromkeys(apart)),
        undecided=tuple(undecided),
        systems=(old.system, new.system),
    )


def _format(system: System | None) -> str:
    if system is None:
        return "not read"
    return system.format if system.kind == "image" else f"LinuxKit {system.kind}"


# --- images and volumes of specs


def _references(old: System, new: System) -> Iterator[Difference]:
    """The images that are named, by role and name; those of containers by the container, which tells their tags."""
    before, after = _by_role(old.images), _by_role(new.images)
    titles = {one.image.place: one.title for system in (old, new) for one in system.containers if one.image}
    for key in sorted(before.keys() | after.keys()):
        first, second = before.get(key), after.get(key)
        one = second or first
        if one is None or (first and second and _pinned(first) == _pinned(second)):
            continue
        subject = titles.get(one.place, "kernel" if one.role == "kernel" else f"{one.role} {one.name}")
        if first and second:
            yield from _reference(subject, first, second)
        elif one.place not in titles:
            told = (clipped(_pinned(first)) if first else "", clipped(_pinned(second)) if second else "")
            reason = "One more image." if second else "One image less."
            yield difference("image", subject, "image", told, "neutral", reason, one.place)


def _by_role(images: Iterable[ImageReference]) -> dict[tuple[str, str, int], ImageReference]:
    """By role and name, and the number among those of the same; there is one kernel only, whatever its name."""
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, str, int], ImageReference] = {}
    for one in images:
        key = (one.role, "" if one.role == "kernel" else one.name)
        found[one.role, key[1], counts[key]] = one
        counts[key] += 1
    return found


def _pinned(one: ImageReference) -> str:
    """The reference, and the digest that this machine knows for it."""
    return f"{one.text} ({one.known})" if one.known else one.text


def _reference(subject: str, first: ImageReference, second: ImageReference) -> Iterator[Difference]:
    ranks = [_PINS.get(one.kind, 2) for one in (first, second)]
    verdict: Judgement = "worse" if ranks[1] > ranks[0] else "better" if ranks[1] < ranks[0] else "neutral"
    reason = {
        "worse": "It is pinned less firmly: what it names may change without the spec.",
        "better": "It is pinned more firmly: what it names changes only with the spec.",
        "neutral": "It is another image.",
    }[verdict]
    severity = Severity.MEDIUM if verdict == "worse" else Severity.NOTE
    told = clipped(_pinned(first)), clipped(_pinned(second))
    if first.role == "kernel" and verdict == "neutral" and first.name == second.name and first.tag and second.tag:
        one = version(subject, told[0], told[1], second.place)
        yield one._replace(area="image", what="image")
        return
    yield difference("image", subject, "image", told, verdict, reason, second.place, severity)


def _volumes(old: System, new: System) -> Iterator[Difference]:
    before, after = ({one.name: one for one in system.volumes} for system in (old, new))
    words = (
        {name: "read-only" if one.readonly else "writable" for name, one in some.items()} for some in (before, after)
    )
    for name, first, second in changed(*words):
        verdict: Judgement = "neutral"
        if first and second:
            verdict = "worse" if second == "writable" else "better"
        reason = {"worse": "It can be written to.", "better": "It can be read only."}.get(
            verdict, "One more volume." if second else "One volume less."
        )
        severity = Severity.LOW if verdict == "worse" else Severity.NOTE
        place = (after.get(name) or before[name]).place
        yield Difference("container", f"volumes/{name}", "volume", first, second, verdict, reason, place, severity)


# --- files and programs


def _files(
    old: Build, new: Build, both: tuple[Trees, Trees], apart: list[str], *, one_format: bool
) -> Iterator[Difference]:
    before, after = both
    sides = [dict(one.files) for one in both]
    if one_format:
        for side, one, build in zip(sides, both, (old, new), strict=True):
            layers = _layers(build)
            found = {f"{_AROUND}{path}": entry for path, entry in one.around.items()}
            side.update((path, entry) for path, entry in found.items() if entry.place.artifacts not in layers)
    else:
        _set_apart(sides, both, apart)
    told = _told(old.system, new.system) if old.system and new.system else lambda _: False
    if before.keeps_xattrs is not after.keeps_xattrs:
        apart.append(
            "File capabilities and other extended attributes are not compared: only one of the formats holds any."
        )
    if before.release != after.release and before.release and after.release:
        apart.append(f"Kernel modules are compared whatever their release, {before.release} or {after.release}.")
    programs: list[Difference] = []
    fell: set[str] = set()
    for path in sides[0].keys() & sides[1].keys():
        first, second = (
            build.programs.get(side[path].place.artifacts) for build, side in zip((old, new), sides, strict=True)
        )
        if first and second and first != second:
            some = list(hardening(path, first, second, sides[1][path]))
            fell |= {path} if some else set()
            programs += some
    keeps = before.keeps_xattrs and after.keeps_xattrs
    yield from programs
    yield from files(sides[0], sides[1], Rules(lambda path: path in fell or told(path), keeps))


def _layers(build: Build) -> frozenset[tuple[str, ...]]:
    """The files that are told of as what is in them: an initrd, a disk, a unified kernel image."""
    return frozenset(layer.place.artifacts for layer in build.system.layers) if build.system else frozenset()


def _set_apart(sides: list[dict[str, Entry]], both: tuple[Trees, Trees], apart: list[str]) -> None:
    """Take what only a format adds out of the sides, and say so; what else lies around the root is compared."""
    removed: dict[str, set[str]] = {}
    for number, (side, one) in enumerate(zip(sides, both, strict=True)):
        other = sides[1 - number]
        for path in [path for path in side if path not in other or path.startswith("boot/")]:
            if reason := is_of_format(path, around=False):
                removed.setdefault(reason, set()).add(path)
        for path, entry in one.around.items():
            if reason := is_of_format(path, around=True):
                removed.setdefault(reason, set()).add(path.rpartition(" / ")[2])
            else:
                side[f"{_AROUND}{path.rpartition(' / ')[2]}"] = entry
    for reason, paths in removed.items():
        for side in sides:
            for path in paths:
                side.pop(path, None)
        some = sorted(paths)
        more = f" and {len(some) - _NAMED} more" if len(some) > _NAMED else ""
        apart.append(f"Files: {', '.join(some[:_NAMED])}{more}: {reason}.")


def _told(old: System, new: System) -> Callable[[str], bool]:
    """What says whether another difference tells of a path: of a container, its configuration, settings, boot files."""
    titles = {one.title for one in (*old.containers, *new.containers)}
    moved = {one.title for one in old.containers} ^ {one.title for one in new.containers}
    before, after = (_booted(system) for system in (old, new))
    if arguments(old.command_lines) != arguments(new.command_lines):
        before, after = (
            names | {one.place.artifacts[-1] for one in system.command_lines}
            for names, system in ((before, old), (after, new))
        )
    both = before & after

    def is_told(path: str) -> bool:
        match = _FOLDER.fullmatch(f"{path}/" if path.count("/") == _DEPTH else path)
        title = f"{match[1] or match[2]}/{match[3]}" if match else ""
        if match and (title in moved or (title in titles and match[4] in _CONFIGURATION)):
            return True
        return path.removeprefix(_AROUND).rpartition(" / ")[2] in both

    return is_told


def _booted(system: System) -> frozenset[str]:
    """The paths of kernels, and of files of settings that somebody applies."""
    return frozenset(
        [one.place.artifacts[-1] for one in system.kernels]
        + [one.path for one in applied(system) if one.settings is not None]
    )


# --- effects


def _sizes(old: Trees, new: Trees, place: Place) -> Iterator[Difference]:
    """Components of another size, unpacked."""
    before, after = (_by_component(one.files) for one in (old, new))
    for name in sorted(before.keys() | after.keys()):
        first, second = before[name], after[name]
        if first != second:
            grown = second - first
            reason = f"{'+' if grown > 0 else '-'}{abs(grown):,} bytes."
            told = (f"{size:,} bytes" if size else "" for size in (first, second))
            yield difference("size", name, "size", told, "neutral", reason, place)


def _by_component(found: Mapping[str, Entry]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for path, one in found.items():
        if one.kind == "file" and one.size and not is_of_format(path, around=False):
            sizes[component(path)] += one.size
    return sizes


def _lost(before: Trees, after: Trees) -> frozenset[str]:
    """The paths of files with capabilities, where only one of the formats can hold them."""
    if before.keeps_xattrs is after.keeps_xattrs:
        return frozenset()
    keeping = before if before.keeps_xattrs else after
    return frozenset(path for path, one in keeping.files.items() if CAPABILITY in one.xattrs)


def _findings(
    old: Build, new: Build, lost: frozenset[str], apart: list[str], *, one_format: bool
) -> Iterator[Difference]:
    """Findings that are new, gone, or graver; those on what a format adds count only where both are of one.

    So with findings on files whose capabilities are `lost` in a format.
    """
    before, after = (_by_identity(build, one_format=one_format) for build in (old, new))
    for key in sorted(before.keys() | after.keys()):
        first, second = before.get(key), after.get(key)
        subject = key[1]
        if subject in lost and not (first and second):
            apart.append(f"Findings on {subject}, whose capabilities only one of the formats holds.")
            continue
        if first and second:
            if first.severity != second.severity:
                yield _graver(first, second)
        elif second:
            reason = second.rule.remedy
            told = "", clipped(second.message)
            yield difference(
                "finding", second.subject, _rule(second), told, "worse", reason, second.place, second.severity, second
            )
        elif first:
            told = clipped(first.message), ""
            yield difference("finding", first.subject, _rule(first), told, "better", "It is gone.", first.place)


def _graver(first: Finding, second: Finding) -> Difference:
    verdict: Judgement = "worse" if second.severity > first.severity else "better"
    reason = "It is graver now." if verdict == "worse" else "It is less grave now."
    told = (f"{one.severity}: {clipped(one.message)}" for one in (first, second))
    severity = second.severity if verdict == "worse" else Severity.NOTE
    finding = second if verdict == "worse" else None
    return difference("finding", second.subject, _rule(second), told, verdict, reason, second.place, severity, finding)


def _rule(finding: Finding) -> str:
    return f"{finding.rule.id} {finding.rule.name}"


def _by_identity(build: Build, *, one_format: bool) -> dict[tuple[str, ...], Finding]:
    """By rule, subject and key: what survives moved lines, rebuilt images, and another format."""
    found: dict[tuple[str, ...], Finding] = {}
    names = {} if one_format else _first_names(build)
    for one in build.findings:
        subject = names.get(one.subject, one.subject)
        if not one_format:
            artifacts = one.place.artifacts
            is_boot = len(artifacts) > 1 and is_of_format(artifacts[-1], around=True)
            family = one.rule.id[:3]
            if is_boot and family not in {"LKC", "LKK"}:
                continue
            subject = "kernel" if family in {"LKC", "LKK"} else subject
        found.setdefault((one.rule.id, re.sub(r"(?<=/)\d{3}-", "", subject), one.key), one)
    return found


def _first_names(build: Build) -> dict[str, str]:
    """Of files with several names the first in order: which of them the others lead to is the format's choice."""
    names: dict[str, set[str]] = {}
    for (_, path), entry in build.entries.items():
        if entry.kind == "hardlink":
            names.setdefault(entry.target, {entry.target}).add(path)
    return {name: min(some) for some in names.values() for name in some}
