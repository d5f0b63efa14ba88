"""Family B: the hardening of ELF programs and libraries."""

import re
from collections.abc import Iterator

from ..scanner.startup import late
from ..scanner.subjects import Binary
from .engine import Profile, Severity, Verdict, fail, not_applicable, partial, rule, undecided

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
_SET_ID = 0o6000


def _beyond(binary: Binary) -> str:
    """Why the question does not arise for this file, "" when it does."""
    if binary.kind in _KINDS:
        return _KINDS[binary.kind]
    path = _CONTAINER.sub("", binary.file.path, count=1)
    return next((reason for pattern, reason in _FOREIGN if pattern.match(path)), "")


def _privilege(binary: Binary) -> str:
    """What executing the file grants, "" when nothing."""
    if binary.file.mode & _SET_ID:
        return f"set-id, mode {binary.file.mode:04o}"
    return "holds file capabilities" if "security.capability" in binary.file.xattrs else ""


def _lacks(
    binary: Binary, fact: str, *arguments: str, variant: str = "default", profile: Profile | None = None
) -> Verdict:
    """The file fails by what `evidence[fact]` says; one that grants privilege counts for more, in every profile."""
    privilege = _privilege(binary)
    return fail(
        binary.file.path,
        binary.place,
        binary.file.path,
        *arguments,
        note=privilege,
        variant=variant,
        evidence=(binary.evidence.get(fact, ""), *filter(None, (privilege,))),
        severity=Severity.MEDIUM if privilege else None,
        profile=Profile.REGULAR if privilege else profile,
    )


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
    if reason := _beyond(binary):
        yield _spared(binary, reason)
    elif binary.nx == "no":
        yield _lacks(binary, "nx")
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
    if reason := _beyond(binary):
        yield _spared(binary, reason)
    elif binary.rwx:
        yield _lacks(binary, "rwx", ", ".join(binary.rwx))


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
    if reason := _beyond(binary):
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
    if reason := _beyond(binary):
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
    if reason := _beyond(binary):
        yield _spared(binary, reason)
    elif binary.kind == "exec":
        yield _lacks(binary, "pie")
    elif binary.kind == "static":
        yield _lacks(binary, "pie", variant="static", profile=Profile.PEDANTIC if binary.file.container else None)


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
    yield from _compiled(binary, "canary", binary.canary)


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
    yield from _compiled(binary, "fortify", binary.fortify)


def _compiled(binary: Binary, fact: str, answer: str) -> Iterator[Verdict]:
    """What the compiler did, or did in a part only."""
    path, why = binary.file.path, binary.evidence.get(fact, "")
    if reason := _beyond(binary):
        yield _spared(binary, reason)
    elif answer == "no":
        yield _lacks(binary, fact)
    elif answer == "na":
        yield _spared(binary, f"There is nothing to protect: {why}.")
    elif answer == "partial":
        yield partial(path, binary.place, f"'{path}' has it in a part only: {why}.")
    elif answer == "undecided":
        yield undecided(path, binary.place, f"It cannot be decided: {why}.")


RULES = (
    executable_stack,
    writable_executable_segment,
    text_relocations,
    missing_relro,
    position_dependent_executable,
    missing_stack_canary,
    missing_fortify,
)
