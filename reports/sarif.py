"""The SARIF 2.1.0 report: one run, made for GitHub code scanning and clean under the SARIF Multitool.

Only fails become results. What was silenced or is in the baseline is left out: GitHub heeds neither `suppressions` nor
`baselineState` and would show it like the rest. What could not be read, what was cut for GitHub's limits, how much was
silenced and how many verdicts are open stand in the invocation's notifications. No time, no random identifier and no
machine's path gets in: the same scan gives the same bytes.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence

import sarif_om as om

from ..rules.engine import Finding, Location, Outcome, Rule
from ..rules.funnel import Result
from ..scanner.subjects import Problem
from .formats import Options
from .grouping import telling, within
from .jsonreport import promises
from .linehash import line_hashes
from .mending import replacements
from .printable import encodable, printable
from .sarif_places import ROOT, Places, whole
from .sarif_plain import plain
from .sarif_rules import LEVELS, taxonomy, tool

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RESULTS = 25_000
"""GitHub refuses a run of more results, and shows the 5,000 most severe."""

COMPRESSED = 10 << 20
"""GitHub refuses a file that is larger than this under gzip."""

_LINKS = 5
"""Related locations that a message links to; the others are there without a link."""


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`. Results beyond GitHub's limits are left out by severity, and that is said."""
    limit = RESULTS
    while True:
        text = _document(result, options, limit)
        if len(text) <= COMPRESSED or limit < 2 or len(zlib.compress(text.encode())) <= COMPRESSED:  # noqa: PLR2004
            return text
        limit = min(limit, len(result.findings)) // 2


def _document(result: Result, options: Options, limit: int) -> str:
    kept = _most_severe(result.findings, limit)
    rules = sorted({one.rule.id: one.rule for one in kept}.values(), key=lambda rule: rule.id)
    numbers = sorted({number for rule in rules for number in rule.nist})
    places = Places(result, options.root)
    run = om.Run(
        tool=tool(rules, numbers, options.version),
        taxonomies=[taxonomy(numbers)] if numbers else None,
        column_kind="unicodeCodePoints",
        automation_details=om.RunAutomationDetails(id=_category(result, places)),
        original_uri_base_ids={ROOT: om.ArtifactLocation(description=om.Message(text="Where lkscan was run."))},
        invocations=[_invocation(result, len(result.findings) - len(kept), places)],
        results=list(_results(kept, rules, result, places)),
        properties={"promises": promises(result)} if result.tallies else None,
    )
    log = plain(om.SarifLog(schema_uri=SCHEMA, version="2.1.0", runs=[run]))
    first = {name: log.pop(name) for name in ("$schema", "version")}  # what tells a reader that this is SARIF
    return json.dumps({**first, **log}, indent=1) + "\n"


def _most_severe(findings: Sequence[Finding], limit: int) -> list[Finding]:
    """At most `limit` findings, in their order; the least severe and last ones go first."""
    if len(findings) <= limit:
        return list(findings)
    kept = sorted(range(len(findings)), key=lambda index: (-findings[index].severity, index))[:limit]
    return [findings[index] for index in sorted(kept)]


def _category(result: Result, places: Places) -> str:
    """What tells this upload from others of one commit, up to the last slash: the input, when there is just one."""
    names = {system.place.artifacts[0] for system in result.systems}
    return f"lkscan/{places.artifact(names.pop()).uri}/" if len(names) == 1 else "lkscan/"


def _results(findings: Sequence[Finding], rules: Sequence[Rule], result: Result, places: Places) -> Iterator[om.Result]:
    index = {rule.id: number for number, rule in enumerate(rules)}
    hashes = _hashes(findings, result, places)
    seen: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        primary = places.primary(finding)
        related = [one for one in finding.locations if one is not primary]
        name, span = primary.place.artifacts[0], primary.place.span
        identity = (name, finding.fingerprint)
        seen[identity] += 1
        # Without lines to hash, lkscan's own fingerprint stands in: GitHub would take all findings of a rule for one.
        line_hash = hashes.get((name, span.line if span else 0), f"{finding.fingerprint[:16]}:{seen[identity]}")
        yield om.Result(
            rule_id=finding.rule.id,
            rule_index=index[finding.rule.id],
            level=LEVELS[finding.severity],
            message=_message(finding, related),
            locations=[places.location(finding)],
            related_locations=[places.related(number, one) for number, one in enumerate(related, 1)] or None,
            partial_fingerprints={
                "lkscan/v1": f"{finding.fingerprint}:{seen[identity]}",
                "primaryLocationLineHash": line_hash,
            },
            fixes=_fixes(finding, result, places),
            properties=_properties(finding),
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
    inner, note = within(finding.place), telling(finding.locations[0])
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


def _invocation(result: Result, cut: int, places: Places) -> om.Invocation:
    notes = [_problem(problem, places) for problem in result.problems]
    if cut:
        notes.append(_notification(f"{cut} of the least severe findings were left out to keep GitHub's limits."))
    outcomes = Counter(str(one.outcome) for one in result.others)
    left = [f"{outcomes[str(one)]} {one}" for one in (Outcome.UNDECIDED, Outcome.PARTIAL) if outcomes[str(one)]]
    silenced = (("silenced", result.suppressed), ("accepted by the baseline", result.baselined))
    told = [f"{len(found)} {how}" for how, found in silenced if found]
    if told:
        text = f"Findings that are left out: {', '.join(told)}. The JSON report has them, with the reasons."
        notes.append(_notification(text, "note"))
    for word in promises(result):
        by = f" ({' '.join(word['rules'])})" if word["rules"] else ""
        text = f"{word['path']}: LinuxKit's promise {word['name']} is {word['state']}{by}. {word['reason']}".rstrip()
        notes.append(_notification(printable(text), "note"))
    if left:
        notes.append(_notification(f"Verdicts that are open: {', '.join(left)}. The JSON report has them.", "note"))
    return om.Invocation(execution_successful=not result.problems, tool_execution_notifications=notes or None)


def _problem(problem: Problem, places: Places) -> om.Notification:
    text = f"{printable(str(problem.place))}: {printable(problem.message)}"
    location = om.Location(
        physical_location=om.PhysicalLocation(artifact_location=places.artifact(problem.place.artifacts[0]))
    )
    return om.Notification(
        message=om.Message(text=text),
        level="warning" if problem.kind == "incomplete" else "error",
        locations=[location],
    )


def _notification(text: str, level: str = "warning") -> om.Notification:
    return om.Notification(message=om.Message(text=text), level=level)
