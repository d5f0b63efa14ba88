"""Family A: sshd's configuration, read as sshd reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import fires, outcomes, place, rootfs

from lkscan.rules.engine import Confidence, Outcome, Severity
from lkscan.rules.sshd import sshd_password_login
from lkscan.scanner.subjects import Place, System

MAIN = "etc/ssh/sshd_config"


def image(files, container=""):
    """An image, or a container in one, with these files."""
    root = rootfs(container=container, texts={path: text.encode() for path, text in files.items()})
    return System(Place(("image.iso",)), "image", True, "cpio", roots=(root,))  # noqa: FBT003 - of LinuxKit


def config(text):
    return image({MAIN: text})


def spec(files):
    """A spec that writes these files; None stands for what it takes from elsewhere."""
    texts = {path: text if text is None else text.encode() for path, text in files.items()}
    root = rootfs(texts=texts, places={path: place(number) for number, path in enumerate(files, 1)})
    return System(Place(("linuxkit.yml",)), "spec", True, "YAML", roots=(root,))  # noqa: FBT003 - of LinuxKit


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


INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
PART = "etc/ssh/sshd_config.d/10-it.conf"
ROOT_LOGIN = "PermitRootLogin yes\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({MAIN: INCLUDE, PART: ROOT_LOGIN}, [(PART, 1)]),
        ({MAIN: INCLUDE + ROOT_LOGIN, PART: "PermitRootLogin no"}, []),
        ({MAIN: "PermitRootLogin no\n" + INCLUDE, PART: ROOT_LOGIN}, []),
        ({MAIN: "Include sshd_config.d/*.conf\n", PART: ROOT_LOGIN}, [(PART, 1)]),
        ({MAIN: 'Include "/etc/ssh/a.conf" etc.conf\n', "etc/ssh/etc.conf": ROOT_LOGIN}, [("etc/ssh/etc.conf", 1)]),
        ({MAIN: INCLUDE, PART: "\n" + ROOT_LOGIN, "etc/ssh/sshd_config.d/05.conf": "PermitRootLogin no"}, []),
        ({MAIN: "", PART: ROOT_LOGIN}, []),
        ({MAIN: INCLUDE, "etc/ssh/sshd_config.d/10-it.conf.off": ROOT_LOGIN}, []),
        ({MAIN: "Match User a\n" + INCLUDE + ROOT_LOGIN, PART: "PermitRootLogin no"}, []),
        ({MAIN: INCLUDE + ROOT_LOGIN, PART: "Match User a\nPermitRootLogin no"}, [(MAIN, 2)]),
        ({MAIN: f"Include /{MAIN}\n{ROOT_LOGIN}"}, [(MAIN, 2)]),
    ],
)
def test_what_is_included_stands_where_it_is_included(files, expected):
    found = fires(sshd_password_login, image(files))
    assert [(one.place.artifacts[-1], int(one.evidence[0].split()[1])) for one in found] == expected
    assert all(one.confidence is Confidence.HIGH for one in found)


def test_files_that_include_one_another_do_so_only_so_often():
    files = {f"etc/ssh/{number}.conf": "Include /etc/ssh/*.conf\n" * 9 for number in range(9)}
    assert outcomes(sshd_password_login, image({MAIN: "Include *.conf\n", **files})) == {Outcome.UNDECIDED}


def test_in_a_container_the_file_is_told_as_it_lies_in_the_image():
    (finding,) = fires(sshd_password_login, image({MAIN: INCLUDE, PART: ROOT_LOGIN}, "services/sshd"))
    assert finding.subject == f"containers/services/sshd/rootfs/{PART}"
    assert finding.place == Place(("image.iso", finding.subject))
    assert finding.evidence[1] == f"'containers/services/sshd/rootfs/{MAIN}' includes it"


def test_in_a_spec_files_of_an_image_may_settle_it_before():
    (before,) = fires(sshd_password_login, spec({MAIN: INCLUDE + ROOT_LOGIN}))
    (after,) = fires(sshd_password_login, spec({MAIN: ROOT_LOGIN + INCLUDE}))
    assert (before.confidence, after.confidence) == (Confidence.MEDIUM, Confidence.HIGH)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PART, Outcome.FAIL),
        ("etc/app/sshd_config", Outcome.FAIL),
        (f"{PART}.off", Outcome.NOT_APPLICABLE),
        ("usr/share/sshd_config.example", Outcome.NOT_APPLICABLE),
    ],
)
def test_in_a_spec_the_name_is_enough_as_it_is_bound_to_its_place(path, expected):
    assert outcomes(sshd_password_login, spec({path: ROOT_LOGIN})) == {expected}


def test_a_content_that_is_not_known_is_undecided():
    assert outcomes(sshd_password_login, spec({MAIN: None})) == {Outcome.UNDECIDED}


def test_an_image_without_sshd_raises_no_question():
    assert outcomes(sshd_password_login, image({PART: ROOT_LOGIN})) == {Outcome.NOT_APPLICABLE}


@given(st.text())
def test_any_text_is_read(text):
    for finding in sshd_password_login(config(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))):
        assert finding.message
