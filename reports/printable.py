"""Names out of hostile images, made safe to print: no control characters, no bidirectional tricks, no surrogates."""

from __future__ import annotations

_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
_BASIC_PLANE_END = 0x10000


def printable(text: str) -> str:
    r"""The text on one line: what a terminal could act on stands as `\xNN`, `\uNNNN` or `\UNNNNNNNN`.

    A byte that is no UTF-8 (a surrogate of os.fsdecode) stands as `\xNN` of that byte.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def encodable(text: str) -> str:
    r"""The text with its surrogates alone replaced: what a JSON document, whose reader escapes the rest, can hold."""
    return text if text.isascii() else "".join(_escape(ord(c)) if "\ud800" <= c <= "\udfff" else c for c in text)


def _escape(code: int) -> str:
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        code -= _FIRST_BYTE - 0x80
    if code <= 0xFF:  # noqa: PLR2004 - what two hexadecimal digits hold
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _BASIC_PLANE_END else f"\\U{code:08x}"
