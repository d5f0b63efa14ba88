"""How good the tests are: the last figures of `make mutation`, `make fuzz` and needs.py, which take hours.

They are kept in mutation.json, fuzz.json and needs.toml; here they are only put beside the others.
"""

from __future__ import annotations

import json
from pathlib import Path

import tomli
from results import Sheet, Table, figures

HERE = Path(__file__).resolve().parent


def measured(sheet: Sheet) -> None:
    """A table of each."""
    mutants = json.loads((HERE / "mutation.json").read_text(encoding="utf-8"))
    rows = [figures(name, count=one["sample"], share=100 * one["score"]) for name, one in mutants.items()]
    spans = "; ".join(f"{name} {one['interval'][0]:.1%} to {one['interval'][1]:.1%}" for name, one in mutants.items())
    sheet.add(Table("Mutants that a test notices", rows, note=f"of a sample; with 95 % certainty {spans}"))
    fuzzed = json.loads((HERE / "fuzz.json").read_text(encoding="utf-8"))
    told = figures("all formats", count=fuzzed["inputs"], slowest=fuzzed["slowest"], peak=fuzzed["memory"])
    failed = figures("failures", count=fuzzed["failures"])
    note = f"{fuzzed['formats']} formats in {fuzzed['minutes']} minutes, each in a process that may take 512 MiB"
    sheet.add(Table("Bent inputs", [told, failed], note=note))
    needs = tomli.loads((HERE / "needs.toml").read_text(encoding="utf-8"))["package"]
    rows = [
        figures(what, count=sum(len(one[key]) for one in needs))
        for key, what in (
            ("given", "given"),
            ("used", "used"),
            ("unused", "of which no use is found"),
            ("unknown", "that can't be told"),
        )
    ]
    sheet.add(Table("Capabilities of LinuxKit's packages", rows, note="by Debian's programs of the same kind"))


if __name__ == "__main__":
    measured(Sheet())
