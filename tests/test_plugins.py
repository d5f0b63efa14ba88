"""Own rules in Python: what an installed package offers under `lkscan.rules`, and what a broken one costs."""

import json
import textwrap
from pathlib import Path

import pytest

from lkscan.cli import FINDINGS, OK, USAGE, main

RULES = '''
from collections.abc import Iterator
from lkscan.rules.engine import Severity, Verdict, fail, rule
from lkscan.scanner.subjects import KernelCommandLine

@rule("ACME101", "quiet-by-python", Severity.HIGH, "It says '{0}'.", remedy="Leave it out.", nist=("3.5.2",))
def quiet(line: KernelCommandLine) -> Iterator[Verdict]:
    """The kernel is told to be quiet."""
    if "quiet" in line.text:
        yield fail("line", line.place, "quiet")

RULES = (quiet,)
'''
SPEC = f'kernel: {{image: "k@sha256:{"a" * 64}", cmdline: quiet}}\nservices: [{{name: web, image: nginx, pid: host}}]\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Install a package with an entry point, under a name of its own for each test; gives what writes its module."""
    packages = tmp_path / "site"
    name = f"acme_{tmp_path.name.replace('-', '_')}"[:60]
    info = packages / "acme-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[lkscan.rules]\nacme = {name}:RULES\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path / "none"))
    Path("linuxkit.yml").write_text(SPEC, encoding="utf-8")
    Path("lkscan.toml").write_text('plugins = ["acme"]\n', encoding="utf-8")

    def write(text: str) -> None:
        (packages / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")

    return write


def test_the_rules_of_a_plugin_are_rules_like_all_others(folder, capsys) -> None:
    folder(RULES)
    assert main(["linuxkit.yml", "--select", "ACME101", "-f", "json"]) == FINDINGS
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["message"] == "It says 'quiet'."
    assert main(["rules"]) == OK
    assert "ACME101  quiet-by-python" in capsys.readouterr().out
    assert main(["explain", "quiet-by-python"]) == OK
    assert "from             plugin acme" in capsys.readouterr().out
    assert main(["linuxkit.yml", "-f", "sarif"]) == FINDINGS
    assert "QuietByPython" in capsys.readouterr().out


def test_nothing_is_loaded_that_no_configuration_names(folder, capsys) -> None:
    folder("raise SystemExit(9)")
    Path("lkscan.toml").write_text("", encoding="utf-8")
    assert main(["linuxkit.yml"]) == FINDINGS
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no\\nluck')", "ValueError: no luck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("x = (", "SyntaxError: "),
        ("", "AttributeError: "),
        ("RULES = 1", "TypeError: "),
        ("RULES = (1,)", "TypeError: "),
        (RULES.replace("ACME101", "LKP999"), "its rule LKP999 has an id that begins with LK"),
        (RULES.replace("quiet-by-python", "host-pid-namespace"), "its rule ACME101 has the id or name of LKN001"),
        (RULES.replace("3.5.2", "9.9.9"), "its rule ACME101 refers to 9.9.9"),
        (RULES.replace('"""The kernel is told to be quiet."""', ""), "TypeError: "),
        ("from __future__ import annotations\n" + RULES, "TypeError: "),
    ],
)
def test_a_broken_plugin_is_told_by_name_and_the_rest_goes_on(folder, capsys, text, message) -> None:
    folder(text)
    assert main(["linuxkit.yml"]) == USAGE
    printed = capsys.readouterr()
    assert printed.err.startswith(f"lkscan: lkscan.toml: plugin acme is broken: {message}")
    assert len(printed.err.splitlines()) == 1
    assert "LKN001" in printed.out
    assert main(["rules"]) == USAGE
    assert main(["linuxkit.yml", "--no-config"]) == FINDINGS


def test_a_plugin_that_is_not_installed_is_told(folder, capsys) -> None:
    Path("lkscan.toml").write_text('plugins = ["gone"]\n', encoding="utf-8")
    assert main(["linuxkit.yml"]) == USAGE
    assert (
        "plugin gone is broken: LookupError: no installed package has an entry point 'gone'" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULES.replace('yield fail("line", line.place, "quiet")', "raise KeyError('x\\ny')"), "KeyError: 'x\\ny'"),
        (RULES.replace('line.place, "quiet"', "line.place"), "IndexError: "),
        (RULES.replace('"quiet")\n\nRULES', '"quiet", variant="none")\n\nRULES'), "KeyError: 'none'"),
    ],
)
def test_a_rule_that_crashes_is_told_by_name_and_the_rest_goes_on(folder, capsys, text, message) -> None:
    folder(text)
    assert main(["linuxkit.yml"]) == USAGE
    printed = capsys.readouterr()
    assert f"rule ACME101 of plugin acme failed: {message}" in printed.err
    assert len(printed.err.splitlines()) == 1
    assert "LKN001" in printed.out
