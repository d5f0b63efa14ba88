"""Measures lkscan side by side with other tools for the same or a like job: CPU seconds, memory and their ratios.

    run.py [PEERS]

Specs: against `python -c pass`, and against other linters: yamllint on the same specs, zizmor and checkov on as many
GitHub workflows of like size, that are made here. Images: against `zcat | cpio -t`. PEERS is a folder that holds the
linters (`make bench` makes it); what is not there is named as not compared. The commands of a table run in turns, so
that a busy machine slows all of them alike; a figure is the median of the runs, after one that fills the caches.
"""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SPECS = (ROOT / "examples/bad.yml", ROOT / "examples/exemplary.yml")
PASS = "python -c pass"
LKSCAN = [str(Path(sys.executable).with_name("lkscan"))]
SCAN = [*LKSCAN, "scan", "--fail-on", "never", "--date", "2026-01-01"]
PEERS = {
    "yamllint": ["--no-warnings", "-d", "{extends: default, rules: {line-length: disable}}"],
    "zizmor": ["--offline", "--no-progress", "--no-exit-codes", "--collect=all"],
    "checkov": ["--framework", "github_actions", "--soft-fail", "--skip-download", "--quiet", "--compact"],
}
"""The linters, with what makes them stay offline and end with status 0."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
INITRD_BYTES = 250 << 20
MANY, VERY_MANY = 300, 3000
SLOW = 2.0
"""CPU seconds from which a command is run a few times only."""
FEW = 3


class Usage(NamedTuple):
    """CPU seconds (user and system, of a command and all it starts), and the peak of its memory in MiB.

    Of a command that takes less memory than this process, the peak is what this process takes: some 15 MiB.
    """

    seconds: float
    peak: int


def measure(commands: Mapping[str, list[str] | str], runs: int) -> dict[str, Usage]:
    """The median of `runs` runs of each command, in turns. Raises SystemExit when a command fails."""
    found: dict[str, list[Usage]] = {name: [] for name in commands}
    for number in range(-1, runs):
        for name, command in commands.items():
            if number < FEW or found[name][0].seconds < SLOW:
                usage = _once(command)
                found[name] += [usage] if number >= 0 else []
    return {
        name: Usage(statistics.median(one.seconds for one in usages), max(one.peak for one in usages))
        for name, usages in found.items()
    }


def _once(command: list[str] | str) -> Usage:
    shell, silent = isinstance(command, str), subprocess.DEVNULL
    child = subprocess.Popen(command, shell=shell, stdout=silent, stderr=silent, cwd=ROOT, env=ENVIRONMENT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command}: exit status {child.returncode}")
    return _usage(usage)


def _usage(usage: resource.struct_rusage) -> Usage:
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def newc(paths: Iterator[Path], limit: int, top: Path = Path("/")) -> Iterator[bytes]:
    """A cpio archive (newc) of regular files, in their order and named from `top`, up to `limit` bytes of content."""
    total = 0
    for number, path in enumerate(paths):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        total += len(data)
        if total > limit:
            break
        yield from _member(str(path.relative_to(top)), number, data)
    yield from _member("TRAILER!!!", 0, b"")


def _member(name: str, number: int, data: bytes) -> Iterator[bytes]:
    encoded = os.fsencode(name) + b"\0"
    fields = (number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + encoded
    yield head + bytes(-len(head) % 4)
    yield data + bytes(-len(data) % 4)


def files_below(top: str) -> Iterator[Path]:
    """Regular files below `top` up to 64 MiB each, by name: the same on the same machine."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 64 << 20:
                yield path


def _initrd(folder: Path) -> Path:
    """Made in a process of its own: what this one takes would count as the peak of every command after it."""
    target = folder / "usr-initrd.img"
    maker = get_context("fork").Process(target=_write_initrd, args=(target,))
    maker.start()
    maker.join()
    return target


def _write_initrd(target: Path) -> None:
    with gzip.GzipFile(target, "wb", compresslevel=6, mtime=0) as file:
        for part in newc(files_below("/usr"), INITRD_BYTES):
            file.write(part)


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
    length = sum(path.stat().st_size for path in SPECS) // len(SPECS)
    for number in range(count):
        text = f"# number {number}\nname: build {number}\non: [push, pull_request]\npermissions: {{}}\njobs:\n"
        job = 0
        while len(text) < length:
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


def peers(folder: Path | None, target: Mapping[str, Path]) -> dict[str, list[str]]:
    """The commands of the linters that are there; `target` is what each is to lint."""
    found = {}
    for name, options in PEERS.items():
        tool = folder and shutil.which(name, path=str(folder))
        if not tool:
            print(f"not compared: {name} is not installed")
            continue
        path = target[name]
        where = ["-d" if path.is_dir() else "-f", str(path)] if name == "checkov" else [str(path)]
        found[name] = [tool, *options, *where]
    return found


def table(title: str, usages: Mapping[str, Usage], against: str = "") -> None:
    """Print a row for each command; `against` is the one that the others are measured by."""
    print(f"{title:34} {'CPU':>8}   {'memory':>8}" + (f"   in units of {against}" if against else ""))
    for name, (seconds, peak) in usages.items():
        ratio = f"{seconds / usages[against].seconds:8.2f}" if against else ""
        print(f"  {name:32} {seconds:8.3f} s {peak:5} MiB {ratio}".rstrip())
    print(flush=True)


def _one_spec(folder: Path, tools: Path | None) -> None:
    commands: dict[str, list[str] | str] = {
        PASS: [sys.executable, "-c", "pass"],
        "lkscan --version": [*LKSCAN, "--version"],
    }
    (folder / "one").mkdir()
    for path in SPECS:
        shutil.copy(path, folder / "one")
        commands[f"lkscan {path.name}"] = [*SCAN, str(folder / "one" / path.name)]
    spec = folder / "one" / SPECS[-1].name
    repository = workflows(folder, 1)
    target = {"yamllint": spec, "zizmor": repository, "checkov": repository}
    table("One file", measure({**commands, **peers(tools, target)}, 25), PASS)


def _many_specs(folder: Path, tools: Path | None) -> None:
    many, repository = specs(folder, MANY), workflows(folder, MANY)
    commands = {"lkscan": [*SCAN, str(many)]}
    target = {"yamllint": many, "zizmor": repository, "checkov": repository}
    table(f"{MANY} files", measure({**commands, **peers(tools, target)}, FEW), "lkscan")
    table(f"{VERY_MANY} files", measure({"lkscan": [*SCAN, str(specs(folder, VERY_MANY))]}, 1))


def _image(folder: Path) -> None:
    initrd = _initrd(folder)
    name = f"lkscan, {INITRD_BYTES >> 20} MiB initrd"
    commands: dict[str, list[str] | str] = {name: [*SCAN, str(initrd)]}
    plain = "zcat | cpio -t"
    missing = [tool for tool in ("zcat", "cpio") if shutil.which(tool) is None]
    if missing:
        print(f"not compared: {' and '.join(missing)} not installed")
    else:
        commands[plain] = f"zcat '{initrd}' | cpio -t"
    table("An image", measure(commands, FEW), "" if missing else plain)


def main() -> None:
    """Print a table a job."""
    tools = Path(sys.argv[1]) / "bin" if len(sys.argv) > 1 else None
    version = ".".join(map(str, sys.version_info[:3]))
    inflater = "isal" if find_spec("isal") else "zlib"
    print(f"Python {version} with {inflater}, {os.cpu_count()} CPUs\n")
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        (folder / ".git").mkdir()  # a repository of its own: the configuration of this one is not looked for
        _one_spec(folder, tools)
        _many_specs(folder, tools)
        _image(folder)


if __name__ == "__main__":
    main()
