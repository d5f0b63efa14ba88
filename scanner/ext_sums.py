"""The sums of ext4's metadata_csum, as the kernel's documentation of the disk layout has them: CRC-32C of each block.

Every sum but the superblock's begins with the file system's own, so that blocks of another one are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

_ALL = 0xFFFFFFFF
_U32, _U64 = Struct("<I"), Struct("<Q")
_FEATURE = 0x400
"""Compatible feature, for reading."""
_SEEDED = 0x2000
"""Incompatible feature: the superblock keeps what the sums begin with, as the identifier may have changed."""
_TAIL = b"\0\0\0\0\x0c\0\0\xde"
"""What looks like an entry at the end of a directory's block, in front of the sum."""


class Sums:
    """Compares sums, and keeps what was wrong of each kind."""

    def __init__(self, superblock: bytes) -> None:
        """`superblock` has 1024 bytes."""
        from google_crc32c import extend

        self._extend = extend
        self._wrong: dict[str, dict[str, None]] = {}
        seed = superblock[0x270:0x274] if _U32.unpack_from(superblock, 96)[0] & _SEEDED else b""
        self._seed = _U32.unpack(seed)[0] ^ _ALL if seed else extend(0, superblock[104:120])
        self._check("the superblock", "", extend(0, superblock[:1020]), _U32.unpack_from(superblock, 1020)[0], _ALL)

    def group(self, number: int, raw: bytes) -> None:
        """Of a group's descriptor: 16 bits, in the middle of it."""
        found = self._of(self._seed, _U32.pack(number), raw[:30], bytes(2), raw[32:])
        self._check("descriptors of groups", f"of group {number}", found, int.from_bytes(raw[30:32], "little"), 0xFFFF)

    def inode(self, number: int, raw: bytes) -> None:
        """Of an inode: the upper 16 bits stand in its extra part, if that reaches so far."""
        wide = len(raw) > 132 and int.from_bytes(raw[128:130], "little") >= 4  # noqa: PLR2004 - where the upper bits end
        rest = (raw[126:130], bytes(2), raw[132:]) if wide else (raw[126:],)
        found = self._of(self._of_inode(number, raw), raw[:124], bytes(2), *rest)
        high = int.from_bytes(raw[130:132], "little") << 16 if wide else 0
        total = high | int.from_bytes(raw[124:126], "little")
        self._check("inodes", f"of number {number}", found, total, _ALL if wide else 0xFFFF)

    def directory(self, number: int, inode: bytes, block: bytes) -> None:
        """Of a directory's block, if it ends with one; blocks of its index, which are not needed, do not."""
        if block[-12:-4] == _TAIL:
            found = self._of(self._of_inode(number, inode), block[:-12])
            self._check("blocks of directories", f"of inode {number}", found, _U32.unpack(block[-4:])[0], _ALL)

    def extents(self, number: int, inode: bytes, block: bytes) -> None:
        """Of a block of extents: behind the room for all that it can have."""
        at = 12 + 12 * int.from_bytes(block[4:6], "little")
        if at + 4 <= len(block):
            found = self._of(self._of_inode(number, inode), block[:at])
            self._check("blocks of extents", f"of inode {number}", found, _U32.unpack_from(block, at)[0], _ALL)

    def attributes(self, number: int, block: bytes) -> None:
        """Of a block of extended attributes, by its number."""
        found = self._of(self._seed, _U64.pack(number), block[:16], bytes(4), block[20:])
        self._check("blocks of attributes", f"at block {number}", found, _U32.unpack_from(block, 16)[0], _ALL)

    def told(self) -> Iterator[str]:
        """A line for each kind: the first, and how many."""
        for kind, found in self._wrong.items():
            first = next(iter(found))
            many = f": {len(found)}, the first {first}" if first else ""
            yield f"{kind} with a wrong checksum{many}; damaged, or changed by hand"

    def _check(self, kind: str, which: str, found: int, wanted: int, mask: int) -> None:
        if (found ^ _ALL) & mask != wanted:
            self._wrong.setdefault(kind, {})[which] = None

    def _of(self, total: int, *parts: bytes) -> int:
        return int(self._extend(total, b"".join(parts)))

    def _of_inode(self, number: int, raw: bytes) -> int:
        """What all that belongs to an inode begins with: its number and its generation."""
        return self._of(self._seed, _U32.pack(number), raw[100:104])


def sums(superblock: bytes) -> Sums | None:
    """None where the file system has none."""
    has_them = len(superblock) == 1024 and _U32.unpack_from(superblock, 100)[0] & _FEATURE  # noqa: PLR2004 - its length
    return Sums(superblock) if has_them else None
