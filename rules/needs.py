"""Which of its capabilities, and what else, a container needs: judged by what its programs can ask of the kernel."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from ..scanner.reached import Interest, Program, Reach, Step, plain
from ..scanner.startup import Any, Literal, NamedTuple
from ..scanner.subjects import Container, Mount, Place
from .tables import load

Needed = Literal["used", "unused", "unknown"]
"""A program that is reached can ask for it; none can, and all of it was seen; that can't be told."""

_EVIDENCE = 5
"""Call sites that are shown of one capability."""
_GAPS = 8
_AF_UNIX = 1
_FAMILIES = {
    "inet": frozenset({2, 10}),
    "unix": frozenset({_AF_UNIX}),
    "ports": frozenset({2, 6, 10, 11, 31, 40, 43, 45}),
    "credentials": frozenset({_AF_UNIX, 16}),
}
"""Families of sockets (AF_INET and so on, linux/socket.h) that rows of the table are only about."""
_WRITES = 0x1 | 0x2 | 0x40 | 0x200
"""O_WRONLY, O_RDWR, O_CREAT and O_TRUNC."""
_FLAGS = {"open": (0, 1), "openat": (1, 2)}
"""Calls that open files: where their path and their flags stand."""
_CHANGES = {
    "creat": 0, "mkdir": 0, "mkdirat": 1, "rmdir": 0, "unlink": 0, "unlinkat": 1, "rename": 1, "renameat": 3,
    "renameat2": 3, "link": 1, "linkat": 3, "symlink": 1, "symlinkat": 2, "truncate": 0, "chmod": 0, "fchmodat": 1,
    "chown": 0, "lchown": 0, "fchownat": 1, "mknod": 0, "mknodat": 1, "setxattr": 0, "lsetxattr": 0, "openat2": 1,
    "utime": 0, "utimes": 0, "utimensat": 1, "mkstemp": 0, "mkostemp": 0, "mkdtemp": 0, "remove": 0, "mkfifo": 0,
    "tmpfile": -1, "freopen": 0, "bind": -1, "dbm_open": 0, "fchmod": -1, "fchown": -1, "open_by_handle_at": -1,
}  # fmt: skip
"""Calls that change files or folders, and where the path stands, -1 where nowhere."""
_ADDRESSED = ("bind", "connect", "sendto", "sendmsg", "sendmmsg")
_NETWORK = ("/proc/net", "class/net", "/proc/sys/net")
_IPC = (
    "shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl",
    "mq_open", "mq_unlink",
)  # fmt: skip
"""Calls on objects of System V IPC, and queues of POSIX, which have a namespace of their own (ipc_namespaces(7))."""
_PROCESSES = (
    "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "ptrace",
    "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "move_pages",
    "migrate_pages", "get_robust_list", "setns", "setpriority", "getpriority", "ioprio_set", "ioprio_get", "prlimit64",
    "sched_setscheduler", "sched_getscheduler", "sched_setparam", "sched_getparam", "sched_setattr", "sched_getattr",
    "sched_setaffinity", "sched_getaffinity", "setpgid", "getpgid", "getsid", "perf_event_open", "bpf", "fanotify_init",
)  # fmt: skip
"""Calls that are given the number of a process, or give those of others."""
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
)  # fmt: skip
"""What container engines mask by default."""


MORE_RUNS = "more may run than is told"
SHARED = "is many programs in one, and the call may be another one's"
"""What a reason ends in that is the same for whatever such a program calls."""


class Answer(NamedTuple):
    """What is known of one need: the verdict, the call sites that show it, and the reason why it can't be told.

    Where calls may need it, `reason` is that of the first of them, which its evidence repeats; `MORE_RUNS` stands for
    the container's gaps.
    """

    name: str
    verdict: Needed
    evidence: tuple[str, ...] = ()
    reason: str = ""


class Reached(NamedTuple):
    """A program or library that a container reaches, how certainly and by what."""

    path: str
    certainty: str
    by: str


class Needs(NamedTuple):
    """What one container needs. `capabilities` has an answer for each that it holds; `settings` those for `network`
    (a socket is opened), `root` (its root file system is written), `privileges` (execve can grant some), `ipc`, `uts`
    and `pid` (what such a namespace would hide is used); `binds` has one for each writable bind, by its
    destination. `masked` are paths that nothing names. `gaps` say why more may run than is told.
    """  # noqa: D205 - one sentence

    title: str
    container: Container
    command: str
    reached: tuple[Reached, ...]
    gaps: tuple[str, ...]
    capabilities: tuple[Answer, ...]
    settings: tuple[Answer, ...]
    binds: tuple[Answer, ...]
    masked: tuple[str, ...]

    @property
    def place(self) -> Place:
        """The container's."""
        return self.container.place

    def count(self, verdict: Needed) -> int:
        """How many capabilities have it."""
        return sum(one.verdict == verdict for one in self.capabilities)


class _Made(NamedTuple):
    """A call that some program makes; `arguments` None: nothing is told of them."""

    name: str
    step: Step
    address: int
    function: str
    arguments: Mapping[int, frozenset[int] | None] | None
    texts: Mapping[int, frozenset[str | None]]
    by: str

    @property
    def site(self) -> str:
        """`/sbin/ip imports mount`, `/bin/a: mount at 0x4011c7`, `/bin/b: mount in main.setup`."""
        where = f"in {self.function}" if self.function else f"at {self.address:#x}" if self.address else ""
        what = self.name if self.by in {"", self.name} else f"{self.by} ({self.name})"
        return f"{self.step.path}: {what} {where}".rstrip()


@cache
def interest() -> Interest:
    """What is to be asked of programs, for the table."""
    table = load("capability_uses")
    arguments: dict[str, set[int]] = {"socket": {0}, "ioctl": {1}}
    constants: set[int] = set()
    texts: set[str] = {*_MASKED, *_NETWORK}
    for row in table["use"]:
        constants |= {value & 0xFFFFFFFF for value in row.get("ioctls", {}).values()}
        texts |= set(row.get("texts", ()))
        for call in row.get("calls", ()) if "arguments" in row else ():
            arguments.setdefault(call, set()).update(one["at"] for one in row["arguments"])
    for call, (_, flags) in _FLAGS.items():
        arguments.setdefault(call, set()).add(flags)
    strings: dict[str, tuple[int, ...]] = {call: (path,) for call, path in _CHANGES.items() if path >= 0}
    strings |= {call: (path,) for call, (path, _) in _FLAGS.items()} | {"fopen": (0, 1)}
    return Interest(
        frozenset(table["indirect"]),
        {call: tuple(sorted(positions)) for call, positions in arguments.items()},
        strings,
        frozenset(constants),
        tuple(sorted(texts)),
    )


def judge(container: Container, reach: Reach, *, has_set_id: bool) -> Needs:
    """What a container needs; `has_set_id`: some file of its tree grants more by being executed."""
    judge_of = _Judge(container, reach, has_set_id)
    listed = sorted(container.capabilities, key=_number)
    return Needs(
        container.title,
        container,
        " ".join(container.command),
        tuple(Reached(one.path, one.certainty, one.by) for one in reach.steps),
        reach.gaps,
        tuple(judge_of.capability(one) for one in listed),
        (
            *(judge_of.network(), judge_of.root(), judge_of.privileges()),
            *(judge_of.ipc(), judge_of.uts(), judge_of.pid()),
        ),
        tuple(judge_of.bind(one) for one in container.mounts if one.is_bind and one.writable),
        tuple(one for one in _MASKED if one not in judge_of.texts) if not reach.gaps else (),
    )


def _number(name: str) -> int:
    table = load("capabilities")
    order = [*table["first"], *table["since"]]
    return order.index(name) if name in order else len(order)


class _Judge:
    """Holds one container's reach against the table."""

    def __init__(self, container: Container, reach: Reach, has_set_id: bool) -> None:  # noqa: FBT001 - of one caller
        self.container = container
        self.reach = reach
        self.steps = [one for one in reach.steps if not one.program.is_library]
        table = load("capability_uses")
        self.rows: Sequence[Mapping[str, Any]] = table["use"]
        self.functions: Mapping[str, list[str]] = table["functions"]
        self.submits: Mapping[str, list[str]] = table["submits"]
        self.own_arguments = frozenset(table["own_arguments"])
        self.made: dict[str, list[_Made]] = {}
        for made in (made for step in self.steps for made in self._calls(step)):
            self.made.setdefault(made.name, []).append(made)
        self.texts = {text for step in self.steps for text in _texts(step.program)}
        self.only = {
            "": True,
            **{name: self._opens(families) for name, families in _FAMILIES.items()},
            "set-id": has_set_id,
            "wakes": any(step.program.wakes for step in self.steps),
        }

    def _calls(self, step: Step) -> Iterator[_Made]:
        """All calls of a program, by the names of system calls."""
        program = step.program
        told = set()
        for name in load("capability_uses")["indirect"].get(program.soname, ()):
            yield _Made(name, step, 0, "", None, {}, "")
        for call in program.calls:
            told.add(call.name)
            names = [call.name] if call.is_direct else self.functions.get(call.name, [call.name])
            same = names == [call.name] and call.name != "clone"
            for name in names:
                yield _Made(
                    name,
                    step,
                    call.address,
                    call.function,
                    call.arguments if same or call.is_direct else None,
                    call.texts,
                    call.name,
                )
            for name in self.submits.get(call.name, ()):
                yield _Made(name, step, call.address, call.function, None, {}, call.name)
            if call.name in _CHANGES or call.name == "fopen":
                yield _Made(f"={call.name}", step, call.address, call.function, call.arguments, call.texts, call.name)
        for imported in sorted(program.imports):
            if plain(imported, told):
                continue
            function = plain(imported, self.functions) or plain(imported, _known())
            for name in self.functions.get(function, [function] if function else []):
                yield _Made(name, step, 0, "", None, {}, imported)

    def _opens(self, families: frozenset[int]) -> bool:
        """Whether a socket of one of these families may be made."""
        if _AF_UNIX in families and "socketpair" in self.made:
            return True
        told = ((made.arguments or {}).get(0) for made in self.made.get("socket", ()))
        return any(values is None or not families.isdisjoint(values) for values in told)

    # --- capabilities

    def capability(self, name: str) -> Answer:
        """Whether a capability is used."""
        used: dict[str, None] = {}
        maybe: dict[str, str] = {}
        for row in self.rows:
            if row["capability"] != name or not self.only[row.get("only", "")]:
                continue
            for step, site, is_told in self._uses(row):
                text = f"{site} [{_place(row['kernel'])}]"
                if why := _doubt(step, row.get("when", ""), is_told=is_told):
                    maybe.setdefault(f"{text}: {why}", why)
                else:
                    used.setdefault(text if step.certainty == "certain" else f"{text} ({step.certainty} by {step.by})")
        if used:
            return Answer(name, "used", tuple(used)[:_EVIDENCE])
        if maybe:
            return Answer(name, "unknown", tuple(maybe)[:_EVIDENCE], next(iter(maybe.values())))
        if self.reach.gaps:
            return Answer(name, "unknown", self.reach.gaps[:_EVIDENCE], MORE_RUNS)
        return Answer(name, "unused", (self.completeness(),))

    def completeness(self) -> str:
        """How much was looked at."""
        guessed = sum(step.certainty == "guessed" for step in self.reach.steps)
        more = f", {guessed} of them because something may start or load them" if guessed else ""
        number = len(self.reach.steps)
        what = "program" if number == 1 else "programs and libraries"
        return f"{number} {what} reached{more}; nothing that was seen can ask for it"

    def _uses(self, row: Mapping[str, Any]) -> Iterator[tuple[Step, str, bool]]:
        """Who may do what a row tells, where, and whether its arguments are told."""
        if "beside" in row and not any(one in self.made for one in row["beside"]):
            return
        for call in row.get("calls", ()):
            for made in self.made.get(call, ()):
                if "arguments" in row and plain(made.by, self.own_arguments):
                    continue
                match = _matches(made, row.get("arguments", ()))
                if match is not None:
                    yield made.step, made.site, match
        yield from self._requests(row.get("ioctls", {}))
        for text in row.get("texts", ()):
            named = text.strip("\0")
            for step in self.steps:
                if text in _texts(step.program):
                    yield step, f"{step.path}: names '{named}'", True
            if self.steps and any(named in word for word in (*self.container.command, *self.container.env)):
                yield self.steps[0], f"the container's command or environment names '{named}'", True

    def _requests(self, ioctls: Mapping[str, int]) -> Iterator[tuple[Step, str, bool]]:
        """Who may ask a device for something: by a number that is told, or one that stands anywhere in its file."""
        if not ioctls:
            return
        names = {number & 0xFFFFFFFF: name for name, number in ioctls.items()}
        is_open = False
        for made in self.made.get("ioctl", ()):
            values = (made.arguments or {}).get(1)
            is_open |= values is None
            for value in sorted(names.keys() & {one & 0xFFFFFFFF for one in values or ()}):
                yield made.step, f"{made.site}: {names[value]}", True
        for name in ioctls:
            yield from ((made.step, made.site, True) for made in self.made.get(f"ioctl {name}", ()))
        for step in self.steps if is_open else ():
            for number in sorted(names.keys() & step.program.constants):
                yield step, f"{step.path}: {names[number]} ({number:#x}) stands in it, and a request of ioctl", False

    # --- settings

    def network(self) -> Answer:
        """Whether anything opens a socket that a network namespace tells apart, or looks at the network otherwise.

        Sockets of AF_UNIX that have a name instead of a path are told apart, too.
        """
        used, maybe = [], []
        for made in self.made.get("socket", ()):
            families = (made.arguments or {}).get(0)
            if families is None:
                maybe.append(f"{made.site}: its family is not told")
            elif families != frozenset({_AF_UNIX}):
                used.append(made.site)
        if self.only["unix"]:
            sites = [made.site for call in _ADDRESSED for made in self.made.get(call, ())]
            maybe += [f"{site}: a socket may have a name that is of the network" for site in sites]
        why = "no program that is reached opens a socket with an address, or looks at the network"
        return self._shared("network", used, [*maybe, *self._named(_NETWORK)], why)

    def ipc(self) -> Answer:
        """Whether anything uses what an IPC namespace tells apart: shared memory, semaphores and queues."""
        why = "no program that is reached uses shared memory, semaphores or message queues by their keys"
        return self._shared("ipc", self._sites(_IPC), (), why)

    def uts(self) -> Answer:
        """Whether anything sets the name of the host, or asks for it, which may change later."""
        maybe = [*self._sites(("uname",)), *self._named(("/proc/sys/kernel",))]
        why = "no program that is reached sets the host's name, or asks for it"
        return self._shared("uts", self._sites(("sethostname", "setdomainname")), maybe, why)

    def pid(self) -> Answer:
        """Whether anything may be about other processes than its own, or restarts the machine."""
        maybe = [*self._sites(_PROCESSES), *self._named(("/proc/%", "/proc/\0", "/proc\0", "/proc/1/", "/ns/"))]
        why = "no program that is reached is about other processes"
        return self._shared("pid", self._sites(("reboot",)), maybe, why)

    def _sites(self, calls: Iterable[str]) -> list[str]:
        return [made.site for call in calls for made in self.made.get(call, ())]

    def _named(self, texts: Iterable[str]) -> list[str]:
        """Which programs name one of the texts."""
        named = [(step.path, text) for step in self.steps for text in texts if text in _texts(step.program)]
        return [f"{path}: names '{text.strip(chr(0))}'" for path, text in named]

    def _shared(self, name: str, used: Sequence[str], maybe: Sequence[str], why: str) -> Answer:
        """What is told of something that a container shares with the host."""
        if used:
            return Answer(name, "used", tuple(dict.fromkeys(used))[:_EVIDENCE])
        if maybe:
            return Answer(name, "unknown", tuple(dict.fromkeys(maybe))[:_EVIDENCE], "it may be about the host's")
        return self._unless_gaps(name, why)

    def root(self) -> Answer:
        """Whether anything writes below the container's root, outside of mounts."""
        return self._written("root", lambda path: self._mount(path) is None)

    def bind(self, mount: Mount) -> Answer:
        """Whether anything writes below a bind."""
        return self._written(mount.destination, lambda path: self._mount(path) == mount)

    def privileges(self) -> Answer:
        """Whether execve can grant more: of a set-id file, or one with capabilities."""
        starts = [made.site for made in self.made.get("execve", ())]
        if starts and self.only["set-id"]:
            return Answer(
                "privileges", "unknown", tuple(starts)[:_EVIDENCE], "files of its tree grant privileges when started"
            )
        if not self.only["set-id"]:
            return Answer("privileges", "unused", ("no file of its tree is set-id or has capabilities",))
        return self._unless_gaps("privileges", "no program that is reached starts another one")

    def _written(self, name: str, concerns: Any) -> Answer:  # noqa: ANN401 - a test of a path
        known, unknown = [], []
        for made, paths in self._writes():
            for path in sorted(paths, key=lambda one: one or ""):
                if path is None or not path.startswith("/"):
                    unknown.append(f"{made.site}: the path is not told")
                elif concerns(os.path.normpath(path)):
                    known.append(f"{made.site}: '{path}'")
        if known:
            return Answer(name, "used", tuple(dict.fromkeys(known))[:_EVIDENCE])
        if unknown:
            return Answer(name, "unknown", tuple(dict.fromkeys(unknown))[:_EVIDENCE], "a path is not told")
        return self._unless_gaps(name, "no program that is reached writes there")

    def _writes(self) -> Iterator[tuple[_Made, frozenset[str | None]]]:
        """The calls that change files, with the paths that they are given."""
        nowhere: frozenset[str | None] = frozenset({None})
        for name, at in _CHANGES.items():
            for made in self.made.get(name, ()):
                if name != "bind" or self.only["unix"]:
                    yield made, made.texts.get(at, nowhere)
        for name, (at, flags) in _FLAGS.items():
            for made in self.made.get(name, ()):
                if made.by in {"fopen", "opendir", "scandir", "glob", "dlopen", "getspnam", "setmntent", "fopen64"}:
                    continue
                values = (made.arguments or {}).get(flags)
                if values is None or any(value & _WRITES for value in values):
                    yield made, made.texts.get(at, nowhere)
        for made in self.made.get("=fopen", ()):
            if any(mode is None or set("wa+") & set(mode) for mode in made.texts.get(1, nowhere)):
                yield made, made.texts.get(0, nowhere)

    def _mount(self, path: str) -> Mount | None:
        """The mount that a path lies in, None for the root file system."""
        over = [
            one for one in self.container.mounts
            if path == one.destination or path.startswith(f"{one.destination.rstrip('/')}/")
        ]  # fmt: skip
        return max(over, key=lambda one: len(one.destination), default=None)

    def _unless_gaps(self, name: str, why: str) -> Answer:
        if self.reach.gaps:
            return Answer(name, "unknown", self.reach.gaps[:_EVIDENCE], MORE_RUNS)
        return Answer(name, "unused", (why,))


def _place(kernel: str) -> str:
    """The first of the places that check: `fs/attr.c: chown_ok`."""
    path, _, functions = kernel.partition(": ")
    return f"{path}: {re.split(r'[ ,;]', functions, maxsplit=1)[0]}"


def _doubt(step: Step, when: str, *, is_told: bool) -> str:
    """Why a call need not be a use of the capability; ""."""
    if step.certainty == "guessed":
        return f"nothing but {step.by} may start it"
    if step.is_multiple:
        return f"{step.path} {SHARED}"
    if not is_told:
        return "the arguments of the call are not told"
    return f"only if {when}" if when else ""


@cache
def _known() -> frozenset[str]:
    """System calls that the table knows."""
    table = load("capability_uses")
    listed = {call for row in table["use"] for key in ("calls", "beside") for call in row.get(key, ())}
    asked = {*_ADDRESSED, *_IPC, *_PROCESSES, "uname", "sethostname", "setdomainname", "reboot"}
    return frozenset(listed | asked | set(_CHANGES) | set(_FLAGS) | {"socketpair", "ioctl", "socket"})


def _texts(program: Program) -> Iterable[str]:
    """Those of the interest that stand in a program or script."""
    if program.is_elf:
        return program.texts
    return {one for one in interest().texts if one.strip("\0") in program.text}


def _matches(made: _Made, conditions: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether a call is one that a row tells: True, False where its arguments are not told, None where it is not."""
    is_told = True
    for one in conditions:
        values = (made.arguments or {}).get(one["at"])
        if values is None:
            is_told = False
        elif not any(_fits(value & 0xFFFFFFFF, one) for value in values):
            return None
    return is_told


def _fits(value: int, condition: Mapping[str, Any]) -> bool:
    if "bits" in condition:
        return bool(value & condition["bits"])
    return value & condition.get("mask", 0xFFFFFFFF) in condition["values"]
