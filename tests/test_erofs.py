"""EROFS as newer tools make it than Debian 12 has: fragments, shared clusters, long prefixes, four ways to compress.

The images in tests/seeds/erofs were made by mkfs.erofs 1.9.3 out of `tree`, with the options in MADE.
"""

import gzip
import os
import random
from hashlib import sha256
from pathlib import Path

import pytest
import seedlab

from lkscan.scanner import image
from lkscan.scanner.subjects import File, Problem

FOLDER = Path(__file__).resolve().parent / "seeds" / "erofs"
MADE = {
    "lz4-fragments": "-zlz4 -Efragments,dedupe",
    "lz4-dedupe": "-zlz4 -Ededupe",
    "lz4-full": "-zlz4 -Elegacy-compress,fragments",
    "lz4-512": "-b512 -zlz4",
    "lzma-all": "-zlzma -Eall-fragments,dedupe,ztailpacking -C16384",
    "deflate-all": "-zdeflate -Eall-fragments,dedupe",
    "zstd-dedupe": "-zzstd -Ededupe -C65536",
    "mixed": "-zlz4:lzma,6:zstd -C16384 -Efragments",
    "prefixes": "--xattr-prefix=user.lo -zlz4 -Efragments",
    "plain-prefixes": "--xattr-prefix=user.lo -Eplain-xattr-prefixes -zlz4 -Efragments",
    "chunks-dedupe": "--chunksize=4096 -Ededupe",
}


def tree(root):
    """What the images hold: the same bytes again and again, at places that are no multiples of a block."""
    seedlab.populate(root)
    numbers = (root / "etc/blocks").read_bytes()
    noise = random.Random(1).randbytes(9000)
    (root / "etc/noise").write_bytes(noise)
    (root / "etc/again").write_bytes(b"0,1," + numbers + noise)
    (root / "etc/mixed").write_bytes(noise[:5000] + numbers * 3)


def told(root):
    """Kind, mode, content and attributes by path."""
    found = {}
    for path in sorted(root.rglob("*")):
        kind = "link" if path.is_symlink() else "dir" if path.is_dir() else "file" if path.is_file() else "other"
        content = os.readlink(path) if kind == "link" else path.read_bytes() if kind == "file" else b""
        xattrs = {} if kind == "link" else {name: os.getxattr(path, name) for name in os.listxattr(path)}
        found[str(path.relative_to(root))] = (kind, path.lstat().st_mode & 0o7777, digest(content), xattrs)
    return found


def digest(content):
    return content if isinstance(content, str) else sha256(content).hexdigest()


def read(path):
    """The same of an image, and what is said about it."""
    found, said = {}, []
    for item in image.read((str(path),)):
        if isinstance(item, Problem):
            said.append(item.message)
        elif isinstance(item, File) and len(item.place.artifacts) == 2 and item.path != ".":
            kind = {"symlink": "link", "dir": "dir", "file": "file"}.get(item.kind, "other")
            content = b"".join(item.pieces()) if item.pieces else item.read(1 << 20) if item.read else b""
            row = (kind, item.mode, digest(item.target or content), dict(item.xattrs))
            found[item.path] = found[item.target] if item.kind == "hardlink" else row
    return found, said


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("erofs")
    tree(folder)
    return folder


@pytest.mark.parametrize("name", MADE)
def test_what_went_in_comes_out(root, tmp_path, name):
    path = tmp_path / "image"
    path.write_bytes(gzip.decompress((FOLDER / f"{name}.gz").read_bytes()))
    assert read(path) == (told(root), [])


def test_fragments_that_hold_themselves_are_refused(tmp_path):
    """The packed node's own header is made to say that all of it lies in the packed node."""
    data = bytearray(gzip.decompress((FOLDER / "lz4-fragments.gz").read_bytes()))
    node = int.from_bytes(data[1024 + 96 : 1024 + 104], "little")
    inode = (int.from_bytes(data[1024 + 40 : 1024 + 44], "little") << 12) + node * 32
    header = inode + (64 if data[inode] & 1 else 32)
    data[header + -header % 8 : header + -header % 8 + 8] = b"\0" * 7 + b"\x80"
    (tmp_path / "image").write_bytes(data)
    _, said = read(tmp_path / "image")
    assert any("a part of it is in a fragment, and there are none" in one for one in said)
