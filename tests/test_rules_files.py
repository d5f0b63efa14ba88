"""Family F: modes that give away more than they should."""

import pytest
from rulelab import file, fires, outcomes

from lkscan.rules.engine import Outcome, Severity
from lkscan.rules.files import set_id_file, world_writable_file

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
