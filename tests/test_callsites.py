"""Call sites of small programs that are put together here by instructions: which call, with which values."""

import struct
from dataclasses import replace

import pytest
from elflab import ARM, ARM64, EXEC, JMPREL, LOAD, PLTRELSZ, RE, RELA, S390, X86, X86_64, Lab, R, sectioned

from lkscan.scanner.callsites import Code
from lkscan.scanner.elf import Elf
from lkscan.scanner.imports import defined, undefined

CODE, TABLE, SLOT = 0x40000, 0x50000, 0x60000
FRAME_TABLE, RELASZ = 0x6474E550, 8


def program(code, starts=(0,), data=b"", relocations=(), **options):
    """A library with this code, whose functions start there, and these bytes that are read only.

    `relocations` are kind and number of a symbol: the first is of the word at SLOT, each other of the next one.
    """
    rows = [struct.pack("<QIIq", SLOT + 8 * at, kind, symbol, 0) for at, (kind, symbol) in enumerate(relocations)]
    pairs = b"".join(struct.pack("<ii", CODE + start - TABLE, 0) for start in starts)
    frames = b"\1\x1b\3\x3b" + struct.pack("<II", 0, len(starts)) + pairs if starts else b""
    rest = b"".join((frames, *rows, bytes(-len(data) % 8), data))
    tags = ((JMPREL, TABLE + len(frames)), (PLTRELSZ, 24 * len(rows))) if rows else ()
    lab = Lab(**{"tags": tags, **options}, segments=((0,) * 6,) * 3)
    start = -(-len(lab.build()) // 16) * 16 + 16
    end = start + len(code)
    places = (
        (LOAD, RE, start - 16, CODE - 16, len(code) + 16, len(code) + 16),  # its address stands in the headers
        (LOAD, R, end, TABLE, len(rest), len(rest)),
        (FRAME_TABLE if frames else 0, R, end, TABLE, len(frames), len(frames)),
    )
    return replace(lab, segments=places).build().ljust(start, b"\0") + code + rest


def shown(code, site, count):
    values = [code.argument(site, number) for number in range(count)]
    told = [",".join(f"{one:#x}" for one in sorted(value.constants)) + "?" * (not value.is_known) for value in values]
    what = f"{site.what} by {site.register}" if site.register else f"{site.what}"
    return f"{site.address - CODE:#x} {what} ({' '.join(told)})"


def system_calls(data, count=1):
    code = Code(Elf(data))
    return [shown(code, site, count) for site in code.system_calls]


def assembled(*parts):
    return b"".join(part if isinstance(part, bytes) else struct.pack("<I", part) for part in parts)


def mov(register, number):
    """MOV of a constant to eax, ecx, edx, ebx, esp, ebp, esi or edi."""
    return bytes((0xB8 + ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi").index(register),)) + struct.pack(
        "<I", number
    )


def near(opcode, here, to):
    """A call or jump that stands there and leads there."""
    return opcode + struct.pack("<i", to - here - len(opcode) - 4)


EXIT, FIVE, SYSCALL, RET = mov("eax", 60), mov("edi", 5), b"\x0f\5", b"\xc3"
HANDS_ON = b"\x89\xf8\x89\xf7\x0f\5\xc3".ljust(16, b"\xcc")  # mov eax,edi; mov edi,esi; syscall; ret
CALLED = HANDS_ON + mov("edi", 60) + mov("esi", 7) + near(b"\xe8", 26, 0) + RET
ADDRESS = struct.pack("<Q", CODE)


@pytest.mark.parametrize(
    ("code", "options", "wanted"),
    [
        (EXIT + FIVE + SYSCALL + RET, {}, ["0xa 60 (0x5)"]),
        (FIVE + EXIT + SYSCALL + RET, {}, ["0xa 60 (0x5)"]),
        (EXIT + b"\x31\xff" + SYSCALL, {}, ["0x7 60 (0x0)"]),
        (EXIT + SYSCALL, {}, ["0x5 60 (?)"]),
        (SYSCALL, {}, ["0x0 None (?)"]),
        (b"\x89\xc8" + SYSCALL, {}, ["0x2 None (?)"]),  # mov eax,ecx
        (EXIT + b"\xcd\x80", {}, ["0x5 None (?)"]),
        (EXIT + b"\x0f\x34", {}, ["0x5 None (?)"]),
        # over jumps
        (b"\x74\7" + mov("eax", 1) + b"\xeb\5" + mov("eax", 2) + SYSCALL, {}, ["0xe 1 (?)", "0xe 2 (?)"]),
        (b"\x74\5" + EXIT + SYSCALL, {}, ["0x7 60 (?)", "0x7 None (?)"]),
        (EXIT + b"\x74\0" + SYSCALL, {}, ["0x7 60 (?)"]),
        (EXIT + SYSCALL + b"\xeb\xfc", {}, ["0x5 60 (?)", "0x5 None (?)"]),  # what a call gives back, the next time
        (EXIT + b"\xc3" + SYSCALL, {}, ["0x6 None (?)"]),
        (FIVE + EXIT + SYSCALL + EXIT + SYSCALL, {}, ["0xa 60 (0x5)", "0x11 60 (0x5)"]),
        (EXIT + near(b"\xe8", 5, 64) + SYSCALL, {}, ["0xa None (?)"]),
        # within another instruction
        (b"\xb8\x0f\5\0\0" + RET, {}, []),
        (b"\xb8\x0f\5\0\0" + RET, {"starts": ()}, ["0x1 None (?)"]),
        # from callers
        (CALLED, {"starts": (0, 16)}, ["0x1a 60 by rdi (0x7)"]),
        (CALLED, {"starts": (0, 16), "data": ADDRESS}, ["0x4 None (?)", "0x1a 60 by rdi (0x7)"]),
        (CALLED, {"starts": (0, 16), "data": ADDRESS[:4] + bytes(3) + b"\1"}, ["0x1a 60 by rdi (0x7)"]),
        (CALLED, {"starts": (0, 16), "data": ADDRESS[:4] + bytes(3) + b"\1", "type": EXEC},
         ["0x4 None (?)", "0x1a 60 by rdi (0x7)"]),
        (CALLED + b"\x48\x8d\x05" + struct.pack("<i", -39), {"starts": (0, 16)},
         ["0x4 None (?)", "0x1a 60 by rdi (0x7)"]),
        (CALLED + b"\x48\x8d\x05" + struct.pack("<i", -38), {"starts": (0, 16)}, ["0x1a 60 by rdi (0x7)"]),
        (CALLED + mov("edi", 61) + mov("esi", 8) + near(b"\xe9", 42, 0), {"starts": (0, 16, 32)},
         ["0x4 61 (0x7,0x8)", "0x1a 60 by rdi (0x7)"]),
        (CALLED[:26] + b"\xeb\xe4", {"starts": (0, 16)}, ["0x4 60 (0x7)"]),
        (HANDS_ON + b"\x89\xcf" + near(b"\xe8", 18, 0), {"starts": (0, 16)}, ["0x4 None (?)"]),
    ],
)  # fmt: skip
def test_system_calls_of_x86_64(code, options, wanted):
    assert system_calls(program(code, **options)) == wanted


def frames(*starts, at, kind=1):
    """A table for unwinding without an index, at that address: what all share, and an entry for each function."""
    table = struct.pack("<IIII", 12, 0, 0, 0)
    for start in starts:
        table += struct.pack("<IIiI", 12, kind, start - (at + len(table) + 8), 0)
    return table + bytes(8)


@pytest.mark.parametrize(
    ("table", "name", "wanted"),
    [
        (frames(CODE, CODE + 16, at=TABLE), b".eh_frame", ["0x1a 60 by rdi (0x7)"]),
        (frames(CODE + 16, CODE, at=TABLE), b".eh_frame", ["0x1a 60 by rdi (0x7)"]),
        (frames(CODE, CODE + 16, at=TABLE), b".other", None),
        (frames(CODE, CODE + 16, at=TABLE, kind=0), b".eh_frame", None),
        (frames(CODE, CODE + 16, at=TABLE)[:28].ljust(32, b"\0"), b".eh_frame", ["0x1a 60 by rdi (0x7)"]),
        (bytes(4) + frames(CODE, CODE + 16, at=TABLE)[:28], b".eh_frame", None),  # ends at once
        (frames(CODE + 5, CODE + 16, at=TABLE), b".eh_frame", ["0x4 None (?)"]),
    ],
)
def test_functions_are_found_by_the_table_for_unwinding_without_an_index(table, name, wanted):
    code = HANDS_ON[:7] + b"\xb8\x0f\5\0\0".ljust(9, b"\x90") + CALLED[16:]  # in its data, what looks like a call
    data = bytearray(sectioned(program(code, (), data=table), {name: (1, table)}))
    sections = struct.unpack_from("<Q", data, 40)[0]
    struct.pack_into("<Q", data, sections + 64 + 24, data.index(table))
    plain = system_calls(program(code, ()))
    assert system_calls(bytes(data)) == (plain if wanted is None else wanted)
    assert plain != wanted


@pytest.mark.parametrize(
    ("machine", "bits", "order", "is_read"),
    [
        (X86_64, 64, "<", True),
        (ARM64, 64, "<", True),
        (ARM64, 64, ">", False),
        (X86, 32, "<", False),
        (ARM, 32, "<", False),
        (S390, 64, ">", False),
    ],
)
def test_code_of_two_machines_is_read(machine, bits, order, is_read):
    code = Code(Elf(Lab(machine=machine, bits=bits, order=order).build()))
    assert code.is_read is is_read
    assert machine in {X86_64, ARM64} or (code.system_calls, code.calls(("a",))) == ([], ([], frozenset("a")))


def bl(here, to, *, is_call=True):
    return (0x94000000 if is_call else 0x14000000) | (to - here) // 4 & 0x3FFFFFF


SVC, ARM_RET, X8, X0 = 0xD4000001, 0xD65F03C0, 0xD2800000 | 93 << 5 | 8, 0xD2800000 | 5 << 5
ARM_HANDS_ON = (0xAA0003E8, 0xAA0103E0, SVC, ARM_RET)  # mov x8,x0; mov x0,x1; svc; ret
ARM_CALLED = (*ARM_HANDS_ON, 0xD2800000 | 93 << 5, 0xD2800000 | 7 << 5 | 1, bl(24, 0), ARM_RET)


@pytest.mark.parametrize(
    ("words", "options", "wanted"),
    [
        ((X8, X0, SVC, ARM_RET), {}, ["0x8 93 (0x5)"]),
        ((X0, X8, SVC), {}, ["0x8 93 (0x5)"]),
        ((SVC,), {}, ["0x0 None (?)"]),
        ((X8, 0xD4001001), {}, ["0x4 93 (?)"]),
        ((X8, 0xD4000002), {}, []),
        ((0x54000060, X8, 0x14000002, X8 ^ 3 << 5, SVC), {}, ["0x10 93 (?)", "0x10 94 (?)"]),
        ((X8, 0xF2A00028, SVC), {}, [f"0x8 {93 + (1 << 16)} (?)"]),  # movk x8, #1, lsl #16
        (ARM_CALLED, {"starts": (0, 16)}, ["0x18 93 by x0 (0x7)"]),
        (ARM_CALLED, {"starts": (0, 16), "data": ADDRESS}, ["0x8 None (?)", "0x18 93 by x0 (0x7)"]),
        ((*ARM_CALLED, 0x10FFFF00), {"starts": (0, 16)}, ["0x8 None (?)", "0x18 93 by x0 (0x7)"]),  # adr x0
        ((*ARM_CALLED, 0x10FFFF20), {"starts": (0, 16)}, ["0x18 93 by x0 (0x7)"]),
        ((*ARM_CALLED, 0x90000003, 0x91000060), {"starts": (0, 16)}, ["0x8 None (?)", "0x18 93 by x0 (0x7)"]),
        ((*ARM_CALLED, 0x90000004, 0x91000060), {"starts": (0, 16)}, ["0x18 93 by x0 (0x7)"]),  # another register
        ((*ARM_CALLED, 0x90000003, 0x91000460), {"starts": (0, 16)}, ["0x18 93 by x0 (0x7)"]),
        ((*ARM_CALLED, 0xB0000003, 0x91000060), {"starts": (0, 16)}, ["0x18 93 by x0 (0x7)"]),
        ((*ARM_CALLED, 0x90000003, *[0xD503201F] * 15, 0x91000060), {"starts": (0, 16)},
         ["0x8 None (?)", "0x18 93 by x0 (0x7)"]),
        ((*ARM_CALLED, 0x90000003, *[0xD503201F] * 16, 0x91000060), {"starts": (0, 16)}, ["0x18 93 by x0 (0x7)"]),
        ((*ARM_CALLED[:6], bl(24, 0, is_call=False)), {"starts": (0, 16)}, ["0x8 93 (0x7)"]),
    ],
)  # fmt: skip
def test_system_calls_of_arm64(words, options, wanted):
    assert system_calls(program(assembled(*words), machine=ARM64, **options)) == wanted


STACKED = b"\x48\xc7\x04\x24" + struct.pack("<I", 60) + b"\x48\xc7\x44\x24\x08" + struct.pack("<I", 7)
"""mov qword ptr [rsp], 60; mov qword ptr [rsp + 8], 7."""


@pytest.mark.parametrize(
    ("taking", "calling", "code", "wanted"),
    [
        ("syscall.Syscall", "main.main", EXIT + mov("ebx", 7), ["0x1a 60 by rax (0x7)"]),
        ("golang.org/x/sys/unix.RawSyscall", "main.main", EXIT + mov("ebx", 7), ["0x1a 60 by rax (0x7)"]),
        ("syscall.Syscall", "main.main", STACKED, ["0x21 60 by [rsp] (0x7)"]),
        ("syscall.Syscall", "main.main", mov("ebx", 7), ["0x15 None (?)"]),
        ("syscall.Syscall", "syscall.fcntl", mov("ebx", 7), ["0x15 72 (?)"]),
        ("syscall.Syscall", "runtime.main", EXIT, []),
        ("syscall.Syscall", "syscall.RawSyscall", EXIT, []),
        ("main.other", "main.main", FIVE + mov("esi", 7), ["0x1a 5 by rdi (0x7)"]),
        ("runtime.other", "main.main", FIVE + mov("esi", 7), []),
        ("syscall.runtime_x", "main.main", FIVE + mov("esi", 7), []),
    ],
)
def test_functions_of_go_take_numbers_in_a_register_or_on_the_stack(taking, calling, code, wanted):
    start = 16 + len(code)
    data = program(HANDS_ON + code + near(b"\xe8", start, 0) + RET, ())
    code = Code(Elf(data), {CODE: taking, CODE + 16: calling})
    assert [shown(code, site, 1) for site in code.system_calls] == wanted
    assert [code.function(CODE + at) for at in (-1, 0, 15, 16, 99)] == ["", taking, taking, calling, calling]


def calls(data, *names):
    code = Code(Elf(data))
    sites, taken = code.calls(names)
    return [shown(code, site, 1) for site in sites], sorted(taken)


STUB = b"\xff\x25" + struct.pack("<i", SLOT - CODE - 6) + b"\xcc" * 10
JUMP_SLOT, DATA_SLOT, ABSOLUTE = 7, 6, 1


def stubbed(*parts, stub=STUB):
    code = stub
    for part in parts:
        code += part(len(code)) if callable(part) else part
    return code


def to(target, opcode=b"\xe8"):
    return lambda here: near(opcode, here, target)


def by_slot(modrm, slot=SLOT):
    return lambda here: b"\xff" + bytes((modrm,)) + struct.pack("<i", slot - CODE - here - 6)


ENDBR = b"\xf3\x0f\x1e\xfa"


@pytest.mark.parametrize(
    ("code", "kinds", "wanted"),
    [
        (stubbed(FIVE, to(0), RET), (JUMP_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, to(0), RET), (DATA_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, to(0), RET), (ABSOLUTE,), ([], ["open"])),
        (stubbed(FIVE, to(0), RET), (JUMP_SLOT, ABSOLUTE), (["0x15 open (0x5)"], ["open"])),
        (stubbed(FIVE, to(0, b"\xe9")), (JUMP_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, b"\xeb\xe9"), (JUMP_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, b"\x74\xe9", RET), (JUMP_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, b"\xeb\xea"), (JUMP_SLOT,), ([], ["open"])),
        (stubbed(FIVE, to(0, b"\x0f\x84"), RET), (JUMP_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, by_slot(0x15), RET), (DATA_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, by_slot(0x25)), (DATA_SLOT,), (["0x15 open (0x5)"], [])),
        (stubbed(FIVE, by_slot(0x15, SLOT + 8), RET), (DATA_SLOT,), ([], ["open"])),
        (stubbed(FIVE, to(1), RET), (JUMP_SLOT,), ([], ["open"])),
        (stubbed(RET), (JUMP_SLOT,), ([], ["open"])),
        (stubbed(FIVE, to(0), to(0, b"\x48\x8d\x05")), (JUMP_SLOT,), (["0x15 open (0x5)"], ["open"])),
        (stubbed(FIVE, to(0), to(SLOT - CODE, b"\x48\x8b\x05")), (JUMP_SLOT,), (["0x15 open (0x5)"], ["open"])),
        (stubbed(FIVE, to(0), to(SLOT - CODE + 1, b"\x48\x8b\x05")), (JUMP_SLOT,), (["0x15 open (0x5)"], [])),
    ],
)
def test_calls_of_imported_functions_of_x86_64(code, kinds, wanted):
    data = program(code, (0, 16), relocations=[(kind, 1) for kind in kinds], imports=("open",))
    assert calls(data, "open") == wanted
    assert calls(data, "close") == ([], ["close"])


@pytest.mark.parametrize(
    ("before", "is_stub"), [(0, True), (1, True), (2, False), (3, False), (4, True), (5, True), (6, False)]
)
def test_stubs_may_have_a_mark_or_a_prefix_in_front(before, is_stub):
    head = b"\x90\x90" + ENDBR + b"\xf2"
    stub = head[-6:] + b"\xff\x25" + struct.pack("<i", SLOT - CODE - 12) + b"\xcc\xcc\xcc\xcc"
    data = program(
        stubbed(FIVE, to(6 - before), RET, stub=stub), (0, 16), relocations=[(JUMP_SLOT, 1)], imports=("open",)
    )
    assert calls(data, "open") == ((["0x15 open (0x5)"], []) if is_stub else ([], ["open"]))


ARM_STUB = (0x90000110, 0xF9400211, 0x91000210, 0xD61F0220)  # adrp x16; ldr x17,[x16]; add x16; br x17


@pytest.mark.parametrize(
    ("stub", "call", "kind", "wanted"),
    [
        (ARM_STUB, bl(20, 0), 1026, (["0x14 open (0x5)"], [])),
        (ARM_STUB, bl(20, 0, is_call=False), 1026, (["0x14 open (0x5)"], [])),
        (ARM_STUB, bl(20, 0), 1025, ([], ["open"])),
        (ARM_STUB, bl(20, 0), 257, ([], ["open"])),
        (ARM_STUB, bl(20, 4), 1026, ([], ["open"])),
        ((0x90000110, 0xF9400611, *ARM_STUB[2:]), bl(20, 0), 1026, ([], ["open"])),  # the next word
        ((0xB0000110, *ARM_STUB[1:]), bl(20, 0), 1026, ([], ["open"])),
        ((0xD503245F, *ARM_STUB[:2], ARM_STUB[3]), bl(20, 0), 1026, (["0x14 open (0x5)"], [])),  # behind BTI
        ((0xD503245F, *ARM_STUB[:2], ARM_STUB[3]), bl(20, 4), 1026, (["0x14 open (0x5)"], [])),
    ],
)
def test_calls_of_imported_functions_of_arm64(stub, call, kind, wanted):
    code = assembled(*stub, X0, call, ARM_RET)
    data = program(code, (0, 16), relocations=[(kind, 1)], imports=("open",), machine=ARM64)
    assert calls(data, "open") == wanted


def test_slots_may_be_told_with_the_other_relocations():
    code = stubbed(FIVE, to(0), RET)
    end = TABLE + 12 + 8 * 2
    data = program(code, (0, 16), relocations=[(DATA_SLOT, 1)], imports=("open",), tags=((RELA, end), (RELASZ, 24)))
    assert calls(data, "open") == (["0x15 open (0x5)"], [])
    data = program(code, (0, 16), relocations=[(DATA_SLOT, 1)], imports=("open",), tags=((RELA, end), (RELASZ, 23)))
    assert calls(data, "open") == ([], ["open"])


def test_several_arguments_are_told_by_the_convention_of_the_call():
    code = b"".join(mov(one, number) for number, one in enumerate(("edi", "esi", "edx", "ecx"), 1))
    more = b"\x41\xba" + struct.pack("<I", 4) + b"\x41\xb8" + struct.pack("<I", 5) + b"\x41\xb9" + struct.pack("<I", 6)
    assert system_calls(program(code + more + EXIT + SYSCALL), 7) == ["0x2b 60 (0x1 0x2 0x3 0x4 0x5 0x6 ?)"]
    code = stubbed(code.replace(mov("ecx", 4), mov("ecx", 9)), more, to(0), RET)
    data = program(code, (0, 16), relocations=[(JUMP_SLOT, 1)], imports=("open",))
    found = Code(Elf(data))
    (site,), _ = found.calls(("open",))
    assert shown(found, site, 7) == "0x36 open (0x1 0x2 0x3 0x9 0x5 0x6 ?)"


MOST = 1 << 14
"""Symbols that are defined and looked through for others."""


def symbols(*rows, first, buckets=(1,), bloom=1, chain=0, is_apart=False):
    """A library with symbols, name and address (0: not defined), behind one that says nothing, and hash tables."""
    names = b"\0".join((b"", *(name.encode() for name, _ in rows), b""))
    shape = struct.Struct("<IBBHQQ")
    table = bytes(24) + b"".join(
        shape.pack(names.index(b"\0" + name.encode() + b"\0") + 1, 0, 0, int(at > 0), at, 0) for name, at in rows
    )
    hashes = (
        struct.pack("<IIII", len(buckets), first, bloom, 0)
        + bytes(8 * bloom)
        + struct.pack(f"<{len(buckets)}I", *buckets)
    )
    hashes += bytes(-len(hashes) % 8)
    parts = (hashes, struct.pack("<II", 0, chain), names.ljust(len(names) + -len(names) % 8, b"\0"), table)
    places = [TABLE + sum(map(len, parts[:number])) for number in range(5)]
    strings = (names, places[2]) if is_apart else (names, places[4])
    tags = ((6, places[3]), (0x6FFFFEF5, places[0]), (5, strings[1]), (10, len(names)))
    data = b"".join(parts) + names
    return program(
        RET, (), data=data.ljust(-(-len(data) // 8) * 8, b"\0"), tags=(*tags, *(((4, places[1]),) if chain else ()))
    )


@pytest.mark.parametrize(
    ("rows", "options", "found", "addresses"),
    [
        ((("puts", 0), ("mine", 5)), {"first": 2}, {"puts": 1}, {5}),
        ((("puts", 0), ("mine", 5), ("yours", 7)), {"first": 2, "buckets": (0, 2)}, {"puts": 1}, {5, 7}),
        ((("mine", 5), ("weak", 0)), {"first": 1}, {"weak": 2}, {5}),
        ((("mine", 5), ("weak", 0)), {"first": 1, "bloom": 4}, {"weak": 2}, {5}),
        ((("puts", 0), ("weak", 0)), {"first": 1, "buckets": (0,)}, {"puts": 1, "weak": 2}, set()),
        ((("puts", 0), ("weak", 0)), {"first": 1, "buckets": (0,), "chain": 2, "is_apart": True}, {"puts": 1}, set()),
        ((("puts", 0), ("weak", 0)), {"first": 1, "chain": 2}, {"puts": 1, "weak": 2}, set()),
        ((("puts", 0), ("mine", 5)), {"first": 2, "is_apart": True}, {"puts": 1}, set()),
        ((("mine", 5), ("weak", 0)), {"first": 2, "is_apart": True}, {}, set()),
        ((("puts", 0), ("x" * 1023, 0), ("y" * 1024, 0)), {"first": 4}, {"puts": 1, "x" * 1023: 2, "": 3}, set()),
        ((*((("mine", 5),) * (MOST - 1)), ("weak", 0)), {"first": 1}, {"weak": MOST}, {5}),
        ((*((("mine", 5),) * MOST), ("weak", 0)), {"first": 1}, {}, {5}),
        ((*((("mine", 5),) * MOST), ("weak", 0)), {"first": 2}, {"weak": MOST + 1}, {5}),
    ],
)  # fmt: skip
def test_undefined_symbols_stand_before_those_that_are_hashed_or_among_few(rows, options, found, addresses):
    elf = Elf(symbols(*rows, **options))
    assert undefined(elf) == found
    assert defined(elf) == addresses
