import pytest
from rulelab import SPEC, fires, image, outcomes

from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.images import (
    image_in_several_versions,
    mutable_image_tag,
    runtime_with_known_escape,
    unpinned_image,
    unusable_digest,
)
from lkscan.rules.tables import load
from lkscan.scanner.references import reference
from lkscan.scanner.subjects import System

HEX = "0123456789abcdef0123456789abcdef01234567"
DIGEST = f"example.org/web:1.4@sha256:{'0' * 64}"

CASES = [
    # reference, its kind, profile in which it is unpinned, profile in which its tag is mutable
    ("example.org/web", "untagged", Profile.REGULAR, None),
    ("example.org/web:latest", "latest", Profile.REGULAR, None),
    ("example.org/web:1.4", "version-tag", None, Profile.PEDANTIC),
    (f"linuxkit/sshd:{HEX}", "content-tag", None, Profile.AUDITOR),
    (f"linuxkit/sshd:{HEX}-dirty", "dirty-tag", None, Profile.REGULAR),
    (DIGEST, "digest", None, None),
]


@pytest.mark.parametrize(("text", "kind", "unpinned", "mutable"), CASES, ids=[case[1] for case in CASES])
def test_what_pins_an_image(text, kind, unpinned, mutable):
    subject = image(text, kind)
    assert [finding.profile for finding in fires(unpinned_image, subject)] == [unpinned] * (unpinned is not None)
    assert [finding.profile for finding in fires(mutable_image_tag, subject)] == [mutable] * (mutable is not None)


@pytest.mark.parametrize("kind", ["placeholder", "package"])
@pytest.mark.parametrize("rule", [unpinned_image, mutable_image_tag])
def test_the_question_does_not_arise_for_templates_and_local_packages(rule, kind):
    assert outcomes(rule, image("WEB_TAG", kind)) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize("role", ["kernel", "init", "onboot", "onshutdown", "services", "volumes"])
def test_every_role_is_judged_alike(role):
    (finding,) = fires(unpinned_image, image("example.org/web", "untagged", role=role))
    assert finding.severity is Severity.MEDIUM
    assert "'example.org/web'" in finding.message


@pytest.mark.parametrize(("source", "is_safe"), [("lock", True), ("cache", False)])
@pytest.mark.parametrize(
    ("rule", "text", "kind", "wanted"),
    [
        (unpinned_image, "web", "untagged", "web:latest@"),
        (unpinned_image, "web:latest", "latest", "web:latest@"),
        (mutable_image_tag, "web:1.4", "version-tag", "web:1.4@"),
        (mutable_image_tag, f"web:{HEX}", "content-tag", f"web:{HEX}@"),
    ],
)
def test_a_digest_that_is_known_here_is_offered(rule, text, kind, wanted, source, is_safe):  # noqa: PLR0917 - a table's columns
    (finding,) = fires(rule, image(text, kind)._replace(known=f"sha256:{HEX}", source=source))
    assert finding.fix.safe is is_safe
    (change,) = finding.fix.changes
    assert (change.action, change.place, change.text) == ("replace", finding.place, f"{wanted}sha256:{HEX}")


@pytest.mark.parametrize("rule", [unpinned_image, mutable_image_tag])
def test_without_a_known_digest_none_is_offered(rule):
    kind, text = ("untagged", "web") if rule is unpinned_image else ("version-tag", "web:1")
    assert fires(rule, image(text, kind))[0].fix is None


def test_a_dirty_tag_weighs_more_than_a_version():
    dirty, version = (
        fires(mutable_image_tag, image(text, kind))[0].severity
        for text, kind in ((f"web:{HEX}-dirty", "dirty-tag"), ("web:1", "version-tag"))
    )
    assert dirty > version


def test_fingerprint_survives_a_new_tag():
    one, other = (fires(mutable_image_tag, image(f"web:{tag}", "version-tag"))[0] for tag in "12")
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("tag", ["master", "Main", "1.2-dev", "v2_stable", "4.9.x", "alpine-edge", "nightly"])
def test_a_tag_that_is_there_to_move_is_told_to_everyone(tag):
    (finding,) = fires(mutable_image_tag, image(f"web:{tag}", "version-tag"))
    assert finding.variant == "moving"
    assert finding.profile is Profile.REGULAR


@pytest.mark.parametrize("tag", ["1.4", "v1.2.3", "bookworm", "2.0-rc1", "mainline1", "mastery", "xx"])
def test_a_tag_that_only_resembles_one_is_a_version(tag):
    (finding,) = fires(mutable_image_tag, image(f"web:{tag}", "version-tag"))
    assert finding.variant == "default"


@pytest.mark.parametrize(
    ("digest", "usable"),
    [
        ("sha256:" + "0" * 64, True),
        ("sha256:" + "0" * 63, False),
        ("sha256:" + "0" * 65, False),
        ("sha256:" + "A" * 64, False),
        ("sha512:" + "0" * 128, False),
        ("0" * 64, False),
        ("latest", False),
        ("sha256:" + "0" * 64 + "\n", False),
    ],
)
def test_a_digest_is_usable_when_linuxkit_can_pull_by_it(digest, usable):
    found = fires(unusable_digest, image(f"web@{digest}", "digest"))
    assert bool(found) is not usable


def versions(*texts):
    return System(SPEC, "spec", True, "YAML", images=tuple(reference(text, "services", SPEC) for text in texts))  # noqa: FBT003 - of LinuxKit


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("web:1", "web:2"), "1, 2"),
        (("web", "web:1"), "1, latest"),
        (("web", "web:latest"), None),
        (("docker.io/library/web:1", "web:2", "index.docker.io/library/web:1"), "1, 2"),
        (("web:1", "other/web:2"), None),
        (("web:1", "web:1"), None),
        (("web:${A}", "web:${B}"), None),
        (("@pkg:./web", "@pkg:./web"), None),
    ],
)
def test_versions_of_one_image_are_told_once(texts, told):
    found = fires(image_in_several_versions, versions(*texts))
    assert [finding.arguments[2] for finding in found] == ([told] if told else [])


def test_every_version_is_pointed_at():
    (finding,) = fires(image_in_several_versions, versions("web:1", "web:2", "web:2", "web:3"))
    assert len(finding.locations) == 3


RUNC = "linuxkit/runc"
RUNTIMES = [
    (f"{RUNC}:v0.7", None),
    (f"{RUNC}:v0.8", None),
    (f"{RUNC}:v0.6", "CVE-2019-5736"),
    (f"{RUNC}:abc3f292653e64a2fd488e9675ace19a55ec7023", "CVE-2019-5736"),
    (f"{RUNC}:9f7aad4eb5e4360cc9ed8778a5c501cce6e21601", "CVE-2024-21626"),
    (f"{RUNC}:9f7aad4eb5e4360cc9ed8778a5c501cce6e21601-arm64", "CVE-2024-21626"),
    (f"{RUNC}:9442aa234715e751a16144f1d4ae3fd1a00fd492", None),
    (f"docker.io/{RUNC}:v0.6", "CVE-2019-5736"),
    ("linuxkit/containerd:v0.8", "CVE-2020-15257"),
    ("linuxkit/containerd:cc02c2af9c928c2faeccbe4edc78bd297ad91866", None),
    ("linuxkit/containerd:ba19f64efd3331a8fd0a33e00eabd14f6ee1780e", None),
]


@pytest.mark.parametrize(("text", "flaw"), RUNTIMES, ids=[text for text, _ in RUNTIMES])
def test_a_runtime_is_judged_by_what_its_state_holds(text, flaw):
    found = fires(runtime_with_known_escape, reference(text, "init", SPEC))
    assert [finding.key for finding in found] == ([flaw] if flaw else [])
    assert all("Mended in" in finding.evidence[1] for finding in found)


@pytest.mark.parametrize("text", [f"{RUNC}:v9", RUNC, f"{RUNC}@sha256:{'0' * 64}", f"{RUNC}:{HEX}"])
def test_a_state_that_is_not_in_the_table_is_not_guessed(text):
    assert outcomes(runtime_with_known_escape, reference(text, "init", SPEC)) == {Outcome.UNDECIDED}


@pytest.mark.parametrize("text", ["lfedge/eve-runc:v0.6", "runc:v0.6", "ghcr.io/linuxkit/runc:v0.6"])
def test_runtimes_of_others_are_not_judged(text):
    assert outcomes(runtime_with_known_escape, reference(text, "init", SPEC)) == {Outcome.NOT_APPLICABLE}


def test_the_table_of_runtimes_names_each_tag_once_and_only_flaws_it_explains():
    table = load("runtime_states")
    for program in ("runc", "containerd"):
        tags = [tag for state in table[program] for tag in state["tags"].split()]
        assert len(tags) == len(set(tags)) > 80
        assert {state["flaw"] for state in table[program] if "flaw" in state} <= set(table["flaw"])
