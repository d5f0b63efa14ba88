"""The process that reads an image gives up what it does not need; what it breaks in, breaks alone."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from imagelab import Item, newc

from lkscan import isolation, workers
from lkscan.cli import INCOMPLETE, main
from lkscan.desks import Desk
from lkscan.scanner.source import Limits


def landlock() -> bool:
    import ctypes

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
}


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


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64"])
def test_the_filter_of_every_machine_is_one_that_the_kernel_takes(machine):
    import tomli

    table = tomli.loads((Path(isolation.__file__).parent / "syscalls.toml").read_text())[machine]
    program = isolation._program(table)
    steps = [program[at : at + 8] for at in range(0, len(program), 8)]
    assert len(steps) < 256
    refusal = len(steps) - 1
    refused_numbers = {number for group in table.values() if isinstance(group, list) for number in group}
    for at, step in enumerate(steps):
        code, yes, value = step[0], step[2], int.from_bytes(step[4:], "little")
        if code == isolation._EQUAL and value in refused_numbers and at < refusal - 8 and yes > 1:
            assert at + 1 + yes == refusal


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
