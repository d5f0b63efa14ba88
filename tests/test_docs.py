"""What the documents tell to type works as they say: each command is run, each output compared, each file read."""

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rulelab
import tomli
import yaml
from docslab import DOCUMENTS, ROOT, Command, blocks, matches, sessions, workshop
from packaging.requirements import Requirement

from lkscan import __version__, cli
from lkscan.config import plugins
from lkscan.rules import kernel
from lkscan.rules.engine import Profile
from lkscan.rules.funnel import Options
from lkscan.scanning import scan

NOT_RUN = {
    "lkscan pin linuxkit.yml --online": "asks registries on the network; tests/test_pin.py has one of its own",
    "lkscan pin . --update --online": "the same",
    "lkscan pin --online": "the same",
    "hx --health yaml": "another editor's own command",
    "python benchmarks/kernel_options.py pkg": "needs kernel-hardening-checker, which is compared with and not shipped",
}
"""Commands that no test here can run, each with its reason."""
JUDGES = {"scan", "compliance", "kernel", "fix", "pin"}
"""Commands that end with 1 where there is something to mend; the others end with 0."""
SESSIONS = [(place, typed) for document in DOCUMENTS for place, typed in sessions(document)]
GUIDES = [name for name in DOCUMENTS if not name.startswith("rules/")]
"""Documents but the pages of rules, whose examples tests/test_pages.py reads."""
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HOOKS = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
COMMANDS = {one.text for _, typed in SESSIONS for one in typed}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    workshop(folder)
    return folder


@pytest.fixture
def shop(bench, tmp_path, monkeypatch):
    """A fresh copy of the workshop, with a home in it; we are there."""
    folder = tmp_path / "shop"
    shutil.copytree(bench, folder, symlinks=True)
    for name in (".local/share/bash-completion/completions", ".config/fish/completions", ".zfunc"):
        (folder / "home" / name).mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(kernel, "_date", None)  # `--date` sets it for the rest of the process
    return folder


@pytest.mark.parametrize(("place", "typed"), SESSIONS, ids=[place for place, _ in SESSIONS])
def test_what_a_document_tells_to_type_works(place, typed, shop, capfd):
    if not any(one.text.startswith("lkscan pin") for one in typed):
        (shop / "lkscan.lock").unlink()  # with digests at hand, `scan` offers fixes that readers have not
    for command in typed:
        if command.text not in NOT_RUN:
            RUNNERS[command.text.split()[0]](command, capfd)


def run_lkscan(command, capfd):
    """In this process, or in a shell where the line takes one; nothing may be complained of."""
    words = shlex.split(command.text)
    if set(command.text) & set("<>|&;~"):
        status = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", command.text], check=False).returncode
    else:
        status = called(words[1:])
    printed, complaints = capfd.readouterr()
    assert [line for line in complaints.splitlines() if line.startswith(("lkscan: ", "bash: ", "Traceback"))] == []
    assert status in ((0, 1) if (words[1] if words[1] in cli.COMMANDS else "scan") in JUDGES else (0,))
    written = [words[at + 1] for at, word in enumerate(words) if word in {"-o", "--output", ">"}]
    assert [name for name in written if not Path(name).expanduser().stat().st_size] == []
    if command.shown is not None:
        assert matches(command.shown, printed), printed


def called(arguments):
    try:
        return cli.main(arguments)
    except SystemExit as end:  # argparse, once it has shown its help
        return end.code


def run_make(command, _):
    """Dry: what the targets start is the tests themselves, or takes hours; but they exist, and take what is given."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    subprocess.run(["make", "--dry-run", "-C", ROOT, *shlex.split(command.text)[1:]], check=True, capture_output=True)


def run_pip(command, _):
    """What is installed is lkscan, with extras that it has; tests/test_release.py installs it."""
    what = Requirement(command.text.removeprefix("pip install ").strip("'").replace(".", "lkscan"))
    assert what.name == "lkscan"
    assert what.extras <= PROJECT["optional-dependencies"].keys()


def run_pre_commit(command, _):
    """The hook is there; tests/test_pre_commit.py runs it like this."""
    assert shlex.split(command.text)[2] in HOOKS


RUNNERS = {"lkscan": run_lkscan, "make": run_make, "pip": run_pip, "pre-commit": run_pre_commit}


def test_what_is_not_run_still_stands_in_a_document():
    assert NOT_RUN.keys() - COMMANDS == set()


def test_commands_are_found_at_all():
    assert len([one for one in COMMANDS if one.startswith("lkscan ")]) > 50


@pytest.mark.parametrize(
    ("shown", "printed", "wanted"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n\n[...]\n\nd\n", "a\n\nb\nc\n\nd\n", True),
        ("a\n[...]\n", "a\nb\n", True),
        ("a\nb\n", "a\nb\nc\n", False),
        ("a\n[...]\nd\n", "a\nb\n", False),
        ("b\n[...]\n", "a\nb\n", False),
        ("[...]\nb\n", "a\nb\n", True),
    ],
)
def test_output_is_as_shown_but_for_what_is_left_out(shown, printed, wanted):
    assert matches(shown, printed) is wanted


# --- files that documents show


def shown(*languages):
    found = (block for name in GUIDES for block in blocks(name, *languages))
    return [pytest.param(block.text, id=f"{block.document}:{block.line}") for block in found]


@pytest.mark.parametrize("text", shown("yaml"))
def test_yaml_is_what_those_who_read_it_take(text, shop, capfd):
    content = yaml.safe_load(text)
    if "repos" in content:
        assert {hook["id"] for repository in content["repos"] for hook in repository["hooks"]} <= HOOKS
        assert {repository["rev"] for repository in content["repos"]} == {f"v{__version__}"}
    elif "jobs" in content:
        check_workflow(content)
    elif "lkscan" in content:
        check_pipeline(content["lkscan"], capfd)
    else:
        check_spec(content, text, shop)


def check_workflow(content):
    """Each job that uses the action gives inputs that it has."""
    steps = [step for job in content["jobs"].values() for step in job["steps"] if "lkscan@" in step.get("uses", "")]
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    for step in steps:
        assert step["uses"].endswith(f"@v{__version__}")
        assert step.get("with", {}).keys() <= action["inputs"].keys()
    assert steps


def check_pipeline(job, capfd):
    """Each line of its script is run; its reports are what the script writes."""
    for line in job["script"]:
        RUNNERS[line.split()[0]](Command(line), capfd)
    assert [name for name in job["artifacts"]["reports"].values() if not Path(name).exists()] == []


def check_spec(content, text, shop):
    """LinuxKit would take it, with the parts that it leaves out, and each directive in it names rules."""
    rest = {"kernel": {"image": "linuxkit/kernel:6.12.59"}, "init": ["linuxkit/init:1"]}
    missing = {key: value for key, value in rest.items() if key not in content}
    (shop / "linuxkit.yml").write_text(f"{text}{yaml.safe_dump(missing)}", encoding="utf-8")
    found = scan([str(shop / "linuxkit.yml")], options=Options(profile=Profile.AUDITOR))
    assert found.problems == ()
    assert [one.message for one in found.findings if one.rule.name in ("schema-violation", "unknown-ignore")] == []


@pytest.mark.parametrize("text", shown("toml"))
def test_toml_is_a_configuration_that_is_taken(text, shop, capfd):
    content = tomli.loads(text)
    if "project" in content:
        assert content["project"]["entry-points"].keys() == {plugins.GROUP}
    elif "language-server" in content:  # Helix's own
        assert called([*content["language-server"]["lkscan"]["args"], "--help"]) == 0
    else:
        (shop / "lkscan.toml").write_text(text, encoding="utf-8")
        assert called(["linuxkit.yml", "--show-config"]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("text", shown("json"))
def test_json_is_well_formed(text):
    assert json.loads(text)


@pytest.mark.parametrize("text", shown("lua"))
def test_lua_is_what_neovim_takes(text, tmp_path):
    if shutil.which("nvim") is None:
        pytest.skip("needs nvim (neovim)")
    (tmp_path / "part.lua").write_text(text)
    check = f"lua assert(loadfile('{tmp_path / 'part.lua'}'))"
    command = ["nvim", "--headless", "-u", "NONE", "-c", check, "-c", "qall!"]
    assert subprocess.run(command, check=True, capture_output=True).stderr == b""


@pytest.mark.parametrize("text", shown("python"))
def test_python_is_code_and_the_rules_in_it_fire(text):
    if "RULES" not in text:  # a part of a module, which goes on below
        ast.parse(text)
        return
    module = {}
    exec(compile(text, "example", "exec", dont_inherit=True), module)
    for one in module["RULES"]:
        assert rulelab.fires(one, rulelab.container(binds=[f"/{name}:/{name}" for name in "abcd"]))
        assert not rulelab.fires(one, rulelab.container(binds=["/a:/a"]))


def test_every_block_is_of_a_kind_that_is_checked():
    kinds = {block.language for name in GUIDES for block in blocks(name)}
    assert kinds <= {"", "sh", "console", "text", "yaml", "toml", "json", "lua", "python"}
