"""The formats of CI systems: Markdown for comments, JUnit, GitLab's code quality, GitHub's workflow commands."""

import json
from xml.etree import ElementTree as ET

import pytest
from reportlab import GETTY, WEB, image_result, snapshot, spec_result

from lkscan.reports import dense, formats, markdown
from lkscan.rules.engine import Outcome, Severity
from lkscan.rules.funnel import Result

CHECKOUT = formats.Checkout("/srv", "https://example.org/o/r", "0" * 40, "main")
NAMES = {"markdown": "md", "junit": "xml", "gitlab": "gitlab.json", "github": "github"}


def render(name, result, **options):
    return formats.render(name, result, version="1.2.3", **options)


@pytest.mark.parametrize("kind", ["spec", "image"])
@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_as_it_was_reviewed(name, kind):
    result = spec_result() if kind == "spec" else image_result(3)
    text = render(name, result)
    assert text == snapshot(f"{kind}.{NAMES[name]}", text)
    assert text == render(name, result)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_stay_names(name):
    evil = "]]>&\"'<b>|`%0A::error::x\r\n\x00\x1b[2J\udcff\u202e"
    text = render(name, spec_result(GETTY._replace(arguments=(evil, evil), evidence=(evil,), subject=evil)))
    text.encode()
    for raw in ("\x00", "\x1b", "\r", "\u202e"):
        assert raw not in text
    if name in {"markdown", "junit"}:
        assert "<b>" not in text
    if name == "junit":
        ET.fromstring(text.partition("?>")[2])
    if name == "github":
        assert all(line.startswith("::") and "\n" not in line for line in text.splitlines())
        assert len(text.splitlines()) == 4
        assert "%0A" not in text.replace("%250A", "")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_found_is_a_report_as_well(name):
    text = render(name, Result())
    assert text == "" if name == "github" else text.endswith("\n")


# --- paths


@pytest.mark.parametrize(
    ("path", "root", "checkout", "told"),
    [
        ("linuxkit.yml", "/srv/os", CHECKOUT, "os/linuxkit.yml"),
        ("../a.yml", "/srv/os", CHECKOUT, "a.yml"),
        ("/srv/os/a.yml", "/srv/os", CHECKOUT, "os/a.yml"),
        ("/elsewhere/a.yml", "/srv/os", CHECKOUT, "/elsewhere/a.yml"),
        ("./a.yml", "/srv/os", None, "a.yml"),
        ("/srv/os/a.yml", "/srv/os", None, "a.yml"),
    ],
)
def test_code_hosts_get_paths_from_the_root_of_the_working_tree(path, root, checkout, told):
    moved = [one._replace(place=one.place._replace(artifacts=(path,))) for one in WEB.locations]
    result = Result(findings=(WEB._replace(locations=tuple(moved)),))
    (issue,) = json.loads(render("gitlab", result, root=root, checkout=checkout))
    assert issue["location"]["path"] == told
    assert f"file={told}," in render("github", result, root=root, checkout=checkout)


# --- each format's own rules


def test_gitlab_tells_issues_apart_that_look_the_same():
    issues = json.loads(render("gitlab", Result(findings=(GETTY, GETTY, WEB))))
    assert len({one["fingerprint"] for one in issues}) == 3
    assert {one["severity"] for one in issues} == {"blocker", "major"}
    assert {*issues[0]} == {"description", "check_name", "fingerprint", "severity", "location"}


def test_github_shows_the_worst_first_and_columns_of_one_line_only():
    lines = render("github", Result(findings=(WEB, GETTY))).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    assert "line=5,endLine=5,col=12,endColumn=67," in lines[0]
    span = GETTY.place.span._replace(end_line=6)
    long = GETTY._replace(locations=(GETTY.locations[0]._replace(place=GETTY.place._replace(span=span)),))
    assert "line=5,endLine=6,title" in render("github", Result(findings=(long,)))


def test_junit_has_a_test_for_each_rule_that_judged_and_counts_that_agree():
    root = ET.fromstring(render("junit", spec_result()).partition("?>")[2])
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "2", "1")
    for suite in root:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    result = Result(rules=spec_result().rules, tally={("LKP902", Outcome.PASS): 2, ("LKI901", Outcome.FAIL): 1})
    root = ET.fromstring(render("junit", result).partition("?>")[2])
    assert [case.get("name") for case in root.iter("testcase")] == ["LKP902 test-host-root"]


def test_a_comment_fits_and_what_is_left_out_is_never_worse():
    many = [GETTY._replace(severity=list(Severity)[number % 5]) for number in range(2000)]
    text = render("markdown", Result(findings=tuple(many)))
    assert len(text) <= markdown.LIMIT
    told = [line.split("**")[1] for line in text.splitlines() if line.startswith("| **")]
    ranks = [Severity[one.upper()] for one in told]
    assert ranks == sorted(ranks, reverse=True)
    assert f"{2000 - len(told):,} more findings, none of them more severe" in text


def test_a_comment_with_endless_names_still_fits():
    evil = GETTY._replace(arguments=("x" * 100_000, "y"), evidence=("z" * 100_000,))
    text = render("markdown", Result(findings=(evil,) * 50))
    assert len(text) <= markdown.LIMIT
    assert text.count("\n| **critical**") > 5


def test_very_many_issues_are_a_line_each_and_the_same_document(monkeypatch):
    spread = formats.render("gitlab", image_result(30))
    monkeypatch.setattr(dense, "_SPREAD", 10)
    told = formats.render("gitlab", image_result(30))
    assert json.loads(told) == json.loads(spread)
    assert len(told.splitlines()) == 2 + len(json.loads(told))
