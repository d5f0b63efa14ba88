"""References are classified by what pins them, and complained about where LinuxKit could not parse them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lkscan.scanner.references import address, canonical, complaint, expand, full_name, is_sha256, reference, split
from lkscan.scanner.subjects import Place

HASH = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"a/b@{SHA256}", "digest"),
        (f"a/b:1@{SHA256}", "digest"),
        (f"a/b:{HASH}", "content-tag"),
        (f"a/b:{HASH}-dirty", "dirty-tag"),
        (f"a/b:{HASH}-dirty-1d75567", "dirty-tag"),
        (f"a/b:{HASH}-amd64", "content-tag"),
        (f"linuxkit/kernel:6.12.59-{HASH}", "content-tag"),
        (f"linuxkit/kernel:6.12.59-{HASH}-dirty-1d75567-arm64", "dirty-tag"),
        (f"a/b:{HASH}0", "version-tag"),
        ("a/b:v1.2", "version-tag"),
        ("a/b:latest", "latest"),
        ("a/b", "untagged"),
        ("registry:5000/a/b", "untagged"),
        ("a/b@sha256:short", "digest"),
        ("a/b:1@sha256:short", "digest"),
        ("a/b@", "digest"),
        ("", "untagged"),
        ("@pkg:./pkg/sshd", "package"),
        ("${IMAGE}", "placeholder"),
        ("a/b:$TAG", "placeholder"),
        ("a/b:{{ tag }}", "placeholder"),
        ("<image>", "placeholder"),
        ("a/b:@@TAG@@", "placeholder"),
        ("a/b:%TAG%", "placeholder"),
        ("KERNEL_TAG", "placeholder"),
        ("a/b:RC1", "version-tag"),
    ],
)
def test_the_kind_says_what_pins_it(text, kind):
    assert reference(text, "init", Place(("a",))).kind == kind


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a/b:1", ("a/b", "1", "")),
        (f"host:5000/a/b:1@{SHA256}", ("host:5000/a/b", "1", SHA256)),
        ("host:5000/a/b", ("host:5000/a/b", "", "")),
        ("@pkg:./a:b", ("@pkg:./a:b", "", "")),
    ],
)
def test_name_tag_and_digest(text, parts):
    assert split(text) == parts


@pytest.mark.parametrize(
    ("text", "repository", "registry"),
    [
        ("redis:7", "docker.io/library/redis", "docker.io"),
        ("a/b:1", "docker.io/a/b", "docker.io"),
        ("index.docker.io/a/b", "docker.io/a/b", "docker.io"),
        (f"host:5000/a@{SHA256}", "host:5000/a", "host:5000"),
        ("localhost/a", "localhost/a", "localhost"),
        ("@pkg:./a", "", ""),
        ("a/b:${TAG}", "", ""),
        ("", "", ""),
    ],
)
def test_the_repository_is_the_name_with_its_registry(text, repository, registry):
    found = reference(text, "init", Place(("a",)))
    assert (found.repository, found.registry) == (repository, registry)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("redis", "docker.io/library/redis"),
        ("a/b", "docker.io/a/b"),
        ("localhost/b", "localhost/b"),
        ("host:5000/b", "host:5000/b"),
        ("quay.io/b", "quay.io/b"),
        ("quay.io/a/b", "quay.io/a/b"),
        ("a/b/c", "a/b/c"),
    ],
)
def test_references_are_expanded_as_linuxkit_does(text, full):
    assert expand(text) == full


def test_docker_hub_has_one_name():
    assert full_name("index.docker.io/linuxkit/getty") == full_name("linuxkit/getty") == "docker.io/linuxkit/getty"


@pytest.mark.parametrize(
    "text",
    ["", "a", "a/b:1", f"a/b@{SHA256}", "h:5000/a/b", "[::1]:80/a/b", "[::1]/a/b", "u@h/a/b", "a/b c", "a/b%20c"],
)
def test_what_linuxkit_parses(text):
    assert complaint(text) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://h/a/b", "'://'"),
        ("a/b\n", "control character"),
        ("a/b%zz", "no escape"),
        ("a/b#%z", "no escape"),
        ("a:tag/b", "no port"),
        ("/a/b", "no registry host"),
        ("u@/a/b", "no registry host"),
        ("[::1/a/b", "lacks a ']'"),
        ("${X}/a/b", "holds '{'"),
        ("u u@h/a/b", "user part"),
    ],
)
def test_what_linuxkit_cannot_parse(text, reason):
    assert reason in complaint(text)


@given(st.text(max_size=80))
def test_any_text_is_a_reference(text):
    found = reference(text, "init", Place(("a",)))
    assert found.text == text
    assert isinstance(complaint(text), str)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("a/b:1", "docker.io/a/b:1"),
        (f"a/b:1@{SHA256}", "docker.io/a/b:1"),
        (f"a/b@{SHA256}", "docker.io/a/b:latest"),
        ("index.docker.io/a/b:1", "docker.io/a/b:1"),
        ("host:5000/a", "host:5000/a:latest"),
    ],
)
def test_the_canonical_reference_has_host_and_tag_and_no_digest(text, full):
    assert canonical(text) == full
    assert canonical(full) == full


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("docker.io/a/b:1", ("docker.io", "a/b", "1")),
        ("h-1.example:5000/a.b/c__d/e---f:V_1.0-x", ("h-1.example:5000", "a.b/c__d/e---f", "V_1.0-x")),
        ("[::1]:80/a:_", ("[::1]:80", "a", "_")),
        ("docker.io/a/B:1", None),
        ("docker.io/a..b:1", None),
        ("docker.io/a/../b:1", None),
        ("docker.io/a/b", None),
        ("docker.io/a/b:.x", None),
        ("docker.io/a/b:1\n", None),
        ("a@docker.io/a/b:1", None),
        ("docker.io/" + "a-" * 300 + ":1", None),
        (f"docker.io/a/b:1@{SHA256}", None),
        ("docker.io/\N{ARABIC-INDIC DIGIT ONE}:1", None),
    ],
)
def test_an_address_is_what_a_registry_can_have(text, parts):
    assert address(text) == parts


@pytest.mark.parametrize(
    "text", ["", "sha256:", SHA256[:-1], SHA256 + "a", SHA256.upper(), "sha512:" + "a" * 128, SHA256 + "\n"]
)
def test_no_other_digest_is_taken_for_sha256(text):
    assert is_sha256(SHA256)
    assert not is_sha256(text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a.b/c:" + "t" * 128, True),
        ("a.b/c:" + "t" * 129, False),
        ("a.b/" + "c" * 506 + ":1", True),
        ("a.b/" + "c" * 507 + ":1", False),
        ("a.b:12345/c:1", True),
        ("a.b:123456/c:1", False),
        ("[::1]:5000/c:1", True),
        ("[]/c:1", False),
    ],
)
def test_an_address_is_no_longer_than_registries_allow(text, is_one):
    assert (address(text) is not None) is is_one


@pytest.mark.parametrize(
    ("digest", "is_one"),
    [
        (SHA256, True),
        (SHA256[:-1], False),
        (SHA256 + "a", False),
        (SHA256[:-1] + "g", False),
        (SHA256[:-1] + "A", False),
        ("sha512:" + "a" * 64, False),
        ("sha256:" + "g" + "a" * 63, False),
    ],
)
def test_a_digest_is_64_digits_of_sha256(digest, is_one):
    assert is_sha256(digest) is is_one


@pytest.mark.parametrize("length", [39, 40, 41])
def test_a_tag_of_a_tree_has_40_digits(length):
    kind = reference("a/b:" + "a" * length, "init", Place(("a",))).kind
    assert kind == ("content-tag" if length == 40 else "version-tag")


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("", "docker.io/library/"),
        ("a", "docker.io/library/a"),
        ("a/b", "docker.io/a/b"),
        ("a.b/c", "a.b/c"),
        ("a:1/c", "a:1/c"),
        ("localhost/c", "localhost/c"),
        ("localhos/c", "docker.io/localhos/c"),
        ("locate/c", "docker.io/locate/c"),
        ("zone/c", "docker.io/zone/c"),
        ("a/b/c", "a/b/c"),
        ("a/b/c/d", "a/b/c/d"),
    ],
)
def test_a_reference_is_expanded_by_its_parts(text, full):
    assert expand(text) == full
