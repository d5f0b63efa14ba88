"""What differs between the files of two builds: added, removed, changed by content, mode, owner or capabilities."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..scanner.startup import NamedTuple
from .builds import Entry
from .differences import Difference, Judgement, difference, judged
from .engine import Severity
from .tables import load

_SET_ID = stat.S_ISUID | stat.S_ISGID
CAPABILITY = "security.capability"
"""The extended attribute that gives whoever starts a program capabilities."""
_EXECUTABLE = 0o111


class Rules(NamedTuple):
    """What a comparison of files heeds.

    `is_told` of a path: whether another difference tells of it. `xattrs`: whether both sides hold extended attributes.
    """

    is_told: Callable[[str], bool]
    xattrs: bool


def files(old: Mapping[str, Entry], new: Mapping[str, Entry], rules: Rules) -> Iterator[Difference]:
    """The differences of two trees of files, by path; a file that only has another path is one that was renamed."""
    gone, come = (
        {path: one for path, one in some.items() if path not in other and (_privileges(one) or not rules.is_told(path))}
        for some, other in ((old, new), (new, old))
    )
    for before, after in _renamed(gone, come):
        yield _plain(after, "path", (before, after), "Only its path is another one.", come[after])
        del gone[before], come[after]
    for path, one in gone.items():
        yield from _gone(path, one, gone)
    for path, one in come.items():
        yield from _come(path, one, come, rules)
    for path, one in new.items():
        if path in old and old[path][:-1] != one[:-1]:
            yield from _changed(path, old[path], one, rules)


def _plain(path: str, what: str, values: Iterable[str], reason: str, entry: Entry) -> Difference:
    return difference("file", path, what, values, "neutral", reason, entry.place)


def _renamed(gone: Mapping[str, Entry], come: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    """Pairs of paths of the same file: its content is met just once on both sides, and all but the path is the same."""
    sides: list[dict[tuple[object, ...], list[str]]] = []
    for some in (gone, come):
        by_content: dict[tuple[object, ...], list[str]] = {}
        for path, one in some.items():
            if one.kind == "file" and one.size and one.digest:
                by_content.setdefault((*one[:7], tuple(one.xattrs.items())), []).append(path)
        sides.append(by_content)
    for content, paths in sides[0].items():
        others = sides[1].get(content, [])
        if len(paths) == len(others) == 1:
            yield paths[0], others[0]


def _holds(folder: str, paths: Mapping[str, Entry]) -> bool:
    """Whether one of the paths lies in the folder."""
    return any(path.startswith(f"{folder}/") for path in paths)


def _gone(path: str, one: Entry, gone: Mapping[str, Entry]) -> Iterator[Difference]:
    if one.kind == "dir" and _holds(path, gone):
        return
    if privileges := _privileges(one):
        reason = f"One program less that {_grants(one)}."
        yield Difference("file", path, "file", f"{_told(one)}, {privileges}", "", "better", reason, one.place)
    else:
        yield _plain(path, one.kind, (_told(one), ""), "Removed.", one)


def _come(path: str, one: Entry, come: Mapping[str, Entry], rules: Rules) -> Iterator[Difference]:
    if one.kind == "dir" and not _opened(one.mode) and _holds(path, come):
        return
    privileges = _privileges(one) if rules.xattrs or one.mode & _SET_ID else ""
    if privileges:
        reason = f"One more program that {_grants(one)}."
        told = f"{_told(one)}, {privileges}"
        yield Difference("file", path, "file", "", told, "worse", reason, one.place, Severity.MEDIUM)
    elif _opened(one.mode) and one.kind in {"file", "dir"}:
        reason = "Everybody may write to it."
        yield Difference("file", path, one.kind, "", _told(one), "worse", reason, one.place, Severity.LOW)
    elif one.kind in {"char", "block"}:
        reason = "One more device node."
        yield Difference("file", path, f"{one.kind} device", "", _told(one), "neutral", reason, one.place)
    else:
        yield _plain(path, one.kind, ("", _told(one)), "Added.", one)


def _changed(path: str, old: Entry, new: Entry, rules: Rules) -> Iterator[Difference]:
    """What is not the same of one path: its kind, its rights, or its content."""
    if old.kind != new.kind:
        yield _plain(path, "kind", (old.kind, new.kind), "It is something else now.", new)
        return
    if new.kind == "symlink":
        if old.target != new.target:
            yield _plain(path, "link", (old.target, new.target), "It leads elsewhere.", new)
        return
    if old.mode != new.mode:
        yield _mode(path, old, new)
    if (old.uid, old.gid) != (new.uid, new.gid):
        yield _owner(path, old, new)
    if rules.xattrs and old.xattrs != new.xattrs:
        yield from _attributes(path, old, new)
    if new.kind == "file" and not rules.is_told(path) and (old.size, old.digest) != (new.size, new.digest):
        reason = "Its content is another one." if old.digest and new.digest else "Its size is another one."
        if (old.digest and new.digest) or old.size != new.size:
            yield _plain(path, "content", (_content(old), _content(new)), reason, new)


def _mode(path: str, old: Entry, new: Entry) -> Difference:
    """Worse where it lets in more: a set-id bit, or others who write."""
    verdict = judged(*(_openness(one) for one in (old, new)))
    reasons: dict[Judgement, str] = {
        "worse": f"It {_grants(new)}." if new.mode & _SET_ID & ~old.mode else "More users may write to or read it.",
        "better": "It no longer runs as its owner or group." if old.mode & _SET_ID & ~new.mode else "Fewer users may.",
        "neutral": "Its rights are others.",
    }
    severity = Severity.MEDIUM if verdict == "worse" and new.mode & _SET_ID & ~old.mode else Severity.LOW
    told = (f"{one.mode:04o}" for one in (old, new))
    return difference(
        "file",
        path,
        "mode",
        told,
        verdict,
        reasons[verdict],
        new.place,
        severity if verdict == "worse" else Severity.NOTE,
    )


def _openness(one: Entry) -> float:
    """How much a mode lets in: set-id programs before what others may write before what others may read."""
    is_program = one.kind == "file" and bool(one.mode & _EXECUTABLE)
    set_id = (one.mode & _SET_ID).bit_count() if is_program else 0
    writable = 2 * bool(_opened(one.mode)) + bool(one.mode & stat.S_IWGRP)
    return 100 * set_id + 10 * writable + bool(one.mode & stat.S_IROTH)


def _opened(mode: int) -> bool:
    """Whether everybody may write, and nothing keeps them from each other's files."""
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _owner(path: str, old: Entry, new: Entry) -> Difference:
    told = (f"{one.uid}:{one.gid}" for one in (old, new))
    if new.mode & stat.S_ISUID and new.uid == 0 != old.uid and new.kind == "file":
        reason = "It runs as root now, whoever starts it."
        return difference("file", path, "owner", told, "worse", reason, new.place, Severity.MEDIUM)
    return _plain(path, "owner", told, "It belongs to somebody else.", new)


def _attributes(path: str, old: Entry, new: Entry) -> Iterator[Difference]:
    before, after = (capabilities(one.xattrs.get(CAPABILITY, "")) for one in (old, new))
    if before != after:
        verdict = judged(len(before), len(after)) if before < after or after < before else "worse"
        reason = {
            "worse": "Whoever starts it gains more capabilities.",
            "better": "Whoever starts it gains fewer capabilities.",
        }.get(verdict, "")
        held = (" ".join(sorted(some)) for some in (before, after))
        severity = Severity.MEDIUM if verdict == "worse" else Severity.NOTE
        yield difference("file", path, "file capabilities", held, verdict, reason, new.place, severity)
    others = [{name: one for name, one in some.xattrs.items() if name != CAPABILITY} for some in (old, new)]
    if others[0] != others[1]:
        told = (", ".join(sorted(some)) for some in others)
        yield _plain(path, "extended attributes", told, "They are others.", new)


def _privileges(one: Entry) -> str:
    """What starting a program gives whoever does: `set-user-id root`, file capabilities; "" where nothing."""
    if one.kind != "file":
        return ""
    told = []
    if one.mode & _EXECUTABLE:
        told += [f"set-user-id {one.uid or 'root'}"] if one.mode & stat.S_ISUID else []
        told += [f"set-group-id {one.gid or 'root'}"] if one.mode & stat.S_ISGID else []
    held = capabilities(one.xattrs.get(CAPABILITY, ""))
    return ", ".join([*told, *([" ".join(sorted(held))] if held else [])])


def _grants(one: Entry) -> str:
    who = f"user {one.uid}" if one.uid else "root"
    group = f"group {one.gid}" if one.gid else "group root"
    if one.mode & stat.S_ISUID:
        return f"runs as {who}, whoever starts it"
    return (
        f"runs as {group}, whoever starts it" if one.mode & stat.S_ISGID else "gives capabilities to whoever starts it"
    )


def capabilities(value: str) -> frozenset[str]:
    """The capabilities that `security.capability` (in hexadecimal digits) permits; those without a name by number.

    linux/capability.h: a revision and flags, then permitted and inheritable sets in words of 32 bits, the low ones
    first.
    """
    try:
        data = bytes.fromhex(value)
    except ValueError:
        return frozenset({"unreadable"})
    if not data:
        return frozenset()
    words = [int.from_bytes(data[at : at + 4], "little") for at in (4, 12) if at + 4 <= len(data)]
    held = sum(word << 32 * number for number, word in enumerate(words))
    names = [*load("capabilities")["first"], *load("capabilities")["since"]]
    bits = [number for number in range(64) if held >> number & 1]
    return frozenset(names[bit] if bit < len(names) else f"capability {bit}" for bit in bits)


def _told(one: Entry) -> str:
    """What it is, in a few words."""
    if one.kind == "symlink":
        return f"-> {one.target}"
    return f"{one.size:,} bytes" if one.kind == "file" else f"{one.mode:04o} {one.uid}:{one.gid}"


def _content(one: Entry) -> str:
    digest = f", sha256 {one.digest[:12]}" if one.digest else ""
    return f"{one.size:,} bytes{digest}"


# --- hardening

_BAD: Mapping[str, Mapping[str, float]] = {
    "relro": {"none": 2, "partial": 1, "full": 0, "static": 0},
    "nx": {"no": 1, "yes": 0},
    "pie": {"no": 1, "pie": 0, "static-pie": 0, "dso": 0},
    "rwx": {"yes": 1, "no": 0},
    "textrel": {"yes": 1, "no": 0},
    "packed": {"yes": 1, "no": 0},
}
"""How bad a value is; of other properties `no` is worse than `partial` and `yes`."""

_ASKED = (
    "relro",
    "nx",
    "pie",
    "rwx",
    "textrel",
    "canary",
    "fortify",
    "cet",
    "ibt",
    "shstk",
    "bti",
    "pac",
    "stack_clash",
    "packed",
)
"""The properties that make a program harder or easier to attack, in the order in which they are told."""

_YES = {"no": 1.0, "partial": 0.5, "yes": 0.0}


def hardening(path: str, old: Mapping[str, str], new: Mapping[str, str], entry: Entry) -> Iterator[Difference]:
    """What became of the hardening of a program; what is not decided on both sides is left out."""
    better: list[tuple[str, str, str]] = []
    worse: list[tuple[str, str, str]] = []
    for name in _ASKED:
        ranks = _BAD.get(name, _YES)
        before, after = old.get(name, ""), new.get(name, "")
        if before in ranks and after in ranks and ranks[before] != ranks[after]:
            (worse if ranks[after] > ranks[before] else better).append((name, before, after))
    for verdict, some in (("worse", worse), ("better", better)):
        if some:
            told = (", ".join(f"{name} {pair[number]}" for name, *pair in some) for number in (0, 1))
            fell: Judgement = "worse" if verdict == "worse" else "better"
            reason = (
                "Bugs of it are easier to use for attacks."
                if fell == "worse"
                else "Bugs of it are harder to use for attacks."
            )
            severity = Severity.LOW if fell == "worse" else Severity.NOTE
            yield difference("program", path, "hardening", told, fell, reason, entry.place, severity)
