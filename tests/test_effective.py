"""Defaults, overridden by the label, overridden by the spec: exactly what LinuxKit writes into config.json."""

import pytest

from lkscan.scanner.effective import CAPABILITIES, RefusedError, Source, check_volumes, effective, numeric_id, octal

DEVICE = {"path": "/dev/x", "type": "c", "major": 1, "minor": 3}


def build(spec=None, label=None, image=None, ids=None):
    return effective(spec or {}, label or {}, image or {}, ids or {})


def mounts(result):
    return {mount["destination"]: mount for mount in result.oci["mounts"]}


def test_the_defaults():
    oci, runtime, sources = build()
    assert [mount["destination"] for mount in oci["mounts"]] == ["/dev", "/dev/pts", "/proc", "/sys", "/sys/fs/cgroup"]
    assert oci["linux"] == {"namespaces": [{"type": "pid"}, {"type": "mount"}], "resources": {}}
    assert oci["process"] == {"user": {"uid": 0, "gid": 0}, "cwd": "/"}
    assert oci["root"] == {"path": "rootfs"}
    assert runtime["bindNS"]["net"] == ""
    assert runtime["mkdir"] == []
    assert sources == {}


@pytest.mark.parametrize(
    ("spec", "label", "held"),
    [
        ({}, {"capabilities": ["CAP_KILL"]}, ["CAP_KILL"]),
        ({"capabilities": ["CAP_CHOWN"]}, {"capabilities": ["CAP_KILL"]}, ["CAP_CHOWN"]),
        ({"capabilities": []}, {"capabilities": ["CAP_KILL"]}, []),
        ({"capabilities.add": ["CAP_CHOWN"]}, {"capabilities": ["CAP_KILL"]}, ["CAP_CHOWN", "CAP_KILL"]),
        ({"capabilities.add": ["CAP_CHOWN"], "capabilities": ["CAP_KILL"]}, {}, ["CAP_KILL"]),
        ({"capabilities": ["CAP_CHOWN"], "ambient": ["CAP_KILL"]}, {}, ["CAP_CHOWN", "CAP_KILL"]),
        ({"capabilities": ["All"]}, {}, sorted(CAPABILITIES)),
        ({"capabilities": ["NONE"]}, {"capabilities": ["all"]}, []),
        ({}, {"capabilities.add": ["CAP_CHOWN"]}, []),
    ],
)
def test_capabilities_replace_or_add(spec, label, held):
    assert build(spec, label).oci["process"].get("capabilities", {}).get("bounding", []) == held


def test_the_sets_differ_by_the_ambient_ones():
    found = build({"capabilities": ["CAP_CHOWN"], "ambient": ["CAP_KILL"]}).oci["process"]["capabilities"]
    assert found["effective"] == ["CAP_CHOWN"]
    assert found["ambient"] == ["CAP_KILL"]
    assert found["inheritable"] == found["permitted"] == ["CAP_CHOWN", "CAP_KILL"]


def test_each_capability_knows_its_source():
    spec = {"capabilities.add": ["CAP_CHOWN"], "ambient": ["CAP_BPF"]}
    sources = build(spec, {"capabilities": ["CAP_KILL"]}).sources
    assert sources["capabilities:CAP_KILL"] == Source("label", "capabilities", 0)
    assert sources["capabilities:CAP_CHOWN"] == Source("spec", "capabilities.add", 0)
    assert sources["capabilities:CAP_BPF"] == sources["ambient:CAP_BPF"] == Source("spec", "ambient", 0)
    assert sources["capabilities"] == Source("spec", "capabilities.add")


@pytest.mark.parametrize(
    ("bind", "source", "options"),
    [
        ("/a:/b", "/a", ["rw", "rbind", "rshared"]),
        ("/a:/b:ro", "/a", ["ro", "rbind"]),
        ("/a:/b:ro,nosuid", "/a", ["ro", "nosuid", "rbind"]),
        ("vol:/b", "vol", ["rw", "rbind", "rshared"]),
    ],
)
def test_binds(bind, source, options):
    result = build({"binds": [bind]})
    assert mounts(result)["/b"] == {"destination": "/b", "type": "bind", "source": source, "options": options}
    assert result.sources["binds:/b"] == result.sources["mounts:/b"] == Source("spec", "binds", 0)


def test_binds_add_to_the_labels():
    result = build({"binds.add": ["/c:/d"]}, {"binds": ["/a:/b"]})
    assert {"/b", "/d"} <= set(mounts(result))
    assert result.sources["binds:/b"].layer == "label"


def test_the_last_mount_on_a_path_wins():
    spec = {"tmpfs": ["/x:size=1m,ro", "/y"], "binds": ["/a:/x"], "mounts": [{"destination": "/x", "type": "proc"}]}
    found = mounts(build(spec))
    assert found["/x"] == {"destination": "/x", "type": "proc", "source": "proc"}
    assert found["/y"] == {"destination": "/y", "type": "tmpfs", "source": "tmpfs"}


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ({"source": "sysfs"}, ("/sys", "sysfs", "sysfs")),
        ({"destination": "/dev", "options": ["ro"]}, ("/dev", "tmpfs", "tmpfs")),
        ({"type": "mqueue"}, ("/dev/mqueue", "mqueue", "mqueue")),
        ({"type": "bind", "source": "/a", "destination": "/b"}, ("/b", "bind", "/a")),
    ],
)
def test_gaps_of_a_mount_are_filled(mount, expected):
    found = mounts(build({"mounts": [mount]}))[expected[0]]
    assert (found["destination"], found["type"], found["source"]) == expected


def test_read_only_reaches_dev_and_sys():
    found = build({"readonly": True})
    assert found.oci["root"]["readonly"] is True
    assert "ro" in mounts(found)["/dev"]["options"]
    assert "ro" in mounts(found)["/sys"]["options"]
    assert "readonly" not in build({"readonly": False}, {"readonly": True}).oci["root"]


@pytest.mark.parametrize(
    ("spec", "label", "expected"),
    [
        ({"net": "new"}, {}, [{"type": "network"}, {"type": "pid"}]),
        ({"net": "none"}, {}, [{"type": "network"}, {"type": "pid"}]),
        ({"net": "/run/netns/x"}, {}, [{"type": "network", "path": "/run/netns/x"}, {"type": "pid"}]),
        ({"net": "host"}, {"net": "new"}, [{"type": "pid"}]),
        ({"net": ""}, {"net": "new"}, [{"type": "network"}, {"type": "pid"}]),
        ({"pid": "host"}, {}, []),
        ({"pid": "root"}, {}, []),
        ({"ipc": "none"}, {}, [{"type": "ipc", "path": "none"}, {"type": "pid"}]),
        ({"uts": "new", "userns": "new"}, {}, [{"type": "uts"}, {"type": "pid"}, {"type": "user"}]),
    ],
)
def test_namespaces(spec, label, expected):
    assert build(spec, label).oci["linux"]["namespaces"] == [*expected, {"type": "mount"}]


def test_the_process_comes_from_the_image_unless_told_otherwise():
    image = {"Entrypoint": ["/a"], "Cmd": ["b", 5], "Env": ["X=1"], "WorkingDir": "/w"}
    result = build({}, {}, image)
    assert result.oci["process"]["args"] == ["/a", "b"]
    assert (result.oci["process"]["env"], result.oci["process"]["cwd"]) == (["X=1"], "/w")
    assert {result.sources[key].layer for key in ("command", "env", "cwd", "env:0")} == {"image"}
    result = build({"command": [], "env": ["Y=2"], "cwd": "/v"}, {"command": ["c"]}, image)
    assert "args" not in result.oci["process"]
    assert (result.oci["process"]["env"], result.oci["process"]["cwd"]) == (["Y=2"], "/v")
    assert build({}, {"command": ["c"]}, {"Cmd": "no list", "WorkingDir": 5}).oci["process"]["args"] == ["c"]


def test_devices_are_made_and_allowed():
    spec = {"devices": [{**DEVICE, "mode": "0660"}, {"path": "all", "type": "b", "major": 0, "minor": 0}]}
    label = {"resources": {"devices": [{"allow": True, "type": "a"}], "pids": {"limit": 0}}}
    result = build(spec, label)
    linux = result.oci["linux"]
    assert linux["devices"] == [{**DEVICE, "fileMode": 0o660}]
    assert linux["resources"]["pids"] == {"limit": 0}
    assert linux["resources"]["devices"] == [
        {"allow": True, "type": "a"},
        {"allow": True, "type": "c", "access": "rwm", "major": 1, "minor": 3},
        {"allow": True, "type": "b", "access": "rwm"},
    ]
    assert result.sources["devices:0"] == Source("label", "resources")
    assert result.sources["devices:2"] == Source("spec", "devices", 1)


def test_limits_and_scores():
    found = build({"rlimits": ["nofile, 1, unlimited", "RLIMIT_CPU,0,5"], "oomScoreAdj": 0}).oci["process"]
    assert found["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 1, "hard": (1 << 64) - 1},
        {"type": "RLIMIT_CPU", "soft": 0, "hard": 5},
    ]
    assert found["oomScoreAdj"] == 0


def test_names_stand_for_ids():
    spec = {"uid": "web", "gid": "root", "additionalGids": ["web", 5, None]}
    found = build(spec, ids={"web": 101}).oci["process"]["user"]
    assert found == {"uid": 101, "gid": 0, "additionalGids": [101, 5, 0]}


@pytest.mark.parametrize(("value", "number"), [(None, 0), ("", 0), ("root", 0), (7, 7), (-1, 0xFFFFFFFF), (1 << 32, 0)])
def test_ids_wrap_as_in_go(value, number):
    assert numeric_id(value, {}) == number


@pytest.mark.parametrize("value", [-(1 << 63), (1 << 63) - 1])
def test_ids_are_whole_numbers_of_64_bits(value):
    assert numeric_id(value, {}) == value & 0xFFFFFFFF
    for beyond in (-(1 << 63) - 1, 1 << 63, 1 << 64):
        with pytest.raises(ValueError, match="neither a name nor a whole number"):
            numeric_id(beyond, {})


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("0644", 0o644),
        ("777", 0o777),
        ("-1", -1),
        ("+7", 7),
        ("17777777777", (1 << 31) - 1),
        ("+17777777777", (1 << 31) - 1),
        ("-20000000000", -(1 << 31)),
        ("0" * 63 + "7", 7),
        ("-" + "0" * 63 + "7", -7),
    ],
)
def test_octal(text, mode):
    assert octal(text) == mode


@pytest.mark.parametrize(
    "text", ["", "8", "0o7", "0x1", "7_7", "-", "9" * 100, "7" * 12, " 7", "20000000000", "-20000000001", "+-1"]
)
def test_no_octal(text):
    with pytest.raises(ValueError, match="no octal"):
        octal(text)


LAYERS = {
    "hostname": ("a", "b"),
    "readonly": (True, False),
    "annotations": ({"a": "1"}, {"b": "2"}),
    "cwd": ("/a", "/b"),
    "command": (["a"], ["b"]),
    "env": (["A=1", "B=2"], ["C=3"]),
    "uid": (1, 2),
    "gid": (3, 4),
    "net": ("new", "host"),
    "sysctl": ({"a": "1"}, {"b": "2"}),
    "noNewPrivileges": (True, False),
    "oomScoreAdj": (-5, 5),
    "maskedPaths": (["/a"], ["/b"]),
    "resources": ({"pids": {"limit": 5}, "devices": [{"allow": False, "access": "rwm"}]}, {"pids": {"limit": 6}}),
}
PATHS = {
    **{key: ("linux", key) for key in ("sysctl", "maskedPaths", "resources")},
    **{key: ("process", key) for key in ("cwd", "env", "noNewPrivileges", "oomScoreAdj")},
    **{key: ("process", "user", key) for key in ("uid", "gid")},
    **{key: (key,) for key in ("hostname", "annotations")},
    "readonly": ("root", "readonly"),
    "command": ("process", "args"),
    "net": ("linux", "namespaces"),
}


@pytest.mark.parametrize("key", LAYERS)
def test_the_spec_goes_before_the_label_and_that_before_the_image(key):
    first, second = LAYERS[key]
    image = {"Cmd": ["c"], "Env": ["D=4"], "WorkingDir": "/c"}

    def value(spec, label):
        result = build(spec, label, image)
        found = result.oci
        for step in PATHS[key]:
            found = found.get(step, {})
        return found, result.sources.get(key), {one: by for one, by in result.sources.items() if one.startswith(key)}

    of_spec, of_label = value({key: first}, {}), value({}, {key: first})
    assert (of_spec[1], of_label[1]) == (Source("spec", key), Source("label", key))
    assert of_spec[0] == of_label[0] != value({}, {})[0]
    assert value({key: first}, {key: second}) == of_spec
    assert value({key: second}, {key: first})[0] != of_spec[0]
    items = {f"env:{i}": Source("spec", "env", i) for i in range(2)} if key == "env" else {}
    assert of_spec[2] == {key: Source("spec", key), **items}


def test_whole_of_a_container_that_says_all():
    spec = {
        "tmpfs": ["/run:mode=755", "/tmp"],
        "binds.add": ["/c:/d:ro"],
        "mounts": [{"type": "bind", "source": "/e", "destination": "/f", "options": ["ro"]}],
        "devices": [{"path": "/dev/x", "type": "c", "major": 0, "minor": 0, "mode": "-1"}],
        "resources": {"devices": [{"allow": False}]},
        "additionalGids": [None],
        "capabilities.add": ["CAP_KILL"],
        "capabilities": ["CAP_BPF"],
        "ambient": ["CAP_BPF"],
        "rlimits": [" cpu , 007 , UNLIMITED", "nofile,18446744073709551615,0018446744073709551615"],
        "runtime": {"interfaces": [{"name": "a"}]},
    }
    label = {"binds": ["/a:/b"], "runtime": {"bindNS": None, "mounts": [{"source": "b"}]}}
    oci, runtime, sources = build(spec, label)
    most = (1 << 64) - 1
    usual = ["nosuid", "noexec", "nodev"]
    assert oci == {
        "ociVersion": "1.2.1",
        "process": {
            "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
            "cwd": "/",
            "capabilities": {
                name: ["CAP_BPF"] for name in ("bounding", "effective", "inheritable", "permitted", "ambient")
            },
            "rlimits": [
                {"type": "RLIMIT_CPU", "soft": 7, "hard": most},
                {"type": "RLIMIT_NOFILE", "soft": most, "hard": most},
            ],
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/b", "type": "bind", "source": "/a", "options": ["rw", "rbind", "rshared"]},
            {"destination": "/d", "type": "bind", "source": "/c", "options": ["ro", "rbind"]},
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
            },
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            },
            {"destination": "/f", "type": "bind", "source": "/e", "options": ["ro"]},
            {
                "destination": "/proc",
                "type": "proc",
                "source": "proc",
                "options": ["nosuid", "nodev", "noexec", "relatime"],
            },
            {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": usual},
            {
                "destination": "/sys/fs/cgroup",
                "type": "cgroup",
                "source": "cgroup",
                "options": [*usual, "relatime", "ro"],
            },
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}],
            "devices": [{"path": "/dev/x", "type": "c", "major": 0, "minor": 0, "fileMode": 0xFFFFFFFF}],
            "resources": {
                "devices": [
                    {"allow": False},
                    {"allow": True, "type": "c", "access": "rwm", "major": 0, "minor": 0},
                ]
            },
        },
    }
    assert runtime == {
        "cgroups": [],
        "mounts": [{"source": "b"}],
        "mkdir": [],
        "interfaces": [{"name": "a"}],
        "bindNS": dict.fromkeys(("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"), ""),
        "namespace": "",
    }
    lists = ("tmpfs", "mounts", "devices", "resources", "additionalGids", "capabilities", "ambient", "rlimits")
    assert sources == {
        **{key: Source("spec", key) for key in (*lists, "runtime", "capabilities.add")},
        "binds": Source("spec", "binds.add"),
        "tmpfs:/run": Source("spec", "tmpfs", 0),
        "mounts:/run": Source("spec", "tmpfs", 0),
        "tmpfs:/tmp": Source("spec", "tmpfs", 1),
        "mounts:/tmp": Source("spec", "tmpfs", 1),
        "binds:/b": Source("label", "binds", 0),
        "mounts:/b": Source("label", "binds", 0),
        "binds:/d": Source("spec", "binds.add", 0),
        "mounts:/d": Source("spec", "binds.add", 0),
        "mounts:/f": Source("spec", "mounts", 0),
        "capabilities:CAP_BPF": Source("spec", "capabilities", 0),
        "ambient:CAP_BPF": Source("spec", "ambient", 0),
        "devices:0": Source("spec", "resources"),
        "devices:1": Source("spec", "devices", 0),
    }


@pytest.mark.parametrize(
    ("name", "cure"),
    [("sys_admin", "CAP_SYS_ADMIN"), (" Cap-Kill ", "CAP_KILL"), ("SYS_ADMN", ""), ("", ""), ("cap_cap_bpf", "")],
)
def test_a_capability_is_cured_where_only_its_spelling_is_amiss(name, cure):
    with pytest.raises(RefusedError) as caught:
        build({"capabilities": [name, "CAP_BPF"]})
    assert caught.value.cure == cure


def test_runtime_is_chosen_key_by_key():
    spec = {"runtime": {"mkdir": ["/a"], "bindNS": {"net": "/x"}}}
    label = {"runtime": {"mkdir": ["/b"], "cgroups": ["c"], "namespace": "n", "bindNS": {"net": "/y", "pid": "/z"}}}
    result = build(spec, label)
    assert result.runtime["mkdir"] == ["/a"]
    assert result.runtime["cgroups"] == ["c"]
    assert result.runtime["namespace"] == "n"
    assert (result.runtime["bindNS"]["net"], result.runtime["bindNS"]["pid"]) == ("/x", "/z")
    assert result.sources["runtime"].layer == "spec"
    assert build({}, label).sources["runtime"].layer == "label"


def test_plain_values_go_where_they_belong():
    spec = {
        "hostname": "h",
        "annotations": {"a": "b"},
        "sysctl": {"k": "v"},
        "cgroupsPath": "/c",
        "rootfsPropagation": "shared",
        "maskedPaths": ["/m"],
        "readonlyPaths": ["/r"],
        "uidMappings": [{"hostID": 1, "containerID": 0, "size": 1}],
        "noNewPrivileges": True,
    }
    oci = build(spec).oci
    assert (oci["hostname"], oci["annotations"]) == ("h", {"a": "b"})
    assert oci["process"]["noNewPrivileges"] is True
    for key in ("sysctl", "cgroupsPath", "rootfsPropagation", "maskedPaths", "readonlyPaths", "uidMappings"):
        assert oci["linux"][key] == spec[key]


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ({"capabilities": ["CAP_SYS_ADMN"]}, "unknown capability 'CAP_SYS_ADMN'", "did you mean 'CAP_SYS_ADMIN'?"),
        ({"capabilities": ["SYS_ADMIN"]}, "unknown capability", "did you mean 'CAP_SYS_ADMIN'?"),
        ({"rlimits": ["nofile,1,18446744073709551616"]}, "'18446744073709551616' is neither", ""),
        ({"rlimits": ["nofile,1,2,3"]}, "'2,3' is neither", ""),
        ({"rlimits": ["nofile,-1,2"]}, "'-1' is neither", ""),
        ({"rlimits": ["nofile,\u0661,2"]}, "is neither", ""),
        ({"capabilities": ["all", "CAP_KILL"]}, "unknown capability 'all'", "counts only as the single item"),
        ({"ambient": ["xyz"]}, "unknown capability 'xyz'", ""),
        ({"capabilities": [""]}, "unknown capability ''", ""),
        ({"binds": ["/a"]}, "lacks a ':'", "SOURCE:DESTINATION"),
        ({"binds": ["a:b:c:d"]}, "too many ':'", "SOURCE:DESTINATION"),
        ({"tmpfs": ["/a:b:c"]}, "too many ':'", ""),
        ({"mounts": [{"destination": "/x"}]}, "lacks a type", ""),
        ({"mounts": [{"type": "bind"}]}, "lacks a destination", ""),
        ({"rlimits": ["nofile"]}, "cannot parse the rlimit 'nofile'", "NAME,SOFT,HARD"),
        ({"rlimits": ["nofile,x,1"]}, "'x' is neither", ""),
        ({"rlimits": ["nofile,1," + "9" * 30]}, "is neither", ""),
        ({"rlimits": ["nofiles,1,1"]}, "unknown rlimit 'nofiles'", ""),
        ({"devices": [{**DEVICE, "mode": "rw"}]}, "the mode 'rw' of /dev/x is not octal", ""),
        ({"devices": [DEVICE]}, "the device /dev/x lacks a mode", ""),
        ({"uid": "nobody"}, "'uid' cannot be resolved: 'nobody' names no container", ""),
        ({"gid": 1.5}, "'gid' cannot be resolved: it is neither", ""),
        ({"additionalGids": [True]}, "'additionalGids' cannot be resolved", ""),
    ],
)
def test_what_linuxkit_stops_at(spec, message, hint):
    with pytest.raises(RefusedError) as caught:
        build(spec)
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.source.layer == "spec"
    assert bool(caught.value.capability) == message.startswith("unknown capability")


def test_blanked_items_are_passed_over():
    spec = {"capabilities": [None, "CAP_KILL"], "binds": [None], "tmpfs": [None], "mounts": [None], "devices": [None]}
    result = build(spec)
    assert result.sources["capabilities:CAP_KILL"].item == 1
    assert len(result.oci["mounts"]) == 5


@pytest.mark.parametrize(
    ("spec", "messages"),
    [
        ({"binds": ["/a:/b", "data:/b:ro"]}, []),
        ({"binds": ["data:/b"]}, ["the volume 'data' is read-only but bound writable"]),
        ({"binds.add": ["scratch:/b"]}, []),
        ({"binds": ["none"]}, []),
        ({"binds": ["none:/b"]}, ["no volume is called 'none'"]),
        ({"mounts": [{"type": "bind", "source": "data"}]}, ["the volume 'data' is read-only but bound writable"]),
        ({"mounts": [{"type": "bind", "source": "data", "options": ["ro", "rw"]}]}, []),
        ({"mounts": [{"type": "tmpfs", "source": "none"}, {"type": "bind", "source": "/a"}]}, []),
    ],
)
def test_volumes_are_there_and_writable(spec, messages):
    assert [str(refusal) for refusal in check_volumes(spec, {"data": True, "scratch": False})] == messages
