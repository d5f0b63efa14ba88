"""Family V: whether what is in an image can be traced back to its sources."""

import json

import pytest
from rulelab import file, fires, outcomes, rootfs, spec

from lkscan.rules.engine import Outcome
from lkscan.rules.provenance import (
    build_with_network,
    fixed_package_tag,
    image_without_source,
    no_sbom,
    old_image,
    useless_sbom,
)
from lkscan.scanner.subjects import Place, System


def package(**keys):
    return spec(kind="package", value={"image": "agent", **keys})


@pytest.mark.parametrize(("keys", "told"), [({"network": True}, True), ({"network": False}, False), ({}, False)])
def test_the_network_is_told_where_it_is_open(keys, told):
    assert bool(fires(build_with_network, package(**keys))) is told


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("stable", True),
        ("{{.Version}}", True),
        ("{{.Hash}}", False),
        ("{{ .Hash }}-arm", False),
        ('{{printf "%s-x" .Hash}}', False),
        ("", False),
    ],
)
def test_a_tag_without_the_hash_is_fixed(tag, told):
    assert bool(fires(fixed_package_tag, package(tag=tag))) is told


@pytest.mark.parametrize("rule", [build_with_network, fixed_package_tag])
def test_specs_are_no_packages(rule):
    assert outcomes(rule, spec(value={"network": True, "tag": "x"})) == {Outcome.NOT_APPLICABLE}


def image(*names, is_linuxkit=True, container=""):
    roots = (rootfs(container, tops=frozenset({"bin", "etc", *names})),)
    return System(Place(("image.iso",)), "image", is_linuxkit, "cpio", roots=roots)


@pytest.mark.parametrize("name", ["sbom.spdx.json", "bom.json", "image.cdx.xml", "a.spdx"])
def test_a_bill_of_materials_is_known_by_its_name(name):
    assert outcomes(no_sbom, image(name)) == {Outcome.PASS}


def test_an_image_without_one_is_told_if_linuxkit_built_it():
    assert fires(no_sbom, image("sbom.txt"))
    assert outcomes(no_sbom, image(is_linuxkit=False)) == {Outcome.NOT_APPLICABLE}
    assert outcomes(no_sbom, image(container="services/web")) == {Outcome.NOT_APPLICABLE}


BILLS = {
    "SPDX 2, JSON": b'{"spdxVersion": "SPDX-2.3", "packages": [ {"name": "musl"}]}',
    "SPDX 2, tag-value": b"# made by hand\nSPDXVersion: SPDX-2.2\nPackageName: musl\n",
    "SPDX 2, YAML": b'spdxVersion: "SPDX-2.3"\npackages:\n- name: musl\n',
    "SPDX 2, RDF": b'<rdf:RDF xmlns:spdx="x"><spdx:SpdxDocument><spdx:Package rdf:about="a"/>',
    "SPDX 3": b'{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [{"type": "Package"}]}',
    "CycloneDX, JSON": b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "musl"}]}',
    "CycloneDX, XML": b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component type="library"/>',
}


@pytest.mark.parametrize("text", BILLS.values(), ids=list(BILLS))
def test_formats_that_tools_read_are_known(text):
    assert outcomes(useless_sbom, file("sbom.spdx.json", text)) == {Outcome.PASS}


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        (b"", "default"),
        (b'{"packages": [{}]}', "default"),
        (b'{"spdxVersion": "SPDX-2.3", "packages": []}', "empty"),
        (b'{"spdxVersion": "SPDX-2.3"}', "empty"),
    ],
)
def test_what_says_nothing_is_told(text, variant):
    (finding,) = fires(useless_sbom, file("containers/services/web/rootfs/bom.json", text))
    assert finding.variant == variant


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (file("sbom.spdx.json", None), Outcome.UNDECIDED),
        (file("usr/share/doc/a/sbom.spdx.json", b""), Outcome.NOT_APPLICABLE),
        (file("etc/bombs.json", b""), Outcome.NOT_APPLICABLE),
        (file("etc/app.bom", b""), Outcome.NOT_APPLICABLE),
    ],
)
def test_bills_that_are_not_judged(given, expected):
    assert outcomes(useless_sbom, given) == {expected}


def configuration(value, path="blobs/sha256/" + "a" * 64):
    return file(path, value if isinstance(value, bytes) else json.dumps(value).encode(), source="web:1 (linux/amd64)")


WHOLE = {"os": "linux", "rootfs": {"type": "layers"}}


def test_an_image_names_its_sources_by_labels():
    names = ("org.opencontainers.image.source", "org.opencontainers.image.revision")
    (finding,) = fires(image_without_source, configuration({**WHOLE, "config": {"Labels": {names[0]: "git"}}}))
    assert finding.message.startswith("Image 'web:1 (linux/amd64)'")
    assert names[1] in finding.message
    assert names[0] not in finding.message
    assert fires(image_without_source, configuration(WHOLE))


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2024-11-22T00:00:00Z", Outcome.FAIL),
        ("2024-11-24T00:00:00Z", Outcome.PASS),
        ("2030-01-01T00:00:00Z", Outcome.PASS),
        ("1970-01-01T00:00:00Z", Outcome.NOT_APPLICABLE),
        ("0001-01-01T00:00:00Z", Outcome.NOT_APPLICABLE),
        ("", Outcome.NOT_APPLICABLE),
        ("yesterday-1", Outcome.NOT_APPLICABLE),
    ],
)
def test_an_image_is_old_after_two_years(created, expected):
    assert outcomes(old_image, configuration({**WHOLE, "created": created})) == {expected}


@pytest.mark.parametrize("value", [b"\x1f\x8b", b"[]", b"{}", b"[" * 100_000, {"os": "linux"}, {"rootfs": {}}])
def test_other_blobs_are_no_configuration(value):
    for rule in (image_without_source, old_image):
        assert outcomes(rule, configuration(value)) == {Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize(("size", "expected"), [(16 << 20, Outcome.FAIL), ((16 << 20) + 1, Outcome.UNDECIDED)])
def test_of_a_large_list_without_packages_only_the_beginning_is_known(size, expected):
    text = b'{"spdxVersion": "SPDX-2.3", "packages": []}'
    assert outcomes(useless_sbom, file("sbom.spdx.json", text, size=size)) == {expected}


@pytest.mark.parametrize(("source", "name"), [("docker.io/a/b:1", "docker.io/a/b:1"), ("", f"blobs/sha256/{'a' * 64}")])
def test_an_image_is_named_by_its_reference_or_its_configuration(source, name):
    text = json.dumps({**WHOLE, "created": "2019-01-01T00:00:00Z", "config": {}}).encode()
    for rule in (image_without_source, old_image):
        (finding,) = fires(rule, file(f"blobs/sha256/{'a' * 64}", text, source=source))
        assert (finding.subject, finding.arguments[0]) == (name, name)
