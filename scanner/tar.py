"""The tar archives that LinuxKit and container tools write: ustar with PAX records, GNU's long names, plain v7.

As POSIX (pax, "ustar Interchange Format") and GNU's manual have it. Blocks have 512 bytes; two of zeros are the end. An
archive may hold a path more than once: each is yielded, and the last one counts. Contents of sparse files are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .source import DamagedError, LimitError
from .stream import Stream
from .subjects import FileKind, Problem
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
_WHAT = "the tar archive"

_Records = Mapping[bytes, bytes]


@dataclass(slots=True)
class _Extended:
    """What the headers before an entry say of it: GNU's long name and link, and PAX records."""

    name: bytes = b""
    link: bytes = b""
    records: _Records = field(default_factory=dict)


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
    more: bool
    """Old GNU sparse files: whether further blocks of the map follow."""

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
        return cls(header[156:157], name, link, mode, owner, size, records, more=bool(header[482]))


def _entry(header: _Header, stream: Stream, tree: Tree) -> Iterator[Entry]:
    kind = _KINDS.get(header.type)
    if kind == "file" and header.name.endswith(b"/"):
        kind = "dir"  # as v7 wrote directories
    sparse = header.type == b"S" or any(key.startswith(_SPARSE) for key in header.records)
    size = header.size if kind in {"file", None} else 0
    if header.type == b"S":
        _skip_map(stream, more=header.more)
    end = stream.offset + size + (-size & BLOCK - 1)
    if kind is None and not sparse:
        yield tree.problem(header.name, f"tar entries of type {text(header.type)!r} are not read; entry skipped")
    elif sparse:
        yield from _sparse(header, tree)
    else:
        yield from _plain(header, kind or "file", size, stream, tree)
    stream.skip(end - stream.offset, _WHAT)


def _plain(header: _Header, kind: FileKind, size: int, stream: Stream, tree: Tree) -> Iterator[Entry]:
    content = stream.window(size, "the content of a tar entry") if kind == "file" else None
    yield _made(header, kind, size, tree, content)
    if content:
        content.close()


def _sparse(header: _Header, tree: Tree) -> Iterator[Entry]:
    real = header.records.get(b"GNU.sparse.realsize") or header.records.get(b"GNU.sparse.size") or b"0"
    yield _made(header, "file", int(real) if real.isdigit() and len(real) < 20 else 0, tree, None)  # noqa: PLR2004 - 2^64
    yield Problem(tree.place.inside(tree.path(header.name) or "?"), "the content of a sparse file in a tar is not read")


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


def _skip_map(stream: Stream, *, more: bool) -> None:
    """The blocks of an old GNU sparse map that follow the header; byte 504 of each says whether there is another."""
    while more:
        more = bool(stream.exactly(BLOCK, _WHAT)[504])


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
