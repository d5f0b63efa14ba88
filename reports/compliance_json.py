"""The assessment by NIST SP 800-190 as JSON, for programs.

One object, its keys in this order: `version` (1), `tool` `{name, version}`, `framework` `{title, version, uri}`,
`systems` (`{path, kind}` of each input), `summary` (the number of sections by status), `sections` and `problems`. A
section is `{risk, title, countermeasure, countermeasure_title, group, status, rules, findings, hidden, undecided,
accepted, rest}`: `rules` are `{id, name, passed, failed, open, not_applicable}`, numbers of subjects; `findings`,
`undecided` and `accepted` are as in the JSON report of a scan.
"""

from __future__ import annotations

import json
from collections import Counter

from ..rules.funnel import Result
from ..rules.tables import load
from ..scanner.startup import Any
from .compliance import Assessed, Status, assess
from .formats import Options
from .jsonreport import problem, silenced, told
from .printable import encodable

VERSION = 1


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    found = assess(result)
    table = load("nist")
    counts = Counter(one.status for one in found)
    document = {
        "version": VERSION,
        "tool": {"name": "lkscan", "version": options.version},
        "framework": {name: table[name] for name in ("title", "version", "uri")},
        "systems": [{"path": encodable(one.place.artifacts[0]), "kind": one.kind} for one in result.systems],
        "summary": {str(status): counts[status] for status in Status},
        "sections": [_section(one, result) for one in found],
        "problems": [problem(one) for one in result.problems],
    }
    return json.dumps(document, indent=2) + "\n"


def _section(one: Assessed, result: Result) -> dict[str, Any]:
    section = one.section
    return {
        "risk": section.risk,
        "title": section.title,
        "countermeasure": section.countermeasure,
        "countermeasure_title": section.countermeasure_title,
        "group": section.group,
        "status": str(one.status),
        "rules": [
            {
                "id": judge.rule.id,
                "name": judge.rule.name,
                "passed": judge.passed,
                "failed": judge.failed,
                "open": judge.open,
                "not_applicable": judge.not_applicable,
            }
            for judge in one.judges
        ],
        "findings": [told(finding, result) for finding in one.findings],
        "hidden": one.hidden,
        "undecided": [told(finding, result) for finding in one.undecided],
        "accepted": silenced(one.accepted, result),
        "rest": list(one.rest),
    }
