"""SARIF's results: findings with places, links, fingerprints and fixes; on request what else came of the rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import sarif_om as om

from ..rules.engine import Finding, Location, Outcome, Rule
from ..rules.funnel import Result
from .grouping import inside, telling
from .linehash import line_hashes
from .mending import replacements
from .printable import encodable, printable
from .sarif_places import Places, whole
from .sarif_rules import LEVELS

_LINKS = 5
"""Related locations that a message links to; the others are there without a link."""
_KINDS = {Outcome.UNDECIDED: "open", Outcome.PARTIAL: "review"}


def results(
    findings: Sequence[Finding], rules: Sequence[Rule], result: Result, places: Places, *, suppressions: bool = False
) -> Iterator[om.Result]:
    """A result for each finding; with `suppressions`, each says that nobody silenced it (SARIF, section 3.27.23)."""
    index = {rule.id: number for number, rule in enumerate(rules)}
    hashes = _hashes(findings, result, places)
    seen: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        primary = places.primary(finding)
        related = [one for one in finding.everywhere if one is not primary]
        name, span = primary.place.artifacts[0], primary.place.span
        fingerprint = finding.fingerprint
        identity = (name, fingerprint)
        seen[identity] += 1
        # Without lines to hash, lkscan's own fingerprint stands in: GitHub would take all findings of a rule for one.
        line_hash = hashes.get((name, span.line if span else 0), f"{fingerprint[:16]}:{seen[identity]}")
        yield om.Result(
            rule_id=finding.rule.id,
            rule_index=index[finding.rule.id],
            level=LEVELS[finding.severity],
            message=_message(finding, related),
            locations=[places.location(finding)],
            related_locations=[
                *(places.related(number, one) for number, one in enumerate(related, 1)),
                *filter(None, [places.inner(finding.place)]),
            ]
            or None,
            partial_fingerprints={
                "lkscan/v1": f"{fingerprint}:{seen[identity]}",
                "primaryLocationLineHash": line_hash,
            },
            fixes=_fixes(finding, result, places),
            suppressions=[] if suppressions else None,
            properties=_properties(finding),
        )


def silenced(rules: Sequence[Rule], result: Result, places: Places) -> Iterator[om.Result]:
    """A result for each finding that a directive silences or a baseline accepts, marked as such, with the reason."""
    for kind, found in (("inSource", result.suppressed), ("external", result.baselined)):
        made = results([one.finding for one in found], rules, result, places)
        for one, told in zip(found, made, strict=True):
            reason = printable(one.reason) or "No reason is given."
            # A plain dictionary: sarif_om is of an age when SARIF called this `state`.
            told.suppressions = [{"kind": kind, "status": "accepted", "justification": reason}]
            yield told


def others(rules: Sequence[Rule], result: Result, places: Places) -> Iterator[om.Result]:
    """A result for each open verdict; one for each rule's passes and reasons not to apply, which are only counted."""
    index = {rule.id: number for number, rule in enumerate(rules)}
    for finding, told in zip(result.others, results(result.others, rules, result, places), strict=True):
        told.kind, told.level = _KINDS[finding.outcome], "none"
        told.message = om.Message(text=told.message.text)
        yield told
    counted = [
        (rule, "pass", f"{number:,} passed.")
        for (rule, outcome), number in result.tally.items()
        if outcome is Outcome.PASS
    ]
    counted += [
        (rule, "notApplicable", f"{printable(reason)} ({number:,} times)")
        for (rule, reason), number in result.not_applicable.items()
    ]
    for rule, kind, text in counted:
        if rule in index:
            yield om.Result(
                rule_id=rule, rule_index=index[rule], kind=kind, level="none", message=om.Message(text=text)
            )


def _fixes(finding: Finding, result: Result, places: Places) -> list[om.Fix] | None:
    """The edits that mend it, artifact by artifact; none for texts that may hold a secret."""
    if finding.fix is None:
        return None
    changes: dict[str, list[om.Replacement]] = {}
    for path, span, text in replacements(finding.fix, result.texts):
        if not places.may_quote(path):
            return None
        content = om.ArtifactContent(text=encodable(text)) if text else None
        changes.setdefault(path, []).append(om.Replacement(deleted_region=whole(span), inserted_content=content))
    description = f"{finding.fix.description[:1].upper()}{finding.fix.description[1:]}."
    if not finding.fix.safe:
        description += " Programs may miss what is changed."
    artifacts = [
        om.ArtifactChange(artifact_location=places.artifact(path), replacements=made) for path, made in changes.items()
    ]
    message = om.Message(text=printable(description))
    return [om.Fix(description=message, artifact_changes=artifacts)] if changes else None


def _hashes(findings: Sequence[Finding], result: Result, places: Places) -> dict[tuple[str, int], str]:
    """GitHub's fingerprint of every line of a spec that a finding points at."""
    wanted: dict[str, set[int]] = {}
    for finding in findings:
        place = places.primary(finding).place
        if place.span and len(place.artifacts) == 1 and place.artifacts[0] in result.texts:
            wanted.setdefault(place.artifacts[0], set()).add(place.span.line)
    return {
        (name, line): value
        for name, lines in wanted.items()
        for line, value in line_hashes(result.texts[name], lines).items()
    }


def _message(finding: Finding, related: Sequence[Location]) -> om.Message:
    """The sentence with where it is inside an image and where the value comes from, links to the related places."""
    inner, note = inside(finding), telling(finding.shown)
    text = printable(finding.message).replace("](", "] (")
    if inner:
        text += f" In {_plain_text(inner)}."
    if note:
        text += f" ({_plain_text(note)})"
    links = [
        f"[{_plain_text(telling(one) or str(one.place))}]({number})" for number, one in enumerate(related[:_LINKS], 1)
    ]
    if links:
        text += f" See: {', '.join(links)}."
    if "{" in text:  # a placeholder to a consumer that fills in arguments, though it may be part of a name
        return om.Message(text=text)
    return om.Message(text=text, id=finding.variant, arguments=[printable(one) for one in finding.arguments])


def _plain_text(text: str) -> str:
    r"""Text in which no bracket can make or break a link."""
    return printable(text).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _properties(finding: Finding) -> dict[str, object]:
    return {
        "severity": str(finding.severity),
        "confidence": str(finding.confidence),
        "profile": str(finding.profile),
        "subject": printable(finding.subject),
        "evidence": [printable(one) for one in finding.evidence],
        "remedy": finding.rule.remedy,
    }
