"""Streams: looking ahead, taking in order, windows, and what is said where they break off."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagelab import stream

from lkscan.scanner.source import Budget, DamagedError, FileSource, LimitError, Limits, MemorySource
from lkscan.scanner.stream import Part, Stream, held, over


def failing(*pieces):
    yield from pieces
    raise DamagedError("the medium is damaged")


@given(st.binary(max_size=60), st.integers(1, 7), st.lists(st.integers(0, 9), max_size=20))
def test_reading_and_looking_ahead_agree_with_the_bytes(data, step, lengths):
    subject = stream(data, step)
    at = 0
    for length in lengths:
        assert subject.peek(length) == data[at : at + length]
        assert subject.read(length) == data[at : at + length]
        at = min(len(data), at + length)
        assert subject.offset == at


def test_what_was_taken_can_be_given_back():
    subject = stream(b"abcdef", 4)
    assert subject.take() == b"abcd"
    subject.unread(b"cd")
    assert subject.offset == 2
    assert subject.exactly(4, "it") == b"cdef"
    assert subject.take() == b""


def test_the_end_is_named_with_its_byte():
    subject = stream(b"abcdef", 4)
    with pytest.raises(DamagedError, match="the thing breaks off at byte 6"):
        subject.exactly(7, "the thing")
    with pytest.raises(DamagedError, match="the thing breaks off at byte 6"):
        subject.skip(7, "the thing")


def test_looking_ahead_never_raises_and_consuming_does():
    subject = Stream(failing(b"abc"))
    assert subject.peek(10) == b"abc"
    assert isinstance(subject.failure, DamagedError)
    assert subject.read(3) == b"abc"
    for consume in (lambda: subject.read(1), subject.take, lambda: subject.exactly(1, ""), lambda: subject.skip(1, "")):
        with pytest.raises(DamagedError, match="medium"):
            consume()
    window = Stream(failing(b"abc")).window(5, "content")
    assert window.peek(5) == b"abc"
    with pytest.raises(DamagedError, match="medium"):
        window.read(5)


def test_zeros_are_skipped_over_the_borders_of_pieces():
    subject = stream(bytes(10) + b"x" + bytes(3), 3)
    subject.skip_zeros()
    assert subject.offset == 10
    assert subject.read(1) == b"x"
    subject.skip_zeros()
    assert subject.peek(1) == b""


def test_a_window_moves_its_parent_and_ends_where_it_must():
    parent = stream(b"0123456789", 3)
    window = parent.window(6, "content")
    assert window.read(10) == b"012345"
    assert parent.offset == 6
    with pytest.raises(DamagedError, match="content breaks off at byte 10"):
        parent.window(5, "content").read(5)


def test_content_is_gone_once_the_window_is_closed():
    window = stream(b"0123").window(4, "content")
    window.close()
    with pytest.raises(ValueError, match="after the next subject"):
        window.peek(1)


@given(st.binary(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9))), st.integers(0, 50))
def test_parts_of_a_source_join_into_one(data, extents, at):
    data = data.ljust(50, b"-")
    whole = b"".join(data[start : start + length] for start, length in extents)
    part = Part(MemorySource(data), tuple(extents))
    assert part.size == len(whole)
    assert part.pread(at, 7) == whole[at : at + 7]


def test_a_part_behind_the_end_breaks_off():
    part = Part(MemorySource(b"abc"), ((1, 5), (0, 2)))
    assert part.pread(0, 7) == b"bc"
    with pytest.raises(DamagedError, match="it breaks off at byte 2, 5 bytes too early"):
        over(part, Budget(Limits()), "it").read(7)


def test_a_file_that_cannot_be_read_is_damage(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    source = FileSource(str(path))

    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(DamagedError, match="the file cannot be read at byte 0: Input/output error"):
        over(source, Budget(Limits()), "it").read(1)
    source.close()


@pytest.mark.parametrize("offset", [-1, 3, 1 << 63, 1 << 64, -(1 << 70)])
def test_outside_of_a_source_there_is_nothing(tmp_path, offset):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    source = FileSource(str(path))
    assert source.pread(offset, 1 << 70) == b""
    assert source.pread(1, 1 << 70) == b"bc"
    assert source.pread(0, -1) == b""
    assert MemorySource(b"abc").pread(offset, 2) == b""
    assert Part(MemorySource(b"abc"), ((0, 3),)).pread(offset, 2) == b""
    source.close()


def test_random_access_to_a_stream_is_bounded_by_what_may_be_held():
    source = MemorySource(b"abc")
    assert held(over(source, Budget(Limits()), "it"), Limits()) is source
    assert held(stream(b"abcdef", 2), Limits()).pread(2, 2) == b"cd"
    with pytest.raises(LimitError, match="limit: body"):
        held(stream(b"abcdef", 2), Limits(body=5))


def test_what_is_held_of_a_stream_that_fails_is_what_came_before():
    broken = Stream(failing(b"abc"))
    assert held(broken, Limits()).pread(0, 10) == b"abc"
    assert "medium" in str(broken.failure)


@given(st.lists(st.sampled_from((b"\0" * 70_000, b"x" * 1000, b"\0" * 10, b"yz" * 40_000)), max_size=5), st.data())
def test_leaving_out_zeros_changes_nothing(pieces, data):
    whole = b"".join(pieces)
    source = held(Stream(iter([piece for piece in pieces if piece])), Limits())
    assert source.size == len(whole)
    offset = data.draw(st.integers(0, len(whole) + 10))
    length = data.draw(st.integers(0, len(whole)))
    assert source.pread(offset, length) == whole[offset : offset + length]


def test_delivered_bytes_and_entries_are_counted():
    budget = Budget(Limits(total=5, entries=1))
    budget.spend(5)
    with pytest.raises(LimitError, match="limit: total"):
        budget.spend(1)
    budget.entry()
    with pytest.raises(LimitError, match="limit: entries"):
        budget.entry()


def test_only_regular_files_are_opened_as_a_source(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    source = FileSource(str(path))
    assert source.pread(1, 2) == b"12"
    source.close()
    with pytest.raises(OSError, match="not a regular file"):
        FileSource(str(tmp_path))


def test_what_is_read_afresh_is_the_same_and_paid_for():
    source = MemorySource(bytes(range(256)) * 4000)
    subject = over(source, Budget(Limits()), "it")
    assert subject.read(1000) == source.pread(0, 1000)
    budget = Budget(Limits(total=source.size))
    assert b"".join(subject.afresh(budget.spend)) == source.pread(0, source.size)
    assert budget.delivered == source.size
    assert len(b"".join(subject.afresh(Budget(Limits(total=300_000)).spend))) < 300_000
    assert subject.window(500, "it").afresh(budget.spend) is not None
    assert stream(b"abc").afresh(budget.spend) is None
