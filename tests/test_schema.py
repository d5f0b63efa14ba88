"""LinuxKit's schema and its Go types: what is refused, where, and what is left of what was accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner.schema import FAULT_LIMIT, decode, suggest, validate
from lkscan.scanner.yamlpos import node_of, parse


def faults(text, kind="spec"):
    return [(fault.pointer, fault.message, fault.hint) for fault in validate(parse(text.encode()).root, kind)]


def decoded(text, kind="spec", **options):
    return decode(parse(text.encode()).root, kind, **options)


@pytest.mark.parametrize(
    "text",
    [
        "kernel: {image: a, cmdline: b, binary: c, tar: d, ucode: e}",
        "trust: {org: [a], image: [b]}",
        "onboot: [{name: a, image: b, uid: 1, gid: root, additionalGids: [1, a]}]",
        "onboot: [{name: 2001-01-01, image: b, oomScoreAdj: 1.0}]",
        "volumes: [{name: a, format: oci, platforms: [linux/amd64]}]",
        "services: [{name: a, image: b, sysctl: {k: v}, resources: {pids: {limit: 1}}, runtime: {bindNS: {net: x}}}]",
    ],
)
def test_what_the_schema_accepts(text):
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "pointer", "message", "hint"),
    [
        ("servces: []", "servces", "unknown key 'servces' in a spec", "did you mean 'services'?"),
        ("outputs: []", "outputs", "unknown key 'outputs' in a spec", "give the output formats to 'linuxkit build"),
        ("cmdline: x", "cmdline", "unknown key 'cmdline' in a spec", "'cmdline' belongs below 'kernel'"),
        ("zzz: x", "zzz", "unknown key 'zzz' in a spec", ""),
        ("onboot: [{image: a}]", "onboot[0]", "a container must have 'name'", ""),
        (
            "services: [{name: a, image: b, noNewPrivilege: true}]",
            "services[0].noNewPrivilege",
            "unknown key 'noNewPrivilege' in a container",
            "did you mean 'noNewPrivileges'?",
        ),
        ("onboot: [{name: a, image: b, network_mode: host}]", "onboot[0].network_mode", "unknown key", "became 'net'"),
        (
            "files: [{path: a, mode: 0644}]",
            "files[0].mode",
            "'mode' must be text, not a number (0644)",
            'quote it: "0644"',
        ),
        ("files: [{directory: yes}]", "files[0].directory", "must be true or false, not text (yes)", "true or false"),
        ("files:", "files", "'files' must be a list, not empty", ""),
        ("kernel: linux", "kernel", "'kernel' must be a map, not text", ""),
        ("[a]", "", "the document must be a map, not a list", ""),
        ("init: [5]", "init[0]", "'init[0]' must be text, not a number (5)", "quote it"),
        ("5: a", "5", "the key 5 is a number, not text", "quote it"),
        ("volumes: [{format: ext4}]", "volumes[0].format", "must be 'oci' or 'filesystem'", ""),
        ("onboot: [{name: a, image: b, uid: 1.5}]", "onboot[0].uid", "must be a name or a number", "quote it"),
        (
            "onboot: [{name: a, image: b, oomScoreAdj: x}]",
            "onboot[0].oomScoreAdj",
            "must be a whole number, not text",
            "",
        ),
        ("onboot: [{name: a, image: b, oomScoreAdj: .nan}]", "onboot[0].oomScoreAdj", "must be a whole number", ""),
        ("onboot: [{name: a, image: b, sysctl: {k: 1}}]", "onboot[0].sysctl.k", "must be text", "quote it"),
        (
            "onboot: [{name: a, image: b, runtime: {foo: 1}}]",
            "onboot[0].runtime.foo",
            "unknown key 'foo' in 'runtime'",
            "",
        ),
    ],
)
def test_what_the_schema_refuses(text, pointer, message, hint):
    (found,) = faults(text)
    assert found[0] == pointer
    assert message in found[1]
    assert hint in found[2]


def test_what_the_go_types_refuse_though_the_schema_does_not():
    text = "onboot: [{name: a, image: b, resources: {cpu: {shares: -1}}, oomScoreAdj: 18446744073709551615}]"
    assert faults(text) == []
    value, found = decoded(text)
    assert [fault.pointer for fault in found] == ["onboot[0].resources.cpu.shares", "onboot[0].oomScoreAdj"]
    assert "oomScoreAdj" not in value["onboot"][0]


def test_keys_that_the_schema_spells_otherwise_are_lost():
    text = (
        "onboot: [{name: a, image: b, uidMappings: [{hostID: 5, containerID: 6, size: 7}],"
        " resources: {memory: {kernelTCP: 1, limit: 2}, network: {classID: 3}}}]"
    )
    assert faults(text) == []
    value, _ = decoded(text)
    assert value["onboot"][0]["uidMappings"] == [{"hostID": 0, "containerID": 0, "size": 7}]
    assert value["onboot"][0]["resources"] == {"memory": {"limit": 2}, "network": {}}


def test_whole_floats_and_dates_decode_as_in_go():
    value, found = decoded("onboot: [{name: 2001-01-01, image: b, oomScoreAdj: 1.0, uid: 1.0}]")
    assert not found
    assert value["onboot"][0]["name"] == "2001-01-01"
    assert value["onboot"][0]["oomScoreAdj"] == 1
    assert value["onboot"][0]["uid"] != value["onboot"][0]["uid"]


def test_a_package_takes_loose_types_and_refuses_unknown_keys():
    text = (
        "image: 5\nnetwork: yes\nunknownField: 1\nconfig:\n  binds: [/a:/b, ~]\n  devices: [{path: all, mode: 0666}]\n"
        "  readonly: off\n  sysctl: {k: ~, l: 1}\n  resources: {blockio: {weightdevice: ["
        "{linuxblockiodevice: {major: 8}, weight: 1}]}}\n"
    )
    value, found = decoded(text, "package", known=True)
    assert [(fault.pointer, fault.hint) for fault in found] == [("unknownField", "")]
    assert value["image"] == "5"
    assert value["network"] is True
    assert value["config"]["readonly"] is False
    assert value["config"]["binds"] == ["/a:/b"]
    assert value["config"]["devices"] == [{"path": "all", "type": "", "major": 0, "minor": 0, "mode": "0666"}]
    assert value["config"]["sysctl"] == {"k": "", "l": "1"}
    weights = value["config"]["resources"]["blockIO"]["weightDevice"]
    assert weights == [{"major": 8, "minor": 0, "weight": 1}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image: [a]", "'image' must be text, not a list"),
        ("image: a\nnetwork: maybe", "'network' must be true or false"),
        ("image: a\nnetwork: 1", "'network' must be true or false"),
        ("image: a\narches: amd64", "'arches' must be a list, not text"),
        ("image: a\nconfig: {annotations: [a]}", "'annotations' must be a map, not a list"),
        ("image: a\nconfig: [a]", "'config' must be a map, not a list"),
        ("image: a\nconfig: {devices: [{major: x}]}", "'major' must be a whole number"),
    ],
)
def test_a_package_of_the_wrong_types_is_refused(text, message):
    _, found = decoded(text, "package", known=True)
    assert message in found[0].message


def test_entries_keep_their_numbers_when_one_is_refused():
    value, _ = decoded("onboot: [5, {name: a, image: b}]")
    assert value["onboot"][0] is None
    assert value["onboot"][1]["name"] == "a"


def test_nothing_is_an_empty_map():
    assert decoded("~") == ({}, [])


def test_faults_are_bounded():
    text = "image: a\n" + "".join(f"k{i}: 1\n" for i in range(2 * FAULT_LIMIT))
    assert len(decoded(text, "package", known=True)[1]) == FAULT_LIMIT
    text = "image: a\narches: [" + "[a]," * 2 * FAULT_LIMIT + "]"
    assert len(decoded(text, "package", known=True)[1]) == FAULT_LIMIT


def test_suggestions_are_for_names_of_sane_length():
    assert suggest("capabilitys", ["capabilities"]) == "did you mean 'capabilities'?"
    assert suggest("capabilities" * 100, ["capabilities"]) == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["onboot", "name", "image", "uid", "files", "kernel", "binds", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_value_is_judged_and_decoded(value):
    node = node_of(value)
    assert all(fault.message for fault in validate(node, "spec"))
    assert decode(node, "spec")[0] is not None
    assert decode(node, "package", known=True)[0] is not None
