"""Makes small images for tests: cpio and ISO 9660 byte by byte, so that they can be bent, and others by real tools."""

import shutil
import struct
import subprocess
from dataclasses import dataclass

import pytest

from lkscan.scanner import image
from lkscan.scanner.source import Budget, Limits
from lkscan.scanner.stream import Stream
from lkscan.scanner.subjects import File, Place, Problem, System
from lkscan.scanner.tree import Tree

SECTOR = 2048


def needs(*tools):
    """Skip a test, with the tool's name, when one of them is not installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def run(*command, data=b"", cwd=None):
    return subprocess.run(command, input=data, capture_output=True, check=True, cwd=cwd).stdout


def stream(data, step=1 << 16):
    return Stream(data[at : at + step] for at in range(0, len(data), step))


def tree(**limits):
    return Tree(Place(("image",)), Budget(Limits(**limits)))


def found(entries):
    """Files and their contents by path, and the messages of problems; contents are read while they can be."""
    files, problems = {}, []
    for entry in entries:
        if isinstance(entry, Problem):
            problems.append(f"{entry.place.artifacts[-1]}: {entry.message}")
        elif isinstance(entry, tuple):
            file, _ = entry
            files[file.path] = (file, file.read(1 << 30) if file.read else None)
    return files, problems


def subjects(tmp_path, data, name="image", **limits):
    """All subjects of an image of these bytes."""
    path = tmp_path / name
    path.write_bytes(data)
    return list(image.read((str(path),), Limits(**limits)))


def of(items, kind):
    return [item for item in items if isinstance(item, kind)]


def paths(items):
    return [item.path for item in of(items, File)]


def ends_well(items):
    """An image ends with its System; of an input of which nothing can be read there are problems and nothing else."""
    problems = of(items, Problem)
    if items and isinstance(items[-1], System):
        return all(problem.kind == "incomplete" for problem in problems)
    return bool(problems) and len(problems) == len(items)


@dataclass
class Item:
    """An entry of a cpio archive."""

    name: str
    data: bytes = b""
    mode: int = 0o100644
    uid: int = 0
    gid: int = 0
    inode: int = 0
    links: int = 1
    size: int | None = None


def newc(*items, trailer=True, magic=b"070701"):
    """A cpio archive as initrds are made of."""
    out = b""
    for number, item in enumerate([*items, *([Item("TRAILER!!!", mode=0)] if trailer else [])], 1):
        name = item.name.encode("utf-8", "surrogateescape") + b"\0"
        size = len(item.data) if item.size is None else item.size
        total = sum(item.data) if magic == b"070702" else 0
        numbers = (
            item.inode or number,
            item.mode,
            item.uid,
            item.gid,
            item.links,
            0,
            size,
            3,
            1,
            0,
            0,
            len(name),
            total,
        )
        out += magic + b"".join(b"%08X" % one for one in numbers) + name
        out += bytes(-len(out) % 4) + item.data
        out += bytes(-len(out) % 4)
    return out


def both(number):
    return struct.pack("<I", number) + struct.pack(">I", number)


def field(signature, data):
    """A system use field."""
    return signature + bytes((len(data) + 4, 1)) + data


def attributes(mode, uid=0, gid=0):
    return field(b"PX", both(mode) + both(1) + both(uid) + both(gid) + both(1))


def record(name, sector, size, flags=0, *, use=b"", offset=b"\0\0"):
    """A directory record."""
    start = both(sector) + both(size) + bytes(7) + bytes((flags,)) + offset + b"\1\0\0\1" + bytes((len(name),)) + name
    body = start + bytes((len(name) + 1) % 2) + use
    length = 2 + len(body)
    return bytes((length + length % 2, 0)) + body + bytes(length % 2)


@dataclass
class Node:
    """What stands at a path of an ISO: a file, a symbolic link (`use` holds its fields), a directory ("" is the root).

    `use` None stands for the usual Rock Ridge fields; `sector` and `size` replace the true ones.
    """

    data: bytes = b""
    mode: int = 0o100644
    use: bytes | None = None
    flags: int = 0
    sector: int | None = None
    size: int | None = None
    offset: bytes = b"\0\0"


def descriptor(kind, root, escape=b"", block=SECTOR):
    data = bytearray(SECTOR)
    data[0] = kind
    data[1:7] = b"CD001\1"
    data[88 : 88 + len(escape)] = escape
    data[128:130] = struct.pack("<H", block)
    data[156:190] = root
    return bytes(data)


def iso(nodes, *, kind="Rock Ridge", extra=(), skip=0, first=20):
    """An ISO 9660 image of {path: Node or bytes}; parents are made. Directories have one sector each.

    `extra` are volume descriptors after the primary one; `first` is the sector of the root directory.
    """
    known = {path: node if isinstance(node, Node) else Node(node) for path, node in nodes.items()}
    folders = {"": Node(mode=0o040755)}
    for path in known:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folders.setdefault("/".join(parts[:depth]), Node(mode=0o040755))
    folders |= {path: node for path, node in known.items() if node.mode & 0o170000 == 0o040000}
    files = {path: node for path, node in known.items() if path not in folders}
    sectors = {path: first + number for number, path in enumerate(folders)}
    at = first + len(folders)
    for path, node in files.items():
        sectors[path] = at
        at += -(-len(node.data) // SECTOR)
    out = bytearray(at * SECTOR)
    everything = {**folders, **files}
    for path in folders:
        body = _self(b"\0", sectors[path], folders[path], kind, skip if path == "" else None)
        body += _self(b"\1", sectors[path.rpartition("/")[0]], folders[""], kind, None)
        for child, node in everything.items():
            if child and child.rpartition("/")[0] == path:
                body += _child(child.rpartition("/")[2], node, sectors[child], kind, skip)
        out[sectors[path] * SECTOR : sectors[path] * SECTOR + len(body)] = body
    for path, node in files.items():
        out[sectors[path] * SECTOR : sectors[path] * SECTOR + len(node.data)] = node.data
    root = record(b"\0", first, SECTOR, 2)
    joliet = [descriptor(2, root, b"%/E")] if kind == "Joliet" else []
    for number, one in enumerate([descriptor(1, root), *joliet, *extra, b"\xffCD001\1"], 16):
        out[number * SECTOR : number * SECTOR + len(one)] = one
    return bytes(out)


def _self(name, sector, node, kind, skip):
    use = attributes(node.mode) if kind == "Rock Ridge" else b""
    if kind == "Rock Ridge" and skip is not None:
        use = field(b"SP", b"\xbe\xef" + bytes((skip,))) + use
    return record(name, sector, SECTOR, 2, use=use)


def _child(name, node, sector, kind, skip):
    is_folder = node.mode & 0o170000 == 0o040000
    use, raw = b"", name.upper().encode() + (b"" if is_folder else b";1")
    if kind == "Joliet":
        raw = (name + ("" if is_folder else ";1")).encode("utf-16-be")
    elif kind == "Rock Ridge":
        usual = attributes(node.mode) + field(b"NM", b"\0" + name.encode())
        use = bytes(skip) + (usual if node.use is None else node.use)
    size = node.size if node.size is not None else SECTOR if is_folder else len(node.data)
    where = sector if node.sector is None else node.sector
    return record(raw, where, size, node.flags | (2 if is_folder else 0), use=use, offset=node.offset)
