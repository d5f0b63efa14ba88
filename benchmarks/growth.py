"""Measures how time and memory grow: with an image's size, with files, specs, findings and processes.

    growth.py [CURVE ...]

CURVE is `size`, `files`, `specs`, `findings` or `jobs`: only these are measured. Images are kept under build/images.
"""

from __future__ import annotations

import gzip
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import images
import specs
from images import FOLDER, MIB
from measuring import AUDIT, ROOT, SCAN, Usage, measure, member, newc
from results import Row, Sheet, Table, row

import reports

RUNS, RENDERINGS = 2, 3
SIZES = (50, 100, 250, 500, 1000, 2000)
"""MiB of content; up to 250 the first files of the tree, then all of them several times under other names."""
DISKS = (250, 500, 1000, 2000)
FILES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
SPECS = (1, 10, 100, 300, 1_000, 3_000)
FINDINGS = (0, 1_000, 10_000, 50_000)
FORMATS = ("text", "json", "sarif", "html", "markdown")
TEXT = b"# A file of text, as there are many in an image.\n" * 10


def size(sheet: Sheet) -> None:
    """Initrds, and disks that hold them: MiB of content."""
    images.tree()
    for name, why in images.build(images.IMAGES).items():
        if name in {"initrd.img", images.WIDELY, "disk.tar.gz"}:
            sheet.lacks(name, why)
    for mib in SIZES[3:]:
        for name, why in images.build(images.larger(mib)).items():
            sheet.lacks(name, why)
    for mib in SIZES[:2]:
        _made(FOLDER / f"{mib}.img", lambda mib=mib: newc(_tree(), mib * MIB, FOLDER / "tree"))  # type: ignore[misc]
    named = {("initrd", mib): "initrd.img" if mib == DISKS[0] else f"{mib}.img" for mib in SIZES}
    named |= {("disk, qcow2", mib): images.WIDELY if mib == DISKS[0] else f"{mib}.qcow2" for mib in DISKS}
    named["disk in tar.gz", DISKS[0]] = "disk.tar.gz"
    there = {key: FOLDER / name for key, name in named.items() if (FOLDER / name).exists()}
    found = [row(name, _audit(path), x=mib) for (name, mib), path in there.items()]
    sheet.add(Table("Size of an image", found, by="wall", x="MiB of content"))


def _tree() -> Iterator[Path]:
    return iter(sorted(path for path in (FOLDER / "tree").rglob("*") if path.is_file()))


def _made(target: Path, parts: Callable[[], Iterator[bytes]]) -> None:
    """An initrd, in a process of its own: what this one takes would count as the peak of every command after it."""
    if not target.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        maker = get_context("fork").Process(target=_write, args=(target, parts))
        maker.start()
        maker.join()


def _write(target: Path, parts: Callable[[], Iterator[bytes]]) -> None:
    with gzip.GzipFile(target, "wb", compresslevel=6, mtime=0) as file:
        file.writelines(parts())


def _audit(path: Path) -> Usage | str:
    return measure({"audit": f"{AUDIT} '{path}'"}, RUNS)["audit"]


def files(sheet: Sheet) -> None:
    """Initrds of many small files."""
    found = []
    for count in FILES:
        path = FOLDER / f"files-{count}.img"
        _made(path, lambda count=count: _small(count))  # type: ignore[misc]
        found.append(row("initrd", _audit(path), x=count))
    sheet.add(Table("Files in an image", found, by="wall", x="files"))


def _small(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield from member(f"usr/share/data/{number // 1000:03}/{number}.txt", b"%d\n" % number + TEXT)
    yield from member("TRAILER!!!", b"")


def many_specs(sheet: Sheet) -> None:
    """Folders of specs."""
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        (Path(name) / ".git").mkdir()  # the configuration of this repository is not looked for
        found = []
        for count in SPECS:
            folder = specs.specs(Path(name), count)
            found.append(row("specs", measure({"lint": [*SCAN, str(folder)]}, RUNS)["lint"], x=count))
    sheet.add(Table("Specs", found, x="specs"))


def findings(sheet: Sheet) -> None:
    """Reports of so many findings; their memory is what they take besides the findings."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in FINDINGS:
            given = reports.result(count)
            for name in FORMATS:
                path = Path(folder) / f"report.{name}"
                taken = zip(*(reports.render(name, given, path) for _ in range(RENDERINGS)), strict=True)
                wall, cpu, peak = (statistics.median(values) for values in taken)
                found.append(row(name, Usage(wall, cpu, int(peak)), x=count))
    sheet.add(Table("Findings in a report", sorted(found, key=lambda one: FORMATS.index(one["name"])), x="findings"))


def jobs(sheet: Sheet) -> None:
    """Four images, read by one to twice as many processes as there are CPUs."""
    four = "initrd.img disk.qcow2 initrd.zst disk.raw"
    if not all((FOLDER / name).exists() for name in four.split()):
        sheet.lacks("jobs", "one of the four images could not be made")
        return
    counts = range(1, 2 * (os.cpu_count() or 1) + 1)
    found = measure({str(count): f"{AUDIT} --jobs {count} {four}" for count in counts}, RUNS, folder=FOLDER)
    sheet.add(Table("Jobs", [row("four images", used, x=int(n)) for n, used in found.items()], by="wall", x="jobs"))


CURVES = {"size": size, "files": files, "specs": many_specs, "findings": findings, "jobs": jobs}


def measured(sheet: Sheet, wanted: list[str]) -> None:
    """A table for each curve."""
    for name, curve in CURVES.items():
        if not wanted or name in wanted:
            curve(sheet)


if __name__ == "__main__":
    measured(Sheet(), sys.argv[1:])
