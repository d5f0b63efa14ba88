import pytest
from rulelab import fires, outcomes, spec

from lkscan.rules.engine import Outcome
from lkscan.rules.provenance import build_with_network, fixed_package_tag


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
