"""What a process that reads images hands over: all of it, and data only."""

import json

import pytest
from rulelab import container

from lkscan.rules.catalogue import RULES
from lkscan.rules.engine import Finding, Fix, Outcome, Severity, fail
from lkscan.rules.funnel import Result
from lkscan.scanner.subjects import Change, File, Kernel, Place, Problem, Span
from lkscan.transfer import TransferError, dump, load

PLACE = Place(("a.img", "b\udcff"), Span(1, 2, 3, 4), "x[0]")
FINDING = Finding.of(
    RULES[0],
    fail("b", PLACE, "c", key="k", evidence=["e"], fix=Fix("do it", (Change("remove", PLACE),)), retold=lambda _: None),
)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, -(1 << 70), 1.5, True, "\0\u2028\udc80"],
        ((), {}, {"a": (b"\0\xff",)}, {("LKP001", Outcome.PASS): 3}),
        PLACE,
        Problem(PLACE, "text", "unusable"),
        Kernel(PLACE, "6.1", "b", "x86_64", "bzImage", "gzip", {"A": "y"}, "IKCONFIG", b"CONFIG_A=y"),
        FINDING._replace(retold=None),
        Result(findings=(FINDING._replace(retold=None),), tally={("LKP001", Outcome.FAIL): 1}, rules=RULES[:3]),
        Severity.HIGH,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_comes_out_is_what_went_in(value):
    found = load(dump(value), RULES)
    assert found == value
    assert type(found) is type(value)


def test_a_container_keeps_what_it_may():
    one = container()
    assert load(dump(one)).capabilities == one.capabilities


def test_what_works_only_where_it_was_made_is_left_there():
    assert load(dump(FINDING), RULES).retold is None
    assert load(dump(File("a", "file", 0, 0, 0, 0, PLACE, read=lambda _: b""))).read is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        json.dumps({"rule": "LKX999"}).encode(),
        json.dumps({"Rule": []}).encode(),
        json.dumps({"system": ["true"]}).encode(),
        json.dumps({"word": ["object", 1]}).encode(),
        json.dumps({"word": ["Severity", 99]}).encode(),
        json.dumps({"Place": [1, 2, 3, 4, 5]}).encode(),
        json.dumps({"bytes": "?"}).encode(),
        json.dumps({"a": 1, "b": 2}).encode(),
        json.dumps({"map": [[1]]}).encode(),
        json.dumps({"map": [[[], 1]]}).encode(),
        json.dumps({"tuple": 1}).encode(),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(TransferError):
        load(data, RULES)
