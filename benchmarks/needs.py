"""Measures how much of what LinuxKit's own packages are given their programs use, capability by capability.

    python benchmarks/needs.py [--debs DIR] [--linuxkit DIR] [--write]

Capabilities are those of the packages' labels, in their newest state. The packages' images are not at hand: programs
that LinuxKit wrote itself are built from its sources (DIR is a checkout), and for others Debian's program of the same
name stands in, which may be another version, or built with other options. Both lie alone in a container with what they
are linked with, so what they start in the real one (a shell, mkfs) is not counted. DIR of --debs holds Debian's
packages. `--write` renews benchmarks/needs.toml.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.references import reference
from lkscan.scanner.subjects import Place

ROOT = Path(__file__).resolve().parent.parent


class Program(NamedTuple):
    """What stands for a package's program: a path in one of Debian's packages, or a folder of LinuxKit's sources."""

    package: str
    debian: str = ""
    path: str = ""
    source: str = ""


PROGRAMS = (
    Program("acpid", "acpid", "usr/sbin/acpid"),
    Program("auditd", "auditd", "sbin/auditd"),
    Program("binfmt", source="pkg/binfmt"),
    Program("dhcpcd", "dhcpcd-base", "usr/sbin/dhcpcd"),
    Program("extend", source="pkg/extend"),
    Program("format", source="pkg/format"),
    Program("host-timesync-daemon", source="pkg/host-timesync-daemon"),
    Program("ip", "iproute2", "bin/ip"),
    Program("metadata", source="pkg/metadata"),
    Program("modprobe", "kmod", "bin/kmod"),
    Program("mount", source="pkg/mount"),
    Program("openntpd", "openntpd", "usr/sbin/ntpd"),
    Program("rngd", source="pkg/rngd/cmd/rngd"),
    Program("sshd", "openssh-server", "usr/sbin/sshd"),
    Program("sysctl", source="pkg/sysctl"),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--debs", type=Path, default=ROOT / ".venv-ci/debs")
    parser.add_argument("--linuxkit", type=Path)
    parser.add_argument("--write", action="store_true")
    order = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    lab: Any = import_module("needlab")
    with tempfile.TemporaryDirectory() as name:
        rows = measured(lab, Path(name), order.debs, order.linuxkit)
    total: dict[str, int] = {}
    for row in rows:
        told = {key: len(row[key]) for key in ("given", "used", "unused", "unknown")}
        print(f"{row['package']:22}" + "".join(f"{number:3} {key}  " for key, number in told.items()) + row["program"])
        total = {key: total.get(key, 0) + number for key, number in told.items()}
    print(f"{'all':22}" + "".join(f"{number:3} {key}  " for key, number in total.items()))
    if order.write:
        (ROOT / "benchmarks/needs.toml").write_text(tomli_w.dumps({"package": rows}))


def measured(lab: Any, folder: Path, debs: Path, linuxkit: Path | None) -> list[dict[str, Any]]:  # noqa: ANN401 - a module
    """A row for each package whose program is at hand."""
    roots = {one.name: unpacked(one, folder) for one in sorted(debs.glob("*.deb")) if one.stat().st_size < 4 << 20}
    where = [root / inner for root in roots.values() for inner in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")]
    where += [Path("/lib/x86_64-linux-gnu"), Path("/usr/lib/x86_64-linux-gnu"), Path("/lib64")]
    rows = []
    for one in PROGRAMS:
        found = built(one, folder, linuxkit) if one.source else stands_in(one, roots)
        if found is None:
            print(f"{one.package:22}left out: its program is not at hand")
            continue
        path, told = found
        given = capabilities(one.package, lab.ALL)
        files = {"app": path, **{f"lib64/{library.name}": library for library in lab.libraries(path, where)}}
        image = lab.image(folder / f"{one.package}.tar", {one.package: (lab.configuration(["/app"], given), files)})
        verdicts = lab.verdicts(lab.needs(image)[one.package])
        lists = {
            key: [name for name, verdict in verdicts.items() if verdict == key] for key in ("used", "unused", "unknown")
        }
        rows.append({"package": f"linuxkit/{one.package}", "program": told, "given": given, **lists})
    return rows


def unpacked(deb: Path, folder: Path) -> Path:
    """The files of one of Debian's packages."""
    target = folder / "debs" / deb.stem
    target.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "-x", deb, target], check=True)
    return target


def stands_in(one: Program, roots: dict[str, Path]) -> tuple[Path, str] | None:
    """Debian's program of that name, and what it is."""
    for name, root in roots.items():
        if name.startswith(f"{one.debian}_"):
            return root / one.path, f"/{one.path} of Debian's {one.debian} {name.split('_')[1].replace('%3a', ':')}"
    return None


def built(one: Program, folder: Path, linuxkit: Path | None) -> tuple[Path, str] | None:
    """LinuxKit's own program, made of its sources, and what it is; None where that fails."""
    source = linuxkit / one.source if linuxkit else None
    if source is None or not source.is_dir():
        return None
    for with_c in "01":  # some need it
        environment = {**os.environ, "CGO_ENABLED": with_c}
        done = subprocess.run(
            ["go", "build", "-o", folder / one.package, "."],
            cwd=source,
            env=environment,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            return folder / one.package, f"its own, of LinuxKit's {one.source}"
    return None


def capabilities(package: str, everything: tuple[str, ...]) -> list[str]:
    """What the label of a package gives."""
    _, label, _ = LabelFinder().find(reference(f"linuxkit/{package}", "services", Place(())))
    listed = (json.loads(label) if isinstance(label, str) else label or {}).get("capabilities") or []
    return list(everything) if listed == ["all"] else listed


if __name__ == "__main__":
    main()
