"""Makes the smallest binaries and kernel that are still true to their formats."""

from __future__ import annotations

import gzip
import struct

_EXIT = bytes.fromhex("b83c000000 31ff 0f05")  # mov $60, %eax; xor %edi, %edi; syscall
_LOAD, _DYNAMIC, _GNU_STACK, _GNU_RELRO = 1, 2, 0x6474E551, 0x6474E552
_R, _RW, _RX, _RWX = 4, 6, 5, 7
_PAGE = 0x1000


def hardened_elf() -> bytes:
    """An x86-64 program that ends at once: position-independent, RELRO, bound at start, no segment both W and X."""
    dynamic = struct.pack("<6Q", 30, 8, 0x6FFFFFFB, 0x08000001, 0, 0)  # FLAGS BIND_NOW, FLAGS_1 NOW PIE, NULL
    segments = (
        (_LOAD, _R, 0, _PAGE),
        (_LOAD, _RX, _PAGE, len(_EXIT)),
        (_LOAD, _RW, 2 * _PAGE, _PAGE),
        (_DYNAMIC, _RW, 2 * _PAGE, len(dynamic)),
        (_GNU_RELRO, _R, 2 * _PAGE, _PAGE),
        (_GNU_STACK, _RW, 0, 0),
    )
    head = _elf(3, _PAGE, segments, base=0)
    return head.ljust(_PAGE, b"\0") + _EXIT.ljust(_PAGE, b"\0") + dynamic.ljust(_PAGE, b"\0")


def careless_elf() -> bytes:
    """The same program at a fixed address, in one segment that is written and executed, its stack executable."""
    segments = ((_LOAD, _RWX, 0, _PAGE), (_GNU_STACK, _RWX, 0, 0))
    entry = 0x200
    return _elf(2, entry, segments, base=0x400000).ljust(entry, b"\0") + _EXIT.ljust(_PAGE - entry, b"\0")


def _elf(kind: int, entry: int, segments: tuple[tuple[int, int, int, int], ...], base: int) -> bytes:
    """The ELF header and the program headers; `segments` are (type, flags, offset, size)."""
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, base + entry, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    for type_, flags, offset, size in segments:
        address = base + offset if size else 0
        head += struct.pack("<IIQQQQQQ", type_, flags, offset, address, address, size, size, _PAGE if size else 16)
    return head


def kernel(release: str, config: str) -> bytes:
    """An x86 bzImage with everything a reader looks for and nothing that would boot: header, banner, IKCONFIG."""
    banner = f"Linux version {release} (demo@lkscan) (gcc version 13.2.0) #1 SMP Tue Apr 18 16:30:00 UTC 2017\n"
    blob = b"IKCFG_ST" + gzip.compress(config.encode(), mtime=0) + b"IKCFG_ED"
    payload = gzip.compress(banner.encode() + b"\0" + blob + b"\0", mtime=0)
    setup = bytearray(2 * 512)
    version = 0x300
    struct.pack_into("<B", setup, 0x1F1, 1)  # one sector of set-up code after the boot sector
    struct.pack_into("<HH", setup, 0x1FE, 0xAA55, 0x66EB)  # the boot signature, and the jump over the header
    struct.pack_into("<4sH", setup, 0x202, b"HdrS", 0x020F)
    struct.pack_into("<H", setup, 0x20E, version - 0x200)
    struct.pack_into("<B", setup, 0x211, 1)  # loaded high: a bzImage
    struct.pack_into("<II", setup, 0x248, 0, len(payload))  # where the payload is, from the end of the set-up code
    text = release.encode() + b" (demo@lkscan) #1 SMP Tue Apr 18 16:30:00 UTC 2017\0"
    setup[version : version + len(text)] = text
    return bytes(setup) + payload + bytes(-len(payload) % 16)
