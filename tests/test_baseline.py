"""The baseline: what it accepts, what is new to it, how it shrinks and grows, and files that are none."""

import json
import os
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tar import archive, entry

from lkscan import baselines
from lkscan.cli import FINDINGS, INCOMPLETE, OK, USAGE, main
from lkscan.rules import engine, kernel
from lkscan.rules.baseline import Baseline, compare
from lkscan.rules.engine import Finding, Severity
from lkscan.scanner.subjects import Container, Place

HEAD = "kernel:\n  image: linuxkit/kernel:6.12.59\nservices:\n"
WEB = "  - name: web\n    image: example.org/web\n    pid: host\n    capabilities: [CAP_SYS_PTRACE]\n"
LOG = "  - name: log\n    image: example.org/log\n    capabilities: []\n    binds: [/var/log:/log:ro]\n"
SPEC = HEAD + WEB + LOG


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on a fixed day, with no LinuxKit cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("LKSCAN_DATE", "2026-11-23")
    monkeypatch.setattr(kernel, "_date", None)


def write(**files: str | None) -> None:
    """Write specs by their names without suffix; None removes one."""
    for name, text in files.items():
        path = Path(f"{name}.yml")
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")


def record(*paths: str, options: tuple[str, ...] = ()) -> None:
    assert main(["baseline", *paths, "-o", "base.json", *options]) in {OK, INCOMPLETE}


def entries() -> list[dict]:
    return json.loads(Path("base.json").read_text(encoding="utf-8"))["findings"]


def scan(capsys, *paths: str, options: tuple[str, ...] = ()) -> dict:
    """The JSON report of a scan against the baseline."""
    capsys.readouterr()
    main(["scan", *paths, "--baseline", "base.json", "-f", "json", *options])
    return json.loads(capsys.readouterr().out)


def new(report: dict) -> list[tuple[str, str]]:
    return [(one["rule"], one["subject"]) for one in report["findings"]]


def names(report: dict) -> set[str]:
    return {os.path.normpath(one["locations"][0]["artifacts"][0]) for one in report["findings"]}


def test_only_new_findings_are_shown_and_fail(capsys) -> None:
    write(a=SPEC)
    record("a.yml")
    assert main(["a.yml", "--baseline", "base.json", "--fail-on", "note"]) == OK
    write(a=SPEC + "  - name: new\n    image: example.org/new\n")
    assert main(["a.yml", "--baseline", "base.json"]) == FINDINGS
    report = scan(capsys, "a.yml")
    assert new(report) == [("LKI001", "services:example.org/new")]
    assert report["summary"]["baselined"] == len(report["baselined"]) == len(entries())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"a": SPEC}, {"a": "# moved\n\n" + SPEC}, id="moved lines"),
        pytest.param({"a": SPEC}, {"a": HEAD + LOG + WEB}, id="reordered containers"),
        pytest.param({"a": SPEC}, {"a": HEAD + WEB.replace("name: web\n    image", "image") + "    name: web\n" + LOG},
                     id="reordered keys"),
        pytest.param({"a": SPEC}, {"a": None, "z": SPEC}, id="renamed file"),
        pytest.param({"a": SPEC, "b": SPEC}, {"a": None, "b": None, "y": SPEC, "z": SPEC}, id="renamed files"),
        pytest.param({"a": HEAD + WEB, "b": HEAD + LOG}, {"a": None, "b": HEAD + WEB}, id="renamed over another"),
        pytest.param({"a": SPEC}, {"a": HEAD + WEB}, id="mended"),
        pytest.param({"a": SPEC}, {"a": SPEC.replace("example.org/web", "example.org/web:latest")}, id="other value"),
    ],
)  # fmt: skip
def test_what_was_there_before_is_not_new(before, after, capsys) -> None:
    write(**before)
    record(".", options=("--profile", "auditor"))
    write(**after)
    report = scan(capsys, ".", options=("--profile", "auditor"))
    assert new(report) == []
    assert len(report["baselined"]) + report["summary"]["stale"] == len(entries())


@pytest.mark.parametrize(
    ("before", "after", "files"),
    [
        pytest.param({"a": HEAD + LOG}, {"a": SPEC}, {"a.yml"}, id="other container"),
        pytest.param({"a": SPEC}, {"b": SPEC}, {"b.yml"}, id="copied file"),
        pytest.param(
            {"a": SPEC, "b": HEAD + LOG}, {"a": HEAD + LOG, "b": SPEC}, {"b.yml"}, id="mended here, made there"
        ),
        pytest.param(
            {"a": SPEC}, {"a": SPEC + WEB.replace("name: web", "name: web2")}, {"a.yml"}, id="second use of an image"
        ),
    ],
)
def test_another_instance_of_a_problem_is_new(before, after, files, capsys) -> None:
    write(**before)
    record(".")
    write(**after)
    assert names(scan(capsys, ".")) == files


def test_a_part_of_the_files_does_not_lend_each_other_entries(capsys) -> None:
    """As a hook scans them: the files that changed only. Files that the baseline knows keep to their own entries."""
    write(a=SPEC, b=HEAD + LOG)
    record(".")
    write(b=SPEC)
    assert names(scan(capsys, "b.yml")) == {"b.yml"}
    write(b=HEAD + LOG)
    report = scan(capsys, "b.yml")
    assert (new(report), report["summary"]["stale"]) == ([], 0)


def test_paths_start_from_the_folder_of_the_baseline(capsys, monkeypatch) -> None:
    write(a=SPEC, b=SPEC)
    record(".")
    assert {one["path"] for one in entries()} == {"a.yml", "b.yml"}
    os.mkdir("deep")
    monkeypatch.chdir("deep")
    capsys.readouterr()
    assert main(["../a.yml", "--baseline", "../base.json"]) == OK
    assert "of the baseline for what was not looked at" in capsys.readouterr().out


def test_a_finding_that_became_worse_is_new(capsys) -> None:
    getty = "  - name: web\n    image: example.org/web:{}\n    net: new\n    capabilities: []\n"
    write(a=HEAD + getty.format("1.0"))
    record("a.yml", options=("--profile", "auditor"))
    write(a=HEAD + getty.format("05eca453695984a69617f1f1f0bcdae7f7032967-dirty"))
    assert ("LKI002", "services:example.org/web") in new(scan(capsys, "a.yml"))
    write(a=HEAD + getty.format("05eca453695984a69617f1f1f0bcdae7f7032967"))
    assert new(scan(capsys, "a.yml")) == []


def test_a_bind_of_another_path_is_new(capsys) -> None:
    bind = "  - name: x\n    image: example.org/x@sha256:" + "0" * 64 + "\n    binds: [{}:/data]\n"
    write(a=HEAD + bind.format("/etc"))
    record("a.yml")
    assert "LKM002" in {one["rule"] for one in entries()}
    write(a=HEAD + bind.format("/usr/bin"))
    assert "LKM002" in {rule for rule, _ in new(scan(capsys, "a.yml"))}


def test_a_container_more_in_an_aggregated_finding_is_new(capsys) -> None:
    shell = "  - {{name: {0}, image: linuxkit/getty:05eca453695984a69617f1f1f0bcdae7f7032967}}\n"
    options = ("--select", "new-privileges-allowed")
    write(a=HEAD + shell.format("one") + shell.format("two"))
    record("a.yml", options=options)
    assert [one["members"] for one in entries()] == [["services/one", "services/two"]]
    write(a=HEAD + shell.format("two"))
    assert new(scan(capsys, "a.yml", options=options)) == []
    write(a=HEAD + shell.format("two") + shell.format("three"))
    assert new(scan(capsys, "a.yml", options=options)) == [("LKP005", "spec")]


def test_another_wording_resurrects_nothing(capsys) -> None:
    write(a=SPEC + "    nmae: x\n")
    record("a.yml")
    text = Path("base.json").read_text(encoding="utf-8")
    document = json.loads(text)
    for one in document["findings"]:
        one.update(message="Said otherwise.", name="called-otherwise", subject="x")
    Path("base.json").write_text(json.dumps(document), encoding="utf-8")
    assert new(scan(capsys, "a.yml")) == []
    assert main(["baseline", "a.yml", "--update", "base.json"]) == OK
    assert Path("base.json").read_text(encoding="utf-8") == text


def test_what_linuxkit_refuses_is_told_apart_by_its_key_not_its_wording(monkeypatch, capsys) -> None:
    write(a=SPEC + "    nmae: x\n")
    record("a.yml")
    write(a=HEAD + LOG + "    nmae: x\n" + WEB)
    assert new(scan(capsys, "a.yml")) == []
    write(a=SPEC + "    nmae: x\n    mane: x\n")
    assert ("LKS002", "spec") in new(scan(capsys, "a.yml"))


def test_update_drops_what_is_mended_keeps_reasons_and_adds_nothing(capsys) -> None:
    write(a=SPEC)
    record("a.yml")
    document = json.loads(Path("base.json").read_text(encoding="utf-8"))
    (web,) = [one for one in document["findings"] if one["subject"] == "services:example.org/web"]
    web["reason"] = "replaced next month"
    Path("base.json").write_text(json.dumps(document), encoding="utf-8")
    report = scan(capsys, "a.yml")
    assert "replaced next month" in {one["reason"] for one in report["baselined"]}
    assert main(["a.yml", "--baseline", "base.json"]) == OK
    assert "services:example.org/web: replaced next month" in capsys.readouterr().out
    write(a=HEAD + WEB + LOG.replace("log", "new"))
    assert main(["baseline", ".", "--update", "base.json"]) == OK
    assert " kept, 1 dropped, 1 new ones left out (--accept-new adds them)" in capsys.readouterr().out
    assert {one["subject"] for one in entries()} >= {"services:example.org/web"}
    assert "services:example.org/new" not in {one["subject"] for one in entries()}
    assert main(["baseline", ".", "--update", "base.json", "--accept-new"]) == OK
    reasons = {one["subject"]: one["reason"] for one in entries()}
    assert reasons["services:example.org/new"] == ""
    assert reasons["services:example.org/web"] == "replaced next month"


def test_an_update_of_some_files_leaves_the_others_alone_unless_they_are_gone() -> None:
    write(a=SPEC, b=SPEC, c=SPEC)
    record(".")
    write(c=None)
    assert main(["baseline", "a.yml", "--update", "base.json"]) == OK
    assert {one["path"] for one in entries()} == {"a.yml", "b.yml"}


def test_a_renamed_file_keeps_its_entries_under_its_new_name() -> None:
    write(a=SPEC)
    record(".")
    write(a=None, b=SPEC)
    before = len(entries())
    assert main(["baseline", ".", "--update", "base.json"]) == OK
    assert ({one["path"] for one in entries()}, len(entries())) == ({"b.yml"}, before)


@pytest.mark.parametrize("options", [("--select", "LKS*"), ("--ignore", "LKI*,LKN*,LKP*")])
def test_an_update_without_a_rule_keeps_what_it_found(options) -> None:
    write(a=SPEC)
    record(".")
    before = entries()
    write(a="kernel:\n  image: linuxkit/kernel:6.12.59\n")
    assert main(["baseline", ".", "--update", "base.json", *options]) == OK
    assert entries() == before


def test_a_lower_profile_drops_nothing() -> None:
    write(a=SPEC)
    record(".", options=("--profile", "auditor"))
    before = entries()
    assert main(["baseline", ".", "--update", "base.json"]) == OK
    assert entries() == before


def test_what_cannot_be_read_whole_drops_nothing(capsys) -> None:
    write(a=SPEC)
    record("a.yml")
    before = entries()
    write(a=SPEC + "services: [\n")
    assert main(["baseline", "a.yml", "--update", "base.json"]) == INCOMPLETE
    assert entries() == before
    assert scan(capsys, "a.yml")["summary"]["stale"] == 0


def test_a_comment_goes_before_the_baseline_and_is_not_recorded(capsys) -> None:
    silent = SPEC.replace("name: web", "name: web  # lkscan: ignore[LK*] a test")
    write(a=silent)
    record("a.yml")
    report = scan(capsys, "a.yml")
    assert new(report) == []
    assert {one["reason"] for one in report["suppressed"]} == {"a test"}
    assert "services:example.org/web" in {
        subject for _, subject in new(scan(capsys, "a.yml", options=("--no-ignores",)))
    }
    assert main(["baseline", "a.yml", "--no-ignores", "--update", "base.json", "--accept-new"]) == OK
    assert new(scan(capsys, "a.yml", options=("--no-ignores",))) == []


def test_entries_without_a_finding_are_told(capsys) -> None:
    write(a=SPEC)
    record("a.yml")
    write(a=HEAD + WEB)
    assert main(["a.yml", "--baseline", "base.json"]) == OK
    assert (
        "1 entry of the baseline without a finding (`lkscan baseline --update` drops them)" in capsys.readouterr().out
    )
    report = scan(capsys, "a.yml")
    assert [one["subject"] for one in report["stale"]] == ["services:example.org/log"]


def test_a_rebuilt_image_of_another_name_and_order_is_known(capsys) -> None:
    def build(name: str, order: tuple[str, ...]) -> None:
        config = json.dumps({"ociVersion": "1.0.0", "process": {"args": ["/x"], "noNewPrivileges": True}}).encode()
        items = [entry("boot/cmdline", b"mitigations=off")]
        for number, one in enumerate(order):
            folder = f"containers/onboot/{number:03}-{one}"
            items += [entry(f"{folder}/config.json", config), entry(f"{folder}/rootfs/bin/su", b"\x7fELF", mode=0o6755)]
        Path(name).write_bytes(archive(*items))

    build("one.tar", ("a", "b"))
    record("one.tar")
    assert {"LKC001", "LKF002"} <= {one["rule"] for one in entries()}
    build("two.tar", ("b", "a"))
    report = scan(capsys, "two.tar")
    assert new(report) == []
    assert len(report["baselined"]) == len(entries())
    build("two.tar", ("b", "a", "c"))
    assert {subject for _, subject in new(scan(capsys, "two.tar"))} == {"containers/*/bin/su"}


def test_the_file_is_the_same_whatever_the_order_and_has_a_line_for_each_fact(capsys) -> None:
    write(a=SPEC, b=HEAD + WEB)
    main(["baseline", "a.yml", "b.yml"])
    first = capsys.readouterr().out
    main(["baseline", "b.yml", "a.yml"])
    assert capsys.readouterr().out == first
    assert first.isascii()
    assert max(map(len, first.splitlines())) < 300
    assert '\n   "reason": ""' in first


def test_no_secret_gets_into_the_file(capsys) -> None:
    secret = "Zq8!vT3#" + "mB6$kW9x"
    text = HEAD + WEB + f"    env: ['DB_PASSWORD={secret}', '{secret}']\n    nmae: '{secret}'\n"
    text += f"files:\n  - path: etc/x\n    contents: |\n      password = {secret}\n"
    for one in (text, text.replace("nmae", "command"), text.replace("files:", "fi les: [")):
        write(a=one)
        main(["baseline", "a.yml", "--profile", "auditor"])
        assert secret not in capsys.readouterr().out


def test_a_baseline_is_never_overwritten_by_recording(capsys) -> None:
    write(a=SPEC)
    record("a.yml")
    assert main(["baseline", "a.yml", "-o", "base.json"]) == USAGE
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["baseline", "a.yml", "--accept-new"]) == USAGE


GOOD = {"path": "a.yml", "rule": "LKI001", "severity": "low", "fingerprint": "0" * 32}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"version": ' + b"9" * 1_000_000 + b"}", "is of version"),
        (b" " * (17 << 20), "more than 16 MiB"),
        (b"[]", "is no baseline"),
        (b'{"version": true}', "is no baseline"),
        (b'{"version": 2, "findings": {}}', "of version 2, this lkscan reads version 1"),
        (b'{"version": 1}', "holds 'version' and a list of 'findings'"),
        (b'{"version": 1, "findings": [], "more": 1}', "and nothing else"),
        ([1], "finding 1 is no object"),
        ([GOOD, {**GOOD, "resaon": "x"}], "finding 2 has an unknown key 'resaon'"),
        ([{"path": "a.yml"}], "finding 1 has no 'rule'"),
        ([{**GOOD, "path": 1}], "has a 'path' that is no text"),
        ([{**GOOD, "severity": "awful"}], "has no severity out of"),
        ([{**GOOD, "severity": []}], "has a 'severity' that is no text"),
        ([{**GOOD, "members": [1]}], "has 'members' that are no texts"),
        ([{**GOOD, "\x1b[31m": 1}], "unknown key '\\x1b[31m'"),
    ],
)
@pytest.mark.parametrize("command", [["scan", "--baseline"], ["baseline", "--update"]])
def test_a_file_that_is_no_baseline_is_told_in_one_line(command, content, words, capsys) -> None:
    write(a=SPEC)
    if isinstance(content, list):
        content = json.dumps({"version": 1, "findings": content}).encode()
    if content is not None:
        Path("base.json").write_bytes(content)
    assert main([*command, "base.json", "a.yml"]) == USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("lkscan: base.json: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert content is None or Path("base.json").read_bytes() == content


@pytest.mark.parametrize("path", ["\0", "\ud800", "/" * 5000, "../" * 3000, "-", ""])
def test_any_path_and_text_in_an_entry_is_harmless(path, capsys) -> None:
    write(a=SPEC)
    hostile = {**GOOD, "path": path, "message": "\x1b[2J\ud800", "reason": "\n\x07", "subject": "x\n"}
    Path("base.json").write_text(json.dumps({"version": 1, "findings": [hostile] * 3}), encoding="utf-8")
    assert main(["a.yml", "--baseline", "base.json"]) == FINDINGS
    assert "\x1b" not in capsys.readouterr().out
    scan(capsys, "a.yml")
    assert main(["baseline", "a.yml", "--update", "base.json"]) == OK


def test_a_baseline_may_come_through_a_pipe(capsys) -> None:
    write(a=SPEC)
    record("a.yml")
    end, source = os.pipe()
    os.write(source, Path("base.json").read_bytes())
    os.close(source)
    assert main(["a.yml", "--baseline", f"/dev/fd/{end}"]) == OK
    os.close(end)


@engine.rule("LKT001", "loud-word", Severity.HIGH, "'{0}' is loud.", remedy="Hush.", nist=())
def loud(container: Container):
    """Never asked: findings are made by hand here."""
    yield from ()


FOUND = st.builds(
    lambda subject, path, severity, members: Finding.of(
        loud, engine.fail(subject, Place((path,)), "x", severity=severity, members=members)
    ),
    st.sampled_from("ab"),
    st.sampled_from(["/x/a", "/x/b", "/x/c"]),
    st.sampled_from(Severity),
    st.sets(st.sampled_from("mn"), max_size=2).map(sorted),
)
FINDINGS_ = st.lists(FOUND, max_size=8)


def judge(before: list[Finding], after: list[Finding], gone: frozenset[str] = frozenset()):
    empty = Baseline((), "/x")
    known = Baseline(tuple(map(empty.entry, before)), "/x", gone)
    read = {one.place.artifacts[0] for one in after}
    return compare(known, after, read=read, broken=(), rules={"LKT001"})


@given(FINDINGS_, st.randoms())
def test_a_baseline_accepts_all_it_was_made_of_in_any_order(findings, random) -> None:
    shuffled = random.sample(findings, len(findings))
    accepted, comparison = judge(findings, shuffled)
    assert len(accepted) == len(findings)
    assert (comparison.stale, comparison.unseen) == ((), 0)


@given(FINDINGS_, FOUND, st.integers(1, 3))
def test_each_instance_more_is_new(findings, extra, times) -> None:
    accepted, _ = judge(findings, findings + [extra] * times)
    least = sum(extra.fingerprint == one.fingerprint for one in findings)
    assert len(findings) + times - len(accepted) >= min(times, times if least == 0 else 1)
    assert len(accepted) <= len(findings)


@given(FINDINGS_, FINDINGS_)
def test_no_entry_accepts_two_findings_or_a_worse_one(before, after) -> None:
    accepted, comparison = judge(before, after)
    assert len(accepted) <= len(before)
    assert all(entry.severity >= after[index].severity for index, entry in accepted.items())
    assert all(set(after[index].members) <= set(entry.members) for index, entry in accepted.items())
    assert len(comparison.kept) + len(comparison.stale) == len(before)
    again, _ = judge(before, list(chain(after)))
    assert again == accepted


@given(FINDINGS_, FINDINGS_)
def test_an_update_never_makes_anything_new(before, after) -> None:
    """What is accepted today is accepted by the updated baseline as well, and nothing of it is stale."""
    accepted, comparison = judge(before, after)
    read = {one.place.artifacts[0] for one in after}
    updated = Baseline(comparison.kept, "/x")
    again, later = compare(updated, after, read=read, broken=(), rules={"LKT001"})
    assert len(again) >= len(accepted)
    assert later.stale == ()


def test_too_many_findings_are_refused_before_anything_is_written(monkeypatch, capsys) -> None:
    monkeypatch.setattr(baselines, "_SIZE", 100)
    write(a=SPEC)
    assert main(["baseline", "a.yml", "-o", "base.json"]) == USAGE
    assert not Path("base.json").exists()
