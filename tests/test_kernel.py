"""Kernel images of every format and compression, made by hand: what is read, and what is said when nothing can be."""

import gzip
import random
import struct

import pytest
from elflab import (
    ARM64,
    BANNER,
    CONFIG,
    PACKERS,
    STAND_IN,
    X86,
    Lab,
    bzimage,
    core,
    image,
    packed,
    relocatable,
    s390,
    vmlinux,
    zboot,
)
from hypothesis import given
from hypothesis import strategies as st
from imagelab import Item, newc, of, subjects

from lkscan.scanner import kconfig, kernel
from lkscan.scanner.source import DamagedError, LimitError
from lkscan.scanner.subjects import File, Kernel, Place, Problem

HERE = Place(("boot/kernel",))
UNKNOWN = b"?" * 40


def read(content: bytes) -> Kernel:
    return kernel.read(content, HERE)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bzimage_gives_its_configuration_byte_for_byte_whatever_compressed_it(kind):
    found = read(bzimage(packed(vmlinux(), kind)))
    assert found.config_text == CONFIG
    assert (found.config, found.config_source) == ({"A": "y"}, "IKCONFIG")
    assert (found.version, found.arch, found.format, found.compression) == ("6.12.1-lab", "x86_64", "bzImage", kind)
    assert found.banner == BANNER.decode()
    assert found.place == HERE


@pytest.mark.parametrize("kind", ["gzip", "zstd", "lz4-legacy", "xz"])
def test_an_efi_zboot_kernel_is_read_by_its_header(kind):
    found = read(zboot(image(), kind))
    assert (found.version, found.arch, found.format) == ("6.12.1-lab", "arm64", "EFI zboot")
    assert (found.compression, found.config_text) == (kind, CONFIG)


@pytest.mark.parametrize(("machine", "arch"), [(0x5064, "riscv64"), (0x6264, "loongarch64"), (1, "PE machine 0x1")])
def test_an_efi_zboot_kernel_has_the_architecture_of_its_pe_header(machine, arch):
    assert read(zboot(core(), "gzip", machine)).arch == arch


@pytest.mark.parametrize(
    ("content", "form", "arch", "compression"),
    [
        (image(), "Image", "arm64", ""),
        (gzip.compress(image()), "Image.gz", "arm64", "gzip"),
        (PACKERS["zstd"](image()), "Image.zst", "arm64", "zstd"),
        (image(b"RISCV\0\0\0", 0x30), "Image", "riscv64", ""),
        (image(b"RISCV\0\0\0", 0x30, b"CONFIG_32BIT=y\n"), "Image", "riscv32", ""),
        (vmlinux(), "vmlinux", "x86_64", ""),
        (vmlinux(machine=ARM64), "vmlinux", "arm64", ""),
        (gzip.compress(vmlinux()), "vmlinux.gz", "x86_64", "gzip"),
        (PACKERS["xz"](vmlinux()), "vmlinux.xz", "x86_64", "xz"),
    ],
)
def test_other_formats_are_read_too(content, form, arch, compression):
    found = read(content)
    assert (found.format, found.arch, found.compression) == (form, arch, compression)
    assert (found.version, found.banner, found.config_source) == ("6.12.1-lab", BANNER.decode(), "IKCONFIG")


def test_s390_gives_what_its_header_tells():
    found = read(s390())
    assert (found.version, found.arch, found.config, found.config_source) == (
        "6.12.1-lab",
        "s390x",
        None,
        "the payload is not found",
    )


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd", "bzip2"])
def test_the_payload_of_an_s390_kernel_is_found_among_what_only_looks_like_one(compression):
    noise = b"\xfd7zXZ\0 decompressor ran out of memory\0" + b"\x1f\x8b\x08\xff" * 3
    found = read(
        s390() + noise + PACKERS[compression](vmlinux() + bytes(8192)) + b"\0\x20\x40\0" + bytes(500) + b"zIPL"
    )
    assert (found.version, found.arch, found.compression) == ("6.12.1-lab", "x86_64", compression)
    assert (found.banner, found.config_source) == (BANNER.decode(), "IKCONFIG")


def test_an_s390_kernel_cut_in_its_payload_is_damaged():
    noise = random.Random(1).randbytes(20_000)
    with pytest.raises(DamagedError, match="breaks off"):
        read(s390() + PACKERS["gzip"](noise + vmlinux())[:-40])


@pytest.mark.parametrize(
    ("content", "source", "compression"),
    [
        (bzimage(packed(vmlinux(config=None), "gzip")), "no IKCONFIG in the kernel", "gzip"),
        (bzimage(UNKNOWN), "payload of an unknown compression", ""),
        (bzimage(UNKNOWN, protocol=0x207), "boot protocol before 2.08 hides the payload", ""),
    ],
)
def test_a_missing_configuration_is_explained(content, source, compression):
    found = read(content)
    assert (found.config, found.config_text, found.config_source) == (None, b"", source)
    assert (found.compression, found.version) == (compression, "6.12.1-lab")


@pytest.mark.parametrize(
    "config",
    [
        b"IKCFG_ST\x1f\x8b\x08garbage",
        b"IKCFG_ST" + gzip.compress(CONFIG),
        b"IKCFG_ST" + gzip.compress(CONFIG) + b"!IKCFG_ED",
    ],
)
def test_a_damaged_configuration_is_not_taken_for_one(config):
    found = read(image(config=None) + config)
    assert found.config is None
    assert "is damaged" in found.config_source


def test_a_look_alike_before_the_configuration_does_not_hide_it():
    decoy = b"IKCFG_ST\x1f\x8b\x08 is what to look for"
    assert read(image(config=None) + decoy + core()).config == {"A": "y"}


def test_only_so_many_look_alikes_are_looked_at():
    assert read(image(config=None) + b"IKCFG_ST\x1f\x8b\x08 " * 100 + core()).config is None


def test_the_release_comes_from_the_banner_when_the_header_has_none():
    assert read(bzimage(packed(vmlinux(), "gzip"), release=b"")).version == "6.12.1-lab"


def test_a_debian_kernel_keeps_its_release_and_the_true_version_in_the_banner():
    banner = b"Linux version 6.1.0-56-amd64 (a@b) (gcc) #1 SMP Debian 6.1.192-2 (2026-11-16)"
    found = read(bzimage(packed(vmlinux(None, banner), "gzip"), release=b"6.1.0-56-amd64 (a@b) #1"))
    assert (found.version, found.banner) == ("6.1.0-56-amd64", banner.decode())


def test_the_stand_in_banner_is_used_only_when_there_is_no_better_one():
    assert read(image()).banner == BANNER.decode()
    assert read(bytes(0x38) + b"ARM\x64" + STAND_IN).banner == STAND_IN.decode().strip("\n")
    assert read(bytes(0x38) + b"ARM\x64").banner == ""


@pytest.mark.parametrize(("machine", "flags", "arch"), [(X86, 1, "x86"), (62, 0, "x86_64")])
def test_the_unpacked_kernel_tells_the_architecture_best(machine, flags, arch):
    inner = Lab(2, machine, bits=32 if machine == X86 else 64).build() + core()
    assert read(bzimage(packed(inner, "gzip"), flags=flags)).arch == arch


@pytest.mark.parametrize(("protocol", "flags", "arch"), [(0x20C, 1, "x86_64"), (0x20C, 0, "x86"), (0x20B, 1, "x86")])
def test_the_header_tells_the_architecture_when_the_payload_cannot(protocol, flags, arch):
    assert read(bzimage(UNKNOWN, protocol=protocol, flags=flags)).arch == arch


@pytest.mark.parametrize(
    "content", [b"", b"no kernel", b"MZ", Lab().build(), gzip.compress(b"no kernel"), bytes(70_000)]
)
def test_what_is_no_kernel_is_refused(content):
    with pytest.raises(DamagedError, match="no kernel image of a known format"):
        read(content)


def test_a_kernel_in_two_layers_of_compression_is_not_followed():
    with pytest.raises(DamagedError, match="no kernel image"):
        read(gzip.compress(gzip.compress(image())))


def test_a_size_that_lies_is_damage():
    payload = PACKERS["zstd"](vmlinux())
    with pytest.raises(DamagedError):
        read(bzimage(payload + struct.pack("<I", 100)))
    with pytest.raises(LimitError, match="a kernel that unpacks to 4294967295 bytes"):
        read(bzimage(payload + b"\xff" * 4))


WHOLE = bzimage(packed(vmlinux(), "gzip"))


def changed(at, content, data=WHOLE):
    return data[:at] + content + data[at + len(content) :]


def test_the_real_mode_part_has_four_sectors_behind_the_first_where_it_does_not_say():
    longer = changed(0x1F1, b"\0", WHOLE[:1024] + bytes(3 * 512) + WHOLE[1024:])
    assert read(longer) == read(WHOLE)
    assert read(changed(0x1F1, b"\4", longer)) == read(WHOLE)


@pytest.mark.parametrize(
    ("pointer", "text", "version"),
    [
        (0, b"6", ""),
        (1, b"6", "6HdrS"),
        (0x1FD, b"6.1", "6.1"),
        (0x1FF, b"6", "6"),
        (0x200, b"6", ""),  # behind the real-mode part
        (0x100, b"v6", ""),
        (0x100, b"6" * 127 + b"\x7f", "6" * 127),
        (0x100, b"6" + b"~" * 127, "6" + "~" * 127),
        (0x100, b"6" + b"!" * 130, "6" + "!" * 127),
    ],
)
def test_the_release_is_where_the_real_mode_part_points_to(pointer, text, version):
    data = bytearray(bzimage(UNKNOWN, release=b""))
    data[0x20E:0x210] = struct.pack("<H", pointer)
    data[0x200 + pointer : 0x200 + pointer + len(text)] = text
    found = kernel.outline(bytes(data), HERE, "cut")
    assert found == Kernel(HERE, version, "", "x86_64", "bzImage", "", config_source="cut")


ZBOOT = zboot(image(), "gzip")


@pytest.mark.parametrize(
    ("data", "form", "arch"),
    [
        (WHOLE, "bzImage", "x86_64"),
        (changed(0x236, b"\3"), "bzImage", "x86_64"),
        (changed(0x236, b"\2"), "bzImage", "x86"),
        (changed(0x1FE, b"\x55\xab"), None, ""),
        (changed(0x202, b"HdrT"), None, ""),
        (changed(0x202, b"HdrR"), None, ""),
        (ZBOOT, "EFI zboot", ""),
        (changed(0, b"NZ", ZBOOT), None, ""),
        (changed(0, b"MY", ZBOOT), None, ""),
        (changed(4, b"zimh", ZBOOT), None, ""),
        (changed(4, b"zimf", ZBOOT), None, ""),
        (image(), "Image", ""),
        (image(b"ARM\x65"), None, ""),
        (image(b"ARM\x63"), None, ""),
        (image(b"RISCV\0\0\0", 0x30), "riscv Image", ""),
        (image(b"RISCV\0\0\1", 0x30), None, ""),
        (s390(), "s390 image", ""),
        (s390()[:0x1000D], None, ""),
    ],
)
def test_the_format_is_told_by_marks_in_their_places(data, form, arch):
    found = kernel.outline(data, HERE, "cut")
    assert (found and (found.format, found.arch)) == (form and (form, arch))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (WHOLE[:1024], "the kernel's real-mode part ends at byte 1024, the file at 1024"),
        (WHOLE[:1000], "the kernel's real-mode part ends at byte 1024, the file at 1000"),
        (WHOLE[:-1], f"the kernel's payload ends at byte {len(WHOLE)}, the file at {len(WHOLE) - 1}"),
        (ZBOOT[:-1], f"the kernel's payload ends at byte {len(ZBOOT)}, the file at {len(ZBOOT) - 1}"),
        (ZBOOT[:15], "a kernel's header reaches to byte 16, the file ends at 15"),
        (ZBOOT[:69], "a kernel's header reaches to byte 70, the file ends at 69"),
        (zboot(image(), "xz")[:-1], None),
        (bzimage(b"\x1f\x8b\x08"), "a kernel's header reaches to byte 4, the file ends at 3"),
    ],
)
def test_where_a_kernel_breaks_off_is_said(data, why):
    with pytest.raises(DamagedError) as caught:
        read(data)
    if why:
        assert str(caught.value) == why


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (bzimage(packed(vmlinux(), "gzip")), True),
        (zboot(image(), "gzip"), True),
        (image(), True),
        (image(b"RISCV\0\0\0", 0x30), True),
        (s390(), True),
        (gzip.compress(image()), True),
        (gzip.compress(b"070701 an initrd"), False),
        (gzip.compress(b"")[:10] + b"\x07 damaged", False),
        (vmlinux(), False),
        (b"MZ\0\0 some other PE file", False),
        (b"", False),
    ],
)
def test_sniffing_knows_kernels_by_their_first_bytes(content, known):
    assert kernel.sniff(content[: kernel.HEAD]) is known


def test_a_vmlinux_is_known_by_its_banner():
    assert kernel.has_banner(vmlinux())
    assert not kernel.has_banner(Lab().build())
    assert not kernel.has_banner(b"prints 'Linux version %s' and Linux version 6.1 (x@y) without a build")


TEXTS = b"\0BUG: KFENCE: \0\0landlock,lockdown,yama,bpf\0\0yama,nonsense\0"


def test_without_a_configuration_what_is_written_in_a_kernel_tells_what_it_probably_has():
    found = read(bzimage(packed(vmlinux(None) + TEXTS, "gzip")))
    assert found.traces == (("KFENCE", "BUG: KFENCE: "), ("LSM", "landlock,lockdown,yama,bpf"))
    assert read(bzimage(packed(vmlinux() + TEXTS, "gzip"))).traces == ()
    assert read(image(config=None) + TEXTS).traces == found.traces


def test_of_an_elf_kernel_its_constants_are_searched():
    inner = relocatable({b".rodata": b"BUG: KFENCE: \0"}, kind=2) + b"Object already free\0" + core(None)
    assert read(inner).traces == (("KFENCE", "BUG: KFENCE: "),)


def test_a_damaged_kernel_is_known_as_far_as_its_header_tells():
    for end in range(0x210, len(WHOLE)):
        found = kernel.outline(WHOLE[:end], HERE, "why")
        assert (found.format, found.config, found.config_source) == ("bzImage", None, "why")
        assert found.version in {"6.12.1-lab"[:length] for length in range(11)}
    assert kernel.outline(zboot(image(), "gzip")[:100], HERE, "why").format == "EFI zboot"
    assert kernel.outline(b"MZ", HERE, "why") is None


WHOLE = bzimage(packed(vmlinux(), "gzip"))


@pytest.mark.parametrize(
    "content", [WHOLE, bzimage(packed(vmlinux(), "zstd")), zboot(image(), "gzip"), zboot(core(), "zstd")]
)
def test_a_kernel_cut_at_any_byte_is_damaged(content):
    for end in range(len(content)):
        with pytest.raises(DamagedError):
            read(content[:end])


def test_an_s390_kernel_cut_in_its_header_is_damaged():
    with pytest.raises(DamagedError, match="header reaches to byte"):
        read(s390()[:0x10010])


SAMPLES = [WHOLE, zboot(image(), "zstd"), image(), vmlinux(), s390(), bzimage(packed(vmlinux(), "lz4-legacy"))]


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 1800), st.binary(min_size=1, max_size=6))))
def test_mutated_kernels_are_read_or_damaged_and_nothing_else(content, patches):
    for offset, value in patches:
        content = content[:offset] + value + content[offset + len(value) :]
    try:
        found = read(content)
    except DamagedError:
        return
    assert found.config_source
    assert (found.config is None) == (not found.config_text)


def test_an_oversized_configuration_is_not_read(monkeypatch):
    monkeypatch.setattr(kconfig, "LIMIT", 64)
    found = read(image(config=b"CONFIG_A=y\n" * 1000))
    assert found.config is None
    assert "is damaged" in found.config_source


OWN = newc(Item("dev", mode=0o040755), Item("dev/console", mode=0o020600), Item("root", mode=0o040700))


def test_a_root_file_system_that_is_built_in_is_found_and_the_kernels_own_is_none():
    built_in = newc(Item("init", b"#!/bin/sh\n"), Item("etc/shadow", b"root::0\n"))
    for form in (lambda data: data, lambda data: bzimage(packed(data, "gzip"))):
        assert read(form(vmlinux() + b"070701\0" + built_in + bytes(99))).initramfs.rstrip(b"\0") == built_in.rstrip(
            b"\0"
        )
        assert read(form(vmlinux() + b"070701\0" + OWN + bytes(99))).initramfs == b""
        assert read(form(vmlinux() + b"0707010000")).initramfs == b""


def test_the_files_of_a_built_in_root_file_system_are_read(tmp_path):
    built_in = newc(Item("etc/shadow", b"root::0\n"))
    items = subjects(tmp_path, bzimage(packed(vmlinux() + built_in, "gzip")), "vmlinuz")
    assert [str(item.place).partition(" / ")[2] for item in of(items, File)] == ["[built-in initramfs] / etc/shadow"]
    assert items[-1].format == "bzImage + cpio"
    assert items[-1].kernels[0].initramfs == b""


@pytest.mark.parametrize("kind", PACKERS)
def test_one_that_is_compressed_is_found_where_the_configuration_tells_of_it(tmp_path, kind):
    config = b'CONFIG_INITRAMFS_SOURCE="/src/rootfs.cpio"\n'
    built_in = newc(Item("etc/shadow", b"root::0\n"))
    inner = vmlinux(config) + b"BZh9\x1f\x8b\x08" + bytes(40) + PACKERS[kind](built_in) + b"REST" * 99
    items = subjects(tmp_path, bzimage(packed(inner, "gzip")), "vmlinuz")
    assert [item.path for item in of(items, File)] == ["etc/shadow"]
    assert of(items, Problem) == []


def test_one_that_is_told_of_and_not_found_is_a_problem(tmp_path):
    config = b'CONFIG_INITRAMFS_SOURCE="/src/rootfs.cpio"\n'
    items = subjects(tmp_path, bzimage(packed(vmlinux(config), "gzip")), "vmlinuz")
    (problem,) = of(items, Problem)
    assert "CONFIG_INITRAMFS_SOURCE=/src/rootfs.cpio" in problem.message
