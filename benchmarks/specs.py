"""Measures lints of specs beside those of other linters: start, one file, 300 files.

Against `python -c pass`, and against other linters: yamllint on the same specs, zizmor and checkov on as many GitHub
workflows, bandit on as many Python programs, of like size, that are made here. A figure is the median of the runs,
after one that fills the caches.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from measuring import FEW, LKSCAN, PEERS, ROOT, SCAN, Command, measure
from results import Sheet, Table, rows

SPECS = (ROOT / "examples/bad.yml", ROOT / "examples/exemplary.yml")
LENGTH = sum(path.stat().st_size for path in SPECS) // len(SPECS)
"""Bytes of what is made for the other linters."""
PASS = "python -c pass"
LINTERS = {
    "yamllint": ["--no-warnings", "-d", "{extends: default, rules: {line-length: disable}}"],
    "zizmor": ["--offline", "--no-progress", "--no-exit-codes", "--collect=all"],
    "checkov": ["--framework", "github_actions", "--soft-fail", "--skip-download", "--quiet", "--compact"],
    "bandit": ["--quiet", "--exit-zero", "--recursive"],
}
"""With what makes them stay offline and end with status 0."""
MANY, RUNS = 300, 25


def specs(folder: Path, count: int) -> Path:
    """A folder of specs that differ from one another."""
    target = folder / f"specs-{count}"
    target.mkdir()
    for number in range(count):
        text = SPECS[number % len(SPECS)].read_text(encoding="utf-8")
        (target / f"{number:04d}.yml").write_text(f"# number {number}\n{text}", encoding="utf-8")
    return target


def workflows(folder: Path, count: int) -> Path:
    """A folder of GitHub workflows as long as the specs are on average, half of them with what linters look for."""
    target = folder / f"repository-{count}" / ".github" / "workflows"
    target.mkdir(parents=True)
    for number in range(count):
        text = f"# number {number}\nname: build {number}\non: [push, pull_request]\npermissions: {{}}\njobs:\n"
        job = 0
        while len(text) < LENGTH:
            text += _job(job, careless=number % 2 == 0)
            job += 1
        (target / f"{number:04d}.yml").write_text(text, encoding="utf-8")
    return target.parent.parent


def _job(number: int, *, careless: bool) -> str:
    action = "actions/checkout@v4" if careless else "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4"
    title = "${{ github.event.pull_request.title }}" if careless else "a title"
    return f"""  job-{number}:
    runs-on: ubuntu-24.04
    permissions:
      contents: {"write" if careless else "read"}
    env:
      STAGE: stage-{number}
    steps:
      - uses: {action}
        with:
          persist-credentials: {"true" if careless else "false"}
      - name: build
        run: |
          echo "{title}"
          make build STAGE="$STAGE"
"""


def programs(folder: Path, count: int) -> Path:
    """A folder of Python programs of that length, half of them with what linters look for."""
    target = folder / f"programs-{count}"
    target.mkdir()
    for number in range(count):
        text, called = f'"""Number {number}."""\n\nimport subprocess\n', 0
        while len(text) < LENGTH:
            how = f'f"make {{stage}}-{called}", shell=True' if number % 2 == 0 else f'["make", stage, "{called}"]'
            text += f"\n\ndef build_{called}(stage: str) -> int:\n    return subprocess.run({how}).returncode\n"
            called += 1
        (target / f"{number:04d}.py").write_text(text, encoding="utf-8")
    return target


def linters(folder: Path, linted: Path, count: int) -> dict[str, Command]:
    """The commands of the linters that are there, on so many files."""
    repository = workflows(folder, count)
    given = {"yamllint": linted, "bandit": programs(folder, count)}
    found: dict[str, Command] = {}
    for name, options in LINTERS.items():
        path = given.get(name, repository)
        how = ["-d" if path.is_dir() else "-f", str(path)] if name == "checkov" else [str(path)]
        if (PEERS / name).exists():
            found[name] = [str(PEERS / name), *options, *how]
    return found


def measured(sheet: Sheet) -> None:
    """A table for one file, and one for many."""
    for name in LINTERS:
        if not (PEERS / name).exists():
            sheet.lacks(name, "not installed")
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        (folder / ".git").mkdir()  # a repository of its own: the configuration of this one is not looked for
        one: dict[str, Command] = {PASS: [sys.executable, "-c", "pass"], "lkscan --version": [LKSCAN, "--version"]}
        (folder / "one").mkdir()
        for path in SPECS:
            shutil.copy(path, folder / "one")
            one[f"lkscan {path.name}"] = [*SCAN, str(folder / "one" / path.name)]
        one |= linters(folder, folder / "one" / SPECS[-1].name, 1)
        sheet.add(Table("One file", rows(measure(one, RUNS)), PASS))
        many = specs(folder, MANY)
        commands: Mapping[str, Command] = {"lkscan": [*SCAN, str(many)], **linters(folder, many, MANY)}
        sheet.add(Table(f"{MANY} files", rows(measure(commands, FEW)), "lkscan"))


if __name__ == "__main__":
    (ROOT / "build").mkdir(exist_ok=True)
    measured(Sheet())
