"""Formats that are known by a magic number and not read: they are named, never passed over."""

from __future__ import annotations

from .source import Source

_AT_START: tuple[tuple[int, bytes, str], ...] = (
    (0, b"sqsh", "squashfs file systems of the big-endian kind"),
    (0, b"070707", "cpio archives of the old kind"),
    (0, b"\xc7\x71", "cpio archives of the old kind"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archives"),
    (0, b"PK\x03\x04", "ZIP archives"),
    (0, b"Rar!\x1a\x07", "RAR archives"),
    (0, b"!<arch>\n", "ar archives"),
    (0, b"\xed\xab\xee\xdb", "RPM packages"),
    (0, b"vhdxfile", "VHDX disks"),
    (0x40, b"\x7f\x10\xda\xbe", "VDI disks"),
    (0, b"QED\0", "QED disks"),
    (0, b"WithoutFreeSpace", "Parallels disks"),
    (0, b"WithouFreSpacExt", "Parallels disks"),
    (0, b"LUKS\xba\xbe", "LUKS encrypted volumes"),
    (0, b"-FVE-FS-", "BitLocker encrypted volumes"),
    (3, b"-FVE-FS-", "BitLocker encrypted volumes"),
    (0, b"XFSB", "XFS file systems"),
    (3, b"NTFS    ", "NTFS file systems"),
    (3, b"EXFAT   ", "exFAT file systems"),
    (0, b"\x45\x3d\xcd\x28", "cramfs file systems"),
    (0, b"-rom1fs-", "romfs file systems"),
    (0, b"UBI#", "UBI volumes"),
    (0, b"\x31\x18\x10\x06", "UBIFS file systems"),
    (0, b"\x85\x19\x03\x20", "JFFS2 file systems"),
    (0, b"ANDROID!", "Android boot images"),
    (0, b"\xd0\x0d\xfe\xed", "flattened device trees and FIT images"),
    (0, b"\x52\x56\xbe\x1b\x81\xe8", "core images of GRUB"),
    (0, b"\xfc\x4e\x2b\xa9", "members of an MD array"),
    (0, b"MZ", "PE executables"),
)
"""(offset, magic, name) of those that stand at the very start, where nothing else can be."""

_SECTORS = tuple(512 * number for number in range(4))
_FURTHER_IN: tuple[tuple[int, bytes, str], ...] = (
    *((at + 24, b"LVM2 001", "LVM2 physical volumes") for at in _SECTORS),
    (0x400, b"\x10\x20\xf5\xf2", "F2FS file systems"),
    (0x1000, b"\xfc\x4e\x2b\xa9", "members of an MD array"),
    (0x1018, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), "bcachefs file systems"),
    (4086, b"SWAPSPACE2", "swap areas"),
    (4086, b"SWAP-SPACE", "swap areas"),
    (65526, b"SWAPSPACE2", "swap areas"),
    (0x8000, b"JFS1", "JFS file systems"),
    (0x8001, b"BEA01", "UDF file systems"),
    (0x10034, b"ReIsEr", "ReiserFS file systems"),
    (0x10040, b"_BHRfS_M", "btrfs file systems"),
)
"""Those that leave the start free, where a partition table may stand: they are asked after all others."""

_STRAYS = frozenset(
    {
        "7z archives",
        "ZIP archives",
        "RAR archives",
        "ar archives",
        "RPM packages",
        "flattened device trees and FIT images",
        "core images of GRUB",
        "swap areas",
        "PE executables",
    }
)
"""What lies about in folders and is nobody's system."""

REACH = 0x11000
"""Bytes from the start within which all of them are told."""


def at_start(source: Source) -> str | None:
    """The name, in the plural, of what starts so and is not read; None for anything else."""
    return _name(source, _AT_START)


def further_in(source: Source) -> str | None:
    """The same by what stands behind a start that is anybody's."""
    return _name(source, _FURTHER_IN)


def is_image(name: str) -> bool:
    """Whether what has this name may hold a system: a disk or a file system, that is."""
    return name not in _STRAYS


def _name(source: Source, table: tuple[tuple[int, bytes, str], ...]) -> str | None:
    head = source.pread(0, REACH if table is _FURTHER_IN else 128)
    return next((name for at, magic, name in table if head.startswith(magic, at)), None)
