r"""The JSON report: everything lkscan knows of a scan, in a shape that programs may rely on.

One object, its keys in this order; a later version of lkscan may add keys, and changes or removes them only together
with `version`. docs/schema/report-1.json is the JSON Schema of it. All text is escaped to ASCII; bytes of a name that
are no UTF-8 stand as `\xNN`.

- `version`: 1. `tool`: `{name, version}`.
- `summary`: `{critical, high, medium, low, note, hidden, suppressed, baselined, stale, undecided, partial,
  not_applicable, problems}`: numbers; `hidden` are fails left out by the profile.
- `findings`: the fails, ordered by input and place. Each: `{rule, name, outcome, severity, confidence, profile,
  subject, key, message, locations, evidence, remedy, nist, fingerprint, fix}`. A fix is null or `{description, safe,
  edits}`, an edit `{artifact, line, column, end_line, end_column, text}`: all of them together mend it, places as
  below; none where it cannot be made as text.
- `others`: verdicts that are undecided or partial, in the same shape; `message` is the reason.
- `proofs`: verdicts that passed and are worth telling, in the same shape; `message` says what was shown.
- `not_applicable`: how often a rule's question did not arise, and why: `{rule, reason, subjects}`.
- `suppressed`: as `findings`, with `reason` added. `baselined`: the same, of fails that the baseline accepts.
- `stale`: entries of the baseline whose finding is no longer there, as they stand in its file.
- `problems`: what could not be read: `{location, message, kind}`, kind `unusable`, `incomplete` or `failed`.
- `systems`: one an input: `{path, kind, linuxkit, format, files, binaries, modules, kernels, containers}`. A kernel is
  `{location, version, arch, format, config_source}`, a container `{title, location, image, label, error, exposure}`.
  An exposure is `{score, at_least, word, items}` (score null: unknown), an item `{label, weight, bad}` (bad null:
  unknown).
- `promises`: LinuxKit's promises, where they were asked for, input by input: `{path, name, says, state, rules, reason,
  findings}`. The state is `kept`, `broken` or `not decidable`, and `reason` a sentence for the last. `rules` are the
  ids of those by which, `findings` the fingerprints of what breaks it.
- `rules`: the rules that were run: `{id: {name, severity, summary, outcomes}}`, outcomes by name to the number of
  subjects.

A location is `{artifacts, line, column, end_line, end_column, pointer, note}`: the chain of artifacts, outermost
first; lines and columns count from 1 in code points, the end is exclusive, all four null outside of text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ..rules.engine import Finding, Fix, Outcome, Severity
from ..rules.exposure import exposure
from ..rules.funnel import Result, Suppressed
from ..scanner.startup import Any
from ..scanner.subjects import Container, Kernel, Place, Problem, System
from .formats import Options
from .mending import replacements
from .printable import encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..rules.baseline import Entry

VERSION = 1


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    document = {
        "version": VERSION,
        "tool": {"name": "lkscan", "version": options.version},
        "summary": _summary(result),
        "findings": [told(one, result) for one in result.findings],
        "others": [told(one, result) for one in result.others],
        "proofs": [told(one, result) for one in result.proofs],
        "not_applicable": [
            {"rule": rule, "reason": encodable(reason), "subjects": number}
            for (rule, reason), number in result.not_applicable.items()
        ],
        "suppressed": silenced(result.suppressed, result),
        "baselined": silenced(result.baselined, result),
        "stale": [_entry(one) for one in _stale(result)],
        "problems": [problem(one) for one in result.problems],
        "systems": [_system(one) for one in result.systems],
        "promises": promises(result),
        "rules": _rules(result),
    }
    return json.dumps(document, indent=2) + "\n"


def _summary(result: Result) -> dict[str, int]:
    others = [one.outcome for one in result.others]
    return {
        **{str(severity): result.count(severity) for severity in sorted(Severity, reverse=True)},
        "hidden": result.hidden,
        "suppressed": len(result.suppressed),
        "baselined": len(result.baselined),
        "stale": len(_stale(result)),
        "undecided": others.count(Outcome.UNDECIDED),
        "partial": others.count(Outcome.PARTIAL),
        "not_applicable": sum(result.not_applicable.values()),
        "problems": len(result.problems),
    }


def silenced(found: Iterable[Suppressed], result: Result) -> list[dict[str, Any]]:
    """Findings that somebody silenced or accepted, with the reasons."""
    return [{**told(one.finding, result), "reason": encodable(one.reason)} for one in found]


def _stale(result: Result) -> tuple[Entry, ...]:
    return result.baseline.stale if result.baseline else ()


def _entry(entry: Entry) -> dict[str, Any]:
    texts = {name: encodable(value) for name, value in entry._asdict().items() if isinstance(value, str)}
    return {**texts, "severity": str(entry.severity), "members": [encodable(one) for one in entry.members]}


def told(finding: Finding, result: Result) -> dict[str, Any]:
    """A finding, or an open verdict."""
    return {
        "rule": finding.rule.id,
        "name": finding.rule.name,
        "outcome": str(finding.outcome),
        "severity": str(finding.severity),
        "confidence": str(finding.confidence),
        "profile": str(finding.profile),
        "subject": encodable(finding.subject),
        "key": encodable(finding.key),
        "message": encodable(finding.message),
        "locations": [_location(one.place, one.note) for one in finding.everywhere],
        "evidence": [encodable(one) for one in finding.evidence],
        "remedy": finding.rule.remedy,
        "nist": list(finding.rule.nist),
        "fingerprint": finding.fingerprint,
        "fix": finding.fix and _fix(finding.fix, result.texts),
    }


def _fix(fix: Fix, texts: Mapping[str, str]) -> dict[str, Any]:
    edits = [
        {
            "artifact": encodable(path),
            "line": span.line,
            "column": span.column,
            "end_line": span.end_line,
            "end_column": span.end_column,
            "text": encodable(text),
        }
        for path, span, text in replacements(fix, texts)
    ]
    return {"description": encodable(fix.description), "safe": fix.safe, "edits": edits}


def _location(place: Place, note: str = "") -> dict[str, Any]:
    span = place.span
    return {
        "artifacts": [encodable(one) for one in place.artifacts],
        "line": span and span.line,
        "column": span and span.column,
        "end_line": span and span.end_line,
        "end_column": span and span.end_column,
        "pointer": encodable(place.pointer),
        "note": encodable(note),
    }


def problem(one: Problem) -> dict[str, Any]:
    """What could not be read."""
    return {"location": _location(one.place), "message": encodable(one.message), "kind": one.kind}


def _system(system: System) -> dict[str, Any]:
    return {
        "path": encodable(system.place.artifacts[0]),
        "kind": system.kind,
        "linuxkit": system.is_linuxkit,
        "format": encodable(system.format),
        "files": system.files,
        "binaries": system.binaries,
        "modules": system.modules,
        "kernels": [_kernel(one) for one in system.kernels],
        "containers": [_container(one) for one in system.containers],
    }


def _kernel(kernel: Kernel) -> dict[str, Any]:
    return {
        "location": _location(kernel.place),
        "version": encodable(kernel.version),
        "arch": kernel.arch,
        "format": kernel.format,
        "config_source": encodable(kernel.config_source),
    }


def _container(container: Container) -> dict[str, Any]:
    return {
        "title": encodable(container.title),
        "location": _location(container.place),
        "image": encodable(container.image.text) if container.image else None,
        "label": {"kind": container.label.kind, "detail": encodable(container.label.detail)},
        "error": encodable(container.error),
        "exposure": _exposure(container),
    }


def _exposure(container: Container) -> dict[str, Any]:
    one = exposure(container)
    return {
        "score": one.score,
        "at_least": one.at_least,
        "word": one.word,
        "items": [{"label": item.label, "weight": item.weight, "bad": item.bad} for item in one.items],
    }


def promises(result: Result) -> list[dict[str, Any]]:
    """LinuxKit's promises, where they were asked for."""
    if not result.tallies:
        return []
    from .promises import words

    return [
        {
            "path": encodable(word.path),
            "name": word.promise.name,
            "says": word.promise.says,
            "state": word.state,
            "rules": list(word.rules),
            "reason": encodable(word.reason),
            "findings": list(dict.fromkeys(one.fingerprint for one in word.findings)),
        }
        for word in words(result)
    ]


def _rules(result: Result) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for (rule, outcome), number in result.tally.items():
        counts.setdefault(rule, {})[str(outcome)] = number
    return {
        rule.id: {
            "name": rule.name,
            "severity": str(rule.severity),
            "summary": rule.summary,
            "outcomes": dict(sorted(counts.get(rule.id, {}).items())),
        }
        for rule in sorted(result.rules, key=lambda rule: rule.id)
    }
