"""The exposure score: bounded, monotonous, and silent where nobody can know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rulelab import SPEC, container

from lkscan.rules import exposure as module
from lkscan.rules.exposure import UNKNOWN, exposure, word
from lkscan.rules.tables import load
from lkscan.scanner.subjects import Origin

CAPABILITIES = sorted(name for row in load("exposure")["item"] for name in row.get("capabilities", ()))
SEALED = {
    "uid": 1000,
    "readonly": True,
    "no_new_privileges": True,
    "net": "new",
    "user": "new",
    "masked_paths": ["/proc/kcore"],
}


def labels(one: module.Exposure) -> set[str]:
    return {item.label for item in one.items if item.bad}


def test_what_is_dangerous_alone_weighs() -> None:
    assert {row["capability"] for row in load("capabilities")["dangerous"]} <= set(CAPABILITIES)


@pytest.mark.parametrize("kind", ["network", "pid"])
def test_a_path_to_the_hosts_namespace_weighs_as_the_hosts(kind: str) -> None:
    key, path = ("net" if kind == "network" else kind), f"/proc/1/ns/{'net' if kind == 'network' else kind}"
    assert exposure(container(**{key: path})).score == exposure(container(**{key: "host"})).score


@pytest.mark.parametrize("uid", [1, 1000, 65534])
def test_root_weighs_more_than_any_other_user(uid: int) -> None:
    assert exposure(container(uid=uid)).score < exposure(container(uid=0)).score


def test_every_capability_weighs_once() -> None:
    known = load("capabilities")
    assert set(CAPABILITIES) >= set(known["first"])
    assert len(CAPABILITIES) == len(set(CAPABILITIES)) == 41


def test_every_fact_is_weighed() -> None:
    assert {row["fact"] for row in load("exposure")["item"] if "fact" in row} == set(module._FACTS)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (SEALED, "TIGHT"),
        ({}, "OK"),  # what LinuxKit gives by default
        ({"capabilities": CAPABILITIES}, "UNSAFE"),
        ({"capabilities": CAPABILITIES, "pid": "host", "binds": ["/:/host"], "devices": [{"allow": True}]}, "UNSAFE"),
        ({"capabilities": ["CAP_SYS_MODULE"], "readonly": True, "net": "new"}, "UNSAFE"),  # one way out is enough
        ({"capabilities": ["CAP_SYS_ADMIN"]}, "EXPOSED"),  # a detour
    ],
)
def test_the_word_fits_the_container(overrides: dict, expected: str) -> None:
    assert exposure(container(**overrides)).word == expected


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ({"binds": ["/run/containerd/containerd.sock:/c"]}, "a container runtime's socket"),
        ({"binds": ["/etc:/etc"]}, "writes to sensitive paths of the host"),
        ({"binds": ["/etc:/etc:ro"]}, "sees sensitive paths of the host"),
        ({"binds": ["/srv/data:/data"]}, "writes to other paths of the host"),
        ({"devices": [{"allow": True, "type": "b"}]}, "devices of the host"),
        ({"pid": "host"}, "the host's processes"),
    ],
)
def test_each_grant_is_named(overrides: dict, label: str) -> None:
    assert label in labels(exposure(container(**overrides)))
    assert label not in labels(exposure(container()))


def test_a_volume_or_tmpfs_is_no_path_of_the_host() -> None:
    tmpfs = {"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": []}
    assert labels(exposure(container(mounts=[tmpfs]))) == labels(exposure(container()))


def test_capabilities_that_nobody_can_take_up_do_not_count() -> None:
    for overrides in ({"user": "new"}, {"uid": 1000, "no_new_privileges": True}):
        assert not any("CAP_" in label for label in labels(exposure(container(capabilities=CAPABILITIES, **overrides))))
    reachable = labels(exposure(container(capabilities=["CAP_KILL"], uid=1000)))
    assert "signals any process it sees (CAP_KILL)" in reachable  # by a set-user-id file


def test_an_unknown_label_gives_no_score_but_what_is_certain() -> None:
    one = exposure(container(label="unknown", binds=["/etc:/etc"]))
    assert (one.score, one.word) == (None, UNKNOWN)
    assert labels(one) == {"writes to sensitive paths of the host", "sees sensitive paths of the host"}
    assert 0 < one.at_least < 2


def test_what_no_label_can_change_has_its_word() -> None:
    one = exposure(container(label="unknown", capabilities=CAPABILITIES))
    assert (one.score, one.word) == (None, "UNSAFE")
    assert one.at_least >= 9


def test_a_spec_that_sets_everything_needs_no_label() -> None:
    keys = {key for row in load("exposure")["item"] for key in row.get("keys", ("capabilities",))}
    one = exposure(container(label="unknown", origins={key: Origin("spec", SPEC) for key in keys}))
    assert one.score == exposure(container()).score


def test_a_container_that_is_not_built_has_no_score() -> None:
    assert exposure(container(error="unknown capability")).score is None


@given(st.sets(st.sampled_from(CAPABILITIES)), st.sampled_from(CAPABILITIES), st.booleans())
def test_more_never_scores_less(held: set[str], more: str, root: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    uid = 0 if root else 1000
    before = exposure(container(capabilities=sorted(held), uid=uid)).at_least
    after = exposure(container(capabilities=sorted({*held, more}), uid=uid)).at_least
    assert 0 <= before <= after <= 10


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.0, "TIGHT"), (0.9, "TIGHT"), (1.0, "OK"), (5.0, "MEDIUM"), (7.5, "EXPOSED"), (9.0, "UNSAFE"), (10.0, "UNSAFE")],
)
def test_words_begin_where_the_table_says(score: float, expected: str) -> None:
    assert word(score) == expected
