"""ISO 9660: Rock Ridge, Joliet and plain names, moved directories, boot catalogs, and hostile structures."""

import hashlib
import os
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagelab import SECTOR, Node, attributes, both, field, found, iso, needs, record, run, tree

from lkscan.scanner import iso9660
from lkscan.scanner.source import DamagedError, LimitError, MemorySource
from lkscan.scanner.tree import Layer

NODES = {
    "boot/kernel": b"K" * 5000,
    "etc/shadow": Node(b"root::0\n", 0o100640),
    "etc/empty": b"",
    "bin/su": Node(b"su", 0o104755),
    "dev/null": Node(mode=0o020666),
}


def read(data, **limits):
    return found(iso9660.entries(MemorySource(data), tree(**limits)))


def named(name, mode=0o100644):
    return attributes(mode) + field(b"NM", b"\0" + name)


def link(*parts, flags=0):
    """The fields of a symbolic link; a part is (flags, bytes)."""
    body = b"".join(bytes((flag, len(data))) + data for flag, data in parts)
    return attributes(0o120777) + field(b"NM", b"\0link") + field(b"SL", bytes((flags,)) + body)


@pytest.mark.parametrize("skip", [0, 3])
def test_rock_ridge_gives_names_modes_and_contents(skip):
    data = iso(NODES, skip=skip)
    assert iso9660.sniff(MemorySource(data)) == "ISO 9660 (Rock Ridge)"
    files, problems = read(data)
    assert problems == []
    assert {path: (file.kind, oct(file.mode), file.size) for path, (file, _) in files.items()} == {
        ".": ("dir", "0o755", 0),
        "boot": ("dir", "0o755", 0),
        "etc": ("dir", "0o755", 0),
        "bin": ("dir", "0o755", 0),
        "dev": ("dir", "0o755", 0),
        "boot/kernel": ("file", "0o644", 5000),
        "etc/shadow": ("file", "0o640", 8),
        "etc/empty": ("file", "0o644", 0),
        "bin/su": ("file", "0o4755", 2),
        "dev/null": ("char", "0o666", 0),
    }
    assert files["boot/kernel"][1] == b"K" * 5000
    assert files["etc/empty"][1] == b""
    assert files["etc/shadow"][0].place.artifacts == ("image", "etc/shadow")


@pytest.mark.parametrize(("kind", "path"), [("Joliet", "Etc/Shadow.TXT"), ("plain", "etc/shadow.txt")])
def test_without_rock_ridge_names_are_those_that_linux_shows(kind, path):
    data = iso({"Etc/Shadow.TXT": b"x", "Etc/noext.": b""}, kind=kind)
    assert iso9660.sniff(MemorySource(data)) == f"ISO 9660 ({kind})"
    files, _ = read(data)
    assert files[path][1] == b"x"
    assert oct(files[path][0].mode) == "0o444"
    assert len(files) == 4


@pytest.mark.parametrize(
    ("use", "target"),
    [
        (link((0, b"a"), (0, b"b")), "a/b"),
        (link((8, b""), (0, b"etc"), (4, b""), (2, b"")), "/etc/../."),
        (link((8, b"")), "/"),
        (link((1, b"lo"), (0, b"ng"), (0, b"x")), "long/x"),
        (link((0, b"a")) + field(b"SL", b"\0\0\x05cut"), "a"),
        (link((0, b"a"), flags=1) + field(b"SL", b"\0\0\1b"), "a/b"),
    ],
)
def test_symbolic_links_are_put_together(use, target):
    files, _ = read(iso({"x": Node(use=use)}))
    assert (files["link"][0].kind, files["link"][0].target) == ("symlink", target)


def test_a_name_may_go_on_in_the_next_field():
    use = attributes(0o100644) + field(b"NM", b"\1first-") + field(b"NM", b"\0second") + field(b"TF", b"\0")
    assert "first-second" in read(iso({"x": Node(use=use)}))[0]
    use = attributes(0o100644) + field(b"NM", b"\2") + field(b"ST", b"") + field(b"NM", b"\0never")
    assert "x" in read(iso({"x": Node(use=use)}))[0]


def continued(block, offset, length):
    return field(b"CE", both(block) + both(offset) + both(length))


def test_fields_continue_elsewhere():
    area = field(b"NM", b"\0name-from-afar")
    data = iso({"area": area, "x": Node(use=attributes(0o100600) + continued(21, 0, len(area)))})
    assert read(data)[0]["name-from-afar"][0].mode == 0o600


def test_endless_continuation_is_reported_and_the_entry_skipped():
    loop = continued(21, 0, 28)
    files, problems = read(iso({"area": loop, "x": Node(use=loop), "after": b""}))
    assert sorted(files) == [".", "after", "area"]
    assert problems == ["X;1: more than 16 continuation areas for one entry; entry skipped"]


def test_directories_that_were_moved_are_found_where_they_belong():
    nodes = {
        "deep/moved": Node(use=named(b"moved") + field(b"CL", both(23))),
        "rr_moved/moved": Node(mode=0o040755, use=named(b"moved", 0o040755) + field(b"RE", b"")),
        "rr_moved/moved/file": b"content",
    }
    files, problems = read(iso(nodes))
    assert problems == []
    assert sorted(files) == [".", "deep", "deep/moved", "deep/moved/file", "rr_moved"]
    assert files["deep/moved"][0].kind == "dir"


def test_a_moved_directory_that_is_none_is_reported():
    files, problems = read(iso({"x": Node(use=named(b"moved") + field(b"CL", both(21))), "y": b"no directory"}))
    assert sorted(files) == [".", "y"]
    assert len(problems) == 1
    assert problems[0].startswith("moved: ")
    assert problems[0].endswith("; entry skipped")


def test_a_directory_that_holds_itself_is_not_followed_twice():
    files, problems = read(iso({"loop": Node(mode=0o040755, sector=20)}))
    assert list(files) == [".", "loop"]
    assert problems == ["loop: the directory holds itself (at byte 40960); not followed"]


def test_depth_and_entries_are_bounded():
    deep = iso({"a/b/c/d/e": b""})
    files, problems = read(deep, depth=2)
    assert "a/b" in files
    assert "a/b/c/d" not in files
    assert problems
    with pytest.raises(LimitError, match="more than 5 entries"):
        read(deep, entries=5)


def test_parts_of_one_file_are_joined():
    data = bytearray(iso({"x": Node(b"1" * SECTOR, use=named(b"x"), flags=0x80), "y": Node(b"2", use=named(b"x"))}))
    at = data.index(b"Y;1")
    data[at : at + 1] = b"X"
    files, _ = read(bytes(data))
    assert files["x"][1] == b"1" * SECTOR + b"2"
    unfinished = {"x": Node(b"1", flags=0x80), "y": b"2", "z": Node(b"3", flags=0x80)}
    assert {path: content for path, (_, content) in read(iso(unfinished))[0].items() if path != "."} == {
        "x": b"1",
        "y": b"2",
        "z": b"3",
    }


def test_the_parts_of_one_file_are_counted(monkeypatch):
    monkeypatch.setattr(iso9660, "_EXTENTS", 1)
    data = bytearray(iso({"x": Node(b"1", flags=0x80), "y": Node(b"2", flags=0x80)}))
    at = data.index(b"Y;1")
    data[at : at + 1] = b"X"
    with pytest.raises(LimitError, match="a file has more than 1 parts"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node(b"x", offset=b"\1\1"), "it is interleaved"),
        (Node(b"x", use=named(b"x") + field(b"ZF", bytes(12))), "it is compressed by zisofs"),
        (Node(b"x", use=named(b"x") + field(b"SF", bytes(12))), "it is sparse"),
    ],
)
def test_content_that_is_stored_in_odd_ways_is_reported(node, reason):
    files, problems = read(iso({"x": node}))
    assert files["x"][0].read is None
    assert problems == [f"x: the content is not read: {reason}"]


def test_content_behind_the_end_is_reported_and_given_as_far_as_it_is_there():
    files, problems = read(iso({"x": Node(b"abc", size=10_000)}))
    assert files["x"][1] == b"abc".ljust(SECTOR, b"\0")
    assert problems == ["x: the content ends at byte 53008, behind the end of the image at byte 45056"]


def test_associated_files_are_left_out():
    assert list(read(iso({"x": Node(b"resource", flags=4)}))[0]) == ["."]


def test_a_damaged_directory_is_reported_and_the_others_are_read():
    data = bytearray(iso({"a/x": b"1", "b/y": b"2"}))
    data[21 * SECTOR] = 20
    files, problems = read(bytes(data))
    assert sorted(files) == [".", "a", "b", "b/y"]
    assert problems == ["a: a directory record at byte 43008 has 20 bytes"]
    data[21 * SECTOR : 21 * SECTOR + 34] = record(b"\0", 21, SECTOR)[:32] + b"\xff\0"
    assert read(bytes(data))[1] == ["a: a directory record is too short for its name"]


def test_a_directory_behind_the_end_and_one_too_large_are_reported():
    files, problems = read(iso({"far": Node(mode=0o040755, sector=10**6)}))
    assert list(files) == [".", "far"]
    assert problems == ["far: the directory breaks off at byte 2048000000"]
    data = iso({"big": Node(mode=0o040755, size=2**31)})
    assert read(data)[1] == [f"big: a directory of {2**31} bytes at byte 43008, more than {64 << 20}"]


def test_an_image_without_its_descriptor_is_damaged():
    data = bytearray(iso(NODES))
    data[16 * SECTOR] = 3
    with pytest.raises(DamagedError, match="no primary volume descriptor"):
        read(bytes(data))
    data = bytearray(iso(NODES))
    data[16 * SECTOR + 128] = 7
    with pytest.raises(DamagedError, match="blocks of 2055 bytes"):
        read(bytes(data))
    assert iso9660.sniff(MemorySource(bytes(data))) == "ISO 9660"
    assert iso9660.sniff(MemorySource(bytes(9 * SECTOR))) is None


def boot(*entries, sections=b""):
    """A boot record and its catalog in sector 22, right behind the root directory and one file's sector."""
    catalog = b"\x01\0" + bytes(28) + b"\x55\xaa" + b"".join(entries[:1]) + sections + b"".join(entries[1:])
    descriptor = b"\0CD001\1" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", 21)
    return iso({"catalog": catalog, "image": b"boot image".ljust(SECTOR, b"\0")}, extra=(descriptor,))


def image_entry(media=0, count=4, sector=22, bootable=0x88):
    return struct.pack("<BBHBBHI", bootable, media, 0, 0, 0, count, sector).ljust(32, b"\0")


def layers(data):
    return [item for item in iso9660.entries(MemorySource(data), tree()) if isinstance(item, Layer)]


def test_boot_images_that_hold_a_file_system_are_layers():
    efi = b"\x91\xef\1\0".ljust(32, b"\0")
    both_kinds = boot(image_entry(), image_entry(count=0), sections=efi)
    assert [(layer.label, layer.optional) for layer in layers(both_kinds)] == [("[El Torito EFI]", True)]
    content = layers(both_kinds)[0].content
    assert content.pread(0, 10) == b"boot image"
    assert content.size == SECTOR
    assert layers(boot(image_entry(), image_entry(count=5), sections=efi))[0].content.size == SECTOR
    assert [layer.label for layer in layers(boot(image_entry(media=2)))] == ["[El Torito BIOS]"]


def test_a_boot_sector_without_emulation_is_no_layer_nor_is_an_image_that_does_not_boot():
    assert layers(boot(image_entry())) == []
    assert layers(boot(image_entry(bootable=0, media=2))) == []
    found_ = iso9660.volume(MemorySource(boot(image_entry())))
    assert [tuple(one) for one in iso9660.boot_images(MemorySource(boot(image_entry())), found_)] == [
        (0, 0, 22 * SECTOR, SECTOR)
    ]


def test_a_catalog_behind_the_end_lists_nothing():
    data = bytearray(boot(image_entry(media=2)))
    data[17 * SECTOR + 71 : 17 * SECTOR + 75] = b"\xff\xff\xff\x7f"
    assert layers(bytes(data)) == []


def test_damage_at_any_byte_is_reported():
    data = iso(NODES)
    for end in range(16 * SECTOR + 6, len(data) - SECTOR, 331):
        try:
            _, problems = read(data[:end])
        except DamagedError:
            continue
        assert problems


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_bent_images_give_entries_or_damage(seed, count):
    data = bytearray(iso(NODES | {"l": Node(use=link((0, b"a"))), "m": Node(use=named(b"m") + field(b"CL", both(21)))}))
    chance = random.Random(seed)
    for _ in range(count):
        data[chance.choice((16, 20, 21, 22, 23, 24)) * SECTOR + chance.randrange(900)] = chance.randrange(256)
    try:
        found(iso9660.entries(MemorySource(bytes(data)), tree(entries=5000)))
    except DamagedError:
        return


def make_root(root):
    (root / "etc").mkdir(parents=True)
    (root / "etc/shadow").write_bytes(random.Random(1).randbytes(70_001))
    (root / "etc/shadow").chmod(0o640)
    (root / "bin").mkdir()
    (root / "bin/su").write_bytes(b"su")
    (root / "bin/su").chmod(0o4755)
    (root / "etc/link").symlink_to("../bin/./su")
    (root / ("long-" * 40)).write_bytes(b"a long name")
    (root / "far").symlink_to("x/" * 40 + "y")
    (root / "/".join("abcdefghij")).mkdir(parents=True)
    (root / "/".join("abcdefghij") / "deep").write_bytes(b"deep down")
    os.mkfifo(root / "fifo")


@needs("genisoimage")
@pytest.mark.parametrize("options", [("-l", "-J", "-R", "-joliet-long"), ("-R",)])
def test_what_genisoimage_writes_is_read_as_it_was(tmp_path, options):
    check(tmp_path, "genisoimage", "-quiet", *options)


@needs("xorriso")
def test_what_xorriso_writes_is_read_as_it_was(tmp_path):
    check(tmp_path, "xorriso", "-as", "mkisofs", "-quiet", "-R")


def check(tmp_path, *command):
    root = tmp_path / "root"
    make_root(root)
    run(*command, "-o", str(tmp_path / "image.iso"), str(root))
    files, problems = read((tmp_path / "image.iso").read_bytes())
    assert problems == []
    expected = {str(path.relative_to(root)): path for path in root.rglob("*")}
    assert set(files) - {".", "rr_moved"} == set(expected)
    for name, path in expected.items():
        file, content = files[name]
        assert file.mode == path.lstat().st_mode & 0o7777
        if path.is_symlink():
            assert file.target == os.readlink(path)
        elif path.is_file():
            assert hashlib.sha256(content).digest() == hashlib.sha256(path.read_bytes()).digest()


@needs("xorriso", "genisoimage")
def test_the_list_is_that_of_xorriso_itself(tmp_path):
    root = tmp_path / "root"
    make_root(root)
    path = tmp_path / "image.iso"
    run("genisoimage", "-quiet", "-J", "-R", "-o", str(path), str(root))
    listed = run("xorriso", "-indev", str(path), "-find", "/", "-exec", "lsdl").decode()
    modes = {}
    for line in listed.splitlines():
        mode, _, rest = line.partition(" ")
        modes[rest.partition("'")[2].partition("'")[0].lstrip("/") or "."] = mode
    files, _ = read(path.read_bytes())
    assert set(modes) == set(files)
    assert modes["bin/su"] == "-rwsr-xr-x"
    assert {name for name, mode in modes.items() if mode[0] == "d"} == {
        name for name, (file, _) in files.items() if file.kind == "dir"
    }


@needs("genisoimage")
@pytest.mark.parametrize(("options", "kind"), [(("-J",), "Joliet"), ((), "plain")])
def test_images_without_rock_ridge(tmp_path, options, kind):
    root = tmp_path / "root"
    (root / "Etc").mkdir(parents=True)
    (root / "Etc/Shadow.txt").write_bytes(b"x")
    run("genisoimage", "-quiet", *options, "-o", str(tmp_path / "image.iso"), str(root))
    data = (tmp_path / "image.iso").read_bytes()
    assert iso9660.sniff(MemorySource(data)) == f"ISO 9660 ({kind})"
    assert ("Etc/Shadow.txt" if kind == "Joliet" else "etc/shadow.txt") in read(data)[0]
