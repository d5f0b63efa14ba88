"""Scans a corpus of real specs and packages in every profile and prints what that costs a reader: the noise budget.

    corpus.py [DIR] [--write]

DIR/INDEX.csv has a row a file, with at least the columns `local_path` (below DIR), `repo` (owner/name upstream), `path`
(in that repository), `commit` and `era` (`head`, or the date of an older state). Without DIR the last run that was
committed, corpus.json, is printed; `--write` puts this run in its place. The exit status is 1 when a scan fails, when a
figure is over the budget, or when the corpus is that of corpus.json and the figures are not.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from results import Sheet, Table, figures

from lkscan import __version__
from lkscan.cli import main as lkscan

SNAPSHOT = Path(__file__).with_name("corpus.json")
DATE = "2026-11-01"
"""The day as of which ends of life are judged: the same in every run."""
PROFILES = ("regular", "pedantic", "auditor")
STATUSES = ("0", "1", "2", "3")
PER_CONTAINER = 2.0
"""The budget: findings a container, on average, in profile regular."""
SHARE = 0.5
"""The budget: of the third-party repositories with a spec, how many a rule below severity high may fire in."""
BUDGETED = ("LinuxKit's examples", "EVE", "hook", "third parties")
"""The populations that the budget is for; the others are there to compare with."""


class Entry(NamedTuple):
    """One file of the corpus."""

    local: str
    repository: str
    path: str
    commit: str
    state: str

    @property
    def populations(self) -> Iterator[str]:
        """Those that it belongs to: LinuxKit's own files, or third parties' as they are today; EVE and hook ever."""
        if self.repository == "linuxkit/linuxkit":
            is_example = self.path == "linuxkit.yml" or self.path.startswith("examples/")
            yield "LinuxKit's examples" if is_example else "LinuxKit's tests, packages, projects"
        elif self.state == "head":
            yield "third parties"
        yield from {"lf-edge/eve": ("EVE",), "tinkerbell/hook": ("hook",)}.get(self.repository, ())


class Scan(NamedTuple):
    """What lkscan made of one file in one profile: its exit status, its JSON report (None: none), why it failed."""

    entry: Entry
    profile: str
    status: str
    report: dict[str, Any] | None
    failure: str = ""

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings to show."""
        return self.report["findings"] if self.report else []

    def kinds(self, kind: str) -> int:
        """How many specs, or packages, it is."""
        return sum(system["kind"] == kind for system in self.report["systems"]) if self.report else 0

    @property
    def containers(self) -> int:
        """How many containers it has; a package is one."""
        return sum(len(system["containers"]) for system in self.report["systems"]) if self.report else 0


def entries(folder: Path) -> list[Entry]:
    """The corpus, in order."""
    with (folder / "INDEX.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(Entry(*(row[name] for name in ("local_path", "repo", "path", "commit", "era"))) for row in rows)


def scan(folder: Path, entry: Entry, profile: str) -> Scan:
    """Run the command line, in this process: whatever it lets through would have been a traceback."""
    order = ["scan", str(folder / entry.local), "--format", "json", "--profile", profile, "--date", DATE]
    output = io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(io.StringIO()):
            status = str(lkscan(order))
        report = json.loads(output.getvalue())
    except (SystemExit, Exception) as error:  # noqa: BLE001 - this is what is looked for
        return Scan(entry, profile, "none", None, f"{type(error).__name__}: {error}")
    broken = [problem["message"] for problem in report["problems"] if "please report it" in problem["message"]]
    failure = "; ".join(broken) if status in STATUSES else f"exit status {status}"
    return Scan(entry, profile, status, report, failure)


def summary(scans: Iterable[Scan]) -> dict[str, Any]:
    """The figures, in the shape of corpus.json: the same for the same scans."""
    scans = list(scans)
    return {
        "lkscan": __version__,
        "date": DATE,
        "failures": sorted(f"{one.entry.local} --profile {one.profile}: {one.failure}" for one in scans if one.failure),
        "statuses": {
            profile: dict(sorted(Counter(one.status for one in scans if one.profile == profile).items()))
            for profile in PROFILES
        },
        "populations": _populations(scans),
        **_rules(scans),
        "repositories": _repositories(scans),
    }


def _populations(scans: list[Scan]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in scans:
        for name in one.entry.populations:
            row = found.setdefault(name, {"files": 0, "containers": 0, "findings": dict.fromkeys(PROFILES, 0)})
            row["findings"][one.profile] += len(one.findings)
            if one.profile == PROFILES[0]:
                row["files"] += 1
                row["containers"] += one.containers
    return dict(sorted(found.items()))


def _rules(scans: list[Scan]) -> dict[str, Any]:
    """In how many third-party repositories with a spec each rule fires, and with less than severity high."""
    ours = [one for one in scans if "third parties" in one.entry.populations]
    with_spec = {one.entry.repository for one in ours if one.kinds("spec")}
    known = {identity: rule for one in scans if one.report for identity, rule in one.report["rules"].items()}
    fired: dict[tuple[str, str], set[str]] = {}
    minor: dict[str, set[str]] = {}
    for one in ours:
        for finding in one.findings if one.entry.repository in with_spec else ():
            fired.setdefault((finding["rule"], one.profile), set()).add(one.entry.repository)
            if one.profile == PROFILES[0] and finding["severity"] not in {"high", "critical"}:
                minor.setdefault(finding["rule"], set()).add(one.entry.repository)
    return {
        "repositories_with_spec": len(with_spec),
        "rules": {
            identity: {
                "name": rule["name"],
                "severity": rule["severity"],
                "repositories": {profile: len(fired.get((identity, profile), ())) for profile in PROFILES},
                "regular_below_high": len(minor.get(identity, ())),
            }
            for identity, rule in sorted(known.items())
        },
    }


def _repositories(scans: list[Scan]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], Counter[str]] = {}
    for one in scans:
        if one.profile == PROFILES[0]:
            row = found.setdefault((one.entry.repository, one.entry.commit), Counter())
            row["files"] += 1
            row["specs"] += one.kinds("spec")
            row["packages"] += one.kinds("package")
            row["containers"] += one.containers
    return [{"repository": name, "commit": commit, **row} for (name, commit), row in sorted(found.items())]


def excess(data: Mapping[str, Any]) -> list[str]:
    """What is over the budget, a line each."""
    over = [
        f"{name}: {_average(row, PROFILES[0]):.2f} findings a container, more than {PER_CONTAINER:g}"
        for name, row in data["populations"].items()
        if name in BUDGETED and _average(row, PROFILES[0]) > PER_CONTAINER
    ]
    limit = SHARE * data["repositories_with_spec"]
    return over + [
        f"{identity} {rule['name']}: in {rule['regular_below_high']} repositories below severity high, of"
        f" {data['repositories_with_spec']}"
        for identity, rule in data["rules"].items()
        if rule["regular_below_high"] > limit
    ]


def _average(row: Mapping[str, Any], profile: str) -> float:
    return float(row["findings"][profile] / row["containers"]) if row["containers"] else 0.0


def tables(data: Mapping[str, Any]) -> Iterator[str]:
    """The figures as lines of text."""
    files = sum(row["files"] for row in data["repositories"])
    repositories = len({row["repository"] for row in data["repositories"]})
    yield f"lkscan {data['lkscan']} as of {data['date']}: {files} files of {repositories} repositories, each profile\n"
    yield from (f"FAILED {line}" for line in data["failures"])
    yield f"failures: {len(data['failures'])} (tracebacks, broken rules, statuses other than {', '.join(STATUSES)})\n"
    yield f"{'files by exit status':38}{''.join(f'{status:>10}' for status in STATUSES)}"
    for profile, counts in data["statuses"].items():
        yield f"  {profile:36}{''.join(f'{counts.get(status, 0):10}' for status in STATUSES)}"
    yield f"\n{'findings a container':38}{'files':>8}{'containers':>12}{''.join(f'{name:>10}' for name in PROFILES)}"
    for name, row in data["populations"].items():
        averages = "".join(f"{_average(row, profile):10.2f}" for profile in PROFILES)
        over = "  OVER" if name in BUDGETED and _average(row, PROFILES[0]) > PER_CONTAINER else ""
        yield f"  {name:36}{row['files']:8}{row['containers']:12}{averages}{over}"
    yield f"  budget: at most {PER_CONTAINER:g} in profile {PROFILES[0]} for {', '.join(BUDGETED)}\n"
    total = data["repositories_with_spec"]
    yield f"repositories a rule fires in, of {total}{'regular':>18}{'pedantic':>10}{'auditor':>10}{'below high':>12}"
    silent = []
    for identity, rule in sorted(data["rules"].items(), key=_frequency):
        counts = rule["repositories"]
        if not any(counts.values()):
            silent.append(identity)
            continue
        over = "  OVER" if rule["regular_below_high"] > SHARE * total else ""
        row = "".join(f"{counts[profile]:10}" for profile in PROFILES)
        yield f"  {identity} {rule['name'][:32]:33}{rule['severity']:9}{row}{rule['regular_below_high']:12}{over}"
    yield f"  nowhere: {' '.join(silent)}"
    yield f"  budget: with severities below high in at most {SHARE:.0%} of them, in profile {PROFILES[0]}\n"


def differing(committed: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    """What two runs tell differently: keys of corpus.json, and the ids of the rules."""
    keys = [key for key in data if key != "rules" and data[key] != committed.get(key)]
    before, after = committed.get("rules", {}), data["rules"]
    return keys + sorted(rule for rule in {*before, *after} if before.get(rule) != after.get(rule))


def _frequency(item: tuple[str, dict[str, Any]]) -> tuple[list[int], str]:
    identity, rule = item
    return [-rule["repositories"][profile] for profile in PROFILES], identity


def kept(data: Mapping[str, Any]) -> None:
    """The figures that are held against a budget, for the page."""
    sheet, total = Sheet(), data["repositories_with_spec"]
    populations = [
        figures(name, count=row["containers"], average=_average(row, PROFILES[0]))
        for name, row in data["populations"].items()
    ]
    sheet.add(Table("Findings a container", populations, note="number: containers; profile regular"))
    most = max(rule["regular_below_high"] for rule in data["rules"].values())
    widest = figures("the one that fires most", count=most, share=100 * most / total)
    sheet.add(Table("Rules below severity high", [widest], note=f"repositories of third parties, of {total}"))
    sheet.add(Table("Failures", [figures("scans that failed", count=len(data["failures"]))]))


def main() -> int:
    """Scan and print, or print the last run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="the corpus; without it, corpus.json")
    parser.add_argument("--write", action="store_true", help="write corpus.json")
    order = parser.parse_args()
    committed = json.loads(SNAPSHOT.read_text(encoding="utf-8")) if SNAPSHOT.exists() else {}
    if order.folder is None:
        print(
            "no corpus was named (make bench CORPUS=DIR): the last run that was committed, from benchmarks/corpus.json"
        )
        data = committed
    elif not (order.folder / "INDEX.csv").is_file():
        parser.error(f"{order.folder}: holds no INDEX.csv")
    else:
        os.environ["LINUXKIT_CACHE"] = os.devnull  # the labels of this machine's images must not count
        corpus = entries(order.folder)
        data = summary(scan(order.folder, entry, profile) for profile in PROFILES for entry in corpus)
    print(*tables(data), sep="\n")
    kept(data)
    complaints = [*data["failures"], *(f"over budget: {line}" for line in excess(data))]
    if order.folder is not None and order.write:
        SNAPSHOT.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    elif data["repositories"] != committed.get("repositories"):
        print("another corpus than that of corpus.json: not compared")
    elif data != committed:
        complaints.append(
            f"corpus.json is not of this lkscan ({', '.join(differing(committed, data))} differ):"
            " run benchmarks/corpus.py DIR --write"
        )
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
