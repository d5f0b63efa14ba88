"""Instructions: what each makes of a register, what ends a function, and the words of arm64 that carry addresses."""

import re

import pytest

from lkscan.scanner import instructions
from lkscan.scanner.instructions import Chunk, Effect

KEPT = frozenset({"rbx", "rbp", "rsp", "r12", "x19", "sp"})
SAME, LOST = "same", None


def chunk(*lines, at=0x1000, size=4, is_arm=False, is_exact=True):
    """Code of instructions like `mov eax, 5`, each of so many bytes."""
    code = []
    for number, line in enumerate(lines):
        *prefix, name = re.match(r"(?:(bnd|notrack|lock|repz|rep) )?(\S+)", line).groups()
        whole = " ".join(filter(None, (*prefix, name)))
        code.append((at + size * number, size, whole, line[len(whole) + 1 :]))
    return Chunk(code, is_exact=is_exact, is_arm=is_arm)


INTEL = [
    # constants, whole and halved
    ("mov eax, 5", "rax", Effect("", 5)),
    ("mov rax, -1", "rax", Effect("", -1)),
    ("mov eax, -1", "rax", Effect("", 0xFFFFFFFF)),
    ("mov ecx, 0x10", "rcx", Effect("", 16)),
    ("mov r10d, 7", "r10", Effect("", 7)),
    ("movabs rdi, 0x1122334455", "rdi", Effect("", 0x1122334455)),
    ("xor eax, eax", "rax", Effect("", 0)),
    ("xor r8d, r8d", "r8", Effect("", 0)),
    ("xor eax, ecx", "rax", LOST),
    ("xor eax, 5", "rax", LOST),
    ("sub eax, eax", "rax", LOST),
    # parts of a register leave the rest of it open
    ("mov al, 5", "rax", LOST),
    ("mov ax, 5", "rax", LOST),
    ("mov r9b, 5", "r9", LOST),
    ("mov spl, 5", "rsp", LOST),
    # from elsewhere
    ("mov edi, esi", "rdi", Effect("rsi")),
    ("mov rdi, r12", "rdi", Effect("r12")),
    ("mov eax, r9d", "rax", Effect("r9")),
    ("movsxd rax, edi", "rax", Effect("rdi")),
    ("movsxd rax, dword ptr [rdi]", "rax", LOST),
    ("movzx eax, cl", "rax", LOST),
    ("mov eax, dword ptr [rsp + 8]", "rax", LOST),
    ("lea rdi, [rip + 0x20]", "rdi", Effect("", 0x1024)),
    ("lea rdi, [rip - 0x20]", "rdi", Effect("", 0xFE4)),
    ("lea rdi, [rip]", "rdi", Effect("", 0x1004)),
    ("lea rdi, [rip + 9]", "rdi", Effect("", 0x100D)),
    ("lea rdi, [rax + 8]", "rdi", LOST),
    ("pop rax", "rax", LOST),
    ("add eax, 1", "rax", LOST),
    # what is another register's matter, or only looked at
    ("mov ebx, 5", "rax", SAME),
    ("mov dword ptr [rax], 5", "rax", SAME),
    ("cmp eax, 5", "rax", SAME),
    ("test eax, eax", "rax", SAME),
    ("push rax", "rax", SAME),
    ("bt eax, 3", "rax", SAME),
    ("jmp rax", "rax", SAME),
    ("je 0x1000", "rax", SAME),
    ("nop dword ptr [rax]", "rax", SAME),
    ("nopw rax", "rax", SAME),
    ("prefetcht0 rax", "rax", SAME),
    ("ret", "rax", SAME),
    # calls keep some registers
    ("call 0x2000", "rbx", Effect("rbx")),
    ("call rax", "rbp", Effect("rbp")),
    ("call 0x2000", "rax", LOST),
    ("call 0x2000", "rdi", LOST),
    ("bnd call 0x2000", "rdi", LOST),
    ("notrack jmp rax", "rdi", SAME),
    # what is written without being named first
    ("cdq", "rdx", LOST),
    ("cqo", "rdx", LOST),
    ("cdq", "rax", SAME),
    ("mul rcx", "rdx", LOST),
    ("mul rcx", "rax", LOST),
    ("div rsi", "rax", LOST),
    ("idiv rsi", "rdx", LOST),
    ("imul rcx", "rax", LOST),
    ("imul rcx, rdi", "rax", SAME),
    ("imul rax, rdi", "rax", LOST),
    ("imul rcx, rdi, 5", "rdx", SAME),
    ("cpuid", "rbx", LOST),
    ("rdtsc", "rdx", LOST),
    ("xgetbv", "rcx", SAME),
    ("xgetbv", "rax", LOST),
    ("syscall", "rax", LOST),
    ("syscall", "rcx", LOST),
    ("syscall", "r11", LOST),
    ("syscall", "rdi", SAME),
    ("int 0x80", "rax", LOST),
    ("leave", "rbp", LOST),
    ("lock cmpxchg dword ptr [rdi], ecx", "rax", LOST),
    ("lock xadd dword ptr [rdi], ecx", "rcx", LOST),
    ("xchg rax, rbx", "rbx", LOST),
    ("xchg rax, rbx", "rcx", SAME),
    ("mulx rax, rcx, rbx", "rcx", LOST),
    ("rep stosd dword ptr [rdi], eax", "rdi", LOST),
    ("rep movsb byte ptr [rdi], byte ptr [rsi]", "rcx", LOST),
    ("stosq qword ptr [rdi], rax", "rdi", LOST),
    ("movsq qword ptr [rdi], qword ptr [rsi]", "rsi", LOST),
    ("movsq qword ptr [rdi], qword ptr [rsi]", "rbx", SAME),
    ("lodsb al, byte ptr [rsi]", "rsi", LOST),
    ("loop 0x1000", "rcx", LOST),
    ("loop 0x1000", "rax", SAME),
    (".byte 0x06", "rax", LOST),
    # words on the stack
    ("mov dword ptr [rsp + 8], 5", "[rsp + 8]", Effect("", 5)),
    ("mov qword ptr [rsp], rdi", "[rsp]", Effect("rdi")),
    ("mov qword ptr [rsp + 0x10], r9d", "[rsp + 0x10]", Effect("r9")),
    ("mov qword ptr [rsp + 0x10], rdi", "[rsp + 8]", SAME),
    ("mov qword ptr [rax], rdi", "[rsp + 8]", SAME),
    ("add qword ptr [rsp + 8], rdi", "[rsp + 8]", SAME),
    ("mov rax, 5", "[rsp + 8]", SAME),
    ("movups xmmword ptr [rsp + 8], xmm15", "[rsp + 0x10]", Effect("")),
    ("movups xmmword ptr [rsp + 8], xmm0", "[rsp + 0x10]", LOST),
    ("movups xmmword ptr [rsp + 8], xmm0", "[rsp + 8]", LOST),
    ("movups xmmword ptr [rsp + 8], xmm0", "[rsp + 0x20]", LOST),
    ("movups xmmword ptr [rsp + 8], xmm0", "[rsp + 0x28]", SAME),
    ("movups xmmword ptr [rsp + 8], xmm0", "[rsp]", SAME),
    ("vmovdqu ymmword ptr [rsp], ymm1", "[rsp + 0x18]", LOST),
    ("movups xmmword ptr [rax + 8], xmm0", "[rsp + 8]", SAME),
    ("push rax", "[rsp + 8]", LOST),
    ("pop rax", "[rsp + 8]", LOST),
    ("call 0x2000", "[rsp]", LOST),
    ("syscall", "[rsp]", LOST),
    ("sub rsp, 0x20", "[rsp]", LOST),
]
ARM = [
    ("mov w8, #0x40", "x8", Effect("", 64)),
    ("mov x8, #-1", "x8", Effect("", -1)),
    ("movz x0, #0x12, lsl #16", "x0", Effect("", 0x120000)),
    ("movk x0, #0x12, lsl #16", "x0", Effect("x0", 0x120000)),
    ("movk x0, #0x12", "x0", Effect("x0", 0x12)),
    ("mov w0, wzr", "x0", Effect("")),
    ("mov x0, xzr", "x0", Effect("")),
    ("mov w1, w20", "x1", Effect("x20")),
    ("mov x1, sp", "x1", Effect("sp")),
    ("sxtw x0, w3", "x0", Effect("x3")),
    ("uxtw x0, w3", "x0", Effect("x3")),
    ("adrp x0, #0x411000", "x0", Effect("", 0x411000)),
    ("adr x0, #0x411004", "x0", Effect("", 0x411004)),
    ("add x0, x0, #0x18", "x0", Effect("x0", 0x18)),
    ("add x0, x3, #8", "x0", Effect("x3", 8)),
    ("add x0, x3, x4", "x0", LOST),
    ("sub x0, x3, #8", "x0", LOST),
    ("ldr x0, [sp, #8]", "x0", LOST),
    ("ldr x1, [sp, #8]", "x0", SAME),
    ("ldr x1, [x0, #8]!", "x0", LOST),
    ("ldr x1, [x0], #8", "x0", LOST),
    ("ldr x1, [x0, #8]", "x0", SAME),
    ("str x1, [x0, #8]!", "x0", LOST),
    ("str x0, [x1]", "x0", SAME),
    ("stp x29, x30, [sp, #-0x10]!", "sp", LOST),
    ("ldp x0, x1, [sp]", "x1", LOST),
    ("ldp x0, x1, [sp]", "x0", LOST),
    ("ldp x0, x1, [sp]", "x2", SAME),
    ("stxr w1, x0, [x2]", "x5", LOST),
    ("stlxr w1, x0, [x2]", "x5", LOST),
    ("cmp w0, #5", "x0", SAME),
    ("cbz w0, #0x1000", "x0", SAME),
    ("tbnz w0, #3, #0x1000", "x0", SAME),
    ("b.eq #0x1000", "x0", SAME),
    ("hint #0x22", "x0", SAME),
    ("svc #0", "x0", LOST),
    ("svc #0", "x8", SAME),
    ("bl #0x2000", "x19", Effect("x19")),
    ("bl #0x2000", "x0", LOST),
    ("blr x3", "x3", LOST),
    ("blraa x3, sp", "sp", Effect("sp")),
    ("str x3, [sp, #8]", "[sp, #8]", Effect("x3")),
    ("str w3, [sp, #8]", "[sp, #8]", Effect("x3")),
    ("str xzr, [sp, #0x10]", "[sp, #0x10]", Effect("")),
    ("str x3, [sp, #0x10]", "[sp, #8]", SAME),
    ("stp x3, x4, [sp, #8]", "[sp, #8]", Effect("x3")),
    ("stp x3, x4, [sp, #8]", "[sp, #0x10]", Effect("x4")),
    ("stp x3, x4, [sp, #1]", "[sp, #9]", Effect("x4")),
    ("stp x3, xzr, [sp, #0x10]", "[sp, #0x18]", Effect("")),
    ("stp x3, x4, [sp, #0x20]", "[sp, #0x10]", SAME),
    ("bl #0x2000", "[sp, #8]", LOST),
    ("svc #0", "[sp, #8]", LOST),
    ("sub sp, sp, #0x20", "[sp, #8]", LOST),
]


@pytest.mark.parametrize(("line", "register", "wanted"), INTEL)
def test_what_an_instruction_of_x86_64_makes_of_a_register(line, register, wanted):
    found = chunk(line).effect(0, register, KEPT)
    assert found == (Effect(register) if wanted == SAME else wanted)


@pytest.mark.parametrize(("line", "register", "wanted"), ARM)
def test_what_an_instruction_of_arm64_makes_of_a_register(line, register, wanted):
    found = chunk(line, is_arm=True).effect(0, register, KEPT)
    assert found == (Effect(register) if wanted == SAME else wanted)


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (("push 5", "pop rax"), Effect("", 5)),
        (("push rbx", "pop rax"), LOST),
        (("push 5", "nop", "pop rax"), LOST),
        (("push 5", "pop rax", "jmp 0x1004"), LOST),  # another way leads to it
        (("pop rax",), LOST),
    ],
)
def test_a_constant_that_is_pushed_is_what_is_popped_next(lines, wanted):
    number = next(i for i, line in enumerate(lines) if line.startswith("pop"))
    assert chunk(*lines).effect(number, "rax", KEPT) == wanted


@pytest.mark.parametrize(
    ("line", "is_end"),
    [
        (one, True)
        for one in ("ret", "repz ret", "rep ret", "jmp 0x1000", "bnd jmp rax", "ud2", "hlt", "br x3", ".byte 6")
    ]
    + [(one, False) for one in ("je 0x1000", "call 0x1000", "nop", "syscall", "b.eq #0x1000", "bl #0x1000")],
)
def test_what_ends_the_way_down(line, is_end):
    assert chunk(line).is_end(0) is is_end


def test_where_jumps_and_calls_lead_to():
    made = chunk("call 0x1010", "je 0x1008", "jmp 0x1008", "jmp rax", "call rax", "loop 0x1000", "xbegin 0x1004")
    assert made.called == {0x1010}
    assert made.jumps == {0x1008: [1, 2], 0x1000: [5], 0x1004: [6]}
    assert made.switches == [3]
    assert made.index == {0x1000 + 4 * number: number for number in range(7)}
    assert [made.is_call(0x1000 + 4 * number) for number in range(7)] == [True, False, False, False, True, False, False]
    arm = chunk("bl #0x1010", "b.ne #0x1008", "cbz w0, #0x100c", "tbz w1, #3, #0x1004", "br x3", "blr x3", is_arm=True)
    assert arm.called == {0x1010}
    assert arm.jumps == {0x1008: [1], 0x100C: [2], 0x1004: [3]}
    assert arm.switches == [4]
    assert [arm.is_call(0x1000 + 4 * number) for number in range(6)] == [True, False, False, False, False, True]


@pytest.mark.parametrize(
    ("lines", "number", "is_filled"),
    [
        (("call 0x2000", "nop", "nop", "nop", "push rbx"), 4, True),
        (("call 0x2000", "nop", "nop", "push rbx"), 3, False),  # not at a multiple of 16
        (("mov eax, 5", "nop", "nop", "nop", "push rbx"), 4, False),
        (("nop", "nop", "nop", "nop", "push rbx"), 4, False),
        (("mov eax, 5", "nop", "nop", "call 0x2000", "push rbx"), 4, False),  # nothing fills up
    ],
)
def test_filling_behind_a_call_that_never_returns_begins_a_function(lines, number, is_filled):
    assert chunk(*lines).is_filled(number) is is_filled


@pytest.mark.parametrize(
    ("line", "enters"),
    [("syscall", True), ("svc #0", True), ("int 0x80", False), ("sysenter", False), ("hvc #0", False)],
)
def test_what_enters_the_kernel_in_the_way_of_its_machine(line, enters):
    assert chunk(line).enters_kernel(0x1000) is enters


@pytest.mark.parametrize(
    ("function", "word", "at", "wanted"),
    [
        ("page", 0xB0000023, 0x411234, 0x416000),  # adrp x3, five pages on
        ("page", 0xB0FFFFF0, 0x411234, 0x40E000),  # adrp x16, three pages back
        ("page", 0x300000A2, 0x411234, None),
        ("near", 0x300000A2, 0x8, 0x1D),  # adr x2
        ("near", 0x10FFFFC9, 0xC, 0x4),  # adr x9
        ("near", 0xB0000023, 0xC, None),
        ("branch", 0x14000010, 0x10, 0x50),  # b
        ("branch", 0x97FFFFFC, 0x14, 0x4),  # bl
        ("branch", 0x54000040, 0x18, 0x20),  # b.eq
        ("branch", 0x54000050, 0x18, None),  # bc.eq, which later machines have
        ("branch", 0x54FFFFC1, 0x18, 0x10),  # b.ne
        ("branch", 0x34FFFFA0, 0x18, 0xC),  # cbz w0
        ("branch", 0xB5000083, 0x18, 0x28),  # cbnz x3
        ("branch", 0x36180041, 0x18, 0x20),  # tbz w1, #3
        ("branch", 0x371FFFC1, 0x18, 0x10),  # tbnz w1, #3
        ("branch", 0xD503201F, 0x18, None),  # nop
        ("branch", 0x15FFFFFF, 0, 0x7FFFFFC),  # as far as it goes
        ("branch", 0x16000000, 0x8000000, 0),
    ],
)
def test_addresses_that_words_of_arm64_make(function, word, at, wanted):
    assert getattr(instructions, function)(word, at) == wanted


@pytest.mark.parametrize(
    ("function", "word", "wanted"),
    [
        ("added", 0x91048C41, (2, 0x123)),  # add x1, x2, #0x123
        ("added", 0x91400441, None),  # shifted
        ("added", 0x11000C41, None),  # of 32 bits
        ("loaded", 0xF9401611, 40),  # ldr x17, [x16, #40]
        ("loaded", 0xF94015F1, None),  # by x15
        ("loaded", 0xF9400610, None),  # to x16
        ("enters", 0xD4000001, True),  # svc #0
        ("enters", 0xD4001001, True),  # svc #0x80
        ("enters", 0xD4000002, False),  # hvc
        ("enters", 0xD503201F, False),  # nop
    ],
)
def test_what_words_of_arm64_say(function, word, wanted):
    assert getattr(instructions, function)(word) == wanted


def test_words_end_with_the_last_whole_one():
    assert list(instructions.words(bytes(range(11)))) == [0x03020100, 0x07060504]
