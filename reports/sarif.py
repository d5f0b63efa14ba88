"""The SARIF 2.1.0 report: one run, made for GitHub code scanning and clean under the SARIF Multitool.

Only fails become results, unless everything is asked for. What was silenced or is in the baseline is left out, unless
that is asked for, too: GitHub heeds neither `suppressions` nor `baselineState` and would show it like the rest. What
could not be read, what was cut for GitHub's limits, how much was silenced and how many verdicts are open stand in the
invocation's notifications. No time, no random identifier and no machine's path gets in: the same scan gives the same
bytes.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import sarif_om as om

from ..rules.engine import Finding, Outcome, Rule
from ..rules.funnel import Result
from ..scanner.subjects import Problem
from .dense import spread
from .formats import Checkout, Options
from .jsonreport import promises
from .printable import printable
from .sarif_places import ROOT, Places
from .sarif_plain import plain
from .sarif_results import others, results, silenced
from .sarif_rules import component, taxonomies, tool

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RESULTS = 25_000
"""GitHub refuses a run of more results, and shows the 5,000 most severe."""

COMPRESSED = 10 << 20
"""GitHub refuses a file that is larger than this under gzip."""

_ROOT_OF = {False: "Where lkscan was run.", True: "The root of the working tree."}


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`. Results beyond GitHub's limits are left out by severity, and that is said."""
    limit = RESULTS
    while True:
        text = _document(result, options, limit)
        if limit < 2 or len(text) <= COMPRESSED or _packed(text) <= COMPRESSED:  # noqa: PLR2004
            return text
        limit = min(limit, len(result.findings)) // 2


def _packed(text: str) -> int:
    """Bytes under gzip at most: as it packs quickest, or, where that does not do, as it packs by default."""
    data = text.encode()
    quick = len(zlib.compress(data, 1))
    return quick if quick <= COMPRESSED else len(zlib.compress(data))


def _document(result: Result, options: Options, limit: int) -> str:
    kept = _most_severe(result.findings, limit)
    rules = sorted(_rules(kept, result, options), key=lambda rule: rule.id)
    named = taxonomies(rules)
    checkout = options.checkout
    places = Places(result, options.root, options.top)
    told = list(results(kept, rules, result, places, suppressions=options.silenced))
    if options.silenced:
        told += silenced(rules, result, places)
    if options.everything:
        told += others(rules, result, places)
    artifacts = places.artifacts()
    run = om.Run(
        tool=tool(rules, named, options.version, brief=not told, everything=options.everything),
        taxonomies=list(map(component, named)) or None,
        column_kind="unicodeCodePoints",
        automation_details=om.RunAutomationDetails(id=_category(result, places)),
        original_uri_base_ids={ROOT: om.ArtifactLocation(description=om.Message(text=_ROOT_OF[bool(checkout)]))},
        version_control_provenance=[_provenance(checkout)] if checkout else None,
        invocations=[_invocation(result, len(result.findings) - len(kept), places, options)],
        artifacts=[] if artifacts else None,
        results=[],
        properties={"promises": promises(result)} if result.tallies else None,
    )
    log = plain(om.SarifLog(schema_uri=SCHEMA, version="2.1.0", runs=[run]))
    log["runs"][0] |= {"results": told, **({"artifacts": artifacts} if artifacts else {})}
    first = {name: log.pop(name) for name in ("$schema", "version")}  # what tells a reader that this is SARIF
    text = spread({**first, **log}, log["runs"][0], ("artifacts", "results"), indent=1, depth=3)
    return f"{text}\n"


def _rules(kept: Sequence[Finding], result: Result, options: Options) -> Iterable[Rule]:
    """Those that results are about; where there is no result, those that were run: some must be there."""
    found = [one.rule for one in kept]
    if options.silenced:
        found += [one.finding.rule for one in (*result.suppressed, *result.baselined)]
    if options.everything:
        found += [*result.rules, *(one.rule for one in result.others)]
    return {rule.id: rule for rule in found or result.rules}.values()


def _provenance(checkout: Checkout) -> om.VersionControlDetails:
    return om.VersionControlDetails(
        repository_uri=checkout.repository,
        revision_id=checkout.revision,
        branch=checkout.branch or None,
        mapped_to=om.ArtifactLocation(uri_base_id=ROOT),
    )


def _most_severe(findings: Sequence[Finding], limit: int) -> list[Finding]:
    """At most `limit` findings, in their order; the least severe and last ones go first."""
    if len(findings) <= limit:
        return list(findings)
    kept = sorted(range(len(findings)), key=lambda index: (-findings[index].severity, index))[:limit]
    return [findings[index] for index in sorted(kept)]


def _category(result: Result, places: Places) -> str:
    """What tells this upload from others of one commit, up to the last slash: the input, when there is just one."""
    names = {system.place.artifacts[0] for system in result.systems}
    return f"lkscan/{places.artifact(names.pop())['uri']}/" if len(names) == 1 else "lkscan/"


def _invocation(result: Result, cut: int, places: Places, options: Options) -> om.Invocation:
    notes = [_problem(problem, places) for problem in result.problems]
    if cut:
        notes.append(_notification(f"{cut} of the least severe findings were left out to keep GitHub's limits."))
    outcomes = Counter(str(one.outcome) for one in result.others)
    left = [f"{outcomes[str(one)]} {one}" for one in (Outcome.UNDECIDED, Outcome.PARTIAL) if outcomes[str(one)]]
    silenced = (("silenced", result.suppressed), ("accepted by the baseline", result.baselined))
    told = [f"{len(found)} {how}" for how, found in silenced if found]
    if told and not options.silenced:
        text = f"Findings that are left out: {', '.join(told)}. The JSON report has them, with the reasons."
        notes.append(_notification(text, "note"))
    for word in promises(result):
        by = f" ({' '.join(word['rules'])})" if word["rules"] else ""
        text = f"{word['path']}: LinuxKit's promise {word['name']} is {word['state']}{by}. {word['reason']}".rstrip()
        notes.append(_notification(printable(text), "note"))
    if left and not options.everything:
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
