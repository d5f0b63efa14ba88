"""Family A: sshd's configuration, read as sshd reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import file, fires, outcomes

from lkscan.rules.engine import Confidence, Outcome, Severity
from lkscan.rules.sshd import sshd_password_login


def config(text, path="etc/ssh/sshd_config"):
    return file(path, text if text is None else text.encode())


@pytest.mark.parametrize(
    ("text", "keys", "severity"),
    [
        ("PermitRootLogin yes", ["PermitRootLogin"], Severity.MEDIUM),
        ("  permitrootlogin\tYES  # why not", ["PermitRootLogin"], Severity.MEDIUM),
        ('PasswordAuthentication="yes"', ["PasswordAuthentication"], Severity.LOW),
        ("PermitEmptyPasswords yes\r\n", ["PermitEmptyPasswords"], Severity.HIGH),
        ("PermitRootLogin yes\nPermitRootLogin no", ["PermitRootLogin"], Severity.MEDIUM),
        ("PermitRootLogin no\nMatch User it\nPermitRootLogin yes", ["PermitRootLogin User it"], Severity.MEDIUM),
        (
            "PermitRootLogin yes\nMatch Address 10.0.0.0/8\n  PasswordAuthentication yes",
            ["PermitRootLogin", "PasswordAuthentication Address 10.0.0.0/8"],
            Severity.MEDIUM,
        ),
    ],
)
def test_passwords_that_are_let_in_fire(text, keys, severity):
    found = fires(sshd_password_login, config(text))
    assert [finding.key for finding in found] == keys
    assert found[0].severity is severity


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#PermitRootLogin yes",
        "PermitRootLogin prohibit-password",
        "PermitRootLogin without-password\nPermitRootLogin yes",
        "PasswordAuthentication no\nPasswordAuthentication yes",
        "PermitRootLoginx yes",
        "PubkeyAuthentication yes",
    ],
)
def test_keys_only_is_fine_and_the_first_value_counts(text):
    assert outcomes(sshd_password_login, config(text)) == {Outcome.PASS}


def test_an_include_before_the_line_makes_it_less_sure():
    (before,) = fires(sshd_password_login, config("Include sshd_config.d/*.conf\nPermitRootLogin yes"))
    (after,) = fires(sshd_password_login, config("PermitRootLogin yes\nInclude sshd_config.d/*.conf"))
    assert (before.confidence, after.confidence) == (Confidence.MEDIUM, Confidence.HIGH)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("containers/services/sshd/lower/etc/ssh/sshd_config", Outcome.FAIL),
        ("etc/ssh/sshd_config.d/10-it.conf", Outcome.FAIL),
        ("etc/ssh/sshd_config.d/10-it.conf.off", Outcome.NOT_APPLICABLE),
        ("usr/share/openssh/sshd_config", Outcome.NOT_APPLICABLE),
    ],
)
def test_only_files_that_sshd_reads_are_judged(path, expected):
    assert outcomes(sshd_password_login, config("PermitRootLogin yes", path)) == {expected}


def test_in_a_spec_the_name_is_enough_as_it_is_bound_to_its_place():
    made = config("PermitRootLogin yes", "etc/app/sshd_config")
    assert outcomes(sshd_password_login, made) == {Outcome.NOT_APPLICABLE}
    assert outcomes(sshd_password_login, made._replace(parts={})) == {Outcome.FAIL}


def test_a_content_that_is_not_known_is_undecided():
    assert outcomes(sshd_password_login, config(None)) == {Outcome.UNDECIDED}


@given(st.text())
def test_any_text_is_read(text):
    for finding in sshd_password_login(file("etc/ssh/sshd_config", text.encode("utf-8", "surrogatepass"))):
        assert finding.message
