"""Pages and rules are two sides of one thing: each has the other, and the examples in a page do what it says."""

import re
from pathlib import Path

import pytest
import tomli

from lkscan.rules import tables
from lkscan.rules.catalogue import RULES
from lkscan.rules.engine import Engine
from lkscan.rules.funnel import Funnel, Options
from lkscan.rules.ignores import Ignore
from lkscan.scanner.labels import LabelFinder
from lkscan.scanner.spec import read
from lkscan.scanner.subjects import Container, ImageReference, KernelCommandLine, Problem, Spec

PAGES = Path(__file__).parent.parent / "rules" / "pages"
HEADINGS = ("What it does", "Why it matters", "Example", "Use instead", "When not to care", "References")
BY_NAME = {rule.name: rule for rule in RULES}
BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PARAMETERS = re.compile(r"^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECT = re.compile(r"#\s*expect:\s*(.+)$")
FROM_SPECS = {Spec, ImageReference, Container, KernelCommandLine, Ignore}

every_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


def page(rule):
    return (PAGES / f"{rule.name}.md").read_text(encoding="utf-8")


def blocks(rule):
    """Each YAML block of a rule's page, with the lines (from 1) where the rule must fire."""
    for match in BLOCK.finditer(page(rule)):
        text = match.group(1)
        yield text, {number for number, names in expectations(text) if rule.name in names}


def expectations(text):
    for number, line in enumerate(text.splitlines(), 1):
        if found := EXPECT.search(line):
            yield number, {name.strip() for name in found.group(1).split(",")}


def findings(rule, text):
    """What a rule says, in any profile, of a text that LinuxKit's users write; read by the real reader."""
    kind = "build.yml" if re.search(r"^image:", text, re.MULTILINE) else "linuxkit.yml"
    subjects = list(read([(kind, text.encode())], LabelFinder()))
    problems = [subject.message for subject in subjects if isinstance(subject, Problem)]
    assert not problems, problems
    if rule.subject is Ignore:
        return about_directives(rule, subjects)
    judge = Engine([configured(rule)])
    return [finding for subject in subjects for finding in judge.judge(subject)]


def configured(rule):
    """The rule with the parameters that its page sets."""
    given = PARAMETERS.search(page(rule))
    return rule._replace(parameters={**rule.parameters, **tomli.loads(given[1])["rules"][rule.name]}) if given else rule


def about_directives(rule, subjects):
    """What a rule says of directives, once all other rules have spoken."""
    judge, funnel = Engine(RULES), Funnel(RULES, Options(require_reason=rule.name == "ignore-without-reason"))
    for subject in subjects:
        funnel.meet(subject)
        for finding in judge.judge(subject):
            funnel.add(finding)
    funnel.close()
    return [finding for finding in funnel.result({}).findings if finding.rule is rule]


def test_every_page_has_a_rule():
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(BY_NAME)


def test_ids_and_names_are_unique():
    assert len({rule.id for rule in RULES}) == len(RULES) == len(BY_NAME)


@every_rule
def test_identity_is_well_formed(rule):
    assert re.fullmatch(r"LK[SPMNRLAIKCYBFXDV]\d{3}", rule.id)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)


@every_rule
def test_messages_are_sentences_with_quoted_placeholders(rule):
    for message in rule.messages.values():
        assert message.endswith("."), message
        assert message.count("{") == len(re.findall(r"'\{\d\}'", message)), message
        assert message[0].isupper() or message.startswith("'"), message


@every_rule
def test_summary_and_remedy_are_sentences(rule):
    assert rule.summary.endswith(".")
    assert len(rule.summary) > 20
    assert rule.remedy.endswith(".")


@every_rule
def test_nist_sections_exist(rule):
    assert rule.nist
    assert set(rule.nist) <= set(tables.load("nist")["risks"])


@every_rule
def test_page_has_the_fixed_headings(rule):
    text = page(rule)
    assert text.startswith("# ")
    assert rule.name in text.splitlines()[0]
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == HEADINGS
    for heading, body in zip(HEADINGS, re.split(r"^## .+$", text, flags=re.MULTILINE)[1:], strict=True):
        assert body.strip(), heading


@every_rule
def test_page_expects_only_rules_that_exist(rule):
    for text, _ in blocks(rule):
        for _, names in expectations(text):
            assert names <= set(BY_NAME)


@every_rule
def test_page_shows_a_firing_and_a_silent_example(rule):
    kinds = {bool(lines) for _, lines in blocks(rule)}
    if rule.subject in FROM_SPECS:
        assert kinds == {True, False}
    else:
        assert kinds in (set(), {True, False})


@every_rule
def test_rule_fires_exactly_where_its_page_says(rule):
    for text, lines in blocks(rule):
        found = [finding for finding in findings(rule, text) if str(finding.outcome) == "fail"]
        assert {finding.place.span.line for finding in found} == lines, text
