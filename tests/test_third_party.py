"""Images that nobody here made: the same files come out as bsdtar, mtools, unsquashfs and debugfs give.

They are Debian's: its network installers for amd64, arm64 (Debian 12) and riscv64 (Debian 13), with the kernels and
initrds that such machines boot; its kernel for s390x; GRUB's, iPXE's and memtest86+'s disks. And what other readers of
squashfs and ext4 are tested with, out of their source packages.
"""

import gzip
import hashlib
import io
import re
import subprocess
import tarfile

import pytest
from debianlab import DEBS, unpack
from imagelab import needs, run
from outputlab import listed

from lkscan.scanner.image import read
from lkscan.scanner.source import Limits
from lkscan.scanner.subjects import Binary, File, Kernel, Problem, System

INSTALLER = "usr/lib/debian-installer/images/{2}/{0}/{1}/debian-installer/{0}"
ARCHIVES = (
    ("grub-rescue-pc", "usr/lib/grub-rescue/grub-rescue-cdrom.iso"),
    ("grub-rescue-pc", "usr/lib/grub-rescue/grub-rescue-floppy.img"),
    ("ipxe", "usr/lib/ipxe/ipxe.iso"),
    ("memtest86+", "usr/lib/memtest86+/memtest86+x64.iso"),
    ("memtest86+", "usr/lib/memtest86+/memtest86+ia32.iso"),
    ("debian-installer-12-netboot-amd64", f"{INSTALLER.format('amd64', 'text', 12)}/initrd.gz"),
    ("debian-installer-12-netboot-amd64", f"{INSTALLER.format('amd64', 'gtk', 12)}/initrd.gz"),
    ("debian-installer-12-netboot-arm64", f"{INSTALLER.format('arm64', 'text', 12)}/initrd.gz"),
    ("debian-installer-13-netboot-riscv64", f"{INSTALLER.format('riscv64', 'text', 13)}/initrd.gz"),
)
SQUASHFS = ("gzip", "gzip-opts", "xz", "lzma", "lzo", "lz4", "zstd")
EXT4 = ("ext4", "ext4_sparse", "ext4_symlink_test")
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


def sources(package, folder):
    """The files of another reader's source package."""
    found = sorted(DEBS.glob(f"{package}-*.tar.gz"))
    if not found:
        pytest.skip(f"needs the source package {package} in the folder that LKSCAN_DEBS names")
    subprocess.run(["tar", "-xzf", found[-1], "-C", folder, "--strip-components=1"], check=True)
    return folder


def as_unpacked(folder):
    """The same of what a tool unpacked."""
    rows = listed(folder, xattrs=False).values()
    return {row.path: (row.type, row.mode, row.owner, row.size, row.sha256 or row.target) for row in rows}


@needs("unsquashfs")
@pytest.mark.parametrize("name", SQUASHFS)
def test_the_same_files_come_out_of_squashfs_as_unsquashfs_gives(tmp_path, name):
    path = sources("dissect_squashfs", tmp_path) / f"tests/_data/{name}.sqfs"
    run("unsquashfs", "-quiet", "-no-progress", "-d", tmp_path / "root", path)
    assert ours(path) == as_unpacked(tmp_path / "root")
    assert len(ours(path)) > 100


@needs("debugfs")
@pytest.mark.parametrize("name", EXT4)
def test_the_same_files_come_out_of_ext4_as_debugfs_gives(tmp_path, name):
    packed = sources("dissect_extfs", tmp_path) / f"tests/data/{name}.bin.gz"
    path = tmp_path / "image"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    (tmp_path / "root").mkdir()
    run("debugfs", "-R", f"rdump / {tmp_path / 'root'}", path)
    assert ours(path) == as_unpacked(tmp_path / "root")
    assert ours(path)


KERNELS = (("amd64", 12, "x86_64"), ("arm64", 12, "arm64"), ("riscv64", 13, "riscv64"))


@pytest.mark.parametrize(("arch", "release", "told"), KERNELS)
def test_kernels_of_each_architecture_are_read_on_this_one(packages, arch, release, told):
    """Kernel, modules and programs are the installer's own; a machine of that architecture boots them."""
    folder = packages(f"debian-installer-{release}-netboot-{arch}") / INSTALLER.format(arch, "text", release)
    items = list(read((str(folder / "linux"), str(folder / "initrd.gz")), Limits()))
    (kernel,) = (item for item in items if isinstance(item, Kernel))
    assert (kernel.arch, bool(re.fullmatch(rf"6\.\d+\.\d+[-+].*{arch}", kernel.version))) == (told, True)
    assert kernel.banner.startswith(f"Linux version {kernel.version} (debian-kernel@lists.debian.org)")
    modules = {match[1] for item in items if isinstance(item, File) and (match := MODULE.match(item.path))}
    assert modules == {kernel.version}
    machines = {item.machine for item in items if isinstance(item, Binary)}
    assert machines == {told}
    assert [item for item in items if isinstance(item, Problem)] == []
    assert isinstance(items[-1], System)
    assert items[-1].binaries > 50


def test_a_kernel_for_s390x_is_unpacked(packages):
    """Debian's own. Its installer for s390x is in no package, and no image of LinuxKit's for s390x is at hand."""
    (path,) = (packages("linux-image-6*-s390x") / "boot").glob("vmlinuz-*")
    (kernel,) = (item for item in read((str(path),), Limits()) if isinstance(item, Kernel))
    assert (kernel.arch, kernel.compression, kernel.version) == ("s390x", "xz", path.name.removeprefix("vmlinuz-"))
    assert kernel.banner.startswith(f"Linux version {kernel.version} (debian-kernel@lists.debian.org)")
    assert kernel.config_source == "no IKCONFIG in the kernel"


@needs("gzip")
def test_an_initrd_that_gzip_unpacked_is_the_same(packages, tmp_path):
    packed = packages("debian-installer-12-netboot-amd64") / INSTALLER.format("amd64", "text", 12) / "initrd.gz"
    with (tmp_path / "initrd").open("wb") as target:
        subprocess.run(["gzip", "-dc", packed], stdout=target, check=True)
    assert ours(tmp_path / "initrd") == ours(packed)
