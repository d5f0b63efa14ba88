"""Two processes for one image: all that is handed over arrives, and the report is that of one process, to the byte."""

import ctypes
import mmap
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from elflab import EXEC, LOAD, RE, RW, Lab
from imagelab import Item, newc
from secretlab import pem

from lkscan import imaging, sharing, workers
from lkscan.cli import INCOMPLETE, main
from lkscan.rules.engine import Engine
from lkscan.scanner import hardening
from lkscan.scanner.source import Limits
from lkscan.sharing import Channel, Giver, LostError, Taker

WILD = Lab(EXEC, segments=((LOAD, RE | RW, 0, 0x70000, 64, 64),)).build()
PROGRAM = Lab().build()
TREE = (
    Item("etc"),
    Item("etc/key", pem().encode(), mode=0o100644),
    Item("usr/bin/wild", WILD, mode=0o104755),
    Item("usr/bin/copy", WILD, mode=0o104755),
    Item("usr/bin/program", PROGRAM, mode=0o100755),
    Item("usr/bin/damaged", PROGRAM[:100], mode=0o100755),
    Item("etc/key", b"nothing secret any more\n", mode=0o100666),
    Item("usr/bin/program", WILD, mode=0o100755),
    Item("usr/share/large", b"x" * (2 << 20) + pem().encode(), mode=0o100644),
    Item("usr/share/more", b"password\0" * 10, mode=0o100777),
    *(Item(f"srv/{number}", (pem() if number % 9 else f"{number}").encode(), mode=0o100666) for number in range(40)),
)


@pytest.fixture
def shared(monkeypatch):
    """Every image is worth a second process."""
    monkeypatch.setattr(imaging, "_SHARED", 0)


def printed(capsys, *arguments):
    status = main(list(arguments))
    return status, capsys.readouterr()


@pytest.mark.parametrize("seed", range(4))
def test_all_that_is_handed_over_arrives_in_order_and_the_rest_is_refused(monkeypatch, seed):
    monkeypatch.setattr(sharing, "_ROOM", 4096)
    monkeypatch.setattr(sharing, "_BATCH", 64)
    monkeypatch.setattr(sharing, "_AHEAD", 9000)
    rng, channel, taken = random.Random(seed), Channel(), []
    giver, taker = Giver(channel.memory, channel.reader), Taker(channel.memory, channel.helper)

    def take():
        taken.extend(taker.taken())
        taker.answer([len(taken)])
        os.close(channel.helper[2])

    thread = threading.Thread(target=take)
    thread.start()
    given, refused = [], 0
    for number in range(1, 600):
        one = number, rng.randbytes(rng.randrange(9)), rng.randbytes(rng.choice((0, 1, 300, 2000, 4090)))
        if giver.has_room(len(one[2])) and giver.give(*one, len(one[2])):
            given.append(one)
        else:
            refused += 1
    assert giver.answer() == [len(given)]
    thread.join()
    assert taken == given
    assert given
    assert refused


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("profile", ["regular", "auditor"])
@pytest.mark.parametrize("form", ["json", "text", "sarif", "html"])
def test_the_report_is_that_of_one_process(tmp_path, capsys, monkeypatch, profile, form):
    (tmp_path / "image").write_bytes(newc(*TREE))
    monkeypatch.chdir(tmp_path)
    options = ["--profile", profile, "-f", form, "--date", "2026-01-01", "image"]
    alone = printed(capsys, "--jobs", "1", *options)
    assert printed(capsys, "--jobs", "2", *options) == alone
    monkeypatch.setattr(sharing, "_ROOM", 4096)  # nearly nothing has room
    assert printed(capsys, "--jobs", "2", *options) == alone


LONG = random.Random(5).randbytes(150_000)
LOST = Lab(segments=((LOAD, RE, 0, 0x70000, 64, 64),), needed=("libc.so.6",), soname="lib.so.1")
FORMATS = {
    "iso": ("genisoimage", "genisoimage -quiet -R -o image tree"),
    "ext4": ("mke2fs", "mke2fs -q -t ext4 -d tree image 8M"),
    "gzip": ("mksquashfs", "mksquashfs tree image -comp gzip -b 32K -quiet -no-progress"),
    "xz": ("mksquashfs", "mksquashfs tree image -comp xz -b 32K -quiet -no-progress"),
    "zstd": ("mksquashfs", "mksquashfs tree image -comp zstd -b 32K -no-fragments -quiet -no-progress"),
    "erofs": ("mkfs.erofs", "mkfs.erofs -zlz4 image tree"),
}


@pytest.fixture(params=FORMATS)
def made(request, tmp_path, monkeypatch):
    """An image with contents that are handed over as they lie there."""
    tool, command = FORMATS[request.param]
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}")
    monkeypatch.chdir(tmp_path)
    Path("tree").mkdir()
    text = "".join(f"line {number} of many\n" for number in range(9000))
    contents = {
        "text": f"{text}{pem()}".encode(),
        "program": WILD + LONG,
        "program2": WILD + LONG,
        "library": LOST.build() + LONG,
        "small": WILD,
        "key": pem().encode(),
    }
    for name, content in contents.items():
        Path("tree", name).write_bytes(content)
        Path("tree", name).chmod(0o4755)
    with Path("tree/sparse").open("wb") as file:
        file.write(WILD)
        file.truncate(400_000)
    subprocess.run(command.split(), check=True, capture_output=True)
    return Path("image")


def whole(capsys):
    options = ["--profile", "auditor", "-f", "json", "--date", "2026-01-01", "image"]
    alone = printed(capsys, "--jobs", "1", *options)
    assert printed(capsys, "--jobs", "2", *options) == alone
    return alone


@pytest.mark.usefixtures("shared")
def test_what_is_handed_over_as_it_lies_there_tells_the_same(made, capsys):
    status, told = whole(capsys)
    assert (status, told.err) == (1, "")
    assert {name for name in ("text", "program", "small", "key", "sparse") if f'"{name}"' in told.out} == {
        "text",
        "program",
        "small",
        "key",
        "sparse",
    }


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("seed", range(5))
def test_what_is_damaged_is_told_as_by_one_process(made, capsys, seed):
    rng, data = random.Random(seed), bytearray(made.read_bytes())
    for _ in range(40):
        data[rng.randrange(8192, len(data))] ^= rng.randrange(1, 256)
    made.write_bytes(data[: rng.randrange(len(data) // 2, len(data))] if seed % 2 else data)
    whole(capsys)


@pytest.mark.usefixtures("shared")
def test_a_program_that_turns_out_to_be_damaged_is_read_by_one_process_after_all(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = LOST.build().replace(b"lib.so.1\0", b"lib.so.1x")
    Path("image").write_bytes(newc(*TREE, Item("usr/lib/damaged.so", data, mode=0o100755)))
    assert "it is not examined" in whole(capsys)[1].err


@pytest.mark.usefixtures("shared")
def test_the_second_process_judges_what_the_first_one_does_not(tmp_path, capsys, monkeypatch):
    (tmp_path / "image").write_bytes(newc(*TREE))
    monkeypatch.setattr(sharing, "attend", lambda *_: signal.pause())
    monkeypatch.setattr(sharing.Giver, "answer", lambda _: [[], [], [], [], "[]"])
    assert "srv/1" in printed(capsys, "--jobs", "1", str(tmp_path / "image"))[1].out
    assert "srv/1" not in printed(capsys, "--jobs", "2", str(tmp_path / "image"))[1].out


def helped(work, helping, **options):
    said = bytearray()
    task = workers.Task((), Limits(), work, helping)
    return workers.run([task], 1, lambda _, data: said.extend(data), **options), said.decode()


def asking(slot):
    """What a reader does that hands nothing over."""
    yield str(slot.giver.answer()).encode()


FORBIDDEN = {
    "a file": lambda folder: (folder / "read").read_bytes(),
    "writing": lambda folder: (folder / "new").write_bytes(b"x"),
    "a process": lambda _: os.fork(),
    "a socket": lambda _: socket.socket(),
    "a signal": lambda _: os.kill(os.getppid(), 0),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_second_process_is_shut_in_as_the_first_one_is(tmp_path, what):
    (tmp_path / "read").write_bytes(b"content")
    if ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 1:
        pytest.skip("needs a Linux with Landlock")

    def helping(_slot, taker):
        try:
            FORBIDDEN[what](tmp_path)
        except OSError as error:
            taker.answer(type(error).__name__)

    assert helped(asking, helping) == (workers.Ends([""], 0), "PermissionError")


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "its reading crashed (SIGSEGV) behind here: nothing of it"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "its reading was killed behind here, perhaps as memory ran out"),
        (lambda: 1 // 0, "its reading failed (ZeroDivisionError)"),
    ],
    ids=["a crash", "no memory", "a defect"],
)
def test_a_second_process_that_breaks_takes_its_image_down_and_says_why(act, told):
    def helping(slot, _taker):
        slot.reach("here")
        act()

    ends, said = helped(asking, helping, isolated=False)
    assert ends.failures[0].startswith(told)
    assert said == ""


def test_who_hands_over_to_nobody_learns_of_it():
    channel = Channel()
    giver = Giver(channel.memory, channel.reader)
    os.close(channel.helper[0])
    os.close(channel.helper[2])
    giver.give(1, b"", b"x", 1)
    with pytest.raises(LostError):
        giver.answer()


def test_a_second_process_that_never_ends_is_ended_with_the_first():
    def work(_slot):
        yield b"done"

    ends, said = helped(work, lambda *_: signal.pause(), isolated=False)
    assert (ends.failures, said) == ([""], "done")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.usefixtures("shared")
def test_a_crash_in_the_second_process_costs_one_image_only(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        (tmp_path / f"{number}.cpio").write_bytes(newc(*TREE, Item(f"usr/bin/last{number}", PROGRAM)))
    examine = hardening.examine

    def crash(file, data, **options):
        if file.path == "usr/bin/last1":
            ctypes.string_at(0)
        return examine(file, data, **options)

    monkeypatch.setattr(hardening, "examine", crash)
    status, told = printed(capsys, "--jobs", "4", "-f", "json", "0.cpio", "1.cpio")
    assert status == INCOMPLETE
    assert "lkscan: 1.cpio: its reading crashed (SIGSEGV) behind 1.cpio / usr/bin/last1" in told.err
    assert '"0.cpio"' in told.out


@pytest.mark.usefixtures("shared")
def test_a_rule_that_breaks_in_the_second_process_is_told(tmp_path, capsys, monkeypatch):
    (tmp_path / "image").write_bytes(newc(*TREE))
    monkeypatch.chdir(tmp_path)
    judge = Engine.judge

    def broken(engine, subject):
        if getattr(subject, "path", "") == "srv/1":
            engine.failures.setdefault(("LKX001", "rule LKX001 failed: it cannot"), []).append(subject.place)
        return judge(engine, subject)

    monkeypatch.setattr(Engine, "judge", broken)
    alone = printed(capsys, "--jobs", "1", "image")
    assert "rule LKX001 failed: it cannot" in alone[1].err
    assert printed(capsys, "--jobs", "2", "image") == alone


def test_a_thread_that_helps_tells_the_same(tmp_path, capsys, monkeypatch, shared):
    """What the other process does, where it counts as covered."""
    helped = []

    def run(tasks, _, take, **__):
        (task,) = tasks
        channel, board = Channel(), mmap.mmap(-1, 2 * workers._SLOT)
        slot = workers.Slot(board, 0)
        slot.giver = Giver(channel.memory, channel.reader)

        def help_it():
            task.helping(workers.Slot(board, 1), Taker(channel.memory, channel.helper))
            os.close(channel.helper[2])

        thread = threading.Thread(target=help_it)
        thread.start()
        for piece in task.work(slot):
            take(0, piece)
        thread.join()
        helped.append(task)
        return workers.Ends([""], 0)

    image = tmp_path / "image"
    image.write_bytes(newc(*TREE))
    words = ("-f", "json", "--profile", "auditor", str(image))
    alone = printed(capsys, *words, "--jobs", "1")
    monkeypatch.setattr(workers, "run", run)
    assert printed(capsys, *words, "--jobs", "2") == alone
    assert helped
