"""The figures of a benchmark as data: tables of rows, printed as they come and kept for the page.

A part is one benchmark. What it finds is a mapping: `tables`, each with a title, the row that the others are measured
by and by which of its figures, and its rows; and `missing`, what was not compared, each with the reason. A row is a
name, perhaps `x` (what a curve is drawn over), and figures by the keys of `COLUMNS`, or `failed` with the reason.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from measuring import Usage

RESULTS = Path(__file__).with_name("results.json")
COLUMNS = {
    "wall": ("clock, s", "{:,.3f}"),
    "cpu": ("CPU, s", "{:,.3f}"),
    "peak": ("memory, MiB", "{:,.0f}"),
    "size": ("size, MB", "{:,.1f}"),
    "packed": ("gzipped, MB", "{:,.1f}"),
    "count": ("number", "{:,.0f}"),
    "share": ("share, %", "{:,.2f}"),
    "average": ("average", "{:,.2f}"),
    "most": ("most", "{:,.2f}"),
    "slowest": ("slowest, s", "{:,.2f}"),
}
"""What a figure is called, with its unit, and how it is shown."""
Row = dict[str, Any]


class Table(NamedTuple):
    """Rows of one kind, the ratios of their figure `by` to that of the row `against`, and what they are drawn over."""

    title: str
    rows: list[Row]
    against: str = ""
    by: str = "cpu"
    x: str = ""
    note: str = ""


class Sheet:
    """What one part finds; each table is printed and kept at once, so that a part that fails later keeps it."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {"tables": [], "missing": {}}

    def add(self, table: Table) -> None:
        """Print a table and keep it."""
        print(f"{table.title}" + (f"; {table.note}" if table.note else ""))
        for row in table.rows:
            name = f"{row['name']} {row['x']:,}" if "x" in row else row["name"]
            told = [
                COLUMNS[key][1].format(row[key]) + COLUMNS[key][0].partition(",")[2] for key in COLUMNS if key in row
            ]
            many = ratio(table, row)
            told += [f"{many:.2f} x {table.against}"] if many is not None and row["name"] != table.against else []
            print(f"  {name:58} {row.get('failed') or '   '.join(told)}")
        print(flush=True)
        self.found["tables"].append({key: value for key, value in table._asdict().items() if value})
        self._keep()

    def lacks(self, what: str, why: str) -> None:
        """Print and keep what is not compared."""
        print(f"not compared: {what} ({why})", flush=True)
        self.found["missing"][what] = why
        self._keep()

    def _keep(self) -> None:
        """Where all.py asks for it."""
        if path := os.environ.get("LKSCAN_RESULTS"):
            Path(path).write_text(json.dumps(self.found), encoding="utf-8")


def row(name: str, used: Usage | str, **more: float) -> Row:
    """A row of what a command took."""
    return {"name": name, **more, **({"failed": used} if isinstance(used, str) else _rounded(used._asdict()))}


def rows(usages: Mapping[str, Usage | str]) -> list[Row]:
    """A row for each command."""
    return [row(name, used) for name, used in usages.items()]


def figures(name: str, **values: float) -> Row:
    """A row of other figures."""
    return {"name": name, **_rounded(values)}


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}


def ratio(table: Table, one: Row) -> float | None:
    """A row's figure by that of the row that it is measured by; None where either is missing."""
    base = next((other.get(table.by) for other in table.rows if other["name"] == table.against), None)
    return one[table.by] / base if base and table.by in one else None


def tables(part: Mapping[str, Any]) -> list[Table]:
    """The tables of a part, as `Sheet` kept them."""
    return [Table(**one) for one in part.get("tables", ())]
