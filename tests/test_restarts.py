"""Random access to gzip streams: the same bytes as unpacking gives, wherever it starts; bounded, honest on damage."""

import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import restarts
from lkscan.scanner.restarts import Restarts
from lkscan.scanner.source import Budget, DamagedError, LimitError, Limits, MemorySource

RANDOM = random.Random(7)
CONTENT = b"".join(RANDOM.choice((RANDOM.randbytes(700), bytes(900), b"abc" * 300)) for _ in range(200))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Chunks and states so small that a short content has many."""
    for name, value in {"_CHUNK": 1000, "_KEPT": 3, "_APART": 4, "_STATES": 8, "_FEED": 300}.items():
        monkeypatch.setattr(restarts, name, value)


def of(data, start=0, spend=lambda _: None):
    return Restarts(MemorySource(data), start, spend)


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 2000), st.integers(0, 5000)), max_size=30))
def test_any_part_is_what_unpacking_gives(places):
    subject = of(b"head" + gzip.compress(CONTENT), 4)
    for offset, length in places:
        assert subject.pread(offset, length) == CONTENT[offset : offset + length]


def test_members_are_joined_over_zeros_and_what_follows_is_left():
    half = len(CONTENT) // 2
    data = gzip.compress(CONTENT[:half]) + bytes(1000) + gzip.compress(CONTENT[half:]) + b"something else"
    subject = of(data)
    for offset in (half - 10, 0, half + 5000, len(CONTENT) - 5, half - 1, len(CONTENT), len(CONTENT) + 10**6):
        assert subject.pread(offset, 20) == CONTENT[offset : offset + 20]
    assert of(gzip.compress(b"")).pread(0, 10) == b""
    assert subject.pread(-1, 10) == b""


def test_few_states_are_kept_and_going_back_costs_little():
    spent = []
    subject = of(gzip.compress(CONTENT), spend=spent.append)
    assert subject.pread(len(CONTENT) - 1, 1) == CONTENT[-1:]
    assert len(subject._states) <= 8
    assert len(subject._chunks) <= 3
    forward = len(spent)
    for _ in range(5):
        offset = RANDOM.randrange(len(CONTENT))
        assert subject.pread(offset, 1) == CONTENT[offset : offset + 1]
    assert len(spent) - forward <= 5 * forward / 8 * 2


def test_what_is_unpacked_again_and_again_is_paid_for():
    budget = Budget(Limits(total=20_000))
    subject = of(gzip.compress(CONTENT), spend=budget.spend)
    assert subject.pread(9000, 1) == CONTENT[9000:9001]
    assert subject.pread(0, 1) == CONTENT[:1]
    with pytest.raises(LimitError, match="limit: total"):
        subject.pread(19_000, 1)


def test_damage_is_told_and_what_stands_before_it_can_be_read():
    packed = gzip.compress(CONTENT)
    cut = of(packed[: len(packed) // 2])
    assert cut.pread(0, 5000) == CONTENT[:5000]
    with pytest.raises(DamagedError, match=f"gzip data breaks off at byte {len(packed) // 2}"):
        cut.pread(len(CONTENT) - 1, 1)
    bent = bytearray(packed)
    bent[-6] ^= 1
    with pytest.raises(DamagedError, match="gzip data is damaged"):
        of(bytes(bent)).pread(len(CONTENT) - 1, 1)
    assert cut.pread(100, 100) == CONTENT[100:200]
