"""The baseline: findings that were there when it was recorded, and which of today's are among them."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product

from ..scanner.startup import NamedTuple
from .engine import Finding, Severity

_STDIN = "-"


class Entry(NamedTuple):
    """A finding that was accepted. Only `fingerprint`, `severity`, `members` and `path` decide; the rest is for people.

    `path` is where it was last seen, from the baseline's folder; `reason`, why it is accepted, may be "".
    """

    path: str
    rule: str
    name: str
    severity: Severity
    subject: str
    fingerprint: str
    message: str
    reason: str = ""
    members: tuple[str, ...] = ()


class Baseline(NamedTuple):
    """The accepted findings, once for each time they were found.

    `home` is the absolute folder that the paths of entries start from; `gone` are those at which nothing is any more.
    """

    entries: tuple[Entry, ...]
    home: str
    gone: frozenset[str] = frozenset()

    def path(self, artifact: str) -> str:
        """The path of an input, as entries have it."""
        try:
            return artifact if artifact == _STDIN else os.path.relpath(artifact, self.home)
        except OSError:  # the folder we are in was removed
            return artifact

    def entry(self, finding: Finding, reason: str = "") -> Entry:
        """What is written down of a finding."""
        return Entry(
            self.path(finding.place.artifacts[0]),
            finding.rule.id,
            finding.rule.name,
            finding.severity,
            finding.subject,
            finding.fingerprint,
            finding.message,
            reason,
            finding.members,
        )


class Comparison(NamedTuple):
    """What came of a baseline.

    `kept` are the entries that still stand, brought up to date; `stale` those whose finding is no longer there.
    `unseen` counts, among the kept, those that this run cannot judge: their input was not read, or not whole, or their
    rule was not run.
    """

    kept: tuple[Entry, ...]
    stale: tuple[Entry, ...]
    unseen: int


def compare(
    baseline: Baseline, findings: Sequence[Finding], read: Iterable[str], broken: Iterable[str], rules: Collection[str]
) -> tuple[Mapping[int, Entry], Comparison]:
    """The entry that accepts each finding, by the finding's index; and what that makes of the baseline.

    An entry accepts one finding of its fingerprint that is no worse than it. It serves its own file first. If that
    was not read it may serve another, where it is likely that the file was renamed: when its path is gone, or when
    the baseline knows nothing of the other. `read` are the inputs that were read, `broken` those not read, or not
    whole, `rules` the ids of the rules that were run.
    """
    broken = {baseline.path(one) for one in broken}
    here = {baseline.path(one) for one in read} | broken
    pools = _Pools(baseline, here)
    found: dict[int, int] = {}
    # What did not change at all comes first, then the worst: so no entry is spent on what a lesser one could accept.
    for exact in (True, False):
        for index in sorted(range(len(findings)), key=lambda index: -findings[index].severity):
            path = baseline.path(findings[index].place.artifacts[0])
            if index not in found and (number := pools.take(findings[index], path, exact=exact)) is not None:
                found[index] = number
    whole = here - broken
    used = {number: index for index, number in found.items()}
    kept: list[Entry] = []
    stale: list[Entry] = []
    for number, entry in enumerate(baseline.entries):
        if number in used:
            kept.append(baseline.entry(findings[used[number]], entry.reason))
        elif entry.rule in rules and entry.path in whole | baseline.gone:
            stale.append(entry)
        else:
            kept.append(entry)
    accepted = {index: baseline.entries[number] for index, number in found.items()}
    return accepted, Comparison(tuple(kept), tuple(stale), len(kept) - len(used))


class _Pools:
    """The entries that are not spent yet, by whom they may serve, fingerprint and severity."""

    def __init__(self, baseline: Baseline, here: Collection[str]) -> None:
        self._entries = baseline.entries
        self._known = {entry.path for entry in baseline.entries}
        self._pools: dict[tuple[str, str, str, int], list[int]] = {}
        for number, entry in enumerate(baseline.entries):
            scope = "own" if entry.path in here else "gone" if entry.path in baseline.gone else "elsewhere"
            path = entry.path if scope == "own" else ""
            self._pools.setdefault((scope, path, entry.fingerprint, entry.severity), []).append(number)

    def take(self, finding: Finding, path: str, *, exact: bool) -> int | None:
        """Spend the least severe entry that accepts it, or only one of its very severity and members; None: none."""
        scopes = [("own", path), ("gone", "")] + ([] if path in self._known else [("elsewhere", "")])
        severities = (finding.severity,) if exact else range(finding.severity, Severity.CRITICAL + 1)
        fingerprint, members = finding.fingerprint, frozenset(finding.members)
        for scope, severity in product(scopes, severities):
            pool = self._pools.get((*scope, fingerprint, severity), [])
            for place, number in enumerate(pool):
                accepted = frozenset(self._entries[number].members)
                if members == accepted if exact else members <= accepted:
                    return pool.pop(place)
        return None
