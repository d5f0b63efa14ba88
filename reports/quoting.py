"""Which lines of specs reports may quote, and the fingerprints of lines that findings point at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..rules import secrets
from ..rules.engine import Finding, Location, Outcome
from ..rules.funnel import Result
from ..scanner.startup import Any
from ..scanner.subjects import Place, Spec
from .linehash import line_hashes

_SECRETS = "LKX"
"""The family whose findings are about secrets."""

_ODD_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Line breaks to YAML, but to no editor: lines cannot be told apart reliably."""

Lines = Mapping[str, Mapping[int, str]]
"""Lines of specs by path and number."""


def in_text(place: Place) -> bool:
    """Whether it is in an input that is a text, at lines that are known."""
    return len(place.artifacts) == 1 and place.span is not None


def primary(finding: Finding) -> Location:
    """The location to show first: one in a spec, which a reader can open and mend, before one in an image."""
    if finding.origin and len(finding.origin.place.artifacts) == 1:
        return finding.origin
    return next((one for one in finding.locations if in_text(one.place)), finding.locations[0])


def may_quote(finding: Finding) -> bool:
    """Not what LinuxKit refuses: a secret may stand there that no rule about secrets understood."""
    return finding.rule.subject is not Spec


def lines(result: Result) -> Lines:
    """The specs that may be quoted: those that every rule about secrets has searched in vain.

    Nor where something in a place that no rule looks at, such as a command, may be a secret. Of a result that was read
    back there are the lines that its findings point at.
    """
    if result.told is not None:
        kept: Lines = result.told.lines
        return kept
    if not {rule.id for rule in secrets.RULES} <= {rule.id for rule in result.rules}:
        return {}
    told = {
        location.place.artifacts[-1]
        for finding in _all(result)
        if finding.rule.id.startswith(_SECRETS) and finding.outcome in {Outcome.FAIL, Outcome.PARTIAL}
        for location in finding.everywhere
    }
    return {
        name: dict(enumerate(re.split("\r\n|\r|\n", text), 1))
        for name, text in result.texts.items()
        if name not in told and not _ODD_BREAKS.search(text) and not secrets.looks_secret(text)
    }


def hashes(result: Result) -> Mapping[tuple[str, int], str]:
    """GitHub's fingerprint of every line of a spec, by path and number, that a finding or open verdict points at."""
    if result.told is not None:
        kept: Mapping[tuple[str, int], str] = result.told.hashes
        return kept
    wanted: dict[str, set[int]] = {}
    for finding in _all(result) if result.texts else ():
        place = primary(finding).place
        if in_text(place) and place.span and place.artifacts[0] in result.texts:
            wanted.setdefault(place.artifacts[0], set()).add(place.span.line)
    return {
        (name, line): value
        for name, numbers in wanted.items()
        for line, value in line_hashes(result.texts[name], numbers).items()
    }


def sources(result: Result) -> dict[str, dict[str, Any]]:
    """What a saved report keeps of specs: `hashes` of the lines that are pointed at, and `lines`, where they may be."""
    found: dict[str, dict[str, Any]] = {name: {"hashes": {}, "lines": {}} for name in lines(result)}
    for (name, number), value in hashes(result).items():
        found.setdefault(name, {"hashes": {}, "lines": None})["hashes"][str(number)] = value
    quotable = lines(result)
    for finding in _all(result):
        place = primary(finding).place
        if in_text(place) and place.span and may_quote(finding) and place.artifacts[0] in quotable:
            known = quotable[place.artifacts[0]]
            for number in range(place.span.line, place.span.end_line + 1):
                if number not in known:
                    break
                found[place.artifacts[0]]["lines"][str(number)] = known[number]
    return found


def _all(result: Result) -> Iterator[Finding]:
    yield from (*result.findings, *result.others, *result.proofs)
    yield from (one.finding for one in (*result.suppressed, *result.baselined))
