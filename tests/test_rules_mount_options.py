"""Family M: how mounts are made: propagation, guards of a tmpfs, kernel filesystems, volumes, hidden mounts."""

import pytest
from rulelab import container, fires, image, outcomes, place

from lkscan.rules import tables
from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.rules.mount_options import (
    hidden_mount,
    shared_mount_propagation,
    unguarded_tmpfs,
    unprotected_kernel_paths,
    volume_written_by_several,
    writable_kernel_filesystem,
)
from lkscan.scanner.effective import CAPABILITIES
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Container, Origin, System

SYS_ADMIN = ["CAP_SYS_ADMIN"]


def propagating(kind="shared", **facts):
    made = container(**facts)
    return made._replace(oci={**made.oci, "linux": {**made.oci["linux"], "rootfsPropagation": kind}})


def mounted(kind, *options, destination="/mnt", **facts):
    entry = {"destination": destination, "type": kind, "source": kind, "options": list(options)}
    return container(mounts=[entry], **facts)


def system(*containers, kind="spec"):
    return System(place(1), kind, is_linuxkit=True, format="YAML", containers=containers)


def containers(text):
    """What the real reader makes of a spec."""
    return [one for one in read([("linuxkit.yml", text.encode())], LabelFinder()) if isinstance(one, Container)]


# --- propagation


@pytest.mark.parametrize(
    ("binds", "severity", "named"),
    [
        (["/srv:/srv"], Severity.MEDIUM, "'/srv'"),
        (["/srv:/srv:ro"], Severity.MEDIUM, "'/srv'"),
        (["/srv:/srv", "/usr/bin/ctr:/usr/bin/ctr:ro"], Severity.HIGH, "'/usr/bin/ctr'"),
        (["/srv/a:/a", "/srv/b:/b", "/srv/c:/c", "/srv/d:/d", "/srv/e:/e"], Severity.MEDIUM, "/srv/c and 2 more'"),
    ],
)
@pytest.mark.parametrize("kind", ["shared", "rshared"])
def test_who_may_mount_on_shared_binds_fires(binds, severity, named, kind):
    (finding,) = fires(shared_mount_propagation, propagating(kind, capabilities=SYS_ADMIN, binds=binds))
    assert finding.severity is severity
    assert named in finding.message
    assert finding.variant == ("programs" if severity is Severity.HIGH else "default")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (container(capabilities=SYS_ADMIN, binds=["/srv:/srv:rw,rshared"]), Outcome.NOT_APPLICABLE),
        (propagating("slave", capabilities=SYS_ADMIN, binds=["/srv:/srv"]), Outcome.NOT_APPLICABLE),
        (propagating(binds=["/srv:/srv"]), Outcome.PASS),
        (propagating(capabilities=SYS_ADMIN, user="new", binds=["/srv:/srv"]), Outcome.PASS),
        (propagating(capabilities=SYS_ADMIN, binds=["/srv:/srv:ro,rslave"]), Outcome.PASS),
        (propagating(capabilities=SYS_ADMIN), Outcome.PASS),
        (propagating(binds=["/srv:/srv"], label="unknown"), Outcome.UNDECIDED),
    ],
)
def test_without_one_half_of_it_nothing_reaches_the_host(made, expected):
    assert outcomes(shared_mount_propagation, made) == {expected}


@pytest.mark.parametrize(
    ("facts", "profile"),
    [
        ({}, Profile.REGULAR),
        ({"section": "onboot"}, Profile.PEDANTIC),
        ({"pid": "host", "capabilities": CAPABILITIES}, Profile.AUDITOR),
    ],
)
def test_mounting_for_others_at_boot_is_for_the_pedantic_and_what_is_told_already_for_auditors(facts, profile):
    made = propagating(**{"capabilities": SYS_ADMIN, "binds": ["/srv:/srv"], **facts})
    assert fires(shared_mount_propagation, made)[0].profile is profile


def test_propagation_points_at_the_key_and_then_at_the_capability():
    origins = {"rootfsPropagation": Origin("spec", place(4)), "capabilities:CAP_SYS_ADMIN": Origin("label", place(2))}
    made = propagating(capabilities=SYS_ADMIN, binds=["/srv:/srv"], origins=origins, label="newest")
    (finding,) = fires(shared_mount_propagation, made)
    assert [one.place for one in finding.locations] == [place(4), place(2)]
    assert finding.confidence is Confidence.MEDIUM


# --- tmpfs


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ([], "nosuid,nodev,noexec,size=…"),
        (["nosuid", "nodev", "size=64m"], "noexec"),
        (["nosuid", "nodev", "noexec", "mode=1777"], "size=…"),
        (["nosuid", "nodev", "noexec", "size="], "size=…"),
    ],
)
def test_a_tmpfs_fires_with_what_it_lacks(options, lacking):
    (finding,) = fires(unguarded_tmpfs, mounted("tmpfs", *options))
    assert finding.arguments[1:] == ("/mnt", lacking)


@pytest.mark.parametrize("bound", ["size=64m", "size=10%", "nr_blocks=1000"])
def test_a_guarded_tmpfs_is_fine(bound):
    assert outcomes(unguarded_tmpfs, mounted("tmpfs", "nosuid", "nodev", "noexec", bound)) == {Outcome.PASS}


def test_linuxkits_own_tmpfs_is_no_finding():
    assert outcomes(unguarded_tmpfs, container()) == {Outcome.NOT_APPLICABLE}


def test_a_tmpfs_is_found_at_its_entry():
    (made,) = containers("services:\n  - name: a\n    image: example.org/a:1\n    tmpfs:\n      - /tmp:nosuid\n")
    (finding,) = fires(unguarded_tmpfs, made)
    assert finding.place.span.line == 5


# --- kernel filesystems


@pytest.mark.parametrize("kind", tables.load("kernel_filesystems"))
def test_a_writable_kernel_filesystem_fires_with_what_it_gives(kind):
    (finding,) = fires(writable_kernel_filesystem, mounted(kind, "rw"))
    row = tables.load("kernel_filesystems")[kind]
    assert finding.evidence == (row["gain"],)
    assert str(finding.severity) == row["severity"]
    assert str(finding.profile) == row.get("profile", "regular")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (mounted("cgroup", "ro", "nosuid"), Outcome.PASS),
        (mounted("cgroup2", "rw", uid=1000), Outcome.PASS),
        (mounted("cgroup2", "rw", user="new"), Outcome.PASS),
        (mounted("debugfs", "ro"), Outcome.FAIL),
        (mounted("overlay", "rw"), Outcome.PASS),
        (mounted("cgroup", "bind", "rw"), Outcome.PASS),
        (container(), Outcome.PASS),
        (container(label="unknown"), Outcome.UNDECIDED),
    ],
)
def test_only_what_steers_the_kernel_counts(made, expected):
    assert outcomes(writable_kernel_filesystem, made) == {expected}


@pytest.mark.parametrize(
    ("facts", "profile"),
    [
        ({"section": "onboot"}, Profile.PEDANTIC),
        ({"capabilities": SYS_ADMIN}, Profile.PEDANTIC),
        ({"capabilities": CAPABILITIES}, Profile.AUDITOR),
    ],
)
def test_who_could_mount_it_anyway_is_for_the_pedantic_or_for_auditors(facts, profile):
    assert fires(writable_kernel_filesystem, mounted("cgroup", "rw", **facts))[0].profile is profile


# --- /proc/sys


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"readonly_paths": ["/proc/sys"]},
        {"readonly_paths": ["/proc/sys/kernel"], "masked_paths": ["/proc/sysrq-trigger"]},
        {"readonly_paths": ["/proc/sysrq"], "masked_paths": ["/proc/sys"]},
        {"uid": 0, "capabilities": ["CAP_CHOWN"]},
    ],
)
def test_root_that_may_steer_the_kernel_fires(facts):
    (finding,) = fires(unprotected_kernel_paths, system(container(**facts)))
    assert finding.arguments == ("1", "1")


@pytest.mark.parametrize(
    "facts",
    [
        {"readonly_paths": ["/proc/sys/", "/proc/sysrq-trigger"]},
        {"readonly_paths": ["/proc/sys"], "masked_paths": ["/proc/sysrq-trigger"]},
        {"masked_paths": ["/proc"]},
        {"uid": 1000},
        {"user": "new"},
        {"capabilities": SYS_ADMIN},
        {"mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["ro"]}]},
    ],
)
def test_protected_services_and_those_that_protection_cannot_stop_are_fine(facts):
    assert outcomes(unprotected_kernel_paths, system(container(**facts))) == {Outcome.PASS}


def test_only_services_count_and_each_is_listed():
    made = system(container(name="a"), container(name="b", uid=5), container(name="c"), container(section="onboot"))
    (finding,) = fires(unprotected_kernel_paths, made)
    assert finding.arguments == ("2", "3")
    assert "services/a, services/c" in finding.evidence[0]


def test_an_unknown_label_may_protect():
    made = container(label="unknown", image=image("example.org/a:1", "version-tag"))
    assert outcomes(unprotected_kernel_paths, system(made)) == {Outcome.UNDECIDED}


# --- volumes


@pytest.mark.parametrize("source", ["data", "/containers/volumes/data/merged", "/containers/volumes/data/rootfs"])
def test_a_volume_with_two_writers_fires_once(source):
    made = [container(name=name, binds=[f"{source}:/data"]) for name in ("a", "b", "c")]
    (finding,) = fires(volume_written_by_several, system(*made))
    assert finding.arguments == ("data", "3")
    assert finding.evidence == ("Containers: services/a, services/b, services/c.",)


@pytest.mark.parametrize(
    "binds",
    [
        (["data:/data"], ["data:/data:ro"]),
        (["data:/data", "data:/more"], ["other:/data"]),
        (["/var/data:/data"], ["/var/data:/data"]),
    ],
)
def test_readers_and_paths_of_the_host_are_no_second_writer(binds):
    made = [container(name=str(i), binds=one) for i, one in enumerate(binds)]
    assert outcomes(volume_written_by_several, system(*made)) == {Outcome.PASS}


# --- hidden mounts


@pytest.mark.parametrize(
    ("binds", "hidden", "by"),
    [
        (["/a:/data", "/b:/data/"], "/data", "/data/"),
        (["/a:/data/x", "/b:data"], "/data/x", "data"),
        (["/a:/data/./x", "/b:/data/x"], "/data/./x", "/data/x"),
    ],
)
def test_a_mount_below_a_later_one_fires(binds, hidden, by):
    (finding,) = fires(hidden_mount, container(binds=binds))
    assert finding.arguments[1:] == (hidden, by)


@pytest.mark.parametrize(
    "binds",
    [
        ["/a:/data", "/b:/data/x", "/c:/data-x"],
        ["/dev:/dev", "/sys:/sys"],
        ["/a:/", "/b:/data"],
        ["/a:", "/b:/data"],
        [],
    ],
)
def test_mounts_inside_one_another_are_fine(binds):
    assert outcomes(hidden_mount, container(binds=binds)) == {Outcome.PASS}


TWICE = """
services:
  - name: a
    image: example.org/a:1
    binds:
      - /srv/a:/data
    tmpfs:
      - /data
    mounts:
      - type: bind
        source: /srv/b
        destination: /data
        options: ["rbind"]
"""


def test_of_one_destination_in_several_keys_the_dropped_ones_fire():
    (made,) = containers(TWICE)
    assert sorted(finding.place.span.line for finding in fires(hidden_mount, made)) == [6, 8]


def test_a_mount_that_replaces_the_labels_is_meant_to():
    text = "services:\n  - name: metadata\n    image: linuxkit/metadata:v1.1.0\n    binds:\n      - /srv:/tmp\n"
    (made,) = containers(text)
    assert any(mount.destination == "/tmp" for mount in made.mounts)
    assert not fires(hidden_mount, made)
