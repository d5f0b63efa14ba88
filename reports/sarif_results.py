"""SARIF's results: findings with places, links, fingerprints and fixes; on request what else came of the rules.

They are plain dictionaries in SARIF's own names, as the locations in them are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256

from ..rules.engine import Confidence, Finding, Location, Outcome, Profile, Rule, Severity
from ..rules.funnel import Result
from ..scanner.startup import Any
from ..scanner.subjects import Place
from .grouping import inside, telling
from .mending import replacements
from .printable import encodable, printable
from .quoting import hashes, may_quote, primary
from .sarif_places import Places, whole
from .sarif_rules import LEVELS

_LINKS = 5
"""Related locations that a message links to; the others are there without a link."""
_INPUTS = 10
"""Inputs that are named where something is true of all of them."""
_WORDS: dict[type, dict[int, str]] = {kind: {one: str(one) for one in kind} for kind in (Severity, Confidence, Profile)}
"""Made once: of 25,000 results, that would take a tenth of a second."""

_KINDS = {Outcome.UNDECIDED: "open", Outcome.PARTIAL: "review", Outcome.PASS: "pass"}


def results(
    findings: Sequence[Finding], rules: Sequence[Rule], result: Result, places: Places, *, suppressions: bool = False
) -> Iterator[dict[str, Any]]:
    """A result for each finding; with `suppressions`, each says that nobody silenced it (SARIF, section 3.27.23)."""
    index = {rule.id: number for number, rule in enumerate(rules)}
    line_hashes = hashes(result)
    seen: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        first = primary(finding)
        related = [one for one in finding.everywhere if one is not first]
        name, span = first.place.artifacts[0], first.place.span
        fingerprint = finding.fingerprint
        identity = (name, fingerprint)
        seen[identity] += 1
        # Without lines to hash, lkscan's own fingerprint stands in: GitHub would take all findings of a rule for one.
        line_hash = line_hashes.get((name, span.line if span else 0), f"{fingerprint[:16]}:{seen[identity]}")
        related_locations = [places.related(number, one) for number, one in enumerate(related, 1)]
        if inner := places.inner(finding.place):
            related_locations.append(inner)
        fixes = _fixes(finding, result, places)
        told = {
            "message": _message(finding, related),
            "fixes": fixes,
            "kind": "fail",
            "level": LEVELS[finding.severity],
            "locations": [_location(finding, first.place, places)],
            "partialFingerprints": {
                "lkscan/v1": f"{fingerprint}:{seen[identity]}",
                "primaryLocationLineHash": line_hash,
            },
            "properties": _properties(finding),
            "relatedLocations": related_locations,
            "ruleId": finding.rule.id,
            "ruleIndex": index[finding.rule.id],
        }
        if not fixes:
            del told["fixes"]
        if not related_locations:
            del told["relatedLocations"]
        if suppressions:
            told["suppressions"] = []
        yield told


def _location(finding: Finding, place: Place, places: Places) -> dict[str, Any]:
    return places.location(place, finding.subject, "; ".join(finding.evidence), quoted=may_quote(finding))


def silenced(rules: Sequence[Rule], result: Result, places: Places) -> Iterator[dict[str, Any]]:
    """A result for each finding that a directive silences or a baseline accepts, marked as such, with the reason."""
    for kind, found in (("inSource", result.suppressed), ("external", result.baselined)):
        made = results([one.finding for one in found], rules, result, places)
        for one, told in zip(found, made, strict=True):
            reason = printable(one.reason) or "No reason is given."
            yield {**told, "suppressions": [{"kind": kind, "status": "accepted", "justification": reason}]}


def others(rules: Sequence[Rule], result: Result, places: Places) -> Iterator[dict[str, Any]]:
    """A result for each open verdict; one for each rule's passes and reasons not to apply, which are only counted."""
    index = {rule.id: number for number, rule in enumerate(rules)}
    open_ = (*result.others, *result.proofs)
    for finding, told in zip(open_, results(open_, rules, result, places), strict=True):
        kind = _KINDS[finding.outcome]
        message = _told(kind, finding.rule, told["message"]["text"])
        yield {**told, "message": message, "kind": kind, "level": "none"}
    found = [
        (rule, "pass", f"{number:,} passed.", "")
        for (rule, outcome), number in result.tally.items()
        if outcome is Outcome.PASS
    ]
    found += [
        (rule, "notApplicable", f"{printable(reason)} ({number:,} times)", reason)
        for (rule, reason), number in result.not_applicable.items()
    ]
    inputs = [one.place for one in result.systems[:_INPUTS]]
    for rule, kind, text, key in found:
        if rule in index:
            identity = sha256(f"{rule}\0{kind}\0{key}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
            yield {
                "message": _told(kind, rules[index[rule]], text),
                "kind": kind,
                "level": "none",
                "locations": [places.location(place, "", "Scanned as a whole.") for place in inputs],
                "partialFingerprints": {
                    "lkscan/v1": f"{identity}:1",
                    "primaryLocationLineHash": f"{identity[:16]}:1",
                },
                "ruleId": rule,
                "ruleIndex": index[rule],
            }


def _told(kind: str, rule: Rule, text: str) -> dict[str, Any]:
    """What is said of a result that is no fail. A brace that is none of a placeholder stands twice (SARIF, 3.11.5)."""
    return {"arguments": [rule.name], "id": kind, "text": text.replace("{", "{{").replace("}", "}}")}


def _fixes(finding: Finding, result: Result, places: Places) -> list[dict[str, Any]] | None:
    """The edits that mend it, artifact by artifact; none for texts that may hold a secret."""
    if finding.fix is None:
        return None
    changes: dict[str, list[dict[str, Any]]] = {}
    for path, span, text in replacements(finding.fix, result):
        if not places.may_quote(path):
            return None
        content = {"insertedContent": {"text": encodable(text)}} if text else {}
        changes.setdefault(path, []).append({"deletedRegion": whole(span), **content})
    description = f"{finding.fix.description[:1].upper()}{finding.fix.description[1:]}."
    if not finding.fix.safe:
        description += " Programs may miss what is changed."
    artifacts = [{"artifactLocation": places.artifact(path), "replacements": made} for path, made in changes.items()]
    return [{"artifactChanges": artifacts, "description": {"text": printable(description)}}] if changes else None


def _message(finding: Finding, related: Sequence[Location]) -> dict[str, Any]:
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
        return {"text": text}
    return {"arguments": [printable(one) for one in finding.arguments], "id": finding.variant, "text": text}


def _plain_text(text: str) -> str:
    r"""Text in which no bracket can make or break a link."""
    return printable(text).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _properties(finding: Finding) -> dict[str, object]:
    return {
        "severity": _WORDS[Severity][finding.severity],
        "confidence": _WORDS[Confidence][finding.confidence],
        "profile": _WORDS[Profile][finding.profile],
        "subject": printable(finding.subject),
        "evidence": [printable(one) for one in finding.evidence],
        "remedy": finding.rule.remedy,
    }
