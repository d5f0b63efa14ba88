"""Measures audits of images against the tools that unpack them, side by side: time, CPU and memory.

    images.py [NAME ...]

NAME is an image, `processes`, `evidence` or `foreign`: only these are measured. The images are built under
build/images, out of files below /usr, with the tools that LinuxKit's scripts call, and kept for the next run. A tool
that is not installed is named, and what needs it is not compared.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from measuring import AUDIT, LKSCAN, ROOT, files_below, measure, member, missing, newc, once
from results import Sheet, Table, rows

FOLDER = ROOT / "build/images"
MIB = 1 << 20
CONTENT = 250 * MIB
"""Bytes of files in each image."""
RUNS = 3
INSPECT = f"'{LKSCAN}' inspect"
EVIDENCE = 240
"""Seconds that an audit with evidence may take."""


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
    "disk.tar.gz": ("bsdtar -xOf {} disk.raw > $T/disk.raw && 7z x -y -o$T/x $T/disk.raw",),
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
"""Tools that look for everything in anything; they are slow, and run once, on what they are used for most."""
WIDELY = "disk.qcow2"
SYSTEM = "system.img"
SPEC = "kernel:\n  image: linuxkit/kernel:6.12.59\nservices:\n  - name: app\n    image: example.org/app:1\n"
PROGRAM = "/usr/bin/dash"
"""What the only container of the image starts that is traced and searched for evidence: a shell, which reaches all."""


def build(images: Iterable[Image]) -> dict[str, str]:
    """Make the images that are not there yet; those that cannot be made, each with the reason."""
    reasons: dict[str, str] = {}
    for name, command in images:
        if (FOLDER / name).exists():
            continue
        if lacking := missing(command):
            reasons[name] = f"{lacking} is not installed"
        elif isinstance(why := once(command, folder=FOLDER, limit=600), str):
            reasons[name] = f"it could not be made: {command}: {why}"
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


def compare(sheet: Sheet, name: str) -> None:
    """One image: what the audit takes, and how that compares with each tool."""
    rivals = {rival.format(name): missing(rival) for rival in RIVALS[name]}
    commands = {"lkscan scan": f"{AUDIT} {name}", "lkscan inspect": f"{INSPECT} {name}"}
    commands |= {rival: rival for rival, lacking in rivals.items() if not lacking}
    size = (FOLDER / name).stat().st_size // MIB
    found = measure(commands, RUNS, folder=FOLDER)
    sheet.add(Table(name, rows(found), "lkscan scan", "wall", note=f"{size} MiB"))
    for rival, lacking in rivals.items():
        if lacking:
            sheet.lacks(rival, f"{lacking} is not installed")


def larger(mib: int) -> tuple[Image, ...]:
    """An initrd of so many MiB of content, a multiple of the others', a disk that holds it, and that as qcow2."""
    initrd, disk = f"{mib}.img", f"{mib}.raw"
    return (
        Image(initrd, LARGER.format(mib * MIB // CONTENT, initrd)),
        Image(disk, DISK.format(disk, initrd, mib)),
        Image(f"{mib}.qcow2", f"qemu-img convert -f raw -O qcow2 {disk} {mib}.qcow2"),
    )


def processes(sheet: Sheet) -> None:
    """What the processes that read images cost, and what several of them gain."""
    small = "small.cpio"
    (FOLDER / small).write_bytes(b"".join(newc(iter([ROOT / "README.md"]), MIB, ROOT)))
    four = "initrd.img disk.qcow2 initrd.zst disk.raw"
    commands = {
        "an archive of one small file": f"{AUDIT} {small}",
        "the same without a sandbox": f"{AUDIT} --no-sandbox {small}",
        "four images, one at a time": f"{AUDIT} --jobs 1 {four}",
        "two at a time": f"{AUDIT} --jobs 2 {four}",
    }
    sheet.add(Table("Processes", rows(measure(commands, RUNS, folder=FOLDER)), "four images, one at a time", "wall"))


def evidence(sheet: Sheet) -> None:
    """What is told besides on demand: where files come from, what is not needed, what capabilities are used."""
    if not (FOLDER / SYSTEM).exists():
        maker = get_context("fork").Process(target=_write_system, args=(FOLDER / SYSTEM,))
        maker.start()  # in a process of its own: what it takes would count as the peak of every command after it
        maker.join()
    (FOLDER / "system.yml").write_text(SPEC, encoding="utf-8")
    plain = f"{AUDIT} {SYSTEM}"
    commands = {
        "the audit": plain,
        "with its spec": f"{plain} --spec system.yml",
        "with what is not needed": f"{plain} --profile pedantic",
        "with evidence of capabilities": f"{plain} --evidence",
        "with all three": f"{plain} --spec system.yml --profile pedantic --evidence",
    }
    found = measure(commands, RUNS, folder=FOLDER, limit=EVIDENCE)
    sheet.add(Table("Beyond the audit", rows(found), "the audit", "wall", note="one container with 250 MiB of files"))


def _write_system(target: Path) -> None:
    """An initrd with one container: the tree that all images hold, and the libraries of what it starts."""
    oci = {"process": {"args": [PROGRAM], "cwd": "/", "capabilities": {"bounding": ["CAP_SYS_ADMIN", "CAP_NET_RAW"]}}}
    top = "containers/services/app"
    with gzip.GzipFile(target, "wb", compresslevel=1, mtime=0) as file:
        file.writelines(member(f"{top}/config.json", json.dumps(oci).encode()))
        file.writelines(member(f"{top}/runtime.json", b"{}"))
        for inner, path in _rootfs():
            file.writelines(member(f"{top}/rootfs/{inner}", path.read_bytes(), path.stat().st_mode))
        file.writelines(member("TRAILER!!!", b""))


def _rootfs() -> Iterator[tuple[str, Path]]:
    for folder in ("lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"):
        for name in ("libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"):
            if (path := Path("/", folder, name)).is_file():
                yield f"{folder}/{name}", path
    for path in sorted((FOLDER / "tree").rglob("*")):
        if path.is_file():
            yield str(path.relative_to(FOLDER / "tree")), path


def foreign(sheet: Sheet) -> None:
    """The tools that look for everything, on one image, a few minutes each at most."""
    commands = {"lkscan scan": f"{AUDIT} {WIDELY}"}
    for tool, command in FOREIGN.items():
        if lacking := missing(command):
            sheet.lacks(tool, f"{lacking} is not installed")
        else:
            commands[tool] = command.format(WIDELY)
    found = measure(commands, 1, folder=FOLDER)
    sheet.add(Table("Tools that look for everything", rows(found), "lkscan scan", "wall", note=WIDELY))


EXTRAS = {"processes": processes, "evidence": evidence, "foreign": foreign}


def measured(sheet: Sheet, wanted: Iterable[str] = ()) -> None:
    """A table for each image, and one for each of the others."""
    wanted = set(wanted) or {*RIVALS, *EXTRAS}
    if importlib.util.find_spec("isal") is None:
        sheet.lacks("the extra `fast`", "not installed: gzip and the search for secrets take several times as long")
    tree()
    reasons = build(IMAGES)
    for one in IMAGES:
        if one.name in reasons:
            sheet.lacks(one.name, reasons[one.name])
        elif one.name in RIVALS and one.name in wanted:
            compare(sheet, one.name)
    for name, part in EXTRAS.items():
        if name in wanted:
            part(sheet)


if __name__ == "__main__":
    measured(Sheet(), sys.argv[1:])
