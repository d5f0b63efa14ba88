"""What is told of how programs were compiled, of such as are put together here byte by byte: no compiler is needed."""

import struct
from dataclasses import replace

import pytest
from elflab import (
    ARM64,
    BIND_NOW,
    EXEC,
    FLAGS,
    FLAGS_1,
    JMPREL,
    LOAD,
    PLTREL,
    PLTRELSZ,
    RE,
    RELA,
    S390,
    X86,
    Lab,
    R,
    a_file,
    sectioned,
)

from lkscan.scanner import codebytes, hardening
from lkscan.scanner.elf import Elf
from lkscan.scanner.imports import defined, undefined

FRAME_TABLE, CODE, TABLE = 0x6474E550, 0x40000, 0x50000
ESCAPE = b"\x48\x8d\x44\x24\x10"  # lea 0x10(%rsp),%rax
LOADED, TESTED = b"\x64\x48\x8b\x04\x25\x28\0\0\0", b"\x64\x48\x2b\x04\x25\x28\0\0\0"
GROWS = b"\x48\x81\xec"  # sub $n,%rsp
ENDBR = b"\xf3\x0f\x1e\xfa"


def word(number):
    return struct.pack("<I", number)


def program(code=b"\xc3", *, functions=0, comment=b"", libc="libc.so.6", **options):
    """A library, or what the options make of it, with this code, a table of so many functions, and .comment."""
    options = {"needed": (libc,) if options.get("has_dynamic", True) else (), **options}
    body, frames = code, b"\x01\x1b\x03\x3b" + word(0) + word(functions) if functions else b""
    lab = Lab(**options, segments=((LOAD, RE, 0, 0, 0, 0), (LOAD, R, 0, 0, 0, 0), (FRAME_TABLE, R, 0, 0, 0, 0)))
    empty = len(lab.build())
    start = -(-empty // 16) * 16
    end = start + len(body)
    places = (LOAD, RE, start, CODE, len(code), len(code)), (LOAD, R, end, TABLE, len(frames), len(frames))
    lab = replace(lab, segments=(*places, (FRAME_TABLE if frames else 0, R, end, TABLE, len(frames), len(frames))))
    data = lab.build().ljust(start, b"\0") + body + frames
    return sectioned(data, {b".comment": (1, comment)}) if comment else data


def told(data, name, **options):
    found = hardening.examine(a_file(data), data, **options)
    assert found
    return f"{found.answers[name]}: {found.evidence[name]}"


GUARD = ("__stack_chk_fail",)
NOT_TESTED = "no instruction tests %fs:0x28, and LEA n(%rsp) takes addresses of local variables"
NO_ADDRESS = "no LEA n(%rsp): no function takes the address of a local variable"
ADD = "ADD Xn, SP for a variable"
STATIC = {"type": EXEC, "has_dynamic": False}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, f"na: {NO_ADDRESS}"),
        ({"code": ESCAPE}, f"no: {NOT_TESTED}"),
        ({"code": TESTED}, "yes: 1 functions test %fs:0x28"),
        ({"code": TESTED * 2 + LOADED * 9}, "yes: 2 functions test %fs:0x28"),
        ({"code": LOADED}, "yes: 1 functions test %fs:0x28"),
        ({"code": LOADED * 4}, "yes: 2 functions test %fs:0x28"),
        ({"code": LOADED * 5}, "yes: 3 functions test %fs:0x28"),
        ({"code": b"\x64\x4f\x3b\x3c\x25\x28\0\0\0"}, "yes: 1 functions test %fs:0x28"),  # of r15
        ({"code": b"\x64\x50\x3b\x3c\x25\x28\0\0\0"}, f"na: {NO_ADDRESS}"),
        ({"code": b"\x64\x47\x3b\x3c\x25\x28\0\0\0"}, f"na: {NO_ADDRESS}"),
        ({"code": b"\x64\x4f\x3b\x44\x25\x28\0\0\0"}, f"na: {NO_ADDRESS}"),
        ({"code": b"\x64\x48\x33\x04\x25\x28\0\0\0"}, "yes: 1 functions test %fs:0x28"),  # xor
        ({"code": TESTED[:-1]}, f"na: {NO_ADDRESS}"),
        ({"code": TESTED * 3, **STATIC},
         "undecided: statically linked, 3 functions test %fs:0x28: whose they are is not told"),
        ({"code": ESCAPE, **STATIC}, f"no: {NOT_TESTED}"),
        ({"code": ESCAPE, "comment": b"rustc version 1.75.0\0"}, "na: Rust checks bounds itself"),
        ({"code": ESCAPE, "imports": GUARD}, "yes: UND __stack_chk_fail"),
        ({"imports": ("x", "__stack_smash_handler", "__stack_chk_guard")}, "yes: UND __stack_chk_guard"),
        ({"imports": GUARD, "functions": 99}, "yes: UND __stack_chk_fail"),
        ({"imports": GUARD, "functions": 100}, "partial: UND __stack_chk_fail, 0 of 100 functions guarded"),
        ({"imports": GUARD, "functions": 100, "code": TESTED},
         "partial: UND __stack_chk_fail, 1 of 100 functions guarded"),
        ({"imports": GUARD, "functions": 100, "code": TESTED * 2},
         "yes: UND __stack_chk_fail, 2 of 100 functions guarded"),
        ({"imports": GUARD, "functions": 101, "code": TESTED * 2},
         "partial: UND __stack_chk_fail, 2 of 101 functions guarded"),
        ({"imports": GUARD, "functions": 150, "code": TESTED * 9},
         "yes: UND __stack_chk_fail, 9 of 150 functions guarded"),
        ({"imports": GUARD, "functions": 200, "machine": ARM64}, "yes: UND __stack_chk_fail"),
        ({"imports": GUARD, "functions": 200, "machine": X86, "bits": 32}, "yes: UND __stack_chk_fail"),
        ({"machine": ARM64, "code": word(0x910003FD)}, f"na: no {ADD}"),
        ({"machine": ARM64, "code": word(0x910043E0)}, f"no: no UND __stack_chk_fail, {ADD}"),
        ({"machine": ARM64, **STATIC}, "undecided: no UND __stack_chk_fail, and code of arm64 is not read for it"),
        ({"machine": S390, "order": ">"}, "undecided: no UND __stack_chk_fail, and code of s390x is not read for it"),
    ],
)  # fmt: skip
def test_canaries(options, wanted):
    assert told(program(**options), "canary") == wanted


def test_what_is_enough_for_a_yes_may_be_all_that_is_counted():
    data = program(imports=GUARD, functions=100, code=TESTED * 300)
    assert told(data, "canary", exact=False) == "yes: UND __stack_chk_fail, at least 300 of 100 functions guarded"
    assert told(data, "canary") == "yes: UND __stack_chk_fail, 300 of 100 functions guarded"
    few = program(imports=GUARD, functions=100, code=TESTED)
    assert told(few, "canary", exact=False) == "partial: UND __stack_chk_fail, 1 of 100 functions guarded"
    apart = program(imports=GUARD, functions=100, code=TESTED * 2 + bytes(1 << 18) + TESTED * 3)
    assert told(apart, "canary", exact=False) == "yes: UND __stack_chk_fail, at least 2 of 100 functions guarded"
    for before in range((1 << 18) - 9, (1 << 18) + 1):  # where two parts of the code meet
        assert codebytes.guards(Elf(program(bytes(before) + TESTED))).tests == 1


def test_code_that_is_not_read_decides_nothing():
    data = program(ESCAPE + TESTED)
    for name in ("canary", "stack_clash"):
        assert told(data, name, code=False) == "undecided: its code was not read"
    assert told(program(TESTED, imports=GUARD, functions=200), "canary", code=False) == "yes: UND __stack_chk_fail"


RECORDS = "statically linked, 1 functions test %fs:0x28"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        (("GNU C17 -O2",), f"undecided: {RECORDS}: whose they are is not told"),
        (("a -fstack-protector-strong", "b -O2"), f"undecided: {RECORDS}: whose they are is not told"),
        (("a -fstack-protector-strong",), f"yes: {RECORDS}; -fstack-protector recorded for 1 of 1 units"),
        (("a -fstack-protector", "b -fno-stack-protector", "c -fstack-protector"),
         f"partial: {RECORDS}; -fstack-protector recorded for 2 of 3 units"),
        (("a -fno-stack-protector",) * 2, f"no: {RECORDS}; -fstack-protector recorded for 0 of 2 units"),
    ],
)  # fmt: skip
def test_compilers_that_recorded_their_flags_tell_whose_canaries_these_are(records, wanted):
    content = b"".join(one.encode() + b"\0" for one in records)
    assert told(sectioned(program(TESTED, **STATIC), {b".GCC.command.line": (1, content)}), "canary") == wanted


ROOM, ARM_ROOM = "SUB $n,%rsp above 0x1000", "SUB sp,sp,#n,lsl #12 above 64 KiB"
PROBED, TOUCHES = GROWS + word(0x1000) + b"\x48\x83\x0c\x24\0", (
    b"\x48\x83\x0c\x24\0", b"\x48\x83\x8c\x24\xf8\x0f\0\0\0", b"\x48\xc7\x04\x24"
)  # fmt: skip
COMPUTED = b"\x48\x29\xc4"  # sub %rax,%rsp


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, f"na: no {ROOM}: no frame reaches beyond a guard page"),
        ({"code": GROWS + word(0x1000)}, f"na: no {ROOM}: no frame reaches beyond a guard page"),
        ({"code": GROWS + word(0xFFF)}, f"na: no {ROOM}: no frame reaches beyond a guard page"),
        ({"code": GROWS + word(0xFFF) + PROBED[7:]}, f"na: no {ROOM}: no frame reaches beyond a guard page"),
        ({"code": GROWS + word(0x1001)}, f"no: 1 {ROOM}, 0 probes of a page"),
        ({"code": GROWS + word((64 << 20) - 1)}, f"no: 1 {ROOM}, 0 probes of a page"),
        ({"code": GROWS + word(64 << 20)}, f"na: no {ROOM}: no frame reaches beyond a guard page"),
        ({"code": (GROWS + word(0x1001))[:-1]}, f"na: no {ROOM}: no frame reaches beyond a guard page"),
        ({"code": PROBED * 2}, f"yes: 2 probes of a page, no {ROOM}"),
        ({"code": PROBED * 2 + GROWS + word(0x2000)}, f"partial: 1 {ROOM}, 2 probes of a page"),
        *(({"code": GROWS + word(0x1000) + one}, f"yes: 1 probes of a page, no {ROOM}") for one in TOUCHES),
        ({"code": COMPUTED * 3}, f"undecided: no {ROOM}, but 3 SUB of a register from the stack pointer, no probe"),
        ({"code": ENDBR}, f"na: no {ROOM}: no frame reaches beyond a guard page"),
        ({"code": PROBED + GROWS + word(0x2000), "comment": b"rustc version 1.75.0\0"}, "yes: 1 probes of a page"),
        ({"code": GROWS + word(0x2000), "comment": b"rustc version 1.75.0\0"}, f"no: 1 {ROOM}, 0 probes of a page"),
        ({"code": PROBED + GROWS + word(0x2000), **STATIC},
         f"undecided: statically linked, 1 {ROOM}, 1 probes: whose they are is not told"),
        ({"machine": ARM64, "code": word(0xD14043FF)}, f"na: no {ARM_ROOM}: no frame reaches beyond a guard page"),
        ({"machine": ARM64, "code": word(0xD14047FF)}, f"no: 1 {ARM_ROOM}, 0 probes of a page"),
        ({"machine": ARM64, "code": b"\0" + word(0xD14047FF)},
         f"na: no {ARM_ROOM}: no frame reaches beyond a guard page"),
        ({"machine": ARM64, "code": word(0xF90203FF) * 2}, f"yes: 2 probes of a page, no {ARM_ROOM}"),
        ({"machine": ARM64, "code": word(0xF90203FF) + word(0xD15FFFFF)}, f"partial: 1 {ARM_ROOM}, 1 probes of a page"),
        ({"machine": ARM64, "code": word(0xCB2063FF)},
         f"undecided: no {ARM_ROOM}, but 1 SUB of a register from the stack pointer, no probe"),
        ({"machine": X86, "bits": 32}, "undecided: code of x86 is not read for it"),
    ],
)  # fmt: skip
def test_large_frames(options, wanted):
    assert told(program(**options), "stack_clash") == wanted


NOTHING = "no import of a function that FORTIFY replaces"
LEVELS = {1: b"\xbf\0\0\0\0", 2: b"\xbf\1\0\0\0", 3: b"\xbf\2\0\0\0", 0: b"\x90" * 5}
"""What loads the first argument: the level less one, or nothing."""


def calling(*levels, imports=("__printf_chk",), stub=b"", before=0, relocations=None, gap=b"", **options):
    """A program that calls the first import once for each level, through a stub that the code begins with."""
    slot = 0x60000
    stubs = stub + b"\xff\x25" + struct.pack("<i", slot - (CODE + len(stub) + 6))
    code = stubs
    for level in levels:
        code += LEVELS[level] if isinstance(level, int) else level
        code += gap
        code += b"\xe8" + struct.pack("<i", before - (len(code) + 5))
    table = relocations or struct.pack("<QIIq", slot, 7, 1, 0)
    code += bytes(-len(code) % 8)
    tags = ((PLTREL, RELA), (JMPREL, CODE + len(code)), (PLTRELSZ, len(table)))
    return program(code + table, imports=imports, **{"tags": tags, **options})


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (program(), f"na: {NOTHING}"),
        (program(imports=("malloc", "__stack_chk_fail")), f"na: {NOTHING}"),
        (program(libc="libc.musl-x86_64.so.1", imports=("printf",)), "na: musl has no checked functions"),
        (program(**STATIC), "undecided: statically linked: the checked functions have no names left"),
        (program(imports=("syslog", "printf", "memcpy")),
         "no: UND printf, which FORTIFY replaces from level 2 on, and no UND __*_chk"),
        (program(imports=("memcpy", "fgets")),
         "undecided: UND fgets, which FORTIFY replaces where it must, and no UND __*_chk"),
        (program(imports=("__memcpy_chk",)), "yes: UND __memcpy_chk"),
        (program(imports=("__memcpy_chk", "__fgets_chk")), "yes: UND __fgets_chk and 1 more"),
        (program(imports=("__memcpy_chk", "__fgets_chk", "__read_chk")), "yes: UND __fgets_chk and 2 more"),
        (program(imports=("__memcpy_chk", "printf", "dprintf")),
         "partial: UND __memcpy_chk, but also UND dprintf, so it is of level 1, or fortified in a part only"),
        (calling(1), "yes: UND __printf_chk, calls of level 1"),
        (calling(2), "yes: UND __printf_chk, calls of level 2"),
        (calling(3), "yes: UND __printf_chk, calls of level 3"),
        (calling(0), "yes: UND __printf_chk"),
        (calling(b"\x31\xff"), "yes: UND __printf_chk, calls of level 1"),
        (calling(b"\x31\xf6"), "yes: UND __printf_chk"),
        (calling(b"\xbf\3\0\0\0"), "yes: UND __printf_chk"),
        (calling(b"\x31\xff" + LEVELS[3]), "yes: UND __printf_chk, calls of level 3"),
        (calling(LEVELS[3] + b"\x31\xff"), "yes: UND __printf_chk, calls of level 1"),
        (calling(3, 2), "yes: UND __printf_chk, calls of level 2, 3"),
        (calling(*[2] * 8, 3), "yes: UND __printf_chk, calls of level 2"),  # eight tell enough
        (calling(*[2] * 7, 3), "yes: UND __printf_chk, calls of level 2, 3"),
        (calling(2, gap=b"\x90" * 35), "yes: UND __printf_chk, calls of level 2"),
        (calling(2, gap=b"\x90" * 36), "yes: UND __printf_chk"),  # more than 40 bytes before the call
        (calling(2, stub=ENDBR), "yes: UND __printf_chk, calls of level 2"),
        (calling(2, stub=ENDBR, before=4), "yes: UND __printf_chk, calls of level 2"),
        (calling(2, stub=b"\xf2", before=1), "yes: UND __printf_chk, calls of level 2"),
        (calling(2, stub=ENDBR + b"\xf2", before=5), "yes: UND __printf_chk, calls of level 2"),
        (calling(2, stub=ENDBR + b"\xf2", before=3), "yes: UND __printf_chk"),
        (calling(2, imports=("__printf_chk", "printf")),
         "partial: UND __printf_chk, calls of level 2, but also UND printf, which level 2 always replaces"),
        (calling(1, imports=("__printf_chk", "printf")), "yes: UND __printf_chk, calls of level 1"),
        (calling(1, 2, imports=("__printf_chk", "printf")),
         "partial: UND __printf_chk, calls of level 1, 2, but also UND printf, which level 2 always replaces"),
        (calling(b"\xbe\1\0\0\0", imports=("__fprintf_chk",)), "yes: UND __fprintf_chk, calls of level 2"),
        (calling(b"\xba\1\0\0\0", imports=("__snprintf_chk",)), "yes: UND __snprintf_chk, calls of level 2"),
        (calling(2, imports=("__snprintf_chk",)), "yes: UND __snprintf_chk"),
        (calling(2, imports=("__memcpy_chk",)), "yes: UND __memcpy_chk"),
        (calling(2, tags=()), "yes: UND __printf_chk"),
        (calling(2, relocations=struct.pack("<QIIq", 0x60000, 7, 2, 0)), "yes: UND __printf_chk"),
        (calling(2, relocations=struct.pack("<QIIq", 0x60008, 7, 1, 0)), "yes: UND __printf_chk"),
        (calling(2, relocations=struct.pack("<QIIqQIIq", 0x50000, 7, 2, 0, 0x60000, 7, 1, 0)),
         "yes: UND __printf_chk, calls of level 2"),
        (calling(2, machine=ARM64), "yes: UND __printf_chk"),
    ],
)  # fmt: skip
def test_fortify(data, wanted):
    assert told(data, "fortify") == wanted


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ((), "na: no JMPREL: nothing is bound lazily"),
        (((FLAGS_1, 1),), "na: no JMPREL: nothing is bound lazily"),
        (((PLTRELSZ, 24),), "no: no BIND_NOW"),
        (((PLTRELSZ, 24), (FLAGS_1, 0x08000001)), "yes: FLAGS_1 NOW"),
        (((PLTRELSZ, 24), (FLAGS_1, 0x08000002)), "no: no BIND_NOW"),
        (((PLTRELSZ, 24), (FLAGS, 0x18)), "yes: FLAGS BIND_NOW"),
        (((PLTRELSZ, 24), (FLAGS, 0x17)), "no: no BIND_NOW"),
        (((PLTRELSZ, 24), (BIND_NOW, 0)), "yes: BIND_NOW"),
    ],
)
def test_binding(tags, wanted):
    assert told(program(tags=tags), "bind_now") == wanted


COUNT = "but no GNU_PROPERTY x86 feature: IBT"


@pytest.mark.parametrize(
    ("options", "name", "wanted"),
    [
        ({"code": ENDBR * 7, "functions": 20}, "ibt", f"partial: 7 ENDBR in 20 functions, {COUNT}"),
        ({"code": ENDBR * 6, "functions": 20}, "ibt", "no: no GNU_PROPERTY for it"),
        ({"code": ENDBR * 9, "functions": 19}, "ibt", "no: no GNU_PROPERTY for it"),
        ({"code": (ENDBR[:-1] + b"\xfb") * 9, "functions": 20}, "ibt", "no: no GNU_PROPERTY for it"),
        ({"code": (ENDBR[:-1] + b"\xfb") * 9, "functions": 20, "machine": X86, "bits": 32}, "ibt",
         f"partial: 9 ENDBR in 20 functions, {COUNT}"),
        ({"code": word(0xD503245F) * 4 + word(0xD503233F) * 4, "functions": 20, "machine": ARM64}, "bti",
         "partial: 8 BTI c or PACIASP in 20 functions, but no GNU_PROPERTY AArch64 feature: BTI"),
        ({"code": word(0xD503245F) * 6, "functions": 20, "machine": ARM64}, "bti", "no: no GNU_PROPERTY for it"),
    ],
)  # fmt: skip
def test_marks_that_were_lost_at_the_link(options, name, wanted):
    assert told(program(**options), name) == wanted
    assert told(program(**options), name, code=False) == "no: no GNU_PROPERTY for it"


def symbols(*names):
    """Sections with names of symbols: of .symtab, and what it links to."""
    return {b".symtab": (2, bytes(24)), b".strtab": (3, b"\0" + b"".join(one + b"\0" for one in names))}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (program(), {"stripped": "yes: no sections", "cfi": "undecided: no symbol of CFI, but .symtab was stripped",
                     "safestack": "undecided: no symbol of SafeStack, but .symtab was stripped",
                     "sanitizer": "no: no symbol of a sanitizer's runtime"}),
        (sectioned(program(), {b".data": (1, b"1")}), {"stripped": "yes: no .symtab"}),
        (sectioned(program(), symbols(b"main")), {"stripped": "no: .symtab", "cfi": "no: no symbol of CFI",
                                                  "safestack": "no: no symbol of SafeStack"}),
        (sectioned(program(), {**symbols(b"main"), b".debug_info": (1, b"1")}),
         {"stripped": "no: .symtab and .debug_info"}),
        (sectioned(program(), symbols(b"__cfi_check")), {"cfi": "yes: symbol *__cfi_check"}),
        (sectioned(program(), symbols(b"main.cfi")), {"cfi": "yes: symbol *.cfi"}),
        (sectioned(program(), symbols(b"main.cfi_jt")), {"cfi": "yes: symbol *.cfi_jt"}),
        (sectioned(program(), symbols(b"main.cfi_x")), {"cfi": "no: no symbol of CFI"}),
        (sectioned(program(), symbols(b"__safestack_init")), {"safestack": "yes: symbol __safestack_*"}),
        (program(comment=b"GCC: (x) 12.2.0\0"),
         {"cfi": "no: made by GCC 12.2.0", "safestack": "no: made by GCC 12.2.0"}),
        (program(comment=b"GCC: (x) 12.2.0\0clang version 14.0\0"),
         {"cfi": "undecided: no symbol of CFI, but .symtab was stripped"}),
        *((program(imports=("a", name)), {"sanitizer": f"yes: symbol {name} of {title}Sanitizer"})
          for name, title in (("__asan_init", "Address"), ("__hwasan_init_x", "HWAddress"), ("__msan_init", "Memory"),
                              ("__tsan_init", "Thread"), ("__ubsan_handle_x", "UndefinedBehavior"))),
        (program(imports=("x__asan_init",)), {"sanitizer": "no: no symbol of a sanitizer's runtime"}),
        (program(imports=("__ubsan_handle_x_minimal",)), {"sanitizer": "no: no symbol of a sanitizer's runtime"}),
        (sectioned(program(), symbols(b"__tsan_init")), {"sanitizer": "yes: symbol __tsan_init of ThreadSanitizer"}),
        (program(soname="libasan.so.8", imports=("__asan_init",)),
         {"sanitizer": "na: SONAME libasan.so.8 is such a runtime"}),
        (program(), {"separate_code": "no: LOAD 0x000000 0x10000 R E holds the headers"}),
    ],
)  # fmt: skip
def test_what_names_tell(data, wanted):
    assert {name: told(data, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("names", "calls"),
    [
        ((), ()),
        (("execve",), ("exec",)),
        (("dlmopen", "system"), ("exec", "dlopen")),
        (("accept4", "popen", "dlopen"), ("exec", "dlopen", "listen")),
        (("exec", "Accept"), ()),
    ],
)
def test_what_programs_may_do_by_their_imports(names, calls):
    found = hardening.examine(a_file(data := program(imports=names)), data)
    assert found
    assert found.calls == calls


@pytest.mark.parametrize(("bits", "order", "machine"), [(64, "<", 62), (64, ">", S390), (32, "<", X86), (32, ">", 8)])
def test_symbols_are_numbered_in_either_class_and_order(bits, order, machine):
    lab = Lab(bits=bits, order=order, machine=machine, imports=("one", "two", "three"))
    assert undefined(Elf(lab.build())) == {"one": 1, "two": 2, "three": 3}
    assert defined(Elf(lab.build())) == set()
    assert undefined(Elf(replace(lab, imports=()).build())) == {}


@pytest.mark.parametrize(
    ("code", "is_taken"),
    [
        (ESCAPE, True),
        (b"\x4c\x8d\x64\x24\x10", True),  # lea 0x10(%rsp),%r12
        (b"\x48\x8d\x64\x24\x10", False),  # into %rsp
        (b"\x48\x8d\x44\x25\x10", False),
        (b"\x48\x89\xe7", True),  # mov %rsp,%rdi
        (b"\x48\x89\xe5", False),  # into %rbp
        (b"\x48\x89\xe2", False),  # into %rdx
        (b"\x49\x89\xe5", True),  # into %r13
        (b"\x55\x48\x89\xe5\x48\x8d\x45\xf0", True),  # lea -0x10(%rbp),%rax
        (b"\x48\x8d\x45\xf0", False),  # in no function with a frame
        (b"\x55\x48\x89\xe5\x48\x8d\x45\x10", False),  # an argument
        (b"\x55\x48\x89\xe5\x48\x8d\x85\0\xff\xff\xff", True),
        (b"\x55\x48\x89\xe5\x48\x8d\x85\0\xff\xff\0", False),
    ],
)
def test_addresses_of_local_variables(code, is_taken):
    assert codebytes.takes_addresses(Elf(program(code))) is is_taken


@pytest.mark.parametrize(
    ("number", "is_taken"),
    [
        (0x910043E0, True),  # add x0, sp, #16
        (0x914043E0, True),  # the same, shifted
        (0x910043FF, False),  # into sp
        (0x910043FD, False),  # into x29
        (0x910043FC, True),
        (0x910043FE, True),
        (0x910043C0, False),  # of x30
        (0x110043E0, False),  # of 32 bits
        (0xD10043E0, False),  # sub
    ],
)
def test_addresses_of_local_variables_of_arm64(number, is_taken):
    assert codebytes.takes_addresses(Elf(program(word(number), machine=ARM64))) is is_taken
    assert codebytes.takes_addresses(Elf(program(b"\0\0" + word(number) + b"\0\0", machine=ARM64))) is False


@pytest.mark.parametrize(
    ("head", "count"),
    [
        (b"\x01\x1b\x03\x3b" + word(0) + word(0x0102), 0x0102),
        (b"\x01\x1b\x04\x3b" + word(0) + word(5), 0),
        (b"\x01\x1b\x03\x3b" + word(0) + b"\5\0\0", 0),
    ],
)
def test_functions_are_counted_by_the_table_for_unwinding(head, count):
    lab = Lab(segments=((FRAME_TABLE, R, 0, 0, 0, 0),))
    start = len(lab.build())
    lab = replace(lab, segments=((FRAME_TABLE, R, start, 0, len(head), len(head)),))
    assert codebytes.functions(Elf(lab.build() + head)) == count
    assert codebytes.functions(Elf(Lab().build())) == 0


@pytest.mark.parametrize(
    ("code", "counted"),
    [
        (b"\xc3", (0, 0, 0)),
        (GROWS + word(0x2000), (1, 0, 0)),
        (PROBED + COMPUTED, (0, 1, 0)),
        (GROWS + word(0x2000) + COMPUTED, (1, 0, 0)),
        (COMPUTED + b"\x4c\x29\xfc" + ENDBR, (0, 0, 2)),
    ],
)
def test_frames_are_counted_and_computed_ones_where_there_are_no_others(code, counted):
    assert codebytes.frames(Elf(program(code))) == counted


@pytest.mark.parametrize(
    ("entry", "at", "is_taken"),
    [(0, 0, True), (0, 60, False), (0, 64, True), (64, 60, True), (64, 64, False), (64, 124, False), (64, 128, True)],
)
def test_where_a_program_of_arm64_starts_no_variable_is_looked_for(entry, at, is_taken):
    code = bytes(at) + word(0x910043E0) + bytes(200 - at)
    data = bytearray(program(code, machine=ARM64))
    struct.pack_into("<Q", data, 24, CODE + entry if (entry, at) != (0, 0) else 0)
    assert codebytes.takes_addresses(Elf(bytes(data))) is is_taken
