"""Family F: modes that give away more than they should."""

import re

import pytest
from rulelab import file, fires, outcomes, place

from lkscan.rules import tables
from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.rules.files import (
    group_writable_file,
    linuxkit_file_replaced,
    program_of_another_user,
    readable_secret_file,
    set_id_file,
    spec_in_image,
    world_writable_file,
)

SERVICE = "containers/services/app"


@pytest.mark.parametrize(
    ("path", "kind", "mode", "severity", "variant"),
    [
        ("etc/app.conf", "file", 0o666, Severity.LOW, "default"),
        ("etc/app.conf", "hardlink", 0o602, Severity.LOW, "default"),
        ("usr/bin/app", "file", 0o777, Severity.MEDIUM, "program"),
        ("etc/init.d/010-app", "file", 0o666, Severity.MEDIUM, "program"),
        ("etc/profile.d/app.sh", "file", 0o666, Severity.MEDIUM, "program"),
        ("etc/app", "dir", 0o777, Severity.LOW, "directory"),
        (f"{SERVICE}/rootfs/etc/app.conf", "file", 0o666, Severity.LOW, "default"),
        (f"{SERVICE}/rootfs/bin/app", "file", 0o777, Severity.MEDIUM, "program"),
        (f"{SERVICE}/lower/etc/app.conf", "file", 0o666, Severity.MEDIUM, "default"),
        (f"{SERVICE}/lower/bin/app", "file", 0o777, Severity.HIGH, "program"),
        (f"{SERVICE}/lower/srv", "dir", 0o777, Severity.MEDIUM, "directory"),
        (f"{SERVICE}/lower/tmp/app", "file", 0o666, Severity.MEDIUM, "default"),
        (f"{SERVICE}/config.json", "file", 0o666, Severity.LOW, "default"),
    ],
)
def test_world_writable_fires_with_the_weight_of_what_and_where(path, kind, mode, severity, variant):
    (finding,) = fires(world_writable_file, file(path, kind=kind, mode=mode))
    assert (finding.severity, finding.variant) == (severity, variant)
    assert f"'{mode:04o}'" in finding.message


@pytest.mark.parametrize(
    ("path", "kind", "mode", "expected"),
    [
        ("etc/app.conf", "file", 0o664, Outcome.PASS),
        ("srv/shared", "dir", 0o1777, Outcome.PASS),
        ("etc/link", "symlink", 0o777, Outcome.NOT_APPLICABLE),
        ("srv/null", "char", 0o666, Outcome.NOT_APPLICABLE),
        ("srv/disk", "block", 0o666, Outcome.NOT_APPLICABLE),
        ("srv/pipe", "fifo", 0o666, Outcome.NOT_APPLICABLE),
        ("srv/socket", "socket", 0o777, Outcome.NOT_APPLICABLE),
        ("tmp", "dir", 0o777, Outcome.NOT_APPLICABLE),
        ("var/lib/app.conf", "file", 0o666, Outcome.NOT_APPLICABLE),
        (f"{SERVICE}/lower/dev/shm", "dir", 0o777, Outcome.NOT_APPLICABLE),
    ],
)
def test_world_writable_is_silent_or_says_why_not(path, kind, mode, expected):
    assert outcomes(world_writable_file, file(path, kind=kind, mode=mode)) == {expected}


@pytest.mark.parametrize(
    ("mode", "owner", "severity", "variant"),
    [
        (0o4755, 0, Severity.MEDIUM, "default"),
        (0o6755, 0, Severity.MEDIUM, "default"),
        (0o4750, 0, Severity.LOW, "default"),
        (0o4755, 33, Severity.LOW, "default"),
        (0o2755, 0, Severity.LOW, "group"),
    ],
)
def test_set_id_fires(mode, owner, severity, variant):
    (finding,) = fires(set_id_file, file("bin/su", mode=mode, uid=owner, gid=42))
    assert (finding.severity, finding.variant) == (severity, variant)
    assert f"'{owner if variant == 'default' else 42}'" in finding.message


@pytest.mark.parametrize(
    ("path", "kind", "mode", "expected"),
    [
        ("bin/su", "file", 0o755, Outcome.PASS),
        ("bin/su", "file", 0o4644, Outcome.PASS),
        ("bin/su", "file", 0o2744, Outcome.PASS),
        ("srv/group", "dir", 0o2775, Outcome.NOT_APPLICABLE),
        ("bin/su", "symlink", 0o4777, Outcome.NOT_APPLICABLE),
        ("run/su", "file", 0o4755, Outcome.NOT_APPLICABLE),
    ],
)
def test_set_id_is_silent_or_says_why_not(path, kind, mode, expected):
    assert outcomes(set_id_file, file(path, kind=kind, mode=mode)) == {expected}


# --- who may read secrets

KEY = b"-----BEGIN PRIVATE KEY-----\nMII"


@pytest.mark.parametrize(
    ("path", "content", "severity", "profile"),
    [
        ("etc/shadow", b"", Severity.MEDIUM, Profile.REGULAR),
        ("etc/getty.shadow", None, Severity.MEDIUM, Profile.REGULAR),
        ("etc/shadow-", b"", Severity.MEDIUM, Profile.REGULAR),
        (f"{SERVICE}/lower/etc/shadow", b"", Severity.LOW, Profile.REGULAR),
        ("etc/wireguard/wg0.conf", b"[Interface]", Severity.MEDIUM, Profile.REGULAR),
        ("root/.docker/config.json", None, Severity.MEDIUM, Profile.REGULAR),
        ("etc/ssl/private/server.key", KEY, Severity.MEDIUM, Profile.PEDANTIC),
        ("etc/ssl/private/server.key", None, Severity.MEDIUM, Profile.REGULAR),
        ("etc/kubernetes/pki/ca.key", None, Severity.MEDIUM, Profile.REGULAR),
        ("etc/ssh/ssh_host_ed25519_key", None, Severity.MEDIUM, Profile.REGULAR),
        ("root/.ssh/id_rsa", KEY, Severity.MEDIUM, Profile.PEDANTIC),
    ],
)
def test_a_secret_that_everyone_reads_fires(path, content, severity, profile):
    (finding,) = fires(readable_secret_file, file(path, content, mode=0o644))
    assert (finding.severity, finding.profile) == (severity, profile)
    assert "'0644'" in finding.message


@pytest.mark.parametrize(
    ("path", "content", "mode", "expected"),
    [
        ("etc/shadow", b"", 0o640, Outcome.PASS),
        ("etc/ssl/private/server.key", KEY, 0o600, Outcome.PASS),
        ("etc/ssl/private/bundle.pem", b"-----BEGIN CERTIFICATE-----", 0o644, Outcome.PASS),
        ("root/.ssh/id_rsa.pub", b"ssh-rsa AAAA", 0o644, Outcome.NOT_APPLICABLE),
        ("run/tls/a.key", None, 0o644, Outcome.NOT_APPLICABLE),
        ("usr/share/keymaps/us", b"", 0o644, Outcome.NOT_APPLICABLE),
        ("etc/shadowsocks.json", b"", 0o644, Outcome.NOT_APPLICABLE),
        (f"{SERVICE}/lower/usr/lib/python3/key.py", b"", 0o644, Outcome.NOT_APPLICABLE),
    ],
)
def test_secrets_of_their_owner_and_files_of_such_names_are_fine(path, content, mode, expected):
    assert outcomes(readable_secret_file, file(path, content, mode=mode)) == {expected}


def test_a_secret_that_was_not_read_is_less_sure_and_found_at_its_mode():
    parts = {"path": place(3), "mode": place(5)}
    (finding,) = fires(readable_secret_file, file("root/.ssh/id_rsa", None, mode=0o644)._replace(parts=parts))
    assert (finding.place, finding.confidence) == (place(5), Confidence.MEDIUM)


SECRETS = [
    "etc/gshadow-",
    "etc/ssh/ssh_host_rsa_key",
    "home/it/.ssh/id_ed25519",
    "etc/ssl/certs/www-key.pem",
    "etc/kubernetes/pki/etcd/ca.key",
    "etc/ssl/private/www.pem",
    "etc/wireguard/wg0.conf",
    "root/.docker/config.json",
    "root/.netrc",
    "home/it/.pgpass",
    "etc/ppp/chap-secrets",
]


@pytest.mark.parametrize("path", SECRETS)
def test_each_kind_of_path_is_known(path):
    assert fires(readable_secret_file, file(path, None, mode=0o604))


def test_the_samples_have_every_row_of_the_table():
    rows = tables.load("secret_paths")["path"]
    assert [row for row in rows if not any(re.fullmatch(row["pattern"], path) for path in SECRETS)] == []


# --- groups and owners


def in_spec(path, **facts):
    """An entry of a spec's files."""
    return file(path, b"", **facts)._replace(parts={"path": place(3), "mode": place(5), "uid": place(6)})


@pytest.mark.parametrize(
    "made",
    [
        file("etc/app.conf", mode=0o664),
        file("usr/bin/app", mode=0o775, gid=50),
        file("srv/app", mode=0o775),
        file(f"{SERVICE}/lower/etc/app/app.conf", mode=0o660),
        in_spec("srv/data", mode=0o664),
        in_spec("srv/data", mode=0o2775, kind="dir"),
    ],
)
def test_what_a_group_may_write_fires_for_the_pedantic(made):
    (finding,) = fires(group_writable_file, made)
    assert (finding.profile, finding.severity) == (Profile.PEDANTIC, Severity.LOW)
    assert finding.place == (place(5) if made.parts else made.place)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (file("etc/app.conf", mode=0o666), Outcome.PASS),
        (file("srv/data.txt", mode=0o664), Outcome.PASS),
        (file("etc/app.d", mode=0o775, kind="dir"), Outcome.PASS),
        (in_spec("srv/data", mode=0o1775, kind="dir"), Outcome.PASS),
        (in_spec("run/app", mode=0o664), Outcome.NOT_APPLICABLE),
        (file("dev/it", mode=0o660, kind="char"), Outcome.NOT_APPLICABLE),
    ],
)
def test_what_others_tell_of_or_what_is_no_configuration_is_left_alone(made, expected):
    assert outcomes(group_writable_file, made) == {expected}


@pytest.mark.parametrize(
    ("path", "kind", "mode", "severity", "profile"),
    [
        ("sbin/setup", "file", 0o755, Severity.MEDIUM, Profile.REGULAR),
        ("usr/local/bin/app", "file", 0o555, Severity.MEDIUM, Profile.REGULAR),
        ("etc/init.d/050-app", "file", 0o644, Severity.MEDIUM, Profile.REGULAR),
        ("usr/lib/libapp.so.1", "file", 0o644, Severity.MEDIUM, Profile.REGULAR),
        ("bin", "dir", 0o755, Severity.MEDIUM, Profile.REGULAR),
        ("init", "file", 0o755, Severity.MEDIUM, Profile.REGULAR),
        (f"{SERVICE}/lower/usr/bin/app", "file", 0o755, Severity.LOW, Profile.PEDANTIC),
    ],
)
def test_a_program_that_is_not_roots_fires(path, kind, mode, severity, profile):
    (finding,) = fires(program_of_another_user, file(path, kind=kind, mode=mode, uid=1000))
    assert (finding.severity, finding.profile) == (severity, profile)
    assert "uid '1000'" in finding.message


@pytest.mark.parametrize(
    ("path", "mode"), [("srv/app/bin/app", 0o755), ("usr/lib/app/data.txt", 0o644), ("home/it/run.sh", 0o755)]
)
def test_other_files_of_other_users_are_theirs(path, mode):
    assert outcomes(program_of_another_user, file(path, mode=mode, uid=1000)) == {Outcome.NOT_APPLICABLE}


def test_an_owner_in_a_spec_is_found_at_its_uid():
    (finding,) = fires(program_of_another_user, in_spec("sbin/setup", mode=0o755, uid=5))
    assert finding.place == place(6)


# --- what of LinuxKit's is replaced, and what brings the spec along


@pytest.mark.parametrize("path", tables.load("linuxkit_files"))
@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_taking_the_place_of_linuxkits_own_file_is_told_to_auditors(path, kind):
    (finding,) = fires(linuxkit_file_replaced, file(path, kind=kind, source="linuxkit.files"))
    assert (finding.profile, finding.variant) == (Profile.AUDITOR, "default")


def test_a_script_for_init_is_told_to_auditors():
    (finding,) = fires(linuxkit_file_replaced, file("etc/init.d/050-app", source="linuxkit.files"))
    assert finding.variant == "script"


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("etc/inittab", "linuxkit/init:1", Outcome.NOT_APPLICABLE),
        ("etc/init.d/app/conf", "linuxkit.files", Outcome.PASS),
        ("etc/motd", "linuxkit.files", Outcome.PASS),
    ],
)
def test_linuxkits_own_and_all_else_is_fine(path, source, expected):
    assert outcomes(linuxkit_file_replaced, file(path, source=source)) == {expected}


def test_the_spec_in_the_image_is_found_at_its_key():
    made = file("etc/linuxkit.yml", None)._replace(parts={"path": place(3), "metadata": place(4)})
    (finding,) = fires(spec_in_image, made)
    assert (finding.place, finding.profile) == (place(4), Profile.AUDITOR)
