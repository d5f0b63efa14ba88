"""A container read back from a built image: checked, bounded, and pointing into its config.json."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner import built
from lkscan.scanner.effective import from_built
from lkscan.scanner.source import DamagedError, LimitError
from lkscan.scanner.subjects import Place

PLACE = Place(("image.iso", "containers/services/web/config.json"))

CONFIG = {
    "process": {
        "user": {"uid": 5, "gid": 6},
        "args": ["/web"],
        "env": ["A=b"],
        "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": None},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": True},
    "mounts": [{"destination": "/run", "type": "bind", "source": "/run", "options": ["rw", "rbind"]}],
    "linux": {
        "namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/x"}, {"type": "mount"}],
        "resources": {"devices": [{"allow": True, "type": "b", "access": "rwm"}]},
    },
    "vendor": {"anything": [1, None]},
}


def container(config, runtime=b"{}"):
    return from_built("services", "web", 0, config, runtime, PLACE)


def test_what_the_accessors_say():
    found = container(json.dumps(CONFIG).encode(), b'{"mkdir": ["/x"]}')
    assert found.title == "services/web"
    assert (found.uid, found.readonly, found.no_new_privileges) == (5, True, True)
    assert (found.command, found.env) == (("/web",), ("A=b",))
    assert found.capabilities == {"CAP_CHOWN"}
    assert found.ambient == frozenset()
    assert found.mounts[0].is_bind
    assert (found.namespace("pid"), found.namespace("network"), found.namespace("ipc")) == (
        "new",
        "/run/netns/x",
        "host",
    )
    assert found.label.kind == "built"
    assert found.runtime["mkdir"] == ["/x"]


@pytest.mark.parametrize(
    ("key", "item", "pointer"),
    [
        ("capabilities", "CAP_CHOWN", "process.capabilities.bounding"),
        ("capabilities", "CAP_KILL", "process.capabilities.bounding"),
        ("binds", "/run", "mounts[0]"),
        ("mounts", "/run", "mounts[0]"),
        ("devices", "0", "linux.resources.devices[0]"),
        ("env", "0", "process.env[0]"),
        ("pid", None, "linux.namespaces[0]"),
        ("net", None, "linux.namespaces[1]"),
        ("ipc", None, "linux.namespaces"),
        ("readonly", None, "root.readonly"),
    ],
)
def test_origins_point_into_config_json(key, item, pointer):
    origin = container(json.dumps(CONFIG).encode()).origin(key, item)
    assert origin.source == "image"
    assert origin.place == Place(PLACE.artifacts, None, pointer)


def test_without_runtime_json_there_is_still_a_container():
    assert container(b"{}", None).runtime == {}
    assert container(b"{}", None).command == ()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[]", "the whole is a list, not an object"),
        (b"null", "the whole is null, not an object"),
        (b'{"mounts": {}}', "mounts is an object, not a list"),
        (b'{"process": {"env": [1]}}', r"process.env\[0\] is a whole number, not text"),
        (b'{"process": {"user": {"uid": true}}}', "process.user.uid is true or false, not a whole number"),
        (b'{"process": {"user": {"uid": 1.5}}}', "process.user.uid is a number, not a whole number"),
        (b'{"linux": {"sysctl": {"k": 1}}}', "linux.sysctl.k is a whole number, not text"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": ' + b"9" * 41 + b"}", "a number of 41 digits"),
    ],
)
def test_damage_is_told_in_one_line(config, message):
    with pytest.raises(DamagedError, match=message):
        container(config)


def test_runtime_json_is_checked_too():
    with pytest.raises(DamagedError, match=r"runtime\.json: mkdir is text, not a list"):
        container(b"{}", b'{"mkdir": "x"}')


@pytest.mark.parametrize("config", [b"[" * 100_000, b'{"a":' * 100 + b"1" + b"}" * 100])
def test_nesting_is_bounded(config):
    with pytest.raises(LimitError, match="64 nested"):
        container(config)


def test_size_is_bounded(monkeypatch):
    monkeypatch.setattr(built, "LIMIT", 1 << 20)
    with pytest.raises(LimitError, match="1 MiB"):
        container(b" " * ((1 << 20) + 1))


def test_half_a_surrogate_does_no_harm():
    assert container(b'{"hostname": "\\ud800"}').oci["hostname"] == "?"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*CONFIG, *CONFIG["process"], *CONFIG["linux"], "uid", "bounding", "type", "path", "devices"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(values)
def test_what_is_accepted_never_breaks_an_accessor(value):
    try:
        found = container(json.dumps(value).encode())
    except DamagedError:
        return
    assert [
        found.mounts,
        found.env,
        found.command,
        found.uid,
        found.devices,
        found.capabilities,
        found.namespace("pid"),
    ]
