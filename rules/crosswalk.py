"""Where other frameworks speak of what rules are about: lkscan's own, informative crosswalk."""

from collections.abc import Mapping

from ..scanner.startup import NamedTuple
from .tables import load


class Framework(NamedTuple):
    """A framework: its name in SARIF and for people, its title, version, publisher, address, and titles of numbers."""

    name: str
    label: str
    title: str
    version: str
    organization: str
    uri: str
    titles: Mapping[str, str]


def frameworks() -> dict[str, Framework]:
    """The frameworks by key, in a fixed order."""
    table = load("crosswalk")
    return {key: Framework(titles=table["title"][key], **one) for key, one in table["framework"].items()}


def crosswalk(rule: str) -> Mapping[str, list[str]]:
    """The numbers that speak of what a rule (by id) is about, by framework; nothing for rules of users' own."""
    found: Mapping[str, list[str]] = load("crosswalk")["rule"].get(rule, {})
    return found
