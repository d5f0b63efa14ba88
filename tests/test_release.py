"""What is released: built the same every time, complete, installed where nothing else is, and told of truly."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import tomli
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import lkscan

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FLOORS = ("lkscan", "scanner", "rules", "reports")
TOOLS = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked():
    """Files of this work tree that a commit of it would hold."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git, and a checkout")
    listed = run("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    return [name for name in listed if name and os.path.lexists(ROOT / name)]


def checkout(folder, *, mask, time):
    """A copy of the work tree as somebody else has it: with another umask, and of another day."""
    old = os.umask(mask)
    try:
        for name in tracked():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name, follow_symlinks=False)
            if not (folder / name).is_symlink():
                (folder / name).chmod(0o777 & ~mask if os.access(ROOT / name, os.X_OK) else 0o666 & ~mask)
                os.utime(folder / name, (time, time))
    finally:
        os.umask(old)
    return folder


def build(folder, *what):
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
    run(sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", folder / "dist", folder, env=environment)
    return {path.suffix: path for path in (folder / "dist").iterdir()}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The source archive, and the wheel that is built from it."""
    return build(checkout(tmp_path_factory.mktemp("first"), mask=0o022, time=1_700_000_000))


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """The same from another checkout, the wheel from the tree itself."""
    return build(checkout(tmp_path_factory.mktemp("second"), mask=0o002, time=1_750_000_000), "--sdist", "--wheel")


@pytest.fixture(scope="module")
def wheel(first):
    with zipfile.ZipFile(first[".whl"]) as archive:
        yield archive


@pytest.fixture(scope="module")
def installed(first, tmp_path_factory):
    """The Python of an environment that holds the wheel, what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True)
    done = subprocess.run(
        [folder / "bin/python", "-m", "pip", "install", "--quiet", first[".whl"]],
        capture_output=True,
        text=True,
        check=False,
    )
    if re.search("NewConnectionError|NameResolutionError", done.stderr):
        pytest.skip("needs a package index")
    assert done.returncode == 0, done.stderr
    return folder / "bin/python"


def test_every_build_gives_the_same_bytes_and_the_source_archive_the_same_wheel(first, second):
    assert sorted(first) == sorted(second) == [".gz", ".whl"]
    for suffix, path in first.items():
        assert path.read_bytes() == second[suffix].read_bytes(), suffix


def test_an_index_would_take_them(first):
    run(sys.executable, "-m", "twine", "check", "--strict", *first.values())


def test_the_wheel_holds_what_is_run_and_nothing_else(wheel):
    wanted = {
        name if name.startswith("lkscan/") else f"lkscan/{name}" for name in tracked() if name.split("/")[0] in FLOORS
    }
    links = {f"lkscan/{name}" for name in FLOORS}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted - links


def test_the_version_is_written_once(wheel):
    (name,) = [one for one in wheel.namelist() if one.endswith("/METADATA")]
    assert message_from_bytes(wheel.read(name))["Version"] == lkscan.__version__
    code = [name for name in tracked() if name.endswith((".py", "pyproject.toml")) and name.split("/")[0] != "tests"]
    literal = re.compile(rf"""["']{re.escape(lkscan.__version__)}["']""")
    assert [one for one in code if literal.search((ROOT / one).read_text(encoding="utf-8"))] == ["lkscan/__init__.py"]


def test_the_changelog_begins_with_this_version_and_goes_back_in_time():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    versions = [Version(version) for version, _ in heads]
    assert str(versions[0]) == lkscan.__version__
    assert versions == sorted(versions, reverse=True)
    assert "unreleased" not in [day for _, day in heads[1:]]
    assert text.count("\n## ") == len(heads)


def test_the_installed_wheel_does_the_main_job(installed, tmp_path):
    """A spec and an image of it, in a folder where there is nothing of the source, with no variable set."""

    def said(status, *arguments):
        command = [installed.with_name("lkscan"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (status, ""), done.stdout + done.stderr
        return done.stdout

    for name in ("bad.yml", "exemplary.yml"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    run(installed, ROOT / "examples/build_demo_iso.py", tmp_path / "demo.iso", cwd=tmp_path)
    assert said(0, "--version") == f"lkscan {lkscan.__version__}\n"
    assert "No findings" in said(0, "exemplary.yml")
    assert "LKP002" in said(1, "bad.yml")
    assert said(1, "demo.iso", "--profile", "auditor", "-o", "a.sarif", "-o", "a.html", "-o", "a.json", "-o", "a.md")
    assert json.loads((tmp_path / "a.sarif").read_text())["runs"][0]["results"]
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert "What it does" in said(0, "explain", "LKP002")
    assert "capabilities" in said(0, "inspect", "demo.iso", "--files", "--binaries")
    where = run(installed, "-c", "import lkscan; print(lkscan.scan.__code__.co_filename)", cwd=tmp_path)
    assert where.startswith(str(installed.parent.parent))


def test_the_bill_of_materials_names_all_that_the_wheel_brings_along(installed):
    printed = run(TOOLS / "cyclonedx-py", "environment", installed, "--output-reproducible")
    known = {part["name"].lower().replace("_", "-"): part for part in json.loads(printed)["components"]}
    wanted = [Requirement(text) for text in PROJECT["dependencies"]]
    wanted = {one.name.lower() for one in wanted if one.marker is None or one.marker.evaluate()}
    assert wanted | {"lkscan", "markupsafe"} <= known.keys()
    assert known["lkscan"]["version"] == lkscan.__version__


# --- workflows


def steps():
    for path in [*WORKFLOWS, ROOT / "action.yml"]:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for job in content.get("jobs", {"": content.get("runs")}).values():
            yield from job["steps"]


def test_the_workflows_have_nothing_that_zizmor_complains_of():
    run(TOOLS / "zizmor", "--offline", "--no-progress", "--persona", "auditor", *WORKFLOWS, ROOT / "action.yml")


def test_actions_are_named_by_commit_with_their_version_beside_it():
    text = "".join(path.read_text(encoding="utf-8") for path in [*WORKFLOWS, ROOT / "action.yml"])
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert len(used) == len([one for one in steps() if "uses" in one]) > 0
    assert [one for one in used if not re.fullmatch(r"[\w/.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", "".join(one))] == []


def test_what_the_workflows_make_and_run_is_there():
    lines = "\n".join(step.get("run", "") for step in steps())
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z-]+)", lines)) <= set(targets)
    assert [
        name for name in re.findall(r"(?:tests|benchmarks|\.ci)/[\w./]+", lines) if not (ROOT / name).exists()
    ] == []


def test_only_the_jobs_that_sign_or_publish_may_do_so():
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    writing = {
        name: sorted(key for key, value in job["permissions"].items() if value == "write")
        for name, job in release["jobs"].items()
    }
    assert writing == {
        "build": [],
        "attest": ["attestations", "id-token"],
        "publish": ["id-token"],
        "announce": ["contents"],
    }
