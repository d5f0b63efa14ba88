import pytest
from rulelab import SPEC, fires, outcomes, place, spec

from lkscan.rules.engine import Outcome
from lkscan.rules.privileges import unknown_capability
from lkscan.rules.spec import (
    build_failure,
    further_document_ignored,
    schema_violation,
    trust_section_ignored,
    unparsable_yaml,
)
from lkscan.scanner.subjects import Violation

KINDS = {
    "yaml": unparsable_yaml,
    "schema": schema_violation,
    "build": build_failure,
    "capability": unknown_capability,
}


def violation(kind, message="unknown key 'noNewPrivilege'", line=7, hint="", key="services[0].noNewPrivilege"):
    return Violation(kind, message, place(line, key), hint)


@pytest.mark.parametrize("kind", KINDS)
def test_fires_on_its_own_kind_of_violation_only(kind):
    subject = spec(violation(kind))
    assert [name for name, rule in KINDS.items() if fires(rule, subject)] == [kind]


@pytest.mark.parametrize("rule", KINDS.values(), ids=KINDS)
def test_is_silent_on_a_spec_that_linuxkit_accepts(rule):
    assert outcomes(rule, spec()) == {Outcome.PASS}


def test_message_says_what_is_wrong_and_what_was_meant():
    (finding,) = fires(schema_violation, spec(violation("schema", hint="did you mean 'noNewPrivileges'?")))
    expected = """'unknown key "noNewPrivilege" (did you mean "noNewPrivileges"?)'."""
    assert finding.message.endswith(expected)


def test_points_at_each_violation():
    found = fires(schema_violation, spec(violation("schema", line=2), violation("schema", line=5, key="services")))
    assert [finding.place.span.line for finding in found] == [2, 5]
    assert len({finding.fingerprint for finding in found}) == 2


def test_fingerprint_survives_a_moved_line():
    one, other = (fires(build_failure, spec(violation("build", line=line)))[0] for line in (3, 30))
    assert one.fingerprint == other.fingerprint


def test_trust_section_is_told_at_its_key():
    (finding,) = fires(trust_section_ignored, spec(sections={"services": SPEC, "trust": place(9)}))
    assert finding.place.span.line == 9
    assert finding.message.startswith("The section 'trust' has no effect")


def test_no_trust_section_no_finding():
    assert outcomes(trust_section_ignored, spec(sections={"services": SPEC})) == {Outcome.PASS}


def test_what_follows_the_first_document_is_told_where_it_starts():
    (finding,) = fires(further_document_ignored, spec(ignored=place(12)))
    assert finding.place == place(12)
    assert "first YAML document only" in finding.message
