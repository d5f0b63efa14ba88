"""EFI programs: what the headers of a PE file say of its memory, its generation and its signatures.

By Microsoft's specification of the format and its requirements on what it signs for UEFI.
"""

from __future__ import annotations

from struct import Struct

from .source import DamagedError
from .startup import NamedTuple
from .subjects import EfiProgram, File

_DOS, _COFF, _SECTION_HEADER = 64, 24, Struct("<8sIIIIIIHHI")
_MAGICS = {0x10B: 96, 0x20B: 112}
"""Of the optional header, and where the data directories begin in it."""
_ALIGNMENT, _SUBSYSTEM, _CHARACTERISTICS = 32, 68, 70
_SUBSYSTEMS = {10: "application", 11: "boot driver", 12: "runtime driver", 13: "ROM"}
_CERTIFICATES, _NX_COMPAT = 4, 0x100
_EXECUTE, _WRITE = 0x20000000, 0x80000000
_SECTIONS = 96
"""Sections of a program: Windows refuses more."""
_PAGE = 4096
_SBAT_LINES = 64
_CERTIFICATE = Struct("<IHH")
_CERTIFICATES_MOST = 16
_MACHINES = {0x14C: "x86", 0x8664: "x86_64", 0xAA64: "arm64", 0x1C0: "arm", 0x1C2: "arm", 0x5064: "riscv64"}
_MACHINES |= {0x6264: "loongarch64", 0xEBC: "ebc"}


def sniff(head: bytes) -> bool:
    """Whether a file that starts so may be a PE file."""
    return head[:2] == b"MZ"


def is_efi(head: bytes) -> bool:
    """Whether the start of a file is that of a program for EFI."""
    at = int.from_bytes(head[60:64], "little")
    subsystem = int.from_bytes(head[at + _COFF + _SUBSYSTEM : at + _COFF + _SUBSYSTEM + 2], "little")
    return sniff(head) and head[at : at + 4] == b"PE\0\0" and subsystem in _SUBSYSTEMS


def read(file: File, data: bytes) -> EfiProgram | None:
    """The facts of `data`, the content of `file`; None when it is no PE file, or none for EFI. Raises DamagedError."""
    at = int.from_bytes(data[60:64], "little") if sniff(data) and len(data) >= _DOS else 0
    coff = data[at : at + _COFF]
    if len(coff) < _COFF or coff[:4] != b"PE\0\0":
        return None
    optional = at + _COFF
    size = int.from_bytes(coff[20:22], "little")
    header = data[optional : optional + size]
    directories = _MAGICS.get(int.from_bytes(header[:2], "little"), 0)
    if not directories or len(header) < directories:
        raise DamagedError(f"the optional header of a PE file at byte {optional} is of no known kind, or cut off")
    subsystem = _SUBSYSTEMS.get(int.from_bytes(header[_SUBSYSTEM : _SUBSYSTEM + 2], "little"))
    if subsystem is None:
        return None
    sections = _sections(data, optional + size, int.from_bytes(coff[6:8], "little"))
    machine = int.from_bytes(coff[4:6], "little")
    alignment = int.from_bytes(header[_ALIGNMENT : _ALIGNMENT + 4], "little")
    return EfiProgram(
        file,
        _MACHINES.get(machine, f"machine {machine:#x}"),
        subsystem,
        alignment,
        tuple(one.name for one in sections if one.flags & _EXECUTE and one.flags & _WRITE),
        tuple(one.name for one in sections if one.address % _PAGE),
        bool(int.from_bytes(header[_CHARACTERISTICS : _CHARACTERISTICS + 2], "little") & _NX_COMPAT),
        _sbat(data, sections),
        _certificates(data, header[directories + 8 * _CERTIFICATES : directories + 8 * _CERTIFICATES + 8]),
    )


class _Section(NamedTuple):
    name: str
    address: int
    offset: int
    size: int
    flags: int


def _sections(data: bytes, at: int, count: int) -> list[_Section]:
    if count > _SECTIONS:
        raise DamagedError(f"{count} sections of a PE file, more than {_SECTIONS}")
    table = data[at : at + count * _SECTION_HEADER.size]
    if len(table) < count * _SECTION_HEADER.size:
        raise DamagedError(f"the table of {count} sections at byte {at} breaks off")
    found = []
    for name, length, address, raw, offset, *_, flags in _SECTION_HEADER.iter_unpack(table):
        size = min(length, raw) if length else raw
        found.append(_Section(name.rstrip(b"\0").decode("utf-8", "replace"), address, offset, size, flags))
    return found


def _sbat(data: bytes, sections: list[_Section]) -> tuple[str, ...] | None:
    """The components and their generations (`shim,4`), None without such a section."""
    section = next((one for one in sections if one.name == ".sbat"), None)
    if section is None:
        return None
    text = data[section.offset : section.offset + min(section.size, 1 << 16)].rstrip(b"\0").decode("utf-8", "replace")
    lines = [line.split(",") for line in text.splitlines()[:_SBAT_LINES] if line.count(",")]
    return tuple(",".join(fields[:2]) for fields in lines)


def _certificates(data: bytes, directory: bytes) -> int:
    """How many certificates are attached: what stands at an offset in the file, each with its length and kind."""
    at, size = (int.from_bytes(directory[i : i + 4], "little") for i in (0, 4))
    if not at or not size:
        return 0
    end, count = at + size, 0
    if end > len(data):
        raise DamagedError(f"certificates end at byte {end}, the file at {len(data)}")
    while at + _CERTIFICATE.size <= end and count < _CERTIFICATES_MOST:
        length, _, _ = _CERTIFICATE.unpack_from(data, at)
        if length < _CERTIFICATE.size:
            break
        count += 1
        at += -(-length // 8) * 8
    return count
