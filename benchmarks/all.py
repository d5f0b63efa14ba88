"""Runs all benchmarks, each in a process of its own, and writes results.json and the page that is made of it.

    all.py [--corpus DIR] [PART ...]

Only the parts that are named are measured, of the others the last figures stay, if they are of this machine. A part
that fails, or takes more than twenty minutes, is named in the page with what it printed last, and keeps what it had
found until then; the others go on. The exit status is 1 where one failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import page
from measuring import PEERS, ROOT
from results import RESULTS

from lkscan import __version__

HERE = Path(__file__).resolve().parent
PARTS = {name: part["script"] for name, part in page.table_of("parts").items()}
LIMIT = 1200
"""Seconds that a part may take."""


def machine() -> dict[str, Any]:
    """What the figures are of; no name of the machine, no path."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    system = next(
        (line.partition("=")[2].strip('"') for line in _lines("/etc/os-release") if line.startswith("PRETTY")), ""
    )
    return {
        "processor": cpus[0] if cpus else platform.machine(),
        "CPUs": len(os.sched_getaffinity(0)),
        "memory, GiB": round(memory / (1 << 20)),
        "system": system or platform.system(),
        "kernel": platform.release(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "lkscan": __version__,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def versions() -> dict[str, str]:
    """Of the peers that are there."""
    found = {name: _version(peer) for name, peer in page.table_of("peers").items()}
    return {name: version for name, version in found.items() if version}


def _version(peer: dict[str, str]) -> str:
    program = f"from importlib.metadata import version; print(version({peer.get('pypi')!r}))"
    interpreters = [path for path in (PEERS / "python", Path(sys.executable)) if path.exists() and "pypi" in peer]
    commands = [[str(path), "-c", program] for path in interpreters]
    commands += [["dpkg-query", "-W", "-f=${Version}", package] for package in peer.get("debian", "").split()]
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return ""


def measured(name: str, arguments: list[str], limit: float = LIMIT) -> dict[str, Any]:
    """What one part found, with the seconds that it took, and why it failed, if it did."""
    print(f"== {name}, load {os.getloadavg()[0]:.1f}\n", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told, kept = Path(folder, "errors"), Path(folder, "results")
        with told.open("w", encoding="utf-8") as errors:
            part = subprocess.Popen(
                [sys.executable, HERE / PARTS[name], *arguments],
                stderr=errors,
                env={**os.environ, "LKSCAN_RESULTS": str(kept)},
            )
            try:
                status = part.wait(limit)
                failure = f"exit status {status}: {_last(told)}" if status else ""
            except subprocess.TimeoutExpired:
                part.send_signal(signal.SIGINT)  # so that it stops what it started
                part.wait()
                failure = f"stopped after {limit:g} s"
        found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {"tables": [], "missing": {}}
    print(f"{name}: {failure or 'done'} in {time.monotonic() - started:.0f} s\n", flush=True)
    return {"seconds": round(time.monotonic() - started), **({"failure": failure} if failure else {}), **found}


def _last(path: Path) -> str:
    """The last line of what was printed, without paths of this machine."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing was said"]
    return re.sub(r"(?:/[\w.+-]+)+/", "", lines[-1])[:300]


def main() -> int:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", metavar="DIR", help="take the noise budget anew, on the corpus there")
    parser.add_argument("parts", metavar="PART", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    order = parser.parse_args()
    if unknown := [name for name in order.parts if name not in PARTS]:
        parser.error(f"no part is called {unknown[0]}: they are {', '.join(PARTS)}")
    (ROOT / "build").mkdir(exist_ok=True)
    here = machine()
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() and order.parts else {}
    if before and before["machine"] != here:
        print("the last figures are of another machine, or of another lkscan or Python: they are left out", flush=True)
        before = {}
    parts = before.get("parts", {})
    for name in order.parts or PARTS:
        arguments = [order.corpus] if name == "noise" and order.corpus else []
        parts[name] = measured(name, arguments)
        data = {"machine": here, "peers": versions(), "parts": {one: parts[one] for one in PARTS if one in parts}}
        RESULTS.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write(json.loads(RESULTS.read_text(encoding="utf-8")))
    failed = [name for name in order.parts or PARTS if "failure" in parts[name]]
    print(f"failed: {', '.join(failed) or 'none'}; see docs/benchmarks.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
