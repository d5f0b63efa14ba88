"""Counts the instructions of fixed scenarios and compares them with a committed reference: no clock, so no noise.

    guard.py [--write] [SCENARIO ...]

valgrind's callgrind counts; a count is the same from run to run to a tenth of a percent. A figure is the scenario's
instructions divided by those of a fixed piece of plain Python on the same interpreter. benchmarks/guard.json has the
figures of several interpreters; what is more than 5 % off those of this one fails, less work too: then the reference is
to be written anew, on purpose. An interpreter without figures is compared with one of the same minor version, more
loosely: 3.11.2 of Debian and 3.11.7 differ by up to 12 %.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(__file__).with_suffix(".json")
TOLERANCE, LOOSE = 0.05, 0.15
"""How far off a figure may be, when the reference is of this interpreter, and of another one of its minor version."""
_TRAIL = ("--fail-on", "never", "--date", "2026-01-01")
_YARDSTICK = """
import json, re
words = re.compile(r"[a-z]+")
for turn in range(40):
    rows = [{"name": f"row {n}", "parts": words.findall("a quick brown fox " * 3), "size": n * turn} for n in range(99)]
    assert len(json.loads(json.dumps(rows))) == len(sorted(rows, key=lambda row: (-row["size"], row["name"])))
"""
_IN_PROCESS = """
import sys
from lkscan import scan
from lkscan.reports.formats import render
assert render(sys.argv[1], scan(sys.argv[2:]))
"""
"""Images are read in this process: the one that is shut in may not be counted."""


def scenarios(folder: Path) -> dict[str, list[str]]:
    """Name -> command; inputs are made in the folder, the same on every machine."""
    lkscan = [sys.executable, str(Path(sys.executable).with_name("lkscan"))]
    image = folder / "demo.iso"
    subprocess.run([sys.executable, ROOT / "examples/build_demo_iso.py", image], check=True, stdout=subprocess.DEVNULL)
    many = folder / "specs"
    many.mkdir()
    for number, name in enumerate(("bad.yml", "exemplary.yml") * 10):
        text = (ROOT / "examples" / name).read_text(encoding="utf-8")
        (many / f"{number:02}.yml").write_text(f"# {number}\n{text}", encoding="utf-8")
    scan = [*lkscan, "scan", *_TRAIL]
    return {
        "version": [*lkscan, "--version"],
        "one spec": [*scan, "examples/exemplary.yml"],
        "a bad spec": [*scan, "examples/bad.yml"],
        "20 specs": [*scan, str(many)],
        "SARIF": [*scan, "-f", "sarif", "examples/bad.yml"],
        "HTML": [*scan, "-f", "html", "examples/bad.yml"],
        "image": [sys.executable, "-c", _IN_PROCESS, "text", str(image)],
    }


def instructions(command: list[str]) -> int:
    """How many a command takes. Raises SystemExit when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONHASHSEED": "0", "LINUXKIT_CACHE": os.devnull}
    subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True)  # compiles modules
    tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    done = subprocess.run(tool, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not counted:
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return int(counted[1])


def reference_for(version: str, references: Mapping[str, Mapping[str, float]]) -> tuple[str, float]:
    """Whose figures an interpreter is compared with, "" for nobody's, and how far off it may be."""
    if version in references:
        return version, TOLERANCE
    minor = version.rpartition(".")[0] + "."
    return next((one for one in sorted(references) if one.startswith(minor)), ""), LOOSE


def compare(found: Mapping[str, float], known: Mapping[str, float], tolerance: float) -> int:
    """Print a row for each scenario; how many are off."""
    off = 0
    for name, figure in found.items():
        change = figure / known[name] - 1 if name in known else 0.0
        wrong = name not in known or abs(change) > tolerance
        off += wrong
        told = f"{change:+7.1%}" if name in known else "    new"
        print(f"  {name:12} {figure:8.3f} {told}{'  <- off' if wrong else ''}")
    return off


def main() -> int:
    """Exit status 1 when a scenario is off or valgrind is missing; where there is no reference, that is said."""
    parser = argparse.ArgumentParser(description="Compare instruction counts with the committed reference.")
    parser.add_argument("--write", action="store_true", help="write the reference of this interpreter")
    parser.add_argument("scenario", nargs="*", help="all by default")
    asked = parser.parse_args()
    if not shutil.which("valgrind"):
        print("valgrind is not installed (on Debian: valgrind)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="guard") as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        commands = {
            name: command
            for name, command in scenarios(Path(temporary)).items()
            if not asked.scenario or name in asked.scenario
        }
        unit, *counts = pool.map(instructions, ([sys.executable, "-c", _YARDSTICK], *commands.values()))
    found = {name: count / unit for name, count in zip(commands, counts, strict=True)}
    version = platform.python_version()
    references = json.loads(REFERENCE.read_text(encoding="utf-8")) if REFERENCE.exists() else {}
    if asked.write:
        references[version] = {**references.get(version, {}), **{name: round(one, 4) for name, one in found.items()}}
        REFERENCE.write_text(json.dumps(references, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    whose, tolerance = reference_for(version, references)
    print(f"instructions, Python {version}, a unit is {unit / 1e6:.1f} million; reference: {whose or 'none'}")
    off = compare(found, references[whose], tolerance) if whose else 0
    if not whose:
        print(f"no reference for Python {version}, nothing was compared: guard.py --write makes one")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
