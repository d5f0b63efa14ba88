"""The command line: exit status, what is printed where, and no traceback for anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lkscan
from lkscan.cli import FINDINGS, INCOMPLETE, OK, USAGE, main
from lkscan.reports import formats

CLEAN = """kernel:
  image: linuxkit/kernel:6.12.59
init:
  - linuxkit/init:b5506cc74a6812dc40982cacfd2f4328f8a4b12a
"""
BAD = CLEAN + "services:\n  - name: web\n    image: nginx\n    capabilities: [all]\n"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a spec and give its name; the scan runs in its folder, with no LinuxKit cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("LKSCAN_DATE", "2026-11-23")

    def write(text: str | bytes, name: str = "linuxkit.yml") -> str:
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return name

    return write


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        (CLEAN, [], OK),
        (BAD, [], FINDINGS),
        (BAD, ["--fail-on", "critical"], FINDINGS),
        (BAD, ["--fail-on", "never"], OK),
        (BAD, ["--select", "LKI*", "--fail-on", "high"], OK),
        (BAD, ["--ignore", "LKP*,LKM*,LKN*,unpinned-image"], OK),
        (BAD, ["--select", "no-such-rule"], USAGE),
        (BAD, ["--date", "yesterday"], USAGE),
        (BAD, ["--date", "2020-01-01"], FINDINGS),
        (BAD, ["-o", "report.pdf"], USAGE),
        (BAD, ["-o", "missing/report.json"], USAGE),
        (BAD, ["--packages", "missing"], USAGE),
        (BAD, ["--cache", "missing"], USAGE),
        ("jobs: {}\n", [], USAGE),
        ("jobs: {}\n", ["--if-linuxkit"], OK),
        ("services: [\n", [], INCOMPLETE),
        ("", [], USAGE),
    ],
)
def test_the_exit_status_tells(spec, text, options, status, capsys) -> None:
    assert main([spec(text), *options]) == status
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    if status in {USAGE, INCOMPLETE}:
        assert printed.err.startswith("lkscan: ")
        assert len(printed.err.splitlines()) == 1


def test_a_problem_does_not_stop_the_other_inputs(spec, capsys) -> None:
    assert main(["gone.yml", spec(BAD)]) == USAGE
    printed = capsys.readouterr()
    assert printed.err == "lkscan: gone.yml: no such file or directory\n"
    assert "LKP002" in printed.out


def test_reports_are_written_by_suffix_beside_the_one_printed(spec, capsys) -> None:
    assert main(["scan", spec(BAD), "-f", "json", "-o", "a.sarif", "-o", "b.txt"]) == FINDINGS
    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert json.loads(Path("a.sarif").read_text())["version"] == "2.1.0"
    assert "LKP002" in Path("b.txt").read_text()


@pytest.mark.parametrize("style", formats.FORMATS)
def test_the_same_input_gives_the_same_bytes(spec, capsys, style) -> None:
    name = spec(BAD)
    main([name, "-f", style])
    first = capsys.readouterr().out
    main([name, "-f", style])
    assert capsys.readouterr().out == first


def test_colour_is_for_terminals_or_on_request(spec, capsys, monkeypatch) -> None:
    name = spec(BAD)
    main([name])
    assert "\033[" not in capsys.readouterr().out
    main([name, "--color", "always"])
    assert "\033[" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    main([name])
    assert "\033[" not in capsys.readouterr().out


@pytest.mark.parametrize(("columns", "limit"), [("72", 72), ("9999", 160), ("20", 72)])
def test_the_text_fits_the_terminal(spec, capsys, monkeypatch, columns, limit) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    main([spec(BAD)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= limit
    monkeypatch.setenv("COLUMNS", "wide")
    main([spec(BAD)])
    assert max(map(len, capsys.readouterr().out.splitlines())) > limit


def test_merged_specs_are_judged_as_one(spec, capsys) -> None:
    one = spec("services:\n  - {name: web, image: 'a@sha256:%s'}\n" % ("b" * 64), "a.yml")
    two = spec("services:\n  - {name: web, image: 'a@sha256:%s'}\n" % ("b" * 64), "b.yml")
    assert main([one, two]) == OK
    capsys.readouterr()
    assert main([one, two, "--merge"]) == FINDINGS
    assert "LKS003" in capsys.readouterr().out


def test_inspect_prints_what_linuxkit_would_build(spec, capsys) -> None:
    assert main(["inspect", "-f", "json", spec(BAD), "gone.yml"]) == USAGE
    good, bad = json.loads(capsys.readouterr().out)
    (container,) = good["containers"]
    assert (container["section"], container["name"], container["image"]) == ("services", "web", "nginx")
    assert len(container["oci"]["process"]["capabilities"]["bounding"]) == 41
    assert (good["error"], bad["error"]) == (None, "no such file or directory")


def test_inspect_says_why_linuxkit_would_refuse(spec, capsys) -> None:
    assert main(["inspect", "-f", "json", spec("services:\n  - nmae: x\n")]) == OK
    assert "nmae" in json.loads(capsys.readouterr().out)[0]["error"]


def test_inspect_draws_a_tree_for_people(spec, capsys) -> None:
    assert main(["inspect", spec(BAD)]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "linuxkit.yml  (spec)"
    assert "  services/web  nginx (label unknown)" in lines
    assert "    capabilities: all 41" in lines


def test_rules_and_explain_say_what_is_checked(capsys) -> None:
    assert main(["rules"]) == OK
    assert "LKP002" in capsys.readouterr().out
    assert main(["rules", "-f", "markdown"]) == OK
    assert "|" in capsys.readouterr().out
    assert main(["explain", "lkp002", "host-pid-namespace"]) == OK
    printed = capsys.readouterr().out
    assert "host-root-equivalent" in printed
    assert "LKN001" in printed
    assert main(["explain", "LKZ999"]) == USAGE
    assert "LKZ999" in capsys.readouterr().err


def test_no_arguments_print_the_help_and_fail(capsys) -> None:
    assert main([]) == USAGE
    assert "usage: lkscan" in capsys.readouterr().err


def test_the_version_is_told(capsys) -> None:
    assert main(["--version"]) == OK
    assert capsys.readouterr().out == f"lkscan {lkscan.__version__}\n"


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_succeeds(option, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main([option])
    assert end.value.code == 0
    assert "lkscan" in capsys.readouterr().out


def test_the_public_api_scans(spec) -> None:
    result = lkscan.scan([spec(BAD)])
    assert "LKP002" in {finding.rule.id for finding in result.findings}
    with pytest.raises(AttributeError):
        lkscan.no_such_name  # noqa: B018


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lkscan", *arguments], capture_output=True, text=True, check=False, **options
    )


def test_it_runs_as_a_module_and_reads_standard_input(tmp_path: Path) -> None:
    done = run("-", input=BAD, cwd=tmp_path)
    assert done.returncode == FINDINGS, done.stderr
    assert "LKP002" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(spec) -> None:
    name = spec(BAD)
    command = [sys.executable, "-m", "lkscan", name, "-f", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == OK


def test_an_interrupt_ends_without_a_traceback(monkeypatch) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("lkscan.cli.main", interrupt)
    from lkscan.cli import run as script

    with pytest.raises(SystemExit) as end:
        script()
    assert end.value.code == 130


def test_names_that_are_no_text_are_printed_escaped(spec, tmp_path: Path) -> None:
    name = os.fsdecode(b"bad-\xff.yml")
    spec(BAD, name)
    done = run(name, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == FINDINGS, done.stderr
    assert "bad-" in done.stdout


def test_a_terminal_that_has_ascii_only_gets_plain_bars(spec, tmp_path: Path) -> None:
    name = spec(BAD.replace("web", '"w\u00e9b"'))
    done = run(name, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"})
    assert done.returncode == FINDINGS, done.stderr
    assert "  #########. >9.0 UNSAFE  services/w\\xe9b" in done.stdout
    assert "\\u25" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profle", "x", "a.yml"], "unrecognized arguments: --profle"),
        (["--fail-on", "hgh", "a.yml"], "argument --fail-on: invalid choice: 'hgh'"),
        (["inspect"], "the following arguments are required: PATH"),
        (["--\x1b[31m", "a.yml"], "--\\x1b[31m"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments, words, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == USAGE
    error = capsys.readouterr().err
    assert words in error
    assert error.endswith("--help` says more\n")
    assert error.count("\n") == 1


def test_an_empty_path_is_told(capsys) -> None:
    assert main([""]) == USAGE
    assert capsys.readouterr().err == "lkscan: : the path is empty\n"


def test_a_hint_reaches_standard_error(spec, capsys) -> None:
    assert main([spec(BAD.replace("    image", "\timage"))]) == INCOMPLETE
    assert "tabs" in capsys.readouterr().err


def test_no_name_floods_the_terminal(spec, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([spec(BAD.replace("web", "w" * 100_000))]) == FINDINGS
    assert max(map(len, capsys.readouterr().out.splitlines())) < 300


def test_a_dumb_terminal_gets_no_colour(spec, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for term, painted in (("xterm", True), ("dumb", False)):
        monkeypatch.setenv("TERM", term)
        main([spec(BAD)])
        assert ("\033[" in capsys.readouterr().out) is painted


SILENCED = BAD.replace("name: web", "name: web  # lkscan: ignore[LK*] a test")


@pytest.mark.parametrize(
    ("text", "options", "status"),
    [
        (SILENCED, ["--fail-on", "note"], OK),
        (SILENCED, ["--no-ignores"], FINDINGS),
        (SILENCED, ["--require-reason"], OK),
        (SILENCED.replace(" a test", ""), [], OK),
        (SILENCED.replace(" a test", ""), ["--require-reason"], FINDINGS),
        (SILENCED.replace("a test", "(until 2026-11-23)"), [], OK),
        (SILENCED.replace("a test", "(until 2026-11-23)"), ["--date", "2026-11-24"], FINDINGS),
        (CLEAN + "# lkscan: ignore[LKZ999]\n", ["--fail-on", "medium"], FINDINGS),
        (CLEAN + "# lkscan: ignore[LKZ999]\n", ["--no-ignores", "--fail-on", "note"], OK),
    ],
)
def test_comments_in_a_spec_silence_findings(spec, text, options, status, capsys) -> None:
    assert main([spec(text), *options]) == status
    out = capsys.readouterr().out
    assert ("Suppressed" in out) is ("LK*" in text and status == OK)


def test_a_silenced_finding_is_told_with_its_reason(spec, capsys) -> None:
    assert main([spec(SILENCED), "-o", "report.json"]) == OK
    assert "  LKI001  linuxkit.yml:7:12 services:nginx: a test" in capsys.readouterr().out
    told = json.loads(Path("report.json").read_text(encoding="utf-8"))["suppressed"]
    assert {one["reason"] for one in told} == {"a test"}
