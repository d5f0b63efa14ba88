"""Family B: programs that the firmware starts."""

from collections.abc import Iterator

from ..scanner.subjects import EfiProgram
from .engine import Profile, Severity, Verdict, fail, not_applicable, rule, undecided

_PAGE = 4096
_PART = "It is part of a unified kernel image, which is signed as a whole."


def _is_part(program: EfiProgram) -> bool:
    return program.file.path == ".linux"


def _lacks(program: EfiProgram, *arguments: str, variant: str = "default", **facts: object) -> Verdict:
    path = program.file.path
    return fail(path, program.place, path, *arguments, variant=variant, key=variant, **facts)  # type: ignore[arg-type]


@rule(
    "LKB018",
    "unprotected-efi-memory",
    Severity.LOW,
    {
        "writable": "'{0}' has memory that is both writable and executable: '{1}'.",
        "claim": "'{0}' claims NX_COMPAT, and cannot keep it: '{1}'.",
        "default": "'{0}' has sections aligned to '{1}' bytes: the firmware cannot protect parts of pages.",
        "unclaimed": "'{0}' does not claim NX_COMPAT: the firmware leaves its data executable.",
    },
    remedy="Link with sections of 4096 bytes, code apart from data, and set NX_COMPAT then (objcopy, sbsign keep it).",
    nist=("3.1.2", "3.5.5"),
    profile=Profile.PEDANTIC,
)
def unprotected_efi_memory(program: EfiProgram) -> Iterator[Verdict]:
    """A program that the firmware starts cannot have its memory protected, by how it is laid out.

    Microsoft asks for this of all that it signs. Code that is writable, and a claim that is not true, are findings for
    everybody: firmware that heeds it breaks the program.
    """
    aligned = program.alignment >= _PAGE and not program.misaligned
    why = f"SectionAlignment {program.alignment}" + "".join(
        f", {name} starts within a page" for name in program.misaligned
    )
    if program.nx and (program.writable_code or not aligned):
        lie = f"{', '.join(program.writable_code)} is writable and executable" if program.writable_code else why
        yield _lacks(program, lie, variant="claim", severity=Severity.MEDIUM, profile=Profile.REGULAR)
        return
    if program.writable_code:
        names = ", ".join(program.writable_code)
        yield _lacks(program, names, variant="writable", severity=Severity.MEDIUM, profile=Profile.REGULAR)
    if not aligned:
        yield _lacks(program, str(program.alignment), evidence=(why,))
    elif not program.nx:
        yield _lacks(program, variant="unclaimed", evidence=("DllCharacteristics without 0x100",))


@rule(
    "LKB019",
    "signed-efi-program-without-sbat",
    Severity.LOW,
    "'{0}' is signed, and has no generation (SBAT) by which it could be revoked.",
    remedy="Add a section .sbat with component, generation and origin before signing.",
    nist=("3.1.2", "3.5.5"),
    profile=Profile.PEDANTIC,
)
def signed_efi_program_without_sbat(program: EfiProgram) -> Iterator[Verdict]:
    """A signed program that the firmware or shim starts can be revoked one by one only, not with its generation."""
    if _is_part(program):
        yield not_applicable(program.file.path, program.place, _PART)
    elif not program.certificates:
        yield not_applicable(program.file.path, program.place, "It is not signed, so there is nothing to revoke.")
    elif program.sbat is None:
        yield _lacks(program, evidence=("no section .sbat",))


@rule(
    "LKB020",
    "broken-efi-signature",
    Severity.MEDIUM,
    "'{0}' bears a signature that is not of its content.",
    remedy="Take it anew from whoever signed it, or sign it again.",
    nist=("3.1.5", "3.5.5"),
)
def broken_efi_signature(program: EfiProgram) -> Iterator[Verdict]:
    """A program that the firmware starts was changed, or damaged, after it was signed.

    Whose signature it is, and whether a machine's firmware trusts it, is not judged. The extra `binaries` is needed to
    read signatures.
    """
    path = program.file.path
    if not program.certificates:
        yield not_applicable(path, program.place, "It is not signed.")
    elif program.signature == "broken":
        yield _lacks(program, evidence=(f"signed by {', '.join(program.signers)}",))
    elif program.signature != "matches":
        why = "that needs lief (the extra 'binaries'), or it is of no known kind"
        yield undecided(path, program.place, f"'{path}' has a signature that was not read: {why}.")


@rule(
    "LKB021",
    "unsigned-efi-program",
    Severity.NOTE,
    "'{0}' is not signed: a machine with Secure Boot does not start it.",
    remedy="Sign it with a key that the machine trusts (sbsign, pesign), or enrol its hash.",
    nist=("3.1.5", "3.5.5"),
    profile=Profile.AUDITOR,
)
def unsigned_efi_program(program: EfiProgram) -> Iterator[Verdict]:
    """A program that the firmware starts bears no signature, as nothing does that LinuxKit builds."""
    if _is_part(program):
        yield not_applicable(program.file.path, program.place, _PART)
    elif not program.certificates:
        yield _lacks(program, evidence=("no certificate table",))


RULES = (
    unprotected_efi_memory,
    signed_efi_program_without_sbat,
    broken_efi_signature,
    unsigned_efi_program,
)
