"""What the tools that make images can be told: whatever the options, the same tree comes out, or the same bytes."""

import os
import random
import stat
import subprocess

import pytest
import seedlab
from outputlab import facts, listed, need_tools, rows, run

from lkscan.scanner import image, qcow2, vhd, vmdk
from lkscan.scanner.source import FileSource
from lkscan.scanner.subjects import Problem

SQUASHFS = (
    *(f"-comp {name}" for name in seedlab.SQUASHFS),
    *(f"-comp {name} -b 4K -no-fragments" for name in seedlab.SQUASHFS),
    *(f"-comp {name} -b 1M -always-use-fragments" for name in seedlab.SQUASHFS),
    "-comp gzip -no-duplicates -no-exports",
    "-comp gzip -no-sparse -no-hardlinks",
    "-comp gzip -noI -noD -noF -noX",
    "-comp gzip -noId -noF -tailends",
    "-comp gzip -Xcompression-level 1 -Xwindow-size 8 -Xstrategy filtered,huffman_only,fixed",
    "-comp xz -Xbcj x86,arm,armthumb,powerpc,sparc,ia64 -Xdict-size 100%",
    "-comp lz4 -Xhc",
    "-comp zstd -Xcompression-level 22 -b 256K",
    "-comp lzo -Xalgorithm lzo1x_1 -always-use-fragments",
)
EROFS = (
    "",
    "-zlz4",
    "-zlz4hc,12 -C65536",
    "-zlz4hc -Eztailpacking -C16384",
    "-zlz4 -C1048576 --max-extent-bytes=65536",
    "-Enoinline_data",
    "-Eforce-inode-extended -x1",
    "--chunksize=4096",
    "--chunksize=1048576",
)
EXT = (
    "-t ext2 -b 1024",
    "-t ext2 -b 4096 -O ^filetype,^dir_index,^sparse_super,^resize_inode",
    "-t ext3 -b 2048",
    "-t ext4",
    "-t ext4 -b 1024 -I 128",
    "-t ext4 -O ^extent,^64bit",
    "-t ext4 -O inline_data -I 256",
    "-t ext4 -O inline_data,ea_inode -I 1024",
    "-t ext4 -O bigalloc -b 1024 -C 16384",
    "-t ext4 -O bigalloc -b 4096 -C 65536",
    "-t ext4 -O meta_bg,^resize_inode -b 1024",
    "-t ext4 -O ^metadata_csum,uninit_bg",
    "-t ext4 -O metadata_csum_seed,large_dir,casefold,encrypt,verity,project,quota,mmp",
    "-t ext4 -O sparse_super2,^resize_inode,^has_journal -b 65536",
)
QCOW2 = (
    "compat=0.10",
    "compat=1.1,cluster_size=512",
    "cluster_size=2M,lazy_refcounts=on",
    "extended_l2=on",
    "extended_l2=on,cluster_size=16k",
    "extended_l2=on,cluster_size=2M",
    "extended_l2=on,compression_type=zstd",
    "refcount_bits=1,preallocation=metadata",  # QEMU makes no compressed one
)
VMDK = ("monolithicSparse", "streamOptimized")
STREAMS = {
    "gzip of several members": "gzip -nc {0}; gzip -n1c {1}",
    "gzip with a name and a time": "gzip -c {0} {1}",
    "xz of several streams": "xz -c {0}; xz -0c {1}",
    "xz in blocks": "xz -c --block-size=4096 --check=sha256 {2}",
    "xz for programs": "xz -c --x86 --lzma2=preset=6 {2}",
    "xz for arm, without sums": "xz -c --arm --delta=dist=2 --lzma2=preset=1 --check=none {2}",
    "xz with padding between streams": "xz -c {0}; head -c 8 /dev/zero; xz -c {1}",
    "lzma": "xz --format=lzma -c {2}",
    "zstd of several frames": "zstd -qc {0}; printf '\\120\\052\\115\\030\\003\\000\\000\\000abc'; zstd -19 -qc {1}",
    "zstd with a long window": "zstd -qc --long=26 --no-check {2}",
    "lz4 with linked blocks": "lz4 -qcBD --content-size {2}",
    "lz4 of several frames": "lz4 -qc -B4 {0}; lz4 -qc -9 --no-frame-crc {1}",
    "lz4 of the old kind": "lz4 -lqc {0}; lz4 -lqc {1}",
    "bzip2 of several streams": "bzip2 -c {0}; bzip2 -1c {1}",
    "lzop": "lzop -qc {2}",
    "lzop -9": "lzop -9 -qc {2}",
}
TOOLS = {**seedlab.MORE, "lzop": "lzop"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """More of everything: blocks and indirect blocks, holes, an index of names, odd owners, all of it deterministic."""
    need_tools(TOOLS)
    folder = tmp_path_factory.mktemp("variants") / "root"
    seedlab.populate(folder)
    chance = random.Random(7)
    words = [chance.randbytes(chance.randrange(2, 9)) for _ in range(300)]
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "usr/lib/large").write_bytes(b"".join(chance.choice(words) for _ in range(150_000)))
    (folder / "usr/lib/noise").write_bytes(chance.randbytes(300_001))
    (folder / "usr/lib/again").write_bytes((folder / "usr/lib/large").read_bytes()[5000:400_000])
    (folder / "usr/lib/zeros").write_bytes(bytes(1_000_000))
    with (folder / "usr/lib/holes").open("wb") as file:
        for at in (70_000, 500_000, 3_000_001):
            file.seek(at)
            file.write(b"data" * 100)
        file.truncate(4_000_000)
    (folder / "usr/many").mkdir()
    for number in range(400):
        (folder / f"usr/many/a name of its own, number {number}").write_bytes(b"%d" % number * (number % 90))
    for number in (4095, 4096, 4097, 65_536, 131_073):
        (folder / f"usr/{number}").write_bytes(chance.choice(words)[:2] * (number // 2) + b"x" * (number % 2))
    for name in (b"new\nline", b"not utf-8 \xff", "snow\N{SNOWMAN}".encode()):
        (folder / "usr" / os.fsdecode(name)).write_bytes(name)
    os.chown(folder / "usr/4096", 70_000, 4_000_000_000)
    os.setxattr(folder / "usr/many", "user.of a folder", b"\0\xff" * 60)
    os.setxattr(folder / "usr/lib/large", "user.large", b"v" * 500)
    os.mknod(folder / "dev/large", 0o640 | stat.S_IFBLK, os.makedev(300, 70_000))
    return folder


def same(root, path, *without):
    """Compare all that is told of every path."""
    wanted = {name: row[1:] for name, row in listed(root, xattrs=True).items() if name not in without}
    got = rows(facts((path,)), xattrs=True)
    got = {name: row for name, row in got.items() if name not in {".", "lost+found", *without}}
    assert {name: (row, got.get(name)) for name, row in wanted.items() if got.get(name) != row} == {}
    assert got.keys() == wanted.keys()


@pytest.mark.parametrize("options", SQUASHFS)
def test_squashfs(root, tmp_path, options):
    run("mksquashfs", root, tmp_path / "image", "-quiet", "-no-progress", "-noappend", *options.split())
    same(root, tmp_path / "image")


def test_squashfs_whose_owners_are_all_root_and_which_has_no_attributes(root, tmp_path):
    options = ("-all-root", "-no-xattrs", "-quiet", "-no-progress", "-noappend", "-nopad")
    run("mksquashfs", root, tmp_path / "image", *options)
    got = rows(facts((tmp_path / "image",)), xattrs=True)
    assert {(row[2], row[6]) for row in got.values()} == {((0, 0), ())}


@pytest.mark.parametrize("options", EROFS)
def test_erofs(root, tmp_path, options):
    run("mkfs.erofs", *options.split(), tmp_path / "image", root)
    same(root, tmp_path / "image")


def test_erofs_compressed_in_the_way_of_linux_5_2_is_said_not_to_be_read(root, tmp_path):
    run("mkfs.erofs", "-zlz4", "-Elegacy-compress", tmp_path / "image", root)
    items = list(image.read((str(tmp_path / "image"),)))
    said = {item.place.artifacts[-1] for item in items if isinstance(item, Problem) and "Linux 5.2" in item.message}
    assert "usr/lib/large" in said


@pytest.mark.parametrize("options", EXT)
def test_ext(root, tmp_path, options):
    run("mke2fs", "-q", "-F", "-N", 1024, *options.split(), "-d", root, tmp_path / "image", "96M")
    # mke2fs 1.47.0 cuts a file that begins with a hole where it has inline data; Linux reads it as lkscan does
    same(root, tmp_path / "image", *(["usr/lib/holes"] if "inline_data" in options else []))


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Four MiB with islands of data at odd places."""
    need_tools(TOOLS)
    chance, data = random.Random(3), bytearray(4 << 20)
    for _ in range(200):
        at, piece = chance.randrange(len(data) - 9000), chance.randbytes(2) * chance.randrange(1, 4000)
        data[at : at + len(piece)] = piece
    path = tmp_path_factory.mktemp("raw") / "raw"
    path.write_bytes(data)
    return path


def unrolled(module, path):
    """All of a disk, in pieces that fit no block."""
    source = FileSource(str(path))
    disk = module.disk(source, lambda _: None)
    found = b"".join(disk.pread(at, 100_001) for at in range(0, disk.size, 100_001))
    source.close()
    return found


@pytest.mark.parametrize(("options", "packed"), [(one, kind) for one in QCOW2 for kind in (False, True)][:-1])
def test_qcow2(raw, tmp_path, options, packed):
    disk, back = tmp_path / "disk", tmp_path / "back"
    words = ("-c",) if packed else ()
    run("qemu-img", "convert", *words, "-f", "raw", "-O", "qcow2", "-o", options, raw, disk)
    if not packed:
        changes = ("write -P 7 100000 3000", "write -z 300000 5000", "discard 1M 70000", "write -z -u 2M 64k")
        run("qemu-io", "-f", "qcow2", *(word for one in changes for word in ("-c", one)), disk)
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, back)
    assert unrolled(qcow2, disk) == back.read_bytes()
    assert (
        qcow2._end(FileSource(str(disk)), qcow2._header(FileSource(str(disk))), lambda _: None) <= disk.stat().st_size
    )


@pytest.mark.parametrize("options", VMDK)
def test_vmdk(raw, tmp_path, options):
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={options}", raw, tmp_path / "disk")
    assert unrolled(vmdk, tmp_path / "disk") == raw.read_bytes()


@pytest.mark.parametrize("options", ["fixed", "dynamic"])
def test_vhd(raw, tmp_path, options):
    run(
        "qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", f"subformat={options},force_size", raw, tmp_path / "disk"
    )
    assert unrolled(vhd, tmp_path / "disk") == raw.read_bytes()


@pytest.mark.parametrize("command", STREAMS.values(), ids=STREAMS)
def test_streams(root, tmp_path, command):
    names = "\n".join(sorted(name for name in listed(root, xattrs=False) if "\n" not in name)).encode(
        errors="surrogateescape"
    )
    whole = run("cpio", "--create", "--format=newc", "--quiet", data=names, cwd=root)
    parts = [whole[:700_001], whole[700_001:], whole]
    for number, part in enumerate(parts):
        (tmp_path / str(number)).write_bytes(part)
    (tmp_path / "plain").write_bytes(whole)
    packed = subprocess.run(command.format(0, 1, 2), shell=True, capture_output=True, check=True, cwd=tmp_path).stdout
    (tmp_path / "packed").write_bytes(packed)
    assert rows(facts((tmp_path / "packed",)), xattrs=False) == rows(facts((tmp_path / "plain",)), xattrs=False)
