"""Images that harmed others, by the numbers of their reports, and images that cost more than they are long."""

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib

import fuzzlab
import pytest
import seedlab
from imagelab import SECTOR, Item, Node, field, iso, newc

from lkscan import cli
from lkscan.scanner import image
from lkscan.scanner.source import Limits
from lkscan.scanner.subjects import File, Problem

SECRET = b"the secret of the machine that scans"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    seedlab.need()
    return seedlab.seeds(tmp_path_factory.mktemp("hostile"))


def write(folder, data, name="image"):
    path = folder / name
    path.write_bytes(data)
    return path


def read(path, **limits):
    """Files by path with their contents, and what is said."""
    files, said = {}, []
    for item in image.read((str(path),), Limits(**limits)):
        if isinstance(item, File):
            files[item.path] = item.read(1 << 20) if item.read else b""
        elif isinstance(item, Problem):
            said.append(item.message)
    return files, " | ".join(said)


# --- disks


def qcow2(*, backing=b"", size=1 << 20, entries=1, features=0, extensions=b"", bits=16):
    """A qcow2 of version 3: its header, an empty table, nothing else."""
    start = 104 + len(extensions) if backing else 0
    fields = struct.pack(">4sIQIIQIIQ", b"QFI\xfb", 3, start, len(backing), bits, size, 0, entries, 1 << bits)
    fields += struct.pack(">QIIQ", 0, 0, 0, 0) + struct.pack(">QQQII", features, 0, 0, 4, 104)
    return (fields + extensions + backing).ljust(2 << bits, b"\0")


def extension(kind, data):
    return struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")


def vhd_footer(kind=3, size=1 << 20, header=512):
    head = struct.pack(
        ">8sIIQI4sI4sQQIII", b"conectix", 2, 0x10000, header, 0, b"test", 0, b"Wi2k", size, size, 0, kind, 0
    )
    return head.ljust(512, b"\0")


def vhd_dynamic(kind=3, size=1 << 20, count=1, block=1 << 21, table=1536):
    head = struct.pack(">8sQQIII", b"cxsparse", (1 << 64) - 1, table, 0x10000, count, block).ljust(1024, b"\0")
    return vhd_footer(kind, size) + head + b"\xff" * 512 + vhd_footer(kind, size)


def vmdk(*, capacity=2048, grain=128, per_table=512, descriptor=b"", directory=21):
    """A sparse VMDK whose directory is empty."""
    length = -(-len(descriptor) // 512)
    places = (1 if length else 0, length, per_table, 0, directory, 128, 0)
    head = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 1, 3, capacity, grain, *places, b"\n \r\n", 0)
    return (head.ljust(512, b"\0") + descriptor).ljust(512 * 64 + len(descriptor), b"\0")


FLAT = '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 8 FLAT "{}" 0\n'
PARENT = '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=1\nparentFileNameHint="{}"\nRW 8 SPARSE "x" 0\n'


OUTSIDE = {
    "cve_2024_44082_qcow2_with_a_backing_file": lambda path: qcow2(backing=path),
    "cve_2026_24708_raw_disk_that_became_a_qcow2": lambda path: qcow2(backing=path, bits=9) + bytes(1 << 20),
    "cve_2024_32498_qcow2_with_an_external_data_file": lambda path: qcow2(
        features=4, extensions=extension(0x44415441, path)
    ),
    "cve_2024_4467_qcow2_with_a_data_file_in_json": lambda path: qcow2(
        features=4, extensions=extension(0x44415441, b'json:{"driver":"file","filename":"%s"}' % path)
    ),
    "cve_2024_40767_qcow2_with_a_backing_file_in_json": lambda path: qcow2(
        backing=b'json:{"file.filename":"%s"}' % path
    ),
    "cve_2022_47951_vmdk_with_a_flat_extent": lambda path: FLAT.format(path.decode()).encode(),
    "vmdk_with_a_parent": lambda path: vmdk(descriptor=PARENT.format(path.decode()).encode()),
    "vhd_that_differs_from_a_parent": lambda _path: vhd_dynamic(kind=4),
}


@pytest.mark.parametrize("make", OUTSIDE.values(), ids=OUTSIDE)
def test_files_that_an_image_names_are_never_opened(tmp_path, secret, make, capsys):
    path = write(tmp_path, make(bytes(secret)))
    files, said = read(path)
    assert files == {}
    assert "never opened" in said
    assert cli.main([str(path)]) == cli.INCOMPLETE
    captured = capsys.readouterr()
    assert "never opened" in captured.err
    assert SECRET.decode() not in captured.out + captured.err


SIZES = {
    "cve_2015_5162_qcow2_of_2_62_bytes": (qcow2(size=1 << 62), "virtual disk has"),
    "cve_2014_0144_qcow2_with_a_table_of_2_32_entries": (qcow2(entries=(1 << 32) - 1), "table has 4294967295 entries"),
    "qcow2_with_a_table_that_is_too_short": (qcow2(size=1 << 40), "entries and needs"),
    "qcow2_with_clusters_of_2_40_bytes": (
        qcow2().replace(b"\0\0\0\x10", b"\0\0\0\x28", 1),
        "clusters of 2^40",
    ),
    "cve_2014_0144_vhd_with_a_table_of_2_32_entries": (vhd_dynamic(count=(1 << 32) - 1), "4294967295 entries"),
    "cve_2014_0144_vhd_with_blocks_of_no_bytes": (vhd_dynamic(block=0), "blocks of 0 bytes"),
    "vhd_with_a_size_of_2_63": (vhd_dynamic(size=1 << 63), "virtual disk has"),
    "vhd_fixed_larger_than_the_file": (bytes(1 << 12) + vhd_footer(kind=2, size=1 << 30), "but the image ends"),
    "vmdk_of_2_62_sectors": (vmdk(capacity=1 << 62), "virtual disk has"),
    "vmdk_with_tables_of_2_32_entries": (vmdk(per_table=(1 << 32) - 1), "4294967295 to a table"),
    "vmdk_with_grains_of_no_bytes": (vmdk(grain=0), "grains of 0 sectors"),
    "vmdk_with_a_directory_of_2_31_entries": (vmdk(capacity=1 << 32, grain=1, per_table=1), "entries, more than"),
    "vmdk_with_a_descriptor_of_empty_lines": (
        vmdk(descriptor=b"\n \t\n" * (1 << 18), directory=2060),
        "no known format",
    ),
}


@pytest.mark.parametrize(("data", "said"), SIZES.values(), ids=SIZES)
def test_disks_with_numbers_that_cannot_be(tmp_path, data, said):
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert said in read(path)[1]
    assert cli.main([str(path)]) != cli.OK


# --- partitions


def gpt(rows, sectors=4096, count=None, width=128, at=0):
    """A disk whose table lists (first, last) sectors; both sums are right."""
    table = b"".join(
        struct.pack("<16s16sQQQ72s", b"t" * 16, bytes((i % 256,)) * 16, first, last, 0, b"")
        for i, (first, last) in enumerate(rows)
    )
    count = len(rows) if count is None else count
    head = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        b"EFI PART",
        0x10000,
        92,
        0,
        0,
        1,
        sectors - 1,
        34,
        sectors - 34,
        b"g" * 16,
        2,
        count,
        width,
        zlib.crc32(table[: count * width]),
    )
    head = head[:16] + zlib.crc32(head).to_bytes(4, "little") + head[20:]
    disk = bytearray(sectors * 512)
    disk[510:512], disk[450], disk[454:462] = b"\x55\xaa", 0xEE, struct.pack("<II", 1, sectors - 1)
    disk[512 : 512 + len(head)] = head
    disk[1024 : 1024 + len(table)] = table
    return disk  # fmt: skip


def test_tables_of_2_32_partitions_and_of_entries_without_length(tmp_path):
    assert "4294967295 entries" in read(write(tmp_path, gpt([], count=(1 << 32) - 1)))[1]
    assert "entries of 0 bytes" in read(write(tmp_path, gpt([], count=1, width=0)))[1]


def test_a_partition_behind_the_end_and_one_that_ends_before_it_begins(tmp_path):
    said = read(write(tmp_path, gpt([(1 << 40, 1 << 41), (100, 50)])))[1]
    assert "behind the end of the disk" in said
    assert "ends before it begins" in said


def test_partitions_that_hold_their_own_table_are_not_followed(tmp_path):
    said = read(write(tmp_path, gpt([(0, 4095)])))[1]
    assert "it holds the partition table" in said
    rows = [(1, 4000)] * 3
    assert "it begins where partition 1 does" in read(write(tmp_path, gpt(rows)))[1]


def test_a_chain_of_extended_boot_records_that_is_a_ring(tmp_path):
    disk = bytearray(1 << 16)
    disk[446:462] = struct.pack("<B3xB3xII", 0, 5, 1, 100)
    disk[510:512] = b"\x55\xaa"
    disk[512 + 446 + 16 : 512 + 446 + 32] = struct.pack("<B3xB3xII", 0, 5, 0, 100)
    disk[512 + 510 : 1024] = b"\x55\xaa"
    assert "comes twice in the chain" in read(write(tmp_path, disk))[1]


def test_layers_are_counted(tmp_path):
    archives = newc(*(Item(f"{number}/initrd.img", newc()) for number in range(30)))
    assert "more than 20 layers (limit: layers)" in read(write(tmp_path, archives), layers=20)[1]
    assert cli.main([str(write(tmp_path, archives))]) == cli.OK


# --- file systems


def ext_inode(data, size):
    """Where the inode of a file of so many bytes begins, in an ext with blocks of 1 KiB."""
    table, width = struct.unpack_from("<I", data, 2048 + 8)[0], struct.unpack_from("<H", data, 1024 + 88)[0]
    places = range(table * 1024, table * 1024 + 48 * width, width)
    return next(at for at in places if struct.unpack_from("<I", data, at + 4)[0] == size)


BLOCKS = sum(len(b"%d," % (number * number)) for number in range(2600))
"""Bytes of etc/blocks in the seeds."""


def test_a_map_whose_blocks_point_to_themselves_is_paid_for(tmp_path, seeds):
    data = bytearray(seeds["ext2"])
    at = ext_inode(data, BLOCKS)
    (block,) = struct.unpack_from("<I", data, at + 40)
    data[block * 1024 : (block + 1) * 1024] = struct.pack("<I", block) * 256
    struct.pack_into("<15I", data, at + 40, *([block] * 15))
    struct.pack_into("<I", data, at + 4, 0xFFFFF000)
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert "pieces" in read(path)[1] or "limit" in read(path)[1]


def test_extents_that_point_to_themselves_end_with_their_depth(tmp_path, seeds):
    data = bytearray(seeds["ext4"])
    at = ext_inode(data, BLOCKS)
    block = struct.unpack_from("<I", data, at + 40 + 20)[0]
    struct.pack_into("<HHHHIIIHH", data, at + 40, 0xF30A, 1, 4, 5, 0, 0, block, 0, 0)
    node = struct.pack("<HHHHI", 0xF30A, 84, 84, 5, 0) + struct.pack("<IIHH", 0, block, 0, 0) * 84
    data[block * 1024 : block * 1024 + len(node)] = node
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert "extents of inode" in read(path)[1]


def test_a_sparse_file_of_an_exabyte_costs_no_more_than_the_limits(tmp_path, seeds):
    data = bytearray(seeds["ext4"])
    struct.pack_into("<I", data, ext_inode(data, BLOCKS) + 108, 1 << 28)
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert cli.main(["inspect", "--files", str(path)]) == cli.INCOMPLETE


def test_files_on_the_same_blocks_are_paid_for_each(tmp_path, seeds):
    """One that is large would be many that are, for nothing."""
    data = bytearray(seeds["ext4"])
    small, large = ext_inode(data, len(b"root:x:0:0:root:/root:/bin/sh\n")), ext_inode(data, BLOCKS)
    data[small + 40 : small + 100] = data[large + 40 : large + 100]
    struct.pack_into("<I", data, small + 4, BLOCKS)
    path = write(tmp_path, data)
    files, _ = read(path)
    assert files["etc/passwd"] == files["etc/blocks"]
    used = next(spent for spent in range(100_000, 1_000_000, 4096) if "limit: total" not in read(path, total=spent)[1])
    once = next(
        spent
        for spent in range(100_000, 1_000_000, 4096)
        if "limit: total" not in read(write(tmp_path, seeds["ext4"], "whole"), total=spent)[1]
    )
    assert used - once > BLOCKS // 2


def test_a_file_that_shrinks_while_it_is_read_breaks_off(tmp_path, seeds):
    path = write(tmp_path, seeds["ext4"])
    items = image.read((str(path),))
    first = next(items)
    os.truncate(path, 4096)
    rest = list(items)
    assert isinstance(first, File)
    assert any(isinstance(one, Problem) for one in rest)


def test_devices_and_pipes_are_told_and_never_opened(tmp_path):
    kinds = {"block": 0o060600, "char": 0o020600, "fifo": 0o010600, "socket": 0o140600}
    data = newc(*(Item(name, mode=mode) for name, mode in kinds.items()))
    files = [one for one in image.read((str(write(tmp_path, data)),)) if isinstance(one, File)]
    assert [(one.path, one.kind) for one in files] == [(kind, kind) for kind in kinds]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (qcow2(features=1 << 40), "the qcow2 disk uses features that are not read (bits 0x10000000000)"),
        (qcow2()[:32] + (2).to_bytes(4, "big") + qcow2()[36:], "the qcow2 disk is encrypted"),
        (b"sqsh" + bytes(1 << 12), "squashfs file systems of the big-endian kind are not read yet"),
        (bytes(1024) + b"\xe2\xe1\xf5\xe0".ljust(12, b"\0") + b"\x0c" + bytes(1 << 14), "no directory"),
    ],
    ids=["features", "encrypted", "big-endian", "empty erofs"],
)
def test_what_is_not_read_is_not_called_clean(tmp_path, data, said):
    path = write(tmp_path, data)
    assert said in read(path)[1]
    assert cli.main([str(path)]) == cli.INCOMPLETE


def test_unblob_778_a_directory_of_ext_that_holds_itself_is_not_followed(tmp_path, seeds):
    data = bytearray(seeds["ext2"])
    (containers,) = struct.unpack_from("<I", data, data.index(b"containers") - 8)
    struct.pack_into("<I", data, data.index(b"services") - 8, containers)
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert "the directory holds itself" in read(path)[1]


def test_sleuthkit_1859_a_chain_of_clusters_that_is_a_ring_ends(tmp_path, seeds):
    data = bytearray(seeds["fat16"])
    row = data.index(b"BLOCKS  ")
    cluster, size = struct.unpack_from("<HI", data, row + 26)
    assert size == BLOCKS
    struct.pack_into("<I", data, row + 28, 2_000_000)
    table = 512 * struct.unpack_from("<H", data, 14)[0]
    struct.pack_into("<H", data, table + 2 * cluster, cluster)
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    files, said = read(path)
    assert "chain of clusters" in said or len(files["etc/blocks"]) == 1 << 20
    struct.pack_into("<I", data, row + 28, (1 << 32) - 1)
    assert "more than the file system" in read(write(tmp_path, data))[1]


SQUASHFS = {
    "cve_2015_4645_more_fragments_than_there_can_be": (16, 0xFFFFFFFF, "<I"),
    "cve_2015_4646_a_table_of_inodes_behind_the_end": (64, 1 << 62, "<Q"),
    "cve_2012_4025_a_block_of_2_65535_bytes": (22, 0xFFFF, "<H"),
    "a_root_that_is_nowhere": (32, (1 << 64) - 1, "<Q"),
    "a_table_of_ids_behind_the_end": (48, (1 << 63) + 5, "<Q"),
    "a_table_of_directories_behind_the_end": (72, (1 << 64) - 2, "<Q"),
    "a_table_of_fragments_behind_the_end": (80, (1 << 64) - 8, "<Q"),
}


@pytest.mark.parametrize(("at", "number", "form"), SQUASHFS.values(), ids=SQUASHFS)
def test_squashfs_with_tables_that_cannot_be(tmp_path, seeds, at, number, form):
    data = bytearray(seeds["squashfs-gzip"])
    struct.pack_into(form, data, at, number)
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    whole, _ = read(write(tmp_path, seeds["squashfs-gzip"], "whole"))
    files, said = read(path)
    assert said or files == whole


def test_squashfs_block_bomb_unpacks_to_no_more_than_a_block(tmp_path, seeds):
    data = bytearray(seeds["squashfs-gzip"])
    bomb = zlib.compress(bytes(64 << 20), 9)
    data[96 : 96 + 4000] = bomb[:4000]
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""


# --- ISO 9660


def test_libarchive_3021_continuation_areas_that_are_a_ring(tmp_path):
    ring = field(
        b"CE", struct.pack("<I", 30) + struct.pack(">I", 30) + bytes(8) + struct.pack("<I", 28) + struct.pack(">I", 28)
    )
    data = bytearray(iso({"a": Node(b"x", use=ring)}).ljust(40 * SECTOR, b"\0"))
    data[30 * SECTOR : 30 * SECTOR + 28] = ring
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert "continuation areas" in read(path)[1]  # fmt: skip


# --- archives and streams


def test_cve_2019_20907_a_pax_record_of_no_length(tmp_path):
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "x"}
    data = info.tobuf(tarfile.PAX_FORMAT).replace(b"13 comment=x\n", b"0 comment=xx\n")
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert "PAX record" in read(path)[1]


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"7" * 12])
def test_cve_2025_8194_sizes_of_a_tar_that_are_negative_or_huge(tmp_path, size):
    info = tarfile.TarInfo("a")
    data = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    data[124:136] = size
    seedlab.mend_tar(data)
    path = write(tmp_path, data + bytes(1024))
    assert fuzzlab.check("image", path) == ""
    assert read(path)[1]
    assert cli.main([str(path)]) != cli.OK


def test_cve_2026_54448_a_gzip_bomb_meets_a_limit(tmp_path):
    out = io.BytesIO()
    with gzip.open(out, "wb") as file:
        file.write(newc(Item("big", size=600 << 20), trailer=False))
        for _ in range(600):
            file.write(bytes(1 << 20))
    path = write(tmp_path, out.getvalue())
    assert fuzzlab.check("image", path) == ""
    assert "(limit: ratio)" in read(path)[1]
    assert cli.main([str(path)]) == cli.INCOMPLETE


def test_a_layer_in_a_layer_in_a_layer_ends(tmp_path):
    data = newc()
    for _ in range(20):
        data = gzip.compress(data)
    path = write(tmp_path, data)
    assert fuzzlab.check("image", path) == ""
    assert cli.main([str(path)]) != cli.OK


def test_millions_of_empty_entries_meet_a_limit(tmp_path):
    entry = newc(Item("a"), trailer=False)
    path = write(tmp_path, gzip.compress(entry * 500_000, 1))
    assert "limit: entries" in read(path)[1]


NAMES = [b"../../etc/passwd", b"a/../../b", b"x" * 5000, b"\0a", b"d/" * 400 + b"x", b".."]


@pytest.mark.parametrize("name", NAMES, ids=["up", "inside", "long", "nul", "deep", "parent"])
def test_cve_2022_4510_names_that_lead_out_of_the_tree_are_left_out_and_said(tmp_path, name):
    data = newc(Item(name.decode()), Item("good"))
    files, said = read(write(tmp_path, data))
    assert set(files) <= {"good"}
    assert said


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd", "\n\x1b[2J", "a" * 4000])
def test_cve_2025_11001_a_link_is_told_and_never_followed(tmp_path, target):
    data = newc(Item("etc", target.encode(), mode=0o120777), Item("etc/shadow", b"root::0\n"))
    items = [one for one in image.read((str(write(tmp_path, data)),)) if isinstance(one, File)]
    assert [(one.path, one.kind) for one in items] == [("etc", "symlink"), ("etc/shadow", "file")]
    assert items[0].target == target


# --- what the system sees


def hostile(secret):
    """Images that want a file of the machine that scans, by name."""
    path = bytes(secret)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name, kind, link in (("a", tarfile.SYMTYPE, str(secret)), ("b", tarfile.LNKTYPE, str(secret))):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            file.addfile(info)
        file.addfile(tarfile.TarInfo(f"../../..{secret}"))
        file.addfile(tarfile.TarInfo(str(secret)))
    links = (Item("boot", path, mode=0o120777), Item("boot/cmdline", b"quiet"), Item("etc/shadow", path, mode=0o120777))
    return {**{name: make(path) for name, make in OUTSIDE.items()}, "tar": tar.getvalue(), "links": newc(*links)}


def test_the_system_sees_no_file_opened_but_the_input_none_made_and_no_socket(tmp_path, secret):
    """Python's and lkscan's own files are opened, as by any scan: an innocent one is the measure."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    innocent = write(tmp_path, newc(Item("a")), "innocent")

    def traced(path):
        log = tmp_path / "log"
        command = [strace, "-f", "-qq", "-e", "trace=%file,%network", "-o", str(log), sys.executable, "-B"]
        done = subprocess.run(
            [*command, "-m", "lkscan", "--fail-on", "never", str(path)], capture_output=True, text=True, check=False
        )
        if "PTRACE" in done.stderr:
            pytest.skip("needs ptrace, which is not allowed here")
        assert done.returncode in {cli.OK, cli.INCOMPLETE}, done.stderr
        return log.read_text()

    assert str(innocent) in traced(innocent)
    for name, data in hostile(secret).items():
        path = write(tmp_path, data, f"{name}.img")
        log = traced(path)
        assert str(path) in log
        assert str(secret) not in log, name
        assert "passwd" not in log, name
        assert "O_CREAT" not in log, name
        assert "socket(" not in log, name
        opened = {
            line.split('"')[1] for line in log.splitlines() if "open" in line and "O_" in line and "ENOENT" not in line
        }
        strangers = {one for one in opened if one.startswith(str(tmp_path)) and one != str(path)}
        assert strangers <= {str(tmp_path)}, name
