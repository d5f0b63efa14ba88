"""The findings as the HTML report has them: the most severe first, each with a name to link to, and as compact JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ..rules.engine import Finding, Fix, Rule
from ..rules.funnel import Result
from ..rules.nist import section
from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import Place
from .grouping import inputs, telling, within
from .pages import body
from .printable import printable

_ID = 12
"""Hexadecimal digits of a fingerprint in an id: 48 bits tell a million findings apart."""

_MOST = 200_000
"""Findings in a page; it is some 60 MB then, which Chromium opens in two seconds."""

_FACTS = 50
"""Lines of evidence and other places of one finding."""

_LONG, _HEAD, _TAIL = 4000, 3000, 500
"""Of a text that only somebody who means harm writes, what is shown."""

_WHY = re.compile(r"^## Why it matters\n+(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


class Listed(NamedTuple):
    """A finding with the name that links lead to, and the input and component that it is of."""

    id: str
    finding: Finding
    input: str
    component: str

    @property
    def where(self) -> str:
        """The place inside its input, or the input itself."""
        return _place(self.finding.shown.place)


def clean(text: str) -> str:
    """The text as a page may get it: on one line, with nothing in it to act on, and no flood."""
    text = printable(text)
    return text if len(text) <= _LONG else f"{text[:_HEAD]} … {text[-_TAIL:]}"


def listed(result: Result) -> list[Listed]:
    """The findings to show, the most severe first, else in their order."""
    seen: dict[str, int] = {}
    found: list[Listed] = []
    for one in inputs(result):
        for group in one.groups:
            found += [Listed(_name(finding, seen), finding, one.name, group.title) for finding in group.findings]
    return sorted(found, key=lambda one: -one.finding.severity)[:_MOST]


def _name(finding: Finding, seen: dict[str, int]) -> str:
    """`f-` and the start of the fingerprint, so links outlive the report; numbered where that is not enough."""
    name = f"f-{finding.fingerprint[:_ID]}"
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def as_json(findings: Sequence[Listed]) -> str:
    """An object that can stand in a script element: tables of rules, components and inputs, and a row a finding.

    A row: id, rule, severity (4 critical to 0 note), component, input, message, place, and if there are any evidence,
    other places, fix. Rule, component and input are indices of the tables.
    """
    rules: dict[str, int] = {}
    tables: dict[str, dict[str, int]] = {"component": {}, "input": {}}
    about: list[dict[str, Any]] = []
    rows: list[list[Any]] = []
    for one in findings:
        finding = one.finding
        number = rules.setdefault(finding.rule.id, len(rules))
        if number == len(about):
            about.append(_about(finding.rule))
        component, source = (_index(table, getattr(one, name)) for name, table in tables.items())
        row = [one.id, number, int(finding.severity), component, source]
        row += [clean(finding.message), clean(one.where), *_more(finding)]
        rows.append(row)
    document = {
        "rules": about,
        "components": [clean(name) for name in tables["component"]],
        "inputs": [clean(name) for name in tables["input"]],
        "findings": rows,
    }
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _index(table: dict[str, int], name: str) -> int:
    return table.setdefault(name, len(table))


def _more(finding: Finding) -> list[Any]:
    """Evidence, other places and the fix, as far as there are any."""
    more = [evidence(finding), places(finding), mending(finding.fix) if finding.fix else ""]
    while more and not more[-1]:
        more.pop()
    return more


def evidence(finding: Finding) -> list[str]:
    """What shows it, the primary place's note first."""
    note = telling(finding.shown)
    return _some([clean(text) for text in (*([note] if note else []), *finding.evidence)])


def places(finding: Finding) -> list[str]:
    """The other places, each with what is to be seen there."""
    found = ((_place(one.place), telling(one)) for one in finding.everywhere[1:])
    return _some(list(dict.fromkeys(clean(f"{place}: {note}" if note else place) for place, note in found)))


def _some(texts: list[str]) -> list[str]:
    more = len(texts) - _FACTS
    return [*texts[:_FACTS], f"and {more} more (--format json has them all)"] if more > 0 else texts


def _place(place: Place) -> str:
    where = within(place) or str(place)
    return where if place.span or not place.pointer else f"{where} at {place.pointer}"


def mending(fix: Fix) -> str:
    """What `lkscan fix` would do."""
    return clean(f"lkscan fix{'' if fix.safe else ' --unsafe'} does this: {fix.description}")


def why(rule: Rule) -> list[str]:
    """The paragraphs of the rule's page that say why it matters."""
    match = _WHY.search(body(rule))
    paragraphs = _LINK.sub(r"\1", match[1]).split("\n\n") if match else []
    return [clean(" ".join(one.split())) for one in paragraphs if one.strip()]


def _about(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "summary": clean(rule.summary),
        "remedy": clean(rule.remedy),
        "why": why(rule),
        "nist": [str(section(number)) for number in rule.nist],
    }
