"""The progress bar: seen on terminals only, after a moment, and gone at the end."""

import io

import pytest

from lkscan import progress
from lkscan.progress import Bar, amount


class Terminal(io.StringIO):
    encoding = "utf-8"


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "80")
    return now


def test_nothing_is_shown_of_what_takes_no_longer_than_a_moment(clock):
    stream = Terminal()
    bar = Bar(stream)
    clock[0] += 0.4
    bar(100, 50)
    bar.close()
    assert stream.getvalue() == ""


def test_it_shows_bytes_and_is_gone_at_the_end(clock):
    stream = Terminal()
    bar = Bar(stream)
    clock[0] += 2
    bar(4 << 20, 1 << 20)
    shown = stream.getvalue()
    assert shown.endswith("  25%  1.0 MiB of 4.0 MiB  2 s")
    assert shown.count("█") * 3 == shown.count("░")
    bar(4 << 20, 2 << 20)
    assert stream.getvalue() == shown, "not twice in a tenth of a second"
    clock[0] += 1
    bar(4 << 20, 9 << 20)
    assert " 100%  4.0 MiB of 4.0 MiB" in stream.getvalue()
    bar.close()
    assert stream.getvalue().endswith("\r\033[K")


def test_it_needs_no_more_than_ascii(clock):
    stream = Terminal()
    stream.encoding = "ascii"
    bar = Bar(stream)
    clock[0] += 2
    bar(0, 0)
    assert stream.getvalue().isascii()


@pytest.mark.parametrize(
    ("variables", "seen"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({}, False), ({"TERM": "xterm", "CI": "true"}, False)],
)
def test_it_is_left_out_where_it_would_only_be_noise(monkeypatch, variables, seen):
    for name in ("TERM", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Bar.is_seen() is seen


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1024, "1.0 KiB"), (1 << 30, "1.0 GiB"), (1 << 60, "1048576.0 TiB")]
)
def test_amounts_have_a_unit_that_fits(size, text):
    assert amount(size) == text
