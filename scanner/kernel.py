"""Kernel images: release, banner and built-in configuration (IKCONFIG) of bzImage, EFI zboot, Image and vmlinux."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from functools import cache
from struct import Struct

from . import kconfig
from .compression import expand, identify, peek
from .elf import MAGIC as ELF_MAGIC
from .elf import Elf
from .source import Budget, DamagedError, LimitError, Limits
from .subjects import Kernel, Place

HEAD = 0x10010
"""Bytes that `sniff` wants to see: s390's mark stands at 0x10008."""

_SUFFIX = {"gzip": "gz", "zstd": "zst", "bzip2": "bz2", "lz4-legacy": "lz4"}
_PE_ARCH = {0xAA64: "arm64", 0x5064: "riscv64", 0x5032: "riscv32", 0x6264: "loongarch64", 0x6232: "loongarch32"}
_NO_IKCONFIG = "no IKCONFIG in the kernel"
_HITS = 8
"""Places that look like a banner or a configuration and are looked at: a kernel has two and one."""

_U16, _U32, _U64_BIG = Struct("<H"), Struct("<I"), Struct(">Q")
_RELEASE = re.compile(rb"\d[\x21-\x7e]{0,127}")
_BANNER = re.compile(rb"Linux version (\d[\x21-\x7e]{0,127}) \([\x20-\xff]{0,1024}")
_BUILD = re.compile(r"#\d")
_PACKED = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"\x02\x21\x4c\x18", b"\x5d\0\0", b"\x89LZO")
"""How what the kernel's usr/Makefile compresses starts."""
_PACKED_HITS, _PACKED_LOOK = 256, 1 << 20
_S390_START = 1 << 12
"""Bytes that come out of the payload of an s390 kernel at least: chance looks like a magic number, too."""
_CPIO = b"070701"
_CPIO_HEADER = re.compile(rb"070701[0-9A-Fa-f]{104}")
_CPIO_END = re.compile(rb"070701[0-9A-Fa-f]{104}TRAILER!!!\0")
_OWN_INITRAMFS = re.compile(
    rb"(?:070701[0-9A-Fa-f]{104}/?(?:dev|dev/console|root)\0{1,4})*070701[0-9A-Fa-f]{104}TRAILER!!!\0"
)
"""What usr/default_cpio_list of the kernel's sources makes."""
_MODULES = re.compile(
    rb"\0((?:landlock|lockdown|yama|loadpin|safesetid|ipe|integrity|selinux|smack|tomoyo|apparmor|bpf)"
    rb"(?:,(?:landlock|lockdown|yama|loadpin|safesetid|ipe|integrity|selinux|smack|tomoyo|apparmor|bpf))+)\0"
)
"""CONFIG_LSM, as the kernel keeps it."""
_CONFIG_START, _CONFIG_END = b"IKCFG_ST", b"IKCFG_ED"


def sniff(head: bytes) -> bool:
    """Whether a file that starts with `head` (HEAD bytes of it) is a kernel image, gzipped ones included.

    A plain ELF vmlinux looks like any program here: `has_banner` tells it by its content.
    """
    if identify(head[:16]) != "gzip":
        return _format(head) is not None
    try:
        return _format(peek(head, "gzip", 0x1000)) is not None
    except DamagedError:
        return False


def has_banner(data: bytes) -> bool:
    """Whether a kernel's banner with its build number is in `data`, as in a vmlinux and in nothing else that is ELF."""
    return bool(_BUILD.search(_banner(data)))


def read(data: bytes, place: Place, budget: Budget | None = None) -> Kernel:
    """The facts of a kernel image: bzImage, EFI zboot, arm64 and RISC-V Image, vmlinux; the last three compressed too.

    `config` is None and `config_source` says why where there is none to be had. Raises DamagedError when it is no
    kernel, breaks off or contradicts itself, LimitError when it unpacks to more than Limits.body or the `budget`.
    """
    found = _format(data)
    if found:
        kernel, payload = _READERS[found](data, place)
        return kernel if payload is None else _opened(kernel, payload, budget)
    compression = identify(data[:16])
    if compression:
        inner = expand(data, compression, Limits().body, budget)
        found = _format(inner)
        if found in {"Image", "riscv Image"} or _is_vmlinux(inner):
            kernel = read(inner, place)
            form = f"{kernel.format}.{_SUFFIX.get(compression, compression)}"
            return kernel._replace(format=form, compression=compression)
    elif _is_vmlinux(data):
        return _described(Kernel(place, "", "", "", "vmlinux", ""), data)
    raise DamagedError("no kernel image of a known format")


def outline(data: bytes, place: Place, why: str) -> Kernel | None:
    """A kernel that `read` finds damaged, as far as its header tells; `why` goes into `config_source`."""
    found = _format(data)
    if found is None:
        return None
    known = Kernel(place, "", "", "", found, "", config_source=why)
    if found == "bzImage":
        return known._replace(version=_version_in_setup(data), arch="x86_64" if _flags(data) & 1 else "x86")
    return known


def _format(head: bytes) -> str | None:
    if head[0x1FE:0x200] == b"\x55\xaa" and head[0x202:0x206] == b"HdrS":
        return "bzImage"
    if head[:2] == b"MZ" and head[4:8] == b"zimg":
        return "EFI zboot"
    if head[0x38:0x3C] == b"ARM\x64":
        return "Image"
    if head[0x30:0x38] == b"RISCV\0\0\0":
        return "riscv Image"
    return "s390 image" if head[0x10008:0x1000E] == b"S390EP" else None


def _is_vmlinux(data: bytes) -> bool:
    return data.startswith(ELF_MAGIC) and has_banner(data)


_Found = tuple[Kernel, bytes | None]
"""A kernel as far as its header tells, and the compressed payload that tells the rest, None where there is none."""


def _bzimage(data: bytes, place: Place) -> _Found:
    """x86, by the boot protocol: Documentation/arch/x86/boot.rst."""
    setup = ((data[0x1F1] or 4) + 1) * 512
    if len(data) <= setup:
        raise DamagedError(f"the kernel's real-mode part ends at byte {setup}, the file at {len(data)}")
    arch = "x86_64" if _flags(data) & 1 else "x86"
    kernel = Kernel(place, _version_in_setup(data), "", arch, "bzImage", "")
    if _number(data, _U16, 0x206) < 0x208:  # noqa: PLR2004 - boot protocol 2.08 brought the payload's place
        return kernel._replace(config_source="boot protocol before 2.08 hides the payload"), None
    offset, length = setup + _number(data, _U32, 0x248), _number(data, _U32, 0x24C)
    return kernel, _payload(data, offset, length)


def _version_in_setup(data: bytes) -> str:
    """The release that the real-mode part points to, "" where it points out of itself."""
    setup = ((data[0x1F1] or 4) + 1) * 512
    pointer = int.from_bytes(data[0x20E:0x210], "little")
    return _release(data, pointer + 0x200) if 0 < pointer < setup - 0x200 else ""


def _flags(data: bytes) -> int:
    """xloadflags, which boot protocol 2.12 brought."""
    protocol = int.from_bytes(data[0x206:0x208], "little")
    return int.from_bytes(data[0x236:0x238], "little") if protocol >= 0x20C else 0  # noqa: PLR2004


def _zboot(data: bytes, place: Place) -> _Found:
    """arm64, RISC-V and LoongArch: drivers/firmware/efi/libstub/zboot-header.S."""
    offset, length = _number(data, _U32, 8), _number(data, _U32, 12)
    machine = _number(data, _U16, _number(data, _U32, 0x3C) + 4)
    kernel = Kernel(place, "", "", _PE_ARCH.get(machine, f"PE machine {machine:#x}"), "EFI zboot", "")
    gzip = identify(data[offset : offset + 16]) == "gzip"
    return kernel, _payload(data, offset, length if gzip else length + 4)


def _image(data: bytes, place: Place) -> _Found:
    """arm64: Documentation/arch/arm64/booting.rst. Not compressed."""
    return _described(Kernel(place, "", "", "arm64", "Image", ""), data), None


def _riscv_image(data: bytes, place: Place) -> _Found:
    """RISC-V: Documentation/arch/riscv/boot-image-header.rst. The configuration tells the width."""
    kernel = _described(Kernel(place, "", "", "riscv64", "Image", ""), data)
    return kernel._replace(arch="riscv32") if (kernel.config or {}).get("32BIT") == "y" else kernel, None


def _s390(data: bytes, place: Place) -> _Found:
    """s390: the parameter area at 0x10400 points to the release; nothing points to the payload, which others follow."""
    version = _release(data, _number(data, _U64_BIG, 0x10428))
    kernel = Kernel(place, version, "", "s390x", "bzImage", "")
    for magic in _PACKED:
        for at in _hits(data, magic, _PACKED_HITS):
            kind = identify(data[at : at + 16])
            if kind and len(_start(data[at : at + _PACKED_LOOK], kind, _S390_START)) == _S390_START:
                return kernel, data[at:]
    return kernel._replace(config_source="the payload is not found"), None


_READERS = {
    "bzImage": _bzimage,
    "EFI zboot": _zboot,
    "Image": _image,
    "riscv Image": _riscv_image,
    "s390 image": _s390,
}


def _number(data: bytes, shape: Struct, offset: int) -> int:
    if offset + shape.size > len(data):
        raise DamagedError(f"a kernel's header reaches to byte {offset + shape.size}, the file ends at {len(data)}")
    number: int = shape.unpack_from(data, offset)[0]
    return number


def _release(data: bytes, offset: int) -> str:
    match = _RELEASE.match(data[offset : offset + 128])
    return match[0].decode() if match else ""


def _payload(data: bytes, offset: int, length: int) -> bytes:
    if offset + length > len(data):
        raise DamagedError(f"the kernel's payload ends at byte {offset + length}, the file at {len(data)}")
    return data[offset : offset + length]


def _opened(kernel: Kernel, payload: bytes, budget: Budget | None) -> Kernel:
    """`kernel` with what its compressed payload tells.

    The last four bytes of the payload are the unpacked size: in gzip its own, appended to all others. On s390, where
    the payload ends is not known.
    """
    compression = identify(payload[:16])
    if compression is None:
        return kernel._replace(config_source="payload of an unknown compression")
    if kernel.arch == "s390x":
        inner = expand(payload, compression, Limits().body, budget)
        return _described(kernel._replace(compression=compression), inner, budget)
    size = _number(payload[-4:], _U32, 0)
    if size > Limits().body:
        raise LimitError(f"a kernel that unpacks to {size} bytes, more than {Limits().body}")
    inner = expand(payload if compression == "gzip" else payload[:-4], compression, size, budget)
    return _described(kernel._replace(compression=compression), inner, budget)


def _described(kernel: Kernel, inner: bytes, budget: Budget | None = None) -> Kernel:
    """`kernel` with what it says of itself once unpacked; in an ELF file the header tells the architecture best."""
    banner = _banner(inner)
    text, source = configuration(inner)
    config = None if text is None else kconfig.parse(text)
    return kernel._replace(
        version=kernel.version or banner.removeprefix("Linux version ").partition(" ")[0],
        banner=banner,
        arch=Elf(inner).machine if inner.startswith(ELF_MAGIC) else kernel.arch,
        config=config,
        config_source=source,
        config_text=text or b"",
        initramfs=_initramfs(inner)
        or (_packed_initramfs(inner, budget) if (config or {}).get("INITRAMFS_SOURCE", '""') != '""' else b""),
        traces=_traces(inner) if config is None else (),
    )


@cache
def _texts() -> dict[str, bytes]:
    """Option -> the text that suggests it."""
    import tomli

    with open(os.path.join(os.path.dirname(__file__), "kernel_traces.toml"), "rb") as file:
        return {option: text.encode() for option, text in tomli.load(file).items()}


def _traces(inner: bytes) -> tuple[tuple[str, str], ...]:
    """Options that the kernel probably has, each with what suggests so: texts, and the list of security modules."""
    try:
        constants = Elf(inner).section_named(b".rodata") or inner if inner.startswith(ELF_MAGIC) else inner
    except DamagedError:
        constants = inner
    found = [(option, text.decode()) for option, text in _texts().items() if text in constants]
    modules = next(
        filter(None, (_MODULES.search(inner, max(0, at - 128), at + 128) for at in _hits(inner, b"yama,"))), None
    )
    return (*found, *([("LSM", modules[1].decode())] if modules else []))


def _initramfs(inner: bytes) -> bytes:
    """The root file system that is built in, where it is not compressed; b"" for none.

    Every kernel has one: of 512 bytes, with a console for init, if nothing else was asked for (INITRAMFS_SOURCE).
    """
    start = inner.find(_CPIO)
    while start >= 0 and not _CPIO_HEADER.match(inner, start):
        start = inner.find(_CPIO, start + 1)
    end = _CPIO_END.search(inner, start) if start >= 0 else None
    found = inner[start : end.end()] if end else b""
    return b"" if _OWN_INITRAMFS.fullmatch(found) else found


def _packed_initramfs(inner: bytes, budget: Budget | None) -> bytes:
    """The same where it is compressed, unpacked; b"" when none is found. Raises DamagedError, LimitError."""
    for magic in _PACKED:
        for at in _hits(inner, magic, _PACKED_HITS):
            kind = identify(inner[at : at + 16])
            if kind and _start(inner[at : at + _PACKED_LOOK], kind, len(_CPIO)) == _CPIO:
                return expand(inner[at:], kind, Limits().body, budget)
    return b""


def _start(data: bytes, kind: str, length: int) -> bytes:
    """The first bytes inside of what may be compressed; b"" where it is not."""
    try:
        return peek(data, kind, length)
    except DamagedError:
        return b""


def _hits(data: bytes, needle: bytes, most: int = _HITS) -> Iterator[int]:
    """The offsets of the first occurrences."""
    offset = data.find(needle)
    for _ in range(most):
        if offset < 0:
            return
        yield offset
        offset = data.find(needle, offset + 1)


def _banner(data: bytes) -> str:
    """The line "Linux version …"; since 6.1 there are two, and the one without a build number is a stand-in."""
    matches = (_BANNER.match(data, offset) for offset in _hits(data, b"Linux version "))
    lines = [match[0].decode("utf-8", "replace") for match in matches if match]
    return next((line for line in lines if _BUILD.search(line)), lines[0] if lines else "")


def configuration(data: bytes) -> tuple[bytes | None, str]:
    """(the text of IKCONFIG or None, where it came from or why there is none), of a kernel or its module configs."""
    reason = _NO_IKCONFIG
    for offset in _hits(data, _CONFIG_START + b"\x1f\x8b\x08"):
        text = _inflated(data, offset + len(_CONFIG_START))
        if text is not None:
            return text, "IKCONFIG"
        reason = f"IKCONFIG at byte {offset} of the unpacked kernel is damaged"
    return None, reason


def _inflated(data: bytes, start: int) -> bytes | None:
    """The gzip member at `start` that the end mark follows at once."""
    end = data.find(_CONFIG_END, start, start + kconfig.LIMIT)
    inflater = zlib.decompressobj(31)
    try:
        text = inflater.decompress(data[start:end], kconfig.LIMIT) if end > 0 else b""
    except zlib.error:
        return None
    return text if inflater.eof and not inflater.unused_data else None
