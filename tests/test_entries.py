"""Entries of a configuration: what they silence, and what is said of those that do no good."""

import json

import pytest

from lkscan.cli import FINDINGS, OK, main

SPEC = f"""\
kernel: {{image: "kernel@sha256:{"a" * 64}"}}
init: ["init@sha256:{"b" * 64}"]
onshutdown:
  - {{name: setup, image: "setup@sha256:{"c" * 64}", pid: host}}
services:
  - {{name: web, image: nginx, pid: host}}
"""


@pytest.fixture
def scan(tmp_path, monkeypatch, capsys):
    """Scan a.yml and prod/b.yml under a configuration; gives the JSON report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path / "none"))
    (tmp_path / "prod").mkdir()
    for name in ("a.yml", "prod/b.yml"):
        (tmp_path / name).write_text(SPEC, encoding="utf-8")

    def run(text: str, *order: str):
        (tmp_path / "lkscan.toml").write_text(text, encoding="utf-8")
        run.status = main([*(order or ["."]), "-f", "json", "--profile", "pedantic", "--date", "2026-11-23"])
        return json.loads(capsys.readouterr().out)

    return run


def shown(report, kind="findings", rule="LKN001"):
    found = [one for one in report[kind] if one["rule"] == rule]
    return {(one["locations"][0]["artifacts"][0].removeprefix("./"), one["subject"]) for one in found}


ALL = {(path, title) for path in ("a.yml", "prod/b.yml") for title in ("onshutdown/setup", "services/web")}


@pytest.mark.parametrize(
    ("entry", "silenced"),
    [
        ("", ALL),
        ('path = "**"', ALL),
        ('path = "prod/"', {("prod/b.yml", "onshutdown/setup"), ("prod/b.yml", "services/web")}),
        ('path = "a.yml"', {("a.yml", "onshutdown/setup"), ("a.yml", "services/web")}),
        ('container = "web"', {("a.yml", "services/web"), ("prod/b.yml", "services/web")}),
        ('container = "services/w*"', {("a.yml", "services/web"), ("prod/b.yml", "services/web")}),
        ('container = "onshutdown/*"\npath = "prod/*.yml"', {("prod/b.yml", "onshutdown/setup")}),
        ('container = "onshutdown/web"', set()),
        ('container = "gone"', set()),
        ("until = 2026-11-23", ALL),
        ("until = '2026-11-22'", set()),
    ],
)
def test_an_entry_silences_by_rule_path_and_container(scan, entry, silenced) -> None:
    report = scan(f'[[ignore]]\nrules = ["host-pid-namespace"]\nreason = "it is\\nfine"\n{entry}\n')
    assert shown(report, "suppressed") == silenced
    assert shown(report) == ALL - silenced
    assert {one["reason"].partition(" (")[0] for one in report["suppressed"]} <= {"it is fine"}


def test_an_entry_for_a_container_covers_its_image_too(scan) -> None:
    report = scan('[[ignore]]\nrules = ["unpinned-image"]\ncontainer = "services/web"\npath = "a.yml"')
    assert shown(report, "suppressed", "LKI001") == {("a.yml", "services:nginx")}
    assert shown(report, "findings", "LKI001") == {("prod/b.yml", "services:nginx")}


def test_the_comment_next_to_a_finding_gives_its_reason_first(scan, tmp_path) -> None:
    (tmp_path / "a.yml").write_text(
        SPEC.replace("nginx, pid: host}", "nginx, pid: host} # lkscan: ignore[LKN001] here")
    )
    report = scan('[[ignore]]\nrules = ["LKN001"]\npath = "a.yml"\nreason = "there"', "a.yml")
    assert {one["reason"] for one in report["suppressed"]} == {"here", "there"}
    assert shown(report, "findings", "LKS006") == set()


@pytest.mark.parametrize(
    ("text", "order", "wanted"),
    [
        ('rules = ["LKZ999"]', ["a.yml"], {"LKS005"}),
        ('rules = ["LKN001"]\nuntil = 2020-01-01', ["a.yml"], {"LKS007"}),
        ('rules = ["LKN001"]', ["a.yml", "--require-reason"], {"LKS008"}),
        ('rules = ["LKN001"]\nreason = "  "', ["a.yml", "--require-reason"], {"LKS008"}),
        ('rules = ["LKN001"]\nreason = "yes"', ["a.yml", "--require-reason"], set()),
        ('rules = ["LKS003"]\npath = "a.yml"', ["a.yml"], {"LKS006"}),
        ('rules = ["LKS003"]\npath = "a.yml"', ["prod"], set()),
        ('rules = ["LKS003"]\npath = "*.yml"', ["a.yml"], set()),
        ('rules = ["LKS003"]\npath = "*.yml"', ["."], {"LKS006"}),
        ('rules = ["LKS003"]\npath = "*.yml"', ["prod"], set()),
        ('rules = ["LKS003"]\npath = "*.iso"', ["."], set()),
        ('rules = ["LKS003"]', ["."], set()),
        ('rules = ["LKS003"]\npath = "a.yml"', ["a.yml", "--ignore", "LKS003"], set()),
        ('rules = ["LKZ999"]', ["a.yml", "--no-ignores"], set()),
        ('rules = ["LKZ999"]', ["a.yml", "--no-config"], set()),
    ],
)
def test_entries_that_do_no_good_are_findings_at_their_line(scan, text, order, wanted) -> None:
    report = scan(f"\n[[ignore]]\n{text}\n", *order)
    found = [one for one in report["findings"] if one["rule"] in {"LKS005", "LKS006", "LKS007", "LKS008"}]
    assert {one["rule"] for one in found} == wanted
    for one in found:
        (place,) = one["locations"]
        assert (place["artifacts"], place["line"], place["pointer"]) == (["lkscan.toml"], 2, "ignore[0]")


def test_one_list_may_switch_rules_off_and_silence_findings(scan) -> None:
    report = scan('ignore = ["LKI*", {rules = ["LKN001"], reason = "both"}]\nrequire-reason = true')
    assert shown(report, "suppressed") == ALL
    assert not {"LKI001", "LKI002"} & report["rules"].keys()
    assert scan.status == OK


def test_ignores_are_forbidden_wherever_they_are_written(scan) -> None:
    text = '[[ignore]]\nrules = ["*"]\nreason = "all of it"\n'
    assert scan(text)["findings"] == []
    assert scan.status == OK
    report = scan(text, ".", "--no-ignores")
    assert shown(report) == ALL
    assert (report["suppressed"], scan.status) == ([], FINDINGS)


def test_an_entry_is_unused_only_when_no_input_of_its_configuration_needed_it(scan) -> None:
    per_path = '\n[[per-path]]\npath = "prod/"\nignore = ["LKI001"]\n'
    report = scan('[[ignore]]\nrules = ["LKN001"]\npath = "**/*.yml"\ncontainer = "web"' + per_path)
    assert shown(report, "suppressed") == {one for one in ALL if one[1] == "services/web"}
    assert shown(report, "findings", "LKS006") == set()


def test_the_line_is_told_only_where_it_is_sure(scan) -> None:
    report = scan('[[ignore]]\nrules = ["LKZ999"]\nreason = """\n[[ignore]]\n"""\n', "a.yml")
    (found,) = [one for one in report["findings"] if one["rule"] == "LKS005"]
    assert (found["locations"][0]["line"], found["locations"][0]["pointer"]) == (None, "ignore[0]")


def test_the_text_report_names_the_configuration(scan, capsys) -> None:
    scan('[[ignore]]\nrules = ["LKZ999"]\n', "a.yml")
    main(["a.yml"])
    assert "lkscan.toml  configuration" in capsys.readouterr().out
