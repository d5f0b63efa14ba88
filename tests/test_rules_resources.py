"""What a container may use up, and whether its limits hold."""

import pytest
from rulelab import SPEC, container, fires, outcomes, place

from lkscan.rules import tables
from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.rules.resources import (
    limits_it_can_lift,
    no_resource_limit,
    raised_rlimit,
    refused_rlimit,
    spared_by_oom_killer,
    unusable_cgroup,
)
from lkscan.scanner.effective import _LIMITS
from lkscan.scanner.subjects import Origin, System

PASS, FAIL, OPEN, AWAY = Outcome.PASS, Outcome.FAIL, Outcome.UNDECIDED, Outcome.NOT_APPLICABLE
MEMORY, PIDS = {"memory": {"limit": 1 << 28}}, {"pids": {"limit": 100}}
UNLIMITED = (1 << 64) - 1
CGROUPS = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}
READ_ONLY = {**CGROUPS, "options": ["nosuid", "ro"]}


def system(*containers, kind="spec"):
    return System(SPEC, kind, is_linuxkit=True, format="YAML", containers=containers)


def rlimit(name, soft, hard, **facts):
    return container(rlimits=[{"type": f"RLIMIT_{name}", "soft": soft, "hard": hard}], **facts)


# --- LKR001


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, FAIL),
        ({"resources": MEMORY}, FAIL),
        ({"resources": PIDS}, FAIL),
        ({"resources": {**MEMORY, **PIDS}}, PASS),
        ({"resources": {"memory": {"limit": -1}, **PIDS}}, FAIL),
        ({"resources": {"memory": {"limit": 0}, **PIDS}}, FAIL),
        ({"cgroup": "/eve/services/app"}, PASS),
        ({"label": "unknown"}, OPEN),
        ({"section": "onboot"}, AWAY),
    ],
)
def test_a_service_wants_both_limits_or_a_cgroup_that_may_have_them(facts, outcome):
    assert outcomes(no_resource_limit, system(container(**facts))) == {outcome}


def test_says_who_lacks_which_limit():
    subject = system(
        container(resources=MEMORY), container(name="b"), container(name="c", resources={**MEMORY, **PIDS})
    )
    (finding,) = fires(no_resource_limit, subject)
    assert finding.message == "'2' of '3' services have no limit of memory, or none of processes."
    assert finding.evidence == (
        "Without a limit of memory: services/b.",
        "Without a limit of processes: services/app, services/b.",
    )


# --- LKR006


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"mounts": [CGROUPS]}, FAIL),
        ({"mounts": [{**CGROUPS, "type": "cgroup2"}]}, FAIL),
        ({"binds": ["/sys:/sys"]}, FAIL),
        ({"binds": ["/sys/fs/cgroup:/cgroups"]}, FAIL),
        ({"capabilities": ["CAP_SYS_ADMIN"]}, FAIL),
        ({"mounts": [READ_ONLY]}, PASS),
        ({"binds": ["/sys:/sys:ro"]}, PASS),
        ({"binds": ["/sys/class:/class"]}, PASS),
        ({"mounts": [CGROUPS], "uid": 100}, PASS),
        ({"label": "unknown"}, OPEN),
    ],
)
def test_a_limit_holds_where_root_cannot_write_to_the_cgroups(facts, outcome):
    assert outcomes(limits_it_can_lift, container(resources=PIDS, **facts)) == {outcome}


@pytest.mark.parametrize(
    ("resources", "outcome"),
    [({"memory": {"limit": -1}}, AWAY), ({"cpu": {"shares": 512}}, AWAY), ({"cpu": {"quota": 50000}}, FAIL)],
)
def test_only_what_limits_is_a_limit(resources, outcome):
    assert outcomes(limits_it_can_lift, container(mounts=[CGROUPS], resources=resources)) == {outcome}


def test_without_limits_there_is_nothing_to_lift():
    assert outcomes(limits_it_can_lift, container(mounts=[CGROUPS])) == {AWAY}
    assert outcomes(limits_it_can_lift, container(mounts=[CGROUPS], label="unknown")) == {OPEN}


# --- LKR005


@pytest.mark.parametrize(
    ("containers", "outcome"),
    [
        ([container(cgroup="/")], FAIL),
        ([container(cgroup="/app/..")], FAIL),
        ([container(cgroup="/", section="onboot")], FAIL),
        ([container(cgroup="/app"), container(name="b", cgroup="/app/")], FAIL),
        ([container(cgroup="/app"), container(name="b", cgroup="/app/b")], PASS),
        ([container(cgroup="/app"), container(name="b", cgroup="/app", section="onboot")], PASS),
        ([container(), container(name="b")], PASS),
        ([container(label="unknown")], OPEN),
        ([], AWAY),
    ],
)
def test_a_cgroup_is_for_one_container(containers, outcome):
    assert outcomes(unusable_cgroup, system(*containers)) == {outcome}


def test_names_the_service_that_has_the_cgroup_already():
    later = container(name="b", cgroup="/app", origins={"cgroupsPath": Origin("spec", place(9))})
    (finding,) = fires(unusable_cgroup, system(container(name="a", cgroup="/app"), later))
    assert finding.message == "Service 'b' is to run in the cgroup '/app' of service 'a': runc starts only one of them."
    assert finding.place.span.line == 9


# --- LKR002, LKR003


@pytest.mark.parametrize(
    ("name", "soft", "hard", "outcome"),
    [
        ("NOFILE", UNLIMITED, UNLIMITED, FAIL),
        ("NOFILE", 1024, 1048577, FAIL),
        ("NOFILE", 1048576, 1048576, PASS),
        ("NPROC", UNLIMITED, UNLIMITED, PASS),
        ("NPROC", 100, 50, FAIL),
        ("CORE", 0, 0, PASS),
    ],
)
def test_what_the_kernel_refuses_is_told_of(name, soft, hard, outcome):
    assert outcomes(refused_rlimit, rlimit(name, soft, hard)) == {outcome}


def test_a_sysctl_may_make_room_for_more_files():
    (files,) = fires(refused_rlimit, rlimit("NOFILE", 1, UNLIMITED))
    (order,) = fires(refused_rlimit, rlimit("CPU", 2, 1))
    assert (files.confidence, order.confidence) == (Confidence.MEDIUM, Confidence.HIGH)


@pytest.mark.parametrize(
    ("name", "soft", "outcome"),
    [
        ("CORE", 1, FAIL),
        ("CORE", 0, PASS),
        ("MEMLOCK", UNLIMITED, FAIL),
        ("MEMLOCK", 1 << 26, PASS),
        ("RTPRIO", 5, FAIL),
        ("MSGQUEUE", UNLIMITED, FAIL),
        ("NPROC", UNLIMITED, PASS),
        ("NOFILE", 1048576, PASS),
    ],
)
def test_limits_raised_at_the_cost_of_others_are_told_of(name, soft, outcome):
    assert outcomes(raised_rlimit, rlimit(name, soft, UNLIMITED)) == {outcome}


def test_a_limit_that_is_refused_is_not_raised():
    assert outcomes(raised_rlimit, rlimit("CORE", 2, 1)) == {PASS}


@pytest.mark.parametrize("rule", [refused_rlimit, raised_rlimit])
def test_limits_may_come_from_an_unknown_label(rule):
    assert outcomes(rule, container(label="unknown")) == {OPEN}
    assert outcomes(rule, container()) == {AWAY}


def test_the_table_of_limits_names_real_ones():
    assert {row["name"] for row in tables.load("rlimits")["raised"]} <= _LIMITS


# --- LKR004


@pytest.mark.parametrize(
    ("score", "outcome"), [(-1000, FAIL), (-999, FAIL), (-998, PASS), (0, PASS), (1000, PASS), (None, AWAY)]
)
def test_what_is_spared_is_told_of(score, outcome):
    assert outcomes(spared_by_oom_killer, container(oom=score)) == {outcome}


@pytest.mark.parametrize(
    ("score", "words", "resources", "evidence"),
    [(-1000, "only others", {}, 1), (-999, "all others first", {}, 1), (-1000, "only others", MEMORY, 0)],
)
def test_says_who_dies_instead_and_whether_memory_is_limited(score, words, resources, evidence):
    (finding,) = fires(spared_by_oom_killer, container(oom=score, resources=resources))
    assert words in finding.message
    assert len(finding.evidence) == evidence
    assert (finding.severity, finding.profile) == (Severity.LOW, Profile.PEDANTIC)


def test_the_score_may_come_from_an_unknown_label():
    assert outcomes(spared_by_oom_killer, container(label="unknown")) == {OPEN}


def test_a_limit_that_can_be_lifted_is_told_with_the_way_to_the_cgroups():
    (finding,) = fires(limits_it_can_lift, container(mounts=[CGROUPS], resources=PIDS))
    assert "limit of 'pids'" in finding.message
    assert "'its mount on /sys/fs/cgroup'" in finding.message
    (finding,) = fires(limits_it_can_lift, container(capabilities=["CAP_SYS_ADMIN"], resources=PIDS))
    assert "'mounting it (CAP_SYS_ADMIN)'" in finding.message
