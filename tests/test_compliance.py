"""The assessment by NIST SP 800-190: numbers, titles, statuses, and every format of it."""

import json
import re
from pathlib import Path

import pytest
from reportlab import GETTY, SPEC_SYSTEM, UNDECIDED, host_root, image_of_risks, image_result, snapshot, spec_result
from test_cli import BAD, CLEAN

from lkscan.cli import FINDINGS, OK, USAGE, main
from lkscan.reports import formats
from lkscan.reports.compliance import Status, assess
from lkscan.rules import catalogue
from lkscan.rules.engine import Outcome
from lkscan.rules.funnel import Result, Suppressed

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TITLES = """\
3.1.1 4.1.1 Image vulnerabilities
3.1.2 4.1.2 Image configuration defects
3.1.3 4.1.3 Embedded malware
3.1.4 4.1.4 Embedded clear text secrets
3.1.5 4.1.5 Use of untrusted images
3.2.1 4.2.1 Insecure connections to registries
3.2.2 4.2.2 Stale images in registries
3.2.3 4.2.3 Insufficient authentication and authorization restrictions
3.3.1 4.3.1 Unbounded administrative access
3.3.2 4.3.2 Unauthorized access
3.3.3 4.3.3 Poorly separated inter-container network traffic
3.3.4 4.3.4 Mixing of workload sensitivity levels
3.3.5 4.3.5 Orchestrator node trust
3.4.1 4.4.1 Vulnerabilities within the runtime software
3.4.2 4.4.2 Unbounded network access from containers
3.4.3 4.4.3 Insecure container runtime configurations
3.4.4 4.4.4 App vulnerabilities
3.4.5 4.4.5 Rogue containers
3.5.1 4.5.1 Large attack surface
3.5.2 4.5.2 Shared kernel
3.5.3 4.5.3 Host OS component vulnerabilities
3.5.4 4.5.4 Improper user access rights
3.5.5 4.5.5 Host OS file system tampering
4.6 4.6 Hardware countermeasures
"""
"""As the publication has them: the risk, the countermeasure that answers it, and the risk's title."""

PASSED = {("LKP902", Outcome.PASS): 3}
WHOLE = Result(systems=(SPEC_SYSTEM,), rules=(host_root,), tally=PASSED)
"""A spec on which the one rule of 3.4.3 and 3.5.5 passed all that there is."""


def statuses(result):
    return {one.section.risk: one.status for one in assess(result)}


def assessed(result, risk="3.5.5"):
    (found,) = [one for one in assess(result) if one.section.risk == risk]
    return found


def test_every_section_is_there_with_its_number_and_title():
    rows = [(one.section.risk, one.section.countermeasure, one.section.title) for one in assess(Result())]
    assert [" ".join(row) for row in rows] == TITLES.splitlines()


@pytest.mark.parametrize(("name", "status"), [("exemplary.yml", OK), ("bad.yml", FINDINGS)])
def test_each_section_of_the_examples_is_told_by_its_published_number_and_title(name, status, tmp_path, capsys):
    path, output = str(EXAMPLES / name), tmp_path / "nist"
    suffixes = (".json", ".md", ".html", ".oscal.json")
    outputs = [word for suffix in suffixes for word in ("-o", f"{output}{suffix}")]
    assert main(["compliance", path, "--no-config", "--date", "2026-01-01", *outputs]) == status
    told = {suffix: Path(f"{output}{suffix}").read_text() for suffix in suffixes}
    sections = json.loads(told[".json"])["sections"]
    keys = ("risk", "countermeasure", "title")
    assert [" ".join(one[key] for key in keys) for one in sections] == TITLES.splitlines()
    printed = capsys.readouterr().out
    for risk, title in ((row.split()[0], row.split(" ", 2)[2]) for row in TITLES.splitlines()):
        assert re.search(rf"^  {re.escape(risk)} +[a-z ]+  {title}$", printed, re.MULTILINE)
        assert f"## {risk} {title}: " in told[".md"]
        assert f"{risk} {title}</th>" in told[".html"]
        assert f'"title": "{risk} {title}"' in told[".oscal.json"]


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (WHOLE, Status.PASS),
        (WHOLE._replace(findings=(GETTY,)), Status.FAIL),
        (WHOLE._replace(tally={("LKP902", Outcome.NOT_APPLICABLE): 3}), Status.NOT),
        (WHOLE._replace(rules=()), Status.NOT),
        (WHOLE._replace(others=(UNDECIDED,)), Status.PARTLY),
        (WHOLE._replace(quiet=(GETTY,)), Status.PARTLY),
        (WHOLE._replace(suppressed=(Suppressed(GETTY, "we know"),)), Status.PARTLY),
        (WHOLE._replace(baselined=(Suppressed(GETTY, ""),)), Status.PARTLY),
        (WHOLE._replace(problems=spec_result().problems), Status.PARTLY),
    ],
    ids=["pass", "fail", "nothing to judge", "no rule", "undecided", "hidden", "silenced", "baselined", "unread"],
)
def test_the_status_of_a_section(result, status):
    assert assessed(result).status is status


def test_what_is_left_to_others_is_no_pass():
    rule = host_root._replace(nist=("3.1.2", "3.4.1"))
    spec = WHOLE._replace(rules=(rule,))
    image = spec._replace(systems=(SPEC_SYSTEM._replace(kind="image"),))
    assert statuses(spec)["3.1.2"] is Status.PARTLY
    assert statuses(image)["3.1.2"] is Status.PASS
    assert {statuses(spec)["3.4.1"], statuses(image)["3.4.1"]} == {Status.PARTLY}
    both = spec._replace(systems=(*spec.systems, *image.systems))
    assert statuses(both)["3.1.2"] is Status.PARTLY


@pytest.mark.parametrize("kind", ["spec", "package", "image"])
def test_malware_and_the_orchestrator_are_said_to_be_out_of_reach(kind):
    result = WHOLE._replace(systems=(SPEC_SYSTEM._replace(kind=kind),), rules=catalogue.RULES)
    for risk in ("3.1.3", "3.2.3", "3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5", "4.6"):
        found = assessed(result, risk)
        assert found.status is Status.NOT
        assert found.rest, risk


def test_a_section_that_a_rule_names_is_in_the_assessment():
    known = {one.section.risk for one in assess(Result())}
    assert {number for rule in catalogue.RULES for number in rule.nist} <= known


def test_what_is_left_says_how_much_and_why():
    result = WHOLE._replace(others=(UNDECIDED,), quiet=(GETTY, GETTY), suppressed=(Suppressed(GETTY, "we know"),))
    assert assessed(result).rest == (
        "Evidence for 1 verdict that could not be decided.",
        "A look at 2 findings that only --profile pedantic or auditor shows.",
        "A review of 1 finding that somebody silenced or a baseline accepts.",
    )


# --- formats


def render(name, result, **options):
    return formats.render(name, result, formats.COMPLIANCE, version="1.2.3", **options)


@pytest.mark.parametrize(
    ("name", "suffix"), [("text", "txt"), ("markdown", "md"), ("json", "json"), ("oscal", "oscal.json")]
)
def test_a_report_is_as_it_was_reviewed(name, suffix, monkeypatch):
    monkeypatch.setenv("LKSCAN_DATE", "2026-01-01")
    for stem, result in (("compliance", spec_result()._replace(others=())), ("compliance-image", image_of_risks())):
        text = render(name, result)
        assert text == snapshot(f"{stem}.{suffix}", text)
        assert text == render(name, result)


@pytest.mark.parametrize("name", formats.COMPLIANCE)
def test_no_format_is_harmed_by_hostile_names(name):
    result = image_result()
    rules = [one.rule._replace(nist=("3.1.2",)) for one in result.findings]
    found = tuple(one._replace(rule=rule) for one, rule in zip(result.findings, rules, strict=True))
    text = render(name, result._replace(findings=found, rules=tuple(rules[:1])), width=80, color=False)
    text.encode()
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_markdown_in_a_name_is_text():
    evil = GETTY._replace(arguments=("![x](http://evil)|`", "<script>"))
    text = render("markdown", WHOLE._replace(findings=(evil,)))
    assert "](http" not in text
    assert "<script>" not in text.replace("\\<script\\>", "")


def test_oscal_is_what_a_reader_of_oscal_takes(monkeypatch):
    model = pytest.importorskip("trestle.oscal.assessment_results", reason="needs compliance-trestle").Model
    monkeypatch.setenv("LKSCAN_DATE", "2026-01-01")
    for result in (spec_result(), image_result(), Result(), WHOLE):
        document = json.loads(render("oscal", result))
        (read,) = model(**document).assessment_results.results
        findings = document["assessment-results"]["results"][0].get("findings", [])
        decided = [one for one in assess(result) if one.status in {Status.PASS, Status.FAIL}]
        assert [one.target.status.state.value for one in read.findings or []] == [
            "satisfied" if one.status is Status.PASS else "not-satisfied" for one in decided
        ]
        observed = {one.uuid for one in read.observations}
        assert {one["observation-uuid"] for found in findings for one in found["related-observations"]} <= observed


def test_identifiers_differ_where_the_findings_do():
    document = json.loads(render("oscal", image_result()))
    uuids = [one["uuid"] for one in document["assessment-results"]["results"][0]["observations"]]
    assert len(uuids) == len(set(uuids))


# --- the command


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LKSCAN_DATE", "2026-01-01")

    def write(text, name="linuxkit.yml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write


def test_the_command_tells_sections_and_fails_as_a_scan_does(spec, capsys):
    assert main(["compliance", spec(BAD), "-f", "json"]) == FINDINGS
    document = json.loads(capsys.readouterr().out)
    found = {one["risk"]: one for one in document["sections"]}
    assert found["3.4.3"]["status"] == "fail"
    assert found["3.4.3"]["findings"]
    assert found["3.1.3"]["status"] == "not assessable"
    assert sum(document["summary"].values()) == len(found) == 24


def test_a_clean_spec_fails_in_no_section(spec, capsys):
    assert main(["compliance", spec(CLEAN)]) == OK
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 fail, ")


def test_reports_are_written_by_suffix(spec, tmp_path):
    orders = [part for name in ("a.md", "a.oscal.json", "a.json", "a.txt") for part in ("-o", name)]
    assert main(["compliance", spec(BAD), *orders]) == FINDINGS
    assert (tmp_path / "a.md").read_text().startswith("# NIST SP 800-190")
    assert "assessment-results" in json.loads((tmp_path / "a.oscal.json").read_text())
    assert "sections" in json.loads((tmp_path / "a.json").read_text())


def test_what_cannot_be_read_is_told(spec, capsys):
    assert main(["compliance", spec("x" * 10, "broken.img"), spec(CLEAN), "-f", "json"]) == USAGE
    document = json.loads(capsys.readouterr().out)
    assert [one["location"]["artifacts"] for one in document["problems"]] == [["broken.img"]]
    assert document["summary"]["pass"] == 0
