"""Makes tiny ELF files and kernel images, byte by byte, for the tests of their readers."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from dataclasses import dataclass, field

import lz4.block
from lzallright import LZOCompressor

from lkscan.scanner.compression import zstd_module
from lkscan.scanner.subjects import File, Place

REL, EXEC, DYN, CORE = 1, 2, 3, 4
LOAD, DYNAMIC, INTERP, STACK, RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
R, RW, RE, RWE = 4, 6, 5, 7
X86, ARM, X86_64, ARM64, MIPS, S390 = 3, 40, 62, 183, 8, 22
NEEDED, PLTRELSZ, PLTGOT, STRTAB, STRSZ, SONAME, PLTREL, DEBUG, TEXTREL = 1, 2, 3, 5, 10, 14, 20, 21, 22
BIND_NOW, FLAGS, FLAGS_1, RELA, HASH, SYMTAB, JMPREL = 24, 30, 0x6FFFFFFB, 7, 4, 6, 23
BASE = 0x10000
"""The address of the file's first byte; the only readable segment maps the whole file there."""


def a_file(content: bytes, path: str = "usr/bin/it") -> File:
    return File(path, "file", 0o755, 0, 0, len(content), Place(("image", path)))


@dataclass
class Lab:
    """A program or library; each field is what its headers shall say."""

    type: int = DYN
    machine: int = X86_64
    bits: int = 64
    order: str = "<"
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    soname: str = ""
    tags: tuple[tuple[int, int], ...] = ()
    has_dynamic: bool = True
    stack: int | None = RW
    relro: tuple[int, int] | None = (0x20000, 0x1000)
    loads: tuple[int, ...] = (RW,)
    segments: tuple[tuple[int, int, int, int, int, int], ...] = ()
    imports: tuple[str, ...] = ()
    strings: bytes = field(init=False, default=b"\0")

    def build(self) -> bytes:
        self.strings = b"\0"
        head, entry = (64, 56) if self.bits == 64 else (52, 32)
        fixed = 1 + len(self.loads) + len(self.segments)
        count = fixed + bool(self.interpreter) + self.has_dynamic + (self.stack is not None) + (self.relro is not None)
        start = head + entry * count
        tags = [(NEEDED, self._string(one)) for one in self.needed] + list(self.tags)
        tags += [(SONAME, self._string(self.soname))] if self.soname else []
        names = [self._string(one) for one in self.imports]
        symbols = self._symbols(names) if names else b""
        after = start + len(self.strings)
        tags += [(SYMTAB, BASE + after), (HASH, BASE + after + len(symbols) - 8)] if names else []
        tags += [(STRTAB, BASE + start), (STRSZ, len(self.strings)), (0, 0)]
        word = self.order + ("QQ" if self.bits == 64 else "II")
        dynamic = b"".join(struct.pack(word, *one) for one in tags) if self.has_dynamic else b""
        interpreter = self.interpreter.encode() + b"\0" if self.interpreter else b""
        after += len(symbols)
        size = after + len(dynamic) + len(interpreter)
        segments = [(LOAD, RE, 0, BASE, size, size), *((LOAD, one, 0, 0x20000, 0, 0x2000) for one in self.loads)]
        segments += [(DYNAMIC, RW, after, BASE + after, len(dynamic), len(dynamic))] if self.has_dynamic else []
        segments += [(INTERP, R, after + len(dynamic), 0, len(interpreter), 0)] if interpreter else []
        segments += [(STACK, self.stack, 0, 0, 0, 0)] if self.stack is not None else []
        segments += [(RELRO, R, 0, self.relro[0], self.relro[1], self.relro[1])] if self.relro else []
        segments += list(self.segments)
        table = b"".join(self._segment(*one) for one in segments)
        return self._header(count, head, entry) + table + self.strings + symbols + dynamic + interpreter

    def _symbols(self, names: list[int]) -> bytes:
        """Undefined symbols behind the first, and the head of a hash table, which tells how many there are."""
        shape = self.order + ("I4xQQ" if self.bits == 64 else "III4x")
        table = b"".join(struct.pack(shape, name, 0, 0) for name in (0, *names))
        return table + struct.pack(self.order + "II", 0, 1 + len(names))

    def _string(self, text: str) -> int:
        offset = len(self.strings)
        self.strings += text.encode() + b"\0"
        return offset

    def _segment(self, *values: int) -> bytes:
        kind, flags, offset, address, filesize, memsize = values
        if self.bits == 64:
            return struct.pack(self.order + "IIQQQQQQ", kind, flags, offset, address, address, filesize, memsize, 1)
        return struct.pack(self.order + "IIIIIIII", kind, offset, address, address, filesize, memsize, flags, 1)

    def _header(self, count: int, head: int, entry: int) -> bytes:
        return header(self.type, self.machine, self.bits, self.order, segments=(head, entry, count))


def header(kind, machine=X86_64, bits=64, order="<", *, segments=(0, 0, 0), sections=(0, 0, 0, 0)) -> bytes:
    """The ELF header; `segments` = (offset, size of one, count), `sections` the same and the index of the names."""
    word = "Q" if bits == 64 else "I"
    head = 64 if bits == 64 else 52
    ident = b"\x7fELF" + bytes((bits // 32, "<>".index(order) + 1, 1)) + bytes(9)
    rest = (kind, machine, 1, 0, segments[0], sections[0], 0, head, *segments[1:], *sections[1:])
    return ident + struct.pack(f"{order}HHI{word}{word}{word}IHHHHHH", *rest)


def relocatable(sections: dict[bytes, bytes], *, kind: int = REL, types: dict[bytes, int] | None = None) -> bytes:
    """An object (64 bits, little endian) with these allocated sections; `types` overrides SHT_PROGBITS."""
    names = b"\0" + b"".join(name + b"\0" for name in (*sections, b".shstrtab"))
    rows, body = [(0,) * 10], b""
    for name, content in sections.items():
        shape = (types or {}).get(name, 1)
        rows.append((names.index(name + b"\0"), shape, 2, 0, 64 + len(body), len(content), 0, 0, 1, 0))
        body += b"" if shape == 8 else content
    rows.append((names.index(b".shstrtab\0"), 3, 0, 0, 64 + len(body), len(names), 0, 0, 1, 0))
    body += names
    table = b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)
    return header(kind, sections=(64 + len(body), 64, len(rows), len(rows) - 1)) + body + table


def sectioned(data, sections):
    """The same with sections, name -> (type, content), none of them loaded; .symtab's names are in the next one."""
    names = b"\0" + b"".join(name + b"\0" for name in (*sections, b".shstrtab"))
    rows, body = [(0,) * 10], b""
    for number, (name, (kind, content)) in enumerate(sections.items(), 2):
        rows.append((names.index(name + b"\0"), kind, 0, 0, len(data) + len(body), len(content), number, 0, 1, 0))
        body += content
    rows.append((names.index(b".shstrtab\0"), 3, 0, 0, len(data) + len(body), len(names), 0, 0, 1, 0))
    whole = bytearray(data + body + names)
    struct.pack_into("<Q", whole, 40, len(whole))
    struct.pack_into("<HHH", whole, 58, 64, len(rows), len(rows) - 1)
    return bytes(whole) + b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)


def module(*pairs: str, signed: bool = False) -> bytes:
    info = b"".join(pair.encode() + b"\0" for pair in pairs)
    data = relocatable({b".text": b"\x90", b".modinfo": info})
    signature = b"S" * 40 + bytes((0, 0, 2, 0, 0, 0, 0, 0)) + struct.pack(">I", 40) + TRAILER
    return data + signature if signed else data


TRAILER = b"~Module signature appended~\n"
CONFIG = b"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.1 Kernel Configuration\n#\nCONFIG_A=y\n"
BANNER = b"Linux version 6.12.1-lab (me@here) (cc 1, ld 2) #7 SMP Mon Jan 1 00:00:00 UTC 2024"
STAND_IN = b"Linux version 6.12.1-lab (me@here) (cc 1, ld 2) # SMP \n"


def core(config: bytes | None = CONFIG, banner: bytes = BANNER) -> bytes:
    """What a kernel holds once unpacked: both banners and IKCONFIG."""
    blob = b"IKCFG_ST" + gzip.compress(config, mtime=0) + b"IKCFG_ED" if config is not None else b""
    return b"\0text\0" + STAND_IN + b"\0" + banner + b"\n\0" + blob + b"\0" * 64


def vmlinux(config: bytes | None = CONFIG, banner: bytes = BANNER, machine: int = X86_64) -> bytes:
    return Lab(EXEC, machine, has_dynamic=False, relro=None).build() + core(config, banner)


def lz4_legacy(data: bytes) -> bytes:
    blocks = (data[at : at + (8 << 20)] for at in range(0, len(data), 8 << 20))
    packed = (lz4.block.compress(block, store_size=False) for block in blocks)
    return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(block)) + block for block in packed)


def lzop(data: bytes, flags: int = 1) -> bytes:
    """A file as lzop writes it; the flags say which sums there are."""
    name = b"name"
    head = struct.pack(">HHHBBIIII", 0x1040, 0x20A0, 0x0940, 3, 9, flags, 0, 0, 0) + bytes((len(name),)) + name
    out = b"\x89LZO\0\r\n\x1a\n" + head + struct.pack(">I", zlib.adler32(head))
    for at in range(0, len(data), 256 << 10):
        block = data[at : at + (256 << 10)]
        packed = min(bytes(LZOCompressor().compress(block)), block, key=len)
        sums = [(1, zlib.adler32(block)), (0x100, zlib.crc32(block))]
        sums += [(2, zlib.adler32(packed)), (0x200, zlib.crc32(packed))] if len(packed) < len(block) else []
        out += struct.pack(">II", len(block), len(packed))
        out += b"".join(struct.pack(">I", one) for flag, one in sums if flags & flag) + packed
    return out + bytes(4)


def lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


def zstd(data: bytes) -> bytes:
    return zstd_module().compress(data)


PACKERS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "lzma": lzma_alone,
    "bzip2": bz2.compress,
    "zstd": zstd,
    "lz4-legacy": lz4_legacy,
    "lzo": lzop,
}


def packed(data: bytes, kind: str) -> bytes:
    """A kernel's payload: compressed, and the size appended unless it is gzip."""
    return PACKERS[kind](data) + (b"" if kind == "gzip" else struct.pack("<I", len(data)))


def bzimage(
    payload: bytes, release: bytes = b"6.12.1-lab (me@here) #7 SMP", protocol: int = 0x20F, flags: int = 1
) -> bytes:
    setup = bytearray(2 * 512)
    setup[0x1F1] = 1
    setup[0x1FE:0x206] = b"\x55\xaaXXHdrS"
    struct.pack_into("<H", setup, 0x206, protocol)
    struct.pack_into("<H", setup, 0x20E, 0x300 - 0x200)
    struct.pack_into("<H", setup, 0x236, flags)
    struct.pack_into("<II", setup, 0x248, 32, len(payload))
    setup[0x300 : 0x300 + len(release)] = release
    return bytes(setup) + bytes(32) + payload


def zboot(inner: bytes, kind: str, machine: int = 0xAA64) -> bytes:
    payload = PACKERS[kind](inner)
    head = bytearray(0x80)
    head[0:8] = b"MZ\0\0zimg"
    struct.pack_into("<II", head, 8, len(head), len(payload))
    head[24 : 24 + len(kind)] = kind.encode()
    struct.pack_into("<I", head, 0x3C, 0x40)
    head[0x40:0x46] = b"PE\0\0" + struct.pack("<H", machine)
    return bytes(head) + payload + (b"" if kind == "gzip" else struct.pack("<I", len(inner)))


def image(magic: bytes = b"ARM\x64", at: int = 0x38, config: bytes | None = CONFIG) -> bytes:
    head = bytearray(64)
    head[at : at + len(magic)] = magic
    return bytes(head) + core(config)


def s390(release: bytes = b"6.12.1-lab (me@here) #7") -> bytes:
    data = bytearray(0x10800)
    data[0x10008:0x1000E] = b"S390EP"
    struct.pack_into(">Q", data, 0x10428, 0x10700)
    data[0x10700 : 0x10700 + len(release)] = release
    return bytes(data)
