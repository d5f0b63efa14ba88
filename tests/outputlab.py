"""Builds every output of `linuxkit build` out of one root tree, with the tools that LinuxKit's own scripts call."""

import os
import shutil
import stat
import struct
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from lkscan import inspection
from lkscan.config.policies import Policies
from lkscan.inputs import Input
from lkscan.scanner.outputs import group

COMMAND_LINE = "console=tty0 console=ttyS0 page_poison=1"
TOOLS = {
    "bsdtar": "libarchive-tools",
    "cpio": "cpio",
    "genisoimage": "genisoimage",
    "gzip": "gzip",
    "isohybrid": "syslinux-utils",
    "mcopy": "mtools",
    "mkfs.erofs": "erofs-utils",
    "mkfs.vfat": "dosfstools",
    "mke2fs": "e2fsprogs",
    "mkimage": "u-boot-tools",
    "mksquashfs": "squashfs-tools",
    "objcopy": "binutils",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
    "sgdisk": "gdisk",
    "xorriso": "xorriso",
}
EFI = Path("/usr/lib/systemd/boot/efi")
FILES = {
    "/usr/lib/ISOLINUX/isolinux.bin": "isolinux",
    "/usr/lib/syslinux/modules/bios/ldlinux.c32": "syslinux-common",
    str(EFI / "linuxx64.efi.stub"): "systemd-boot-efi",
}
MIB = 1 << 20
_SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""security.capability: cap_net_raw, effective and permitted (linux/capability.h, revision 2)."""


def need_tools(more: dict[str, str] | None = None) -> None:
    """Skip, with their names, when something that the building calls is not installed, or when we are not root."""
    missing = [package for tool, package in {**TOOLS, **(more or {})}.items() if shutil.which(tool, path=_SBIN) is None]
    missing += [package for path, package in FILES.items() if not Path(path).exists()]
    missing += ["to be root, for device nodes"] if os.geteuid() else []
    if missing:
        pytest.skip(f"needs {', '.join(sorted(set(missing)))}")


def run(*command: object, cwd: Path | None = None, data: bytes | None = None) -> bytes:
    """Call a tool; what it printed."""
    environment = {**os.environ, "PATH": _SBIN, "MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": "1"}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, input=data, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, (words, done.stderr.decode(errors="replace")[-2000:])
    return done.stdout


class Row(NamedTuple):
    """What a listing tells of one path; hard links tell the content of the file that they share."""

    path: str
    type: str
    mode: int
    owner: tuple[int, int]
    size: int
    sha256: str
    target: str
    xattrs: tuple[tuple[str, bytes], ...]


def populate(root: Path) -> None:
    """A root as LinuxKit makes one, with everything in it that formats are known to lose."""
    for folder in ("bin", "etc/odd", "dev", "tmp", "usr/lib", "containers/services/web/rootfs/bin", "var"):
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/true", root / "bin/true")
    shutil.copy("/bin/cat", root / "bin/ping")
    os.setxattr(root / "bin/ping", "security.capability", _CAPABILITY)
    shutil.copy("/bin/cat", root / "bin/su")
    (root / "bin/su").chmod(0o4755)
    os.link(root / "bin/true", root / "usr/lib/true")
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_bytes(b"root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/empty").touch()
    (root / "etc/shadow").write_bytes(b"root:*:1::::::\n")
    (root / "etc/shadow").chmod(0o640)
    os.chown(root / "etc/shadow", 0, 42)
    os.chown(root / "var", 70_000, 70_001)
    (root / "etc/odd/two words").write_bytes(b"a")
    (root / "etc/odd/caf\N{LATIN SMALL LETTER E WITH ACUTE}").write_bytes(b"b")
    (root / "etc/odd/UPPER.lower").write_bytes(b"c")
    (root / "etc/odd" / ("long" * 30)).write_bytes(b"d")
    os.symlink("../usr/lib/true", root / "etc/link")
    os.symlink("/somewhere/" + "far/" * 40 + "away", root / "etc/far")
    os.mknod(root / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "dev/sda", 0o660 | stat.S_IFBLK, os.makedev(8, 0))
    (root / "dev/null").chmod(0o666)
    os.mkfifo(root / "var/pipe", 0o600)
    with (root / "var/sparse").open("wb") as file:
        file.seek(5 * MIB)
        file.write(b"end")
        file.truncate(8 * MIB)
    with (root / "var/large").open("wb") as file:
        for number in range(100):
            block = b"".join(sha256(b"%d.%d" % (number, part)).digest() for part in range(512))
            file.write(block + bytes(MIB - len(block)))
    deep = root / "usr" / "/".join(["deep"] * 12)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"e")
    web = root / "containers/services/web"
    (web / "config.json").write_bytes(b'{"ociVersion":"1.0.0","process":{"args":["/bin/true"]},"linux":{}}')
    (web / "runtime.json").write_bytes(b"{}")
    shutil.copy("/bin/true", web / "rootfs/bin/true")


def listed(root: Path, *, xattrs: bool) -> dict[str, Row]:
    """What is in a tree, as the tools that made the images saw it."""
    rows = [_row(path, root, xattrs=xattrs) for path in sorted(root.rglob("*"))]
    return {row.path: row for row in rows}


def _row(path: Path, root: Path, *, xattrs: bool) -> Row:
    status = path.lstat()
    kinds = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "dir",
        stat.S_IFLNK: "symlink",
        stat.S_IFCHR: "char",
        stat.S_IFBLK: "block",
        stat.S_IFIFO: "fifo",
    }
    kind = kinds[stat.S_IFMT(status.st_mode)]
    found = sorted((name, os.getxattr(path, name)) for name in os.listxattr(path, follow_symlinks=False) if xattrs)
    return Row(
        str(path.relative_to(root)),
        kind,
        stat.S_IMODE(status.st_mode),
        (status.st_uid, status.st_gid),
        status.st_size if kind == "file" else 0,
        sha256(path.read_bytes()).hexdigest() if kind == "file" else "",
        os.readlink(path) if kind == "symlink" else "",
        tuple(found) if kind != "symlink" else (),
    )


def facts(paths: tuple[Path, ...]) -> inspection.Facts:
    """What is inside, hashed; the files that belong together are found as on the command line."""
    (names,) = group([str(path) for path in paths])
    (found,) = inspection.inspect([Input("image", names)], Policies(search=False), files=True)
    assert not found.problems, found.problems
    return found


def rows(found: inspection.Facts, *, xattrs: bool) -> dict:
    """The tree as a listing; a hard link tells what the file that it shares does."""
    files = {one["path"]: one for one in found.files or ()}
    listing = {}
    for path, one in files.items():
        kind = "file" if one["type"] == "hardlink" else one["type"]
        content = files[one["target"]] if one["type"] == "hardlink" else one
        attributes = {name: bytes.fromhex(value) for name, value in content["xattrs"].items()} if xattrs else {}
        listing[path] = (
            kind,
            int(one["mode"], 8),
            (one["uid"], one["gid"]),
            content["size"] if kind == "file" else 0,
            content["sha256"] or "" if kind == "file" else "",
            one["target"] if kind == "symlink" else "",
            tuple(sorted(attributes.items())),
        )
    return listing


class Lab:
    """One root, its kernel and its initrd, and every output that can be made of them; all lie in `folder`."""

    def __init__(self, folder: Path, kernel: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.kernel = folder / "kernel"
        self.initrd = folder / "initrd.img"
        populate(self.root)
        shutil.copy(kernel, self.kernel)
        names = run("find", ".", "-mindepth", "1", cwd=self.root)
        archive = run(
            "cpio",
            "--create",
            "--format=newc",
            "--quiet",
            cwd=self.root,
            data=b"\n".join(sorted(names.split(b"\n"))[1:]) + b"\n",
        )
        self.initrd.write_bytes(run("gzip", "-1nc", data=archive))

    def build(self, name: str) -> tuple[Path, ...]:
        """The files that an output consists of."""
        maker = getattr(self, "_" + name.replace("-", "_").replace("+", "_"))
        made = maker(self.folder / name)
        return (made,) if isinstance(made, Path) else made

    # --- trees

    def _whole(self, target: Path) -> Path:
        """The root with boot/, as LinuxKit hands it to the scripts."""
        shutil.rmtree(target, ignore_errors=True)
        run("cp", "-a", self.root, target)
        (target / "boot").mkdir()
        shutil.copy(self.kernel, target / "boot/kernel")
        (target / "boot/cmdline").write_text(COMMAND_LINE)
        return target

    def _tar(self, target: Path) -> Path:
        tree = self._whole(target.with_suffix(".tree"))
        run(
            "tar",
            "--format=posix",
            "--xattrs",
            "--xattrs-include=*",
            "-cf",
            target,
            "-C",
            tree,
            "--sort=name",
            "--",
            *sorted(os.listdir(tree)),
        )
        return target

    def _docker(self, target: Path) -> Path:
        tree = self._whole(target.with_suffix(".tree"))
        (tree / "Dockerfile").write_text('FROM scratch\nCOPY . ./\nENTRYPOINT ["/bin/rc.init"]\n')
        run(
            "tar",
            "--format=posix",
            "--xattrs",
            "--xattrs-include=*",
            "-cf",
            target,
            "-C",
            tree,
            "--",
            *sorted(os.listdir(tree)),
        )
        return target

    def _kernel_files(self, target: Path) -> tuple[Path, Path]:
        kernel, line = Path(f"{target}-kernel"), Path(f"{target}-cmdline")
        shutil.copy(self.kernel, kernel)
        line.write_text(COMMAND_LINE)
        return kernel, line

    def _kernel_initrd(self, target: Path) -> tuple[Path, ...]:
        initrd = Path(f"{target}-initrd.img")
        shutil.copy(self.initrd, initrd)
        return (*self._kernel_files(target), initrd)

    def _kernel_squashfs(self, target: Path) -> tuple[Path, ...]:
        image = Path(f"{target}-squashfs.img")
        run("mksquashfs", self.root, image, "-quiet", "-no-progress", "-noappend")
        return (*self._kernel_files(target), image)

    def _kernel_erofs(self, target: Path) -> tuple[Path, ...]:
        image = Path(f"{target}-erofs.img")
        run("mkfs.erofs", image, self.root)
        return (*self._kernel_files(target), image)

    def _kernel_iso(self, target: Path) -> tuple[Path, ...]:
        image = Path(f"{target}.iso")
        run(*_GENISOIMAGE, "-o", image, self.root)
        return (*self._kernel_files(target), image)

    def _tar_kernel_initrd(self, target: Path) -> Path:
        (self.folder / "cmdline").write_text(COMMAND_LINE)
        run("tar", "-cf", target, "-C", self.folder, "kernel", "initrd.img", "cmdline")
        return target

    # --- ISO images

    def _iso_bios(self, target: Path) -> Path:
        tree = self._whole(target.with_suffix(".tree"))
        (tree / "boot/cmdline").unlink()
        (tree / "isolinux").mkdir()
        shutil.copy("/usr/lib/ISOLINUX/isolinux.bin", tree / "isolinux")
        shutil.copy("/usr/lib/syslinux/modules/bios/ldlinux.c32", tree / "isolinux")
        line = f"{COMMAND_LINE} root=/dev/sr0"
        (tree / "isolinux/isolinux.cfg").write_text(
            f"DEFAULT linux\nLABEL linux\n    KERNEL /boot/kernel\n    APPEND {line}\n"
        )
        boot = ["-c", "isolinux/boot.cat", "-b", "isolinux/isolinux.bin", "-no-emul-boot", "-boot-load-size", "4"]
        run(*_GENISOIMAGE, *boot, "-boot-info-table", "-o", target, tree)
        run("isohybrid", target)
        return target

    def _iso_efi(self, target: Path) -> Path:
        tree = self._whole(target.with_suffix(".tree"))
        (tree / "boot/cmdline").unlink()
        self._grub(tree, "/boot/kernel", f"{COMMAND_LINE} root=/dev/sr0")
        return self._efi_iso(tree, target)

    def _iso_efi_initrd(self, target: Path) -> Path:
        tree = target.with_suffix(".tree")
        tree.mkdir()
        shutil.copy(self.kernel, tree / "kernel")
        shutil.copy(self.initrd, tree / "initrd.img")
        self._grub(tree, "/kernel", COMMAND_LINE, "/initrd.img")
        return self._efi_iso(tree, target)

    def _grub(self, tree: Path, kernel: str, line: str, initrd: str = "") -> Path:
        (tree / "EFI/BOOT").mkdir(parents=True)
        second = f"  initrd {initrd}\n" if initrd else ""
        menu = f"menuentry 'LinuxKit ISO Image' {{\n\tlinux {kernel} {line} text\n{second}}}\n"
        (tree / "EFI/BOOT/grub.cfg").write_text(f"set timeout=0\nset gfxpayload=text\n{menu}")
        return tree / "EFI/BOOT/grub.cfg"

    def _efi_iso(self, tree: Path, target: Path) -> Path:
        boot = tree / "boot.img"
        run("mkfs.vfat", "-C", boot, 1024)
        run("mmd", "-i", boot, "::/EFI", "::/EFI/BOOT")
        run("mcopy", "-i", boot, EFI / "systemd-bootx64.efi", "::/EFI/BOOT/BOOTX64.EFI")
        options = ["-R", "-e", "boot.img", "-hide", "boot.img", "-hide", "boot.catalog", "-no-emul-boot"]
        run("xorriso", "-as", "mkisofs", *options, "-o", target, ".", cwd=tree)
        return target

    # --- disks

    def _raw_bios(self, target: Path) -> Path:
        """A FAT in a partition that says Linux; syslinux is not installed into it, which would change no file."""
        esp = self._fat(target.with_suffix(".esp"), [self.kernel, self.initrd, self._syslinux()])
        return _disk(target, esp, 2048)

    def _raw_efi(self, target: Path) -> Path:
        """A FAT32 of too few clusters with systemd-boot and a unified kernel image."""
        image, esp = target.with_suffix(".efi"), target.with_suffix(".esp")
        parts = {".osrel": b'NAME="LinuxKit"\n', ".cmdline": f"{COMMAND_LINE} text".encode()}
        options: list[object] = []
        for number, (name, data) in enumerate(parts.items(), 2):
            (self.folder / name).write_bytes(data)
            options += [
                "--add-section",
                f"{name}={self.folder / name}",
                "--change-section-vma",
                f"{name}={number << 16:#x}",
            ]
        for name, path, place in ((".linux", self.kernel, 0x2000000), (".initrd", self.initrd, 0x8000000)):
            options += ["--add-section", f"{name}={path}", "--change-section-vma", f"{name}={place:#x}"]
        run("objcopy", *options, EFI / "linuxx64.efi.stub", image)
        run("mkfs.vfat", "-F", 32, "-S", 512, "-s", 8, "-R", 32, "-C", esp, image.stat().st_size // 1024 + 4096)
        files = {
            "EFI/BOOT/BOOTX64.EFI": (EFI / "systemd-bootx64.efi").read_bytes(),
            "EFI/Linux/linuxkit.efi": image.read_bytes(),
            "loader/loader.conf": b"timeout 0\n",
        }
        Fat32(esp).add(files)
        return _gpt(target, esp)

    def _qcow2_efi(self, target: Path) -> Path:
        tree = target.with_suffix(".tree")
        config = self._grub(tree, "/kernel", COMMAND_LINE, "/initrd.img")
        esp = self._fat(target.with_suffix(".esp"), [self.kernel, self.initrd])
        run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
        run("mcopy", "-i", esp, EFI / "systemd-bootx64.efi", "::/EFI/BOOT/BOOTX64.EFI")
        run("mcopy", "-i", esp, config, "::/EFI/BOOT/grub.cfg")
        return _converted(_gpt(target.with_suffix(".raw"), esp), target, "qcow2")

    def _aws(self, target: Path) -> Path:
        return _disk(target, self._ext4(target.with_suffix(".part")), 2048, size=1 << 30)

    def _qcow2_bios(self, target: Path) -> Path:
        return _converted(self._aws(target.with_suffix(".raw")), target, "qcow2")

    def _vhd(self, target: Path) -> Path:
        return _converted(self._aws(target.with_suffix(".raw")), target, "vpc", "subformat=fixed,force_size")

    def _dynamic_vhd(self, target: Path) -> Path:
        raw = self._aws(target.with_suffix(".raw"))
        os.truncate(raw, 25 << 30)
        return _converted(raw, target, "vpc", "subformat=dynamic,force_size")

    def _vmdk(self, target: Path) -> Path:
        options = "adapter_type=lsilogic,subformat=streamOptimized,compat6"
        return _converted(self._aws(target.with_suffix(".raw")), target, "vmdk", options)

    def _gcp(self, target: Path) -> Path:
        """As virt-make-fs lays it out: the partition begins at sector 128."""
        raw = _disk(self.folder / "disk.raw", self._ext4(target.with_suffix(".part")), 128, size=1 << 30)
        archive = run("tar", "-cf", "-", "-C", self.folder, raw.name)
        target.write_bytes(run("gzip", "-1nc", data=archive))
        return target

    def _rpi3(self, target: Path) -> Path:
        tree = target.with_suffix(".tree")
        tree.mkdir()
        script = self.folder / "boot.script"
        script.write_text(f'setenv bootargs "{COMMAND_LINE}"\nsetenv loadaddr 0x01000000\nsaveenv\n')
        common = ["mkimage", "-A", "arm64", "-O", "linux"]
        run(
            *common,
            "-T",
            "kernel",
            "-C",
            "none",
            "-a",
            "0x80000",
            "-e",
            "0x80000",
            "-d",
            self.kernel,
            tree / "kernel.uimg",
        )
        run(*common, "-T", "script", "-C", "none", "-n", "RPi3", "-d", script, tree / "boot.scr")
        run(*common, "-T", "ramdisk", "-d", self.initrd, tree / "initrd.uimg")
        (tree / "config.txt").write_text("kernel=u-boot.bin\n")
        run("tar", "-cf", target, "-C", tree, ".")
        return target

    def _syslinux(self) -> Path:
        path = self.folder / "syslinux.cfg"
        path.write_text(
            f"DEFAULT linux\nLABEL linux\n    KERNEL /kernel\n    INITRD /initrd.img\n    APPEND {COMMAND_LINE}\n"
        )
        return path

    def _fat(self, target: Path, files: list[Path]) -> Path:
        run("mkfs.vfat", "-C", target, sum(path.stat().st_size for path in files) // 1024 + 2048)
        for path in files:
            run("mcopy", "-i", target, path, f"::/{path.name}")
        return target

    def _ext4(self, target: Path) -> Path:
        tree = target.with_suffix(".files")
        tree.mkdir()
        for path in (self.kernel, self.initrd, self._syslinux()):
            shutil.copy(path, tree)
        features = "resize_inode,has_journal,extent,huge_file,flex_bg,uninit_bg,64bit,dir_nlink,extra_isize"
        run("mke2fs", "-q", "-t", "ext4", "-O", features, "-d", tree, target, "400M")
        return target


_GENISOIMAGE = ["genisoimage", "-quiet", "-l", "-J", "-R", "-joliet-long", "-input-charset", "utf8", "-V", "LinuxKit"]


def _disk(target: Path, part: Path, sector: int, size: int = 0) -> Path:
    """A disk with an MBR whose one partition, active and of the type for Linux, holds `part`."""
    sectors = part.stat().st_size // 512
    with target.open("wb") as file:
        file.truncate(size or part.stat().st_size + 4 * MIB)
    run(
        "sfdisk",
        "--quiet",
        "--no-reread",
        "--force",
        target,
        data=f"start={sector}, size={sectors}, type=83, bootable\n".encode(),
    )
    run("dd", f"if={part}", f"of={target}", "bs=64K", f"seek={sector * 512}", "oflag=seek_bytes", "conv=notrunc,sparse")
    return target


def _gpt(target: Path, esp: Path) -> Path:
    sectors = esp.stat().st_size // 512
    with target.open("wb") as file:
        file.truncate(esp.stat().st_size + 4 * MIB)
    new = ["--new", f"1:2048:{2047 + sectors}", "--typecode=1:ef00", "--change-name=1:EFI System"]
    run("sgdisk", "--clear", *new, "--attributes", "1:set:2", target)
    run("dd", f"if={esp}", f"of={target}", "bs=64K", f"seek={2048 * 512}", "oflag=seek_bytes", "conv=notrunc,sparse")
    return target


def _converted(raw: Path, target: Path, form: str, options: str = "") -> Path:
    run("qemu-img", "convert", "-q", "-f", "raw", "-O", form, *(("-o", options) if options else ()), raw, target)
    raw.unlink()
    return target


class Fat32:
    """Puts files into an empty FAT32 that mkfs.vfat made: Debian's mtools refuse one of so few clusters."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = bytearray(path.read_bytes())
        reserved, tables = struct.unpack_from("<HB", self._data, 14)
        (self._table_bytes,) = (512 * size for size in struct.unpack_from("<I", self._data, 36))
        self._cluster = 512 * self._data[13]
        self._tables = [512 * reserved + number * self._table_bytes for number in range(tables)]
        self._start = 512 * reserved + tables * self._table_bytes
        self._next = 3

    def add(self, files: dict[str, bytes]) -> None:
        """Write all files, in folders as their paths say."""
        tree: dict = {}
        for path, data in files.items():
            *folders, name = path.split("/")
            here = tree
            for folder in folders:
                here = here.setdefault(folder, {})
            here[name] = data
        self._write(2, self._listing(tree))
        self._path.write_bytes(self._data)

    def _listing(self, tree: dict) -> bytes:
        rows = b""
        for number, (name, content) in enumerate(tree.items(), 1):
            data = self._listing(content) if isinstance(content, dict) else content
            first, kind = self._next, 0x10 if isinstance(content, dict) else 0x20
            self._next += -(-max(1, len(data)) // self._cluster)
            self._write(first, data)
            short = b"FILE~%d     EXT" % number
            size = 0 if isinstance(content, dict) else len(data)
            rows += self._long(name, short[:11])
            rows += struct.pack(
                "<11sBBBHHHHHHHI", short[:11], kind, 0, 0, 0, 0, 0, first >> 16, 0, 0, first & 0xFFFF, size
            )
        return rows.ljust(self._cluster, b"\0")

    def _long(self, name: str, short: bytes) -> bytes:
        total = 0
        for byte in short:
            total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
        units = name.encode("utf-16-le") + b"\0\0"
        parts = [units[at : at + 26].ljust(26, b"\xff") for at in range(0, len(units), 26)]
        rows = []
        for number, part in enumerate(parts, 1):
            order = number | (0x40 if number == len(parts) else 0)
            rows.append(struct.pack("<B10sBBB12sH4s", order, part[:10], 0x0F, 0, total, part[10:22], 0, part[22:]))
        return b"".join(reversed(rows))

    def _write(self, first: int, data: bytes) -> None:
        at = self._start + (first - 2) * self._cluster
        self._data[at : at + len(data)] = data
        last = first + -(-max(1, len(data)) // self._cluster) - 1
        for cluster in range(first, last + 1):
            value = struct.pack("<I", cluster + 1 if cluster < last else 0x0FFFFFFF)
            for table in self._tables:
                self._data[table + 4 * cluster : table + 4 * cluster + 4] = value
