"""The same finding on the same file of several containers, told once: base images bring their files to all of them."""

import re
from collections.abc import Collection, Iterable, Mapping

from ..scanner.startup import late
from ..scanner.subjects import File
from .engine import Finding, Outcome, Verdict

_IN_CONTAINER = late(r"containers/([^/]+/[^/]+)/(?:rootfs|lower)/(.+)", re.DOTALL)
_NUMBER = late(r"(?<=^onboot)/\d{3}-|(?<=^onshutdown)/\d{3}-")
_NAMED = 10
"""Containers that the evidence names."""


def gathered(findings: Iterable[Finding]) -> list[Finding]:
    """The findings of one input in order, those that differ by the container only as one, in the place of the first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for number, finding in enumerate(findings):
        groups.setdefault(_likeness(finding) or (number,), []).append(finding)
    return [group[0] if len(group) == 1 else _one(group) for group in groups.values()]


def _likeness(finding: Finding) -> tuple[object, ...]:
    """What findings on copies of one file have in common; () for what is told alone."""
    if finding.rule.subject is not File or finding.outcome is not Outcome.FAIL:
        return ()
    found = _IN_CONTAINER.fullmatch(finding.subject)
    if not found or finding.arguments[:1] != (finding.subject,):
        return ()
    # all but the subject, the places and the first argument, which is the path
    return (
        finding.rule.id,
        found[2],
        *finding.arguments[1:],
        finding.variant,
        finding.key,
        finding.evidence,
        finding.severity,
        finding.confidence,
        finding.profile,
        finding.members,
    )


def _one(group: list[Finding]) -> Finding:
    """One finding for all; a directive may still silence those of single containers."""
    members: dict[str, Finding] = {}
    for finding in group:
        members[_member(finding, members)] = finding

    def told(chosen: Collection[str]) -> Verdict:
        some = [members[member] for member in chosen]
        first, *others = some
        verdict = Verdict(
            first.outcome,
            first.subject,
            first.locations,
            first.arguments,
            first.variant,
            first.reason,
            first.key,
            first.evidence,
            first.severity,
            first.confidence,
            first.profile,
            first.fix,
            first.members,
        )
        if not others:
            return verdict
        names = [_container(finding) for finding in others]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return verdict._replace(
            subject=f"containers/*/{_IN_CONTAINER.fullmatch(first.subject)[2]}",  # type: ignore[index]  # as it fits
            locations=tuple(location for finding in some for location in finding.locations),
            evidence=(*first.evidence, f"the same in {', '.join(names[:_NAMED])}{more}"),
            members=tuple(chosen),
        )

    return Finding.of(group[0].rule, told(members))._replace(retold=told)


def _container(finding: Finding) -> str:
    """`onboot/dhcp`, without the number that its place in the order gives it."""
    found = _IN_CONTAINER.fullmatch(finding.subject)
    return _NUMBER.sub("/", found[1]) if found else finding.subject


def _member(finding: Finding, known: Mapping[str, Finding]) -> str:
    """The container, and what the finding itself lists: to a baseline, either is news."""
    name = ": ".join((_container(finding), *finding.members))
    number, found = 1, name
    while found in known:
        number += 1
        found = f"{name} ({number})"
    return found
