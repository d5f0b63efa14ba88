"""Images that nobody here made, out of Debian's packages: the same files come out as bsdtar and mtools give."""

import hashlib
import io
import re
import subprocess
import tarfile

import pytest
from debianlab import unpack
from imagelab import needs, run

from lkscan.scanner.image import read
from lkscan.scanner.source import Limits
from lkscan.scanner.subjects import File, Kernel, Problem, System

INSTALLER = "usr/lib/debian-installer/images/12/{0}/{1}/debian-installer/{0}"
ARCHIVES = (
    ("grub-rescue-pc", "usr/lib/grub-rescue/grub-rescue-cdrom.iso"),
    ("grub-rescue-pc", "usr/lib/grub-rescue/grub-rescue-floppy.img"),
    ("ipxe", "usr/lib/ipxe/ipxe.iso"),
    ("memtest86+", "usr/lib/memtest86+/memtest86+x64.iso"),
    ("memtest86+", "usr/lib/memtest86+/memtest86+ia32.iso"),
    ("debian-installer-12-netboot-amd64", f"{INSTALLER.format('amd64', 'text')}/initrd.gz"),
    ("debian-installer-12-netboot-amd64", f"{INSTALLER.format('amd64', 'gtk')}/initrd.gz"),
    ("debian-installer-12-netboot-arm64", f"{INSTALLER.format('arm64', 'text')}/initrd.gz"),
)
MODULE = re.compile(r"(?:usr/)?lib/modules/([^/]+)/")
KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Unpacks a package once."""
    folder, known = tmp_path_factory.mktemp("packages"), {}

    def unpacked(package):
        if package not in known:
            known[package] = unpack(package, folder)
        return known[package]

    return unpacked


def bsdtar(path):
    """(kind, mode, owner, size, digest or target) by path, hard links as the files that they are."""
    found = {}
    archive = run("bsdtar", "-cf", "-", "--format=pax", f"@{path}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() or member.islnk() else None
            content = file.read() if file else b""
            path_ = member.name.removeprefix("./")
            told = hashlib.sha256(content).hexdigest() if file else member.linkname if member.issym() else ""
            kind = "file" if member.islnk() else KINDS[member.type]
            found[path_] = (kind, member.mode & 0o7777, (member.uid, member.gid), len(content), told)
    found.pop(".", None)
    return found


def ours(path, depth=2):
    """The same as lkscan reads it, of files that lie `depth` artifacts deep."""
    found = {}
    for item in read((str(path),), Limits()):
        if not isinstance(item, File) or len(item.place.artifacts) != depth or item.path == ".":
            continue
        content = b"".join(item.pieces()) if item.pieces else item.read(item.size) if item.read else b""
        told = hashlib.sha256(content).hexdigest() if item.kind == "file" else ""
        told = item.target if item.kind == "symlink" else told
        found[item.path] = (item.kind, item.mode, (item.uid, item.gid), len(content), told)
        if item.kind == "hardlink":
            found[item.path] = found[item.target]
    return found


@needs("bsdtar")
@pytest.mark.parametrize(("package", "path"), ARCHIVES)
def test_the_same_files_come_out_as_bsdtar_gives(packages, package, path):
    image = packages(package) / path
    wanted, got = bsdtar(image), ours(image)
    assert {name: (row, got.get(name)) for name, row in wanted.items() if got.get(name) != row} == {}
    assert got.keys() == wanted.keys()
    assert wanted


@needs("mtype", "mdir")
def test_the_same_files_come_out_of_a_fat_image_in_an_iso_as_mtools_give(packages, tmp_path):
    iso = packages("ipxe") / "usr/lib/ipxe/ipxe.iso"
    inside = {
        item.place.artifacts[1:]: item.read(1 << 24)
        for item in read((str(iso),), Limits())
        if isinstance(item, File) and item.kind == "file" and item.read and len(item.place.artifacts) > 2
    }
    (layer,) = {artifacts[:-1] for artifacts in inside}
    data = iso.read_bytes()
    disk = tmp_path / "fat.img"
    start = data.index(b"FAT12   ") - 54
    disk.write_bytes(data[start:])
    listing = run("mdir", "-/", "-b", "-i", disk, "::").decode().splitlines()
    names = [line.removeprefix("::/") for line in listing if not line.endswith("/")]
    wanted = {(*layer, name): run("mtype", "-i", disk, f"::/{name}") for name in names}
    lower = {tuple(part.lower() for part in path): content for path, content in inside.items()}
    assert lower == {tuple(part.lower() for part in path): content for path, content in wanted.items()}


@pytest.mark.parametrize(("arch", "told"), [("amd64", "x86_64"), ("arm64", "arm64")])
def test_kernels_of_each_architecture_are_read_on_this_one(packages, arch, told):
    folder = packages(f"debian-installer-12-netboot-{arch}") / INSTALLER.format(arch, "text")
    items = list(read((str(folder / "linux"), str(folder / "initrd.gz")), Limits()))
    (kernel,) = (item for item in items if isinstance(item, Kernel))
    assert (kernel.arch, bool(re.fullmatch(rf"6\.1\.0-\d+-{arch}", kernel.version))) == (told, True)
    modules = {match[1] for item in items if isinstance(item, File) and (match := MODULE.match(item.path))}
    assert modules == {kernel.version}
    assert [item for item in items if isinstance(item, Problem)] == []
    assert isinstance(items[-1], System)
    assert items[-1].binaries > 50


@needs("gzip")
def test_an_initrd_that_gzip_unpacked_is_the_same(packages, tmp_path):
    packed = packages("debian-installer-12-netboot-amd64") / INSTALLER.format("amd64", "text") / "initrd.gz"
    with (tmp_path / "initrd").open("wb") as target:
        subprocess.run(["gzip", "-dc", packed], stdout=target, check=True)
    assert ours(tmp_path / "initrd") == ours(packed)
