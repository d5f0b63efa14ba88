"""The truth set: tiny programs that compilers make with known flags, once a session, and what each must give."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lkscan.scanner import hardening
from lkscan.scanner.subjects import File, Place

FUNCTIONS = "".join(f"int f{n}(int x) {{ return x * {n} + 1; }}\n" for n in range(30))
SOURCES = {
    "buffer.c": """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
  char buffer[64];
  strcpy(buffer, argv[argc - 1]);
  sprintf(buffer, "%s %d", argv[0], argc);
  printf("%d %s\\n", argc, buffer);
  return buffer[0];
}
""",
    "plain.c": "int twice(int n) { return 2 * n; }\nint main(int argc, char **argv) { return twice(argc); }\n",
    "large.c": "__attribute__((noinline)) void use(char *b) { *(volatile char *)b = 1; }\n"
    "int main(void) { char b[300000]; use(b); return b[9]; }\n",
    "array.c": "void *volatile p;\nint main(int c, char **v) { char b[c]; p = b; return 0; }\n",
    "many.c": FUNCTIONS + "int main(int c, char **v) { int (*volatile f)(int) = f0; return f(c); }\n",
    "bare.c": "void _start(void) { for (;;) ; }\n",
    "calls.c": "int (*volatile f)(int);\nint g(int x) { return x; }\n"
    "int main(int c, char **v) { f = g; return f(c); }\n",
    "relocated.s": ".globl main\n.text\nmain: ret\n.quad main\n.section .note.GNU-stack\n",
    "pure.go": "package main\nfunc main() { println(1) }\n",
    "mixed.go": 'package main\n// #include <stdlib.h>\nimport "C"\nfunc main() { C.free(nil) }\n',
}
NONE = "-fno-stack-protector -U_FORTIFY_SOURCE"
HARD = "-O2 -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fPIE -pie -Wl,-z,relro,-z,now"
ARM = "aarch64-linux-gnu-gcc -O2"

TRUTH = {
    # name: (command without -o, what must be true)
    "gcc hardened": (
        f"gcc {HARD} buffer.c",
        {"relro": "full", "nx": "yes", "pie": "pie", "canary": "yes", "fortify": "yes", "bind_now": "yes"}
        | {"separate_code": "yes", "sanitizer": "no", "stripped": "no", "packed": "no", "libc": "glibc"},
    ),
    "gcc soft": (
        f"gcc -O2 {NONE} -no-pie -Wl,-z,norelro,-z,lazy buffer.c",
        {"relro": "none", "pie": "no", "canary": "no", "fortify": "no", "bind_now": "no"},
    ),
    "gcc lazy": ("gcc -O2 -fPIE -pie -Wl,-z,relro,-z,lazy buffer.c", {"relro": "partial", "bind_now": "no"}),
    "gcc with nothing to guard": (f"gcc -O2 {NONE} plain.c", {"canary": "na", "fortify": "na", "stack_clash": "na"}),
    "gcc executable stack": ("gcc -Wl,-z,execstack plain.c", {"nx": "no"}),
    "gcc stripped": (f"gcc {HARD} -s buffer.c", {"stripped": "yes", "canary": "yes", "cfi": "no"}),
    "gcc one segment": ("gcc -Wl,-z,noseparate-code plain.c", {"separate_code": "no"}),
    "gcc text relocations": ("gcc -shared -Wl,-z,notext relocated.s", {"textrel": True, "pie": "dso"}),
    "gcc writable code": ("gcc -nostdlib -static -Wl,-N bare.c", {"rwx": True}),
    "gcc fortify 1": (f"gcc -O2 {NONE} -D_FORTIFY_SOURCE=1 buffer.c", {"fortify": "yes", "says fortify": "level 1"}),
    "gcc fortify 2": (f"gcc -O2 {NONE} -D_FORTIFY_SOURCE=2 buffer.c", {"fortify": "yes", "says fortify": "level 2"}),
    "gcc fortify 3": (f"gcc -O2 {NONE} -D_FORTIFY_SOURCE=3 buffer.c", {"fortify": "yes", "says fortify": "level 3"}),
    "gcc probes": ("gcc -O2 -fstack-clash-protection large.c", {"stack_clash": "yes"}),
    "gcc probes of an array": ("gcc -O2 -fstack-clash-protection array.c", {"stack_clash": "yes"}),
    "gcc no probes of an array": ("gcc -O2 -fno-stack-clash-protection array.c", {"stack_clash": "undecided"}),
    "gcc no probes": ("gcc -O2 -fno-stack-clash-protection large.c", {"stack_clash": "no"}),
    "gcc asan": ("gcc -fsanitize=address buffer.c", {"sanitizer": "yes", "says sanitizer": "AddressSanitizer"}),
    "gcc ubsan": ("gcc -O1 -fsanitize=undefined large.c", {"sanitizer": "yes"}),
    "gcc ubsan that traps": (
        "gcc -fsanitize=undefined -fsanitize-undefined-trap-on-error buffer.c",
        {"sanitizer": "no"},
    ),
    "gcc runpath": (
        f"gcc {HARD} -Wl,--enable-new-dtags,-rpath,/tmp/a:$ORIGIN buffer.c",
        {"search": ["/tmp/a", "$ORIGIN"]},
    ),
    "gcc rpath": (f"gcc {HARD} -Wl,--disable-new-dtags,-rpath,/srv buffer.c", {"search": ["/srv"]}),
    "gcc cet lost": ("gcc -O1 -fcf-protection=full many.c", {"ibt": "partial", "cet": "no", "shstk": "no"}),
    "gcc no cet": ("gcc -O1 -fcf-protection=none many.c", {"ibt": "no"}),
    "gcc cet": ("gcc -fcf-protection=full -nostdlib -static bare.c", {"ibt": "yes", "shstk": "yes", "cet": "yes"}),
    "gcc static": (
        "gcc -O2 -static -fstack-protector-strong buffer.c",
        {"relro": "static", "canary": "undecided", "fortify": "undecided", "stack_clash": "undecided", "libc": "glibc"},
    ),
    "gcc static with its flags in a section": (
        "gcc -O2 -static -frecord-gcc-switches -fstack-protector-strong buffer.c",
        {"canary": "yes", "says canary": "recorded for 1 of 1 units"},
    ),
    "gcc static without canaries, with its flags": (
        "gcc -O2 -static -frecord-gcc-switches -fno-stack-protector buffer.c",
        {"canary": "no"},
    ),
    "gcc static with debug information": (
        "gcc -O2 -static -g -fstack-protector-strong buffer.c",
        {"canary": "yes", "says canary": "recorded for 1 of 1 units", "says stripped": ".debug_info"},
    ),
    "gcc static without canaries, with debug information": (
        "gcc -O2 -static -g -fno-stack-protector buffer.c",
        {"canary": "no"},
    ),
    "gcc static-pie": ("gcc -O2 -static-pie plain.c", {"pie": "static-pie", "relro": "static"}),
    "gcc object": ("gcc -c buffer.c", {"pie": "na", "relro": "na", "canary": "na", "stack_clash": "na"}),
    "musl": ("musl-gcc -O2 -fstack-protector-strong buffer.c", {"canary": "yes", "fortify": "na", "libc": "musl"}),
    "musl static": (
        "musl-gcc -O2 -static -fno-stack-protector buffer.c",
        {"canary": "undecided", "fortify": "na", "libc": "musl"},
    ),
    "clang": ("clang -O2 buffer.c", {"canary": "no", "fortify": "no", "says made": "Clang"}),
    "clang strong": ("clang -O2 -fstack-protector-strong buffer.c", {"canary": "yes"}),
    "clang probes": ("clang -O2 -fstack-clash-protection large.c", {"stack_clash": "yes"}),
    "clang asan": ("clang -fsanitize=address buffer.c", {"sanitizer": "yes"}),
    "clang minimal runtime": (
        "clang -O1 -fsanitize=signed-integer-overflow -fsanitize-minimal-runtime many.c",
        {"sanitizer": "no"},
    ),
    "clang cfi": ("clang -O1 -flto -fsanitize=cfi -fvisibility=hidden -fuse-ld=lld calls.c", {"cfi": "yes"}),
    "clang cfi stripped": (
        "clang -O1 -flto -fsanitize=cfi -fvisibility=hidden -fuse-ld=lld -s calls.c",
        {"cfi": "undecided"},
    ),
    "clang without cfi": ("clang -O1 calls.c", {"cfi": "no", "safestack": "no"}),
    "clang safestack": ("clang -fsanitize=safe-stack buffer.c", {"safestack": "yes"}),
    "lld one segment": ("clang -fuse-ld=lld -Wl,--no-rosegment plain.c", {"separate_code": "no"}),
    "go": (
        "go build pure.go",
        {"canary": "na", "fortify": "na", "stack_clash": "na", "made": "Go", "libc": "", "cfi": "no", "ibt": "no"},
    ),
    "go pie": ("go build -buildmode=pie pure.go", {"pie": "pie", "canary": "na", "made": "Go"}),
    "go with c": ("go build mixed.go", {"canary": "undecided", "made": "Go", "says made": "with C"}),
    "arm64 soft": (f"{ARM} {NONE} buffer.c", {"canary": "no", "fortify": "no", "bti": "no", "pac": "no", "ibt": "na"}),
    "arm64 hardened": (
        f"{ARM} -fstack-protector-strong -D_FORTIFY_SOURCE=2 buffer.c",
        {"canary": "yes", "fortify": "yes"},
    ),
    "arm64 with nothing to guard": (f"{ARM} {NONE} plain.c", {"canary": "na"}),
    "arm64 lost": (f"{ARM} -mbranch-protection=standard many.c", {"bti": "partial", "pac": "no"}),
    "arm64 marked": (f"{ARM} -mbranch-protection=standard -nostdlib -static bare.c", {"bti": "yes", "pac": "yes"}),
    "arm64 probes": (f"{ARM} -fstack-clash-protection large.c", {"stack_clash": "yes"}),
    "arm64 no probes": (f"{ARM} -fno-stack-clash-protection large.c", {"stack_clash": "no"}),
}
TOOLS = ("gcc", "musl-gcc", "clang", "ld.lld", "go", "aarch64-linux-gnu-gcc")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("truth")
    for name, text in SOURCES.items():
        (made / name).write_text(text)
    return made


@pytest.fixture(scope="session")
def made(folder):
    """Compiles what a row of the table asks for, once."""
    known: dict[str, bytes] = {}

    def make(name: str) -> bytes:
        if name not in known:
            compiler, *flags = TRUTH[name][0].split()
            path = folder / str(len(known))
            command = (
                [compiler, "build", "-o", path, *flags[1:]]
                if compiler == "go"
                else [compiler, "-w", "-o", path, *flags]
            )
            subprocess.run(command, cwd=folder, check=True, capture_output=True, env=_environment(folder))
            known[name] = path.read_bytes()
        return known[name]

    return make


def _environment(folder: Path) -> dict[str, str]:
    go = {
        "GOCACHE": str(folder / "go-cache"),
        "GOPATH": str(folder / "go"),
        "GOFLAGS": "-mod=mod",
        "GO111MODULE": "off",
    }
    return {**os.environ, **go, "LC_ALL": "C"}


def facts(data: bytes):
    file = File("it", "file", 0o755, 0, 0, len(data), Place(("it",)))
    found = hardening.examine(file, data)
    assert found
    told = {"textrel": found.textrel, "rwx": bool(found.rwx), "search": list(found.search), "libc": found.libc}
    return {**hardening.facts(found), **told}, {**found.evidence, "made": found.made}


@pytest.mark.parametrize("name", TRUTH)
def test_what_is_left_unread_changes_no_answer_and_no_evidence_that_is_printed(made, name):
    if missing := [tool for tool in _tools(TRUTH[name][0]) if shutil.which(tool) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    data = made(name)
    file = File("it", "file", 0o755, 0, 0, len(data), Place(("it",)))
    exact, quick = hardening.examine(file, data), hardening.examine(file, data, exact=False)
    assert quick.answers == exact.answers
    told = {key for key, answer in exact.answers.items() if answer != "yes"}
    assert {key: quick.evidence[key] for key in told} == {key: exact.evidence[key] for key in told}


def _tools(command: str) -> list[str]:
    return [command.split(maxsplit=1)[0], *(["ld.lld"] if "lld" in command else [])]


@pytest.mark.parametrize("name", TRUTH)
def test_what_a_compiler_was_told_is_what_is_said(made, name):
    command, truth = TRUTH[name]
    if missing := [tool for tool in _tools(command) if shutil.which(tool) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    if os.uname().machine != "x86_64":
        pytest.skip("needs x86_64")
    answers, evidence = facts(made(name))
    for key, value in truth.items():
        if key.startswith("says "):
            assert value in evidence[key.removeprefix("says ")], key
        elif key == "made":
            assert evidence["made"].startswith(value)
        else:
            assert answers[key] == value, (key, evidence.get(key))


def test_without_pyelftools_what_debug_information_would_tell_is_undecided(made, monkeypatch):
    if shutil.which("gcc") is None or os.uname().machine != "x86_64":
        pytest.skip("needs gcc on x86_64")
    monkeypatch.setitem(__import__("sys").modules, "elftools.elf.elffile", None)
    answers, _ = facts(made("gcc static with debug information"))
    assert answers["canary"] == "undecided"


def test_code_that_is_not_read_leaves_open_what_it_would_tell(made):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    data = made("gcc hardened")
    file = File("it", "file", 0o755, 0, 0, len(data), Place(("it",)))
    found = hardening.examine(file, data, code=False)
    assert (found.answer("canary"), found.answer("fortify"), found.answer("stack_clash")) == ("yes", "yes", "undecided")
    assert found.evidence["stack_clash"] == "its code was not read"


def test_what_upx_packed_is_not_seen(made):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    data = bytearray(made("gcc static"))
    data[0x300:0x304] = b"UPX!"  # where its loader's own header is
    answers, evidence = facts(bytes(data))
    assert (answers["packed"], answers["canary"]) == ("yes", "undecided")
    assert evidence["canary"].startswith("UPX! at byte 768")
