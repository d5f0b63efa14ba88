"""What all benchmarks share: running commands in turns, the files they are run on, and where the peers are."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Timer
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "build/peers/bin"
LKSCAN = str(Path(sys.executable).with_name("lkscan"))
SCAN = [LKSCAN, "scan", "--fail-on", "never", "--date", "2026-01-01"]
AUDIT = " ".join([f"'{LKSCAN}'", *SCAN[1:], "--no-config"])
"""Of an image, as a part of a shell command."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LKSCAN_RESULTS"))}
ENVIRONMENT["PATH"] = f"{PEERS}:{ENVIRONMENT['PATH']}:/usr/sbin:/sbin"
SLOW, FEW, VERY_SLOW = 1.0, 3, 8.0
"""Seconds from which a command is run a few times only, and from which once."""
LIMIT = 120
"""Seconds after which a command is stopped."""


class Usage(NamedTuple):
    """Seconds on the clock and of CPU (of a command and all it starts), MiB at the peak of the largest process.

    Of a command that takes less memory than this process, the peak is what this process takes: some 15 MiB.
    """

    wall: float
    cpu: float
    peak: int


Command = list[str] | str
"""The words of a command, or a line for bash."""


def measure(
    commands: Mapping[str, Command], runs: int, *, folder: Path = ROOT, limit: int = LIMIT
) -> dict[str, Usage | str]:
    """The medians of `runs` runs of each command, or why there are none.

    They run in turns, so that a busy machine slows all of them alike, after a first round that fills the caches; with
    one run there is no such round. `$T` is a folder on tmpfs, empty each time.
    """
    found: dict[str, list[Usage]] = {name: [] for name in commands}
    failed: dict[str, Usage | str] = {}
    for number in range(-1 if runs > 1 else 0, runs):
        for name, command in commands.items():
            if name in failed or (number >= 0 and _is_enough(found[name], number)):
                continue
            used = once(command, folder=folder, limit=limit)
            if isinstance(used, str):
                failed[name] = used
            elif number >= 0 or used.wall > VERY_SLOW:
                found[name].append(used)
    return {name: failed.get(name) or _median(found[name]) for name in commands}


def _is_enough(taken: list[Usage], number: int) -> bool:
    return bool(taken) and (taken[0].wall > VERY_SLOW or (number >= FEW and taken[0].wall > SLOW))


def _median(taken: list[Usage]) -> Usage:
    walls, cpus, peaks = zip(*taken, strict=True)
    return Usage(statistics.median(walls), statistics.median(cpus), max(peaks))


def once(command: Command, *, folder: Path = ROOT, limit: int = LIMIT) -> Usage | str:
    """What one run takes, or why it failed."""
    words = ["bash", "-o", "pipefail", "-c", command] if isinstance(command, str) else command
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as scratch:
        started = time.perf_counter()
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**ENVIRONMENT, "T": scratch},
            start_new_session=True,
        )
        watch = Timer(limit, os.killpg, (child.pid, signal.SIGKILL))
        watch.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:  # this process is stopped: what it started is, too
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            watch.cancel()
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode == -signal.SIGKILL and wall >= limit:
        return f"stopped after {limit} s"
    return f"exit status {child.returncode}" if child.returncode else of_process(wall, used)


def of_process(wall: float, used: resource.struct_rusage) -> Usage:
    """What `os.wait4` told of a process."""
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10)


def missing(command: str) -> str:
    """The first tool of a shell command that is not installed, "" when all are."""
    return next((tool for tool in tools(command) if not where(tool)), "")


def tools(command: str) -> list[str]:
    """The programs that a shell command starts."""
    return [part.split()[0].strip("'") for part in re.split(r"&&|\||;", command) if part.strip()]


def where(tool: str) -> str | None:
    """The path of a tool: a peer, or one of the system."""
    return shutil.which(tool, path=ENVIRONMENT["PATH"])


def newc(paths: Iterator[Path], limit: int, top: Path = Path("/")) -> Iterator[bytes]:
    """A cpio archive (newc) of regular files, in their order and named from `top`, up to `limit` bytes of content."""
    total = 0
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError:
            continue
        total += len(data)
        if total > limit:
            break
        yield from member(str(path.relative_to(top)), data)
    yield from member("TRAILER!!!", b"")


def member(name: str, data: bytes, mode: int = 0o100644) -> Iterator[bytes]:
    """One file of such an archive."""
    encoded = os.fsencode(name) + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
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
