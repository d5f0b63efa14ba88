import pytest
from rulelab import container, fires, image, outcomes, place

from lkscan.rules import lean
from lkscan.rules.engine import Confidence, Outcome
from lkscan.rules.lean import debug_kernel, duplicate_container, unused_volume
from lkscan.scanner.subjects import Place, System, Volume


def system(*containers, volumes=(), kind="spec"):
    return System(Place(("a.yml",)), kind, True, "YAML", containers, volumes=volumes)  # noqa: FBT003 - of LinuxKit


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("linuxkit/kernel:5.10.104-dbg", True),
        ("acme/kernel:4.10_dbg", True),
        ("acme/kernel-debug:6.1", True),
        ("acme/kernel:6.1-kasan-amd64", True),
        ("linuxkit/kernel:5.10.104-rt", False),
        ("linuxkit/kernel:6.12.59", False),
        ("acme/debugged:6.1", False),
    ],
)
def test_a_debugging_build_is_told_by_a_word_of_its_tag_or_name(text, told):
    assert bool(fires(debug_kernel, image(text, "version-tag", role="kernel"))) is told


@pytest.mark.parametrize("role", ["init", "services", "onboot"])
@pytest.mark.parametrize("name", ["test-ns", "test-kernel-config", "ltp", "bpftrace", "docker-bench"])
def test_linuxkits_own_tests_are_told(name, role):
    assert fires(lean.test_image, image(f"linuxkit/{name}:1", "version-tag", role=role))


@pytest.mark.parametrize("text", ["linuxkit/sshd:1", "acme/test-ns:1", "test-ns:1", "linuxkit/testing:1"])
def test_other_images_are_no_tests(text):
    assert outcomes(lean.test_image, image(text, "version-tag")) == {Outcome.PASS}


def twin(name, section="services", **facts):
    return container(**{"name": name, "section": section, "image": image("web:1", "version-tag"), **facts})


@pytest.mark.parametrize(
    ("containers", "told"),
    [
        ((twin("a"), twin("b")), ["b"]),
        ((twin("a"), twin("b"), twin("c")), ["b", "c"]),
        ((twin("a"), twin("b", command=["/x"])), []),
        ((twin("a"), twin("b", binds=["/a:/a"])), []),
        ((twin("a"), twin("b", runtime={"mkdir": ["/a"]})), []),
        ((twin("a"), twin("b", image=image("web:2", "version-tag"))), []),
        ((twin("a"), twin("b", section="onboot")), []),
        ((twin("a", "onboot"), twin("b", "onboot")), ["b"]),
        ((twin("a", "onboot"), twin("x", "onboot", command=["/x"]), twin("b", "onboot")), []),
        ((twin("a", image=image("${A}", "placeholder")), twin("b", image=image("${A}", "placeholder"))), []),
    ],
)
def test_twins_are_the_same_but_for_their_names(containers, told):
    assert [finding.arguments[0] for finding in fires(duplicate_container, system(*containers))] == told


def test_images_have_their_containers_as_built():
    assert outcomes(duplicate_container, system(twin("a"), twin("b"), kind="image")) == {Outcome.NOT_APPLICABLE}


DATA = (Volume("data", readonly=False, place=place(9)),)


@pytest.mark.parametrize(
    ("bind", "used"),
    [
        ("data:/data", True),
        ("data:/data:ro", True),
        ("/containers/volumes/data/merged:/data", True),
        ("/containers/volumes/database:/data", False),
        ("/data:/data", False),
        ("/:/host", False),
    ],
)
def test_a_volume_is_used_by_name_or_by_its_own_path(bind, used):
    assert bool(fires(unused_volume, system(container(binds=[bind]), volumes=DATA))) is not used


@pytest.mark.parametrize(("label", "confidence"), [("exact", Confidence.HIGH), ("unknown", Confidence.MEDIUM)])
def test_a_label_that_is_not_known_leaves_a_doubt(label, confidence):
    (finding,) = fires(unused_volume, system(container(label=label), volumes=DATA))
    assert finding.confidence is confidence
    assert finding.place == place(9)
