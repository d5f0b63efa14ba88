"""Marks in bytes: all of them, wherever the search starts and ends."""

from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner.marks import Marks

MARKS = (b"ab", b"abc", b"\0\xff", b"b.")


def expected(data, start, end):
    found, at = [], start
    while at < end:
        number = next((i for i, mark in enumerate(MARKS) if data.startswith(mark, at, end)), None)
        if number is not None:
            found.append((number, at, at + len(MARKS[number])))
        at += len(MARKS[number]) if number is not None else 1
    return found


@given(st.lists(st.sampled_from((*MARKS, b"a", b"\0", b"x"))), st.integers(0, 9), st.integers(0, 9))
def test_all_places_are_found(pieces, start, cut):
    data = b"".join(pieces)
    end = max(0, len(data) - cut)
    subject = Marks(*MARKS)
    assert subject.places(data, start, end) == expected(data, start, end)
    assert subject.count(data, start, end) == len(expected(data, start, end))
