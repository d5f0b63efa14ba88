"""Small images of every format, made by the real tools: what hostile inputs are bent from."""

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import outputlab
from imagelab import newc, run
from outputlab import EFI, Fat32

MORE = {"xz": "xz-utils", "zstd": "zstd", "lz4": "lz4", "bzip2": "bzip2", "setfattr": "attr"}
SQUASHFS = ("gzip", "xz", "zstd", "lz4", "lzo", "lzma")
EROFS = {
    "plain": (),
    "lz4": ("-zlz4",),
    "lz4hc": ("-zlz4hc", "-Elegacy-compress"),
    "tailpacking": ("-zlz4", "-Eztailpacking"),
    "chunks": ("--chunksize=4096",),
}
NEW_EROFS = {"fragments": "lz4-fragments"}
"""Out of tests/seeds/erofs, see test_erofs.py."""
PACKED = {
    "gzip": ("gzip", "-nc"),
    "xz": ("xz", "-c"),
    "zstd": ("zstd", "-qc"),
    "lz4": ("lz4", "-qc"),
    "lz4-legacy": ("lz4", "-lqc"),
    "bzip2": ("bzip2", "-c"),
    "lzma": ("xz", "--format=lzma", "-c"),
}
EXT = {
    "ext2": ("-t", "ext2"),
    "ext3": ("-t", "ext3", "-J", "size=1"),
    "ext4": ("-t", "ext4", "-O", "^has_journal"),
    "ext4-64bit": ("-t", "ext4", "-O", "^has_journal,64bit,metadata_csum"),
    "ext4-inline": ("-t", "ext4", "-O", "^has_journal,inline_data", "-I", "256"),
}
DISKS = {
    "qcow2": ("qcow2", "cluster_size=4096"),
    "qcow2-small": ("qcow2", "cluster_size=512,compat=0.10"),
    "qcow2-parts": ("qcow2", "cluster_size=16k,extended_l2=on"),
    "vhd-fixed": ("vpc", "subformat=fixed,force_size"),
    "vhd-dynamic": ("vpc", "subformat=dynamic,force_size"),
    "vmdk-sparse": ("vmdk", "subformat=monolithicSparse"),
    "vmdk-stream": ("vmdk", "subformat=streamOptimized"),
}
PACKED_DISKS = {"qcow2-zlib": "cluster_size=4096", "qcow2-zstd": "cluster_size=4096,compression_type=zstd"}
NAMES = (
    *DISKS,
    *PACKED_DISKS,
    *EXT,
    *(f"squashfs-{name}" for name in SQUASHFS),
    "squashfs-packed",
    *(f"erofs-{name}" for name in (*EROFS, *NEW_EROFS)),
    *PACKED,
    *("gpt", "mbr", "fat12", "fat16", "fat32", "iso", "cpio", "tar", "uimage", "uimage-several", "uki"),
)


def need() -> None:
    """Skip, with their names, when tools are missing."""
    outputlab.need_tools(MORE)


def seeds(folder: Path) -> dict[str, bytes]:
    """One of each of NAMES."""
    lab = _Lab(folder)
    made = {**lab.filesystems(), **lab.disks(), **lab.streams()}
    assert set(made) == set(NAMES)
    return {name: made[name] for name in NAMES}


def populate(root: Path) -> None:
    """A small tree with one of everything."""
    for name in ("etc", "bin", "dev", "containers/services/web/rootfs"):
        (root / name).mkdir(parents=True)
    (root / "etc/passwd").write_bytes(b"root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/empty").touch()
    (root / "etc/a name that is longer than the short ones").write_bytes(b"x" * 40)
    (root / "etc/blocks").write_bytes(b"".join(b"%d," % (number * number) for number in range(2600)))
    with (root / "etc/sparse").open("wb") as file:
        file.seek(40_000)
        file.write(b"end")
    (root / "bin/su").write_bytes(b"#!/bin/sh\n" + bytes(range(200)))
    (root / "bin/su").chmod(0o4755)
    os.link(root / "bin/su", root / "bin/ping")
    os.setxattr(root / "bin/su", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    os.setxattr(root / "etc/passwd", "user.long", b"value" * 30)
    os.symlink("../etc/passwd", root / "etc/link")
    os.symlink("/far" * 30, root / "etc/far")
    os.mkfifo(root / "dev/pipe")
    (root / "containers/services/web/config.json").write_bytes(b'{"process":{"args":["/bin/su"]}}')
    (root / "containers/services/web/runtime.json").write_bytes(b"{}")


class _Lab:
    """Calls the tools."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder / "root"
        populate(self._root)
        names = sorted(str(path.relative_to(self._root)) for path in self._root.rglob("*"))
        self._names = names
        listed = "\n".join(names).encode()
        self._cpio = run("cpio", "--create", "--format=newc", "--quiet", data=listed, cwd=self._root)

    def _call(self, name: str, *command: object) -> bytes:
        """What a tool leaves in the file `name`."""
        outputlab.run(*command)
        return (self._folder / name).read_bytes()

    def filesystems(self) -> dict[str, bytes]:
        folder, root, made = self._folder, self._root, {}
        for name, options in EXT.items():
            size = "3M" if name == "ext3" else "200K"
            path = folder / name
            made[name] = self._call(
                name, "mke2fs", "-q", "-b", 1024, "-N", 48, *options, "-m", 0, "-d", root, path, size
            )
        for kind in (*SQUASHFS, "packed"):
            name = f"squashfs-{kind}"
            plain = () if kind == "packed" else ("-noI", "-noX", "-noId")
            method = "gzip" if kind == "packed" else kind
            options = ("-b", "4096", "-quiet", "-no-progress", "-noappend", "-nopad")
            made[name] = self._call(name, "mksquashfs", root, folder / name, "-comp", method, *plain, *options)
        for kind, options in EROFS.items():
            name = f"erofs-{kind}"
            made[name] = self._call(name, "mkfs.erofs", "-x1", *options, folder / name, root)
        for kind, source in NEW_EROFS.items():
            packed = Path(__file__).resolve().parent / "seeds" / "erofs" / f"{source}.gz"
            made[f"erofs-{kind}"] = gzip.decompress(packed.read_bytes())
        for bits, size in ((12, 96), (16, 2200)):
            name = f"fat{bits}"
            path = folder / name
            outputlab.run("mkfs.vfat", "-F", bits, "-S", 512, "-s", 1, "-f", 1, "-r", 64, "-C", path, size)
            outputlab.run("mmd", "-i", path, "::/etc")
            files = [one for one in (root / "etc").iterdir() if not one.is_symlink()]
            outputlab.run("mcopy", "-i", path, *files, "::/etc")
            outputlab.run("mcopy", "-s", "-i", path, root / "containers", "::/")
            made[name] = path.read_bytes()
        outputlab.run("mkfs.vfat", "-F", 32, "-S", 512, "-s", 1, "-f", 1, "-C", folder / "fat32", 200)
        files = {f"etc/{name}": (root / "etc" / name).read_bytes() for name in ("passwd", "blocks")}
        Fat32(folder / "fat32").add(files)
        made["fat32"] = (folder / "fat32").read_bytes()
        options = ["-as", "mkisofs", "-quiet", "-R", "-J", "-no-pad"]
        made["iso"] = self._call("iso", "xorriso", *options, "-o", folder / "iso", root)
        return made

    def disks(self) -> dict[str, bytes]:
        folder, made = self._folder, {}
        part = (folder / "fat12").read_bytes()
        raw = folder / "raw"
        raw.write_bytes(bytes(512 * 8) + part)
        sectors = len(part) // 512
        outputlab.run("sfdisk", "-q", raw, data=f"start=8, size={sectors}, type=83\n".encode())
        for name, (form, options) in DISKS.items():
            convert = ("qemu-img", "convert", "-f", "raw", "-O", form, "-o", options)
            made[name] = self._call(name, *convert, raw, folder / name)
        for name, options in PACKED_DISKS.items():
            convert = ("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options)
            made[name] = self._call(name, *convert, raw, folder / name)
        (folder / "gpt").write_bytes(bytes(512 * 64) + part + bytes(512 * 40))
        new = ("--new", f"1:64:{63 + sectors}", "--change-name=1:EFI System")
        outputlab.run("sgdisk", "-a", 1, "--clear", *new, folder / "gpt")
        whole = bytearray((folder / "gpt").read_bytes())
        whole[512 * 64 : 512 * 64 + len(part)] = part
        made["gpt"] = bytes(whole)
        chain = folder / "mbr"
        chain.write_bytes(bytes(512 * (2 * sectors + 400)))
        rows = (
            f"1: start=8, size={sectors}, type=83",
            f"2: start={sectors + 64}, size={sectors + 200}, type=5",
            f"5: start={sectors + 96}, size={sectors}, type=83",
            f"6: start={2 * sectors + 160}, size=32, type=83",
        )
        outputlab.run("sfdisk", "-q", chain, data=("label: dos\nunit: sectors\n" + "\n".join(rows)).encode())
        whole = bytearray(chain.read_bytes())
        for start in (8, sectors + 96):
            whole[512 * start : 512 * start + len(part)] = part
        archive = newc()
        whole[512 * (2 * sectors + 160) :][: len(archive)] = archive
        made["mbr"] = bytes(whole)
        return made

    def streams(self) -> dict[str, bytes]:
        folder, cpio = self._folder, self._cpio
        made = {name: outputlab.run(*command, data=cpio) for name, command in PACKED.items()}
        made["cpio"] = cpio
        options = ("--format=posix", "--xattrs", "--xattrs-include=*", "--sort=name", "-C", self._root)
        made["tar"] = outputlab.run("tar", "-cf", "-", *options, "etc", "bin", "dev", "containers")
        (folder / "ramdisk").write_bytes(made["gzip"])
        image = ("mkimage", "-A", "arm64", "-O", "linux", "-T", "ramdisk", "-d", folder / "ramdisk")
        made["uimage"] = self._call("uimage", *image, folder / "uimage")
        made["uimage-several"] = uimage([b"MZ" + bytes(99), made["gzip"], b"tree"], 4)
        parts = {".cmdline": b"console=ttyS0 quiet", ".linux": b"MZ" + bytes(900) + b"end", ".initrd": made["gzip"]}
        words: list[object] = []
        for number, (name, data) in enumerate(parts.items(), 1):
            (folder / name).write_bytes(data)
            place = f"{name}={number << 24:#x}"
            words += ["--add-section", f"{name}={folder / name}", "--change-section-vma", place]
        made["uki"] = self._call("uki", "objcopy", *words, EFI / "linuxx64.efi.stub", folder / "uki")
        return made


def uimage(parts: list[bytes], kind: int) -> bytes:
    """A U-Boot image of one file, or of several (4, 6), with right sums."""
    content = parts[0]
    if kind in {4, 6}:
        content = b"".join(struct.pack(">I", len(part)) for part in parts) + bytes(4)
        content += b"".join(part.ljust(-(-len(part) // 4) * 4, b"\0") for part in parts[:-1]) + parts[-1]
    head = struct.pack(">IIIIII", 0x27051956, 0, 0, len(content), 0, 0)
    head += struct.pack(">IBBBB32s", zlib.crc32(content), 5, 22, kind, 0, b"test")
    return head[:4] + zlib.crc32(head).to_bytes(4, "big") + head[8:] + content


# --- sums that readers verify


def mend_gpt(data: bytearray) -> None:
    """The sums of both tables and headers, as far as they can be found."""
    for at in (512, len(data) - 512):
        if data[at : at + 8] != b"EFI PART" or len(data) < at + 512:
            continue
        length = int.from_bytes(data[at + 12 : at + 16], "little")
        place, count, width = struct.unpack_from("<QII", data, at + 72)
        if place * 512 <= len(data) and count * width <= 1 << 20:
            table = data[place * 512 : place * 512 + count * width]
            data[at + 88 : at + 92] = zlib.crc32(table).to_bytes(4, "little")
        data[at + 16 : at + 20] = bytes(4)
        data[at + 16 : at + 20] = zlib.crc32(data[at : at + min(length, 512)]).to_bytes(4, "little")


def mend_tar(data: bytearray) -> None:
    """The sum of each header that there was."""
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


def mend_uimage(data: bytearray) -> None:
    """The sum of the header."""
    if len(data) >= 64:
        data[4:8] = bytes(4)
        data[4:8] = zlib.crc32(data[:64]).to_bytes(4, "big")


MENDS: dict[str, Callable[[bytearray], None]] = {
    "gpt": mend_gpt,
    "tar": mend_tar,
    "uimage": mend_uimage,
    "uimage-several": mend_uimage,
}
"""What puts the sums of a format right after a change, in place."""
