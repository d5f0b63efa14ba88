"""Family A: logins without a password, and identities that machines share."""

import pytest
from rulelab import container, file, fires, image, outcomes, place

from lkscan.rules.access import baked_ssh_host_key, empty_password, insecure_getty
from lkscan.rules.engine import Confidence, Outcome, Severity
from lkscan.scanner.subjects import Origin

GETTY = image("linuxkit/getty:v1.0", "version-tag")
OTHER = image("example.org/console:1.0", "version-tag")
RUNGETTY = ("/sbin/tini", "-s", "-v", "--", "/usr/bin/rungetty.sh")
SHADOW = b"root:%s:17322:0:::::\n"
PASSWD = b"%s:0:0:root:/root:%s\n"


@pytest.mark.parametrize(
    "getty",
    [
        container(image=GETTY, env=["INSECURE=true"]),
        container(image=image("example.org/mirror/getty:1", "version-tag"), env=["INSECURE=true"]),
        container(command=RUNGETTY, env=["PATH=/bin", "INSECURE=true"], label="built"),
        container(command=["/sbin/agetty", "-a", "root", "ttyS0"], env=["INSECURE=true"], label="built"),
        container(image=GETTY, env=["INSECURE=false", "INSECURE=true"]),
        container(image=GETTY, env=["INSECURE=true"], label="unknown"),
    ],
)
def test_insecure_getty_fires(getty):
    (finding,) = fires(insecure_getty, getty)
    assert "INSECURE=true" in finding.message


@pytest.mark.parametrize("source", ["spec", "label", "default", "image"])
def test_insecure_getty_points_at_the_entry_that_decides(source):
    origins = {"env": Origin("spec", place(8)), "env:1": Origin(source, place(9))}
    (finding,) = fires(insecure_getty, container(image=GETTY, env=["A=b", "INSECURE=true"], origins=origins))
    assert finding.place == place(9)
    assert finding.locations[0].note


def test_insecure_getty_shows_the_program_and_no_argument_that_may_be_a_secret():
    command = [*RUNGETTY, "--password=velvet-Otter-19"]
    (finding,) = fires(insecure_getty, container(command=command, env=["INSECURE=true"], label="built"))
    assert finding.evidence == (f"it runs {RUNGETTY[-1]}",)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (container(image=GETTY), Outcome.PASS),
        (container(image=GETTY, env=["INSECURE=TRUE"]), Outcome.PASS),
        (container(image=GETTY, env=["INSECURE=true", "INSECURE=false"]), Outcome.PASS),
        (container(image=GETTY, env=["A=b"], label="unknown"), Outcome.PASS),
        (container(image=GETTY, label="unknown"), Outcome.UNDECIDED),
        (container(image=OTHER), Outcome.NOT_APPLICABLE),
        (container(image=OTHER, env=["INSECURE=true"]), Outcome.UNDECIDED),
        (container(image=OTHER, env=["INSECURE=true"], command=["/bin/registry"]), Outcome.NOT_APPLICABLE),
        (container(image=image("example.org/getty-docs:1", "version-tag")), Outcome.NOT_APPLICABLE),
    ],
)
def test_insecure_getty_is_silent_or_says_why_not(given, expected):
    assert outcomes(insecure_getty, given) == {expected}


@pytest.mark.parametrize(
    ("path", "content", "severity"),
    [
        ("etc/shadow", SHADOW % b"", Severity.HIGH),
        ("etc/getty.shadow", (SHADOW % b"").rstrip(), Severity.HIGH),
        ("etc/passwd", PASSWD % (b"root:", b"/bin/sh"), Severity.HIGH),
        ("etc/passwd", PASSWD % (b"root:", b""), Severity.HIGH),
        ("containers/services/getty/lower/etc/shadow", SHADOW % b"", Severity.HIGH),
        ("containers/services/sshd/rootfs/etc/shadow", SHADOW % b"", Severity.HIGH),
        ("containers/onboot/000-dhcpcd/rootfs/etc/shadow", SHADOW % b"", Severity.LOW),
        ("etc/shadow", b"# comment\r\nroot:*::0:::::\r\nadmin:::0:::::\r\n", Severity.HIGH),
    ],
)
def test_empty_password_fires_with_the_weight_of_the_place(path, content, severity):
    (finding,) = fires(empty_password, file(path, content))
    assert finding.severity is severity


def test_empty_password_names_every_account_once_and_its_line():
    content = b"root:::0:::::\nbin:!::0:::::\nuser:::0:::::\nuser:::0:::::\nb\x1b[m:::0:::::\n"
    (finding,) = fires(empty_password, file("etc/shadow", content))
    assert finding.arguments == ("etc/shadow", "root, user, 'b\\x1b[m'")
    assert [line.partition(":")[0] for line in finding.evidence] == ["line 1", "line 3", "line 4", "line 5"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/shadow", SHADOW % b"*"),
        ("etc/shadow", SHADOW % b"!"),
        ("etc/shadow", SHADOW % b"$6$salt$hash"),
        ("etc/shadow", b"root\nroot:\n:::0:::::\n+::::::::\n"),
        ("etc/shadow", b""),
        ("etc/passwd", PASSWD % (b"root:x", b"/bin/sh")),
        ("etc/passwd", PASSWD % (b"daemon:", b"/sbin/nologin")),
        ("etc/passwd", PASSWD % (b"daemon:", b"/bin/false")),
    ],
)
def test_empty_password_is_silent(path, content):
    assert outcomes(empty_password, file(path, content)) == {Outcome.PASS}


@pytest.mark.parametrize("path", ["etc/shadow-", "usr/share/doc/etc/shadow", "etc/app/getty.shadow", "bin/sh"])
def test_empty_password_is_about_tables_of_accounts(path):
    assert outcomes(empty_password, file(path, SHADOW % b"")) == {Outcome.NOT_APPLICABLE}


def test_empty_password_leaves_links_to_their_targets():
    assert outcomes(empty_password, file("etc/shadow", SHADOW % b"", kind="symlink")) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize("content", [None, b"a" * ((1 << 20) + 1)])
def test_empty_password_is_undecided_without_a_table_to_read(content):
    assert outcomes(empty_password, file("etc/shadow", content)) == {Outcome.UNDECIDED}


KEY = b"-----BEGIN OPENSSH PRIVATE " + b"KEY-----\n"


@pytest.mark.parametrize(
    "path", ["etc/ssh/ssh_host_rsa_key", "containers/services/sshd/lower/etc/ssh/ssh_host_ed25519_key"]
)
def test_baked_ssh_host_key_fires(path):
    (finding,) = fires(baked_ssh_host_key, file(path, KEY))
    assert finding.confidence is Confidence.HIGH


def test_baked_ssh_host_key_trusts_the_path_less_than_the_content():
    (finding,) = fires(baked_ssh_host_key, file("etc/ssh/ssh_host_rsa_key", None))
    assert finding.confidence is Confidence.MEDIUM


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (file("etc/ssh/ssh_host_rsa_key.pub", b"ssh-rsa AAAA"), Outcome.NOT_APPLICABLE),
        (file("etc/ssh/sshd_config", KEY), Outcome.NOT_APPLICABLE),
        (file("etc/ssh/ssh_host_rsa_key", KEY, kind="symlink"), Outcome.NOT_APPLICABLE),
        (file("etc/ssh/ssh_host_rsa_key", b""), Outcome.NOT_APPLICABLE),
    ],
)
def test_baked_ssh_host_key_is_silent_or_says_why_not(given, expected):
    assert outcomes(baked_ssh_host_key, given) == {expected}
