r"""The JSON report: everything lkscan knows of a scan, in a shape that programs may rely on.

One object, its keys in this order; a later version of lkscan may add keys, and changes or removes them only together
with `version`. docs/schema/report-1.json is the JSON Schema of it. All text is escaped to ASCII; bytes of a name that
are no UTF-8 stand as `\xNN`. It holds all that `lkscan report` needs to show the same in other formats, but no
environment, no value of a mount's option that may be a secret, and of specs only the lines that SARIF may quote.

- `version`: 1. `tool`: `{name, version}`.
- `summary`: `{critical, high, medium, low, note, hidden, suppressed, baselined, stale, undecided, partial,
  not_applicable, problems}`: numbers; `hidden` are fails left out by the profile.
- `findings`: the fails, ordered by input and place. Each: `{rule, name, outcome, severity, confidence, profile,
  subject, key, message, variant, arguments, members, locations, traced, evidence, remedy, nist, fingerprint, fix}`.
  `arguments` fill the rule's message of that `variant`; `traced`: the first location is the line of a spec that brought
  what is in an image. A fix is null or `{description, safe, edits}`, an edit `{artifact, line, column, end_line,
  end_column, text}`: all of them together mend it, places as below; none where it cannot be made as text.
- `others`: verdicts that are undecided or partial, in the same shape; `message` is the reason.
- `proofs`: verdicts that passed and are worth telling, in the same shape; `message` says what was shown.
- `not_applicable`: how often a rule's question did not arise, and why: `{rule, reason, subjects}`.
- `suppressed`: as `findings`, with `reason` added. `baselined`: the same, of fails that the baseline accepts.
- `stale`: entries of the baseline whose finding is no longer there, as they stand in its file.
- `problems`: what could not be read: `{location, message, kind}`, kind `unusable`, `incomplete` or `failed`.
- `systems`: one an input: `{path, kind, linuxkit, format, files, binaries, modules, kernels, containers, contents}`, as
  json_systems.py tells.
- `promises`: LinuxKit's promises, where they were asked for, input by input: `{path, name, says, state, rules, reason,
  findings}`. The state is `kept`, `broken` or `not decidable`, and `reason` a sentence for the last. `rules` are the
  ids of those by which, `findings` the fingerprints of what breaks it.
- `rules`: the rules that were run: `{id: {name, severity, confidence, profile, summary, remedy, nist, messages,
  autofix, subject, parameters, owner, page, hidden, outcomes}}`, outcomes by name to the number of subjects; `page` is
  that of a rule of a user's own, `hidden` counts its fails that only a higher profile shows.
- `sources`: of specs that findings point at, by path: `hashes`, GitHub's fingerprint of each such line by its number,
  and `lines`, those lines, or null where a secret may stand in them.
- `names`: texts that stand in here with `\xNN`: base64 of UTF-16 (little endian) of what they really are.
- `date`: the day as of which was judged.

A location is `{artifacts, line, column, end_line, end_column, pointer, note}`: the chain of artifacts, outermost
first; lines and columns count from 1 in code points, the end is exclusive, all four null outside of text.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator

from ..rules.engine import Finding, Fix, Outcome, Rule, Severity
from ..rules.funnel import Result, Suppressed
from ..rules.kernel import today
from ..scanner.startup import Any
from ..scanner.subjects import Problem
from .dense import document as dense
from .formats import Options
from .json_systems import location, told_of
from .mending import replacements
from .printable import encodable
from .quoting import sources

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
        "systems": list(told_of(result)),
        "promises": promises(result),
        "rules": _rules(result),
        "sources": {encodable(path): one for path, one in sources(result).items()},
        "names": names(result),
        "date": today(),
    }
    return dense(document, ("findings", "others", "suppressed", "baselined"))


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
        "unseen": result.baseline.unseen if result.baseline else 0,
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
        "variant": finding.variant,
        "arguments": [encodable(one) for one in finding.arguments],
        "members": [encodable(one) for one in finding.members],
        "locations": [location(one.place, one.note) for one in finding.everywhere],
        "traced": finding.origin is not None,
        "evidence": [encodable(one) for one in finding.evidence],
        "remedy": finding.rule.remedy,
        "nist": list(finding.rule.nist),
        "fingerprint": finding.fingerprint,
        "fix": finding.fix and _fix(finding.fix, result),
    }


def _fix(fix: Fix, result: Result) -> dict[str, Any]:
    edits = [
        {
            "artifact": encodable(path),
            "line": span.line,
            "column": span.column,
            "end_line": span.end_line,
            "end_column": span.end_column,
            "text": encodable(text),
        }
        for path, span, text in replacements(fix, result)
    ]
    return {"description": encodable(fix.description), "safe": fix.safe, "edits": edits}


def problem(one: Problem) -> dict[str, Any]:
    """What could not be read."""
    return {"location": location(one.place), "message": encodable(one.message), "kind": one.kind}


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
            "findings": list(word.findings),
        }
        for word in words(result)
    ]


def _rules(result: Result) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for (identity, outcome), number in result.tally.items():
        counts.setdefault(identity, {})[str(outcome)] = number
    hidden = Counter(one.rule.id for one in result.quiet)
    return {
        one.id: {**_rule(one), "hidden": hidden[one.id], "outcomes": dict(sorted(counts.get(one.id, {}).items()))}
        for one in sorted(result.rules, key=lambda rule: rule.id)
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "severity": str(rule.severity),
        "confidence": str(rule.confidence),
        "profile": str(rule.profile),
        "summary": rule.summary,
        "remedy": rule.remedy,
        "nist": list(rule.nist),
        "messages": dict(rule.messages),
        "autofix": rule.autofix,
        "subject": rule.subject.__name__,
        "parameters": {name: _plain(value) for name, value in rule.parameters.items()},
        "owner": encodable(rule.owner),
        "page": rule.page if rule.owner else "",
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - what a parameter may be: a text, a number, or several
    return sorted(value) if isinstance(value, (set, frozenset)) else value


def names(result: Result) -> dict[str, str]:
    """What the texts really are that a document cannot hold as they are: those with bytes that are no UTF-8."""
    found = {one: encodable(one) for one in (*_of_findings(result), *_of_systems(result)) if not one.isascii()}
    return {
        told: b64encode(one.encode("utf-16-le", "surrogatepass")).decode("ascii")
        for one, told in sorted(found.items())
        if one != told
    }


def _of_findings(result: Result) -> Iterator[str]:
    """The texts of findings and problems, and where they are."""
    accepted = (one.finding for one in (*result.suppressed, *result.baselined))
    for finding in (*result.findings, *result.others, *result.proofs, *accepted):
        yield from (finding.subject, finding.key, finding.message, *finding.evidence, *finding.arguments)
        for one in finding.everywhere:
            yield from (*one.place.artifacts, one.place.pointer, one.note)
    for problem in result.problems:
        yield from (*problem.place.artifacts, problem.message)


def _of_systems(result: Result) -> Iterator[str]:
    """The texts by which inputs, and what they are made of, are known."""
    for system in result.systems:
        yield from system.place.artifacts
        for container in system.containers:
            yield from (container.name, container.place.pointer, *container.place.artifacts)
            yield from (*container.capabilities, *container.ambient)
        for kernel in system.kernels:
            yield from kernel.place.artifacts
    for contents in result.contents:
        for component in contents.components:
            yield from (component.name, *component.layer.artifacts)
            for part in component.parts:
                yield from (part.path, *(part.place.artifacts if part.place else ()))
