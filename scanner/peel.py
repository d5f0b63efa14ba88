"""Layers, peeled one after another: which formats there are, in which order they are asked, and what is inside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import (
    compression,
    cpio,
    erofs,
    ext,
    fat,
    iso9660,
    oci,
    partitions,
    qcow2,
    squashfs,
    tar,
    uimage,
    uki,
    unread,
    vhd,
    vmdk,
)
from .compression import identify
from .restarts import Restarts
from .source import Budget, DamagedError, LimitError, Limits, MemorySource, Source, UnreadError
from .stream import Part, Stream, held, over
from .subjects import File, PeeledLayer, Place, Problem
from .tree import Entry, Layer, Tree

HEAD = 1 << 12
"""Bytes inside of a compressed file that are looked at to see what it is."""
WINDOW = unread.REACH
"""Bytes that are looked at to tell what an input is."""
_FIRST_BLOCK = 9 << 20
"""Bytes of a compressed file within which its first block ends: lz4's largest has 8 MiB and its header."""

_INITRD = re.compile(
    r"(?:.*/)?(?:[^/]*-)?init(?:rd|ramfs)(?:\.img)?(?:-\d[^/]*?)?(?:\.(?:img|cpio|gz|xz|zst|lz4|lzma|bz2))*"
)


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can hold a system, or a part of one.

    `sniff` says its name when the bytes are its own, by content alone. `open` yields what is inside: out of a stream
    that it consumes, or out of a source (`open_source`) when it needs random access; a format with neither is known
    and not read. With `nested`, it counts as a layer also where it is met as a file in a tree; nearly all files there
    are none, so a `mark`, a pattern that all of the format match at their start, spares asking: see `recognise`.
    """

    sniff: Callable[[Source], str | None]
    open: Callable[[Stream, Tree], Iterator[Entry]] | None = None
    open_source: Callable[[Source, Tree], Iterator[Entry]] | None = None
    nested: bool = False
    mark: bytes | None = None

    @property
    def is_read(self) -> bool:
        """Whether there is a reader for it."""
        return self.open is not None or self.open_source is not None


def _unpack(stream: Stream, tree: Tree) -> Iterator[Entry]:
    kind = identify(stream.peek(16)) or ""
    whole = stream.source
    again = Restarts(whole, stream.offset, tree.budget.spend) if kind == "gzip" and whole else None
    yield Layer(Stream(compression.decompress(kind, stream, tree.budget), again=again))


def _cpio(source: Source) -> str | None:
    return "cpio" if cpio.sniff(source.pread(0, 6)) else None


FORMATS = (
    Format(iso9660.sniff, open_source=iso9660.entries),  # before MBR: images for both CD and disk bear both marks
    Format(qcow2.sniff, open_source=qcow2.entries, nested=True, mark=re.escape(qcow2.MAGIC)),
    Format(vmdk.sniff, open_source=vmdk.entries, nested=True, mark=vmdk.MARK),
    Format(vhd.sniff, open_source=vhd.entries, nested=True),  # known by its end
    Format(_cpio, cpio.entries, nested=True, mark=b"07070[12]"),
    Format(lambda source: identify(source.pread(0, 16)), _unpack, nested=True, mark=compression.MARK),
    Format(oci.sniff, open_source=oci.entries),
    Format(lambda source: "tar" if tar.sniff(source.pread(0, tar.BLOCK)) else None, tar.entries),
    Format(squashfs.sniff, open_source=squashfs.entries, nested=True, mark=squashfs.MAGIC),
    Format(erofs.sniff, open_source=erofs.entries, nested=True, mark=erofs.MARK),
    Format(ext.sniff, open_source=ext.entries, nested=True, mark=ext.MARK),
    Format(lambda source: uimage.sniff(source.pread(0, 64)), uimage.entries, nested=True, mark=re.escape(uimage.MAGIC)),
    Format(uki.sniff, open_source=uki.entries, nested=True, mark=b"MZ"),
    Format(unread.at_start),
    Format(fat.sniff, open_source=fat.entries),
    Format(partitions.sniff, open_source=partitions.entries, nested=True, mark=partitions.MARK),
    Format(unread.further_in),
)
"""In the order in which they are asked."""
_NESTED = tuple(one for one in FORMATS if one.nested)
_UNMARKED = tuple(one for one in _NESTED if one.mark is None)
_MARKS = re.compile(b"|".join(one.mark for one in _NESTED if one.mark), re.DOTALL)
_MARKED = 4104
"""Bytes within which they stand: the furthest is the header of a GPT on a disk with sectors of 4 KiB."""


def recognise(source: Source, *, nested: bool = False) -> tuple[Format, str] | None:
    """The format of what starts with `source`, and its name; with `nested`, only formats that count inside a tree."""
    asked = FORMATS if not nested else _NESTED if _MARKS.match(source.pread(0, _MARKED)) else _UNMARKED
    for one in asked:
        if name := one.sniff(source):
            return one, name
    return None


class _Known:
    """A source whose first bytes are at hand, as most formats are known by them; without the rest, they are all."""

    def __init__(self, head: bytes, rest: Source | None) -> None:
        self.size = rest.size if rest else len(head)
        self._head = head
        self._rest = rest if rest and rest.size > len(head) else None

    def pread(self, offset: int, length: int) -> bytes:
        """See Source."""
        if self._rest is None or offset + length <= len(self._head):
            return self._head[offset : offset + length]
        return self._rest.pread(offset, length)


def inside(stream: Stream, length: int = WINDOW) -> bytes:
    """The first bytes inside a compressed file, without consuming any; empty when it is none. Raises DamagedError."""
    kind = identify(stream.peek(16))
    if kind is None:
        return b""
    try:
        return compression.peek(stream.peek(WINDOW), kind, length)
    except DamagedError:
        return compression.peek(stream.peek(_FIRST_BLOCK), kind, length)


class NotReadError(DamagedError):
    """A format that is known, or that nobody knows, and that is not read."""


@dataclass(slots=True)
class Peeler:
    """Peels one input. `chains` are the names of the layers met, outermost first, one tuple for each way down.

    `layers` is what is known of each.
    `deferred` are problems that matter only if nothing else told what the layer would have told.
    """

    limits: Limits
    budget: Budget = field(init=False)
    chains: dict[tuple[str, ...], None] = field(default_factory=dict)
    deferred: list[Problem] = field(default_factory=list)
    layers: list[PeeledLayer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limits)

    def find(self, stream: Stream, *, nested: bool = False) -> tuple[Format, str] | None:
        """The layer that a file is, if it is one; a compressed file is one only if what is inside is one.

        With `nested` the file is part of a tree, where only some formats count. Raises DamagedError when a
        compressed file cannot be unpacked far enough to tell.
        """
        found = recognise(_Known(stream.peek(WINDOW), stream.source), nested=nested)
        one, head = found, stream
        for _ in range(self.limits.nesting):
            if one is None or one[0].open is not _unpack:
                break
            data = inside(head, HEAD if nested else WINDOW)
            one = recognise(MemorySource(data), nested=nested)
            head = Stream(iter((data,)))
        return found if one else None

    def peel(self, stream: Stream, place: Place, chain: tuple[str, ...] = ()) -> Iterator[File | Problem]:
        """All files of all layers inside, in order; what breaks off becomes a Problem after what was read before it."""
        return self._guarded(self._parts(stream, place, chain), place)

    def peel_folder(self, folder: str, place: Place) -> Iterator[File | Problem]:
        """The same of the container images in a folder that is an OCI layout."""
        self.chains["OCI layout",] = None
        items = oci.folder(folder, Tree(place, self.budget))
        layer = PeeledLayer(place, "OCI layout", 1)
        return self._guarded(self._items(items, layer, ("OCI layout",), whole=True), place)

    def _guarded(self, items: Iterator[File | Problem], place: Place) -> Iterator[File | Problem]:
        try:
            yield from items
        except NotReadError as error:
            yield Problem(place, str(error), "unusable")
        except LimitError as error:
            yield Problem(place, f"{error}; it is not read further")
        except UnreadError as error:
            yield Problem(place, str(error))
        except DamagedError as error:
            yield Problem(place, f"{error}; get a whole copy of it: only what stands before the damage was read")
        except (MemoryError, RecursionError):
            yield Problem(place, "it does not fit into memory; it is not read further")

    def _parts(self, stream: Stream, place: Place, chain: tuple[str, ...]) -> Iterator[File | Problem]:
        """A stream may hold several archives, one after another, with zeros between them: initrds often do."""
        if len(chain) >= self.limits.nesting:
            raise LimitError(f"more than {self.limits.nesting} layers one inside the other (limit: nesting)")
        while True:
            whole = stream.source if not stream.offset else None
            found = recognise(whole or MemorySource(stream.peek(WINDOW)))
            if found is None:
                where = f" at byte {stream.offset}" if stream.offset else ""
                raise stream.failure or NotReadError(f"what stands{where} in it is in no known format")
            yield from self._open(found, stream, place, chain)
            if found[0].open_source:
                return
            stream.skip_zeros()
            if not stream.peek(1):
                return

    def _open(
        self, found: tuple[Format, str], stream: Stream, place: Place, chain: tuple[str, ...]
    ) -> Iterator[File | Problem]:
        one = found[0]
        name, items = self._opened(found, stream, Tree(place, self.budget))
        start = stream.offset
        chain = (*chain, name)
        self.chains[chain] = None
        self.budget.layer()
        self.budget.spend(WINDOW)
        number = len(self.layers)
        layer = PeeledLayer(place, name, len(chain), *_where(stream, start))
        try:
            yield from self._items(items, layer, chain, whole=one.open_source is not None)
        finally:
            if one.open:
                self.layers[number] = self.layers[number]._replace(size=stream.offset - start)
        if one.open_source and stream.failure:
            raise stream.failure

    def _items(
        self, items: Iterator[Entry], layer: PeeledLayer, chain: tuple[str, ...], *, whole: bool
    ) -> Iterator[File | Problem]:
        """What a format yields, each layer peeled; `whole` where a file that breaks off doesn't end the whole."""
        number, entries = len(self.layers), 0
        self.layers.append(layer)
        try:
            for item in items:
                if isinstance(item, Problem):
                    yield item
                elif isinstance(item, Layer):
                    yield from self._layer(item, layer.place, chain)
                else:
                    file, content = item
                    entries += 1
                    is_layer = content is not None and self._is_layer(file, content)
                    yield file._replace(pieces=None) if is_layer else file
                    if content is not None and is_layer:
                        yield from self.peel(content, file.place, chain)
                    elif content is not None and content.failure and whole:
                        if isinstance(content.failure, LimitError):
                            raise content.failure
                        yield Problem(file.place, f"{content.failure}; get a whole copy of the image")
        finally:
            self.layers[number] = layer._replace(entries=entries)

    def _opened(self, found: tuple[Format, str], stream: Stream, tree: Tree) -> tuple[str, Iterator[Entry]]:
        """What is inside, and the name of the format once more, as more of the bytes may say more."""
        one, name = found
        if one.open_source:
            source = held(stream, self.limits)
            return one.sniff(source) or name, one.open_source(source, tree)
        if one.open:
            return name, one.open(stream, tree)
        raise (UnreadError if unread.is_image(name) else NotReadError)(f"{name} are not read yet")

    def _layer(self, layer: Layer, place: Place, chain: tuple[str, ...]) -> Iterator[File | Problem]:
        content = layer.content
        stream = content if isinstance(content, Stream) else over(content, self.budget, layer.label)
        if not layer.label:
            yield from self._parts(stream, place, chain)
            return
        for item in self.peel(stream, place.inside(layer.label), chain):
            if layer.optional and isinstance(item, Problem):
                self.deferred.append(item)
            else:
                yield item

    def _is_layer(self, file: File, content: Stream) -> bool:
        """Compressed files that hold nothing known are anybody's; one named as an initrd is a layer, and damaged."""
        if not file.size:
            return False
        try:
            found = self.find(content, nested=True) is not None
        except DamagedError:
            found = False
        return found or bool(_INITRD.fullmatch(file.path) and identify(content.peek(16)))


def _where(stream: Stream, start: int) -> tuple[int, int]:
    """Where in its container a layer is that starts `start` bytes into a stream, and its size; -1 where unknown."""
    source = stream.source
    if source is None:
        return start, -1
    return start + source.offset if isinstance(source, Part) else start, source.size
