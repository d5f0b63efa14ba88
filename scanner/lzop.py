"""lzop's files, and the LZO payloads of kernels, which are the same: a header, then blocks of up to 256 KiB.

As lib/decompress_unlzo.c of the kernel reads them. The sums of what is unpacked are verified.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from struct import Struct

MAGIC = b"\x89LZO\0\r\n\x1a\n"
_BLOCK = 256 << 10
"""Bytes of a block, unpacked: lzop writes no larger ones, and the kernel reads none."""
_FIXED = Struct(">9sHH")
"""Magic, version of the format, of the library."""
_NEW = 0x0940
"""The version that brought some more fields."""
_FILTER, _EXTRA, _MULTIPART = 0x800, 0x40, 0x400
_ADLER_OUT, _ADLER_IN, _CRC_OUT, _CRC_IN = 0x1, 0x2, 0x100, 0x200


class LzopDecompressor:
    """One such file being unpacked, in the shape of Python's own decompressors. Raises ValueError on bad data."""

    def __init__(self) -> None:
        from lzallright import LZOCompressor

        self._block: Callable[[bytes, int], bytes] = LZOCompressor.decompress
        self._input = bytearray()
        self._output = b""
        self._flags = -1
        self._ended = False

    @property
    def eof(self) -> bool:
        """Whether the mark of the end was reached."""
        return self._ended and not self._output

    @property
    def needs_input(self) -> bool:
        """Whether it can give nothing more without more input."""
        return not self._output and not self._ended

    @property
    def unused_data(self) -> bytes:
        """What followed the end."""
        return bytes(self._input)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Up to `max_length` bytes out of `data` and what was kept of earlier input."""
        self._input += data
        if self._flags < 0:
            self._header()
        while self._flags >= 0 and not self._output and not self._ended and self._step():
            pass
        out, self._output = self._output[:max_length], self._output[max_length:]
        return out

    def _header(self) -> None:
        """Take the header off the input once it is there whole."""
        head = bytes(self._input)
        if len(head) < _FIXED.size:
            return
        magic, version, _ = _FIXED.unpack_from(head)
        if magic != MAGIC:
            raise ValueError("no lzop header")
        new = version >= _NEW
        flags_at = _FIXED.size + (4 if new else 1)  # the version that is needed, the method, the level
        flags = int.from_bytes(head[flags_at : flags_at + 4], "big")
        if flags & (_FILTER | _MULTIPART):
            raise ValueError("a filter or several parts, which are not read")
        name_at = flags_at + 4 + (12 if new else 8)  # the mode and the time
        end = name_at + 1 + (head[name_at] if len(head) > name_at else 0) + 4
        if flags & _EXTRA:
            end += 8 + int.from_bytes(head[end : end + 4], "big")
            if end > _BLOCK:
                raise ValueError("an extra field of too many bytes")
        if len(head) >= end:
            del self._input[:end]
            self._flags = flags

    def _step(self) -> bool:
        """Unpack the next block if it is there whole; whether anything was done."""
        size = self._number(0)
        if size == 0 and len(self._input) >= 4:  # noqa: PLR2004 - a number
            del self._input[:4]
            self._ended = True
            return True
        packed = self._number(4)
        if size > _BLOCK or packed > size:
            raise ValueError(f"a block of {size} bytes in {packed}")
        sums = [flag for flag in (_ADLER_OUT, _CRC_OUT) if self._flags & flag]
        inner = [flag for flag in (_ADLER_IN, _CRC_IN) if self._flags & flag and packed < size]
        start = 8 + 4 * (len(sums) + len(inner))
        if not packed or len(self._input) < start + packed:
            if len(self._input) >= start and not packed:
                raise ValueError("a block without bytes")
            return False
        data = bytes(self._input[start : start + packed])
        out = data if packed == size else self._block(data, size)
        if len(out) != size:
            raise ValueError(f"a block of {len(out)} bytes where {size} are told")
        for number, flag in enumerate(sums):
            if (zlib.adler32(out) if flag == _ADLER_OUT else zlib.crc32(out)) != self._number(8 + 4 * number):
                raise ValueError("a block with a wrong sum")
        del self._input[: start + packed]
        self._output = out
        return True

    def _number(self, at: int) -> int:
        return int.from_bytes(self._input[at : at + 4], "big")
