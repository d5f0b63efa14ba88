"""The GitHub action: its scripts are run as a runner would, with the files and variables that a runner gives."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_cli import BAD, CLEAN

ROOT = Path(__file__).resolve().parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def run(tmp_path):
    (tmp_path / "bad.yml").write_text(BAD)
    (tmp_path / "clean.yml").write_text(CLEAN)
    files = {name: tmp_path / f"runner-{name.lower()}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    installed = tmp_path / "temp/lkscan/bin/lkscan"  # what the first step installs
    installed.parent.mkdir(parents=True)
    installed.symlink_to(Path(sys.executable).with_name("lkscan"))

    def scan(**inputs):
        given = {name: one.get("default", "") for name, one in ACTION["inputs"].items()} | inputs
        values = {
            name: given[text.removeprefix("${{ inputs.").removesuffix(" }}")]
            for name, text in STEPS["Scan"]["env"].items()
        }
        variables = {"RUNNER_TEMP": str(tmp_path / "temp"), **{name: str(path) for name, path in files.items()}}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS["Scan"]["run"]],
            cwd=tmp_path,
            env={**os.environ, **values, **variables, "LKSCAN_DATE": "2026-01-01"},
            capture_output=True,
            text=True,
            check=True,
        )
        status = files["GITHUB_OUTPUT"].read_text().rpartition("=")[2].strip()
        summary = files["GITHUB_STEP_SUMMARY"]
        return done.stdout, status, summary.read_text() if summary.exists() else ""

    return scan


def test_findings_are_annotations_a_report_and_a_summary(run, tmp_path):
    said, status, summary = run(paths="bad.yml")
    assert status == "1"
    assert "::error file=bad.yml," in said
    assert summary.startswith("### lkscan: ")
    assert json.loads((tmp_path / "lkscan.sarif").read_text())["runs"][0]["results"]


def test_a_clean_spec_passes(run):
    assert run(paths="clean.yml")[1] == "0"


def test_paths_and_arguments_are_words_and_no_commands(run, tmp_path):
    _, status, _ = run(**{"paths": "clean.yml\nbad.yml", "arguments": "--profile pedantic", "fail-on": "never"})
    assert status == "0"
    _, status, _ = run(paths="clean.yml; touch harmed $(touch harmed) `touch harmed`")
    assert status == "2"
    assert not (tmp_path / "harmed").exists()


def test_what_cannot_be_read_is_told(run):
    said, status, _ = run(paths="nowhere.yml")
    assert status == "2"
    assert "::error title=lkscan::nowhere.yml" in said


def test_no_script_of_a_step_holds_an_expression():
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")


def test_every_input_and_output_is_explained():
    for one in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
        assert one["description"].endswith(".")


@pytest.mark.parametrize(
    ("kind", "name", "number"),
    [("github-actions", "action.yml", None), ("github-workflows", "docs/ci.md", 1), ("gitlab-ci", "docs/ci.md", 2)],
)
def test_the_action_and_the_examples_fit_the_schemas_of_their_hosts(kind, name, number, tmp_path):
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema, which brings the schemas")
    text = (ROOT / name).read_text(encoding="utf-8")
    if number is not None:
        text = re.findall("^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[number]
    path = tmp_path / "checked.yml"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
