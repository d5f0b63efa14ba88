"""Work on hostile bytes in processes of their own, several at a time: what breaks one of them breaks nothing else."""

from __future__ import annotations

import mmap
import os
import selectors
import signal
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from . import isolation
from .scanner.source import Limits
from .scanner.startup import NamedTuple
from .scanner.subjects import Place

_SLOT = 1024
"""Bytes of memory that a process shares with us: what it read so far, what its kernel lacks, and where it is."""
_HEAD = struct.Struct("=QBH")
_PIECE = 1 << 16
_EACH = 0.1
"""Seconds between two looks at how far they are."""


class Slot:
    """What a process tells while it works, in memory that outlives its crash."""

    def __init__(self, board: mmap.mmap, number: int) -> None:
        self._board = board
        self._start = number * _SLOT
        self._read = 0

    def watch(self, length: int) -> None:
        """Note that bytes were read."""
        self._read += length
        struct.pack_into("=Q", self._board, self._start, self._read)

    def lack(self, bits: int) -> None:
        """Note what the kernel lacks."""
        self._board[self._start + 8] = bits

    def reach(self, place: Place | str) -> None:
        """Note where the work is, or what broke it."""
        text = str(place).encode("utf-8", "surrogateescape")[: _SLOT - _HEAD.size]
        at = self._start + _HEAD.size
        self._board[at : at + len(text)] = text
        struct.pack_into("=H", self._board, self._start + 9, len(text))

    def told(self) -> tuple[int, int, str]:
        """Bytes read, what is lacking, and the last place; whatever stands there, as nobody vouches for it."""
        read, lacking, length = _HEAD.unpack_from(self._board, self._start)
        at = self._start + _HEAD.size
        text = self._board[at : at + min(length, _SLOT - _HEAD.size)]
        return read, lacking, text.decode("utf-8", "surrogateescape")


class Task(NamedTuple):
    """The files that are read, with which limits, and the work: it yields bytes, which are handed to the taker."""

    paths: tuple[str, ...]
    limits: Limits
    work: Callable[[Slot], Iterator[bytes]]


class Ends(NamedTuple):
    """How the tasks ended: why each failed ("" for a success), and what the kernel lacks to shut them in, as bits."""

    failures: list[str]
    lacking: int


def run(
    tasks: Sequence[Task],
    jobs: int,
    take: Callable[[int, bytes], None],
    *,
    show: Callable[[int], None] | None = None,
    isolated: bool = True,
) -> Ends:
    """Do each task in a process of its own, at most `jobs` at a time.

    `take` gets what a task yields, with the task's number; `show` is told every now and then how many bytes were
    read. Whatever `take` and `show` raise, a KeyboardInterrupt too, ends all of them first.
    """
    with mmap.mmap(-1, max(1, len(tasks)) * _SLOT) as board, selectors.DefaultSelector() as selector:
        slots = [Slot(board, number) for number in range(len(tasks))]
        waiting = deque(range(len(tasks)))
        failures = [""] * len(tasks)
        children: dict[int, int] = {}
        try:
            while waiting or children:
                while waiting and len(children) < jobs:
                    number = waiting.popleft()
                    pid, descriptor = _start(tasks[number], slots[number], isolated=isolated)
                    children[number] = pid
                    selector.register(descriptor, selectors.EVENT_READ, number)
                for key, _ in selector.select(_EACH if show else None):
                    if data := os.read(key.fd, _PIECE):
                        take(key.data, data)
                        continue
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    os.kill(children[key.data], signal.SIGKILL)  # it is ending, unless it lies: only its end counts
                    _, status = os.waitpid(children[key.data], 0)
                    del children[key.data]
                    failures[key.data] = _reason(status, slots[key.data].told()[2], tasks[key.data].limits)
                if show:
                    show(sum(min(slot.told()[0], _MOST) for slot in slots))
        finally:
            for pid in children.values():
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            for key in list(selector.get_map().values()):
                os.close(key.fd)
        lacking = 0
        for slot in slots:
            lacking |= slot.told()[1]
        return Ends(failures, lacking)


_MOST = 1 << 62
_BROKEN = 70
"""Exit status of a process whose work raised something (EX_SOFTWARE of sysexits.h)."""


def _start(task: Task, slot: Slot, *, isolated: bool) -> tuple[int, int]:
    """The new process and the pipe that it writes to."""
    here, there = os.pipe()
    parent = os.getpid()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the child has to be told from us first
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        os.close(there)
        return pid, here
    status = _BROKEN
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        _keep_only(there)
        if isolated:
            slot.lack(isolation.enter(task.paths, task.limits))
            if os.getppid() != parent:  # it ended before we were bound to end with it
                os._exit(status)
        for piece in task.work(slot):
            _write(piece)
        status = 0
    except BrokenPipeError:
        status = 0
    except BaseException as error:  # noqa: BLE001 - all that happens here is told to the parent, which goes on
        slot.reach(type(error).__name__)
    finally:
        os._exit(status)


_PIPE = 3


def _keep_only(descriptor: int) -> None:
    """Leave nothing open but the pipe: neither the terminal nor what the user has open in our name."""
    if descriptor != _PIPE:
        os.dup2(descriptor, _PIPE, inheritable=False)
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]  # the limit is no bound: it may have been lowered
    except OSError:
        numbers = list(range(os.sysconf("SC_OPEN_MAX")))
    os.closerange(_PIPE + 1, max(numbers, default=0) + 1)
    empty = os.open(os.devnull, os.O_RDWR)
    for number in range(_PIPE):
        os.dup2(empty, number)
    os.close(empty)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(_PIPE, view) :]


def _reason(status: int, where: str, limits: Limits) -> str:
    """Why a process ended before its work was done."""
    code = os.waitstatus_to_exitcode(status)
    if not code:
        return ""
    if code > 0:
        return f"its reading failed ({where or f'status {code}'}); please report it"
    after = f" behind {where}" if where else ""
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGXCPU":
        return f"its reading took more than {limits.seconds} seconds of processor time (limit: seconds){after}"
    if name == "SIGKILL":
        return f"its reading was killed{after}, perhaps as memory ran out: give it more, or fewer --jobs"
    return f"its reading crashed ({name}){after}: nothing of it was examined; please report it"
