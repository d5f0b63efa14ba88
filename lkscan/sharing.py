"""One image, two processes: the one that reads it hands contents to the other, which judges them meanwhile.

Both are shut in alike and read bytes of the same image, so neither has anything to gain from the other. What is said in
the end is the same as from one process, whoever did what.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, cached_property, partial
from itertools import accumulate

from . import transfer
from .rules.engine import Engine, Finding, Outcome, Rule
from .rules.funnel import Funnel
from .scanner import elf, hardening
from .scanner.compression import unpacked
from .scanner.source import DamagedError, FileSource, PackedBlocks, Watch
from .scanner.startup import Any
from .scanner.stream import Extents
from .scanner.subjects import Binary, File, Place

_ROOM = 32 << 20
"""Bytes that may be on their way."""
_AHEAD = 24 << 20
"""Bytes of content, unpacked, that may be: at the end the first process waits for the other to be done with them."""
_MOST = 16 << 20
"""Bytes of a content that is handed over: what is larger takes too much of the room."""
_TEXT = 1 << 20
"""The same of a text: of larger ones only the beginning is searched for secrets, and that is not all there is."""
_HEAD = 4096
_FIELDS = Binary._fields.index("copies")
"""How many fields of Binary tell of the file by itself."""
_BATCH = 256 << 10
"""Bytes after which the other process is told that there is something: to wake it takes some microseconds."""
_RECORD = struct.Struct("=III")
"""The number of a content, and the bytes of what is said of it and of itself."""
_POSITION = struct.Struct("=Q")
_GAP = 0
"""Stands for a number where nothing more fits in before the end of the memory."""


class Channel:
    """What the two share: memory for contents, and pipes that tell how far each of them is."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, _ROOM)
        self.work, self.done, self.answer = os.pipe(), os.pipe(), os.pipe()
        os.set_blocking(self.done[0], False)

    @property
    def reader(self) -> tuple[int, int, int]:
        """The ends of the process that reads the image."""
        return self.work[1], self.done[0], self.answer[0]

    @property
    def helper(self) -> tuple[int, int, int]:
        """The ends of the other."""
        return self.work[0], self.done[1], self.answer[1]

    def close(self) -> None:
        """Give both their ends back, in the process that started them."""
        for descriptor in (*self.reader, *self.helper):
            os.close(descriptor)
        self.memory.close()


class Giver:
    """The side of the process that reads: hands contents over as long as there is room for them."""

    def __init__(self, memory: mmap.mmap, ends: tuple[int, int, int]) -> None:
        self._memory = memory
        self._work, self._done, self._answer = ends
        self._position = self._told = self._freed = self._weight = 0
        self._waiting: deque[tuple[int, int]] = deque()
        """Where what is on its way ends, and its bytes when it is unpacked."""

    def has_room(self, weight: int) -> bool:
        """Whether so many bytes of content, unpacked, may be on their way, too."""
        if self._weight + weight > _AHEAD and self._waiting:
            self._tell()
            self._hear()
        return self._weight + weight <= _AHEAD or not self._waiting

    def give(self, number: int, row: bytes, content: bytes, weight: int) -> bool:
        """Whether there was room for it, and what is said of it."""
        length = _RECORD.size + len(row) + len(content)
        at = self._position % _ROOM
        gap = _ROOM - at if at + length > _ROOM else 0
        if self._position + gap + length - self._freed > _ROOM:
            self._tell()
            self._hear()
            if self._position + gap + length - self._freed > _ROOM:
                return False
        if gap:
            if gap >= _RECORD.size:
                _RECORD.pack_into(self._memory, at, _GAP, 0, 0)
            self._position, at = self._position + gap, 0
        _RECORD.pack_into(self._memory, at, number, len(row), len(content))
        at += _RECORD.size
        self._memory[at : at + len(row)] = row
        self._memory[at + len(row) : at + len(row) + len(content)] = content
        self._position += length
        self._weight += weight
        self._waiting.append((self._position, weight))
        if self._position - self._told >= _BATCH:
            self._tell()
        return True

    def _hear(self) -> None:
        """Learn how far the other process is."""
        with suppress(BlockingIOError):
            while data := os.read(self._done, _POSITION.size * 512):
                self._freed = _POSITION.unpack(data[-_POSITION.size :])[0]
        while self._waiting and self._waiting[0][0] <= self._freed:
            self._weight -= self._waiting.popleft()[1]

    def _tell(self) -> None:
        if self._position > self._told:
            try:
                os.write(self._work, _POSITION.pack(self._position))
            except BrokenPipeError as error:
                raise LostError from error
            self._told = self._position

    def answer(self) -> Any:  # noqa: ANN401 - what was told
        """What the other process tells in the end, which this waits for. Raises LostError where it broke."""
        self._tell()
        os.close(self._work)
        pieces = []
        while piece := os.read(self._answer, 1 << 20):
            pieces.append(piece)
        try:
            return json.loads(b"".join(pieces))
        except ValueError as error:
            raise LostError from error


class LostError(Exception):
    """The other process broke, and with it what was handed to it."""


class Taker:
    """The side of the process that helps."""

    def __init__(self, memory: mmap.mmap, ends: tuple[int, int, int]) -> None:
        self._memory = memory
        self._work, self._done, self._answer = ends

    def taken(self) -> Iterator[tuple[int, bytes, bytes]]:
        """What is handed over, as it comes: its number, what is said of it, and the content."""
        memory, position, told = self._memory, 0, 0
        while message := os.read(self._work, _POSITION.size):
            until = _POSITION.unpack(message)[0]
            while position < until:
                at = position % _ROOM
                is_gap = _ROOM - at < _RECORD.size
                number, row, content = (_GAP, 0, 0) if is_gap else _RECORD.unpack_from(memory, at)
                if number == _GAP:
                    position += _ROOM - at
                    continue
                at += _RECORD.size
                found = number, memory[at : at + row], memory[at + row : at + row + content]
                position += _RECORD.size + row + content
                if position - told >= _BATCH or position == until:
                    os.write(self._done, _POSITION.pack(position))
                    told = position
                yield found

    def answer(self, told: object) -> None:
        """Tell what came of it."""
        data = memoryview(json.dumps(told).encode("ascii"))
        while data:
            data = data[os.write(self._answer, data) :]


class Share:
    """What the process that reads an image hands over, and what becomes of it."""

    def __init__(self, giver: Giver) -> None:
        self._giver = giver
        self._last: File | None = None
        self._number = 0

    def give(self, file: File, number: int) -> bool:
        """Whether the other process judges this file, whose content can be read now; it is the subject `number`."""
        self._last = None
        if file.kind != "file" or not 0 < file.size <= _MOST or file.read is None or file.pieces is None:
            return False
        head = file.read(_HEAD)
        is_text = file.size <= _TEXT and b"\0" not in head
        if file.xattrs or not (is_text or elf.looks_whole(head, file.size)) or not self._giver.has_room(file.size):
            return False
        try:
            lies = file.packed() if file.packed else None
        except DamagedError:
            return False  # who reads it here learns where
        how: Any = None
        if isinstance(lies, PackedBlocks):
            content = b"".join(data for data, _, _ in lies.blocks)
            how = lies.kind, [(len(data), length, is_packed) for data, length, is_packed in lies.blocks]
        elif isinstance(lies, Extents):
            content, how = b"", lies
        else:
            content = file.read(file.size)
            if len(content) < file.size:
                return False
        said = (file.path, file.mode, file.uid, file.gid, file.place.artifacts, file.source, file.location)
        row = json.dumps((*said, file.replaces, how)).encode("ascii")
        if not self._giver.give(number, row, content, file.size):
            return False
        self._last, self._number = file, number
        return True

    def number(self, file: File) -> int | None:
        """The number of the file that was met last, if it was handed over."""
        return self._number if file is self._last else None

    def programs(self) -> Iterator[tuple[int, int, Binary | None]]:
        """Number, content and facts of each program among them; waits for the other process to end.

        Raises AgainError.
        """
        for number, content, path, fields in self._told[0]:
            file = File(path, "file", 0, 0, 0, 0, Place((path,)))
            values = (tuple(one) if isinstance(one, list) else one for one in fields)
            yield number, content, Binary._make((file, *values, (), (), ())) if fields else None

    def join(self, engine: Engine, funnel: Funnel, rules: Iterable[Rule]) -> None:
        """Add what the other process found and counted to what was found and counted here."""
        _, tally, reasons, failures, found = self._told
        engine.join(
            {(rule, Outcome(outcome)): count for rule, outcome, count in tally},
            {(rule, reason): count for rule, reason, count in reasons},
            {(rule, text): [Place(tuple(one)) for one in places] for rule, text, places in failures},
        )
        for number, finding in transfer.load(found.encode("ascii"), rules):
            funnel.add(finding, number)

    @cached_property
    def _told(self) -> list[Any]:
        told: list[Any] = self._giver.answer()
        if not told:
            raise AgainError
        return told


class AgainError(Exception):
    """Something that was handed over is damaged: all has to be read by one process, which tells of it in its place."""


def attend(rules: Iterable[Rule], reach: Callable[[Place], None], taker: Taker, watch: Watch | None = None) -> None:
    """The work of the other process: judge each file that comes, and examine each program, until no more come.

    `reach` is told of each file, `watch` how many bytes of the image are read.
    """
    engine = Engine(rules)
    findings: list[tuple[int, Finding]] = []
    programs: list[tuple[Any, ...]] = []
    open_file = cache(partial(FileSource, watch=watch))
    is_damaged = False
    for number, row, content in taker.taken():
        *said, how = json.loads(row)
        try:
            file = _file(said, _whole(how, content, open_file))
            reach(file.place)
            findings += [(number, finding) for finding in engine.judge(file)]
            if file.read and file.read(len(elf.MAGIC)) == elf.MAGIC:
                programs.append(_program(number, file))
        except (DamagedError, OSError):
            is_damaged = True
    told = (
        programs,
        [(rule, outcome.value, count) for (rule, outcome), count in engine.tally.items()],
        [(rule, reason, count) for (rule, reason), count in engine.not_applicable.items()],
        [(rule, text, [one.artifacts for one in places]) for (rule, text), places in engine.failures.items()],
        transfer.dump(findings).decode("ascii"),
    )
    taker.answer(None if is_damaged else told)


def _whole(how: list[Any] | None, content: bytes, open_file: Callable[[str], FileSource]) -> bytes:
    """What was handed over, unpacked, or read where it is said to lie. Raises DamagedError, OSError."""
    if how is None:
        return content
    if len(how) == len(Extents._fields):
        path, identity, places = how
        return Extents(path, tuple(identity), tuple((at, length) for at, length in places)).read(open_file(path))
    kind, blocks = how
    ends = accumulate(length for length, _, _ in blocks)
    pieces = [
        (content[end - packed : end], length, is_packed)
        for end, (packed, length, is_packed) in zip(ends, blocks, strict=True)
    ]
    return unpacked(PackedBlocks(kind, tuple(pieces)))


def _program(number: int, file: File) -> tuple[int, int, str, tuple[Any, ...]]:
    """What is told of a program: what stands for its content, its path, and the fields of Binary that it has by itself.

    Raises DamagedError.
    """
    content = file.read(file.size) if file.read else b""
    found = hardening.examine(file, content, exact=False)
    return number, hash(content), file.path, found[1:_FIELDS] if found else ()


def _file(row: list[Any], content: bytes) -> File:
    """The file as its reader met it."""
    path, mode, uid, gid, artifacts, source, location, replaces = row
    return File(
        path,
        "file",
        mode,
        uid,
        gid,
        len(content),
        Place(tuple(artifacts)),
        source=source,
        location=location,
        read=lambda limit: content[:limit],
        replaces=replaces,
        pieces=lambda: iter((content,)),
        again=lambda: iter((content,)),
    )
