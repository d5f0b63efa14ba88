"""The assessment by NIST SP 800-190 as OSCAL assessment results, which auditors' tools import.

The document follows NIST's published schema of OSCAL 1.1. SP 800-190 has no catalogue in OSCAL; its risks are named
`sp800-190_3.4.3`, as tokens must begin with a letter. Sections that were decided become findings (satisfied or not);
those that were only partly assessed, or not at all, have an observation that says what is left, and no finding: OSCAL
knows no third state. All identifiers follow from the content, and times are the day as of which the run judged: the
same scan on the same day gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import NAMESPACE_URL, uuid5

from ..rules.engine import Finding
from ..rules.funnel import Result
from ..rules.kernel import today
from ..rules.tables import load
from ..scanner.startup import Any
from ..scanner.subjects import System
from .compliance import Assessed, Status, assess
from .formats import Options
from .links import HOME
from .printable import printable

VERSION = "1.1.3"
"""The version of OSCAL."""

_PREFIX = "sp800-190_"
_SPACE = uuid5(NAMESPACE_URL, f"{HOME}#oscal")
_TITLE = 200
"""Characters of a title."""


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    found = assess(result)
    time = f"{today()}T00:00:00Z"
    components = {one.place.artifacts[0]: _component(one) for one in result.systems}
    observations = [*_observations(found, components, time)]
    body = {
        "metadata": {
            "title": f"Assessment by {load('nist')['title']}",
            "last-modified": time,
            "version": "1",
            "oscal-version": VERSION,
            "props": [_prop("lkscan-version", options.version)],
            "remarks": "Made by lkscan. Numbers are those of the risks; what rule is about what is its own reading.",
        },
        "import-ap": {"href": f"#{_uuid('plan')}"},
        "results": [
            {
                "uuid": _uuid("result", *components),
                "title": "Scan by lkscan",
                "description": "What lkscan's rules found in the inputs, by risk of NIST SP 800-190.",
                "start": time,
                **({"local-definitions": {"components": list(components.values())}} if components else {}),
                "reviewed-controls": {"control-selections": _selections(found)},
                "observations": observations,
                **_findings(found),
            }
        ],
        "back-matter": {
            "resources": [
                {
                    "uuid": _uuid("plan"),
                    "title": "lkscan's rules",
                    "description": "The plan of the assessment: the rules of this version of lkscan.",
                    "rlinks": [{"href": HOME}],
                }
            ]
        },
    }
    document = {"assessment-results": {"uuid": _uuid("document", json.dumps(body)), **body}}
    return json.dumps(document, indent=2) + "\n"


def _uuid(*names: str) -> str:
    return str(uuid5(_SPACE, "\0".join(names).encode("utf-8", "backslashreplace").decode()))


def _control(one: Assessed) -> str:
    return f"{_PREFIX}{one.section.risk}"


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": HOME, "value": value}


def _component(system: System) -> dict[str, Any]:
    path = system.place.artifacts[0]
    return {
        "uuid": _uuid("component", path),
        "type": "software",
        "title": _line(path),
        "description": f"A LinuxKit {system.kind}." if system.is_linuxkit else f"A {system.kind} not made by LinuxKit.",
        "status": {"state": "other"},
    }


def _selections(found: list[Assessed]) -> list[dict[str, Any]]:
    """The sections that something was judged of, and those left out."""
    judged = [{"control-id": _control(one)} for one in found if one.status is not Status.NOT]
    left = [{"control-id": _control(one)} for one in found if one.status is Status.NOT]
    selection: dict[str, Any] = {"description": "The risks of NIST SP 800-190, section 3, and countermeasure 4.6."}
    selection["include-controls"] = judged or left
    return [{**selection, **({"exclude-controls": left} if judged and left else {})}]


def _observations(found: list[Assessed], components: dict[str, dict[str, Any]], time: str) -> Iterator[dict[str, Any]]:
    """One for each section, and one for each fail, wherever it belongs."""
    for one in found:
        yield {
            "uuid": _uuid("section", one.section.risk),
            "title": str(one.section),
            "description": f"{one.status}: {_judged(one)}",
            "props": [_prop("status", str(one.status).replace(" ", "-"))],
            "methods": ["TEST"],
            "types": ["control-objective"],
            "collected": time,
            **({"remarks": "\n".join(f"Left open: {text}" for text in one.rest)} if one.rest else {}),
        }
    told: set[str] = set()
    for finding in (finding for one in found for finding in one.findings):
        identity = _identity(finding)
        if identity not in told:
            told.add(identity)
            yield _observation(finding, components, time)


def _judged(one: Assessed) -> str:
    if not one.judges:
        return "no rule had anything to judge."
    counts = [f"{judge.rule.id} (passed {judge.passed}, failed {judge.failed})" for judge in one.judges]
    return f"{', '.join(counts)}."


def _identity(finding: Finding) -> str:
    return _uuid("finding", finding.place.artifacts[0], finding.fingerprint, str(finding.place))


def _observation(finding: Finding, components: dict[str, dict[str, Any]], time: str) -> dict[str, Any]:
    component = components.get(finding.place.artifacts[0])
    evidence = [str(finding.place), *finding.evidence]
    made: dict[str, Any] = {
        "uuid": _identity(finding),
        "title": _line(f"{finding.rule.id} {finding.rule.name}"),
        "description": printable(finding.message),
        "props": [_prop("severity", str(finding.severity)), _prop("rule", finding.rule.id)],
        "methods": ["TEST"],
        "types": ["finding"],
        "relevant-evidence": [{"description": printable(text)} for text in evidence if text.strip()],
        "collected": time,
        "remarks": finding.rule.remedy,
    }
    if component:
        made["subjects"] = [{"subject-uuid": component["uuid"], "type": "component"}]
    return made


def _findings(found: list[Assessed]) -> dict[str, Any]:
    """What is decided: satisfied or not, with the observations behind it."""
    made = [
        {
            "uuid": _uuid("verdict", one.section.risk),
            "title": str(one.section),
            "description": f"{one.status}: {_judged(one)}",
            "target": {
                "type": "objective-id",
                "target-id": _control(one),
                "status": {"state": "satisfied", "reason": "pass"}
                if one.status is Status.PASS
                else {"state": "not-satisfied", "reason": "fail"},
            },
            "related-observations": [
                {"observation-uuid": uuid}
                for uuid in dict.fromkeys([_uuid("section", one.section.risk), *map(_identity, one.findings)])
            ],
        }
        for one in found
        if one.status in {Status.PASS, Status.FAIL}
    ]
    return {"findings": made} if made else {}


def _line(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _TITLE else f"{text[: _TITLE - 4]} ..."
