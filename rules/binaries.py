"""Family B: the hardening of ELF programs and libraries."""

import re
from collections.abc import Collection, Iterator

from ..scanner.startup import late
from ..scanner.subjects import Binary
from .engine import Location, Profile, Severity, Verdict, fail, not_applicable, partial, rule, undecided
from .running import Standing, privilege, standing

_CONTAINER = late(r"containers/[^/]+/[^/]+/(?:rootfs|lower)/")
_FOREIGN = (
    (
        late(r"(?:boot|efi|isolinux|syslinux)/|usr/(?:lib|share)/(?:grub|isolinux|syslinux)/|.*\.c32$", re.IGNORECASE),
        "It belongs to a boot loader: no ELF loader of Linux ever maps it.",
    ),
    (late(r"(?:.*/)?vmlinux[^/]*$"), "It is a kernel: no ELF loader of Linux ever maps it."),
    (late(r"(?:usr/)?lib/modules/"), "It belongs to the kernel: no ELF loader of Linux maps it as a program."),
    (late(r"(?:usr/)?lib/firmware/"), "It is firmware: a device runs it, not Linux."),
)
_KINDS = {
    "object": "A relocatable object is an input of the linker: the flags are set when it is linked.",
    "debug": "It holds symbols for a debugger and is never loaded.",
    "damaged": "It breaks off or contradicts itself: what it does when it is loaded cannot be told.",
}


def beyond(binary: Binary) -> str:
    """Why the question does not arise for this file, "" when it does."""
    if binary.kind in _KINDS:
        return _KINDS[binary.kind]
    path = _CONTAINER.sub("", binary.file.path, count=1)
    return next((reason for pattern, reason in _FOREIGN if pattern.match(path)), "")


def _lacks(
    binary: Binary,
    fact: str,
    *arguments: str,
    severity: Severity = Severity.LOW,
    variant: str = "default",
    profile: Profile = Profile.REGULAR,
) -> Verdict:
    """The file fails by what `evidence[fact]` says, wherever it lies; what it grants, and who runs it, is weighed.

    Not so for what only auditors want to see.
    """
    files, stands = binary.files, standing(binary) if profile < Profile.AUDITOR else Standing()
    by_path = {file.path: file for file in files}

    def tell(paths: Collection[str]) -> Verdict:
        first, *others = (file for path, file in by_path.items() if path in paths)
        return fail(
            first.path,
            first.place,
            first.path,
            *arguments,
            note=privilege(first),
            related=[Location(file.place) for file in others],
            variant=variant,
            evidence=(binary.evidence.get(fact, ""), *stands.facts),
            severity=stands.severity(severity),
            profile=stands.profile(profile),
            members=by_path if len(files) > 1 else (),
            retold=tell if len(files) > 1 else None,
        )

    return tell(by_path)


def _spared(binary: Binary, reason: str) -> Verdict:
    if binary.kind == "damaged":
        return undecided(binary.file.path, binary.place, reason)
    return not_applicable(binary.file.path, binary.place, reason)


@rule(
    "LKB001",
    "executable-stack",
    Severity.MEDIUM,
    "'{0}' asks for an executable stack.",
    remedy="Link with -Wl,-z,noexecstack and give every assembly source a .note.GNU-stack section.",
    nist=("3.1.2", "3.4.4"),
)
def executable_stack(binary: Binary) -> Iterator[Verdict]:
    """A program or library makes the stacks of its process executable.

    Where a file says nothing (no GNU_STACK header), what the kernel and the C library make of it on that machine
    decides; where that depends on the kernel's version, the verdict is undecided.
    """
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif binary.nx == "no":
        yield _lacks(binary, "nx", severity=Severity.MEDIUM)
    elif binary.nx == "na":
        yield _spared(binary, f"The question does not arise: {binary.evidence.get('nx', '')}.")
    elif binary.nx == "undecided":
        yield undecided(binary.file.path, binary.place, f"It cannot be decided: {binary.evidence.get('nx', '')}.")


@rule(
    "LKB002",
    "writable-executable-segment",
    Severity.MEDIUM,
    "'{0}' has memory that is both writable and executable: '{1}'.",
    remedy="Find out what puts code and data into one segment (-Wl,-N, a linker script, a packer) and drop it.",
    nist=("3.1.2", "3.4.4"),
)
def writable_executable_segment(binary: Binary) -> Iterator[Verdict]:
    """A program or library is loaded into memory that is writable and executable at once."""
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif binary.rwx:
        yield _lacks(binary, "rwx", ", ".join(binary.rwx), severity=Severity.MEDIUM)


@rule(
    "LKB003",
    "text-relocations",
    Severity.LOW,
    "'{0}' has text relocations: its code is made writable while it is loaded.",
    remedy="Compile everything that is linked into it with -fPIC or -fPIE, and link with -Wl,-z,text to be told.",
    nist=("3.1.2", "3.4.4"),
)
def text_relocations(binary: Binary) -> Iterator[Verdict]:
    """A program or library has its code patched by the dynamic loader, which makes it writable for that."""
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif binary.textrel:
        yield _lacks(binary, "textrel")


@rule(
    "LKB004",
    "missing-relro",
    Severity.LOW,
    {
        "default": "'{0}' has no RELRO: the addresses of the functions it calls stay writable.",
        "partial": "'{0}' has partial RELRO: the addresses of functions that are bound lazily stay writable.",
    },
    remedy="Link with -Wl,-z,relro,-z,now.",
    nist=("3.1.2", "3.4.4"),
)
def missing_relro(binary: Binary) -> Iterator[Verdict]:
    """A program or library leaves its relocated tables, such as the global offset table, writable.

    Partial RELRO is what GNU ld gives by default; it is a finding of the pedantic profile unless the file grants
    privilege.
    """
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif binary.relro == "none":
        yield _lacks(binary, "relro")
    elif binary.relro == "partial":
        yield _lacks(binary, "relro", variant="partial", profile=Profile.PEDANTIC)
    elif binary.relro != "full":
        yield _spared(binary, f"There is nothing to protect: {binary.evidence.get('relro', '')}.")


@rule(
    "LKB005",
    "position-dependent-executable",
    Severity.LOW,
    {
        "default": "'{0}' is not position-independent: its code is always at the same address.",
        "static": "'{0}' is static and not position-independent: its code is always at the same address.",
    },
    remedy="Build it as PIE: -fPIE -pie (or -static-pie) for C, -buildmode=pie for Go.",
    nist=("3.1.2", "3.4.4"),
)
def position_dependent_executable(binary: Binary) -> Iterator[Verdict]:
    """A program is loaded at a fixed address, so address space layout randomisation leaves its code where it is.

    LinuxKit promises position-independent programs, Go's included, for what it ships itself. In a container's own
    tree a static one is a finding of the pedantic profile: that is how the Go toolchain links by default.
    """
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif binary.kind == "exec":
        yield _lacks(binary, "pie")
    elif binary.kind == "static":
        yield _lacks(
            binary, "pie", variant="static", profile=Profile.PEDANTIC if binary.file.container else Profile.REGULAR
        )


@rule(
    "LKB006",
    "missing-stack-canary",
    Severity.LOW,
    "'{0}' is compiled without stack canaries.",
    remedy="Compile with -fstack-protector-strong.",
    nist=("3.1.2", "3.4.4"),
)
def missing_stack_canary(binary: Binary) -> Iterator[Verdict]:
    """A program or library does not notice when a buffer on its stack overflows.

    No import of the handler is no proof: a program whose functions take no address of a local variable needs none. The
    code of x86-64 and arm64 tells.
    """
    yield from _compiled(binary, "canary")


@rule(
    "LKB007",
    "missing-fortify",
    Severity.LOW,
    "'{0}' is compiled without FORTIFY: it calls functions of the C library that do not check the size of buffers.",
    remedy="Compile with -O2 -D_FORTIFY_SOURCE=3 (2 for GCC before 12).",
    nist=("3.1.2", "3.4.4"),
    profile=Profile.PEDANTIC,
)
def missing_fortify(binary: Binary) -> Iterator[Verdict]:
    """A program or library calls functions of glibc in their unchecked form, which FORTIFY always replaces."""
    yield from _compiled(binary, "fortify", Profile.PEDANTIC)


def _compiled(binary: Binary, fact: str, profile: Profile = Profile.REGULAR) -> Iterator[Verdict]:
    """What the compiler did, or did in a part only."""
    path, why, answer = binary.file.path, binary.evidence.get(fact, ""), binary.answer(fact)
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif answer == "no":
        yield _lacks(binary, fact, profile=profile)
    elif answer == "na":
        yield _spared(binary, f"There is nothing to protect: {why}.")
    elif answer == "partial":
        yield partial(path, binary.place, f"'{path}' has it in a part only: {why}.")
    elif answer == "undecided":
        yield undecided(path, binary.place, f"It cannot be decided: {why}.")


@rule(
    "LKB008",
    "missing-stack-probes",
    Severity.LOW,
    "'{0}' grows its stack by more than a page at once without touching each page.",
    remedy="Compile with -fstack-clash-protection.",
    nist=("3.1.2", "3.4.4"),
    profile=Profile.PEDANTIC,
)
def missing_stack_probes(binary: Binary) -> Iterator[Verdict]:
    """A program or library has large frames that can jump over the guard page below a stack.

    The code of x86-64 and arm64 tells.
    """
    yield from _compiled(binary, "stack_clash", Profile.PEDANTIC)


@rule(
    "LKB009",
    "sanitizer-in-production",
    Severity.MEDIUM,
    "'{0}' contains a sanitizer: a runtime for finding bugs, which its environment can tell to write files.",
    remedy="Build what is shipped without -fsanitize, or with -fsanitize-minimal-runtime or -fsanitize-trap.",
    nist=("3.1.2", "3.4.4"),
)
def sanitizer_in_production(binary: Binary) -> Iterator[Verdict]:
    """A program or library is built for finding bugs, with a runtime that was never made to be safe."""
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif (answer := binary.answer("sanitizer")) == "yes":
        yield _lacks(binary, "sanitizer", severity=Severity.MEDIUM)
    elif answer != "no":
        yield from _compiled(binary, "sanitizer")


@rule(
    "LKB010",
    "insecure-library-path",
    Severity.MEDIUM,
    {
        "default": "'{0}' takes libraries from '{1}', where others than root may put them.",
        "relative": "'{0}' takes libraries from '{1}', below whatever folder it is started in.",
        "foreign": "'{0}' takes libraries from '{1}', a folder of the machine that it was built on.",
        "missing": "'{0}' takes libraries from '{1}', which is not in the image.",
        "beside": "'{0}' grants privilege, and takes libraries from '{1}', beside wherever it is linked to.",
    },
    remedy="Link without -rpath, or remove what is left of it: patchelf --remove-rpath, chrpath -d.",
    nist=("3.1.2", "3.4.4"),
)
def insecure_library_path(binary: Binary) -> Iterator[Verdict]:
    """A program or library takes its libraries from a folder that somebody else can write to, or create.

    The folders of RPATH or RUNPATH are looked up in the image, as its own loader would; `$ORIGIN` is the folder of the
    program. One that is not there is a finding of the pedantic profile.
    """
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif not binary.search:
        yield _spared(binary, "It has neither RPATH nor RUNPATH.")
    else:
        yield from _searched(binary)


def _searched(binary: Binary) -> Iterator[Verdict]:
    """A verdict for each folder that is of concern, and one for all that are not known."""
    grants = any(map(privilege, binary.files))
    for one in binary.directories:
        is_beside = grants and one.state == "fine" and "ORIGIN" in one.written
        if row := _FOLDERS.get("beside" if is_beside else one.state):
            variant, severity, profile = row
            told = f"RPATH or RUNPATH [{':'.join(binary.search)}]: {one.path or 'empty'} is {one.state}"
            verdict = _lacks(
                binary._replace(evidence={"search": told}),
                "search",
                one.written or ".",
                severity=severity,
                variant=variant,
                profile=profile,
            )
            yield verdict._replace(key=one.written)
    unknown = [one.written for one in binary.directories if one.state == "unknown"]
    if unknown or not binary.directories:
        path, named = binary.file.path, ":".join(unknown or binary.search)
        why = f"'{path}' takes libraries from '{named}', and what that is where it runs is not known."
        yield undecided(path, binary.place, why)


_FOLDERS = {
    "relative": ("relative", Severity.MEDIUM, Profile.REGULAR),
    "temporary": ("default", Severity.MEDIUM, Profile.REGULAR),
    "writable": ("default", Severity.MEDIUM, Profile.REGULAR),
    "foreign": ("foreign", Severity.LOW, Profile.PEDANTIC),
    "missing": ("missing", Severity.LOW, Profile.PEDANTIC),
    "beside": ("beside", Severity.LOW, Profile.REGULAR),
}
"""What is said of a folder in each state, and to whom."""


@rule(
    "LKB011",
    "packed-program",
    Severity.LOW,
    "'{0}' is packed: what it unpacks and runs is not seen by any scanner, and memory that it writes is executed.",
    remedy="Ship it unpacked (upx -d); an image is compressed as a whole anyway.",
    nist=("3.1.2", "3.1.4"),
)
def packed_program(binary: Binary) -> Iterator[Verdict]:
    """A program is packed by UPX, which undoes what its compiler and linker did to harden it."""
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif (answer := binary.answer("packed")) == "yes":
        yield _lacks(binary, "packed")
    elif answer != "no":
        yield from _compiled(binary, "packed")


@rule(
    "LKB012",
    "lost-branch-protection",
    Severity.LOW,
    {
        "default": "'{0}' is compiled for BTI, but one part of it is not: it is linked without the mark for it.",
        "x86": "'{0}' is compiled for IBT, but one part of it is not: it is linked without the mark for it.",
    },
    remedy="Link with -Wl,-z,force-bti (arm64) or -Wl,-z,cet-report=error to be told which part lacks it.",
    nist=("3.1.2", "3.4.4"),
    profile=Profile.PEDANTIC,
)
def lost_branch_protection(binary: Binary) -> Iterator[Verdict]:
    """A program or library has the instructions for checked branches, and not the mark that switches the checks on.

    On x86 it is a finding of the auditor profile: Linux does not check branches of programs there yet.
    """
    is_arm = binary.machine == "arm64"
    fact = "bti" if is_arm else "ibt"
    answer = binary.answer(fact)
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif answer == "partial":
        variant, profile = ("default", Profile.PEDANTIC) if is_arm else ("x86", Profile.AUDITOR)
        yield _lacks(binary, fact, variant=variant, profile=profile)
    elif answer in {"na", "undecided"}:
        yield from _compiled(binary, fact)
    elif answer == "no":
        yield _spared(binary, f"It is not compiled for it: {binary.evidence.get(fact, '')}.")


@rule(
    "LKB013",
    "executable-headers",
    Severity.NOTE,
    "'{0}' has its headers, and mostly its constants too, in executable memory.",
    remedy="Link with -Wl,-z,separate-code (GNU ld) or without --no-rosegment (lld).",
    nist=("3.1.2", "3.4.4"),
    profile=Profile.AUDITOR,
)
def executable_headers(binary: Binary) -> Iterator[Verdict]:
    """A program or library makes bytes executable that are no code, in which an attacker may find useful ones."""
    if reason := beyond(binary):
        yield _spared(binary, reason)
    elif (answer := binary.answer("separate_code")) == "no":
        yield _lacks(binary, "separate_code", severity=Severity.NOTE, profile=Profile.AUDITOR)
    elif answer != "yes":
        yield from _compiled(binary, "separate_code")


RULES = (
    executable_stack,
    writable_executable_segment,
    text_relocations,
    missing_relro,
    position_dependent_executable,
    missing_stack_canary,
    missing_fortify,
    missing_stack_probes,
    sanitizer_in_production,
    insecure_library_path,
    packed_program,
    lost_branch_protection,
    executable_headers,
)
