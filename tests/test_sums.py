"""Sums that formats keep: what was changed behind their back is still read, and said."""

import struct

import pytest
import seedlab
from imagelab import Item, newc

from lkscan import cli
from lkscan.scanner import image
from lkscan.scanner.subjects import File, Problem


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    seedlab.need()
    return seedlab.seeds(tmp_path_factory.mktemp("sums"))


def read(folder, data):
    """Paths, and what is said."""
    path = folder / "image"
    path.write_bytes(data)
    items = list(image.read((str(path),)))
    files = {item.path for item in items if isinstance(item, File)}
    return files, [item.message for item in items if isinstance(item, Problem)], path


def ext_inode(data, number):
    """Where an inode begins, in an ext of one group with blocks of 1 KiB."""
    table, width = struct.unpack_from("<I", data, 2048 + 8)[0], struct.unpack_from("<H", data, 1024 + 88)[0]
    return table * 1024 + (number - 1) * width


EXT = {
    "the superblock with a wrong checksum": lambda data: 1024 + 120,
    "descriptors of groups with a wrong checksum: 1, the first of group 0": lambda data: 2048 + 16,
    "inodes with a wrong checksum: 1, the first of number 2": lambda data: ext_inode(data, 2) + 8,
    "blocks of directories with a wrong checksum: 1, the first of inode 22": lambda data: data.index(b"passwd") - 1,
}


@pytest.mark.parametrize("told", EXT)
def test_ext4_with_a_changed(tmp_path, seeds, told):
    data = bytearray(seeds["ext4-64bit"])
    whole, said, _ = read(tmp_path, data)
    assert said == []
    data[EXT[told](data)] ^= 1
    files, said, path = read(tmp_path, data)
    assert [one.removesuffix("; damaged, or changed by hand") for one in said] == [told]
    assert files == whole
    assert cli.main(["--fail-on", "never", str(path)]) == cli.INCOMPLETE


def test_ext4_with_a_changed_name_in_a_block_of_attributes(tmp_path, seeds):
    data = bytearray(seeds["ext4-64bit"])
    at = data.rindex(b"value" * 30)
    block = at - at % 1024
    if data[block : block + 4] != b"\0\0\2\xea":
        pytest.fail("the attribute is in the inode: make the seed's longer")
    data[at] ^= 1
    assert "blocks of attributes with a wrong checksum: 1, the first at block" in read(tmp_path, data)[1][0]


def test_an_ext4_without_sums_is_not_said_to_have_wrong_ones(tmp_path, seeds):
    data = bytearray(seeds["ext2"])
    data[data.index(b"passwd") + 1] ^= 1
    assert read(tmp_path, data)[1] == []


def test_the_superblock_of_an_erofs(tmp_path, seeds):
    data = bytearray(seeds["erofs-plain"])
    assert read(tmp_path, data)[1] == []
    data[1024 + 64] ^= 1
    files, said, _ = read(tmp_path, data)
    assert said == ["the superblock with a wrong checksum; damaged, or changed by hand"]
    assert "etc/passwd" in files


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        (3, {"etc"}),
        (2, {"kernel"}),
        (4, {"kernel", "initrd", "file.2", "etc"}),
        (6, {"boot.script"}),
    ],
)
def test_what_is_in_a_uimage(tmp_path, kind, files):
    archive = newc(Item("etc"))
    parts = {2: [b"k" * 100], 3: [archive], 4: [b"k" * 101, archive, b"tree"], 6: [b"setenv bootargs quiet\n"]}[kind]
    data = bytearray(seedlab.uimage(parts, kind))
    found, said, _ = read(tmp_path, data)
    assert (found, said) == (files, [])
    data[-1] ^= 1
    found, said, path = read(tmp_path, data)
    assert said == ["what is in the uImage has a wrong checksum; get a whole copy of it"]
    assert found == files
    assert cli.main(["--fail-on", "never", str(path)]) == cli.INCOMPLETE


def test_a_uimage_of_too_many_files(tmp_path):
    assert "more than 16 files" in read(tmp_path, seedlab.uimage([b"x"] * 17, 4))[1][0]


@pytest.mark.parametrize(
    ("seed", "at", "told"),
    [
        ("vhd-fixed", -500, "the VHD disk's footer has a wrong checksum"),
        ("vhd-dynamic", -500, "the VHD disk's footer has a wrong checksum"),
        ("vhd-dynamic", 512 + 900, "the VHD disk's header has a wrong checksum"),
    ],
)
def test_vhd_with_a_changed(tmp_path, seeds, seed, at, told):
    whole, said, _ = read(tmp_path, seeds[seed])
    assert said == []
    data = bytearray(seeds[seed])
    data[at] ^= 1
    files, said, _ = read(tmp_path, data)
    assert (files, said) == (whole, [f"{told}; get a whole copy of it"])
