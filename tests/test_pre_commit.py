"""The hooks work in a real repository: a finding stops a commit, its mending lets it through."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRE_COMMIT = shutil.which("pre-commit") or shutil.which("pre-commit", path=str(Path(sys.executable).parent))
BAD_MODE = "files:\n  - path: etc/motd\n    contents: hello\n    mode: 0644  # for all to read\n"
FOREIGN = "on: push\njobs: {build: {steps: []}}\n"

pytestmark = [
    pytest.mark.skipif(PRE_COMMIT is None, reason="needs pre-commit"),
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    """This work tree as one commit of a repository of its own: what a user's hook installs from."""
    target = tmp_path_factory.mktemp("hooks") / "lkscan"
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        if os.path.lexists(ROOT / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return commit_all(target)


@pytest.fixture
def project(tmp_path):
    """A user's repository with one bad spec and one foreign YAML file, staged."""
    shutil.copy(ROOT / "examples/bad.yml", tmp_path / "linuxkit.yml")
    (tmp_path / "workflow.yml").write_text(FOREIGN)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """pre-commit and what it calls keep their files here, and git has no configuration but this."""
    folder = tmp_path_factory.mktemp("home")
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    here = dict.fromkeys(("PRE_COMMIT_HOME", "XDG_CACHE_HOME", "VIRTUALENV_OVERRIDE_APP_DATA"), str(folder))
    here |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**identity, **here}.items():
            patch.setenv(name, value)
        patch.delenv("PRE_COMMIT_ALLOW_NO_CONFIG", raising=False)
        yield


def git(folder, *arguments):
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


def commit_all(folder):
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def configure(project, snapshot, hook="lkscan"):
    revision = git(snapshot, "rev-parse", "HEAD").strip()
    (project / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {snapshot}\n  rev: {revision}\n  hooks:\n  - id: {hook}\n"
    )
    git(project, "add", ".")


def test_try_repo_finds_what_is_wrong(project, snapshot):
    status, output = run(project, PRE_COMMIT, "try-repo", snapshot, "lkscan", "--files", "linuxkit.yml")
    assert status == 1, output
    assert "LKP002" in output


def test_a_finding_stops_the_commit_and_its_mending_lets_it_through(project, snapshot):
    configure(project, snapshot)
    run(project, PRE_COMMIT, "install")
    status, output = run(project, "git", "commit", "--message", "bad")
    assert status == 1, output
    assert "LKP002" in output
    assert "workflow.yml" not in output
    shutil.copy(ROOT / "examples/exemplary.yml", project / "linuxkit.yml")
    git(project, "add", ".")
    status, output = run(project, "git", "commit", "--message", "good")
    assert status == 0, output
    assert "Passed" in output


def test_the_fix_hook_mends_what_is_staged_and_lets_the_mended_spec_through(project, snapshot):
    (project / "linuxkit.yml").write_text(BAD_MODE)
    configure(project, snapshot, "lkscan-fix")
    run(project, PRE_COMMIT, "install")
    status, output = run(project, "git", "commit", "--message", "bad")
    assert status == 1, output
    assert "files were modified by this hook" in output
    assert "LKS002 schema-violation: write the value as LinuxKit takes it" in output
    assert (project / "linuxkit.yml").read_text() == BAD_MODE.replace("0644", '"0644"')
    assert (project / "workflow.yml").read_text() == FOREIGN
    git(project, "add", ".")
    status, output = run(project, "git", "commit", "--message", "good")
    assert status == 0, output
    assert "Passed" in output


def test_foreign_yaml_alone_passes_without_a_word(project, snapshot):
    configure(project, snapshot)
    status, output = run(project, PRE_COMMIT, "run", "lkscan", "--verbose", "--files", "workflow.yml")
    assert status == 0, output
    assert "workflow.yml" not in output


def test_the_image_hook_audits_an_image(project, snapshot):
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import build_demo_iso
    finally:
        sys.path.remove(str(ROOT / "examples"))
    build_demo_iso.main([str(project / "demo.iso")])
    arguments = ["--hook-stage", "manual", "--files", "demo.iso"]
    status, output = run(project, PRE_COMMIT, "try-repo", snapshot, "lkscan-image", *arguments)
    assert status == 1, output
    assert "LKP002" in output


def test_the_pin_hook_pins_what_is_locked(project, snapshot):
    digest = "sha256:" + "a" * 64
    spec = project / "linuxkit.yml"
    spec.write_text("kernel:\n  image: acme/kernel:1\ninit: [acme/init:1]\n")
    lines = "".join(f'"docker.io/acme/{name}:1" = "{digest}"\n' for name in ("init", "kernel"))
    (project / "lkscan.lock").write_text(f"version = 1\n[images]\n{lines}")
    arguments = ["--hook-stage", "manual", "--files", "linuxkit.yml", "workflow.yml"]
    status, output = run(project, PRE_COMMIT, "try-repo", snapshot, "lkscan-pin", *arguments)
    assert status == 1, output
    assert "files were modified by this hook" in output
    assert spec.read_text() == f"kernel:\n  image: acme/kernel:1@{digest}\ninit: [acme/init:1@{digest}]\n"
    status, output = run(project, PRE_COMMIT, "try-repo", snapshot, "lkscan-pin", *arguments)
    assert status == 0, output
