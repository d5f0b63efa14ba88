"""Which devices of the host a container may use."""

import pytest
from rulelab import container, fires, outcomes, place

from lkscan.rules import tables
from lkscan.rules.devices import device_of_the_host, every_device, world_writable_device
from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.scanner.subjects import Origin

PASS, FAIL, OPEN, AWAY = Outcome.PASS, Outcome.FAIL, Outcome.UNDECIDED, Outcome.NOT_APPLICABLE
TABLE = tables.load("devices")
RULES = [device_of_the_host, every_device, world_writable_device]


def device(kind, major, minor, *, mode=0o600, made=True, **facts):
    """A container with one device as LinuxKit gives it: a node and leave for it."""
    numbers = {"type": kind, "major": major, "minor": minor}
    nodes = [{"path": "/dev/it", "fileMode": mode, **numbers}] if made else []
    return container(devices=[{"allow": True, "access": "rwm", **numbers}], nodes=nodes, **facts)


def every(kind, **facts):
    return container(devices=[{"allow": True, "type": kind, "access": "rwm"}], **facts)


def test_the_table_is_sound():
    rows = [(row["type"], row["major"], row.get("minor")) for row in TABLE["device"]]
    assert len(rows) == len(set(rows))
    for row in TABLE["device"]:
        assert Severity[row["severity"].upper()] <= Severity.HIGH
        assert not row["gain"].endswith(".")
        assert "'" not in row["gain"]


@pytest.mark.parametrize("row", TABLE["device"], ids=lambda row: f"{row['major']}:{row.get('minor', '*')}")
def test_each_device_of_the_table_is_told_of_as_the_table_says(row):
    facts = {"uid": 100, "mode": 0o666, "ambient": [row["needs"]] if "needs" in row else []}
    (finding,) = fires(device_of_the_host, device("c", row["major"], row.get("minor", 63), **facts))
    assert (finding.severity.name.lower(), str(finding.profile)) == (row["severity"], row.get("profile", "regular"))
    assert finding.message == f"Container 'app' has the device '/dev/it': it can '{row['gain']}'."


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"uid": 100}, "the node's mode"), ({"uid": 100, "gid": 100, "mode": 0o660}, "the node's mode")],
)
def test_a_device_that_its_user_may_not_open_weighs_little(facts, reason):
    (finding,) = fires(device_of_the_host, device("c", 10, 223, **facts))
    assert (finding.severity, finding.profile) == (Severity.LOW, Profile.PEDANTIC)
    assert reason in finding.evidence[0]


@pytest.mark.parametrize("facts", [{}, {"gid": 100, "groups": [0]}])
def test_the_group_of_root_opens_what_its_user_may_not(facts):
    (finding,) = fires(device_of_the_host, device("c", 10, 223, uid=100, mode=0o660, **facts))
    assert finding.severity is Severity.HIGH


def test_a_device_that_takes_a_capability_weighs_little_without():
    (finding,) = fires(device_of_the_host, device("c", 1, 4))
    assert (finding.severity, finding.profile) == (Severity.LOW, Profile.PEDANTIC)
    assert finding.evidence == ("The kernel asks for CAP_SYS_RAWIO to open it, which the container does not hold.",)


@pytest.mark.parametrize(
    ("subject", "outcome"),
    [
        (device("c", 1, 3), PASS),
        (device("c", 188, 0), PASS),
        (device("c", 10, 223, made=False), PASS),
        (device("c", 10, 223, capabilities=["CAP_SYS_MODULE"]), PASS),
        (device("b", 8, 0), PASS),
        (container(), AWAY),
        (container(label="unknown"), OPEN),
    ],
    ids=["null", "a serial adapter", "no node", "root anyway", "a disk, told elsewhere", "none", "unknown"],
)
def test_other_devices_are_not_told_of(subject, outcome):
    assert outcomes(device_of_the_host, subject) == {outcome}


def test_a_device_only_for_reading_counts():
    numbers = {"type": "c", "major": 13, "minor": 64}
    subject = container(
        devices=[{"allow": True, "access": "r", **numbers}], nodes=[{"path": "/dev/input/event0", **numbers}]
    )
    assert fires(device_of_the_host, subject)


def test_points_at_the_line_of_the_device():
    subject = device("c", 10, 223, origins={"devices:0": Origin("spec", place(9))})
    (finding,) = fires(device_of_the_host, subject)
    assert (finding.place.span.line, finding.locations[0].note) == (9, "set here")


@pytest.mark.parametrize("rule", RULES)
def test_devices_of_a_narrow_job_are_for_pedants(rule):
    subject = container(
        section="onboot",
        devices=[{"allow": True, "type": "c"}, {"allow": True, "type": "c", "major": 10, "minor": 223}],
        nodes=[{"path": "/dev/uinput", "type": "c", "major": 10, "minor": 223, "fileMode": 0o666}],
    )
    assert {finding.profile for finding in fires(rule, subject)} == {Profile.PEDANTIC}


@pytest.mark.parametrize(
    ("subject", "severity", "profile"),
    [
        (every("c", binds=["/dev:/dev"]), Severity.HIGH, Profile.REGULAR),
        (every("c", capabilities=["CAP_MKNOD"]), Severity.HIGH, Profile.REGULAR),
        (every("c", binds=["/dev:/dev"], uid=100), Severity.LOW, Profile.PEDANTIC),
        (every("b", binds=["/dev:/dev"], uid=100), Severity.LOW, Profile.PEDANTIC),
        (every("c"), Severity.LOW, Profile.PEDANTIC),
        (every("b"), Severity.LOW, Profile.PEDANTIC),
        (every("a"), Severity.LOW, Profile.PEDANTIC),
    ],
)
def test_all_devices_of_a_type_weigh_by_how_it_gets_their_nodes(subject, severity, profile):
    (finding,) = fires(every_device, subject)
    assert (finding.severity, finding.profile) == (severity, profile)


@pytest.mark.parametrize(
    ("subject", "outcome"),
    [
        (every("b", binds=["/dev:/dev"]), PASS),
        (every("c", capabilities=["CAP_SYS_ADMIN"]), PASS),
        (container(devices=[{"allow": True, "type": "c"}, {"allow": False}]), PASS),
        (device("c", 10, 223), PASS),
        (every("no type"), PASS),
        (container(), AWAY),
        (container(label="unknown"), OPEN),
    ],
    ids=["disks are told of", "a detour is told of", "taken back", "one device", "odd", "none", "unknown"],
)
def test_no_more_is_said_than_is_new(subject, outcome):
    assert outcomes(every_device, subject) == {outcome}


@pytest.mark.parametrize(
    ("subject", "outcome"),
    [
        (device("c", 5, 1, mode=0o666), FAIL),
        (device("c", 5, 1, mode=0o660), PASS),
        (device("c", 5, 1, mode=0o644), PASS),
        (device("c", 1, 3, mode=0o666), PASS),
        (device("c", 5, 1, mode=0o666, capabilities=["CAP_SYS_MODULE"]), PASS),
        (container(), AWAY),
        (container(label="unknown"), OPEN),
    ],
)
def test_a_node_that_all_may_write_is_told_of_unless_it_is_so_everywhere(subject, outcome):
    assert outcomes(world_writable_device, subject) == {outcome}
