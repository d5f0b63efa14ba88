"""The crosswalk to other frameworks: every number has a title, every rule is one, and it is called informative."""

import json

import pytest

from lkscan.reports import formats, pages
from lkscan.rules.catalogue import RULES
from lkscan.rules.crosswalk import crosswalk, frameworks
from lkscan.rules.funnel import Result
from lkscan.rules.tables import load

IDS = {rule.id for rule in RULES}


def test_it_speaks_of_rules_that_there_are():
    assert set(load("crosswalk")["rule"]) <= IDS


@pytest.mark.parametrize("key", frameworks())
def test_every_number_has_a_title_and_every_title_is_used(key):
    framework = frameworks()[key]
    named = {number for rule in IDS for number in crosswalk(rule).get(key, ())}
    assert named == set(framework.titles)
    assert "informative" in framework.title


def test_rules_about_privileges_access_binaries_and_the_kernel_all_have_a_control():
    judged = {rule for rule in IDS if rule[2] in "AXBK" or rule[:3] == "LKC"}
    without = {rule for rule in judged if not crosswalk(rule).get("sp800-53")}
    assert without <= {"LKK020", "LKB017"}  # facts for a reviewer, no weakness


def test_a_rule_of_a_user_s_own_has_none():
    assert crosswalk("ACME001") == {}


def test_a_page_says_that_it_is_informative():
    rule = next(rule for rule in RULES if rule.id == "LKN003")
    facts = dict(pages.facts(rule))
    assert facts["CIS Docker (informative)"] == (
        "5.10 the host's network namespace, 5.17 the host's IPC namespace, 5.21 the host's UTS namespace"
    )
    assert facts["NIST SP 800-53 (informative)"].startswith("SC-7 Boundary Protection")


def test_sarif_s_references_resolve_in_every_taxonomy():
    run = json.loads(formats.render("sarif", Result(rules=RULES)))["runs"][0]
    taxonomies = run["taxonomies"]
    assert [one["name"] for one in taxonomies] == ["NIST-SP-800-190", "NIST-SP-800-53", "CIS-Docker", "KSPP"]
    assert len({one["guid"] for one in taxonomies}) == 4
    seen = set()
    for rule in run["tool"]["driver"]["rules"]:
        for relationship in rule.get("relationships", []):
            target = relationship["target"]
            component = taxonomies[target["toolComponent"]["index"]]
            assert component["guid"] == target["toolComponent"]["guid"]
            taxon = component["taxa"][target["index"]]
            assert (taxon["id"], taxon["guid"]) == (target["id"], target["guid"])
            seen.add((component["name"], taxon["id"]))
    assert len(seen) == sum(len(one["taxa"]) for one in taxonomies)
