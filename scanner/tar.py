"""The tar archives that LinuxKit and container tools write: ustar with PAX records, GNU's long names, plain v7.

As POSIX (pax, "ustar Interchange Format") and GNU's manual have it. Blocks have 512 bytes; two of zeros are the end. An
archive may hold a path more than once: each is yielded, and the last one counts. Sparse files come with their holes as
zeros, in GNU's old form and in the three that PAX records have (0.0, 0.1, 1.0 in GNU's manual).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .blocks import Mapped, Run
from .source import DamagedError, LimitError, Source
from .startup import NamedTuple
from .stream import PIECE, Stream
from .subjects import FileKind
from .tree import Entry, Tree, text

BLOCK = 512
_EXTENDED = 1 << 20
"""Bytes that the extended header of one entry may have."""
_SHARED = 1000
"""PAX records that may stand for all entries: git's archives have one, the commit."""
_KINDS: dict[bytes, FileKind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"6": "fifo",
}
_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."
_REPEATED = {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}
"""Records of form 0.0 that come once for each stretch; joined, they are the map of form 0.1."""
_MAP = b"GNU.sparse.map"
_STRETCH = 24
"""Bytes of a stretch in the old form: two numbers of 12."""
_LARGEST = 1 << 63
_WHAT = "the tar archive"

_Records = Mapping[bytes, bytes]


@dataclass(slots=True)
class _Extended:
    """What the headers before an entry say of it: GNU's long name and link, and PAX records."""

    name: bytes = b""
    link: bytes = b""
    records: _Records = field(default_factory=dict)


class _Map(NamedTuple):
    """Where the stretches of a sparse file stand in it, (offset, length) each, and its size with all holes."""

    stretches: tuple[tuple[int, int], ...]
    size: int

    @classmethod
    def of(cls, numbers: list[int], size: int, at: int) -> _Map:
        """Out of offsets and lengths in turn."""
        if len(numbers) % 2 or size >= _LARGEST:
            raise DamagedError(f"the map of a sparse file at byte {at} is damaged")
        return cls(tuple(zip(numbers[::2], numbers[1::2], strict=True)), size)


def sniff(head: bytes) -> bool:
    """Whether `head` (512 bytes or more) starts a tar archive: its first header has a right sum."""
    header = head[:BLOCK]
    if len(header) < BLOCK or not header[0]:
        return False
    try:
        return _has_right_sum(header)
    except DamagedError:
        return False


def entries(stream: Stream, tree: Tree) -> Iterator[Entry]:
    """The entries of one archive, up to its end mark. Raises DamagedError where it breaks off or contradicts itself."""
    shared: dict[bytes, bytes] = {}
    extended = _Extended()
    while True:
        at = stream.offset
        header = stream.exactly(BLOCK, _WHAT)
        if not header.rstrip(b"\0"):
            return
        if not _has_right_sum(header):
            raise DamagedError(f"the tar header at byte {at} is damaged (its sum is wrong)")
        tree.budget.entry()
        size = _number(header[124:136], at)
        type_ = header[156:157]
        if type_ in b"xgLKX":
            data = _extra(stream, size, at)
            if type_ == b"g":
                shared |= _records(data, at)
                if len(shared) > _SHARED:
                    raise LimitError(f"more than {_SHARED} global PAX records, at byte {at}")
            elif type_ == b"L":
                extended.name = data.partition(b"\0")[0]
            elif type_ == b"K":
                extended.link = data.partition(b"\0")[0]
            else:
                extended.records = _records(data, at)
            continue
        records = {**shared, **extended.records} if extended.records else shared
        yield from _entry(_Header.of(header, size, extended, records, at), stream, tree)
        extended = _Extended()


@dataclass(frozen=True, slots=True)
class _Header:
    """One entry's header, all its extensions applied."""

    type: bytes
    name: bytes
    link: bytes
    mode: int
    owner: tuple[int, int]
    size: int
    records: _Records
    rest: bytes
    """What follows the names of the owner: the first part of the map in old GNU sparse files."""

    @classmethod
    def of(cls, header: bytes, size: int, extended: _Extended, records: _Records, at: int) -> _Header:
        """`size` as the plain header has it; PAX records go over GNU's headers, and those over the plain one."""
        name = header[:100].partition(b"\0")[0]
        if header[257:263] == b"ustar\0" and header[345]:
            name = header[345:500].partition(b"\0")[0] + b"/" + name
        name = records.get(b"GNU.sparse.name") or records.get(b"path") or extended.name or name
        link = records.get(b"linkpath") or extended.link or header[157:257].partition(b"\0")[0]
        owner = (
            _decimal(records, b"uid", at) if b"uid" in records else _number(header[108:116], at),
            _decimal(records, b"gid", at) if b"gid" in records else _number(header[116:124], at),
        )
        size = _decimal(records, b"size", at) if b"size" in records else size
        mode = _number(header[100:108], at) & 0o7777
        return cls(header[156:157], name, link, mode, owner, size, records, header[386:])


def _entry(header: _Header, stream: Stream, tree: Tree) -> Iterator[Entry]:
    kind = _KINDS.get(header.type)
    if kind == "file" and header.name.endswith(b"/"):
        kind = "dir"  # as v7 wrote directories
    sparse = header.type == b"S" or any(key.startswith(_SPARSE) for key in header.records)
    size = header.size if kind in {"file", None} else 0
    old = _old_map(header, stream) if header.type == b"S" else None
    end = stream.offset + size + (-size & BLOCK - 1)
    if kind is None and not sparse:
        yield tree.problem(header.name, f"tar entries of type {text(header.type)!r} are not read; entry skipped")
    elif sparse:
        yield from _sparse(header, old, stream, tree)
    else:
        yield from _plain(header, kind or "file", size, stream, tree)
    stream.skip(end - stream.offset, _WHAT)


def _plain(header: _Header, kind: FileKind, size: int, stream: Stream, tree: Tree) -> Iterator[Entry]:
    content = stream.window(size, "the content of a tar entry") if kind == "file" else None
    yield _made(header, kind, size, tree, content)
    if content:
        content.close()


def _sparse(header: _Header, old: _Map | None, stream: Stream, tree: Tree) -> Iterator[Entry]:
    found, left = (old, header.size) if old else _pax_map(header, stream)
    at = 0
    for offset, length in found.stretches:
        if offset < at or offset + length > found.size:
            raise DamagedError(f"the map of a sparse file before byte {stream.offset} contradicts itself")
        at = offset + length
    if sum(length for _, length in found.stretches) != left:
        raise DamagedError(f"the map of a sparse file before byte {stream.offset} tells another size than its header")
    content = Stream(_expanded(found, stream, tree), again=_mapped(found, stream))
    yield _made(header, "file", found.size, tree, content)
    content.close()


def _mapped(found: _Map, stream: Stream) -> Source | None:
    """The same for random access, where that is possible."""
    whole, at = stream.again(), stream.offset
    if whole is None:
        return None
    runs = []
    for start, length in found.stretches:
        runs.append(Run(start, length, at))
        at += length
    return Mapped(whole, found.size, runs)


def _expanded(found: _Map, stream: Stream, tree: Tree) -> Iterator[bytes]:
    """The content, zeros where the map has holes."""
    at = 0
    for offset, length in (*found.stretches, (found.size, 0)):
        while at < offset:
            piece = bytes(min(PIECE, offset - at))
            tree.budget.spend(len(piece))
            at += len(piece)
            yield piece
        yield from stream.window(length, "the content of a tar entry").pieces()
        at += length


def _old_map(header: _Header, stream: Stream) -> _Map:
    """Four stretches in the header, then 21 in each further block as long as byte 504 says that there is another."""
    rows, more = bytearray(header.rest[: 4 * _STRETCH]), bool(header.rest[4 * _STRETCH])
    size = _number(header.rest[4 * _STRETCH + 1 :][:12], stream.offset)
    while more:
        block = stream.exactly(BLOCK, _WHAT)
        rows += block[: 21 * _STRETCH]
        more = bool(block[504])
        if len(rows) > _EXTENDED:
            raise LimitError(f"the map of a sparse file has more than {_EXTENDED} bytes, before byte {stream.offset}")
    fields = (bytes(rows[at : at + 12]) for at in range(0, len(rows), 12))
    numbers = [_number(one, stream.offset) for one in fields if any(one)]
    return _Map.of(numbers, size, stream.offset)


def _pax_map(header: _Header, stream: Stream) -> tuple[_Map, int]:
    """The map, and how many bytes of the entry are left behind it: form 1.0 has it in front of the content."""
    records, start = header.records, stream.offset
    size_key = b"GNU.sparse.realsize" if b"GNU.sparse.realsize" in records else b"GNU.sparse.size"
    size = _decimal({size_key: records.get(size_key, b"")}, size_key, start)
    if records.get(b"GNU.sparse.major") != b"1":
        numbers = [_digits(one, start) for one in records.get(_MAP, b"").split(b",") if one]
        return _Map.of(numbers, size, start), header.size
    data, ends, wanted = bytearray(), 0, 0
    while not wanted or ends < wanted:
        block = stream.exactly(BLOCK, _WHAT)
        data += block
        ends += block.count(b"\n")
        if len(data) > min(_EXTENDED, header.size):
            raise DamagedError(f"the map of a sparse file at byte {start} does not end")
        if not wanted and ends:
            wanted = 1 + 2 * _digits(bytes(data[: data.index(b"\n")]), start)
    numbers = [_digits(one, start) for one in bytes(data).split(b"\n", wanted)[1:wanted]]
    return _Map.of(numbers, size, start), header.size - len(data)


def _digits(field_: bytes, at: int) -> int:
    if not field_.isdigit() or len(field_) > 19:  # noqa: PLR2004 - 2^63 has 19 digits
        raise DamagedError(f"the map of a sparse file at byte {at} is damaged")
    return int(field_)


def _made(header: _Header, kind: FileKind, size: int, tree: Tree, content: Stream | None) -> Entry:
    records = header.records
    return tree.entry(
        header.name,
        header.mode,
        header.owner,
        size,
        content,
        link=text(header.link),
        kind=kind,
        xattrs={text(k[len(_XATTR) :]): v for k, v in records.items() if k.startswith(_XATTR)},
        provenance=(text(records.get(b"LINUXKIT.source", b"")), text(records.get(b"LINUXKIT.location", b""))),
    )


def _extra(stream: Stream, size: int, at: int) -> bytes:
    """The content of a header that describes the next entry."""
    if size > _EXTENDED:
        raise LimitError(f"the extended tar header at byte {at} has {size} bytes, more than {_EXTENDED}")
    data = stream.exactly(size, _WHAT)
    stream.skip(-size & BLOCK - 1, _WHAT)
    return data


def _records(data: bytes, at: int) -> dict[bytes, bytes]:
    """PAX records: `LENGTH KEY=VALUE` and a newline, the length counting all of it, itself included."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        digits, _, _ = data[position : position + 20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = data[position : position + length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) < length or not record.endswith(b"\n") or not equals:
            raise DamagedError(f"a PAX record of the tar header at byte {at} is damaged")
        if key in _REPEATED:
            key, value = _MAP, found[_MAP] + b"," + value if _MAP in found else value
        found[key] = value
        position += length
    return found


def _has_right_sum(header: bytes) -> bool:
    """The sum of all bytes, its own field taken as blanks; old programs summed signed bytes."""
    stored = _number(header[148:156], 0)
    total = sum(header) - sum(header[148:156]) + 8 * 0x20
    return stored in {total, total - 256 * sum(byte > 0x7F for byte in header)}  # noqa: PLR2004 - signed


def _number(field: bytes, at: int) -> int:
    """An octal field, or GNU's binary one (first bit set). Raises DamagedError; negative numbers are damage."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise DamagedError(f"a negative number in the tar header at byte {at}")
        return int.from_bytes(field, "big") & (1 << 8 * len(field) - 2) - 1
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise DamagedError(f"a field of the tar header at byte {at} is no octal number")
    return int(digits, 8)


def _decimal(records: _Records, key: bytes, at: int) -> int:
    digits = records[key]
    if not digits.isdigit() or len(digits) > 19:  # noqa: PLR2004 - 2^63 has 19 digits
        raise DamagedError(f"the PAX record {text(key)!r} of the tar header at byte {at} is no number")
    return int(digits)
