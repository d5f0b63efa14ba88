import pytest
from rulelab import container, fires, image, outcomes, place

from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.rules.namespaces import host_pid_namespace
from lkscan.scanner.subjects import Origin


def test_fires_on_the_hosts_pid_namespace():
    (finding,) = fires(host_pid_namespace, container(pid="host", origins={"pid": Origin("spec", place(8))}))
    assert (finding.severity, finding.profile) == (Severity.HIGH, Profile.REGULAR)
    assert (finding.place.span.line, finding.locations[0].note) == (8, "set here")


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        ({"uid": 100}, Severity.LOW),
        ({"user": "new"}, Severity.LOW),
        ({"uid": 100, "capabilities": ["CAP_KILL"]}, Severity.LOW),
        ({"uid": 100, "ambient": ["CAP_KILL"]}, Severity.HIGH),
        ({"uid": 100, "ambient": ["CAP_CHOWN"]}, Severity.LOW),
    ],
)
def test_who_can_only_look_weighs_little(facts, severity):
    (finding,) = fires(host_pid_namespace, container(pid="host", **facts))
    assert (finding.severity, bool(finding.evidence)) == (severity, severity is Severity.LOW)


@pytest.mark.parametrize("pid", ["new", "/run/pidns/web"])
def test_is_silent_on_a_namespace_of_its_own_or_a_joined_one(pid):
    assert outcomes(host_pid_namespace, container(pid=pid)) == {Outcome.PASS}


@pytest.mark.parametrize(
    "facts",
    [{"section": "onboot"}, {"capabilities": ["CAP_SYS_PTRACE"]}],
    ids=["before the services", "part of a combination"],
)
def test_is_for_pedants_where_little_is_lost_or_more_is_told(facts):
    (finding,) = fires(host_pid_namespace, container(pid="host", **facts))
    assert finding.profile is Profile.PEDANTIC


def test_a_stand_in_label_lowers_the_confidence():
    origins = {"pid": Origin("label", place(3))}
    subject = container(pid="host", label="newest", origins=origins, image=image("linuxkit/acpid:1", "version-tag"))
    (finding,) = fires(host_pid_namespace, subject)
    assert finding.confidence is Confidence.MEDIUM
    assert len(finding.evidence) == 1


def test_an_unknown_label_leaves_the_question_open():
    assert outcomes(host_pid_namespace, container(label="unknown")) == {Outcome.UNDECIDED}


@pytest.mark.parametrize(("pid", "outcome"), [("new", Outcome.PASS), ("host", Outcome.FAIL)])
def test_an_unknown_label_matters_not_where_the_spec_decides(pid, outcome):
    origins = {"pid": Origin("spec", place(8))}
    assert outcomes(host_pid_namespace, container(label="unknown", pid=pid, origins=origins)) == {outcome}


@pytest.mark.parametrize(("pid", "outcome"), [("new", Outcome.UNDECIDED), ("host", Outcome.FAIL)])
def test_a_container_that_linuxkit_refuses_may_still_fail(pid, outcome):
    assert outcomes(host_pid_namespace, container(error="unknown capability 'X'", pid=pid)) == {outcome}
