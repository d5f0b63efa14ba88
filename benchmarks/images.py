"""Measures audits of images against the tools that unpack them, side by side in one run: ratios of time and memory.

`make bench-images` runs it. The images are built under build/images, out of files below /usr, with the tools that
LinuxKit's scripts call, and kept for the next run. A tool that is not installed is named, and what needs it is not
compared. The last block holds the ratios against what they are meant to be.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from run import ENVIRONMENT, ROOT, files_below

FOLDER = ROOT / "build/images"
MIB = 1 << 20
CONTENT = 250 * MIB
"""Bytes of files in each image."""
LARGE = (1000 * MIB, 2000 * MIB)
"""The same, of those that show whether memory grows."""
RUNS = 3
PATH = f"{ROOT}/build/peers/bin:{ENVIRONMENT['PATH']}:/usr/sbin:/sbin"
LKSCAN = str(Path(sys.executable).with_name("lkscan"))
AUDIT = f"'{LKSCAN}' scan --no-config --fail-on never --date 2026-01-01"
INSPECT = f"'{LKSCAN}' inspect"


class Image(NamedTuple):
    """A file under build/images, and the shell command that makes it, there, of those above it."""

    name: str
    command: str


DISK = (
    "rm -rf {0}.d && mkdir {0}.d && cp {1} {0}.d/initrd.img && truncate -s 1M {0} && "
    "mke2fs -q -t ext4 -d {0}.d -E offset=1048576 {0} {2}M && rm -r {0}.d && echo 2048,,83,\\* | sfdisk -q {0}"
)
LARGER = "seq {0} | xargs -n 1 -I_ cat plain.cpio | gzip -1nc > {1}"
IMAGES = (
    Image("plain.cpio", "bsdtar --format=newc -cf plain.cpio -C tree ."),
    Image("initrd.img", "gzip -6nc plain.cpio > initrd.img"),
    Image("initrd.xz", "xz -T2 -1 --check=crc32 -c plain.cpio > initrd.xz"),
    Image("initrd.zst", "zstd -q -f -3 plain.cpio -o initrd.zst"),
    Image("tree.iso", "genisoimage -quiet -l -J -R -joliet-long -o tree.iso tree"),
    Image("tree.ext4", "rm -f tree.ext4 && mke2fs -q -t ext4 -d tree tree.ext4 400M"),
    Image(
        "disk.iso",
        "mkdir -p disk.d/boot && ln -f initrd.img disk.d/boot/ && "
        "genisoimage -quiet -l -J -R -o disk.iso disk.d && rm -r disk.d",
    ),
    Image("disk.raw", DISK.format("disk.raw", "initrd.img", 400)),
    Image("disk.qcow2", "qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2"),
    Image("tree.qcow2", "qemu-img convert -f raw -O qcow2 tree.ext4 tree.qcow2"),
    Image("packed.qcow2", "qemu-img convert -f raw -O qcow2 -c tree.ext4 packed.qcow2"),
    Image("tree.vmdk", "qemu-img convert -f raw -O vmdk -o subformat=streamOptimized tree.ext4 tree.vmdk"),
    Image("disk.tar.gz", "tar -cSf - disk.raw | gzip -1nc > disk.tar.gz"),
    Image("gzip.squashfs", "mksquashfs tree gzip.squashfs -comp gzip -noappend -quiet -no-progress"),
    Image("xz.squashfs", "mksquashfs tree xz.squashfs -comp xz -noappend -quiet -no-progress"),
    Image("zstd.squashfs", "mksquashfs tree zstd.squashfs -comp zstd -noappend -quiet -no-progress"),
    Image("tree.erofs", "mkfs.erofs tree.erofs tree"),
)

SEVEN = "7z x -y -o$T"
CHAIN = f"{SEVEN} {{}} && 7z x -so $(find $T -name initrd.img) | cpio -id --quiet -D $T"
"""7z goes through all layers of a disk by itself, down to the files in its file system."""
RIVALS = {
    "initrd.img": (
        "zcat {} > /dev/null",
        "zcat {} | cpio -t",
        "bsdtar -xOf {}",
        "7z e -so {} | cpio -id --quiet -D $T",
    ),
    "initrd.xz": ("xz -dc {} | cpio -t", "bsdtar -xOf {}"),
    "initrd.zst": ("zstd -dc {} | cpio -t", "bsdtar -xOf {}"),
    "tree.iso": ("7z e -so {}", f"{SEVEN} {{}}", "bsdtar -xOf {}"),
    "tree.ext4": ("7z e -so {}", f"{SEVEN} {{}}", 'debugfs -R "rdump / $T" {}'),
    "disk.iso": (CHAIN,),
    "disk.raw": (CHAIN,),
    "disk.tar.gz": ("7z x -so {} | 7z x -si -ttar -y -o$T && 7z x -y -o$T/x $T/disk.raw",),
    "disk.qcow2": (
        "qemu-img convert -f qcow2 -O raw {} $T/raw",
        CHAIN,
    ),
    "tree.qcow2": ("qemu-img convert -f qcow2 -O raw {} $T/raw", f"{SEVEN} {{}}"),
    "packed.qcow2": ("qemu-img convert -f qcow2 -O raw {} $T/raw", f"{SEVEN} {{}}"),
    "tree.vmdk": ("qemu-img convert -f vmdk -O raw {} $T/raw",),
    "gzip.squashfs": ("unsquashfs -q -n -d $T/x {}", "7z e -so {}"),
    "xz.squashfs": ("unsquashfs -q -n -d $T/x {}", "7z e -so {}"),
    "zstd.squashfs": ("unsquashfs -q -n -d $T/x {}", "7z e -so {}"),
    "tree.erofs": ("fsck.erofs --extract=$T/x {}",),
}
"""What unpacks each image: to nowhere, or into `$T`, a folder on tmpfs."""
FOREIGN = {
    "unblob": "unblob --extract-dir $T {}",
    "binwalk": "binwalk --run-as=root -q -e -M -C $T {}",
}
"""Tools that look for everything in anything; they are slow, and run once."""


UNSQUASH = "unsquashfs -q -n -d $T/x {}"
TARGETS = {
    "initrd.img": ("zcat {} > /dev/null", 0.5),
    "tree.iso": (f"{SEVEN} {{}}", 1.0),
    "tree.ext4": (f"{SEVEN} {{}}", 1.0),
    "disk.iso": (CHAIN, 1.0),
    "disk.raw": (CHAIN, 1.0),
    "disk.qcow2": (CHAIN, 1.0),
    "tree.qcow2": (f"{SEVEN} {{}}", 1.0),
    "packed.qcow2": (f"{SEVEN} {{}}", 1.0),
    "gzip.squashfs": (UNSQUASH, 1.0),
    "xz.squashfs": (UNSQUASH, 1.0),
    "zstd.squashfs": (UNSQUASH, 1.0),
}
"""What an audit is measured by: the tool, and the most that it may take of the tool's time on the clock."""
MOST, GAIN = 200, 1.7
"""MiB that an audit may take, and how much faster four images are to be read by two processes than by one."""
SUMMARY: list[str] = []
"""The lines of the last block."""


class Usage(NamedTuple):
    """What a command and all it started took: seconds on the clock and of CPU, MiB at the peak of the largest."""

    wall: float
    cpu: float
    peak: int


def measure(commands: Iterable[str], runs: int) -> list[Usage | None]:
    """The medians for each shell command, all of them run in turn; None for one that failed.

    A first round, which is not counted, fills the caches, where there are several.
    """
    commands = list(commands)
    taken: list[list[Usage | None]] = [[] for _ in commands]
    for _ in range(runs + (runs > 1)):
        for one, command in zip(taken, commands, strict=True):
            one.append(_once(command))
    return [_median(one[runs > 1 :]) for one in taken]


def _median(taken: list[Usage | None]) -> Usage | None:
    known = [one for one in taken if one is not None]
    if len(known) < len(taken):
        return None
    walls, cpus, peaks = zip(*known, strict=True)
    return Usage(statistics.median(walls), statistics.median(cpus), max(peaks))


def _once(command: str) -> Usage | None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        started = time.perf_counter()
        child = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=FOLDER,
            env={**ENVIRONMENT, "PATH": PATH, "T": scratch},
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    return None if child.returncode else Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10)


def missing(command: str) -> str:
    """The first tool of a command that is not installed, "" when all are."""
    return next((tool for tool in _tools(command) if shutil.which(tool, path=PATH) is None), "")


def _tools(command: str) -> list[str]:
    return [part.split()[0].strip("'") for part in re.split(r"&&|\||;", command)]


def build(images: Iterable[Image]) -> dict[str, str]:
    """Make the images that are not there yet; those that cannot be made, each with the reason."""
    reasons: dict[str, str] = {}
    for name, command in images:
        if (FOLDER / name).exists():
            continue
        if lacking := missing(command):
            reasons[name] = f"{lacking} is not installed"
        elif _once(command) is None:
            reasons[name] = f"it could not be made: {command}"
            (FOLDER / name).unlink(missing_ok=True)
    return reasons


def tree() -> None:
    """Files below /usr, copied."""
    if (FOLDER / "tree").exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    room = CONTENT
    for path in files_below("/usr"):
        room -= path.stat().st_size
        if room < 0:
            break
        target = FOLDER / "tree" / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def compare(name: str) -> None:
    """One image: what the audit takes, and how that compares with each tool."""
    rivals = {rival.format(name): missing(rival) for rival in RIVALS[name]}
    known = [rival for rival, lacking in rivals.items() if not lacking]
    audit, inspect, *others = measure([f"{AUDIT} {name}", f"{INSPECT} {name}", *known], RUNS)
    print(f"\n{name}, {(FOLDER / name).stat().st_size // MIB} MiB")
    for what, used in (("lkscan scan", audit), ("lkscan inspect", inspect)):
        print(f"  {what:58} {_shown(used)}", flush=True)
    for rival, used in zip(known, others, strict=True):
        ratio = (
            f"  scan takes {audit.wall / used.wall:5.2f} x its time, {audit.cpu / used.cpu:5.2f} x its CPU"
            if (audit and used)
            else ""
        )
        print(f"  {rival:58} {_shown(used)}{ratio}", flush=True)
        if audit and used and name in TARGETS and rival == TARGETS[name][0].format(name):
            tool = rival.split()[0]
            _judge(f"{name}: time by that of {tool}", audit.wall / used.wall, TARGETS[name][1])
            _judge(f"{name}: CPU by that of {tool}", audit.cpu / used.cpu, TARGETS[name][1])
    for rival, lacking in rivals.items():
        if lacking:
            print(f"  not compared: {rival} ({lacking} is not installed)")


def _judge(what: str, ratio: float, most: float) -> None:
    """A line of the last block; with `most` below 0, at least so much is wanted."""
    is_met = ratio <= most if most > 0 else ratio >= -most
    wanted = f"{'at most' if most > 0 else 'at least'} {abs(most):g}"
    SUMMARY.append(f"  {what:58} {ratio:7.2f}  {wanted}{'' if is_met else '  MISSED'}")


def _shown(used: Usage | None) -> str:
    return f"{used.wall:7.2f} s {used.cpu:7.2f} s CPU {used.peak:5} MiB" if used else "failed"


def memory() -> None:
    """How the peak of memory grows with the image: the same files again and again, under other names."""
    print("\nmemory of the audit, by bytes of content")
    rows = {"initrd.img": "gzip > cpio", "disk.qcow2": "qcow2 > MBR > ext4 > gzip > cpio"}
    for size in LARGE:
        label = f"{size // MIB}"
        disk = f"{label}.raw"
        made = (
            Image(f"{label}.img", LARGER.format(size // CONTENT, f"{label}.img")),
            Image(disk, DISK.format(disk, f"{label}.img", size // MIB)),
            Image(f"{label}.qcow2", f"qemu-img convert -f raw -O qcow2 {disk} {label}.qcow2"),
        )
        for name, reason in build(made).items():
            print(f"  not measured: {name} ({reason})")
        rows[f"{label}.img"], rows[f"{label}.qcow2"] = rows["initrd.img"], rows["disk.qcow2"]
    rows["disk.tar.gz"] = "gzip > tar > MBR > ext4 > gzip > cpio"
    peaks = []
    for name, layers in rows.items():
        if (FOLDER / name).exists():
            (used,) = measure([f"{AUDIT} {name}"], 1)
            print(f"  {name:14} {layers:44} {_shown(used)}", flush=True)
            peaks += [used.peak] if used else []
    if peaks:
        _judge("memory: the most of these in MiB", max(peaks), MOST)


def processes() -> None:
    """What the processes that read images cost, and what several of them gain."""
    print(f"\nprocesses; load before: {os.getloadavg()[0]:.1f}")
    small = "small.cpio"
    making = ["bash", "-c", f"echo README.md | cpio -o -H newc --quiet > '{FOLDER / small}'"]
    subprocess.run(making, cwd=ROOT, check=True)
    four = "initrd.img disk.qcow2 initrd.zst disk.raw"
    commands = [
        f"{AUDIT} {small}",
        f"{AUDIT} --no-sandbox {small}",
        f"{AUDIT} --jobs 1 {four}",
        f"{AUDIT} --jobs 2 {four}",
    ]
    used = measure(commands, RUNS)
    labels = (
        "an archive of one small file",
        "the same without a sandbox",
        "four images, one at a time",
        "two at a time",
    )
    for label, one in zip(labels, used, strict=True):
        print(f"  {label:58} {_shown(one)}", flush=True)
    if used[2] and used[3]:
        _judge("two jobs: how often as fast as one, on four images", used[2].wall / used[3].wall, -GAIN)


def foreign() -> None:
    """The tools that look for everything, on what they are used for most; an hour is never waited for."""
    print("\ntools that look for everything in anything")
    for tool, command in FOREIGN.items():
        if lacking := missing(command):
            print(f"  not compared: {tool} ({lacking} is not installed)")
            continue
        for name in ("initrd.img", "disk.qcow2", "gzip.squashfs"):
            if (FOLDER / name).exists():
                audit, used = measure([f"{AUDIT} {name}", f"timeout 600 {command.format(name)}"], 1)
                ratio = f"  scan takes {audit.wall / used.wall:5.3f} x its time" if audit and used else ""
                print(f"  {command.format(name):58} {_shown(used)}{ratio}", flush=True)


def main() -> None:
    """Print a block of rows for each image; names given as arguments are the only ones."""
    wanted = set(sys.argv[1:])
    peers = sorted(
        {tool for one in (*RIVALS.values(), tuple(FOREIGN.values())) for rival in one for tool in _tools(rival)}
    )
    lacking = [tool for tool in peers if shutil.which(tool, path=PATH) is None]
    print(f"compared with {', '.join(tool for tool in peers if tool not in lacking)}")
    print(f"not installed, and not compared with: {', '.join(lacking) or 'none'}")
    if importlib.util.find_spec("isal") is None:
        print("the extra `fast` is not installed: gzip and the search for secrets take several times as long")
    tree()
    reasons = build(IMAGES)
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"medians of {RUNS} runs in turn; Python {version}, {os.cpu_count()} CPUs; $T is on tmpfs")
    for one in IMAGES:
        if one.name in reasons:
            print(f"\n{one.name}: not measured ({reasons[one.name]})")
        elif one.name in RIVALS and (not wanted or one.name in wanted):
            compare(one.name)
    if not wanted or "processes" in wanted:
        processes()
    if not wanted or "memory" in wanted:
        memory()
    if not wanted or "foreign" in wanted:
        foreign()
    if SUMMARY:
        print("\nratios, and what they are meant to be", *SUMMARY, sep="\n")


if __name__ == "__main__":
    main()
