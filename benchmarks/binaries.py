"""Measures what is told of binaries against other tools, side by side: CPU, time, memory.

The same ELF files below /usr for every tool, 1,000 of up to 8 MiB, by name. lkscan's two rows are the facts of headers,
symbols and notes, which is what the others read, and the same with what code tells, which none of them reads. lief
and pyelftools are asked, in a loop of their own, for what decides RELRO, the stack, PIE, canaries and FORTIFY;
checksec.py and checksec are run as they are, blint on the first 50. What takes long runs once, the others three times
in turns. Then the audit of 1,100 kernel modules, of the kernel's package in the folder that LKSCAN_DEBS names, or of
those below /lib/modules.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from measuring import PEERS, ROOT, SCAN, Command, files_below, measure, newc
from results import Sheet, Table, rows

FILES, MOST, BLINT, MODULES, RUNS = 1000, 8 << 20, 50, 1100, 3
READERS = Path(__file__).with_name("binary_readers.py")
NAMES = {
    "facts": "lkscan, headers, symbols and notes",
    "code": "lkscan, and code",
    "lief": "lief",
    "pyelftools": "pyelftools",
}
"""What binary_readers.py can be asked for, and how it is called here."""


def elf_files() -> Iterator[Path]:
    """Programs and libraries below /usr, by name."""
    for path in files_below("/usr"):
        if path.stat().st_size <= MOST:
            with path.open("rb") as stream:
                head = stream.read(18)
            if head[:4] == b"\x7fELF" and head[16:18] in {b"\2\0", b"\3\0"}:
                yield path


def compare(sheet: Sheet, scratch: Path) -> None:
    """A row for each tool."""
    paths = list(islice(elf_files(), FILES))
    listed = scratch / "paths"
    listed.write_text("\n".join(map(str, paths)), encoding="utf-8")
    size = sum(path.stat().st_size for path in paths) >> 20
    commands: dict[str, Command] = {}
    for name, title in NAMES.items():
        if _is_there(name):
            commands[title] = [sys.executable, str(READERS), name, str(listed)]
        else:
            sheet.lacks(name, "not installed")
    checkers = {
        "checksec.py": (PEERS / "checksec", "xargs -a '{}' '{}' --json -w 1"),
        "checksec": (
            shutil.which("checksec"),
            'while read -r path; do {1} --format=json --file="$path"; done < {0}; true',
        ),
    }
    for name, (tool, command) in checkers.items():
        if tool and os.path.exists(tool):
            commands[name] = command.format(listed, tool)
        else:
            sheet.lacks(name, "not installed")
    note = f"{len(paths)} ELF files below /usr, {size} MiB"
    sheet.add(
        Table(f"Facts of {len(paths):,} binaries", rows(measure(commands, RUNS, limit=300)), NAMES["facts"], note=note)
    )


def few(sheet: Sheet, scratch: Path) -> None:
    """Of blint, which takes minutes for a thousand files."""
    tool = PEERS / "blint"
    if not tool.exists():
        sheet.lacks("blint", "not installed")
        return
    paths = list(islice(elf_files(), BLINT))
    (scratch / "few").mkdir()
    for number, path in enumerate(paths):
        shutil.copy(path, scratch / f"few/{number:02}-{path.name}")
    listed = scratch / "few.paths"
    listed.write_text("\n".join(map(str, sorted((scratch / "few").iterdir()))), encoding="utf-8")
    commands: dict[str, Command] = {
        title: [sys.executable, str(READERS), name, str(listed)]
        for name, title in NAMES.items()
        if name in {"facts", "code"}
    }
    commands["blint"] = f"'{tool}' -i '{scratch}/few' -o $T --no-banner --no-reviews; test -n \"$(ls $T)\""
    note = f"the first {len(paths)} of these"
    sheet.add(Table("Facts of fewer binaries", rows(measure(commands, RUNS)), NAMES["facts"], note=note))


def _is_there(name: str) -> bool:
    modules = {"lief": "lief", "pyelftools": "elftools"}
    return (
        name not in modules
        or subprocess.run([sys.executable, "-c", f"import {modules[name]}"], check=False).returncode == 0
    )


def modules(sheet: Sheet, scratch: Path) -> None:
    """The audit of an archive of kernel modules as a whole, and of one file, which is what a start takes."""
    top = Path("/lib/modules")
    packages = sorted(Path(os.environ.get("LKSCAN_DEBS", ROOT / ".venv-ci/debs")).glob("linux-image-*_amd64.deb"))
    if packages:
        top = scratch / "kernel"
        subprocess.run(["dpkg-deb", "-x", packages[0], top], check=True)
    paths = sorted(top.rglob("*.ko*"))
    if len(paths) < MODULES:
        sheet.lacks(
            "kernel modules", "no linux-image package in the folder that LKSCAN_DEBS names, nor in /lib/modules"
        )
        return
    for name, count in (("modules.cpio", MODULES), ("one.cpio", 1)):
        with (scratch / name).open("wb") as out:
            out.writelines(newc(iter(paths[:count]), MODULES << 20, top))
    commands: dict[str, Command] = {
        f"lkscan, {MODULES} modules": [*SCAN, str(scratch / "modules.cpio")],
        "lkscan, one": [*SCAN, str(scratch / "one.cpio")],
    }
    note = f"{(scratch / 'modules.cpio').stat().st_size >> 20} MiB"
    sheet.add(Table("Kernel modules", rows(measure(commands, RUNS)), note=note))


def measured(sheet: Sheet) -> None:
    """A table for programs and libraries, and one for modules."""
    with tempfile.TemporaryDirectory() as folder:
        compare(sheet, Path(folder))
        few(sheet, Path(folder))
        modules(sheet, Path(folder))


if __name__ == "__main__":
    measured(Sheet())
