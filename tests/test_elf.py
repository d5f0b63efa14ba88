"""ELF files: made byte by byte, and by a real compiler."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elflab import (
    ARM,
    ARM64,
    BIND_NOW,
    CORE,
    DEBUG,
    DYN,
    DYNAMIC,
    EXEC,
    FLAGS,
    FLAGS_1,
    INTERP,
    LOAD,
    MIPS,
    NEEDED,
    PLTGOT,
    PLTREL,
    PLTRELSZ,
    RE,
    RELA,
    RW,
    RWE,
    S390,
    SONAME,
    TEXTREL,
    X86,
    Lab,
    a_file,
    header,
    relocatable,
)
from hypothesis import given
from hypothesis import strategies as st
from rulelab import binary

from lkscan.scanner import elf
from lkscan.scanner.source import DamagedError, LimitError
from lkscan.scanner.subjects import Binary

LD = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"
PIE = (FLAGS_1, 0x08000000)
LAZY = ((PLTGOT, 0x20800), (PLTRELSZ, 48), (PLTREL, RELA))


def read(content: bytes, size: int | None = None) -> Binary:
    found = elf.read(a_file(content) if size is None else a_file(bytes(size)), content)
    assert found is not None
    return found


KINDS = {
    "exec": (Lab(EXEC, interpreter=LD), "EXEC"),
    "static": (Lab(EXEC, has_dynamic=False), "EXEC, no INTERP"),
    "pie": (Lab(interpreter=LD, tags=(PIE,)), "DYN, FLAGS_1 PIE"),
    "static-pie": (Lab(tags=(PIE,)), "DYN, FLAGS_1 PIE, no INTERP"),
    "pie of an old linker": (Lab(interpreter=LD, tags=((DEBUG, 0),)), "DYN, INTERP and DEBUG, no SONAME"),
    "dso": (Lab(soname="liba.so.1"), "DYN, SONAME liba.so.1"),
    "dso that can be run, as libc": (
        Lab(soname="libc.so.6", interpreter=LD, tags=((DEBUG, 0),)),
        "DYN, SONAME libc.so.6",
    ),
    "dso without a name": (Lab(), "DYN, no FLAGS_1 PIE"),
}


@pytest.mark.parametrize("title", KINDS)
def test_a_program_is_told_from_a_library(title):
    lab, why = KINDS[title]
    found = read(lab.build())
    assert (found.kind, found.evidence["pie"]) == (title.split()[0], why)


RELRO = [
    ("none", "no GNU_RELRO", Lab(tags=LAZY, relro=None)),
    ("none", "no GNU_RELRO, FLAGS_1 NOW", Lab(tags=(*LAZY, (FLAGS_1, 1)), relro=None)),
    ("none", "GNU_RELRO 0x20010 of 0x100 bytes covers no whole page", Lab(tags=LAZY, relro=(0x20010, 0x100))),
    ("na", "no GNU_RELRO, no writable LOAD", Lab(loads=(), relro=None)),
    ("partial", "GNU_RELRO, no BIND_NOW", Lab(tags=LAZY)),
    ("full", "GNU_RELRO, FLAGS_1 NOW", Lab(tags=(*LAZY, (FLAGS_1, 1)))),
    ("full", "GNU_RELRO, FLAGS BIND_NOW", Lab(tags=(*LAZY, (FLAGS, 0x0A)))),
    ("full", "GNU_RELRO, BIND_NOW", Lab(tags=(*LAZY, (BIND_NOW, 0)))),
    ("full", "GNU_RELRO, no JMPREL: nothing is bound lazily", Lab()),
    (
        "partial",
        "GNU_RELRO, BIND_NOW, but PLTGOT 0x21800-0x21820 is outside 0x20000-0x21000",
        Lab(tags=((PLTGOT, 0x21800), (PLTRELSZ, 48), (PLTREL, RELA), (BIND_NOW, 0))),
    ),
    ("partial", "GNU_RELRO, no BIND_NOW", Lab(machine=MIPS, bits=32, order=">")),
    ("static", "no GNU_RELRO, nothing is bound at run time", Lab(EXEC, has_dynamic=False, relro=None)),
    ("static", "GNU_RELRO, nothing is bound at run time", Lab(tags=(PIE,))),
]


@pytest.mark.parametrize(("verdict", "why", "lab"), RELRO)
def test_relro(verdict, why, lab):
    found = read(lab.build())
    assert (found.relro, found.evidence["relro"]) == (verdict, why)


STACKS = [
    ("yes", "GNU_STACK RW", Lab(stack=RW)),
    ("no", "GNU_STACK RWE", Lab(stack=RWE)),
    ("no", "no GNU_STACK, so glibc makes stacks executable", Lab(interpreter=LD, stack=None)),
    ("no", "no GNU_STACK, so glibc makes stacks executable", Lab(machine=S390, order=">", stack=None)),
    ("undecided", "no GNU_STACK: the kernel's version decides on x86_64", Lab(interpreter=MUSL, stack=None)),
    (
        "undecided",
        "no GNU_STACK: the kernel's version decides on x86_64",
        Lab(needed=("libc.musl-x86_64.so.1",), stack=None),
    ),
    ("undecided", "no GNU_STACK: the kernel's version decides on x86_64", Lab(EXEC, has_dynamic=False, stack=None)),
    (
        "undecided",
        "no GNU_STACK: the kernel's version decides on mips",
        Lab(machine=MIPS, bits=32, order=">", stack=None),
    ),
    ("yes", "no GNU_STACK, so the default of arm64", Lab(machine=ARM64, stack=None)),
    ("no", "no GNU_STACK, so the default of arm", Lab(machine=ARM, bits=32, stack=None)),
    ("no", "no GNU_STACK, so the default of x86", Lab(machine=X86, bits=32, stack=None)),
    (
        "na",
        "SONAME linux-vdso.so.1: mapped by the kernel, which asks for no GNU_STACK",
        Lab(soname="linux-vdso.so.1", stack=None),
    ),
]


@pytest.mark.parametrize(("verdict", "why", "lab"), STACKS)
def test_executable_stack_and_the_default_of_each_architecture(verdict, why, lab):
    found = read(lab.build())
    assert (found.nx, found.evidence["nx"]) == (verdict, why)


@pytest.mark.parametrize(("bits", "order"), [(64, "<"), (64, ">"), (32, "<"), (32, ">")])
def test_both_classes_and_byte_orders_read_alike(bits, order):
    lab = Lab(machine=22, bits=bits, order=order, interpreter="/ld", needed=("a.so", "b.so"), tags=(PIE,), loads=(RWE,))
    found = read(lab.build())
    assert (found.bits, found.machine) == (bits, "s390x" if bits == 64 else "s390")
    assert (found.interpreter, found.needed, found.kind) == ("/ld", ("a.so", "b.so"), "pie")
    assert found.rwx == ("LOAD 0x000000 0x20000 RWE",)


def test_segments_that_are_writable_and_executable_are_named():
    found = read(Lab(loads=(RW, RWE, RE)).build())
    assert found.rwx == ("LOAD 0x000000 0x20000 RWE",)
    assert found.evidence["rwx"] == found.rwx[0]
    assert read(Lab().build()).rwx == ()


@pytest.mark.parametrize(
    ("tags", "why"),
    [(((TEXTREL, 0),), "TEXTREL"), (((FLAGS, 4),), "FLAGS TEXTREL"), (((FLAGS, 8),), "no TEXTREL")],
)
def test_text_relocations(tags, why):
    found = read(Lab(tags=tags).build())
    assert (found.textrel, found.evidence["textrel"]) == (why != "no TEXTREL", why)


def test_an_unknown_machine_is_named_by_its_number():
    assert read(Lab(machine=999).build()).machine == "machine 999"


def test_names_that_are_not_utf8_survive():
    content = Lab(soname="lib@.so").build().replace(b"lib@", b"lib\xff")
    assert read(content).evidence["pie"] == "DYN, SONAME lib\udcff.so"


def test_an_object_has_no_hardening_of_its_own():
    found = read(relocatable({b".text": b"\x90"}))
    assert (found.kind, found.relro, found.nx, found.rwx) == ("object", "na", "na", ())
    decided = elf.facts(found)
    assert (decided["relro"], decided["nx"], decided["pie"]) == ("na", "na", "na")


def test_separate_debug_symbols_are_told_from_a_program():
    sections = {b".note": b"note", b".text": b"text"}
    assert read(relocatable(sections, kind=DYN, types={b".note": 7, b".text": 8})).kind == "debug"


def sectioned(*sections, names=-1):
    """A program with sections: (name, type, flags, link, bytes); `names` is which of them holds the names."""
    data = Lab().build()
    texts = b"\0" + b"".join(one[0] + b"\0" for one in sections)
    rows = [(texts.index(name + b"\0"), kind, flags, size, link) for name, kind, flags, link, size in sections]
    rows.append((0, 3, 0, len(texts), 0))
    table, body = b"", b""
    for name, kind, flags, size, link in rows:
        table += struct.pack("<IIQQQQIIQQ", name, kind, flags, 0, len(data) + len(body), size, link, 0, 1, 0)
        body += texts if kind == 3 and name == 0 else bytes(min(size, 99))
    data = bytearray(data + body + table)
    struct.pack_into("<Q", data, 0x28, len(data) - len(table))
    struct.pack_into("<HHH", data, 0x3A, 64, len(rows), names % len(rows))
    return bytes(data)


TEXT = (b".text", 1, 6, 0, 7)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ([TEXT], 0),
        ([TEXT, (b".comment", 1, 0x30, 0, 9)], 0),
        ([TEXT, (b".debug_info", 1, 0, 0, 20), (b".zdebug_line", 1, 0, 0, 3), (b".stab", 1, 0, 0, 4)], 27),
        ([TEXT, (b".debug_info", 1, 2, 0, 20)], 0),
        ([TEXT, (b".symtab", 2, 0, 2, 24), (b".strtab", 3, 0, 0, 8)], 32),
        ([TEXT, (b".symtab", 2, 0, 77, 24)], 24),
        ([TEXT, (b".debug_info", 1, 0, 0, 1 << 40)], 0),
    ],
)
def test_symbols_and_what_debuggers_read_are_counted_by_their_bytes(sections, expected):
    assert read(sectioned(*sections)).symbols == expected


def test_sections_whose_names_cannot_be_read_hold_no_symbols():
    assert read(sectioned(TEXT, (b".debug_info", 1, 0, 0, 1 << 40), (b".symtab", 2, 0, 0, 24), names=1)).symbols == 0


@pytest.mark.parametrize(
    ("kind", "pie"),
    [("exec", "no"), ("static", "no"), ("pie", "pie"), ("static-pie", "static-pie"), ("dso", "dso")],
)
def test_facts_name_the_kind_as_inspect_does(kind, pie):
    assert elf.facts(read(KINDS[kind][0].build()))["pie"] == pie


def test_facts_of_a_damaged_file_are_undecided():
    found = elf.damaged(binary().file, "it breaks off")
    assert set(elf.facts(found).values()) == {"undecided"}


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELG", header(CORE)])
def test_what_is_no_program_is_left_alone(content):
    assert elf.read(a_file(content), content) is None


def patched(content: bytes, offset: int, value: bytes) -> bytes:
    return content[:offset] + value + content[offset + len(value) :]


GOOD = Lab(interpreter=LD, needed=("libc.so.6",), tags=(PIE, *LAZY)).build()
DAMAGED = {
    "unknown class": (patched(GOOD, 4, b"\3"), "unknown class"),
    "unknown byte order": (patched(GOOD, 5, b"\0"), "byte order"),
    "size of a program header": (patched(GOOD, 54, b"\1\0"), "program headers of 1 bytes each"),
    "no program headers": (header(DYN), "no segment to load"),
    "program headers beyond the end": (patched(GOOD, 32, b"\xff" * 8), "the table of program headers ends at byte"),
    "a name beyond the strings": (Lab(tags=((NEEDED, 99),)).build(), "beyond their end"),
    "strings in no segment": (Lab(tags=((5, 5), (SONAME, 0))).build(), "address 0x5 is in no loaded segment"),
    "interpreter without an end": (Lab(segments=((INTERP, 4, 1, 0, 3, 3),)).build(), "the interpreter at byte 1"),
    "segment beyond the end": (
        Lab(segments=((LOAD, RE, 64, 0x40000, 0x9999, 0x9999),)).build(),
        "segment LOAD 0x000040 0x40000 R E ends at byte 39385, the file at",
    ),
    "dynamic section beyond the end": (
        Lab(has_dynamic=False, segments=((DYNAMIC, RW, 64, 0, 0x9999, 0),)).build(),
        "the dynamic section ends at byte 39376",
    ),
    "a count in sections that aren't there": (
        patched(GOOD, 56, b"\xff\xff"),
        "a count that stands in the first section",
    ),
}


@pytest.mark.parametrize("title", DAMAGED)
def test_damage_is_named(title):
    content, message = DAMAGED[title]
    with pytest.raises(DamagedError, match=message):
        elf.read(a_file(content), content)


def test_a_file_cut_at_any_byte_is_damaged():
    for end in range(4, len(GOOD)):
        with pytest.raises(DamagedError):
            elf.read(a_file(GOOD[:end]), GOOD[:end])


def test_a_body_that_was_given_in_part_is_judged_by_what_is_there():
    lab = Lab(interpreter=LD, segments=((LOAD, 4, 0, 0x50000, 0x8000, 0x8000),))
    content = lab.build()
    assert read(content, size=0x9000).kind == "dso"
    with pytest.raises(DamagedError):
        read(content)


def test_absurd_tables_are_refused():
    with pytest.raises(LimitError, match="program headers, more than"):
        elf.Elf(patched(GOOD, 56, b"\x00\xf0"))
    endless = Lab(tags=((99, 0),) * 10_001).build()
    with pytest.raises(LimitError, match="dynamic section of more than"):
        elf.read(a_file(endless), endless)
    sections = patched(relocatable({b".text": b"x"}), 60, b"\0\0")
    start = int.from_bytes(sections[40:48], "little")
    with pytest.raises(LimitError, match="sections, more than"):
        elf.Elf(patched(sections, start + 32, b"\xff\xff\xff\xff")).sections()


def test_counts_too_large_for_the_header_stand_in_the_first_section():
    content = relocatable({b".text": b"x", b".x": b"found"})
    start = int.from_bytes(content[40:48], "little")
    content = patched(content, start + 32, content[60:62])  # the count, in sh_size
    content = patched(content, start + 40, content[62:64])  # the index of the names, in sh_link
    content = patched(content, 60, b"\0\0\xff\xff")
    assert elf.Elf(content).section_named(b".x") == b"found"
    program = patched(GOOD, 56, b"\xff\xff")
    program = patched(patched(program, 40, len(program).to_bytes(8, "little")), 58, b"\x40\0")
    first = bytearray(64)
    first[44:48] = GOOD[56:58] + b"\0\0"  # sh_info
    assert len(elf.Elf(program + bytes(first)).segments) == int.from_bytes(GOOD[56:58], "little")


def test_sections_are_found_by_name_and_missing_ones_are_none():
    content = relocatable({b".a": b"one", b".b": b"two"}, types={b".a": 8})
    assert elf.Elf(content).section_named(b".b") == b"two"
    assert elf.Elf(content).section_named(b".a") is None
    assert elf.Elf(GOOD).section_named(b".a") is None


def test_damaged_sections_of_a_program_do_not_matter_as_the_loader_ignores_them():
    lying = patched(GOOD, 40, b"\xff" * 7)
    assert read(patched(lying, 58, b"\x40\0\5\0")).kind == "pie"
    assert read(patched(lying, 58, b"\x01\0\5\0")).kind == "pie"


SAMPLES = [
    GOOD,
    Lab(machine=X86, bits=32, interpreter="/ld", soname="a", needed=("b",)).build(),
    relocatable({b".text": b"x"}),
    relocatable({b".text": b"x"}, kind=DYN, types={b".text": 8}),
]


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(4, 600), st.binary(min_size=1, max_size=8))))
def test_mutated_files_are_read_or_damaged_and_nothing_else(content, patches):
    for offset, value in patches:
        content = patched(content, offset, value)
    try:
        found = elf.read(a_file(content), content)
    except DamagedError:
        return
    assert found is None or set(found.evidence) >= {"relro", "nx", "pie"}


# Real ones.

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
SOURCE = '#include <stdio.h>\nint main(int c, char **v) { return printf("%s %d", v[0], c); }\n'
BUILDS = [
    (("-no-pie", "-Wl,-z,norelro"), "exec", "none", "yes"),
    (("-pie", "-fPIE", "-Wl,-z,relro,-z,lazy"), "pie", "partial", "yes"),
    (("-pie", "-fPIE", "-Wl,-z,relro,-z,now"), "pie", "full", "yes"),
    (("-pie", "-fPIE", "-Wl,-z,norelro,-z,now"), "pie", "none", "yes"),
    (("-pie", "-fPIE", "-fno-plt", "-Wl,-z,relro,-z,lazy"), "pie", "full", "yes"),
    (("-pie", "-fPIE", "-Wl,-z,execstack"), "pie", None, "no"),
    (("-shared", "-fPIC", "-Wl,-soname,liba.so"), "dso", None, "yes"),
    (("-static",), "static", "static", "yes"),
    (("-static-pie", "-fPIE"), "static-pie", "static", "yes"),
]


def built(tmp_path: Path, *flags: str) -> Path:
    (tmp_path / "it.c").write_text(SOURCE)
    subprocess.run(["gcc", "-w", "-o", "it", "it.c", *flags], cwd=tmp_path, check=True)
    return tmp_path / "it"


@needs_gcc
@pytest.mark.parametrize(("flags", "kind", "relro", "nx"), BUILDS)
def test_what_the_compiler_was_told_is_what_is_read(tmp_path, flags, kind, relro, nx):
    found = read(built(tmp_path, *flags).read_bytes())
    assert (found.kind, relro or found.relro, found.nx) == (kind, found.relro, nx)


@needs_gcc
def test_real_objects_debug_symbols_and_stripped_sections(tmp_path):
    assert read(built(tmp_path, "-c").read_bytes()).kind == "object"
    program = built(tmp_path, "-g", "-pie", "-fPIE")
    whole = read(program.read_bytes())
    subprocess.run(["objcopy", "--only-keep-debug", "it", "it.debug"], cwd=tmp_path, check=True)
    assert read((tmp_path / "it.debug").read_bytes()).kind == "debug"
    size = program.stat().st_size
    subprocess.run(["strip", "it"], cwd=tmp_path, check=True)
    assert read(program.read_bytes()).evidence == whole.evidence
    assert read(program.read_bytes()).symbols == 0
    assert 0 <= size - program.stat().st_size - whole.symbols < 20 * 64  # the headers of the sections go, too
