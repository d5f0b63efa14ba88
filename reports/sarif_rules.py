"""SARIF's description of the tool: lkscan as a driver, the rules that fired, the NIST taxonomy they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

import sarif_om as om

from ..rules.engine import Confidence, Rule, Severity
from ..rules.nist import section
from ..rules.tables import load
from .pages import body, facts

HOME = "https://github.com/linuxkit/lkscan"
"""Where the documentation is."""

TAXONOMY = "NIST-SP-800-190"
"""The name of the taxonomy, and the beginning of each of its tags."""

LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.NOTE: "note",
}

_SCORES = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
    Severity.NOTE: "0.1",
}
"""What GitHub reads as critical (> 9.0), high (7.0), medium (4.0), low."""

_PRECISION = {Confidence.HIGH: "high", Confidence.MEDIUM: "medium", Confidence.LOW: "low"}
_TAGS = 10
_TEXT = 1024
"""GitHub's limits: tags a rule, characters of a description."""


def tool(rules: Sequence[Rule], numbers: Sequence[str], version: str, *, brief: bool = False) -> om.Tool:
    """The driver with these rules; their `nist` sections are all among `numbers`. `brief` leaves out their pages."""
    driver = om.ToolComponent(
        name="lkscan",
        version=version,
        semantic_version=version,
        information_uri=HOME,
        rules=[_rule(one, numbers, brief=brief) for one in rules],
        supported_taxonomies=[_reference()] if numbers else None,
    )
    return om.Tool(driver=driver)


def taxonomy(numbers: Sequence[str]) -> om.ToolComponent:
    """NIST SP 800-190, as far as the rules that fired refer to it."""
    table = load("nist")
    return om.ToolComponent(
        name=TAXONOMY,
        guid=_guid(""),
        version=table["version"],
        information_uri=table["uri"],
        organization="National Institute of Standards and Technology",
        short_description=_text(f"{table['title']}."),
        is_comprehensive=False,
        taxa=[_taxon(number) for number in numbers],
    )


def _taxon(number: str) -> om.ReportingDescriptor:
    found = section(number)
    answer = f"{found.group}, {number}: answered by countermeasure {found.countermeasure} {found.countermeasure_title}."
    return om.ReportingDescriptor(
        id=number,
        guid=_guid(number),
        name=found.title,
        short_description=_text(f"{found.title}."),
        full_description=_text(answer),
    )


def _rule(rule: Rule, numbers: Sequence[str], *, brief: bool) -> om.ReportingDescriptor:
    page = "" if brief else body(rule)
    text = "\n".join((rule.summary, rule.remedy, *(f"{name}: {value}" for name, value in facts(rule))))
    return om.ReportingDescriptor(
        id=rule.id,
        name="".join(part.capitalize() for part in rule.name.split("-")),
        short_description=_text(rule.summary),
        full_description=_text(f"{rule.summary} {rule.remedy}"),
        help=om.MultiformatMessageString(text=text, markdown=None if brief else _markdown(rule, page or rule.remedy)),
        help_uri=f"{HOME}/blob/HEAD/{'docs/configuration' if rule.owner else f'rules/pages/{rule.name}'}.md",
        message_strings={name: om.MultiformatMessageString(text=text) for name, text in sorted(rule.messages.items())},
        default_configuration=om.ReportingConfiguration(level=LEVELS[rule.severity]),
        relationships=[_relationship(number, numbers) for number in rule.nist] or None,
        properties={
            "precision": _PRECISION[rule.confidence],
            "security-severity": _SCORES[rule.severity],
            "tags": ["security", "linuxkit", *(f"{TAXONOMY}-{number}" for number in rule.nist)][:_TAGS],
        },
    )


def _markdown(rule: Rule, page: str) -> str:
    table = "".join(f"| {name} | {value} |\n" for name, value in facts(rule))
    return f"# {rule.id} {rule.name}\n\n{rule.summary}\n\n| | |\n| --- | --- |\n{table}\n{page}\n"


def _relationship(number: str, numbers: Sequence[str]) -> om.ReportingDescriptorRelationship:
    target = om.ReportingDescriptorReference(
        id=number, index=numbers.index(number), guid=_guid(number), tool_component=_reference()
    )
    return om.ReportingDescriptorRelationship(target=target, kinds=["relevant"])


def _reference() -> om.ToolComponentReference:
    return om.ToolComponentReference(name=TAXONOMY, index=0, guid=_guid(""))


def _guid(number: str) -> str:
    """The same in every run, of every version."""
    return str(uuid5(NAMESPACE_URL, f"{load('nist')['uri']}#{number}"))


def _text(text: str) -> om.MultiformatMessageString:
    return om.MultiformatMessageString(text=text if len(text) <= _TEXT else f"{text[: _TEXT - 4].rstrip()} ...")
