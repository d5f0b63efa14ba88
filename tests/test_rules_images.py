import pytest
from rulelab import fires, image, outcomes

from lkscan.rules.engine import Outcome, Profile, Severity
from lkscan.rules.images import mutable_image_tag, unpinned_image

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


def test_a_dirty_tag_weighs_more_than_a_version():
    dirty, version = (
        fires(mutable_image_tag, image(text, kind))[0].severity
        for text, kind in ((f"web:{HEX}-dirty", "dirty-tag"), ("web:1", "version-tag"))
    )
    assert dirty > version


def test_fingerprint_survives_a_new_tag():
    one, other = (fires(mutable_image_tag, image(f"web:{tag}", "version-tag"))[0] for tag in "12")
    assert one.fingerprint == other.fingerprint
