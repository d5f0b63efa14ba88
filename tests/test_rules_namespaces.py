import pytest
from rulelab import SPEC, container, fires, image, outcomes, place

from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.rules.namespaces import (
    bound_host_namespace,
    experimental_user_namespace,
    host_namespaces_shared,
    host_pid_namespace,
    interface_in_host_network,
    joined_namespace,
    other_containerd_namespace,
)
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Container, Origin, System

FAIL, OPEN, PASS, AWAY = Outcome.FAIL, Outcome.UNDECIDED, Outcome.PASS, Outcome.NOT_APPLICABLE
ISOLATED = {"net": "new", "ipc": "new", "uts": "new"}
ROOT_MAP = {"containerID": 0, "hostID": 0, "size": 65536}


def system(*containers, kind="spec"):
    return System(SPEC, kind, is_linuxkit=True, format="YAML", containers=containers)


def set_in_spec(*keys):
    return {key: Origin("spec", place(5)) for key in keys}


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


@pytest.mark.parametrize("pid", ["/proc/1/ns/pid", "/proc/self/ns/pid"])
def test_fires_on_a_path_to_the_hosts_pid_namespace(pid):
    assert fires(host_pid_namespace, container(pid=pid))


@pytest.mark.parametrize("pid", ["new", "/run/pidns/web", "/proc/7/ns/pid"])
def test_is_silent_on_a_namespace_of_its_own_or_a_joined_one(pid):
    assert outcomes(host_pid_namespace, container(pid=pid)) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("facts", "profile"),
    [({"section": "onboot"}, Profile.PEDANTIC), ({"capabilities": ["CAP_SYS_PTRACE"]}, Profile.AUDITOR)],
    ids=["before the services", "part of a combination"],
)
def test_is_for_pedants_where_little_is_lost_and_for_auditors_where_more_is_told(facts, profile):
    (finding,) = fires(host_pid_namespace, container(pid="host", **facts))
    assert finding.profile is profile


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


# --- LKN003


def test_what_all_share_by_default_is_one_finding_that_says_who_shares_what():
    subject = system(container(), container(name="b", **{**ISOLATED, "uts": "host"}), container(name="c", **ISOLATED))
    (finding,) = fires(host_namespaces_shared, subject)
    assert finding.message.startswith("'2' of '3' services share")
    assert finding.evidence == (
        "Share the network namespace, share the ipc namespace: services/app.",
        "Share the uts namespace: services/app, services/b.",
    )
    assert finding.profile is Profile.PEDANTIC


def test_a_path_to_the_hosts_network_is_no_isolation():
    assert fires(host_namespaces_shared, system(container(**{**ISOLATED, "net": "/proc/1/ns/net"})))


def test_services_of_unknown_labels_are_named_apart():
    subject = system(container(), container(name="b", label="unknown"))
    (finding,) = fires(host_namespaces_shared, subject)
    assert finding.evidence[-1] == "Not known of: services/b."


def test_containers_that_run_once_and_packages_may_share():
    assert outcomes(host_namespaces_shared, system(container(section="onboot"))) == {AWAY}
    assert outcomes(host_namespaces_shared, system(container(), kind="package")) == {AWAY}


# --- LKN004


@pytest.mark.parametrize(
    ("facts", "profile", "severity"),
    [
        ({"net": "/run/netns/a", "uid": 5}, Profile.AUDITOR, Severity.NOTE),
        ({"net": "/run/netns/a"}, Profile.AUDITOR, Severity.NOTE),
        ({"net": "/run/netns/a", "capabilities": ["CAP_NET_ADMIN"]}, Profile.PEDANTIC, Severity.LOW),
        ({"pid": "/run/pidns/a"}, Profile.PEDANTIC, Severity.LOW),
        ({"pid": "/run/pidns/a", "uid": 5}, Profile.AUDITOR, Severity.NOTE),
        ({"pid": "/run/pidns/a", "uid": 5, "ambient": ["CAP_SYS_PTRACE"]}, Profile.PEDANTIC, Severity.LOW),
        ({"pid": "/run/pidns/a", "capabilities": ["CAP_SYS_MODULE"]}, Profile.AUDITOR, Severity.NOTE),
    ],
)
def test_joining_is_a_note_and_more_with_the_power_to_rule_there(facts, profile, severity):
    (finding,) = fires(joined_namespace, container(**facts))
    assert (finding.profile, finding.severity, bool(finding.evidence)) == (profile, severity, severity is Severity.LOW)


def test_the_hosts_namespace_by_a_path_is_not_anothers():
    assert outcomes(joined_namespace, container(net="/proc/1/ns/net")) == {AWAY}


def test_an_unknown_label_may_join_one():
    assert outcomes(joined_namespace, container(label="unknown")) == {OPEN}


# --- LKN005


@pytest.mark.parametrize(
    ("section", "words"),
    [("services", "runs in"), ("onboot", "which only services have"), ("onshutdown", "which only")],
)
def test_a_containerd_namespace_is_a_note_and_idle_where_containerd_is_not_asked(section, words):
    (finding,) = fires(other_containerd_namespace, container(section=section, runtime={"namespace": "k8s.io"}))
    assert words in finding.message
    assert finding.profile is Profile.AUDITOR


# --- LKN006


@pytest.mark.parametrize(
    ("bound", "facts", "outcome"),
    [
        ({"net": "/run/netns/a"}, {}, FAIL),
        ({"net": "/run/netns/a"}, {"net": "/proc/1/ns/net"}, FAIL),
        ({"net": "/run/netns/a"}, {"net": "new"}, PASS),
        ({"net": "/run/netns/a"}, {"net": "/run/netns/b"}, PASS),
        ({"pid": "/run/pidns/a"}, {}, PASS),
        ({"pid": "/run/pidns/a"}, {"pid": "host"}, FAIL),
        ({"user": "/run/userns/a"}, {}, FAIL),
        ({"mnt": "/run/mntns/a"}, {}, AWAY),
        ({"net": "", "ipc": ""}, {}, AWAY),
        ({"net": "/run/netns/a"}, {"label": "unknown"}, OPEN),
        ({"net": "/run/netns/a"}, {"label": "unknown", "origins": set_in_spec("net")}, FAIL),
        ({}, {"label": "unknown"}, OPEN),
    ],
)
def test_a_namespace_that_is_left_to_others_must_be_ones_own(bound, facts, outcome):
    assert outcomes(bound_host_namespace, container(runtime={"bindNS": bound}, **facts)) == {outcome}


# --- LKN007


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, FAIL),
        ({"net": "new"}, PASS),
        ({"net": "/run/netns/a"}, PASS),
        ({"label": "unknown"}, OPEN),
        ({"label": "unknown", "origins": set_in_spec("net")}, FAIL),
    ],
)
def test_an_interface_needs_a_network_to_move_to(facts, outcome):
    subject = container(runtime={"interfaces": [{"name": "wg0"}]}, **facts)
    assert outcomes(interface_in_host_network, subject) == {outcome}


# --- LKN008


def with_mappings(uid_mappings=(), gid_mappings=(), **facts):
    made = container(uid_mappings=list(uid_mappings), **facts)
    return made._replace(oci={**made.oci, "linux": {**made.oci["linux"], "gidMappings": list(gid_mappings)}})


BOTH = ([ROOT_MAP], [ROOT_MAP])
OTHER = ([{**ROOT_MAP, "hostID": 100000}], [{**ROOT_MAP, "hostID": 100000}])


@pytest.mark.parametrize(
    ("mappings", "user", "variant", "severity"),
    [
        (((), ()), "new", "unmapped", Severity.MEDIUM),
        (([ROOT_MAP], ()), "new", "unmapped", Severity.MEDIUM),
        (((), [ROOT_MAP]), "new", "unmapped", Severity.MEDIUM),
        (BOTH, "host", "alone", Severity.MEDIUM),
        (BOTH, "new", "default", Severity.MEDIUM),
        (OTHER, "new", "other", Severity.NOTE),
        (((), ()), "/run/userns/a", "other", Severity.NOTE),
    ],
)
def test_a_user_namespace_is_judged_by_its_mappings(mappings, user, variant, severity):
    (finding,) = fires(experimental_user_namespace, with_mappings(*mappings, user=user))
    assert (finding.variant, finding.severity) == (variant, severity)


def test_an_unknown_label_may_hold_the_mappings():
    assert outcomes(experimental_user_namespace, container(label="unknown", user="new")) == {OPEN}


def test_linuxkit_loses_the_numbers_of_a_mapping():
    text = """
services:
  - name: web
    image: linuxkit/acpid:dbd30b25903bf17042c22171b729f94c4bd3d98d
    userns: new
    uidMappings: [{containerID: 0, hostID: 100000, size: 65536}]
    gidMappings: [{containerID: 0, hostID: 100000, size: 65536}]
"""
    subjects = read([("linuxkit.yml", text.encode())], LabelFinder())
    (web,) = (one for one in subjects if isinstance(one, Container))
    (finding,) = fires(experimental_user_namespace, web)
    assert (finding.variant, finding.place.span.line) == ("default", 6)
