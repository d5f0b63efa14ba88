"""The comparison of two builds as JSON, for programs.

One object, its keys in this order; a later version of lkscan may add keys, and changes or removes them only together
with `version`. docs/schema/diff-1.json is the JSON Schema of it. Text is as in the JSON report of a scan.

- `version`: 1. `tool`: `{name, version}`. `old`, `new`: `{path, format}`.
- `summary`: `{worse, better, neutral}`: numbers of differences.
- `changes`: what was changed; `effects`: what follows from it (exposure, sizes, findings). Each: `{area, subject, what,
  old, new, judgement, reason, severity, location, finding}`. The judgement is `worse`, `better` or `neutral`; the
  severity is null unless it is worse; `finding` is the fingerprint of a finding that is new, else null.
- `apart`: what only the formats make, `undecided`: what could not be compared, as sentences.
- `problems`: what could not be read, as in the JSON report of a scan.
"""

from __future__ import annotations

import json

from ..rules.differences import ORDER, Comparison, Difference
from ..scanner.startup import Any
from .formats import Options
from .json_systems import location
from .jsonreport import problem
from .printable import encodable

VERSION = 1


def render(comparison: Comparison, options: Options) -> str:
    """The report; see `formats.render`."""
    old, new = comparison.formats
    document = {
        "version": VERSION,
        "tool": {"name": "lkscan", "version": options.version},
        "old": {"path": encodable(comparison.old), "format": encodable(old)},
        "new": {"path": encodable(comparison.new), "format": encodable(new)},
        "summary": {judgement: comparison.count(judgement) for judgement in ORDER},
        "changes": [_difference(one) for one in comparison.changes],
        "effects": [_difference(one) for one in comparison.effects],
        "apart": [encodable(text) for text in comparison.apart],
        "undecided": [encodable(text) for text in comparison.undecided],
        "problems": [problem(one) for one in comparison.problems],
    }
    return json.dumps(document, indent=2) + "\n"


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "area": one.area,
        "subject": encodable(one.subject),
        "what": encodable(one.what),
        "old": encodable(one.old),
        "new": encodable(one.new),
        "judgement": one.judgement,
        "reason": encodable(one.reason),
        "severity": str(one.severity) if one.judgement == "worse" else None,
        "location": location(one.place),
        "finding": one.finding.fingerprint if one.finding else None,
    }
