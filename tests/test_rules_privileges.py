import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import SPEC, bind, container, fires, image, outcomes, place

from lkscan.rules import tables
from lkscan.rules.engine import Confidence, Outcome, Profile, Severity
from lkscan.rules.escape import host_path, is_host_root, sensitive, ways
from lkscan.rules.privileges import (
    all_capabilities,
    dangerous_capability,
    host_root_equivalent,
    inert_capabilities,
    platform_without_seccomp,
    unknown_privileges,
)
from lkscan.scanner.effective import CAPABILITIES
from lkscan.scanner.subjects import Origin, System

FIRST = tables.load("capabilities")["first"]
ALL = [*FIRST, *tables.load("capabilities")["since"]]
BLOCK = {"allow": True, "type": "b", "access": "rwm"}
CHARACTER = {**BLOCK, "type": "c"}
DISK = {**BLOCK, "major": 8, "minor": 0}
ADMIN = ["CAP_SYS_ADMIN"]
DISK_NODE = {"path": "/dev/sda", "type": "b", "major": 8, "minor": 0, "fileMode": 0o600}
MEMORY_NODE = {"path": "/dev/mem", "type": "c", "major": 1, "minor": 1, "fileMode": 0o600}
CGROUPS = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw", "nosuid"]}
ROOT_MAPPED = {"user": "new", "uid_mappings": [{"containerID": 0, "hostID": 0, "size": 65536}]}

DIRECT = {
    "load a module": {"capabilities": ["CAP_SYS_MODULE"]},
    "load a module, as another user": {"capabilities": [], "ambient": ["CAP_SYS_MODULE"], "uid": 100},
    "trace init": {"capabilities": ["CAP_SYS_PTRACE"], "pid": "host"},
    "trace init, as another user": {"ambient": ["CAP_SYS_PTRACE"], "pid": "host", "uid": 100},
    "trace init, whose namespace it joins by path": {"capabilities": ["CAP_SYS_PTRACE"], "pid": "/proc/1/ns/pid"},
    "trace init through the host's /proc": {"capabilities": ["CAP_SYS_PTRACE"], "binds": ["/proc:/host/proc:ro"]},
    "trace init through the host's root": {"capabilities": ["CAP_SYS_PTRACE"], "binds": ["/:/host:ro"]},
    "make a disk's node": {"capabilities": ["CAP_MKNOD"], "devices": [BLOCK]},
    "mount the device nodes": {"capabilities": ADMIN, "devices": [BLOCK]},
    "any device": {"capabilities": ["CAP_MKNOD"], "devices": [{"allow": True, "access": "rwm"}]},
    "disks below /dev": {"binds": ["/dev:/dev"], "devices": [BLOCK]},
    "read-only /dev": {"binds": ["/dev:/dev:ro"], "devices": [BLOCK]},
    "one disk by name": {"devices": [DISK], "nodes": [DISK_NODE]},
    "remount and write /etc": {"capabilities": ADMIN, "binds": ["/etc:/hostetc"]},
    "remount and write /": {"capabilities": ADMIN, "binds": ["/:/hostroot"]},
    "remount and write a program": {"capabilities": ADMIN, "binds": ["/usr/bin/ctr:/usr/bin/ctr"]},
    "the list mounts": {
        "capabilities": ADMIN,
        "mounts": [{"destination": "/x", "type": "bind", "source": "/etc", "options": ["bind", "rw"]}],
    },
    "everything": {"capabilities": ALL},
}

TOLD = {
    "the socket itself": {"binds": ["/run/containerd/containerd.sock:/c.sock"]},
    "a directory above it": {"binds": ["/run:/run"]},
    "binfmt_misc below /proc": {"binds": ["/proc:/host/proc"]},
    "a user namespace whose root is the host's": {"binds": ["/run:/run"], **ROOT_MAPPED},
    "binfmt_misc": {"binds": ["/proc/sys/fs/binfmt_misc:/binfmt_misc"]},
}

DETOUR = {
    "CAP_SYS_ADMIN": {"capabilities": ADMIN},
    "CAP_SYS_ADMIN with the host's pids": {"capabilities": ADMIN, "pid": "host"},
    "CAP_SYS_ADMIN with a read-only bind": {"capabilities": ADMIN, "binds": ["/etc:/etc:ro"]},
    "out of its cgroup, with a node": {"capabilities": ["CAP_MKNOD"], "mounts": [CGROUPS]},
    "out of its cgroup through /sys": {"capabilities": ["CAP_MKNOD"], "binds": ["/sys:/sys"]},
    "physical memory": {"capabilities": ["CAP_SYS_RAWIO"], "binds": ["/dev:/dev"], "devices": [CHARACTER]},
    "/dev/mem by name": {
        "capabilities": ["CAP_SYS_RAWIO"],
        "devices": [{**CHARACTER, "major": 1, "minor": 1}],
        "nodes": [MEMORY_NODE],
    },
}

HARMLESS = {
    "nothing": {},
    "a low port": {"capabilities": ["CAP_NET_BIND_SERVICE"]},
    "another user without ambient": {"capabilities": ALL, "uid": 100},
    "a user namespace": {"capabilities": ALL, "user": "new", "pid": "host", "binds": ["/run:/run"]},
    "a user namespace whose root is another user": {
        "user": "new",
        "uid_mappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
        "binds": ["/run:/run"],
    },
    "a user namespace without a mapping of its user": {"uid": 7, **ROOT_MAPPED, "binds": ["/run:/run"]},
    "leave for a disk without a node": {"devices": [DISK]},
    "its cgroup may be left, without a node": {"mounts": [CGROUPS]},
    "nodes and read-only cgroups": {"capabilities": ["CAP_MKNOD"], "binds": ["/sys:/sys:ro"]},
    "trace in its own pids": {"capabilities": ["CAP_SYS_PTRACE"]},
    "the host's pids": {"pid": "host"},
    "the host's processes, read-only": {"binds": ["/proc:/host/proc:ro"]},
    "trace and read the version": {"capabilities": ["CAP_SYS_PTRACE"], "binds": ["/proc/version:/v:ro"]},
    "nodes without leave": {"capabilities": ["CAP_MKNOD"], "binds": ["/dev:/dev"]},
    "leave without nodes": {"devices": [BLOCK]},
    "leave for all disks, the node of another device": {"devices": [BLOCK, {**CHARACTER, "major": 5, "minor": 1}]},
    "reading disks": {"capabilities": ["CAP_MKNOD"], "devices": [{**BLOCK, "access": "r"}]},
    "loop devices": {"capabilities": ["CAP_MKNOD"], "devices": [{**BLOCK, "major": 7}]},
    "leave taken back": {"capabilities": ["CAP_MKNOD"], "devices": [BLOCK, {"allow": False, "type": "a"}]},
    "a tty": {"capabilities": ["CAP_MKNOD"], "devices": [CHARACTER]},
    "raw I/O without memory": {"capabilities": ["CAP_SYS_RAWIO", "CAP_MKNOD"], "devices": [{**CHARACTER, "major": 5}]},
    "the root filesystem is read-only": {"binds": ["/etc:/etc", "/usr:/usr"]},
    "the link /var/run leads nowhere": {"binds": ["/var:/var"]},
    "its own files": {"capabilities": ["CAP_CHOWN"], "binds": ["/var/lib/app:/data", "/etc/resolv.conf:/r"]},
    "only / without what is below": {
        "mounts": [{"destination": "/h", "type": "bind", "source": "/", "options": ["bind", "ro"]}]
    },
    "an unnamed source": {"mounts": [{"destination": "/h", "type": "bind", "source": "", "options": []}]},
}


@pytest.mark.parametrize("facts", DIRECT.values(), ids=DIRECT)
def test_a_combination_is_critical_in_the_regular_profile(facts):
    (finding,) = fires(host_root_equivalent, container(**facts))
    assert (finding.severity, finding.profile) == (Severity.CRITICAL, Profile.REGULAR)
    assert len(finding.evidence) == len(ways(container(**facts))) - 1


@pytest.mark.parametrize("facts", TOLD.values(), ids=TOLD)
def test_what_another_rule_tells_is_repeated_for_auditors_only(facts):
    (finding,) = fires(host_root_equivalent, container(**facts))
    assert (finding.severity, finding.profile) == (Severity.CRITICAL, Profile.AUDITOR)


@pytest.mark.parametrize("facts", DETOUR.values(), ids=DETOUR)
def test_a_detour_is_for_pedants(facts):
    (finding,) = fires(host_root_equivalent, container(**facts))
    assert (finding.severity, finding.profile) == (Severity.HIGH, Profile.PEDANTIC)


@pytest.mark.parametrize("facts", HARMLESS.values(), ids=HARMLESS)
def test_parts_are_not_the_combination(facts):
    assert outcomes(host_root_equivalent, container(**facts)) == {Outcome.PASS}


@pytest.mark.parametrize("section", ["onboot", "onshutdown"])
def test_a_narrow_job_done_once_is_for_pedants(section):
    facts = {"capabilities": ["CAP_MKNOD"], "devices": [BLOCK], "section": section}
    (finding,) = fires(host_root_equivalent, container(**facts))
    assert finding.profile is Profile.PEDANTIC


def test_all_capabilities_are_no_narrow_job():
    (finding,) = fires(host_root_equivalent, container(capabilities=ALL, section="onboot"))
    assert finding.profile is Profile.REGULAR


def test_no_socket_is_there_while_onboot_runs():
    assert not ways(container(binds=["/run:/run"], section="onboot"))


def test_a_socket_reached_twice_is_one_way_with_two_places():
    (way,) = ways(container(binds=["/run:/run", "/var/run:/var/run"]))
    assert way.keys == (("binds", "/run"), ("binds", "/var/run"))


WORDS = ("init", "remount", "disks", "binfmt_misc", "containerd")


def test_names_the_shortest_way_and_lists_the_others():
    facts = {"capabilities": ALL, "pid": "host", "binds": ["/:/hostroot", "/dev:/dev"], "devices": [BLOCK]}
    (finding,) = fires(host_root_equivalent, container(name="getty", **facts))
    assert finding.message.startswith("Container 'getty' can become root on the host; the shortest way: 'load a kernel")
    assert all(line.startswith("or: ") for line in finding.evidence)
    assert [word for word, line in zip(WORDS, finding.evidence, strict=True) if word not in line] == []


def test_points_at_the_lines_that_decide():
    origins = {
        "pid": Origin("spec", place(4)),
        "capabilities:CAP_SYS_PTRACE": Origin("label", place(3)),
    }
    subject = container(
        capabilities=["CAP_SYS_PTRACE"],
        pid="host",
        origins=origins,
        image=image("linuxkit/getty:1", "version-tag"),
        label="newest",
    )
    (finding,) = fires(host_root_equivalent, subject)
    assert [(one.place.span.line, one.note) for one in finding.locations] == [
        (4, "set here"),
        (3, "from the label of linuxkit/getty:1 (newest known state)"),
    ]
    assert finding.confidence is Confidence.MEDIUM
    assert finding.evidence[-1].startswith("The label of this very tag is not known")


SET = {
    key: Origin("spec", place(5))
    for key in ("capabilities", "ambient", "pid", "devices", "resources", "binds", "mounts")
}


@pytest.mark.parametrize("rule", [all_capabilities, host_root_equivalent])
def test_an_unknown_label_leaves_the_question_open(rule):
    (finding,) = rule(container(label="unknown", image=image("example.org/web:1", "version-tag")))
    assert finding.outcome is Outcome.UNDECIDED
    assert finding.message.startswith("The label of 'example.org/web:1' is not known. The spec leaves 'capab")


@pytest.mark.parametrize("rule", [all_capabilities, host_root_equivalent])
def test_an_unknown_label_matters_not_where_the_spec_sets_all(rule):
    assert outcomes(rule, container(label="unknown", origins=SET)) == {Outcome.PASS}


def test_adding_to_an_unknown_label_leaves_the_question_open():
    added = {**SET, "capabilities": Origin("spec", place(5, "services[0].capabilities.add"))}
    assert outcomes(all_capabilities, container(label="unknown", origins=added)) == {Outcome.UNDECIDED}


def test_points_at_the_device_that_is_allowed():
    origins = {"devices:1": Origin("spec", place(9))}
    (finding,) = fires(host_root_equivalent, container(devices=[CHARACTER, DISK], nodes=[DISK_NODE], origins=origins))
    assert finding.place.span.line == 9


@pytest.mark.parametrize("rule", [all_capabilities, host_root_equivalent])
@pytest.mark.parametrize(
    ("user", "sure"), [({}, Confidence.MEDIUM), ({"uid": Origin("spec", place(6))}, Confidence.HIGH)]
)
def test_an_unknown_label_does_not_hide_what_the_spec_sets(rule, user, sure):
    origins = {"capabilities": Origin("spec", place(5)), **user}
    (finding,) = fires(rule, container(label="unknown", capabilities=ALL, origins=origins))
    assert (finding.place.span.line, finding.confidence) == (5, sure)


@pytest.mark.parametrize(("held", "count"), [(ALL, "41"), (FIRST, "38")])
def test_all_capabilities_are_those_that_every_kernel_knows(held, count):
    (finding,) = fires(all_capabilities, container(capabilities=held))
    assert f"('{count}' of them)" in finding.message


def test_ambient_capabilities_count():
    assert fires(all_capabilities, container(ambient=ALL, uid=100))


@pytest.mark.parametrize("held", [[], FIRST[:-1], ["CAP_SYS_ADMIN"]])
def test_some_capabilities_are_not_all(held):
    assert outcomes(all_capabilities, container(capabilities=held)) == {Outcome.PASS}


def test_all_capabilities_give_way_to_the_combination():
    (finding,) = fires(all_capabilities, container(capabilities=ALL))
    assert (finding.severity, finding.profile) == (Severity.HIGH, Profile.AUDITOR)


@pytest.mark.parametrize("facts", [{"uid": 100}, {"uid": 100, "ambient": ["CAP_KILL"]}, {"user": "new"}])
def test_capabilities_without_effect_weigh_little(facts):
    (finding,) = fires(all_capabilities, container(capabilities=ALL, **facts))
    assert (finding.severity, finding.profile, finding.variant) == (Severity.LOW, Profile.PEDANTIC, "inert")


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("/var/run", "/run"),
        ("/var/run/docker.sock", "/run/docker.sock"),
        ("/var/runner", "/var/runner"),
        ("//etc/", "/etc"),
        ("/etc/../usr", "/usr"),
        ("data", "/data"),
        ("", ""),
    ],
)
def test_host_path(source, path):
    assert host_path(source) == path


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        ("/etc", "/etc"),
        ("/etc/resolv.conf", None),
        ("/etc/init.d/010-onboot", "/etc/init.d"),
        ("/usr/bin/runc", "/usr"),
        ("/usr/share/zoneinfo", None),
        ("/containers/volumes/data/merged", None),
        ("/containers/services/web/rootfs", "/containers/services"),
        ("/lib/modules", "/lib/modules"),
        ("/srv", None),
        ("", None),
    ],
)
def test_the_most_specific_entry_counts(source, entry):
    found = sensitive(source)
    assert (found.path if found else None) == entry


@given(
    source=st.text(max_size=20) | st.sampled_from(["/", "/etc", "/var/run", "/dev"]),
    options=st.lists(st.sampled_from(["ro", "rw", "bind", "rbind", "rro", ""]), max_size=3),
    held=st.sets(st.sampled_from(ALL)),
    devices=st.lists(
        st.dictionaries(
            st.sampled_from(["allow", "type", "major", "minor", "access"]),
            st.none() | st.booleans() | st.integers(-2, 300) | st.sampled_from(["a", "b", "rwm"]),
        ),
        max_size=3,
    ),
)
def test_whatever_a_container_holds_is_judged(source, options, held, devices):
    mount = {"destination": "/x", "type": "bind", "source": source, "options": options}
    clean = [{**one, "access": str(one.get("access") or ""), "type": str(one.get("type") or "")} for one in devices]
    subject = container(mounts=[mount], capabilities=sorted(held), devices=clean)
    found = ways(subject)
    assert [finding.outcome for finding in host_root_equivalent(subject)] == [Outcome.FAIL] * bool(found)
    assert ("CAP_SYS_MODULE" not in held) or found[0].kind == "direct"


def test_every_host_path_says_why():
    entries = tables.load("host_paths")["path"]
    assert len({entry["path"] for entry in entries}) == len(entries)
    assert all(entry["reason"] for entry in entries if "severity" in entry)
    assert not any("'" in entry.get("reason", "") for entry in entries), "a reason stands in single quotes"
    assert bind("/etc:/etc:ro")["options"] == ["ro", "rbind"]


# --- LKP006

ROWS = {row["capability"]: row for row in tables.load("capabilities")["dangerous"]}
SHARED = {"network": {"net": "host"}, "pid": {"pid": "host"}, "ipc": {"ipc": "host"}}
APART = {"network": {"net": "new"}, "pid": {"pid": "new"}, "ipc": {"ipc": "new"}}


def test_every_row_names_a_capability_once_and_says_what_it_gains():
    rows = tables.load("capabilities")["dangerous"]
    assert len(ROWS) == len(rows)
    assert set(ROWS) <= set(CAPABILITIES)
    for row in rows:
        assert Severity[row["severity"].upper()] <= Severity.HIGH
        assert row.get("needs", "pid") in SHARED
        assert "'" not in row["gain"]
        assert not row["gain"].endswith(".")


@pytest.mark.parametrize("name", sorted(ROWS))
def test_each_capability_of_the_table_is_told_of_as_the_table_says(name):
    row = ROWS[name]
    facts = {"uid": 100, "ambient": [name], **SHARED.get(row.get("needs"), {})}
    (finding,) = fires(
        dangerous_capability, container(origins={f"capabilities:{name}": Origin("spec", place(7))}, **facts)
    )
    assert f"holds '{name}'" in finding.message
    assert (finding.severity.name.lower(), str(finding.profile)) == (row["severity"], row.get("profile", "regular"))
    assert finding.place.span.line == 7


@pytest.mark.parametrize("name", sorted(name for name, row in ROWS.items() if "needs" in row))
def test_a_capability_counts_for_nothing_in_a_namespace_that_confines_it(name):
    facts = {"uid": 100, "ambient": [name], **APART[ROWS[name]["needs"]]}
    assert outcomes(dangerous_capability, container(**facts)) == {Outcome.PASS}


@pytest.mark.parametrize(
    "facts",
    [
        {"capabilities": ["CAP_NET_RAW"], "uid": 100},
        {"capabilities": ["CAP_NET_RAW"], "user": "new"},
        {"capabilities": ["CAP_NET_RAW", "CAP_SYS_MODULE"]},
        {"capabilities": ["CAP_NET_RAW", "CAP_SYS_ADMIN"]},
        {"capabilities": ["CAP_NET_RAW"], "binds": ["/run:/run"]},
        {"capabilities": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE", "CAP_SETUID"]},
    ],
    ids=["lost at execve", "in a user namespace", "root anyway", "a detour is told", "a socket is told", "harmless"],
)
def test_is_silent_on_capabilities_that_add_nothing(facts):
    assert outcomes(dangerous_capability, container(**facts)) == {Outcome.PASS}


@pytest.mark.parametrize("section", ["onboot", "onshutdown"])
def test_a_capability_for_a_narrow_job_is_for_pedants(section):
    (finding,) = fires(dangerous_capability, container(capabilities=["CAP_NET_RAW"], section=section))
    assert finding.profile is Profile.PEDANTIC


def test_two_capabilities_are_two_findings_with_their_own_identity():
    found = fires(dangerous_capability, container(capabilities=["CAP_NET_RAW", "CAP_NET_ADMIN"]))
    assert len({finding.fingerprint for finding in found}) == 2


@pytest.mark.parametrize(
    ("set_keys", "outcome"),
    [
        ((), Outcome.UNDECIDED),
        (("capabilities", "ambient"), Outcome.UNDECIDED),
        (("capabilities", "ambient", "net"), Outcome.FAIL),
    ],
)
def test_an_unknown_label_may_keep_a_capability_inside_a_namespace(set_keys, outcome):
    origins = {key: Origin("spec", place(5)) for key in set_keys}
    subject = container(label="unknown", capabilities=["CAP_NET_RAW"], origins=origins)
    assert outcomes(dangerous_capability, subject) == {outcome}


def test_nothing_dangerous_in_a_spec_with_an_unknown_label_stays_open():
    assert outcomes(dangerous_capability, container(label="unknown")) == {Outcome.UNDECIDED}


# --- LKP007


@pytest.mark.parametrize(
    ("facts", "lost"),
    [
        ({"capabilities": ["CAP_KILL"]}, "CAP_KILL"),
        ({"capabilities": ["CAP_KILL", "CAP_CHOWN"], "ambient": ["CAP_KILL"]}, "CAP_CHOWN"),
        ({"capabilities": ["CAP_KILL", "CAP_CHOWN"]}, "CAP_CHOWN, CAP_KILL"),
    ],
)
def test_names_what_a_user_loses_at_execve(facts, lost):
    (finding,) = fires(inert_capabilities, container(uid=100, **facts))
    assert finding.message == f"Container 'app' runs as user '100', whom execve leaves without '{lost}'."
    assert finding.members == tuple(lost.split(", "))
    assert finding.profile is Profile.PEDANTIC


@pytest.mark.parametrize("facts", [{"ambient": ["CAP_KILL"]}, {"capabilities": ALL}, {}])
def test_is_silent_on_ambient_capabilities_all_of_them_and_none(facts):
    assert outcomes(inert_capabilities, container(uid=100, **facts)) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("keys", "outcome"), [((), Outcome.UNDECIDED), (("uid", "capabilities", "ambient"), Outcome.NOT_APPLICABLE)]
)
def test_an_unknown_label_may_set_the_user_or_the_capabilities(keys, outcome):
    origins = {key: Origin("spec", place(5)) for key in keys}
    assert outcomes(inert_capabilities, container(label="unknown", origins=origins)) == {outcome}


# --- LKP014, LKP015


def system(*containers, kind="spec"):
    return System(SPEC, kind, is_linuxkit=True, format="YAML", containers=containers)


def test_unknown_labels_are_told_of_once_with_their_images():
    web, other = (container(label="unknown", image=image(f"example.org/{name}:1", "version-tag")) for name in "ab")
    (finding,) = fires(unknown_privileges, system(web, container(), other, web))
    assert finding.message.startswith("What '3' of '4' containers may do is not known")
    assert finding.evidence == ("Images: example.org/a:1, example.org/b:1.",)
    assert finding.members == ("services/app",) * 3
    assert (finding.severity, finding.profile) == (Severity.NOTE, Profile.AUDITOR)


def test_a_container_whose_capabilities_the_spec_sets_is_known_well_enough():
    subject = container(label="unknown", origins={"capabilities": Origin("spec", place(5))})
    assert outcomes(unknown_privileges, system(subject)) == {Outcome.PASS}


def test_what_linuxkit_cannot_express_is_one_note_for_all():
    (finding,) = fires(platform_without_seccomp, system(container(), container(name="b")))
    assert finding.message.startswith("None of the '2' containers has a seccomp filter")
    assert (finding.severity, finding.profile) == (Severity.NOTE, Profile.AUDITOR)


@pytest.mark.parametrize(
    "extra",
    [
        {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}},
        {"linux": {"namespaces": [{"type": "cgroup"}]}},
        {"process": {"apparmorProfile": "web"}},
        {"process": {"selinuxLabel": "system_u:system_r:container_t:s0"}},
    ],
)
def test_an_image_to_which_somebody_added_more_is_not_told_of(extra):
    made = container(label="built")
    oci = {**made.oci, **{part: {**made.oci[part], **facts} for part, facts in extra.items()}}
    assert outcomes(platform_without_seccomp, system(made._replace(oci=oci))) == {Outcome.PASS}


@pytest.mark.parametrize("number", [0, 3, 6, 8, 10, 12, 42, 44, 65, 179, 253, 259, None])
def test_block_devices_are_disks_of_the_host(number):
    device = {**BLOCK, **({} if number is None else {"major": number})}
    found = ways(container(capabilities=["CAP_MKNOD"], devices=[device]))
    assert [(one.kind, one.text.partition(",")[0]) for one in found] == [("direct", "rewrite the disks of the host")]


@pytest.mark.parametrize("number", [1, 2, 7, 11, 43])
def test_memory_floppies_loops_and_the_like_hold_nothing_of_the_host(number):
    assert not list(ways(container(capabilities=["CAP_MKNOD"], devices=[{**BLOCK, "major": number}])))
    assert not list(ways(container(capabilities=["CAP_MKNOD"], devices=[{**CHARACTER, "major": 8}])))


@pytest.mark.parametrize(
    ("major", "minor", "count"), [(1, 1, 1), (None, None, 1), (1, None, 1), (1, 2, 0), (0, 1, 0), (2, 1, 0), (1, 0, 0)]
)
def test_memory_is_reached_through_its_own_device_only(major, minor, count):
    numbers = {name: one for name, one in (("major", major), ("minor", minor)) if one is not None}
    held = ["CAP_SYS_RAWIO", "CAP_MKNOD"]
    found = list(ways(container(capabilities=held, devices=[{**CHARACTER, **numbers}])))
    assert [one.text.startswith("write to physical memory") for one in found] == [True] * count


@pytest.mark.parametrize(
    ("rules", "count"),
    [
        ([DISK], 1),
        ([{**DISK, "access": "r"}], 0),
        ([{**DISK, "access": "w"}], 1),
        ([{**DISK, "access": ""}], 1),
        ([DISK, {"allow": False}], 0),
        ([DISK, {"allow": False, "type": "b"}], 0),
        ([DISK, {"allow": False, "type": "c"}], 1),
        ([{"allow": False}, DISK], 1),
    ],
)
def test_a_later_rule_takes_back_what_an_earlier_one_allows(rules, count):
    assert len(list(ways(container(capabilities=["CAP_MKNOD"], devices=rules)))) == count


@pytest.mark.parametrize(
    ("uid", "row", "is_root"),
    [
        (0, {"containerID": 0, "hostID": 0, "size": 1}, True),
        (0, {"containerID": 0, "hostID": 1, "size": 9}, False),
        (5, {"containerID": 5, "hostID": 0, "size": 1}, True),
        (5, {"containerID": 4, "hostID": 0, "size": 2}, False),
        (6, {"containerID": 5, "hostID": 0, "size": 1}, False),
        (4, {"containerID": 5, "hostID": 0, "size": 2}, False),
        (0, {"size": 1}, True),
        (0, {}, False),
    ],
)
def test_root_in_a_user_namespace_is_the_hosts_as_far_as_it_is_mapped(uid, row, is_root):
    assert is_host_root(container(user="new", uid=uid, uid_mappings=[row])) is is_root
