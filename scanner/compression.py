"""Compressed streams: which kind it is, and what is inside, bounded in memory, ratio and total."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO

from .source import Budget, DamagedError, LimitError, Limits, PackedBlocks
from .startup import Any, Protocol
from .stream import Stream

OUT = 1 << 18
"""Bytes that are unpacked at once."""
_LEGACY_BLOCK = 8 << 20
_LEGACY_BOUND = _LEGACY_BLOCK + _LEGACY_BLOCK // 255 + 16
_LEGACY_MAGIC = b"\x02\x21\x4c\x18"
_ZSTD_WINDOW = 27
"""The largest window that the library takes by itself, as a power of two (ZSTD_WINDOWLOG_LIMIT_DEFAULT)."""
_LZMA_HEADER = 13
_LZMA_LARGEST = 1 << 38

_MAGICS = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (_LEGACY_MAGIC, "lz4-legacy"),
    (b"\x89LZO\0\r\n\x1a\n", "lzo"),
)

MARK = b"|".join([*(re.escape(magic) for magic, _ in _MAGICS), rb"BZh", rb"[\x50-\x5f]\x2a\x4d\x18", rb"\x5d\0"])
"""What all of them start with, as a pattern; not all that does is one."""


class Decoder(Protocol):
    """One compressed stream being unpacked; the shape that Python's own decompressors share."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed stream was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether it can give nothing more without more input."""
        ...

    @property
    def unused_data(self) -> bytes | None:
        """What followed the end of the compressed stream; lz4 has None for nothing."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Up to `max_length` bytes out of `data` and what was kept of earlier input."""
        ...


def identify(head: bytes) -> str | None:
    """The kind of compression by its first 16 bytes: gzip, xz, lzma, zstd, lz4, lz4-legacy, lzo, bzip2; or None."""
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    if head.startswith(b"BZh") and head[4:10] in {b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"}:
        return "bzip2"
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:  # noqa: PLR2004 - the magic of a skippable frame
        return "zstd"
    return "lzma" if _is_lzma(head) else None


def _is_lzma(head: bytes) -> bool:
    """The .lzma format has no magic: the usual properties, a dictionary of 2^n or 3·2^n bytes, a size that can be."""
    if len(head) < _LZMA_HEADER or head[0] != 0x5D:  # noqa: PLR2004 - lc=3 lp=0 pb=2
        return False
    dictionary = int.from_bytes(head[1:5], "little")
    size = int.from_bytes(head[5:13], "little")
    power = dictionary & (dictionary - 1)
    plausible = dictionary >= 1 << 12 and (not power or power == dictionary - (dictionary >> 1 & -(dictionary >> 1)))
    return plausible and (size == 2**64 - 1 or size < _LZMA_LARGEST)


class _Gzip:
    """zlib's decompressor in the shape of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        tail = self._inner.unconsumed_tail
        out = self._inner.decompress(tail + data if tail else data, max_length)
        self.needs_input = len(out) < max_length and not self._inner.unconsumed_tail
        return out


class _LegacyLz4:
    """The frame that `lz4 -l` writes and kernels use: a magic, then blocks of 8 MiB, the last one shorter.

    No end is marked: a shorter block, a size that no block can have, or the end of the input is the end.
    """

    def __init__(self) -> None:
        from lz4.block import decompress

        self._block: Callable[..., bytes] = decompress
        self._input = bytearray()
        self._output = b""
        self._started = self._last = False

    @property
    def eof(self) -> bool:
        return self._last and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._output and not self._last

    @property
    def unused_data(self) -> bytes:
        return bytes(self._input)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        self._input += data
        if not self._output and not self._last:
            self._output = self._next_block(ended=not data)
        out, self._output = self._output[:max_length], self._output[max_length:]
        return out

    def _next_block(self, *, ended: bool) -> bytes:
        start = 0 if self._started else len(_LEGACY_MAGIC)
        first = start + 4
        size = int.from_bytes(self._input[start:first], "little")
        if len(self._input) < first:
            self._last = ended and not self._input
            return b""
        if not 0 < size <= _LEGACY_BOUND:
            del self._input[:start]
            self._started = self._last = True
            return b""
        if len(self._input) < first + size:
            return b""
        block = self._block(bytes(self._input[first : first + size]), uncompressed_size=_LEGACY_BLOCK)
        del self._input[: first + size]
        self._started = True
        self._last = len(block) < _LEGACY_BLOCK
        return block


@cache
def _isal() -> Any:  # noqa: ANN401 - a module that is optional
    """ISA-L's inflate, at twice zlib's speed, if the extra `fast` is installed."""
    try:
        from isal import igzip_lib
    except ImportError:
        return None
    return igzip_lib


def _gzip(_memory: int) -> Decoder:
    fast = _isal()
    decoder: Decoder = _Gzip() if fast is None else fast.IgzipDecompressor(flag=fast.DECOMP_GZIP)
    return decoder


def _xz(memory: int) -> Decoder:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memory)


def _lzma(memory: int) -> Decoder:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memory)


def _bzip2(_memory: int) -> Decoder:
    import bz2

    return bz2.BZ2Decompressor()


def zstd_module() -> Any:  # noqa: ANN401 - one of two modules of the same shape
    """The module for zstd: the standard library's from 3.14 on, else the same as a package of its own."""
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd


def _zstd(memory: int) -> Decoder:
    zstd = zstd_module()
    largest = memory.bit_length() - 1
    # to set what is the library's own limit anyway takes a third of the time of a block of 128 KiB
    window = {} if largest == _ZSTD_WINDOW else {"options": {zstd.DecompressionParameter.window_log_max: largest}}
    decoder: Decoder = zstd.ZstdDecompressor(**window)
    return decoder


def _lz4(_memory: int) -> Decoder:
    from lz4.frame import LZ4FrameDecompressor

    decoder: Decoder = LZ4FrameDecompressor()
    return decoder


def _lz4_legacy(_memory: int) -> Decoder:
    return _LegacyLz4()


def _lzop(_memory: int) -> Decoder:
    from .lzop import LzopDecompressor

    return LzopDecompressor()


_DECODERS: dict[str, Callable[[int], Decoder]] = {
    "gzip": _gzip,
    "xz": _xz,
    "lzma": _lzma,
    "bzip2": _bzip2,
    "zstd": _zstd,
    "lz4": _lz4,
    "lz4-legacy": _lz4_legacy,
    "lzo": _lzop,
}


def _step(decoder: Decoder, data: bytes, length: int, kind: str) -> bytes:
    """One step of unpacking; whatever a library raises on bad data becomes DamagedError."""
    try:
        return decoder.decompress(data, length)
    except Exception as error:  # each library has its own class, some of them RuntimeError or a C extension's own
        detail = (
            "" if kind == "gzip" else f": {str(error).strip() or type(error).__name__}"
        )  # zlib and ISA-L word it apart
        raise DamagedError(f"{kind} data is damaged{detail}") from error


def decompress(kind: str, stream: Stream, budget: Budget) -> Iterator[bytes]:
    """What is inside a compressed stream, in pieces of up to 256 KiB; more of the same kind right after it is joined.

    Zero padding is skipped. What follows is left in `stream` for the caller, and starts at `stream.offset`. Raises
    DamagedError where the stream breaks off or is damaged, LimitError where it unpacks beyond `budget.limits`.
    """
    start, produced = stream.offset, 0
    while True:
        budget.entry()
        for piece in _member(kind, stream, budget.limits.memory):
            produced += len(piece)
            budget.spend(len(piece))
            _check_ratio(kind, stream.offset - start, produced, budget.limits)
            yield piece
        stream.skip_zeros()
        if identify(stream.peek(16)) != kind:
            return


def _member(kind: str, stream: Stream, memory: int) -> Iterator[bytes]:
    """One compressed stream: a gzip member or a zstd frame, say."""
    decoder = _DECODERS[kind](memory)
    while not decoder.eof:
        hungry = decoder.needs_input
        data = stream.take() if hungry else b""
        piece = _at(stream, decoder, data, kind)
        if piece:
            yield piece
        elif hungry and not data and not decoder.eof:
            raise DamagedError(f"{kind} data breaks off at byte {stream.offset}")
    stream.unread(decoder.unused_data or b"")


def _at(stream: Stream, decoder: Decoder, data: bytes, kind: str) -> bytes:
    try:
        return _step(decoder, data, OUT, kind)
    except DamagedError as error:
        raise DamagedError(f"{error} (before byte {stream.offset})") from error


def _check_ratio(kind: str, consumed: int, produced: int, limits: Limits) -> None:
    if produced > limits.ratio_from and produced > limits.ratio * consumed:
        raise LimitError(f"{kind} data unpacks to more than {limits.ratio} times its size (limit: ratio)")


def expand(data: bytes, kind: str, limit: int, budget: Budget | None = None) -> bytes:
    """The first compressed stream at the start of `data`, whole; bytes after it are tolerated.

    Raises DamagedError when it breaks off or is damaged, LimitError when it unpacks to more than `limit` bytes or
    beyond the `budget`.
    """
    decoder = _DECODERS[kind](Limits().memory)
    whole = BytesIO()
    room = limit + 1
    while not decoder.eof and room:
        piece = _step(decoder, data, min(room, 1 << 24), kind)
        if not piece and not data and decoder.needs_input and not decoder.eof:
            raise DamagedError(f"{kind} data breaks off")
        data = b""
        if budget:
            budget.spend(len(piece))
        room -= whole.write(piece)
    if not room:
        raise LimitError(f"{kind} data unpacks to more than {limit} bytes")
    return whole.getvalue()


def peek(data: bytes, kind: str, length: int) -> bytes:
    """The first `length` bytes inside a compressed stream of which only the beginning is given; fewer if it is short.

    Raises DamagedError, also when this beginning is too short to give a single byte.
    """
    decoder = _DECODERS[kind](Limits().memory)
    out = _step(decoder, data, length, kind)
    while len(out) < length and not decoder.eof and not decoder.needs_input:
        out += _step(decoder, b"", length - len(out), kind)
    if not out and not decoder.eof:
        raise DamagedError(f"{kind} data breaks off at byte {len(data)}")
    return out


def unpack(kind: str, data: bytes, limit: int, what: str) -> bytes:
    """One block that was compressed as a whole, up to `limit` bytes of it.

    `kind`: `zlib`, `deflate` (the same without a header), `lzma`, `xz`, `zstd`, `lz4` (a bare block), `lzo`,
    `microlzma` (a bare LZMA stream whose first byte holds its properties, inverted). Raises
    DamagedError, naming `what`, where it is damaged or, as far as the library can tell, holds more than that.
    """
    try:
        return _unpack(kind, data, limit)
    except Exception as error:  # each library has its own class
        raise DamagedError(f"{what} is damaged ({kind})") from error


def unpacked(packed: PackedBlocks) -> bytes:
    """What is in blocks as they lie in an image. Raises DamagedError."""
    pieces = []
    for data, length, is_packed in packed.blocks:
        piece = unpack(packed.kind, data, length, "a block") if is_packed else data or bytes(length)
        if len(piece) != length:
            raise DamagedError(f"a block of {len(piece)} bytes, not {length}")
        pieces.append(piece)
    return b"".join(pieces)


def _unpack(kind: str, data: bytes, limit: int) -> bytes:
    found: bytes
    if kind in {"zlib", "deflate"}:
        fast = _fast_zlib() or zlib
        found = fast.decompressobj(15 if kind == "zlib" else -15).decompress(data, limit)
    elif kind == "lz4":
        from lz4.block import decompress

        found = decompress(data, uncompressed_size=limit)
    elif kind == "microlzma":
        found = _microlzma(data, limit)
    elif kind == "lzo":
        from lzallright import LZOCompressor

        found = LZOCompressor.decompress(data, limit)[:limit]
    else:
        found = _DECODERS[kind](Limits().memory).decompress(data, limit)
    return found


def _microlzma(data: bytes, limit: int) -> bytes:
    import lzma

    properties = ~data[0] & 0xFF
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(4096, limit), "lc": lc, "lp": lp, "pb": pb}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(b"\0" + data[1:], limit)


@cache
def _fast_zlib() -> Any:  # noqa: ANN401 - a module that is optional
    """ISA-L in the shape of zlib, if the extra `fast` is installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return None
    return isal_zlib
