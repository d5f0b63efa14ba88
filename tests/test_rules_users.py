"""As whom containers run."""

import pytest
from rulelab import SPEC, container, fires, outcomes, place

from lkscan.rules.engine import Outcome
from lkscan.rules.users import root_group, runs_as_root, shared_user
from lkscan.scanner.subjects import Origin, System

PASS, FAIL, OPEN, AWAY = Outcome.PASS, Outcome.FAIL, Outcome.UNDECIDED, Outcome.NOT_APPLICABLE


def system(*containers, kind="spec"):
    return System(SPEC, kind, is_linuxkit=True, format="YAML", containers=containers)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, FAIL),
        ({"capabilities": ["CAP_NET_BIND_SERVICE"]}, FAIL),
        ({"capabilities": ["CAP_NET_BIND_SERVICE", "CAP_SETUID"]}, PASS),
        ({"uid": 100}, PASS),
        ({"user": "new"}, PASS),
        ({"user": "new", "uid_mappings": [{"containerID": 0, "hostID": 0, "size": 9}]}, FAIL),
        ({"label": "unknown"}, OPEN),
        ({"section": "onboot"}, AWAY),
    ],
)
def test_root_is_told_of_where_it_is_not_needed(facts, outcome):
    assert outcomes(runs_as_root, system(container(**facts))) == {outcome}


def test_root_of_several_services_is_one_finding():
    (finding,) = fires(runs_as_root, system(container(), container(name="b"), container(name="c", uid=3)))
    assert finding.message.startswith("'2' of '3' services run as root")
    assert finding.evidence == ("Containers: services/app, services/b.",)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"uid": 100}, FAIL),
        ({"uid": 100, "gid": 100, "groups": [5, 0]}, FAIL),
        ({"uid": 100, "gid": 100, "groups": [5]}, PASS),
        ({}, AWAY),
        ({"label": "unknown"}, OPEN),
        ({"uid": 100, "label": "unknown"}, OPEN),
        ({"uid": 100, "gid": 100, "label": "unknown"}, OPEN),
    ],
)
def test_who_gives_up_root_should_give_up_its_group(facts, outcome):
    assert outcomes(root_group, container(**facts)) == {outcome}


def test_the_group_is_pointed_at_or_else_the_container():
    set_here = {"uid": Origin("spec", place(4)), "additionalGids": Origin("spec", place(6))}
    (finding,) = fires(root_group, container(uid=100, gid=100, groups=[0], origins=set_here))
    assert [one.place.span.line for one in finding.locations] == [6, 4]
    (finding,) = fires(root_group, container(uid=100, origins=set_here))
    assert [one.note for one in finding.locations] == ["LinuxKit's default", "set here"]


@pytest.mark.parametrize(
    ("containers", "outcome"),
    [
        ([container(uid=5), container(name="b", uid=5)], FAIL),
        ([container(uid=5), container(name="b", uid=6)], PASS),
        ([container(), container(name="b")], PASS),
        ([container(uid=5), container(name="b", uid=5, section="onboot")], PASS),
        ([container(uid=5), container(name="b", uid=5, user="new")], PASS),
        ([container(uid=5), container(name="b", label="unknown")], OPEN),
        ([container(label="unknown")], PASS),
        ([container(uid=5), container(name="b", uid=5, error="no such user")], OPEN),
    ],
)
def test_one_user_for_several_services_is_told_of(containers, outcome):
    assert outcomes(shared_user, system(*containers)) == {outcome}


def test_each_shared_user_is_a_finding_of_its_own():
    names = iter("abcd")
    four = [container(name=next(names), uid=uid) for uid in (5, 6, 5, 6)]
    found = fires(shared_user, system(*four))
    assert [finding.message for finding in found] == [
        "'2' services run as the same user '5': 'a, c'.",
        "'2' services run as the same user '6': 'b, d'.",
    ]
    assert len({finding.fingerprint for finding in found}) == 2
    assert [finding.members for finding in found] == [("services/a", "services/c"), ("services/b", "services/d")]
