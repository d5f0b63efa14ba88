"""Family A: accounts and groups that can do more than they are for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import file, fires, outcomes

from lkscan.rules.accounts import group_password, second_root_account, service_account_with_shell
from lkscan.rules.engine import Outcome

ROOT = "root:x:0:0:root:/root:/bin/ash\n"
TREE = "containers/services/web/lower/"


def passwd(*lines, path="etc/passwd"):
    return file(path, (ROOT + "\n".join(lines)).encode())


@pytest.mark.parametrize("line", ["toor:x:0:0::/root:/bin/sh", "a:x:000:1::/:/sbin/nologin", "a::0:0:::"])
def test_a_second_account_of_id_0_is_root(line):
    (finding,) = fires(second_root_account, passwd("bin:x:1:1:::", line))
    assert finding.members == (line.split(":")[0],)
    assert finding.evidence[0].startswith("line 3: ")


@pytest.mark.parametrize(
    "line", ["", "# toor:x:0:0:::", "+toor:x:0:0:::", "toor:x:0:0", "toor:x::0:::", "toor:x:10:0:::", "toor:x:²:0:::"]
)
def test_other_lines_make_nobody_root(line):
    assert outcomes(second_root_account, passwd(line)) == {Outcome.PASS}


def test_containers_are_judged_and_other_files_are_not():
    assert fires(second_root_account, passwd("a:x:0:0:::", path=f"{TREE}etc/passwd"))
    assert outcomes(second_root_account, passwd("a:x:0:0:::", path="usr/etc/passwd")) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("www:x:82:82::/:/bin/sh", True),
        ("www:x:82:82::/:", True),
        ("nobody:x:65534:65534::/:/bin/bash", True),
        ("www:x:82:82::/:/sbin/nologin", False),
        ("www:x:82:82::/:/usr/bin/false", False),
        ("sync:x:5:0::/sbin:/bin/sync", False),
        ("me:x:1000:1000::/home/me:/bin/sh", False),
        ("www:x:x:82::/:/bin/sh", False),
    ],
)
def test_services_need_no_shell(line, expected):
    assert bool(fires(service_account_with_shell, passwd(line))) is expected


@pytest.mark.parametrize("path", ["etc/group", "etc/gshadow", f"{TREE}etc/group"])
def test_a_password_of_a_group_is_told_without_its_hash(path):
    (finding,) = fires(group_password, file(path, b"root:x:0:\nops:$6$salt$hash:10:a\n"))
    assert finding.members == ("ops",)
    assert "hash" not in finding.evidence[0].replace("holds a hash", "")


@pytest.mark.parametrize("field", ["", "x", "!", "*", "!$6$a$b"])
def test_locked_and_empty_fields_are_no_password(field):
    assert outcomes(group_password, file("etc/group", f"ops:{field}:10:\n".encode())) == {Outcome.PASS}


@pytest.mark.parametrize("rule", [second_root_account, service_account_with_shell])
def test_a_content_that_is_not_known_is_undecided(rule):
    assert outcomes(rule, file("etc/passwd", None)) == {Outcome.UNDECIDED}
    assert outcomes(group_password, file("etc/group", None)) == {Outcome.UNDECIDED}


@given(st.binary())
def test_any_bytes_are_read(data):
    for rule in (second_root_account, service_account_with_shell):
        assert outcomes(rule, file("etc/passwd", data)) <= set(Outcome)
    assert outcomes(group_password, file("etc/group", data)) <= set(Outcome)
