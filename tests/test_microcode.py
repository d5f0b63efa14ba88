"""Microcode in front of an initrd: what is read of it, and what is judged by its dates."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagelab import Item, newc, of, subjects
from rulelab import file, fires, outcomes

from lkscan.rules import kernel, tables
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.microcode import Update, amd, intel, old_microcode
from lkscan.scanner.subjects import File

INTEL, AMD = "kernel/x86/microcode/GenuineIntel.bin", "kernel/x86/microcode/AuthenticAMD.bin"


@pytest.fixture(autouse=True)
def _the_date():
    kernel.set_today("2026-11-23")
    yield
    kernel.set_today(None)


def day(date):
    """0xMMDDYYYY, as both makers write it."""
    return int(date[5:7] + date[8:] + date[:4], 16)


def intel_update(date, signature=0x906EA, size=2048):
    """An update as Intel's files have them; `size` 0 stands for 2048 bytes."""
    return struct.pack("<9I", 1, 0xF0, day(date), signature, 0, 1, 2, 2000, size).ljust(size or 2048, b"\0")


def amd_container(*dates, table=32):
    """A table of models, then a patch for each date."""
    out = struct.pack("<III", 0x00414D44, 0, table) + bytes(table)
    for number, date in enumerate(dates):
        patch = struct.pack("<II", day(date), 0x0A500000 + number).ljust(64, b"\0")
        out += struct.pack("<II", 1, len(patch)) + patch
    return out


def test_intels_updates_stand_one_behind_the_other():
    data = intel_update("2021-04-25", 1) + intel_update("2020-01-02", 2, size=0) + intel_update("2019-10-03", 3, 4096)
    assert list(intel(data + bytes(100))) == [
        Update(1, "2021-04-25"),
        Update(2, "2020-01-02"),
        Update(3, "2019-10-03"),
    ]


def test_amds_patches_stand_in_containers():
    data = amd_container("2023-07-19", "2022-03-09") + amd_container("2024-01-01")
    assert [one.date for one in amd(data)] == ["2023-07-19", "2022-03-09", "2024-01-01"]
    assert [one.date for one in amd(amd_container("2023-07-19", table=36))] == ["2023-07-19"]
    assert [one.date for one in amd(data[:-70])] == ["2023-07-19", "2022-03-09"]


@given(st.binary(max_size=300), st.sampled_from([b"", intel_update("2021-04-25"), amd_container("2021-04-25")]))
def test_any_bytes_are_read_and_end(data, start):
    for path in (INTEL, AMD):
        for finding in old_microcode(file(path, start + data)):
            assert finding.message


def whole_set(date):
    return file(INTEL, b"".join(intel_update(date, one) for one in range(60)))


def test_what_lacks_releases_of_long_ago_is_told_of_with_their_number():
    (finding,) = fires(old_microcode, whole_set("2021-04-25"))
    assert finding.arguments[1:] == ("2021-04-25", "21")
    assert finding.evidence == (
        "60 updates for 60 models, the newest of 2021-04-25",
        "the first release that has newer updates is of 2022-02-07 (table of 2025-11-11)",
        "compared with 2026-11-23",
    )


@pytest.mark.parametrize(
    ("date", "today", "expected"),
    [
        ("2021-04-25", "2021-12-31", Outcome.PASS),
        ("2021-04-25", "2022-03-01", Outcome.PASS),
        ("2021-04-25", "2022-09-01", Outcome.FAIL),
        ("2025-10-12", "2030-01-01", Outcome.PASS),
        ("2027-01-01", "2030-01-01", Outcome.PASS),
    ],
)
def test_a_release_that_is_missing_counts_once_it_has_been_out_for_long(date, today, expected):
    kernel.set_today(today)
    assert outcomes(old_microcode, whole_set(date)) == {expected}


def test_microcode_for_some_machines_only_is_not_judged():
    assert outcomes(old_microcode, file(INTEL, intel_update("2018-01-01"))) == {Outcome.UNDECIDED}
    assert outcomes(old_microcode, file(INTEL, intel_update("2025-10-12"))) == {Outcome.PASS}


def test_amds_is_told_of_for_auditors():
    (finding,) = fires(old_microcode, file(AMD, amd_container("2022-03-09", "2023-07-19")))
    assert (finding.severity, finding.profile) == (Severity.NOTE, Profile.AUDITOR)
    assert "2023-07-19" in finding.message


@pytest.mark.parametrize("content", [None, b"", b"no microcode", intel_update("2021-99-99")])
def test_what_cannot_be_read_is_undecided(content):
    assert outcomes(old_microcode, file(INTEL, content)) == {Outcome.UNDECIDED}


def test_only_what_the_kernel_loads_first_is_asked():
    assert outcomes(old_microcode, file("lib/firmware/intel-ucode/06-9e-0a", b"")) == {Outcome.NOT_APPLICABLE}


def test_it_is_found_in_front_of_an_initrd(tmp_path):
    front = newc(Item(INTEL, intel_update("2021-04-25")))
    items = subjects(tmp_path, front + bytes(-len(front) % 512) + newc(Item("etc/motd")), "initrd.img")
    assert [item.path for item in of(items, File)] == [INTEL, "etc/motd"]


def test_the_table_of_intels_releases_is_well_formed():
    table = tables.load("microcode")
    assert list(table["intel"]) == sorted(table["intel"], reverse=True)
    for published, newest in table["intel"].items():
        assert newest < published <= table["as_of"]
        assert kernel.days_between(newest, published) < 180


@pytest.mark.parametrize(("length", "count"), [(35, 0), (36, 1), (2048, 1), (2083, 1), (2084, 2)])
def test_an_update_of_intels_counts_once_its_header_is_there(length, count):
    data = intel_update("2021-04-25", 1) + intel_update("2020-01-02", 2)
    assert len(list(intel(data[:length]))) == count


@pytest.mark.parametrize(
    ("length", "count"), [(7, 0), (11, 0), (44, 0), (59, 0), (60, 1), (116, 1), (131, 1), (132, 2)]
)
def test_a_patch_of_amds_counts_once_its_date_and_number_are_there(length, count):
    data = amd_container("2021-04-25", "2020-01-02")
    assert len(list(amd(data[:length]))) == count


@pytest.mark.parametrize(
    ("number", "date"),
    [
        (0x01012021, "2021-01-01"),
        (0x12312021, "2021-12-31"),
        (0x01002021, ""),
        (0x13012021, ""),
        (0x00312021, ""),
        (0x1A012021, ""),
        (0, ""),
    ],
)
def test_what_is_no_date_is_none(number, date):
    update = struct.pack("<9I", 1, 0xF0, number, 7, 0, 1, 2, 2000, 2048)
    assert [one.date for one in intel(update)] == [date]
