"""Measures what is told of binaries against other tools, side by side in one run: CPU seconds, memory and their ratios.

    binaries.py [PEERS]

The same ELF files below /usr for every tool, 1,000 of up to 8 MiB, by name. lkscan's two rows are the facts of headers,
symbols and notes, which is what the others read, and the same with what code tells, which none of them reads. lief
and pyelftools are asked, in a loop of their own, for what decides RELRO, the stack, PIE, canaries and FORTIFY;
checksec.py and checksec are run as they are. PEERS is a folder that holds checksec.py (`make bench` makes it).
checksec, which takes minutes, runs once, the others three times in turns. Then the audit of 1,100 kernel modules, of
the kernel's package in the folder that LKSCAN_DEBS names.
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

from run import ROOT, SCAN, Usage, files_below, measure, newc

FILES, MOST, MODULES, RUNS = 1000, 8 << 20, 1100, 3
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


def compare(peers: Path, scratch: Path) -> None:
    """A row for each tool."""
    paths = list(islice(elf_files(), FILES))
    listed = scratch / "paths"
    listed.write_text("\n".join(map(str, paths)))
    size = sum(path.stat().st_size for path in paths) >> 20
    print(f"{len(paths)} ELF files below /usr, {size} MiB; medians of {RUNS} runs in turns")
    commands: dict[str, list[str] | str] = {
        title: [sys.executable, str(READERS), name, str(listed)] for name, title in NAMES.items() if _is_there(name)
    }
    checksec_py = peers / "bin/checksec"
    if checksec_py.exists():
        commands["checksec.py"] = f"xargs -a '{listed}' '{checksec_py}' --json -w 1"
    found = measure(commands, RUNS)
    if shutil.which("checksec"):
        found |= {"checksec": _once_for_all(listed)}
    first = next(iter(found.values()))
    for name, used in found.items():
        ratio = f"  {used.seconds / first.seconds:8.1f} x" if used is not first else ""
        print(f"  {name:38} {used.seconds:8.2f} s CPU {used.peak:5} MiB{ratio}", flush=True)
    for name in ("lief", "pyelftools", "checksec.py", "checksec"):
        if name not in found:
            print(f"  not compared: {name} (not installed)")


def _is_there(name: str) -> bool:
    modules = {"lief": "lief", "pyelftools": "elftools"}
    return (
        name not in modules
        or subprocess.run([sys.executable, "-c", f"import {modules[name]}"], check=False).returncode == 0
    )


def _once_for_all(listed: Path) -> Usage:
    """Debian's checksec, which starts some thirty programs for each file."""
    command = f"while read -r path; do checksec --format=json --file=\"$path\"; done < '{listed}'; true"
    child = subprocess.Popen(["bash", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return Usage(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)


def modules(scratch: Path) -> None:
    """The audit of an archive of kernel modules as a whole, and of one file, which is what a start takes."""
    packages = sorted(Path(os.environ.get("LKSCAN_DEBS", ".venv-ci/debs")).glob("linux-image-*_amd64.deb"))
    if not packages:
        print("\nnot measured: kernel modules (no linux-image package in the folder that LKSCAN_DEBS names)")
        return
    subprocess.run(["dpkg-deb", "-x", packages[0], scratch / "kernel"], check=True)
    paths = sorted((scratch / "kernel").rglob("*.ko*"))
    for name, count in (("modules.cpio", MODULES), ("one.cpio", 1)):
        with (scratch / name).open("wb") as out:
            out.writelines(newc(iter(paths[:count]), MODULES << 20, scratch / "kernel"))
    commands: dict[str, list[str] | str] = {name: [*SCAN, str(scratch / name)] for name in ("modules.cpio", "one.cpio")}
    found = measure(commands, RUNS)
    whole, start = found["modules.cpio"], found["one.cpio"]
    print(f"\naudit of {MODULES} kernel modules, {(scratch / 'modules.cpio').stat().st_size >> 20} MiB")
    print(f"  {'lkscan scan':38} {whole.seconds:8.2f} s CPU {whole.peak:5} MiB; of one, {start.seconds:.2f} s CPU")


def main() -> None:
    """Print a row for each tool, and one for modules."""
    peers = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/peers"
    with tempfile.TemporaryDirectory() as folder:
        compare(peers.resolve(), Path(folder))
        modules(Path(folder))


if __name__ == "__main__":
    main()
