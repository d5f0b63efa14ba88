"""`lkscan extract`: one file of an image, by the place that reports give it."""

import gzip
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from imagelab import Item, newc

from lkscan.cli import INCOMPLETE, OK, USAGE, main
from lkscan.extraction import split

INNER = newc(Item("etc"), Item("etc/shadow", b"root:*::\n"), Item("etc/first", b"1"))
TREE = newc(
    Item("etc", mode=0o040755),
    Item("etc/passwd", b"old\n"),
    Item("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
    Item("etc/link", b"passwd", mode=0o120777),
    Item("bin/tool", bytes(range(256)) * 300),
    Item("dev/null", mode=0o020666),
    Item("dev/pipe", mode=0o010666),
    Item("boot/initrd.img", gzip.compress(INNER)),
    Item("a!b", b"odd"),
)


@pytest.fixture(autouse=True)
def image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it.img").write_bytes(TREE)
    return tmp_path / "it.img"


def extracted(capfdbinary, *arguments):
    status = main(["extract", *arguments])
    printed = capfdbinary.readouterr()
    return status, printed.out, printed.err.decode()


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("it.img!etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        ("it.img!/etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        ("it.img / etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        ("it.img!boot/initrd.img!etc/shadow", b"root:*::\n"),
        ("it.img / boot/initrd.img / etc/shadow", b"root:*::\n"),
        ("it.img!boot/initrd.img", gzip.compress(INNER)),
        ("it.img!bin/tool", bytes(range(256)) * 300),
        ("it.img!a!b", b"odd"),
    ],
)
def test_a_file_is_written_as_it_is(capfdbinary, place, content):
    found = extracted(capfdbinary, place)
    assert (found[0], found[2]) == (OK, "")
    assert found[1] == content or gzip.decompress(found[1]) == gzip.decompress(content)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("it.img!etc/passwt", "nothing of that name in the image; did you mean it.img!etc/passwd"),
        ("it.img!etc/shadow", "did you mean it.img!boot/initrd.img!etc/shadow?"),
        ("it.img!zzzzzz", "nothing of that name in the image; `lkscan inspect --files` lists all"),
        ("it.img!etc", "is a directory; in it are etc/passwd, etc/link"),
        ("it.img!etc/link", "is a symbolic link to passwd; name that"),
        ("it.img!dev/null", "is a character device, which has no content"),
        ("it.img!dev/pipe", "is a FIFO, which has no content"),
        ("it.img", "name a file inside, such as it.img!etc/os-release"),
        ("it.img!", "name a file inside"),
        ("no.img!etc/passwd", "no.img: no such file"),
        (".!etc", ".: is no regular file"),
    ],
)
def test_what_has_no_content_says_why_in_one_line(capfdbinary, place, told):
    status, out, error = extracted(capfdbinary, place)
    assert (status, out, error.count("\n")) == (USAGE, b"", 1)
    assert told in error


def test_a_file_that_breaks_off_is_told_behind_what_was_there(capfdbinary, image):
    image.write_bytes(newc(Item("a", b"x" * 100_000))[:60_000])
    status, out, error = extracted(capfdbinary, "it.img!a")
    assert status == INCOMPLETE
    assert set(out) == {ord("x")}
    assert "breaks off after" in error


def test_limits_are_heeded_and_named(capfdbinary):
    status, _, error = extracted(capfdbinary, "--limit", "entries=3", "it.img!a!b")
    assert status == INCOMPLETE
    assert "more than 3 entries (limit: entries); it is not read further; --limit entries=N raises it" in error


def on_a_terminal(*arguments):
    """What the command shows on a terminal of its own."""
    parent, child = pty.openpty()
    script = "from lkscan.cli import run; run()"
    done = subprocess.Popen(
        [sys.executable, "-c", script, "extract", *arguments],
        stdout=child,
        stderr=child,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "CI": "true"},  # no bar where it takes long
    )
    os.close(child)
    shown = io.BytesIO()
    try:
        while piece := os.read(parent, 1 << 16):
            shown.write(piece)
    except OSError:
        pass
    os.close(parent)
    return done.wait(), shown.getvalue()


def test_a_terminal_gets_text_and_anything_else_by_force_only():
    assert on_a_terminal("it.img!etc/passwd") == (OK, b"root:x:0:0::/:/bin/sh\r\n")
    status, shown = on_a_terminal("it.img!bin/tool")
    assert (status, shown) == (USAGE, b"lkscan: it.img!bin/tool: is no text; redirect it to a file, or --force\r\n")
    status, shown = on_a_terminal("--force", "it.img!bin/tool")
    assert status == OK
    assert b"\0\1\2" in shown


def test_the_image_is_the_longest_part_that_is_a_file(tmp_path):
    (tmp_path / "odd!name").write_bytes(TREE)
    assert split("odd!name!etc/passwd") == ("odd!name", "etc/passwd")
    assert split("none!etc / x") == ("none", "etc / x")
