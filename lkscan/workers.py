"""Work on hostile bytes in processes of their own, several at a time: what breaks one of them breaks nothing else."""

from __future__ import annotations

import fcntl
import mmap
import os
import selectors
import signal
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from . import isolation
from .scanner.source import Limits
from .scanner.startup import NamedTuple
from .scanner.subjects import Place
from .sharing import Channel, Giver, LostError, Taker

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
        self.giver: Giver | None = None
        """What hands contents to the other process, where there is one."""

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
    """The files that are read, with which limits, and the work: it yields bytes, which are handed to the taker.

    With `helping`, a second process does this with what the first one hands to it.
    """

    paths: tuple[str, ...]
    limits: Limits
    work: Callable[[Slot], Iterator[bytes]]
    helping: Callable[[Slot, Taker], None] | None = None


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
    with mmap.mmap(-1, max(1, 2 * len(tasks)) * _SLOT) as board, selectors.DefaultSelector() as selector:
        slots = [Slot(board, number) for number in range(2 * len(tasks))]  # those of helpers come behind the others
        waiting = deque(range(len(tasks)))
        failures = [""] * len(tasks)
        children: dict[int, list[int]] = {}
        try:
            while waiting or children:
                while waiting and len(children) < jobs:
                    number = waiting.popleft()
                    children[number] = []
                    pair = slots[number], slots[len(tasks) + number]
                    descriptor = _start(tasks[number], pair, children[number], isolated=isolated)
                    selector.register(descriptor, selectors.EVENT_READ, number)
                for key, _ in selector.select(_EACH if show else None):
                    if data := os.read(key.fd, _PIECE):
                        take(key.data, data)
                        continue
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    ends = [_ended(pid) for pid in children.pop(key.data)]
                    failures[key.data] = _why(ends, (slots[key.data], slots[len(tasks) + key.data]), tasks[key.data])
                if show:
                    show(sum(min(slot.told()[0], _MOST) for slot in slots))
        finally:
            for pid in (pid for pids in children.values() for pid in pids):
                _ended(pid)
            for key in list(selector.get_map().values()):
                os.close(key.fd)
        lacking = 0
        for slot in slots:
            lacking |= slot.told()[1]
        return Ends(failures, lacking)


def _ended(pid: int) -> int:
    """The status of a process that is ending, unless it lies: only its end counts."""
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return status


def _why(statuses: Sequence[int], slots: Sequence[Slot], task: Task) -> str:
    """Why a task failed: its process by itself, or as the one broke that helped it; "" for a success."""
    where = slots[0].told()[2]
    if statuses[0] and where == LostError.__name__ and len(statuses) > 1 and statuses[1]:
        return _reason(statuses[1], slots[1].told()[2], task.limits)
    return _reason(statuses[0], where, task.limits)


_MOST = 1 << 62
_BROKEN = 70
"""Exit status of a process whose work raised something (EX_SOFTWARE of sysexits.h)."""


def _start(task: Task, slots: tuple[Slot, Slot], children: list[int], *, isolated: bool) -> int:
    """The pipe that the new process writes to, which joins the `children`, with the one that helps it, if any."""
    slot, other = slots
    here, there = os.pipe()
    channel = Channel() if task.helping else None
    if channel:
        slot.giver = Giver(channel.memory, _behind(1))
    children.append(_forked(task, slot, (there, *(channel.reader if channel else ())), task.work, isolated=isolated))
    os.close(there)
    if channel and task.helping:
        taker = Taker(channel.memory, _behind(0))
        work = partial(_helped, task.helping, taker)
        children.append(_forked(task, other, channel.helper, work, isolated=isolated))
        channel.close()
    return here


def _behind(before: int) -> tuple[int, int, int]:
    """The three descriptors that come after so many others."""
    first = _PIPE + before
    return first, first + 1, first + 2


def _helped(helping: Callable[[Slot, Taker], None], taker: Taker, slot: Slot) -> Iterator[bytes]:
    helping(slot, taker)
    yield from ()


def _forked(
    task: Task, slot: Slot, kept: Sequence[int], work: Callable[[Slot], Iterator[bytes]], *, isolated: bool
) -> int:
    """A new process that does the work, with nothing open but the descriptors `kept`, which count from _PIPE there."""
    parent = os.getpid()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the child has to be told from us first
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return pid
    status = _BROKEN
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        _keep_only(kept)
        if isolated:
            slot.lack(isolation.enter(task.paths, task.limits))
            if os.getppid() != parent:  # it ended before we were bound to end with it
                os._exit(status)
        for piece in work(slot):
            _write(piece)
        status = 0
    except BrokenPipeError:
        status = 0
    except BaseException as error:  # noqa: BLE001 - all that happens here is told to the parent, which goes on
        slot.reach(type(error).__name__)
    finally:
        os._exit(status)


_PIPE = 3


def _keep_only(descriptors: Sequence[int]) -> None:
    """Leave nothing open but these: neither the terminal nor what the user has open in our name."""
    apart = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _PIPE + len(descriptors)) for one in descriptors]
    for number, one in enumerate(apart, _PIPE):
        os.dup2(one, number, inheritable=False)
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]  # the limit is no bound: it may have been lowered
    except OSError:
        numbers = list(range(os.sysconf("SC_OPEN_MAX")))
    os.closerange(_PIPE + len(descriptors), max(numbers, default=0) + 1)
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
