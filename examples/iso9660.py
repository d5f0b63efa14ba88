"""Writes a small ISO 9660 image with Rock Ridge names, modes, owners and links, the same bytes every time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SECTOR = 2048
_DEPTH = 8  # directories inside one another, the root included
_DATE = struct.pack("7B", 117, 4, 18, 16, 30, 0, 0)  # 2017-04-18 16:30 UTC, which LinuxKit writes
_LONG_DATE = b"2017041816300000\0"
_DIR, _FILE, _LINK = 0o040000, 0o100000, 0o120000


@dataclass(frozen=True)
class Entry:
    """A file, or a symbolic link when `target` is given, or a directory when `data` is None; `mode` has 12 bits."""

    path: str
    data: bytes | None = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""


@dataclass
class _Node:
    """A place in the tree: its own name and its plain ISO 9660 one; `sector` and `size` say where its content goes."""

    entry: Entry
    parent: _Node | None = None
    name: str = ""
    identifier: bytes = b"\0"
    children: dict[str, _Node] = field(default_factory=dict)
    sector: int = 0
    size: int = 0

    @property
    def is_dir(self) -> bool:
        return self.entry.data is None and not self.entry.target

    @property
    def type_and_mode(self) -> int:
        kind = _DIR if self.is_dir else _LINK if self.entry.target else _FILE
        return kind | self.entry.mode


def iso9660(entries: Iterable[Entry], volume: str = "LINUXKIT") -> bytes:
    """The image of a tree; parent directories are made as needed (0755, root).

    Raises ValueError for a path deeper than ISO 9660 allows and for names too long for one directory record.
    """
    root = _tree(entries)
    directories = [node for node in _walk(root) if node.is_dir]
    files = [node for node in _walk(root) if node.entry.data]
    table = _path_table(directories, "<")
    sector = 18 + 2 * _sectors(len(table))
    for node in directories:
        node.size = SECTOR * len(_directory_sectors(node))
        node.sector, sector = sector, sector + node.size // SECTOR
    for node in files:
        node.size = len(node.entry.data or b"")
        node.sector, sector = sector, sector + _sectors(node.size)
    parts = [bytes(16 * SECTOR), _volume(root, volume, sector, len(table)), _pad(b"\xffCD001\x01")]
    parts += [_pad(_path_table(directories, order)) for order in "<>"]
    parts += [b"".join(_directory_sectors(node)) for node in directories]
    parts += [_pad(node.entry.data or b"") for node in files]
    return b"".join(parts)


def _tree(entries: Iterable[Entry]) -> _Node:
    root = _Node(Entry("", None, 0o755))
    for entry in entries:
        *parents, name = entry.path.split("/")
        if 1 + len(parents) + _Node(entry).is_dir > _DEPTH:
            raise ValueError(f"{entry.path}: deeper than {_DEPTH} directories")
        node = root
        for parent in parents:
            node = node.children.setdefault(parent, _Node(Entry(parent, None, 0o755), node, parent))
        node.children.setdefault(name, _Node(entry, node, name)).entry = entry
    for node in _walk(root):
        for number, child in enumerate(_sorted(node)):
            child.identifier = b"%08d" % number if child.is_dir else b"%08d.;1" % number
    return root


def _sorted(node: _Node) -> list[_Node]:
    return [child for _, child in sorted(node.children.items())]


def _walk(root: _Node) -> Iterator[_Node]:
    """Breadth first and by name: the order that a path table wants."""
    level = [root]
    while level:
        yield from level
        level = [child for node in level for child in _sorted(node)]


def _directory_sectors(node: _Node) -> list[bytes]:
    """The records of a directory, none of which crosses a sector's end."""
    up = node.parent or node
    records = [_record(node, b"\0", root=node.parent is None), _record(up, b"\1")]
    records += [_record(child, child.identifier, child.name) for child in _sorted(node)]
    sectors = [b""]
    for record in records:
        if len(sectors[-1]) + len(record) > SECTOR:
            sectors.append(b"")
        sectors[-1] += record
    return [_pad(sector) for sector in sectors]


def _record(node: _Node, identifier: bytes, name: str = "", *, root: bool = False) -> bytes:
    use = _system_use(node, name, root=root)
    padding = bytes(1 - len(identifier) % 2)
    length = 33 + len(identifier) + len(padding) + len(use)
    if length > 254:  # noqa: PLR2004 - a record's length is one byte, and even
        raise ValueError(f"{node.entry.path}: the name is too long")
    head = struct.pack("<BB", length, 0) + _both(node.sector) + _both(node.size) + _DATE
    head += struct.pack("<BBB", 2 if node.is_dir else 0, 0, 0) + _both16(1) + bytes((len(identifier),))
    return head + identifier + padding + use


def _system_use(node: _Node, name: str, *, root: bool) -> bytes:
    """The Rock Ridge fields: SP and ER in the root's own record, PX everywhere, NM and SL where they say something."""
    entry = node.entry
    links = 2 if node.is_dir else 1
    fields = [_field(b"PX", b"".join(map(_both, (node.type_and_mode, links, entry.uid, entry.gid))))]
    if root:
        fields.insert(0, _field(b"SP", b"\xbe\xef\0"))
        fields.append(_field(b"ER", bytes((10, 0, 0, 1)) + b"RRIP_1991A"))
    if name:
        fields.append(_field(b"NM", b"\0" + name.encode()))
    if entry.target:
        fields.append(_field(b"SL", b"\0" + b"".join(_components(entry.target))))
    use = b"".join(fields)
    return use + bytes(len(use) % 2)


def _components(target: str) -> Iterator[bytes]:
    special = {"": b"\x08\0", ".": b"\x02\0", "..": b"\x04\0"}  # "" stands before a leading slash: the root
    for part in target.split("/"):
        yield special.get(part) or bytes((0, len(part.encode()))) + part.encode()


def _field(signature: bytes, payload: bytes) -> bytes:
    return signature + bytes((len(payload) + 4, 1)) + payload


def _path_table(directories: list[_Node], order: str) -> bytes:
    numbers = {id(node): number for number, node in enumerate(directories, 1)}
    rows = []
    for node in directories:
        name = node.identifier
        head = struct.pack(f"{order}BBIH", len(name), 0, node.sector, numbers[id(node.parent or node)])
        rows.append(head + name + bytes(len(name) % 2))
    return b"".join(rows)


def _volume(root: _Node, volume: str, sectors: int, table: int) -> bytes:
    """The primary volume descriptor."""
    after = 18 + _sectors(table)
    return _pad(
        b"\x01CD001\x01\0"
        + b" " * 32
        + volume.encode().ljust(32)
        + bytes(8)
        + _both(sectors)
        + bytes(32)
        + _both16(1)
        + _both16(1)
        + _both16(SECTOR)
        + _both(table)
        + struct.pack("<II", 18, 0)
        + struct.pack(">II", after, 0)
        + _record_of_root(root)
        + b" " * (128 * 4 + 37 * 3)
        + _LONG_DATE * 2
        + (b"0" * 16 + b"\0") * 2
        + b"\x01\0"
    )


def _record_of_root(root: _Node) -> bytes:
    head = struct.pack("<BB", 34, 0) + _both(root.sector) + _both(root.size) + _DATE
    return head + struct.pack("<BBB", 2, 0, 0) + _both16(1) + b"\x01\0"


def _both(number: int) -> bytes:
    """A number in both byte orders, as ISO 9660 has it."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both16(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)


def _sectors(size: int) -> int:
    return -(-size // SECTOR)


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % SECTOR)
