"""Long lists: what was added comes out again, also in another process; what is damaged is told."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.listing import Listing, ListingError


@given(st.lists(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(), max_size=3), max_size=20))
def test_what_was_added_comes_out_again(values):
    subject = Listing()
    for value in values:
        subject.append(value)
    assert list(Listing(subject.packed())) == list(subject) == list(subject) == values


def test_many_files_take_little_room():
    subject = Listing()
    for number in range(20_000):
        subject.append({"path": f"usr/lib/modules/file-{number}", "mode": "0644", "xattrs": {}})
    assert len(subject.packed()) < 500_000
    assert sum(1 for _ in subject) == 20_000


@pytest.mark.parametrize(
    "packed",
    [
        b"nothing",
        zlib.compress(b'{"a":1}\n')[:-3],
        zlib.compress(b'{"a":1}'),
        zlib.compress(b"{]\n"),
        zlib.compress(b"[1]\n"),
        zlib.compress(b"[" * 100_000 + b"\n"),
    ],
)
def test_what_is_damaged_is_told(packed):
    with pytest.raises(ListingError):
        list(Listing(packed))
