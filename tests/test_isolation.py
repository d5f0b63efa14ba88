"""The process that reads an image gives up what it does not need; what it breaks in, breaks alone."""

import ctypes
import fcntl
import mmap
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli
from imagelab import Item, newc

from lkscan import extraction, imaging, isolation, workers
from lkscan.cli import INCOMPLETE, main
from lkscan.desks import Desk, Staff
from lkscan.imaging import Order, results
from lkscan.inputs import Input
from lkscan.rules.funnel import Result
from lkscan.scanner.source import Limits
from lkscan.scanner.subjects import Place, Problem


def landlock() -> bool:
    return sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) > 0


ALL = pytest.mark.skipif(not landlock(), reason="needs a Linux with Landlock")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def inside(paths, act, *, limits=None):
    """What a piece of work says from inside, and how its process ended."""
    said = bytearray()

    def work(_slot):
        yield str(act()).encode()

    task = workers.Task(tuple(map(str, paths)), limits or Limits(), work)
    ends = workers.run([task], 1, lambda _, data: said.extend(data))
    return said.decode(), ends


def refused(act):
    def attempt():
        try:
            act()
        except (OSError, subprocess.SubprocessError) as error:
            return type(error).__name__
        return "done"

    return attempt


FORBIDDEN = {
    "writing a file": lambda folder: (folder / "read").write_bytes(b"x"),
    "making a file": lambda folder: (folder / "new").write_bytes(b"x"),
    "making a folder": lambda folder: (folder / "new").mkdir(),
    "removing a file": lambda folder: (folder / "read").unlink(),
    "renaming a file": lambda folder: (folder / "read").rename(folder / "moved"),
    "linking a file": lambda folder: os.link(folder / "read", folder / "link"),
    "changing a mode": lambda folder: (folder / "read").chmod(0o777),
    "changing an owner": lambda folder: os.chown(folder / "read", 1, 1),
    "changing a time": lambda folder: os.utime(folder / "read"),
    "changing an attribute": lambda folder: os.setxattr(folder / "read", "user.a", b"1"),
    "a socket": lambda _: socket.socket(),
    "a local socket": lambda _: socket.socketpair(),
    "a program": lambda _: os.execv("/bin/true", ["true"]),
    "another process": lambda _: os.fork(),
    "a signal": lambda _: os.kill(os.getppid(), 0),
    "a signal to itself": lambda _: signal.raise_signal(signal.SIGTERM),
    "a signal by way of a pipe": lambda _: fcntl.fcntl(3, fcntl.F_SETOWN, os.getppid()),
    "a limit of the parent": lambda _: resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (0, 0)),
    "how urgent the parent is": lambda _: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    "where the parent runs": lambda _: os.sched_setaffinity(os.getppid(), {0}),
    "a thread": lambda _: called("clone", 0x50F00, 0, 0, 0, 0),
    "memory of the machine": lambda _: called("shmget", 0, 4096, 0o1666),
    "messages of the machine": lambda _: called("msgget", 0, 0o1666),
    "a file in memory": lambda _: os.memfd_create("x"),
    "a new namespace": lambda _: called("unshare", 0x10000000),
    "another folder": os.chdir,
    "a pipe": lambda _: os.pipe(),
    "a watch on a folder": lambda _: called("inotify_init1", 0),
    "a ring of calls": lambda _: called("io_uring_setup", 1, bytes(200)),
    "the kernel's keys": lambda _: called("keyctl", 0, 0, 0, 0, 0),
    "the memory of the parent": lambda _: called("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0),
}
HEADERS = {"x86_64": "*-linux-gnu/asm/unistd_64.h", "generic": "asm-generic/unistd.h"}


def numbered(calls):
    """System calls by name, out of the kernel's headers."""
    found = sorted(Path("/usr/include").glob(HEADERS[calls]))
    text = found[0].read_text() if found else ""
    names = {"fstatat": "newfstatat"}
    pairs = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)
    return {names.get(name, name): int(number) for name, number in pairs}


NUMBERS = numbered("x86_64" if os.uname().machine == "x86_64" else "generic")


def called(name, *arguments):
    """A system call that Python has no function for."""
    if LIBC.syscall(NUMBERS[name], *arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


LIBC = ctypes.CDLL(None, use_errno=True)


@LINUX
@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_is_changed_started_or_reached_from_inside(tmp_path, what):
    (tmp_path / "read").write_bytes(b"content")
    if not landlock() and what.endswith(("file", "folder")):
        pytest.skip("needs a Linux with Landlock")
    said, ends = inside([tmp_path / "read"], refused(lambda: FORBIDDEN[what](tmp_path)))
    assert (said, ends.failures) == ("PermissionError", [""])
    assert os.listdir(tmp_path) == ["read"]
    assert (tmp_path / "read").read_bytes() == b"content"


@ALL
def test_only_what_was_named_is_read_and_what_python_is_made_of(tmp_path):
    (tmp_path / "named").write_bytes(b"content")
    (tmp_path / "other").write_bytes(b"secret")
    assert inside([tmp_path / "named"], (tmp_path / "named").read_bytes)[0] == "b'content'"
    assert inside([tmp_path / "named"], refused((tmp_path / "other").read_bytes))[0] == "PermissionError"
    assert inside([tmp_path / "named"], refused(Path("/etc/passwd").read_bytes))[0] == "PermissionError"
    assert inside([], lambda: __import__("colorsys").__name__)[0] == "colorsys"


def test_it_lasts_no_longer_than_its_processor_time(tmp_path):
    def spin():
        while True:
            pass

    _, ends = inside([], spin, limits=Limits(seconds=1))
    assert ends.failures == ["its reading took more than 1 seconds of processor time (limit: seconds)"]


@LINUX
def test_it_has_no_more_addresses_than_it_may():
    def grow():
        try:
            return len(bytes(2 << 30))
        except MemoryError:
            return "refused"

    assert inside([], grow, limits=Limits(address=1 << 30))[0] == "refused"


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "its reading crashed (SIGSEGV): nothing of it was examined"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "its reading was killed, perhaps as memory ran out"),
        (lambda: 1 // 0, "its reading failed (ZeroDivisionError)"),
        (lambda: os._exit(4), "its reading failed (status 4)"),
    ],
    ids=["a crash", "no memory", "a defect", "an end"],
)
def test_a_process_that_breaks_says_why_and_the_others_go_on(act, told):
    said = [bytearray(), bytearray()]
    works = (lambda _slot: iter([str(act()).encode()]), lambda _slot: iter([b"a", b"b" * 100_000]))
    tasks = [workers.Task((), Limits(), work) for work in works]
    ends = workers.run(tasks, 2, lambda number, data: said[number].extend(data), isolated=False)
    assert ends.failures[0].startswith(told)
    assert (ends.failures[1], said) == ("", [b"", b"a" + b"b" * 100_000])


def test_whoever_is_interrupted_leaves_no_process_behind():
    def interrupt(_number, _data):
        raise KeyboardInterrupt

    def work(_slot):
        yield b"x"
        signal.pause()

    with pytest.raises(KeyboardInterrupt):
        workers.run([workers.Task((), Limits(), work)] * 3, 3, interrupt, isolated=False)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


MACHINES = ("x86_64", "aarch64", "riscv64")
TABLE = tomli.loads((Path(isolation.__file__).parent / "syscalls.toml").read_text())
ALLOWED, REFUSED, KILLED = 0x7FFF0000, 0x00050001, 0x80000000


def filtered(machine):
    """What the filter of a machine says of a call: the program is run as the kernel runs it."""
    found = TABLE["machines"][machine]
    program = isolation._program(found["audit"], TABLE["calls"][found["calls"]], TABLE["decided"][found["calls"]])
    steps = list(struct.iter_unpack("=HBBI", program))
    assert len(steps) < 256

    def verdict(number, *arguments, audit=found["audit"]):
        data = struct.pack("=IIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
        at, held = 0, 0
        while True:
            code, yes, no, value = steps[at]
            if code == 0x06:
                return value
            if code == 0x20:
                (held,) = struct.unpack_from("=I", data, value)
                at += 1
            elif code == 0x05:
                at += 1 + value
            else:
                assert code in {0x15, 0x45}
                at += 1 + (yes if (held == value if code == 0x15 else held & value) else no)

    return verdict


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_of_every_machine_allows_what_the_table_has_and_nothing_else(machine):
    verdict, calls = filtered(machine), TABLE["machines"][machine]["calls"]
    allowed = {number for group in TABLE["calls"][calls].values() for number in group.values()}
    decided = {one["number"] for one in TABLE["decided"][calls].values()}
    assert not allowed & decided
    for number in (*range(600), *range(0x40000000, 0x40000258), 0xFFFFFFFF):
        if number not in decided:
            assert verdict(number, 1 << 40) == (ALLOWED if number in allowed else REFUSED), number
        assert verdict(number, audit=0x40000003) == KILLED


@pytest.mark.parametrize("machine", MACHINES)
def test_of_some_calls_an_argument_decides(machine):
    verdict, decided = filtered(machine), TABLE["decided"][TABLE["machines"][machine]["calls"]]
    opening = decided["openat"]["number"]
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, 0x410000, os.O_RDWR | os.O_CLOEXEC, 3):
        assert verdict(opening, 0, 0, flags) == REFUSED, flags
    assert verdict(opening, 0, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK) == ALLOWED
    names = {name: getattr(fcntl, name) for name in dir(fcntl) if name.startswith("F_")}
    harmless = {"F_DUPFD", "F_GETFD", "F_SETFD", "F_GETFL", "F_DUPFD_CLOEXEC"}
    for name in ("F_SETOWN", "F_SETSIG", "F_SETFL", "F_SETLEASE", "F_NOTIFY", "F_SETPIPE_SZ", *harmless):
        wanted = ALLOWED if name in harmless else REFUSED
        assert verdict(decided["fcntl"]["number"], 0, names.get(name, 1031)) == wanted, name
    assert verdict(decided["prlimit64"]["number"], 0) == ALLOWED
    assert verdict(decided["prlimit64"]["number"], 1) == REFUSED


@pytest.mark.parametrize("calls", HEADERS)
def test_the_numbers_of_calls_are_those_of_the_kernels_headers(calls):
    numbers = numbered(calls)
    if not numbers:
        pytest.skip("needs linux-libc-dev")
    told = {name: number for group in TABLE["calls"][calls].values() for name, number in group.items()}
    told |= {name: one["number"] for name, one in TABLE["decided"][calls].items()}
    assert {name: (number, numbers.get(name)) for name, number in told.items() if numbers.get(name) != number} == {}


def test_a_process_that_closes_its_pipe_and_goes_on_is_ended():
    def work(_slot):
        yield b"x"
        os.close(3)
        time.sleep(60)

    begun = time.monotonic()
    ends = workers.run([workers.Task((), Limits(), work)], 1, lambda *_: None)
    assert ends.failures == ["its reading was killed, perhaps as memory ran out: give it more, or fewer --jobs"]
    assert time.monotonic() - begun < 30


def test_nothing_that_was_open_stays_open_however_high_its_number(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    high = fcntl.fcntl(os.open(tmp_path / "secret", os.O_RDONLY), fcntl.F_DUPFD, 900)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        assert inside([], refused(lambda: os.read(high, 10)))[0] == "OSError"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(high)


@ALL
def test_the_folder_that_the_user_is_in_is_not_read_though_python_looks_there(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(b"secret")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert inside([], refused((tmp_path / "secret").read_bytes))[0] == "PermissionError"


@LINUX
def test_a_recursion_without_end_and_a_writer_without_end_break_alone():
    def deep(_slot):
        def on():
            return on() + 1

        yield str(on()).encode()

    def wide(_slot):
        held = []
        while True:
            held.append(bytes(1 << 24))
            yield b""

    held = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE  # of this process, which tests may fill
    tight = Limits(address=held + (1 << 30))
    ends = workers.run([workers.Task((), tight, one) for one in (deep, wide)], 2, lambda *_: None)
    assert [one.split("(")[1].split(")")[0] for one in ends.failures] == ["RecursionError", "MemoryError"]


@ALL
def test_whoever_is_not_root_is_shut_in_as_well():
    """Python itself may lie where only root reads: what is needed is loaded, and becomes somebody else's."""
    if os.getuid():
        pytest.skip("needs to be root, to become somebody else")
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            attempts = [refused(lambda: open("/etc/passwd").close()), refused(os.fork), refused(socket.socket)]
            said, ends = inside([], lambda: [attempt() for attempt in attempts])
            status = (said, ends) != (str(["PermissionError"] * 3), workers.Ends([""], 0))
        finally:
            os._exit(int(status))
    assert os.waitpid(pid, 0)[1] == 0


LIES = {
    "a number": lambda: 5,
    "too few values": lambda: (Result(),),
    "values of other kinds": lambda: (Result(), 1),
    "findings that are none": lambda: (Result(findings=("x",)), []),
    "a place that is none": lambda: (Result(problems=(Problem(5, "x"),)), []),
    "a message that is none": lambda: (Result(problems=(Problem(Place(("a",)), None),)), []),
    "texts that are none": lambda: (Result(texts=("a",)), []),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_process_that_lies_about_what_it_found_is_not_believed(tmp_path, lie):
    image = Input("image", (str(tmp_path / "image"),))
    order = Order(image, Limits(), lambda _slot: LIES[lie](), (Result, list))
    (found,) = results([order], Staff(1))
    assert isinstance(found, Problem)
    assert "nothing sensible" in found.message


def test_a_process_that_answers_without_end_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(imaging, "_ANSWER", 1 << 20)
    order = Order(Input("image", (str(tmp_path),)), Limits(), lambda _slot: ("x" * (3 << 20),), (str,))
    (found,) = results([order], Staff(1))
    assert "nothing sensible" in found.message


def test_what_a_process_says_cannot_write_to_the_terminal(images, capsys, monkeypatch):
    def lie(desk):
        place = Place(("0.cpio", "\x1b[2J\nlkscan: fine"))
        return Result(problems=(Problem(place, "\x1b[2Jm\nx"),))

    monkeypatch.setattr(Desk, "result", lie)
    status, told = printed(capsys, images[0])
    assert status == INCOMPLETE
    assert "\x1b" not in told.out + told.err
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize(
    "line", [b"", b"{", b"5\n", b'["a", "b", 3, [], []]\n', b"[" * 100_000 + b"\n", b"x" * (2 << 20)]
)
def test_extract_believes_no_line_that_it_did_not_write(tmp_path, capsys, monkeypatch, line):
    (tmp_path / "image").write_bytes(newc(Item("etc")))
    monkeypatch.setattr(extraction, "work", lambda *_: iter([line] if line else []))
    status, told = printed(capsys, "extract", f"{tmp_path / 'image'}!etc")
    assert status in {2, INCOMPLETE}
    assert "Traceback" not in told.err


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        tree = newc(Item("etc"), Item("etc/shadow", b"root::0:0:::::\n", mode=0o100644), Item(f"etc/{number}", b"x"))
        (tmp_path / f"{number}.cpio").write_bytes(tree)
    return [f"{number}.cpio" for number in range(4)]


def printed(capsys, *arguments):
    status = main(list(arguments))
    return status, capsys.readouterr()


@pytest.mark.parametrize("command", [["scan", "-f", "json"], ["inspect", "--files", "-f", "json"], ["scan"]])
@pytest.mark.parametrize("how", [["--jobs", "1"], ["--jobs", "3"], ["--no-sandbox"]])
def test_the_report_is_the_same_however_images_are_read(images, capsys, monkeypatch, command, how):
    alone = printed(capsys, *command, *how, *images)
    monkeypatch.delattr(os, "fork")
    assert printed(capsys, *command, *images) == alone
    assert alone[1].err == ""


def test_an_image_whose_reading_crashes_is_told_and_the_rest_is_scanned(images, capsys, monkeypatch):
    take = Desk.take

    def crash(desk, one, *others):
        if one.paths[0] == "1.cpio":
            others[1](one_file("1.cpio"))
            signal.raise_signal(signal.SIGSEGV)
        take(desk, one, *others)

    monkeypatch.setattr(Desk, "take", crash)
    status, told = printed(capsys, "--jobs", "2", "--no-sandbox", "-f", "json", *images)
    assert status == INCOMPLETE
    assert told.err.startswith(
        "lkscan: 1.cpio: its reading crashed (SIGSEGV) behind 1.cpio / etc/shadow: nothing of it"
    )
    assert all(f'"{path}"' in told.out for path in images if path != "1.cpio")


def one_file(path):
    from lkscan.scanner.subjects import File, Place

    return File("etc/shadow", "file", 0o644, 0, 0, 0, Place((path, "etc/shadow")))


def test_a_system_without_protection_says_so_once(images, capsys, monkeypatch):
    monkeypatch.setattr(isolation, "enter", lambda *_: isolation.LANDLOCK | isolation.SECCOMP)
    _, told = printed(capsys, "-f", "json", *images)
    assert told.err == (
        "lkscan: images were read with less protection, as this system lacks Landlock and seccomp"
        " (--no-sandbox: not at all)\n"
    )
    assert printed(capsys, "-f", "json", "--no-sandbox", *images)[1].err == ""


def test_a_spec_needs_no_process(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a process was made"))
    (tmp_path / "a.yml").write_text("kernel:\n  image: linuxkit/kernel:6.6.13\n  cmdline: quiet\n")
    main([str(tmp_path / "a.yml")])
    assert "LinuxKit spec" in capsys.readouterr().out
