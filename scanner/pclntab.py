"""Go's table of functions, which is there even in stripped programs: the address and name of each."""

from __future__ import annotations

import re
from struct import unpack_from

from .elf import Elf
from .source import DamagedError, LimitError
from .startup import late

_HEADS = late(rb"[\xf0\xf1]\xff\xff\xff\x00\x00[\x01\x04]\x08", re.DOTALL)
"""Of Go 1.18 and later: a magic number, two zeros, the size of an instruction and that of a pointer."""
_FUNCTIONS = 1 << 20
"""Functions of one program: the largest have some 200,000."""
_NAME = 512
_TABLE = 72
_LOAD, _RELA, _RELASZ, _RELATIVE = 1, 7, 8, frozenset({8, 1027})


def functions(elf: Elf) -> dict[int, str]:
    """The functions of a Go program by their addresses; empty where there is no such table. Raises LimitError.

    The layout is that of Go's debug/gosym; the first field behind the counts is the address of the code.
    """
    data = elf.data
    for found in _HEADS.finditer(data):
        at = found.start()
        try:
            read = _functions(elf, at)
        except (DamagedError, ValueError):
            continue
        if read:
            return read
    return {}


def _functions(elf: Elf, at: int) -> dict[int, str]:
    data = elf.data
    if at + _TABLE > len(data):
        return {}
    count, _, text, names, _, _, _, table = unpack_from("<8Q", data, at + 8)
    if count > _FUNCTIONS:
        raise LimitError(f"{count} functions, more than {_FUNCTIONS}")
    text = _relocated(elf, at + 24) or text
    rows = unpack_from(f"<{2 * count}I", elf.bytes_at(at + table, 8 * count, "Go's table of functions"))
    found = {}
    for start, row in zip(rows[::2], rows[1::2], strict=True):
        place = at + table + row
        if place + 8 > len(data):
            return {}
        begin = at + names + unpack_from("<i", data, place + 4)[0]
        end = data.find(b"\0", begin, begin + _NAME)
        if begin < 0 or end < 0:
            continue
        found[text + start] = data[begin:end].decode("utf-8", "replace")
    return found


def _relocated(elf: Elf, offset: int) -> int:
    """The address that the loader puts into a word of the file, 0 where it puts none."""
    tags = elf.tags
    if _RELA not in tags:
        return 0
    where = next(
        (offset - one.offset + one.address for one in elf.segments
         if one.type == _LOAD and one.offset <= offset < one.offset + one.filesize),
        None,
    )  # fmt: skip
    table = elf.bytes_at(elf.offset_of(tags[_RELA]), tags.get(_RELASZ, 0) // 24 * 24, "relocations")
    needle = (where or 0).to_bytes(8, "little")
    at = table.find(needle)
    while at >= 0:
        if at % 24 == 0 and unpack_from("<I", table, at + 8)[0] in _RELATIVE:
            return int(unpack_from("<Q", table, at + 16)[0])
        at = table.find(needle, at + 1)
    return 0
