"""SARIF's description of the tool: lkscan as a driver, the rules that fired, the taxonomies they refer to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import NAMESPACE_URL, uuid5

import sarif_om as om

from ..rules.crosswalk import crosswalk, frameworks
from ..rules.engine import Confidence, Rule, Severity
from ..rules.nist import section
from ..rules.tables import load
from ..scanner.startup import NamedTuple
from .links import HOME
from .links import page as page_of
from .pages import body, facts

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

OTHERS = {
    "open": "The evidence to decide '{0}' is missing.",
    "review": "Of '{0}', a part is true.",
    "pass": "All is well by '{0}'.",
    "notApplicable": "The question of '{0}' does not arise.",
}
"""Messages of what is no fail, by kind; their ids are the kinds, and their argument is the rule's name.

What exactly is the case stands in the text of the results.
"""

_PRECISION = {Confidence.HIGH: "high", Confidence.MEDIUM: "medium", Confidence.LOW: "low"}
_TAGS = 10
_TEXT = 1024
"""GitHub's limits: tags a rule, characters of a description."""


class Taxa(NamedTuple):
    """A taxonomy as far as rules refer to it: its identity, and the number, name and description of each taxon."""

    name: str
    title: str
    version: str
    uri: str
    organization: str
    taxa: Mapping[str, tuple[str, str]]

    def guid(self, number: str = "") -> str:
        """That of the taxonomy, or of one of its numbers: the same in every run, of every version."""
        return str(uuid5(NAMESPACE_URL, f"{self.uri}#{number}"))


def taxonomies(rules: Sequence[Rule]) -> list[Taxa]:
    """What the rules refer to: NIST SP 800-190, and the crosswalks to others."""
    table = load("nist")
    numbers = sorted({number for rule in rules for number in rule.nist})
    organization = "National Institute of Standards and Technology"
    risks = {number: _risk(number) for number in numbers}
    found = [Taxa(TAXONOMY, table["title"], table["version"], table["uri"], organization, risks)]
    for key, one in frameworks().items():
        named = {number for rule in rules for number in crosswalk(rule.id).get(key, ())}
        taxa = {number: (title, f"{number} {title}.") for number, title in one.titles.items() if number in named}
        found.append(Taxa(one.name, one.title, one.version, one.uri, one.organization, taxa))
    return [one for one in found if one.taxa]


def _risk(number: str) -> tuple[str, str]:
    found = section(number)
    answer = f"{found.group}, {number}: answered by countermeasure {found.countermeasure} {found.countermeasure_title}."
    return found.title, answer


def component(taxa: Taxa) -> om.ToolComponent:
    """A taxonomy as SARIF has it."""
    return om.ToolComponent(
        name=taxa.name,
        guid=taxa.guid(),
        version=taxa.version,
        information_uri=taxa.uri,
        organization=taxa.organization,
        short_description=_text(f"{taxa.title}."),
        is_comprehensive=False,
        taxa=[
            om.ReportingDescriptor(
                id=number,
                guid=taxa.guid(number),
                name=title,
                short_description=_text(f"{title}."),
                full_description=_text(answer),
            )
            for number, (title, answer) in taxa.taxa.items()
        ],
    )


def tool(
    rules: Sequence[Rule], named: Sequence[Taxa], version: str, *, brief: bool = False, everything: bool = False
) -> om.Tool:
    """The driver with these rules, which refer to the taxonomies `named`.

    `brief` leaves out their pages; `everything` brings the messages of what is no fail.
    """
    messages = OTHERS if everything else {}
    driver = om.ToolComponent(
        name="lkscan",
        version=version,
        semantic_version=version,
        information_uri=HOME,
        rules=[_rule(one, named, messages, brief=brief) for one in rules],
        supported_taxonomies=[_reference(number, one) for number, one in enumerate(named)] or None,
    )
    return om.Tool(driver=driver)


def _rule(rule: Rule, named: Sequence[Taxa], others: Mapping[str, str], *, brief: bool) -> om.ReportingDescriptor:
    page = "" if brief else body(rule)
    text = "\n".join((rule.summary, rule.remedy, *(f"{name}: {value}" for name, value in facts(rule))))
    return om.ReportingDescriptor(
        id=rule.id,
        name="".join(part.capitalize() for part in rule.name.split("-") if len(part) > 1),
        short_description=_text(rule.summary),
        full_description=_text(f"{rule.summary} {rule.remedy}"),
        help=om.MultiformatMessageString(text=text, markdown=None if brief else _markdown(rule, page or rule.remedy)),
        help_uri=page_of(rule),
        message_strings={
            name: om.MultiformatMessageString(text=text) for name, text in sorted({**rule.messages, **others}.items())
        },
        default_configuration=om.ReportingConfiguration(level=LEVELS[rule.severity]),
        relationships=list(_relationships(rule, named)) or None,
        properties={
            "precision": _PRECISION[rule.confidence],
            "security-severity": _SCORES[rule.severity],
            "tags": ["security", "linuxkit", *(f"{TAXONOMY}-{number}" for number in rule.nist)][:_TAGS],
        },
    )


def _markdown(rule: Rule, page: str) -> str:
    table = "".join(f"| {name} | {value} |\n" for name, value in facts(rule))
    return f"# {rule.id} {rule.name}\n\n{rule.summary}\n\n| | |\n| --- | --- |\n{table}\n{page}\n"


def _relationships(rule: Rule, named: Sequence[Taxa]) -> Iterator[om.ReportingDescriptorRelationship]:
    numbers = {TAXONOMY: rule.nist, **{frameworks()[key].name: found for key, found in crosswalk(rule.id).items()}}
    for position, taxa in enumerate(named):
        order = list(taxa.taxa)
        for number in numbers.get(taxa.name, ()):
            target = om.ReportingDescriptorReference(
                id=number,
                index=order.index(number),
                guid=taxa.guid(number),
                tool_component=_reference(position, taxa),
            )
            yield om.ReportingDescriptorRelationship(target=target, kinds=["relevant"])


def _reference(position: int, taxa: Taxa) -> om.ToolComponentReference:
    return om.ToolComponentReference(name=taxa.name, index=position, guid=taxa.guid())


def _text(text: str) -> om.MultiformatMessageString:
    return om.MultiformatMessageString(text=text if len(text) <= _TEXT else f"{text[: _TEXT - 4].rstrip()} ...")
