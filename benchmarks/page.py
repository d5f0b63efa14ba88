"""Makes docs/benchmarks.md, its plots, and README's sentences with figures, out of results.json and of nothing else.

What is met and what is not is computed here, from the figures and targets.toml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import plots
import tomli
from measuring import ROOT
from results import COLUMNS, RESULTS, Row, Table, ratio, tables

HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs/benchmarks.md"
README = ROOT / "README.md"
MARKS = ("<!-- figures: `make bench-docs` writes them -->\n", "<!-- end of figures -->\n")
INTRODUCTION = """\
`make bench` measures all of this on the machine at hand and writes this page; `make bench ONLY="specs growth"` takes
these parts anew. Tools that are compared run in turns in the same minutes; a figure is the median of several runs, of
one where a run takes more than 8 s. CPU is user and system time of a command and all it starts, memory the peak of its
largest process, but never less than the 15 MiB of the process that measures.
"""
SHARES = "share of what is allowed; up to 1 is met"


class Verdict(NamedTuple):
    """A target with its figure, None where it was not measured."""

    target: Mapping[str, Any]
    value: float | None

    @property
    def is_met(self) -> bool:
        """A figure that is not there meets nothing."""
        if self.value is None:
            return False
        least, most = self.target.get("least"), self.target.get("most")
        return (least is None or self.value >= least) and (most is None or self.value <= most)


def table_of(name: str) -> dict[str, Any]:
    """A table of facts beside this file."""
    return tomli.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))


def shares(found: list[Verdict]) -> dict[str, float]:
    """Target -> how much of what is allowed it takes: 1 is just met. Those that allow nothing have no share."""
    parts = {}
    for target, number in found:
        if number and target.get("most"):
            parts[target["what"]] = round(number / target["most"], 3)
        elif number and "least" in target:
            parts[target["what"]] = round(target["least"] / number, 3)
    return parts


def figure(data: Mapping[str, Any], path: list[Any]) -> float | None:
    """The figure that a path leads to, None where there is none."""
    part, title, name, key, *at = path
    for table in tables(data["parts"].get(part, {})):
        if table.title == title:
            found = [one[key] for one in table.rows if key in one and name in {"*", one["name"]} and _is_at(one, at)]
            return max(found) if found else None
    return None


def _is_at(one: Row, at: list[Any]) -> bool:
    return not at or one.get("x") == at[0]


def value(data: Mapping[str, Any], wanted: Mapping[str, Any]) -> float | None:
    """The figure, or the ratio of two, that a target or a claim asks for."""
    of = figure(data, wanted["of"])
    by = figure(data, wanted["by"]) if "by" in wanted else 1.0
    return of / by if of is not None and by else None


def verdicts(data: Mapping[str, Any]) -> list[Verdict]:
    """All targets."""
    return [Verdict(target, value(data, target)) for target in table_of("targets")["target"]]


def claims(data: Mapping[str, Any]) -> list[str]:
    """The sentences whose figures are all there."""
    found = []
    for claim in table_of("targets")["claim"]:
        values = [(value(data, one), one["as"]) for one in claim["figures"]]
        if all(number is not None for number, _ in values):
            found.append(claim["text"].format(*(shape.format(number) for number, shape in values)))
    return found


def lines(data: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    yield f"# Benchmarks\n\n{INTRODUCTION}"
    yield from (f"- {claim}" for claim in claims(data))
    yield "\n## Machine\n"
    yield "| | |\n|---|---|"
    yield from (f"| {name} | {value} |" for name, value in data["machine"].items())
    yield f"\nMeasured beside {', '.join(f'{name} {version}' for name, version in data['peers'].items())}."
    yield from _targets(verdicts(data))
    for name, about in table_of("parts").items():
        if name in data["parts"]:
            yield from _part(about, data["parts"][name])
    yield from _missing(data)


def _targets(found: list[Verdict]) -> Iterator[str]:
    met = sum(one.is_met for one in found)
    yield f"\n## Targets\n\n{met} of {len(found)} are met.\n"
    yield f"![{SHARES}]({plots.name('targets')})\n"
    yield "| target | figure | wanted | |\n|---|---:|---:|---|"
    for one in found:
        told = "met" if one.is_met else "not measured" if one.value is None else "**not yet**"
        yield f"| {one.target['what']} | {'' if one.value is None else f'{one.value:.4g}'} | {_wanted(one)} | {told} |"
    if missed := [one for one in found if one.value is not None and not one.is_met]:
        yield "\n### Not yet\n\nWhat is missed, and what profiles say of it:\n"
    for one in missed:
        why = one.target.get("why", "It was not profiled yet.")
        yield f"- {one.target['what']}: {one.value:.4g} where {_wanted(one)} is wanted. {why}"
    if unknown := [one.target["what"] for one in found if one.value is None]:
        yield f"\nNot measured, for a part or a tool is missing: {'; '.join(unknown)}."


def _wanted(one: Verdict) -> str:
    signs = {"least": "≥", "most": "≤"}
    return " and ".join(f"{sign} {one.target[key]:g}" for key, sign in signs.items() if key in one.target)


def _part(about: Mapping[str, str], part: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n## {about['title']}\n\n{about['about']}"
    if failure := part.get("failure"):
        yield f"\n**This part failed** ({failure}); what it had found until then is here."
    for table in tables(part):
        yield f"\n### {table.title}\n"
        if table.note:
            yield f"{table.note[0].upper()}{table.note[1:]}.\n"
        if table.x:
            yield f"![{table.title}: time and memory by {table.x}]({plots.name(table.title)})\n"
        yield from _rows(table)


def _rows(table: Table) -> Iterator[str]:
    keys = [key for key in COLUMNS if any(key in one for one in table.rows)]
    heads = [*([table.x] if table.x else []), *(COLUMNS[key][0] for key in keys)]
    against = f"{COLUMNS[table.by][0].partition(',')[0]} by {table.against}" if table.against else ""
    yield f"| | {' | '.join([*heads, *([against] if against else [])])} |"
    yield f"|---|{'---:|' * (len(heads) + bool(against))}"
    for one in table.rows:
        cells = [f"{one['x']:,}"] if table.x else []
        cells += [COLUMNS[key][1].format(one[key]) if key in one else one.get("failed", "") for key in keys]
        many = ratio(table, one)
        cells += [f"{many:.2f}" if many is not None else ""] if against else []
        yield f"| {_name(one['name'])} | {' | '.join(cells)} |"


def _name(text: str) -> str:
    """A command as code, with what would end the cell escaped."""
    return "`" + text.replace("|", "\\|") + "`" if re.search(r"[$>|{]", text) else text


def _missing(data: Mapping[str, Any]) -> Iterator[str]:
    peers = table_of("peers")
    found = {what: why for part in data["parts"].values() for what, why in part["missing"].items()}
    found |= {name: peer.get("absent", "not installed") for name, peer in peers.items() if name not in data["peers"]}
    found |= {name: peer["always"] for name, peer in peers.items() if "always" in peer}
    yield "\n## Not compared\n"
    yield from (f"- {_name(what)}: {why}." for what, why in found.items())


def text(data: Mapping[str, Any]) -> str:
    """The page as a whole."""
    return "\n".join(lines(data)) + "\n"


def plots_of(data: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The files of the plots: what draws each, and of what."""
    found = [table for part in data["parts"].values() for table in tables(part) if table.x]
    made: dict[str, tuple[Any, ...]] = {plots.name(table.title): (plots.curves, table) for table in found}
    return made | {plots.name("targets"): (plots.bars, SHARES, shares(verdicts(data)))}


def readme(before: str, data: Mapping[str, Any]) -> str:
    """README with the sentences of these figures."""
    head, rest = before.split(MARKS[0])
    return head + MARKS[0] + "".join(f"- {claim}\n" for claim in claims(data)) + MARKS[1] + rest.split(MARKS[1])[1]


def write(data: Mapping[str, Any]) -> None:
    """Write all that is made of the figures."""
    PAGE.write_text(text(data), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8"), data), encoding="utf-8")
    for name, (drawn, *what) in plots_of(data).items():
        (PAGE.parent / name).write_text(drawn(*what), encoding="utf-8")


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text(encoding="utf-8")))
