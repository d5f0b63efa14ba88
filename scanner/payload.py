"""What a kernel image unpacks before it runs: bytes as they lie in it, and as they lie in memory.

x86 by its boot protocol (Documentation/arch/x86/boot.rst), EFI zboot by drivers/firmware/efi/libstub/zboot-header.S,
compressed Images by gzip's last four bytes. The sizes are what the image says of itself.
"""

from __future__ import annotations

from collections.abc import Callable

from . import kernel
from .compression import identify
from .startup import NamedTuple

_HELD = 64 << 20
"""Bytes of a kernel image that are looked at: LinuxKit's have some 15 MiB."""
_PROTOCOL = 0x208
"""The boot protocol that brought the payload's place."""


class Payload(NamedTuple):
    """Bytes of the payload as it lies in the image, and unpacked; `size` is None where the image does not tell."""

    packed: int
    size: int | None


def read(size: int, peek: Callable[[int], bytes]) -> Payload | None:
    """The payload of a file of this size that gives its first n bytes with `peek`; None where it is no kernel image.

    An image that is not compressed is its own payload. What contradicts itself is not told.
    """
    head = peek(kernel.HEAD)
    if not kernel.sniff(head):
        return None
    if identify(head[:16]):
        return Payload(size, _number(peek(size)[-4:]) if size <= _HELD and identify(head[:16]) == "gzip" else None)
    if head[0x202:0x206] == b"HdrS":
        setup = ((head[0x1F1] or 4) + 1) * 512
        if _number(head[0x206:0x208]) < _PROTOCOL:
            return Payload(size, None)
        return _told(setup + _number(head[0x248:0x24C]), _number(head[0x24C:0x250]), size, peek)
    if head[4:8] == b"zimg":
        start, length = _number(head[8:12]), _number(head[12:16])
        is_gzip = identify(head[start : start + 16]) == "gzip"
        return _told(start, length if is_gzip else length + 4, size, peek)
    return Payload(size, None if head[0x10008:0x1000E] == b"S390EP" else size)


def _told(start: int, length: int, size: int, peek: Callable[[int], bytes]) -> Payload:
    """A payload that starts and ends there, and whose last four bytes are its size unpacked."""
    end = start + length
    if not 4 <= length <= end <= min(size, _HELD):  # noqa: PLR2004 - the four bytes
        return Payload(size, None)
    return Payload(length, _number(peek(end)[end - 4 : end]))


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
