"""What contradicts itself in a spec, and what all of its containers lack."""

import pytest
from rulelab import SPEC, container, fires, image, outcomes, place
from rulelab import file as entry

from lkscan.rules.crosschecks import (
    file_hidden_at_boot,
    ignored_addition,
    namespace_path_nobody_makes,
    new_privileges_allowed,
    no_sysctl_container,
    sysctl_of_the_host,
    writable_root_filesystem,
)
from lkscan.rules.engine import Confidence, Engine, Outcome, Profile
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Container, File, Origin, Place, System

PASS, FAIL, OPEN, AWAY = Outcome.PASS, Outcome.FAIL, Outcome.UNDECIDED, Outcome.NOT_APPLICABLE


def system(*containers, kind="spec"):
    """A whole input of these containers."""
    return System(SPEC, kind, is_linuxkit=True, format="YAML", containers=containers)


def maker(kind="net", path="/run/netns/web", **facts):
    """A container that leaves a namespace for others."""
    return container(name="maker", section="onboot", runtime={"bindNS": {kind: path}}, **facts)


def joiner(path="/run/netns/web", kind="network"):
    """A container that joins a namespace by path."""
    made = container(name="joiner")
    namespaces = [*made.oci["linux"]["namespaces"], {"type": kind, "path": path}]
    others = [one for one in namespaces if one["type"] != kind or "path" in one]
    return made._replace(oci={**made.oci, "linux": {**made.oci["linux"], "namespaces": others}})


def with_sysctl(*names, **facts):
    """A container with these kernel settings; `ipc` and `uts` as for rulelab's `net`."""
    own = [{"type": kind} for kind in ("ipc", "uts") if facts.pop(kind, "host") == "new"]
    made = container(**facts)
    linux = made.oci["linux"]
    changed = {"namespaces": [*linux["namespaces"], *own], "sysctl": dict.fromkeys(names, "1")}
    return made._replace(oci={**made.oci, "linux": {**linux, **changed}})


def subjects(text, kind=Container):
    """The subjects of a type that the real reader makes of a spec."""
    return [one for one in read([("linuxkit.yml", text.encode())], LabelFinder()) if isinstance(one, kind)]


# --- LKN002


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ((joiner(), maker()), PASS),
        ((joiner("/var/run/netns/web"), maker()), PASS),
        ((joiner(),), FAIL),
        ((joiner(), maker(path="/run/netns/wed")), FAIL),
        ((joiner(), maker(kind="ipc")), FAIL),
        ((joiner(kind="user"), maker(kind="user")), PASS),
        ((joiner(kind="ipc"), maker(kind="ipc")), PASS),
        ((joiner("none", kind="ipc"),), FAIL),
        ((joiner("/proc/1/ns/net"),), AWAY),
        ((container(),), AWAY),
        ((container(label="unknown"),), AWAY),
        ((joiner(), container(label="unknown")), OPEN),
        ((joiner(), maker(path="/run/netns/other", label="unknown")), FAIL),
        ((joiner(), container(capabilities=["CAP_SYS_ADMIN"], binds=["/run:/run"])), OPEN),
        ((joiner(), container(capabilities=["CAP_SYS_ADMIN"], binds=["/:/host"])), OPEN),
        ((joiner(), container(capabilities=["CAP_NET_ADMIN"], binds=["/run:/run"])), FAIL),
        ((joiner(), container(capabilities=["CAP_SYS_ADMIN"], binds=["/etc:/etc"])), FAIL),
        ((joiner()._replace(error="unknown capability"),), OPEN),
    ],
)
def test_a_joined_path_needs_a_maker(containers, expected):
    assert outcomes(namespace_path_nobody_makes, system(*containers)) == {expected}


def test_no_container_makes_the_namespace_that_it_joins_itself():
    own = joiner()._replace(runtime={"bindNS": {"net": "/run/netns/web"}})
    assert outcomes(namespace_path_nobody_makes, system(own)) == {FAIL}


def test_tells_the_paths_that_there_are():
    (finding,) = fires(namespace_path_nobody_makes, system(joiner(), maker(path="/run/netns/wed")))
    assert finding.subject == "services/joiner"
    assert finding.message.startswith("Container 'joiner' joins '/run/netns/web' as its 'network' namespace")
    assert finding.evidence == ("Paths of that kind that others make: '/run/netns/wed'.",)


def test_a_package_is_not_asked_who_makes_its_namespace():
    assert outcomes(namespace_path_nobody_makes, system(joiner(), kind="package")) == {AWAY}


# --- LKM003


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/lib/app", FAIL),
        ("run/app.pid", FAIL),
        ("tmp/x", FAIL),
        ("dev/kmsg", FAIL),
        ("./proc/x", FAIL),
        ("etc/../sys/x", FAIL),
        ("var", PASS),
        ("/tmp/", PASS),
        ("variable/x", PASS),
        ("etc/var/x", PASS),
        ("containers/services/a/lower/var/x", PASS),
    ],
)
@pytest.mark.parametrize("what", ["contents: x", "directory: true", "symlink: /etc/x"])
def test_what_files_puts_below_a_mount_of_init_is_hidden(path, expected, what):
    (found,) = subjects(f"files:\n  - path: {path}\n    {what}\n", File)
    assert outcomes(file_hidden_at_boot, found) == {expected}
    assert [finding.profile for finding in fires(file_hidden_at_boot, found)] == [Profile.REGULAR] * (expected is FAIL)


def test_in_an_image_only_files_of_the_spec_are_told_and_to_pedants():
    (finding,) = fires(file_hidden_at_boot, entry("var/lib/app", source="linuxkit.files"))
    assert finding.profile is Profile.PEDANTIC
    assert outcomes(file_hidden_at_boot, entry("var/lib", kind="dir", source="linuxkit.files")) == {AWAY}
    assert outcomes(file_hidden_at_boot, entry("var/lib/app", source="linuxkit/init:1")) == {AWAY}


# --- LKP004

ADDS = """services:
  - name: web
    image: example.org/web:1
    {0}: [{1}]
    {0}.add: [{2}]
"""


@pytest.mark.parametrize(
    ("key", "one", "two"), [("capabilities", "CAP_KILL", "CAP_CHOWN"), ("binds", "/a:/a", "/b:/b")]
)
def test_an_addition_beside_the_plain_key_is_in_vain(key, one, two):
    (found,) = subjects(ADDS.format(key, one, two))
    (finding,) = fires(ignored_addition, found)
    assert (finding.key, finding.place.span.line, finding.locations[1].place.span.line) == (key, 5, 4)
    assert finding.message == f"Container 'web' sets both '{key}' and '{key}.add': LinuxKit ignores the second."


@pytest.mark.parametrize(
    "text", [ADDS.format("binds", "/a:/a", ""), ADDS.replace("    {0}: [{1}]\n", "").format("binds", "", "/b:/b")]
)
def test_an_addition_that_is_empty_or_alone_is_fine(text):
    (found,) = subjects(text)
    assert outcomes(ignored_addition, found) == {PASS}


def test_the_plain_key_counts_even_when_it_is_empty():
    (found,) = subjects(ADDS.format("capabilities", "", "CAP_KILL"))
    assert not found.capabilities
    assert fires(ignored_addition, found)


# --- LKY001


@pytest.mark.parametrize(
    ("name", "facts", "expected"),
    [
        ("net.core.somaxconn", {}, FAIL),
        ("net.core.somaxconn", {"net": "new"}, PASS),
        ("net.core.somaxconn", {"net": "/run/netns/web"}, PASS),
        ("net.core.somaxconn", {"net": "/proc/1/ns/net"}, FAIL),
        ("net/ipv4/conf/eth0.1/rp_filter", {"net": "new"}, PASS),
        ("net/ipv4/conf/eth0.1/rp_filter", {}, FAIL),
        ("kernel.shmmax", {}, FAIL),
        ("kernel/shmmax", {"ipc": "new"}, PASS),
        ("kernel.shmmax", {"ipc": "new"}, PASS),
        ("fs.mqueue.msg_max", {"ipc": "new"}, PASS),
        ("fs.mqueue.msg_max", {"net": "new"}, FAIL),
        ("kernel.domainname", {}, FAIL),
        ("kernel.domainname", {"uts": "new"}, PASS),
        ("kernel.hostname", {"uts": "new"}, FAIL),
        ("vm.swappiness", {"net": "new", "ipc": "new", "uts": "new"}, FAIL),
        ("nonsense", {}, FAIL),
        ("net.core.somaxconn", {"label": "unknown"}, OPEN),
        ("vm.swappiness", {"label": "unknown"}, FAIL),
        ("net.core.somaxconn", {"label": "unknown", "origins": {"net": Origin("spec", place(7))}}, FAIL),
    ],
)
def test_a_setting_needs_a_namespace_of_the_container(name, facts, expected):
    assert outcomes(sysctl_of_the_host, with_sysctl(name, **facts)) == {expected}


def test_each_setting_is_told_in_order_and_says_why():
    found = fires(sysctl_of_the_host, with_sysctl("vm.swappiness", "kernel.sem", "kernel.hostname"))
    assert [finding.key for finding in found] == ["kernel.hostname", "kernel.sem", "vm.swappiness"]
    assert ["'ipc' namespace of the host" in finding.message for finding in found] == [False, True, False]
    assert [finding.variant for finding in found] == ["hostname", "default", "none"]


@pytest.mark.parametrize(("label", "expected"), [("exact", AWAY), ("unknown", OPEN)])
def test_without_settings_only_a_label_could_bring_some(label, expected):
    assert outcomes(sysctl_of_the_host, container(label=label)) == {expected}


# --- LKP005 and LKM004: one finding for all


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ((container(capabilities=["CAP_CHOWN"]),), FAIL),
        ((container(uid=7),), FAIL),
        ((container(),), PASS),
        ((container(uid=7, no_new_privileges=True),), PASS),
        ((container(uid=7, label="unknown"),), OPEN),
        ((container(label="unknown"),), OPEN),
        ((container(label="unknown", no_new_privileges=True),), PASS),
        ((container(uid=7), container(name="b", uid=7, label="unknown")), FAIL),
        ((container(uid=7, section="onboot"),), FAIL),
        ((), AWAY),
    ],
)
def test_who_has_something_to_gain_at_execve(containers, expected):
    assert outcomes(new_privileges_allowed, system(*containers)) == {expected}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ((container(),), FAIL),
        ((container(readonly=True),), PASS),
        ((container(readonly=True), container(section="onboot")), PASS),
        ((container(section="onboot"),), AWAY),
        ((container(label="unknown"),), OPEN),
        ((container(label="unknown", origins={"readonly": Origin("spec", place(5))}),), FAIL),
    ],
)
def test_which_services_can_change_their_programs(containers, expected):
    assert outcomes(writable_root_filesystem, system(*containers)) == {expected}


def test_one_finding_names_all_and_points_at_each():
    containers = (
        container(name="a", at=place(2)),
        container(name="b", at=place(5), readonly=True),
        container(name="c", at=place(8)),
        container(name="d", at=place(11), label="unknown"),
    )
    (finding,) = fires(writable_root_filesystem, system(*containers))
    assert finding.message == "'2' of '4' services can change their own root filesystem."
    assert [location.place.span.line for location in finding.locations] == [2, 8]
    assert finding.evidence == ("Containers: services/a, services/c.", "Not known of: services/d.")
    assert (finding.profile, finding.subject) == (Profile.PEDANTIC, "spec")


def test_an_open_question_is_told_once_for_all():
    unknown = [container(name=name, label="unknown", image=image("a/b:1", "version-tag")) for name in "ab"]
    (finding,) = Engine([writable_root_filesystem]).judge(system(*unknown))
    assert finding.message == (
        "The label of 'a/b:1' is not known. The spec leaves 'readonly' to it. That is so of 2 of 2 containers."
    )


# --- LKL001


@pytest.mark.parametrize(
    "applies",
    [
        container(name="sysctl", section="onboot"),
        container(image=image("linuxkit/sysctl:1", "version-tag")),
        container(command=["/usr/bin/sysctl"]),
        container(command=["sh", "-c", "sysctl -w kernel.kptr_restrict=2"]),
    ],
    ids=["by name", "by image", "by command", "in a script"],
)
def test_a_container_that_applies_settings_is_known(applies):
    assert outcomes(no_sysctl_container, system(container(name="web"), applies)) == {PASS}


def test_without_one_the_first_service_is_pointed_at():
    containers = (container(section="onboot", at=place(2)), container(at=place(5)), container(name="b", at=place(8)))
    (finding,) = fires(no_sysctl_container, system(*containers))
    assert (finding.place.span.line, finding.confidence, finding.profile) == (5, Confidence.MEDIUM, Profile.PEDANTIC)
    assert finding.message.endswith("before the services start ('2' of them).")


@pytest.mark.parametrize(
    "subject", [system(), system(container(section="onboot")), system(container(), kind="package")]
)
def test_without_services_nothing_is_missed(subject):
    assert outcomes(no_sysctl_container, subject) == {AWAY}


def test_images_are_judged_alike():
    built = container(label="built", at=Place(("image.tar", "containers/services/app/config.json")))
    for rule in (writable_root_filesystem, no_sysctl_container):
        (finding,) = fires(rule, system(built, kind="image"))
        assert (finding.subject, finding.place) == ("image", built.place)
