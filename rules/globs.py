"""Path patterns: `*` within a name, `**` over folders."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def fits(path: str, pattern: str) -> bool:
    """Whether a relative path (with `/`) fits a pattern: `*`, `?`, `[...]` within a name, `**` for any folders.

    A pattern without `/` fits a file of that name in any folder; one that ends in `/`, all that is below that folder.
    `fnmatchcase` judges each name, as neither it nor `PurePath.match` (before Python 3.13) knows `**`; the time is
    bounded by the product of both lengths.
    """
    names = path.split("/")
    if "/" not in pattern:
        return fnmatchcase(names[-1], pattern)
    parts = f"{pattern}**".split("/") if pattern.endswith("/") else pattern.removeprefix("/").split("/")
    states = _skipping(parts, {0})
    for name in names:
        stay = {one for one in states if one < len(parts) and parts[one] == "**"}
        step = {one + 1 for one in states - stay if one < len(parts) and fnmatchcase(name, parts[one])}
        states = _skipping(parts, stay | step)
    return len(parts) in states


def _skipping(parts: Sequence[str], states: set[int]) -> set[int]:
    """The states with those behind each `**`, which may stand for no folder at all."""
    found = set(states)
    for one in sorted(states):
        here = one
        while here < len(parts) and parts[here] == "**":
            here += 1
            found.add(here)
    return found
