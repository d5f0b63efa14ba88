"""Layers: what is recognised and in which order, streams of several archives, nesting, and what is said of damage."""

import gzip
import io
import lzma
import random
import struct
import tarfile

import lz4.block
import pytest
from imagelab import SECTOR, Item, Node, iso, newc, of, paths, stream

from lkscan.scanner import compression, peel, unread
from lkscan.scanner.source import Budget, DamagedError, Limits, MemorySource
from lkscan.scanner.stream import over
from lkscan.scanner.subjects import Place, Problem

INNER = newc(Item("etc", mode=0o040755), Item("etc/shadow", b"root::0\n"))
MICROCODE = newc(Item("kernel/x86/microcode/GenuineIntel.bin", b"\1" * 99))


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def peeled(data, *, random_access=True, **limits):
    peeler = peel.Peeler(Limits(**limits))
    subject = over(MemorySource(data), Budget(Limits()), "it") if random_access else stream(data)
    return list(peeler.peel(subject, Place(("image",)))), peeler


def messages(items):
    return [f"{item.place}: {item.message}" for item in of(items, Problem)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, lambda data: gzip.compress(lzma.compress(data))])
@pytest.mark.parametrize("random_access", [True, False])
def test_archives_are_found_under_any_compression(pack, random_access):
    items, peeler = peeled(pack(INNER), random_access=random_access)
    assert paths(items) == ["etc", "etc/shadow"]
    assert messages(items) == []
    assert [chain[-1] for chain in peeler.chains if len(chain) == max(map(len, peeler.chains))] == ["cpio"]
    assert items[1].place.artifacts == ("image", "etc/shadow")


def test_an_initrd_may_be_several_archives_with_zeros_between_them():
    data = MICROCODE + bytes(512) + gzip.compress(INNER) + bytes(7) + lzma.compress(newc(Item("third")))
    for random_access in (True, False):
        items, peeler = peeled(data, random_access=random_access)
        assert paths(items) == ["kernel/x86/microcode/GenuineIntel.bin", "etc", "etc/shadow", "third"]
        assert messages(items) == []
        assert list(peeler.chains) == [("cpio",), ("gzip",), ("gzip", "cpio"), ("xz",), ("xz", "cpio")]


def test_what_follows_and_is_unknown_is_reported():
    items, _ = peeled(INNER + b"something else")
    assert paths(items) == ["etc", "etc/shadow"]
    assert messages(items) == [f"image: what stands at byte {len(INNER)} in it is in no known format"]


def test_an_initrd_inside_an_image_is_peeled_where_it_stands():
    nodes = {"boot/initrd.img": gzip.compress(INNER), "z": b""}
    for outer, expected in (
        (iso(nodes), [".", "boot", "z", "boot/initrd.img", "etc", "etc/shadow"]),
        (tar(*nodes.items()), ["boot/initrd.img", "etc", "etc/shadow", "z"]),
    ):
        items, _ = peeled(outer)
        assert paths(items) == expected
        nested = next(item for item in items if item.path == "etc/shadow")
        assert nested.place.artifacts == ("image", "boot/initrd.img", "etc/shadow")


def test_an_iso_inside_a_stream_is_held_in_memory_up_to_a_limit():
    data = gzip.compress(iso({"etc/shadow": b"root::0\n"}))
    items, peeler = peeled(data, random_access=False)
    assert paths(items) == [".", "etc", "etc/shadow"]
    assert ("gzip", "ISO 9660 (Rock Ridge)") in peeler.chains
    items, _ = peeled(data, random_access=False, body=SECTOR)
    assert messages(items) == [
        "image: needs random access and holds more than 2048 bytes (limit: body); it is not read further"
    ]


def test_an_iso_inside_a_gzip_file_that_is_more_than_may_be_held_is_read_again():
    data = gzip.compress(iso({"etc/shadow": b"root::0\n"}))
    items, _ = peeled(data, body=SECTOR)
    assert paths(items) == [".", "etc", "etc/shadow"]
    assert not messages(items)


@pytest.mark.parametrize("sparse", [False, True], ids=["plain", "sparse"])
def test_a_disk_in_a_tar_gz_that_is_more_than_may_be_held_is_read_again(sparse, monkeypatch):
    """As LinuxKit's output `gcp` is."""
    monkeypatch.setattr("lkscan.scanner.stream._HELD", 1)
    system = iso({"etc/shadow": b"root::0\n", "large": bytes(range(256)) * 1000})
    row = struct.pack("<B3xB3xII", 0, 0x83, 8, len(system) // 512)
    disk = bytes(446) + row + bytes(48) + b"\x55\xaa" + bytes(7 * 512) + system
    whole = tar(("disk.raw", disk))
    if sparse:
        info = tarfile.TarInfo("disk.raw")
        info.size = len(disk) - 7 * 512
        info.pax_headers = {"GNU.sparse.size": str(len(disk)), "GNU.sparse.map": f"0,512,4096,{len(system)}"}
        whole = info.tobuf(tarfile.PAX_FORMAT) + disk[:512] + system + bytes(1024)
    peeler = peel.Peeler(Limits())
    read = {}
    for item in peeler.peel(over(MemorySource(gzip.compress(whole)), peeler.budget, "it"), Place(("image",))):
        assert not isinstance(item, Problem)
        read[item.path] = item.read(1 << 20) if item.read else b""
    assert read["etc/shadow"] == b"root::0\n"
    assert read["large"] == bytes(range(256)) * 1000
    assert [layer.format for layer in peeler.layers] == ["gzip", "tar", "MBR", "ISO 9660 (Rock Ridge)"]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"a manual page"),
        gzip.compress(b""),
        b"\x1f\x8b\x08 damaged",
        lzma.compress(b"x"),
        tar(("x", b"")),
    ],
)
def test_other_files_of_a_tree_are_left_alone(content):
    items, _ = peeled(newc(Item("usr/share/some", content), Item("after")))
    assert paths(items) == ["usr/share/some", "after"]
    assert messages(items) == []


def test_a_damaged_initrd_inside_an_image_is_reported_and_the_rest_is_read():
    packed = gzip.compress(INNER)
    bad_head = packed[:12] + b"\xff" * 20
    items, _ = peeled(newc(Item("boot/initrd.img", bad_head), Item("boot/initrd2", packed[:-30]), Item("after")))
    assert paths(items)[0] == "boot/initrd.img"
    assert paths(items)[-1] == "after"
    assert len(messages(items)) == 2
    assert all("gzip data" in message and "get a whole copy" in message for message in messages(items))


def test_the_first_block_of_a_compressed_file_may_be_long():
    noise = random.Random(1).randbytes(300_000)
    data = newc(Item("noise", noise))
    block = b"\x02\x21\x4c\x18"
    packed = lz4.block.compress(data, store_size=False)
    block += len(packed).to_bytes(4, "little") + packed
    assert compression.identify(block) == "lz4-legacy"
    items, peeler = peeled(block)
    assert paths(items) == ["noise"]
    assert peeler.find(stream(block)) is not None


def test_layers_are_counted():
    data = INNER
    for _ in range(9):
        data = gzip.compress(data)
    items, peeler = peeled(data)
    assert messages(items) == [
        "image: more than 8 layers one inside the other (limit: nesting); it is not read further"
    ]
    assert peeler.find(stream(data)) is not None


def test_damage_deep_inside_says_where_and_what_to_do():
    items, _ = peeled(gzip.compress(INNER[:-60]))
    assert paths(items) == ["etc", "etc/shadow"]
    advice = "get a whole copy of it: only what stands before the damage was read"
    assert messages(items) == [f"image: the cpio archive breaks off at byte {len(INNER) - 60}; {advice}"]


def test_a_medium_that_fails_is_named_and_not_taken_for_an_unknown_format():
    def failing():
        yield INNER[:20]
        raise DamagedError("the medium is damaged")

    peeler = peel.Peeler(Limits())
    items = list(peeler.peel(peel.Stream(failing()), Place(("image",))))
    assert "the medium is damaged" in messages(items)[0]


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_what_does_not_fit_is_a_problem(monkeypatch, error):
    def fails(_stream, _tree):
        raise error
        yield

    monkeypatch.setattr(peel, "FORMATS", (peel.Format(lambda _: "cpio", fails),))
    assert messages(peeled(INNER)[0]) == ["image: it does not fit into memory; it is not read further"]


def padded(*parts):
    data = bytearray(4096)
    for offset, text in parts:
        data[offset : offset + len(text)] = text
    return bytes(data)


@pytest.mark.parametrize(("at", "magic", "name"), [*unread._AT_START, *unread._FURTHER_IN])
def test_formats_that_are_not_read_are_named_in_a_partition(at, magic, name):
    inside = (bytes(at) + magic).ljust(1 << 17, b"\0")
    row = bytes(4) + b"\x83" + bytes(3) + struct.pack("<II", 64, len(inside) // 512)
    disk = (bytes(446) + row).ljust(510, b"\0") + b"\x55\xaa"
    assert messages(peeled(disk.ljust(64 * 512, b"\0") + inside)[0]) == [
        f"image / partition 1: {name} are not read yet"
    ]


def test_a_partition_of_which_nobody_knows_the_content_is_told():
    row = bytes(4) + b"\x83" + bytes(3) + struct.pack("<II", 1, 512)
    disk = (bytes(446) + row).ljust(510, b"\0") + b"\x55\xaa" + bytes(200_000) + b"data".ljust(62656, b"\0")
    assert messages(peeled(disk)[0]) == ["image / partition 1: what stands in it is in no known format"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"sqsh" + bytes(100), "squashfs file systems of the big-endian kind"),
        (b"070707" + b"0" * 70, "cpio archives of the old kind"),
        (b"MZ" + bytes(600), "PE executables"),
        *((bytes(at) + magic + bytes(600), name) for at, magic, name in (*unread._AT_START, *unread._FURTHER_IN)),
    ],
)
def test_formats_that_are_not_read_are_named(data, name):
    found = peel.recognise(MemorySource(data))
    assert found is not None
    assert found[1] == name
    assert not found[0].is_read
    assert messages(peeled(data)[0]) == [f"image: {name} are not read yet"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        bytes(5000),
        b"services: []\n",
        padded((510, b"\x55\xaa")),
        padded((446, b"\1" * 64), (510, b"\x55\xaa")),
    ],
)
def test_other_bytes_are_nothing(data):
    assert peel.recognise(MemorySource(data)) is None


def test_an_image_for_cd_and_disk_is_a_cd():
    data = bytearray(iso({"x": b""}))
    data[446:462] = b"\x80\0\0\0\x17\0\0\0\0\0\0\0\0\x10\0\0"
    data[510:512] = b"\x55\xaa"
    assert peel.recognise(MemorySource(bytes(data)))[1] == "ISO 9660 (Rock Ridge)"


def test_a_boot_image_that_is_not_read_is_kept_for_when_it_matters():
    import test_iso9660 as lab

    data = lab.boot(lab.image_entry(media=2))
    items, peeler = peeled(data)
    assert messages(items) == []
    assert messages(peeler.deferred) == ["image / [El Torito BIOS]: what stands in it is in no known format"]
    readable = bytearray(data)
    readable[22 * SECTOR : 22 * SECTOR + len(INNER)] = INNER
    items, peeler = peeled(bytes(readable))
    assert items[-1].place.artifacts == ("image", "[El Torito BIOS]", "etc/shadow")
    assert messages(peeler.deferred) == []


def test_a_named_layer_that_is_not_optional_is_reported_at_once(monkeypatch):
    def partitions(source, _tree):
        yield peel.Layer(MemorySource(INNER), "partition 1")
        yield peel.Layer(MemorySource(b"nothing known"), "partition 2")

    disk = peel.Format(lambda source: "disk" if source.pread(0, 4) == b"DISK" else None, open_source=partitions)
    monkeypatch.setattr(peel, "FORMATS", (disk, *peel.FORMATS))
    items, peeler = peeled(b"DISK")
    assert items[1].place.artifacts == ("image", "partition 1", "etc/shadow")
    assert messages(items) == ["image / partition 2: what stands in it is in no known format"]
    assert ("disk", "cpio") in peeler.chains


def test_files_are_valid_while_they_are_at_hand():
    peeler = peel.Peeler(Limits())
    seen = {}
    for item in peeler.peel(
        over(MemorySource(iso({"a": b"1", "b": Node(b"22")})), Budget(Limits()), "it"), Place(("i",))
    ):
        if item.kind == "file":
            seen[item.path] = item.read(1)
            assert item.read(10) == item.read(11)
    assert seen == {"a": b"1", "b": b"2"}
