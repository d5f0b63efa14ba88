"""Measures lkscan against the plainest tool for the same job and prints CPU seconds and their ratio."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPECS = (ROOT / "examples/bad.yml", ROOT / "examples/exemplary.yml")
LKSCAN = [str(Path(sys.executable).with_name("lkscan"))]
SCAN = [*LKSCAN, "scan", "--fail-on", "never", "--date", "2026-01-01"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
INITRD_BYTES = 250 << 20
MANY = 300


def cpu(command: list[str] | str, runs: int) -> tuple[float, int]:
    """The median of user and system seconds of `command` and all it starts, and the peak of its memory in MiB.

    A first run, which is not counted, fills the caches: of bytecode, and of the file system.
    """
    _once(command)
    usages = [_once(command) for _ in range(runs)]
    seconds = statistics.median(one.ru_utime + one.ru_stime for one in usages)
    return seconds, max(one.ru_maxrss for one in usages) // 1024


def _once(command: list[str] | str) -> resource.struct_rusage:
    shell, silent = isinstance(command, str), subprocess.DEVNULL
    child = subprocess.Popen(command, shell=shell, stdout=silent, stderr=silent, cwd=ROOT, env=ENVIRONMENT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command}: exit status {child.returncode}")
    return usage


def newc(paths: Iterator[Path], limit: int) -> Iterator[bytes]:
    """A cpio archive (newc) of regular files, in their order, up to `limit` bytes of content."""
    total = 0
    for number, path in enumerate(paths):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        total += len(data)
        if total > limit:
            break
        yield from _member(str(path).lstrip("/"), number, data)
    yield from _member("TRAILER!!!", 0, b"")


def _member(name: str, number: int, data: bytes) -> Iterator[bytes]:
    encoded = os.fsencode(name) + b"\0"
    fields = (number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + encoded
    yield head + bytes(-len(head) % 4)
    yield data + bytes(-len(data) % 4)


def _files(top: str) -> Iterator[Path]:
    """Regular files below `top` up to 64 MiB each, by name: the same on the same machine."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 64 << 20:
                yield path


def _initrd(folder: Path) -> Path:
    target = folder / "usr-initrd.img"
    with gzip.GzipFile(target, "wb", compresslevel=6, mtime=0) as file:
        for part in newc(_files("/usr"), INITRD_BYTES):
            file.write(part)
    return target


def _many(folder: Path) -> Path:
    """A folder of specs that differ from one another."""
    target = folder / "specs"
    target.mkdir()
    for number in range(MANY):
        text = SPECS[number % len(SPECS)].read_text(encoding="utf-8")
        (target / f"{number:03d}.yml").write_text(f"# number {number}\n{text}", encoding="utf-8")
    return target


def _row(what: str, measured: tuple[float, int], against: str, baseline: float) -> None:
    seconds, peak = measured
    ratio = f"{seconds / baseline:6.1f} x {against}" if baseline else ""
    print(f"{what:34} {seconds:8.3f} s {peak:5} MiB  {ratio}", flush=True)


def main() -> None:
    """Print one row a measurement; needs zcat and cpio for the last."""
    (ROOT / "build").mkdir(exist_ok=True)
    version = ".".join(map(str, sys.version_info[:3]))
    inflater = "isal" if find_spec("isal") else "zlib"
    print(f"CPU seconds (median), peak memory; Python {version} with {inflater}, {os.cpu_count()} CPUs\n")
    nothing = cpu([sys.executable, "-c", "pass"], 25)
    _row("python -c pass", nothing, "", 0)
    _row("lkscan --version", cpu([*LKSCAN, "--version"], 25), "python -c pass", nothing[0])
    for path in SPECS:
        _row(f"lkscan {path.name}", cpu([*SCAN, str(path)], 25), "python -c pass", nothing[0])
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        specs = _many(Path(name))
        _row(f"lkscan {MANY} specs", cpu([*SCAN, str(specs)], 3), "python -c pass", nothing[0])
        initrd = _initrd(Path(name))
        missing = [tool for tool in ("zcat", "cpio") if shutil.which(tool) is None]
        plain = (0.0, 0) if missing else cpu(f"zcat '{initrd}' | cpio -t", 3)
        if missing:
            print(f"not compared: {' and '.join(missing)} not installed")
        else:
            _row("zcat | cpio -t", plain, "", 0)
        _row(f"lkscan {INITRD_BYTES >> 20} MiB initrd", cpu([*SCAN, str(initrd)], 3), "zcat | cpio -t", plain[0])


if __name__ == "__main__":
    main()
