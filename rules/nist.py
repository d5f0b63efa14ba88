"""NIST SP 800-190: the risks that rules name, and the countermeasures that answer them."""

from ..scanner.startup import NamedTuple
from .tables import load


class Section(NamedTuple):
    """A risk of section 3 and the countermeasure of section 4 that answers it, with the titles of both."""

    risk: str
    title: str
    group: str
    countermeasure: str
    countermeasure_title: str

    def __str__(self) -> str:
        """`3.4.3 Insecure container runtime configurations`."""
        return f"{self.risk} {self.title}"


def sections() -> dict[str, Section]:
    """Every risk section by its number, in the order of the document."""
    return {number: section(number) for number in load("nist")["risks"]}


def section(number: str) -> Section:
    """The risk section `3.x.y`. Raises KeyError when there is none of that number."""
    table = load("nist")
    title = table["risks"][number]
    answer = f"4{number[1:]}"
    return Section(
        number,
        title,
        table["groups"][number.rpartition(".")[0]][0],
        answer,
        table["countermeasures"].get(answer, title),
    )
