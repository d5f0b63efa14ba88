"""ISO 9660 images: Rock Ridge, else Joliet, else plain names as Linux shows them; El Torito boot images as layers.

As ECMA-119, SUSP 1.12, RRIP 1.12, the Joliet specification and "El Torito" 1.0 have it. Both-endian numbers are read
from their little-endian half. Everything is found by reading, nothing by trust: extents are checked against the
source, directories against their own ancestors, continuation areas are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .source import DamagedError, LimitError, Source
from .startup import NamedTuple
from .stream import Part, Stream, over
from .subjects import FileKind
from .tree import KINDS, Entry, Layer, Tree, text

SECTOR = 2048
_FIRST = 16
_DESCRIPTORS = 64
"""Volume descriptors that are looked at."""
_HOPS = 16
"""Continuation areas of one entry."""
_SPAN = 1 << 15
"""Bytes of a directory that are read at once: a multiple of every block size."""
_DIRECTORY_BYTES = 64 << 20
_BLOCKS = (512, 1024, 2048)
_JOLIET = (b"%/@", b"%/C", b"%/E")
_DIRECTORY, _ASSOCIATED, _MORE = 0x02, 0x04, 0x80
_RECORD = 33
"""Bytes of a directory record before its name."""
_EFI = 0xEF
_DIRECTORY_MODE, _FILE_MODE = 0o040555, 0o100444
"""What Linux shows where the image keeps no modes."""
_EXTENTS = 4096
"""Parts of one file: each may have nearly 4 GiB."""
_SELF, _PARENT = b"\0", b"\1"


@dataclass(frozen=True, slots=True)
class Volume:
    """How to read an image: `kind` is `Rock Ridge`, `Joliet` or `plain`; offsets and lengths are in bytes."""

    kind: str
    block: int
    root: _Record
    skip: int
    """Bytes before the system use fields of each record (SUSP's SP)."""
    catalog: int
    """Offset of El Torito's boot catalog, 0 if there is none."""
    size: int


class _Record(NamedTuple):
    """One directory record; `extents` are (offset, length) in bytes."""

    name: bytes
    flags: int
    extents: tuple[tuple[int, int], ...]
    interleaved: bool
    system_use: bytes


@dataclass(slots=True)
class _RockRidge:
    """What the system use fields of a record say."""

    name: bytes = b""
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    link: list[bytes] = field(default_factory=list)
    child: int = 0
    """The block of a directory that was moved away from here."""
    moved: bool = False
    """Whether it is such a directory, in the place it was moved to."""
    odd: str = ""
    """Why the content cannot be read."""

    @property
    def target(self) -> str:
        """Where a symbolic link points to."""
        return "/" if self.link == [b""] else text(b"/".join(self.link))

    name_goes_on: bool = False
    part_goes_on: bool = False


class BootImage(NamedTuple):
    """An entry of El Torito's boot catalog: `platform` is 0 (BIOS) or 0xEF (EFI), `media` 0 if nothing is emulated."""

    platform: int
    media: int
    offset: int
    size: int


def sniff(source: Source) -> str | None:
    """`ISO 9660 (Rock Ridge)` and the like; `ISO 9660` when only the head is at hand; None if it is no such image."""
    if source.pread(_FIRST * SECTOR + 1, 5) != b"CD001":
        return None
    try:
        return f"ISO 9660 ({volume(source).kind})"
    except DamagedError:
        return "ISO 9660"


def volume(source: Source) -> Volume:
    """The volume that is to be read. Raises DamagedError."""
    primary = joliet = None
    catalog = 0
    for number in range(_FIRST, _FIRST + _DESCRIPTORS):
        descriptor = source.pread(number * SECTOR, SECTOR)
        if len(descriptor) < SECTOR or descriptor[1:6] != b"CD001" or descriptor[0] == 0xFF:  # noqa: PLR2004 - the terminator
            break
        if descriptor[0] == 1 and primary is None:
            primary = descriptor
        elif descriptor[0] == 2 and descriptor[88:91] in _JOLIET:  # noqa: PLR2004 - a supplementary one
            joliet = descriptor
        elif descriptor[0] == 0 and descriptor[7:30] == b"EL TORITO SPECIFICATION":
            catalog = _int(descriptor, 71) * SECTOR
    if primary is None:
        raise DamagedError(f"the ISO 9660 image has no primary volume descriptor after byte {_FIRST * SECTOR}")
    found = _rooted(primary, "plain", catalog)
    first = next(_records(source, found, found.root), None)
    start = _susp(first.system_use) if first else None
    if start is not None and first and _has_rock_ridge(first.system_use[start:]):
        return replace(found, kind="Rock Ridge", skip=first.system_use[start + 6])
    return _rooted(joliet, "Joliet", catalog) if joliet else found


def entries(source: Source, tree: Tree) -> Iterator[Entry]:
    """The files of an image, directory by directory, then its boot images that are more than a boot sector.

    Raises DamagedError where the image's frame is damaged; damage to one directory or file is a Problem.
    """
    found = volume(source)
    if found.size > source.size:
        yield tree.problem(b".", f"the file system has {found.size} bytes, but the image ends at byte {source.size}")
    walk = _Walk(source, found, tree)
    yield tree.entry(b".", *walk.attributes(found.root), 0)
    while walk.pending:
        yield from walk.directory(walk.pending.pop())
    for image in boot_images(source, found):
        if image.platform == _EFI or image.media:
            label = f"[El Torito {'EFI' if image.platform == _EFI else 'BIOS'}]"
            yield Layer(Part(source, ((image.offset, image.size),)), label, optional=True)


def boot_images(source: Source, found: Volume) -> list[BootImage]:
    """What El Torito's boot catalog lists, in its order. Where it gives no size, the image may reach to the end."""
    if not found.catalog:
        return []
    catalog = source.pread(found.catalog, SECTOR)
    platform, images = catalog[1:2], []
    for at in range(32, len(catalog), 32):
        item = catalog[at : at + 32]
        if item[0] in {0x90, 0x91}:
            platform = item[1:2]
        elif item[0] == 0x88:  # noqa: PLR2004 - bootable
            offset = _int(item, 8) * SECTOR
            size = int.from_bytes(item[6:8], "little") * 512
            rest = max(0, source.size - offset)
            images.append(BootImage(platform[0], item[1] & 0x0F, offset, min(size, rest) if size > SECTOR else rest))
    return images


class _Pending(NamedTuple):
    """A directory still to be read, and the one that led to it."""

    record: _Record
    path: bytes
    above: _Pending | None

    @property
    def start(self) -> int:
        return self.record.extents[0][0]

    def depth(self) -> int:
        """Directories above it, -1 when it is one of them itself."""
        count, above = 0, self.above
        while above is not None:
            if above.start == self.start:
                return -1
            count, above = count + 1, above.above
        return count


class _Walk:
    """The walk through the directories of a volume; `pending` are those still to be read, the next one last."""

    def __init__(self, source: Source, found: Volume, tree: Tree) -> None:
        self._source = source
        self._volume = found
        self._tree = tree
        self.pending = [_Pending(found.root, b".", None)]

    def attributes(self, record: _Record) -> tuple[int, tuple[int, int]]:
        """st_mode and owners of a directory, from its own first record where Rock Ridge keeps them."""
        if self._volume.kind == "Rock Ridge":
            first = next(_records(self._source, self._volume, record), None)
            if first:
                found = self._system_use(first)
                return found.mode or _DIRECTORY_MODE, found.owner
        return _DIRECTORY_MODE, (0, 0)

    def directory(self, here: _Pending) -> Iterator[Entry]:
        """What a directory holds; the directories among it become pending."""
        depth = here.depth()
        if not 0 <= depth <= self._tree.budget.limits.depth:
            why = f"holds itself (at byte {here.start})" if depth < 0 else "is nested too deep (limit: depth)"
            yield self._tree.problem(here.path, f"the directory {why}; not followed")
            return
        level = len(self.pending)
        try:
            for item in _joined(self._counted(here.record)):
                yield from self._item(item, here)
        except LimitError:
            raise
        except DamagedError as error:
            yield self._tree.problem(here.path, str(error))
        self.pending[level:] = reversed(self.pending[level:])

    def _counted(self, directory: _Record) -> Iterator[_Record]:
        self._tree.budget.spend(directory.extents[0][1])
        first = b""
        for record in _records(self._source, self._volume, directory):
            self._tree.budget.entry()
            first = first or record.name
            yield record
        if first != _SELF:
            raise DamagedError("the directory does not begin with itself, as each does: it may have held more")

    def _item(self, item: _Record, here: _Pending) -> Iterator[Entry]:
        name = here.path + b"/" + item.name
        try:
            found = self._system_use(item)
            name = here.path + b"/" + _checked(found.name or self._name(item.name))
            if found.child:
                item = self._child(item, found.child)
                found.mode, found.owner = self.attributes(item)
        except LimitError:
            raise
        except DamagedError as error:
            yield self._tree.problem(name, f"{error}; entry skipped")
            return
        if found.moved or item.flags & _ASSOCIATED:
            return
        if item.flags & _DIRECTORY:
            if len(item.extents) > 1:
                yield self._tree.problem(name, "the directory is in several parts; only the first is read")
            yield self._tree.entry(name, found.mode or _DIRECTORY_MODE, found.owner, 0)
            self.pending.append(_Pending(item, name, here))
        else:
            yield from self._file(item, found, name)

    def _file(self, item: _Record, found: _RockRidge, name: bytes) -> Iterator[Entry]:
        size = sum(length for _, length in item.extents)
        kind: FileKind | None = KINDS.get(found.mode & 0o170000) if found.mode else "file"
        if kind != "file":
            yield self._tree.entry(name, found.mode, found.owner, 0, link=found.target)
            return
        odd = found.odd or ("it is interleaved" if item.interleaved else "")
        mode = found.mode or _FILE_MODE
        if odd:
            yield self._tree.entry(name, mode, found.owner, size)
            yield self._tree.problem(name, f"the content is not read: {odd}")
            return
        content = self._content(item, size)
        yield self._tree.entry(name, mode, found.owner, size, content)
        content.close()
        end = max((offset + length for offset, length in item.extents if length), default=0)
        if end > self._source.size:
            yield self._tree.problem(
                name, f"the content ends at byte {end}, behind the end of the image at byte {self._source.size}"
            )

    def _content(self, item: _Record, size: int) -> Stream:
        extents = tuple((offset, length) for offset, length in item.extents if length)
        return over(Part(self._source, extents), self._tree.budget, "the content of the file") if size else _empty()

    def _child(self, item: _Record, block: int) -> _Record:
        """The directory that was moved away: its own first record knows its length."""
        offset = block * self._volume.block
        probe = item._replace(flags=_DIRECTORY, extents=((offset, self._volume.block),), system_use=b"")
        first = next(_records(self._source, self._volume, probe), None)
        if first is None or first.name != _SELF:
            raise DamagedError(f"no directory where a relocated one must be, at byte {offset}")
        return probe._replace(extents=((offset, first.extents[0][1]),))

    def _name(self, name: bytes) -> bytes:
        """A name without Rock Ridge, as Linux shows it: no version, and small letters where there is no Joliet."""
        if self._volume.kind == "Joliet":
            return name.decode("utf-16-be", "replace").partition(";")[0].encode()
        plain = name.partition(b";")[0]
        return plain.removesuffix(b".").lower() or plain

    def _system_use(self, item: _Record) -> _RockRidge:
        found = _RockRidge()
        if self._volume.kind == "Rock Ridge":
            start = _susp(item.system_use)
            for signature, data in self._fields(item.system_use[self._volume.skip if start is None else start :]):
                _take(found, signature, data)
        return found

    def _fields(self, area: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The system use fields of a record and of its continuation areas: (signature, data)."""
        for _ in range(_HOPS):
            following: tuple[int, int, int] | None = None
            for signature, data in _split(area):
                if signature == b"CE" and len(data) >= 24:  # noqa: PLR2004 - three both-endian numbers
                    following = _int(data, 0), _int(data, 8), _int(data, 16)
                elif signature == b"ST":
                    break
                else:
                    yield signature, data
            if following is None:
                return
            block, offset, length = following
            area = self._source.pread(block * self._volume.block + offset, min(length, SECTOR))
            if len(area) < length:
                raise DamagedError(f"a continuation area of {length} bytes, of which {len(area)} can be read")
            self._tree.budget.steps(length // 4)
        raise DamagedError(f"more than {_HOPS} continuation areas for one entry")


def _checked(name: bytes) -> bytes:
    if name in {b"", b".", b".."} or b"/" in name:
        raise DamagedError("it has no name that can be")
    return name


def _empty() -> Stream:
    return Stream(iter(()))


def _int(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _rooted(descriptor: bytes, kind: str, catalog: int) -> Volume:
    block = int.from_bytes(descriptor[128:130], "little")
    if block not in _BLOCKS:
        raise DamagedError(f"the ISO 9660 image has blocks of {block} bytes")
    size = _int(descriptor, 80) * block
    return Volume(kind, block, _record(descriptor[156:190], block), 0, catalog, size)


def _record(data: bytes, block: int) -> _Record:
    """A directory record of the right length."""
    length = data[32]
    if _RECORD + length > len(data) or not length:
        raise DamagedError("a directory record is too short for its name")
    offset = (_int(data, 2) + data[1]) * block
    padded = _RECORD + length + (1 - length % 2)
    return _Record(
        data[_RECORD : _RECORD + length], data[25], ((offset, _int(data, 10)),), any(data[26:28]), data[padded:]
    )


def _records(source: Source, found: Volume, directory: _Record) -> Iterator[_Record]:
    """The records of a directory, its own and its parent's first; none crosses a block. Raises DamagedError."""
    offset, length = directory.extents[0]
    if length > _DIRECTORY_BYTES:
        raise DamagedError(f"a directory of {length} bytes at byte {offset}, more than {_DIRECTORY_BYTES}")
    for start in range(offset, offset + length, _SPAN):
        wanted = min(_SPAN, offset + length - start)
        data = source.pread(start, wanted)
        for at in range(0, len(data), found.block):
            yield from _block(data[at : at + found.block], found.block, start + at)
        if len(data) < wanted:
            raise DamagedError(f"the directory breaks off at byte {start + len(data)}")


def _block(data: bytes, block: int, where: int) -> Iterator[_Record]:
    at = 0
    while at < len(data) and (length := data[at]):
        if length <= _RECORD or at + length > len(data):
            raise DamagedError(f"a directory record at byte {where + at} has {length} bytes")
        yield _record(data[at : at + length], block)
        at += length


def _joined(records: Iterator[_Record]) -> Iterator[_Record]:
    """Records but for a directory's own and its parent's, the parts of large files joined."""
    held: _Record | None = None
    for record in records:
        if record.name in {_SELF, _PARENT}:
            continue
        if held is not None and held.name == record.name:
            if len(held.extents) == _EXTENTS:
                raise LimitError(f"a file has more than {_EXTENTS} parts")
            record = record._replace(extents=held.extents + record.extents)  # noqa: PLW2901 - it grows
        elif held is not None:
            yield held
        held = record if record.flags & _MORE else None
        if held is None:
            yield record
    if held is not None:
        yield held


def _split(area: bytes) -> Iterator[tuple[bytes, bytes]]:
    """System use fields: two letters, a length, a version, data."""
    at = 0
    while at + 4 <= len(area) and area[at + 2] >= 4:  # noqa: PLR2004 - a field's own header
        yield area[at : at + 2], area[at + 4 : at + area[at + 2]]
        at += area[at + 2]


def _susp(area: bytes) -> int | None:
    """Where the fields of the root's own record start, if SP is the first of them (CD-ROM XA has 14 bytes before)."""
    marks = (start for start in (0, 14) if area[start : start + 6] == b"SP\x07\x01\xbe\xef")
    return next((start for start in marks if len(area) > start + 6), None)


def _has_rock_ridge(area: bytes) -> bool:
    return any(signature in {b"PX", b"RR", b"NM", b"ER"} for signature, _ in _split(area))


def _take(found: _RockRidge, signature: bytes, data: bytes) -> None:
    """Note what one field says."""
    if signature == b"NM" and data:
        if not data[0] & 6:
            found.name = found.name + data[1:] if found.name_goes_on else data[1:]
            found.name_goes_on = bool(data[0] & 1)
    elif signature == b"PX" and len(data) >= 32:  # noqa: PLR2004 - four both-endian numbers
        found.mode = _int(data, 0) & 0xFFFF
        found.owner = (_int(data, 16), _int(data, 24))
    elif signature == b"SL":
        _take_link(found, data[1:])
    elif signature == b"CL" and len(data) >= 4:  # noqa: PLR2004 - a number
        found.child = _int(data, 0)
    elif signature == b"RE":
        found.moved = True
    elif signature in {b"ZF", b"SF"}:
        found.odd = "it is compressed by zisofs" if signature == b"ZF" else "it is sparse"


def _take_link(found: _RockRidge, data: bytes) -> None:
    """Components of a symbolic link: flags, length, bytes."""
    at = 0
    while at + 2 <= len(data) and at + 2 + data[at + 1] <= len(data):
        flags, length = data[at], data[at + 1]
        part = {2: b".", 4: b"..", 8: b""}.get(flags & 0x0E, data[at + 2 : at + 2 + length])
        if found.part_goes_on and found.link:
            found.link[-1] += part
        elif flags & 8:
            found.link = [b""]
        else:
            found.link.append(part)
        found.part_goes_on = bool(flags & 1)
        at += 2 + length
