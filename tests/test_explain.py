"""What `lkscan rules` and `lkscan explain` print."""

from reportlab import RULES, host_root

from lkscan.reports.explain import listing, page
from lkscan.rules.catalogue import find


def test_the_listing_has_a_line_for_every_rule_in_columns() -> None:
    lines = listing([host_root._replace(autofix="unsafe"), *RULES[1:]]).splitlines()
    assert len(lines) == 1 + len(RULES)
    grades = ["LKP902", "test-host-root", "privileges", "critical", "high", "regular", "3.4.3,", "3.5.5", "unsafe"]
    (line,) = (line for line in lines if line.startswith("LKP902"))
    assert line.split()[:9] == grades
    assert line.endswith("A container holds what it takes to become root on the host.")
    assert len({line.index(rule.name) for line in lines for rule in RULES if line.startswith(rule.id)}) == 1


def test_rules_are_listed_by_family_and_id_and_those_of_users_last() -> None:
    rules = [host_root._replace(id=number) for number in ("ACME001", "LKX001", "LKP002", "LKS004", "LKP001")]
    numbers = [line.split()[0] for line in listing(rules).splitlines()[1:]]
    assert numbers == ["LKS004", "LKP001", "LKP002", "LKX001", "ACME001"]


def test_the_markdown_listing_is_a_table() -> None:
    lines = listing([host_root._replace(name="a|b")], markdown=True).splitlines()
    heads = "| Id | Name | Family | Severity | Confidence | Profile | NIST SP 800-190 | Fix | What it finds |"
    assert lines[:2] == [heads, f"|{' --- |' * 9}"]
    assert "| a\\|b |" in lines[2]


def test_nothing_to_list_is_a_head_alone() -> None:
    heads = ["Id", "Name", "Family", "Severity", "Confidence", "Profile", "NIST SP 800-190", "Fix", "What it finds"]
    assert listing([]).splitlines() == ["  ".join(heads)]


def test_a_page_begins_with_the_facts_and_holds_the_text() -> None:
    rule = find("host-root-equivalent")
    assert rule is not None
    text = page(rule)
    assert text.startswith("LKP002 host-root-equivalent\n")
    assert "NIST SP 800-190               3.4.3 Insecure container runtime configurations (answered by 4.4.3)" in text
    assert "What it does" in text
    assert text.count("# host-root-equivalent") == 0


def test_a_rule_without_a_page_is_explained_by_its_remedy() -> None:
    text = page(host_root._replace(name="of-my-own"))
    assert "looks at         container" in text
    assert text.endswith("\nGive it only the capabilities that it needs.\n")


def test_a_rule_shows_the_parameters_that_a_configuration_may_set():
    one = RULES[0]._replace(parameters={"registries": ("docker.io",), "limit": 3})
    text = page(one)
    assert 'parameter        registries = ["docker.io"]' in text
    assert "parameter        limit = 3" in text
