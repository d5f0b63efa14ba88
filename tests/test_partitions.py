"""Disks with partitions, made here byte by byte: where each one lies, and what a damaged table still tells."""

import struct
import zlib

import pytest
from imagelab import tree

from lkscan.scanner.partitions import Partition, entries, gpt, mbr, sniff
from lkscan.scanner.source import DamagedError, MemorySource
from lkscan.scanner.tree import Layer

SECTORS = 64
"""Of a small disk."""


def disk(parts, size=SECTORS, sector=512):
    """A disk of zeros with bytes at some sectors."""
    data = bytearray(size * sector)
    for number, part in parts.items():
        data[number * sector : number * sector + len(part)] = part
    return MemorySource(bytes(data))


def header(table, *, own=1, backup=SECTORS - 1, place=2, count=4, width=128, length=92):
    """A header of a GPT, with its sum."""
    head = struct.pack(
        "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, length, 0, 0, own, backup, 6, 60, b"id", place, count, width,
        zlib.crc32(table),
    )  # fmt: skip
    return head[:16] + struct.pack("<I", zlib.crc32(head.ljust(length, b"\0")[:length])) + head[20:]


def row(first, last, name=""):
    return struct.pack("<16s16sQQQ", b"type", b"id", first, last, 0) + name.encode("utf-16-le").ljust(72, b"\0")


ROWS = row(8, 8, "one") + bytes(128) + row(10, 13, "a name of 36 characters, all of it..") + row(20, 19)
PARTS = [
    Partition(1, 8 * 512, 512, "one"),
    Partition(3, 10 * 512, 4 * 512, "a name of 36 characters, all of it.."),
    Partition(4, 20 * 512, 0, ""),
]


def told(found):
    parts, problems = [], []
    for one in found:
        (parts if isinstance(one, Partition) else problems).append(one)
    return parts, [one.message for one in problems]


def test_a_gpt_tells_where_each_partition_begins_and_ends():
    source = disk({1: header(ROWS), 2: ROWS})
    assert sniff(source) == "GPT"
    assert told(gpt(source, tree())) == (PARTS, [])
    large = disk({1: header(ROWS), 2: ROWS}, sector=4096)
    assert sniff(large) == "GPT"
    parts, problems = told(gpt(large, tree()))
    assert [(one.start, one.length) for one in parts] == [(8 * 4096, 4096), (10 * 4096, 4 * 4096), (20 * 4096, 0)]
    assert problems == []


def test_entries_may_be_wider_than_they_need_to_be():
    wide = b"".join(ROWS[at : at + 128].ljust(256, b"\xff") for at in range(0, 512, 128))
    assert told(gpt(disk({1: header(wide, width=256), 2: wide}), tree())) == (PARTS, [])


@pytest.mark.parametrize(
    ("primary", "why"),
    [
        (header(ROWS)[:16] + bytes(4) + header(ROWS)[20:], "the GPT header at byte 512 is damaged: its sum is wrong"),
        (header(ROWS, length=91), "the GPT header at byte 512 is damaged: its sum is wrong"),
        (header(ROWS, length=513), "the GPT header at byte 512 is damaged: its sum is wrong"),
        (header(ROWS + b"x"), "the partition table at byte 1024 is damaged: its sum is wrong"),
        (header(ROWS, count=1025), "the GPT at byte 512 has 1025 entries of 128 bytes"),
        (header(ROWS, width=127), "the GPT at byte 512 has 4 entries of 127 bytes"),
        (header(ROWS, width=4097), "the GPT at byte 512 has 4 entries of 4097 bytes"),
        (b"", "it is not there"),
    ],
)
def test_a_backup_stands_in_for_a_damaged_table_and_that_is_said(primary, why):
    last = SECTORS - 1
    source = disk({1: primary, 2: ROWS, 40: ROWS, last: header(ROWS, own=last, backup=1, place=40)})
    parts, problems = told(gpt(source, tree()))
    assert parts == PARTS
    assert problems == [f"the primary partition table is not used ({why}); its backup is"]


def test_without_any_table_the_disk_is_damaged():
    with pytest.raises(DamagedError, match="the disk has no GPT where one must be"):
        list(gpt(disk({}), tree()))
    with pytest.raises(DamagedError, match="the GPT header at byte 512 is damaged"):
        list(gpt(disk({1: b"EFI PART"}), tree()))


@pytest.mark.parametrize(("backup", "problems"), [(SECTORS - 1, 0), (SECTORS, 1), (SECTORS - 2, 0)])
def test_a_disk_that_ends_before_its_backup_header_is_cut(backup, problems):
    _, said = told(gpt(disk({1: header(ROWS, backup=backup), 2: ROWS}), tree()))
    assert said == [f"the disk ends at byte {SECTORS * 512}, before its end at byte {(backup + 1) * 512}"] * problems


def record(*rows, mark=b"\x55\xaa"):
    """A boot record: rows of a status, a type, the first sector and the number of sectors."""
    table = b"".join(struct.pack("<B3xB3xII", *one) for one in rows)
    return bytes(446) + table.ljust(64, b"\0") + mark


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (record((0, 0x83, 8, 4)), "MBR"),
        (record((0x80, 0x83, 8, 4)), "MBR"),
        (record((1, 0x83, 8, 4)), None),
        (record((0, 0, 8, 4)), None),
        (record((0, 0x83, 8, 0)), None),
        (record((0, 0x83, 8, 4), (7, 0, 0, 0)), None),
        (record((0, 0xEE, 1, 4)), "GPT"),
        (record((0, 0x83, 8, 4), mark=b"\x55\xab"), None),
        (b"", None),
    ],
)
def test_an_mbr_is_told_by_its_mark_and_its_rows(data, kind):
    assert sniff(disk({0: data})) == kind


def test_logical_partitions_count_from_five_and_from_their_own_record():
    first = record((0, 0x83, 8, 4), (0, 0x0F, 20, 30), (0, 0, 0, 0), (0, 0x0C, 16, 2))
    chain = {20: record((0, 0x83, 2, 3), (0, 0x05, 8, 9)), 28: record((0, 0x82, 1, 5))}
    parts, problems = told(mbr(disk({0: first, **chain}), tree()))
    wanted = {1: (8, 4), 5: (22, 3), 6: (29, 5), 4: (16, 2)}
    assert [(one.number, one.start, one.length) for one in parts] == [
        (number, start * 512, length * 512) for number, (start, length) in wanted.items()
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("following", "problem"),
    [
        (record((0, 0x83, 1, 1), (0, 0x05, 0, 9)), "the boot record at byte 10240 comes twice in the chain"),
        (record((0, 0x83, 1, 1), (0, 0x05, 8, 9)), "the boot record at byte 14336 comes twice in the chain"),
        (b"", "there is no boot record at byte 14336; not followed"),
    ],
)
def test_a_chain_that_leads_nowhere_or_in_a_circle_ends(following, problem):
    first, second = record((0, 0x05, 20, 30)), record((0, 0x83, 1, 1), (0, 0x05, 8, 9))
    _, problems = told(mbr(disk({0: first, 20: second, 28: following}), tree()))
    assert problems == [problem]


@pytest.mark.parametrize(
    ("parts", "layers", "problems"),
    [
        ([(8, 4)], [(8, 4)], []),
        ([(8, 56)], [(8, 56)], []),
        ([(8, 57)], [(8, 56)], ["the partition ends at byte 33280, behind the end of the disk at byte 32768"]),
        ([(8, 4), (8, 2)], [(8, 4)], ["it begins where partition 1 does; not read"]),
        ([(0, 4)], [], ["it holds the partition table; not read"]),
        ([(30, 4)], [], []),
        ([(64, 1)], [], ["the partition ends at byte 33280, behind the end of the disk at byte 32768"]),
    ],
)
def test_what_holds_something_is_handed_on_as_far_as_the_disk_goes(parts, layers, problems):
    source = disk({0: record(*((0, 0x83, *one) for one in parts)), 8: b"content"})
    found = list(entries(source, tree()))
    got = [one.content for one in found if isinstance(one, Layer)]
    assert [one.size for one in got] == [length * 512 for _, length in layers]
    assert all(one.pread(0, 7) == b"content" for one in got)
    assert [one.message for one in found if not isinstance(one, Layer)] == problems
