"""Debian builds these packages with stack canaries and FORTIFY: nothing of them may be said to lack either."""

import os
import shutil
import subprocess
from pathlib import Path

import debianlab
import pytest

from lkscan.scanner import hardening
from lkscan.scanner.elf import MAGIC
from lkscan.scanner.subjects import File, Place

INSTALLED = (
    "coreutils util-linux bash tar grep sed gzip findutils diffutils dpkg apt login passwd mount e2fsprogs "
    "libpam-modules libpam0g cpio xz-utils zstd bzip2 strace git mtools dosfstools fdisk squashfs-tools zsh "
    "dash debianutils perl-base"
)
"""Of Debian 12: base packages, and such as the other tests need. Two that its policy did not reach, u-boot-tools and
genisoimage, are none of them: their own build files overrule it, and lkscan says so."""
UNPACKED = ("iptables", "sudo")
LEAST = 20


def of_package(package: str) -> list[Path]:
    """The regular files of an installed package; none when it is not installed."""
    told = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True, check=False).stdout
    paths = [Path(line) for line in told.splitlines()]
    return [one for one in paths if one.is_file() and not one.is_symlink()]


def wrong(paths: list[Path]) -> tuple[int, list[str]]:
    """How many ELF files are among them, and what is said of those that would lack something."""
    count, found = 0, []
    for path in paths:
        data = path.read_bytes()
        if not data.startswith(MAGIC):
            continue
        binary = hardening.examine(File(str(path), "file", 0o755, 0, 0, len(data), Place((str(path),))), data)
        assert binary is not None
        count += 1
        lacking = [one for one in ("canary", "fortify") if binary.answer(one) == "no"]
        found += [f"{path}: {binary.evidence[one]}" for one in lacking]
    return count, found


def is_bookworm() -> bool:
    try:
        return 'VERSION_ID="12"' in Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return False


@pytest.mark.skipif(shutil.which("dpkg-query") is None or not is_bookworm(), reason="needs Debian 12")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64")
def test_nothing_that_debian_hardened_is_said_to_be_soft() -> None:
    packages = {package: wrong(of_package(package)) for package in INSTALLED.split()}
    assert sum(1 for count, _ in packages.values() if count) >= LEAST
    assert [line for _, lines in packages.values() for line in lines] == []


@pytest.mark.parametrize("package", UNPACKED)
def test_nor_are_plug_ins_without_buffers_and_set_id_programs(package, tmp_path) -> None:
    folder = debianlab.unpack(package, tmp_path)
    count, lines = wrong([one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()])
    assert count
    assert lines == []
