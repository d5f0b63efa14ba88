"""The fingerprint that GitHub code scanning computes for a line of a file: `primaryLocationLineHash`.

It is a polynomial of base 37 modulo 2**64 over 100 UTF-16 code units, counted from the start of the line, spaces and
tabs left out, all line ends made LF. The end of the file counts as one unit 0xFFFF with zeros after it. Equal hashes
in one file are told apart by an occurrence number behind a colon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_BASE, _MODULUS, _UNITS, _END = 37, 1 << 64, 100, b"\xff\xff"


def line_hashes(text: str, wanted: Iterable[int]) -> dict[int, str]:
    """The fingerprint of each wanted line (from 1) that the text has."""
    dense = text.replace("\r\n", "\n").replace("\r", "\n").replace(" ", "").replace("\t", "")
    units = dense.encode("utf-16-le", "surrogatepass") + _END
    numbers, seen, found = frozenset(wanted), Counter[bytes](), {}
    start = 0
    for number, line in enumerate(dense.split("\n"), 1):
        window = units[start : start + 2 * _UNITS]
        seen[window] += 1  # equal windows are equal hashes, and cheaper to count
        if number in numbers:
            found[number] = f"{_hash(window):x}:{seen[window]}"
        start += len(line.encode("utf-16-le", "surrogatepass")) + 2
    return found


def _hash(window: bytes) -> int:
    value = 0
    for offset in range(0, 2 * _UNITS, 2):
        unit = int.from_bytes(window[offset : offset + 2], "little")
        value = (value * _BASE + unit) % _MODULUS
    return value
