"""Programs that the firmware starts: headers bit by bit, and Debian's own, signed ones."""

import json
import struct
import sys
from pathlib import Path

import debianlab
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagelab import Item, newc, of, subjects
from rulelab import file, fires, outcomes

from lkscan.cli import main
from lkscan.rules.efi import (
    broken_efi_signature,
    signed_efi_program_without_sbat,
    unprotected_efi_memory,
    unsigned_efi_program,
)
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.scanner import authenticode, pe
from lkscan.scanner.source import DamagedError
from lkscan.scanner.subjects import EfiProgram, Kernel, Problem, System

CODE, DATA, BOTH = 0x60000020, 0xC0000040, 0xE0000020


def program(
    sections=((b".text", 0x1000, CODE),), *, alignment=4096, nx=True, certificates=b"", subsystem=10, magic=0x20B
):
    """A PE file with these sections (name, address, flags), each with its name for content."""
    directories = {0x20B: 112, 0x10B: 96}[magic]
    optional = bytearray(directories + 16 * 8)
    struct.pack_into("<H", optional, 0, magic)
    struct.pack_into("<II", optional, 32, alignment, 512)
    struct.pack_into("<HH", optional, 68, subsystem, 0x100 if nx else 0)
    start = 64 + 24 + len(optional) + 40 * len(sections)
    body, table = b"", b""
    for name, address, flags, *content in sections:
        data = content[0] if content else name
        table += struct.pack("<8sIIIIIIHHI", name, len(data), address, len(data), start + len(body), 0, 0, 0, 0, flags)
        body += data
    if certificates:
        struct.pack_into("<II", optional, directories + 32, start + len(body), len(certificates))
    head = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, len(optional), 0x22E)
    return head + coff + bytes(optional) + table + body + certificates


def read(data):
    found = pe.read(file("EFI/BOOT/BOOTX64.EFI", data), data)
    assert isinstance(found, EfiProgram)
    return found


def test_headers_are_told_as_they_are():
    sections = ((b".text", 0x1000, CODE), (b".data", 0x2200, DATA), (b".both", 0x3000, BOTH))
    found = read(program((*sections, (b".sbat", 0x4000, DATA, b"sbat,1,SBAT\nmine,2,me\n\n")), nx=False))
    assert (found.machine, found.subsystem, found.alignment, found.nx) == ("x86_64", "application", 4096, False)
    assert (found.writable_code, found.misaligned) == ((".both",), (".data",))
    assert found.sbat == ("sbat,1", "mine,2")
    assert (found.certificates, found.signature) == (0, "none")


@pytest.mark.parametrize("magic", [0x10B, 0x20B])
def test_certificates_are_counted_where_the_headers_say(magic):
    one = struct.pack("<IHH", 13, 0x200, 2) + b"12345\0\0\0"
    assert read(program(certificates=one * 2, magic=magic)).certificates == 2
    assert read(program(certificates=struct.pack("<IHH", 0, 0x200, 2))).certificates == 0


@pytest.mark.parametrize(
    "data", [b"", b"MZ", b"MZ" + bytes(100), program(subsystem=3), b"MZ" + bytes(58) + b"\xff" * 4]
)
def test_what_the_firmware_does_not_start_is_left_alone(data):
    assert pe.read(file("it", data), data) is None
    assert not pe.is_efi(data)


DAMAGED = {
    "too many sections": (program(((b".text", 0x1000, CODE),) * 97), "97 sections"),
    "sections cut off": (program()[: 64 + 24 + 240 + 20], "breaks off"),
    "an optional header cut off": (program()[: 64 + 24 + 60], "of no known kind, or cut off"),
    "certificates beyond the end": (program(certificates=bytes(16))[:-8], "certificates end at byte"),
}


@pytest.mark.parametrize("title", DAMAGED)
def test_damage_is_named(title):
    data, message = DAMAGED[title]
    with pytest.raises(DamagedError, match=message):
        pe.read(file("it", data), data)


@given(st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=8))))
def test_bent_headers_are_read_or_damaged_and_nothing_else(patches):
    data = bytearray(program(certificates=struct.pack("<IHH", 8, 0x200, 2)))
    for at, value in patches:
        data[at : at + len(value)] = value
    try:
        pe.read(file("it", bytes(data)), bytes(data))
    except DamagedError:
        return


# --- rules

GOOD = EfiProgram(
    file("EFI/BOOT/BOOTX64.EFI"), "x86_64", "application", 4096, (), (), nx=True, sbat=("a,1",), certificates=1
)
FINE = GOOD._replace(signature="matches")
MEMORY = [
    (FINE, None, None),
    (FINE._replace(nx=False), "unclaimed", Profile.PEDANTIC),
    (FINE._replace(nx=False, alignment=512), "default", Profile.PEDANTIC),
    (FINE._replace(nx=False, misaligned=(".data",)), "default", Profile.PEDANTIC),
    (FINE._replace(nx=False, writable_code=(".text",)), "writable", Profile.REGULAR),
    (FINE._replace(alignment=512), "claim", Profile.REGULAR),
    (FINE._replace(writable_code=(".text",)), "claim", Profile.REGULAR),
]


@pytest.mark.parametrize(("subject", "variant", "profile"), MEMORY)
def test_memory_that_cannot_be_protected(subject, variant, profile):
    found = fires(unprotected_efi_memory, subject)
    assert (found[0].variant, found[0].profile) == (variant, profile) if variant else not found


def test_a_claim_that_is_false_says_why():
    (found,) = fires(unprotected_efi_memory, FINE._replace(alignment=512, misaligned=(".data",)))
    assert "'SectionAlignment 512, .data starts within a page'" in found.message
    assert found.severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("signature", "outcome"),
    [("matches", Outcome.PASS), ("broken", Outcome.FAIL), ("unread", Outcome.UNDECIDED)],
)
def test_signatures_have_three_fates(signature, outcome):
    assert outcomes(broken_efi_signature, GOOD._replace(signature=signature)) == {outcome}


@pytest.mark.parametrize("rule", [signed_efi_program_without_sbat, unsigned_efi_program])
def test_the_kernel_in_a_unified_image_is_signed_with_it(rule):
    inner = GOOD._replace(file=file(".linux"), certificates=0, sbat=None)
    assert outcomes(rule, inner) == {Outcome.NOT_APPLICABLE}


# --- real ones

INSTALLER = "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"
STUB = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    folder = debianlab.unpack("debian-installer-12-netboot-amd64", tmp_path_factory.mktemp("shim"))
    return (folder / INSTALLER / "bootnetx64.efi").read_bytes()


def test_a_signature_of_these_bytes_is_told_from_one_of_others(shim):
    pytest.importorskip("lief")
    signature, signers = authenticode.check(shim)
    assert signature == "matches"
    assert any("Microsoft" in one for one in signers)
    assert authenticode.check(shim[:0x2000] + b"\xcc" + shim[0x2001:])[0] == "broken"
    assert authenticode.check(b"MZ")[0] == "unread"


def test_without_lief_signatures_are_counted_and_not_read(shim, monkeypatch):
    monkeypatch.setitem(sys.modules, "lief", None)
    assert authenticode.check(shim) == ("unread", ())
    assert read(shim).certificates == 2


def test_an_image_tells_of_its_boot_loader_once(shim, tmp_path):
    items = subjects(tmp_path, newc(Item("EFI/BOOT/BOOTX64.EFI", shim), Item("EFI/BOOT/x", b"MZ" + bytes(90))))
    (found,) = of(items, EfiProgram)
    assert (found.file.path, found.certificates, found.sbat) == (
        "EFI/BOOT/BOOTX64.EFI",
        2,
        ("sbat,1", "shim,4", "shim.debian,1"),
    )
    assert of(items, Problem) == []


@pytest.mark.skipif(not STUB.exists(), reason="needs systemd-boot-efi")
def test_a_program_that_is_named_is_an_input_by_itself(tmp_path):
    items = subjects(tmp_path, STUB.read_bytes(), "bootx64.efi")
    assert [type(one) for one in items[-2:]] == [EfiProgram, System]
    assert items[-2].alignment == 512


def test_a_kernel_is_a_program_of_the_firmware_too(tmp_path):
    folder = debianlab.unpack("linux-image-6*-amd64", tmp_path)
    (path,) = (folder / "boot").glob("vmlinuz-*")
    items = subjects(tmp_path, path.read_bytes(), "vmlinuz")
    (found,) = of(items, EfiProgram)
    assert (found.certificates, found.nx, found.alignment) == (1, True, 4096)
    assert of(items, Kernel)


def test_inspect_tells_of_it(tmp_path, capsys):
    (tmp_path / "bootx64.efi").write_bytes(program(alignment=512, certificates=struct.pack("<IHH", 8, 0x200, 2)))
    assert main(["inspect", "--format", "json", str(tmp_path / "bootx64.efi")]) == 0
    (loader,) = json.loads(capsys.readouterr().out)[0]["efi"]
    assert (loader["alignment"], loader["certificates"], loader["signature"]) == (512, 1, "unread")
    assert main(["inspect", str(tmp_path / "bootx64.efi")]) == 0
    assert "EFI application bootx64.efi: x86_64, alignment 512, signature unread" in capsys.readouterr().out
