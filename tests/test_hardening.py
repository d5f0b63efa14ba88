"""How programs were compiled, told of such as real compilers made with known flags."""

import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from elflab import ARM64, EXEC, FLAGS_1, LOAD, RE, X86, X86_64, Lab, R, a_file, relocatable

from lkscan.scanner import codebytes, elf, hardening, imports
from lkscan.scanner.elf import Elf
from lkscan.scanner.subjects import File, Place

SOURCE = r"""
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
  char buffer[64];
  strcpy(buffer, argv[argc - 1]);
  printf("%d %s\n", argc, buffer);
  return buffer[0];
}
"""
PLAIN = "int twice(int n) { return 2 * n; }\nint main(int argc, char **argv) { return twice(argc); }\n"
BARE = "void _start(void) { for (;;) ; }\n"

NOTE = 4

gcc = pytest.mark.skipif(shutil.which("gcc") is None or os.uname().machine != "x86_64", reason="needs gcc on x86_64")


def examined(path: Path):
    data = path.read_bytes()
    file = File(path.name, "file", 0o755, 0, 0, len(data), Place((str(path),)))
    found = hardening.examine(file, data)
    assert found
    return found


@pytest.fixture
def compiled(tmp_path: Path):
    def make(source: str, *flags: str, compiler: str = "gcc"):
        (tmp_path / "it.c").write_text(source)
        subprocess.run([compiler, "it.c", "-o", "it", "-w", *flags], cwd=tmp_path, check=True, capture_output=True)
        return examined(tmp_path / "it")

    return make


@gcc
@pytest.mark.parametrize(
    ("source", "flags", "canary", "fortify"),
    [
        (SOURCE, ("-O2", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"), "yes", "yes"),
        (SOURCE, ("-O2", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"), "no", "yes"),
        (SOURCE, ("-O2", "-fstack-protector-all", "-U_FORTIFY_SOURCE"), "yes", "no"),
        (SOURCE, ("-O0", "-fno-stack-protector", "-U_FORTIFY_SOURCE"), "no", "no"),
        (SOURCE, ("-O2", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-shared", "-fPIC"), "no", "no"),
        (PLAIN, ("-O2", "-fstack-protector-strong"), "na", "na"),
        (PLAIN, ("-O0", "-fno-stack-protector"), "na", "na"),
        (SOURCE, ("-O2", "-static", "-fstack-protector-strong"), "undecided", "undecided"),
        (SOURCE, ("-O2", "-static-pie", "-fno-stack-protector"), "undecided", "undecided"),
        (SOURCE, ("-O2", "-c"), "na", "na"),
    ],
)
def test_canaries_and_fortify_are_those_of_the_flags(compiled, source, flags, canary, fortify) -> None:
    found = compiled(source, *flags)
    assert (found.answers["canary"], found.answers["fortify"]) == (canary, fortify), found.evidence
    assert found.evidence["canary"]
    assert found.evidence["fortify"]


SECTIONS = dict.fromkeys(("stripped", "cfi", "safestack"))
"""What sections tell beyond what segments do."""


@gcc
def test_a_stripped_program_without_section_headers_tells_the_same(compiled, tmp_path) -> None:
    before = compiled(SOURCE, "-O2", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-s")
    path = tmp_path / "it"
    data = bytearray(path.read_bytes())
    data[40:48] = bytes(8)  # e_shoff
    data[60:62] = bytes(2)  # e_shnum
    path.write_bytes(data)
    after = examined(path)
    assert (after.answers["canary"], after.answers["fortify"], {**after.evidence, **SECTIONS}) == (
        before.answers["canary"],
        before.answers["fortify"],
        {**before.evidence, **SECTIONS},
    )


@gcc
def test_one_part_without_fortify_is_told(compiled, tmp_path) -> None:
    (tmp_path / "other.c").write_text("#include <stdio.h>\nvoid other(const char *s) { printf(s); }\n")
    plain = ["gcc", "-c", "other.c", "-O2", "-w", "-U_FORTIFY_SOURCE"]
    subprocess.run(plain, cwd=tmp_path, check=True, capture_output=True)
    found = compiled(SOURCE, "-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "other.o")
    assert found.answers["fortify"] == "partial"
    assert "also UND printf" in found.evidence["fortify"]


@gcc
def test_canaries_in_very_few_functions_are_partial(compiled) -> None:
    many = "".join(f"int f{n}(int x) {{ return x * {n}; }}\n" for n in range(200))
    guard = '__attribute__((optimize("stack-protector-all"))) '
    found = compiled(f"{many}{guard}int main(void) {{ char b[64]; return b[1]; }}", "-O0", "-fno-stack-protector")
    assert found.answers["canary"] == "partial", found.evidence
    assert " of 20" in found.evidence["canary"]


@gcc
@pytest.mark.parametrize(
    ("flags", "cet"), [(("-fcf-protection=full",), "yes"), (("-fcf-protection=branch",), "partial"), ((), "no")]
)
def test_control_flow_protection_is_what_every_part_has(compiled, flags, cet) -> None:
    assert compiled(BARE, "-nostdlib", "-static", *(flags or ("-fcf-protection=none",))).answers["cet"] == cet


@pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="needs musl-gcc (musl-tools)")
def test_musl_has_no_checked_functions(compiled) -> None:
    dynamic = compiled(SOURCE, "-O2", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", compiler="musl-gcc")
    assert (dynamic.answers["canary"], dynamic.answers["fortify"]) == ("yes", "na")
    assert compiled(SOURCE, "-O2", "-static", compiler="musl-gcc").answers["fortify"] == "na"


def arm64(*words: int) -> bytes:
    """A shared object for arm64 with one executable segment that holds these instructions."""
    code = struct.pack(f"<{len(words)}I", *words)
    head = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 3, 183, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    size = 64 + 2 * 56 + len(code)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 0x1000)
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    return head + load + stack + code


MOV_FP = 0x910003FD
"""MOV X29, SP, as every function with a frame begins."""


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ((MOV_FP, 0xD65F03C0), False),
        ((MOV_FP, 0x910043E0), True),  # ADD X0, SP, #16
        ((0x910083FF,), False),  # ADD SP, SP, #32
    ],
)
def test_arm64_code_tells_whether_addresses_of_variables_are_taken(words, taken) -> None:
    assert codebytes.takes_addresses(Elf(arm64(*words))) is taken


@pytest.mark.parametrize("order", ["little", "big"])
def test_damage_in_what_is_imported_decides_nothing(tmp_path, order) -> None:
    data = arm64(MOV_FP)
    parsed = Elf(data)
    assert imports.undefined(parsed) == {}
    parsed.tags.update({6: 1 << 40, 5: 0 if order == "little" else 1 << 50, 10: 1})
    with pytest.raises(elf.DamagedError):
        imports.undefined(parsed)


@gcc
@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_program_never_raises(compiled, tmp_path, seed) -> None:
    from random import Random

    compiled(SOURCE, "-O2")
    random = Random(seed)
    data = bytearray((tmp_path / "it").read_bytes())
    for _ in range(20):
        data[random.randrange(4, len(data))] = random.randrange(256)
    file = File("it", "file", 0o755, 0, 0, len(data), Place(("it",)))
    try:
        found = hardening.examine(file, bytes(data))
    except elf.DamagedError:
        return
    answers = {*found.answers.values()} if found else set()
    assert answers <= {"yes", "no", "na", "partial", "undecided"}


def go(info: bytes, *, rest: bytes = b"", flags: int = 6) -> bytes:
    """A static program with Go's note-less mark in its writable segment; `rest` lies behind, at address 0x30000."""
    body = info + rest
    lab = Lab(EXEC, has_dynamic=False, relro=None, loads=())
    start = len(lab.build()) + 56
    head = replace(lab, segments=((LOAD, flags, start, 0x30000, len(body), len(body)),)).build()
    return head + body


def head_of(size: int, flags: int, *pointers: int) -> bytes:
    words = b"".join(one.to_bytes(size, "little") for one in pointers)
    return (b"\xff Go buildinf:" + bytes((size, flags)) + words).ljust(32, b"\0")


def text(content: bytes) -> bytes:
    assert len(content) < 128
    return bytes((len(content),)) + content


OLD = b"".join(one.to_bytes(8, "little") for one in (0x30040, 8, 0x30048, 13)) + b"go1.17.3CGO_ENABLED=1"
GO = {
    "new": (go(head_of(8, 2) + text(b"go1.21.5") + text(b"build\tCGO_ENABLED=0")), "Go 1.21.5"),
    "old, by pointers": (go(head_of(8, 0, 0x30020, 0x30030), rest=OLD), "Go 1.17.3"),
    "a long text": (go(head_of(8, 2) + text(b"go1.21.5") + b"\x80\x01" + bytes(128)), "Go 1.21.5"),
    "pointers into nowhere": (go(head_of(8, 0, 0x50, 0x60)), "Go"),
    "cut off": (go(head_of(8, 2)[:20]), "Go"),
}


@pytest.mark.parametrize("title", GO)
def test_gos_version_is_read_as_go_reads_it(title) -> None:
    data, made = GO[title]
    found = hardening.examine(a_file(data), data)
    assert found
    assert (found.made, found.answers["canary"], found.libc) == (made, "na", "")


def test_a_rust_program_needs_no_canary() -> None:
    code = b"\x48\x8d\x44\x24\x10\xc3"
    path = b"/rustc/" + b"0" * 40 + b"/library/core/src/fmt/mod.rs"
    lab = Lab(tags=((FLAGS_1, 0x08000000),), interpreter="/ld.so", segments=((LOAD, R, 0, 0, 0, 0),) * 2)
    start = len(lab.build())
    behind = start + len(code)
    segments = ((LOAD, RE, start, 0x40000, len(code), 6), (LOAD, R, behind, 0x50000, len(path), len(path)))
    data = replace(lab, segments=segments).build() + code + path
    found = hardening.examine(a_file(data), data)
    assert found
    assert (found.answers["canary"], found.evidence["canary"]) == ("na", "Rust checks bounds itself")


def test_segments_that_lie_over_each_other_are_read_once() -> None:
    one = (LOAD, RE, 0, 0x80000, 64, 64)
    found = Elf(Lab(segments=(one, one, (LOAD, RE, 32, 0x90000, 64, 64))).build()).stretches(1)
    assert [start for start, _ in found] == [0]
    with pytest.raises(elf.LimitError, match="program headers, more than 512"):
        hardening.examine(a_file(many := Lab(segments=(one,) * 600).build()), many)


# --- marks in notes


def noted(content: bytes, *, bits: int = 64, machine: int = X86_64, **more: object) -> bytes:
    """A program with a note."""
    lab = Lab(machine=machine, bits=bits, segments=((NOTE, R, 0, 0, 0, 0),), **more)
    size = len(lab.build())
    return replace(lab, segments=((NOTE, R, size, 0, len(content), len(content)),)).build() + content


def features(kind: int, value: int, *, bits: int = 64, before: bytes = b"") -> bytes:
    """A note of GNU properties, one of which has these bits."""
    properties = before + struct.pack("<III", kind, 4, value) + bytes(4 if bits == 64 else 0)
    return struct.pack("<III4s", 4, len(properties), 5, b"GNU\0") + properties


def answers(data: bytes) -> dict[str, tuple[str, str]]:
    found = hardening.examine(a_file(data), data)
    assert found
    return {name: (answer, found.evidence[name]) for name, answer in found.answers.items()}


NONE = ("no", "no GNU_PROPERTY for it")
ABSENT = ("na", "x86_64 has none")
CET = ("yes", "GNU_PROPERTY x86 feature: IBT, SHSTK")
IBT = ("yes", "GNU_PROPERTY x86 feature: IBT")
SHSTK = ("yes", "GNU_PROPERTY x86 feature: SHSTK")


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(
    ("value", "cet", "ibt", "shstk"),
    [
        (0, NONE, NONE, NONE),
        (1, ("partial", "GNU_PROPERTY x86 feature: IBT only"), IBT, NONE),
        (2, ("partial", "GNU_PROPERTY x86 feature: SHSTK only"), NONE, SHSTK),
        (3, CET, IBT, SHSTK),
        (4, NONE, NONE, NONE),
        (7, CET, IBT, SHSTK),
    ],
)
def test_what_x86_is_marked_for(bits, value, cet, ibt, shstk) -> None:
    before = struct.pack("<III", 0xC0008002, 4, 0xFF) + bytes(4 if bits == 64 else 0)  # ISA that is needed
    note = features(0xC0000002, value, bits=bits, before=before)
    found = answers(noted(note, bits=bits, machine=X86_64 if bits == 64 else X86))
    assert (found["cet"], found["ibt"], found["shstk"]) == (cet, ibt, shstk)
    none = "x86_64 has none" if bits == 64 else "x86 has none"
    assert found["bti"] == found["pac"] == ("na", none)


@pytest.mark.parametrize(
    ("value", "bti", "pac"),
    [
        (0, NONE, NONE),
        (1, ("yes", "GNU_PROPERTY AArch64 feature: BTI"), NONE),
        (2, NONE, ("yes", "GNU_PROPERTY AArch64 feature: PAC")),
        (3, ("yes", "GNU_PROPERTY AArch64 feature: BTI"), ("yes", "GNU_PROPERTY AArch64 feature: PAC")),
        (4, NONE, NONE),
    ],
)
def test_what_arm64_is_marked_for(value, bti, pac) -> None:
    found = answers(noted(features(0xC0000000, value), machine=ARM64))
    assert (found["bti"], found["pac"]) == (bti, pac)
    assert found["cet"] == found["ibt"] == found["shstk"] == ("na", "arm64 has none")


@pytest.mark.parametrize(("value", "cet"), [(0, "no"), (1, "no"), (2, "no"), (3, "yes"), (7, "yes")])
def test_of_an_object_its_marks_are_told_and_the_rest_when_it_is_linked(value, cet) -> None:
    data = relocatable({b".note.gnu.property": features(0xC0000002, value)}, types={b".note.gnu.property": 7})
    found = answers(data)
    assert found.pop("cet")[0] == cet
    assert set(found.values()) == {("na", "REL: decided when it is linked")}


@pytest.mark.parametrize("cut", [8, 12, 16, 20])
def test_a_note_that_breaks_off_marks_nothing(cut) -> None:
    whole = features(0xC0000002, 3)
    assert answers(noted(whole[:-cut]))["cet"] != CET


@pytest.mark.parametrize(
    ("at", "tail", "is_packed"),
    [
        (400, 5000, True),
        (1020, 5000, True),  # within the first KiB
        (1021, 5000, False),
        (5000, 124, True),  # within the last 128 bytes
        (5000, 125, False),
        (5000, 0, True),
    ],
)
def test_the_mark_of_upx_counts_at_either_end_of_what_has_no_dynamic_section(at, tail, is_packed) -> None:
    data = Lab(type=EXEC, has_dynamic=False).build().ljust(at, b"\1") + b"UPX!" + bytes(tail)
    assert answers(data)["packed"] == (("yes", f"UPX! at byte {at}") if is_packed else ("no", "no mark of UPX"))
    dynamic = Lab(type=EXEC).build().ljust(at, b"\1") + b"UPX!" + bytes(tail)
    assert answers(dynamic)["packed"] == ("no", "no mark of UPX")
