"""Family A: logins without a password, and identities that machines share."""

import pytest
from rulelab import container, file, fires, image, outcomes, place

from lkscan.rules.access import (
    authorized_keys_in_image,
    baked_ssh_host_key,
    empty_password,
    getty_in_init,
    insecure_getty,
    insecure_start_script,
    weak_password_hash,
)
from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
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


# --- getty as a part of the root filesystem


@pytest.mark.parametrize(
    ("name", "confidence"),
    [
        ("linuxkit/getty:v0.6", Confidence.HIGH),
        ("docker.io/linuxkit/getty@sha256:" + "a" * 64, Confidence.HIGH),
        ("example.org/mirror/getty:1", Confidence.MEDIUM),
    ],
)
def test_a_getty_in_init_fires_whatever_its_tag(name, confidence):
    (finding,) = fires(getty_in_init, image(name, "version-tag", role="init"))
    assert (finding.severity, finding.confidence) == (Severity.HIGH, confidence)
    assert f"'{name}'" in finding.message
    assert finding.subject == f"init:{name.partition('@')[0].removesuffix(':v0.6').removesuffix(':1')}"


@pytest.mark.parametrize("name", ["linuxkit/init:1", "example.org/getty/init:1", "linuxkit/getty-tools:1"])
def test_other_images_in_init_are_fine(name):
    assert outcomes(getty_in_init, image(name, "version-tag", role="init")) == {Outcome.PASS}


LINUXKITS_SCRIPT = b"""#!/bin/sh

# if we are here, then we need to debug
export INITGETTY=true
export INSECURE=true
/usr/bin/rungetty.sh
"""


@pytest.mark.parametrize(
    ("path", "content", "what", "line"),
    [
        ("etc/init.d/001-getty", LINUXKITS_SCRIPT, "INSECURE=true", 5),
        ("etc/init.d/console", b'INSECURE="true" rungetty.sh', 'INSECURE="true', 1),
        ("etc/init.d/console", b"/sbin/agetty -L -a root ttyS0 vt100 &", "agetty -L -a root", 1),
        ("etc/init.d/console", b"agetty --autologin root tty1", "agetty --autologin root", 1),
        ("etc/inittab", b"# consoles\nttyS0::respawn:/bin/sh\n", ":respawn:/bin/sh", 2),
        ("etc/inittab", b"::askfirst:-/bin/ash", ":askfirst:-/bin/ash", 1),
    ],
)
def test_a_start_script_that_asks_for_no_password_fires(path, content, what, line):
    (finding,) = fires(insecure_start_script, file(path, content))
    assert f"'{what}'" in finding.message
    assert finding.evidence == (f"line {line} of the file",)


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("etc/init.d/001-getty", b"export INSECURE=false\n/usr/bin/rungetty.sh", Outcome.PASS),
        ("etc/init.d/001-getty", b"# export INSECURE=true\n/usr/bin/rungetty.sh", Outcome.PASS),
        ("etc/init.d/registry", b"INSECURE=true /usr/bin/registry", Outcome.PASS),
        ("etc/inittab", b"tty1::respawn:/sbin/getty 38400 tty1", Outcome.PASS),
        ("etc/inittab", b"#ttyS0::respawn:/bin/sh", Outcome.PASS),
        ("etc/init.d/console", None, Outcome.UNDECIDED),
        ("containers/services/web/lower/etc/inittab", b"::respawn:/bin/sh", Outcome.NOT_APPLICABLE),
        ("etc/init.d/sub/console", b"::respawn:/bin/sh", Outcome.NOT_APPLICABLE),
    ],
)
def test_a_start_script_that_asks_or_is_none_is_left_alone(path, content, expected):
    assert outcomes(insecure_start_script, file(path, content)) == {expected}


# --- hashes


@pytest.mark.parametrize(
    ("password", "method"),
    [
        ("$1$lkscanpg$H3CHh.3.pfWjYSFlntn3z0", "MD5 ($1$)"),
        ("$1$a$H3CHh.3.pfWjYSFlntn3z0", "MD5 ($1$)"),
        ("ab5PxbNk4A7Bc", "DES"),
        ("_J9..rasmBYk8r9AiWNc", "DES, in an extended form (_)"),
    ],
)
@pytest.mark.parametrize("path", ["etc/shadow", "etc/getty.shadow", "containers/services/sshd/lower/etc/shadow"])
def test_a_weak_hash_fires_and_is_not_shown(path, password, method):
    content = SHADOW.replace(b"%s", b"*") + f"admin:{password}:17322:0:::::\n".encode()
    (finding,) = fires(weak_password_hash, file(path, content))
    assert finding.evidence == (f"line 2: the password of admin is hashed with {method}",)
    assert password not in repr(finding)


@pytest.mark.parametrize(
    "password", ["*", "!", "!!", "x", "", "!$1$lkscanpg$H3CHh.3.pfWjYSFlntn3z0", "$6$salt$hash", "$y$j9T$abc$def", "LK"]
)
def test_locked_accounts_and_slow_hashes_are_fine(password):
    assert outcomes(weak_password_hash, file("etc/shadow", SHADOW.replace(b"%s", password.encode()))) == {Outcome.PASS}


def test_the_hash_of_an_unread_table_is_undecided():
    assert outcomes(weak_password_hash, file("etc/getty.shadow", None)) == {Outcome.UNDECIDED}


# --- keys that may log in

LOGIN = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKb5tFZ someone@example.org\n"


@pytest.mark.parametrize(
    ("path", "content", "count"),
    [
        ("root/.ssh/authorized_keys", LOGIN, 1),
        ("home/it/.ssh/authorized_keys2", b"# two\n" + LOGIN + b'from="10.0.0.1" ' + LOGIN, 2),
        ("etc/ssh/authorized_keys", b"sk-ssh-ed25519@openssh.com AAAAGnNr x\n", 1),
        ("containers/services/sshd/lower/root/.ssh/authorized_keys", LOGIN.replace(b"ssh-ed25519", b"ecdsa-sha2-x"), 1),
    ],
)
def test_keys_in_an_image_are_counted_for_auditors(path, content, count):
    (finding,) = fires(authorized_keys_in_image, file(path, content))
    assert f"'{count}' keys" in finding.message
    assert finding.profile is Profile.AUDITOR


def test_keys_from_a_source_are_told_without_being_read():
    parts = {"path": place(3), "source": place(4)}
    found = file("root/.ssh/authorized_keys", None, at=place(3))._replace(parts=parts)
    (finding,) = fires(authorized_keys_in_image, found)
    assert (finding.place, finding.variant) == (place(4), "source")


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        ("root/.ssh/authorized_keys", b"# ssh-rsa AAAA nobody\n", Outcome.PASS),
        ("root/.ssh/authorized_keys", b"", Outcome.PASS),
        ("root/.ssh/authorized_keys", None, Outcome.UNDECIDED),
        ("root/.ssh/id_ed25519.pub", LOGIN, Outcome.NOT_APPLICABLE),
    ],
)
def test_no_keys_no_finding(path, content, expected):
    assert outcomes(authorized_keys_in_image, file(path, content)) == {expected}
