"""The house stands: floors kept apart, start-up light, documents and manifests true to the code."""

import ast
import os
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import yaml

import lkscan
from lkscan import cli

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "scanner": ("lkscan.scanner",),
    "rules": (
        "lkscan.rules",
        "lkscan.scanner.subjects",
        "lkscan.scanner.ballast",
        "lkscan.scanner.builds",
        "lkscan.scanner.reached",
        "lkscan.scanner.startup",
    ),
    "reports": (
        "lkscan.reports",
        "lkscan.rules",
        "lkscan.scanner.subjects",
        "lkscan.scanner.startup",
        "lkscan.scanner.yamlpatch",
        "lkscan.scanner.yamltext",
    ),
    "lkscan": ("lkscan",),
}
HEAVY = {
    "yaml",
    "tomli",
    "lief",
    "sarif_om",
    "jsonschema",
    "fastjsonschema",
    "rich",
    "jinja2",
    "dataclasses",
    "typing",
    "inspect",
}


def modules():
    """Every module of the project by its import name."""
    for floor in ALLOWED:
        folders = [ROOT / floor, *(one for one in sorted((ROOT / floor).iterdir()) if not one.is_symlink())]
        for path in (path for folder in folders for path in sorted(folder.glob("*.py"))):
            parts = path.relative_to(ROOT).with_suffix("").parts
            whole = parts if floor == "lkscan" else ("lkscan", *parts)
            yield ".".join(whole).removesuffix(".__init__"), path


MODULES = dict(modules())


def imports(name, path):
    """The project's modules that a module imports, wherever in it, as absolute names; foreign ones as they stand."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in MODULES else base


@pytest.mark.parametrize("name", MODULES)
def test_a_floor_rests_only_on_those_below_it(name):
    floor = MODULES[name].relative_to(ROOT).parts[0]
    wanted = {target for target in imports(name, MODULES[name]) if target.split(".")[0] == "lkscan"}
    assert {
        target for target in wanted if not (target + ".").startswith(tuple(f"{a}." for a in ALLOWED[floor]))
    } == set()


@pytest.mark.parametrize("name", MODULES)
def test_inside_the_package_imports_are_relative(name):
    tree = ast.parse(MODULES[name].read_bytes())
    absolute = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    absolute |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {one for one in absolute if one.split(".")[0] in ALLOWED} == set()


def test_no_module_imports_another_in_a_circle():
    graph = {name: set(imports(name, path)) & MODULES.keys() - {name} for name, path in MODULES.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_what_uses_the_network_or_runs_programs_lies_in_one_folder_that_only_pinning_reaches():
    outward = {"socket", "ssl", "http", "urllib.request", "urllib3", "subprocess", "asyncio"}
    using = {
        name for name, path in MODULES.items() if any(one.startswith(tuple(outward)) for one in imports(name, path))
    }
    assert {name.rpartition(".")[0] for name in using} == {"lkscan.online"}
    reaching = {name for name, path in MODULES.items() if any(".online." in one for one in imports(name, path))}
    assert {name for name in reaching if ".online." not in name} == {"lkscan.commands.pin"}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_in_its_first_line_why_it_exists(name):
    first = (ast.get_docstring(ast.parse(MODULES[name].read_bytes())) or "").partition("\n")[0]
    assert first.endswith(".")


def test_the_floors_are_reached_through_relative_links():
    links = {path.name: os.readlink(path) for path in (ROOT / "lkscan").iterdir() if path.is_symlink()}
    assert links == {floor: f"../{floor}" for floor in ALLOWED if floor != "lkscan"}


def test_asking_for_the_version_loads_nothing_heavy():
    program = (
        "import sys\nfrom lkscan.cli import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    bare = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env=bare)
    version, loaded = done.stdout.splitlines()
    assert version == f"lkscan {lkscan.__version__}"
    assert HEAVY & set(loaded.split()) == set()


def fenced(document, language):
    """The fenced blocks of a Markdown document that are marked with `language`."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def targets():
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_readme_opens_with_the_two_commands():
    (first, *_) = fenced("README.md", "sh")
    commands = [line.split("#")[0].strip() for line in first.splitlines()]
    assert commands == ["make demo", "make test"]
    assert {"demo", "test", "lint", "bench"} <= targets()
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci/run", os.X_OK)


DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_option_that_the_documentation_names_exists(document, capsys, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    for command in cli.COMMANDS:
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) | {"--version"}
    text = (ROOT / document).read_text(encoding="utf-8")
    named = {option for line in re.findall(r"\blkscan [^`\n]*", text) for option in re.findall(r"--[a-z][a-z-]+", line)}
    assert named - known == set()


@pytest.mark.parametrize("document", [*DOCUMENTS, "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_inside_the_repository_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)#]+)", text) if ":" not in link]
    assert [link for link in local if not (ROOT / document).parent.joinpath(link).exists()] == []


@pytest.fixture(scope="module")
def hooks():
    manifest = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return {hook["id"]: hook for hook in manifest}


def test_the_hooks_are_complete(hooks):
    assert list(hooks) == ["lkscan", "lkscan-fix", "lkscan-image", "lkscan-pin"]
    for name, hook in hooks.items():
        assert hook["language"] == "python"
        command = {"lkscan-fix": "fix", "lkscan-pin": "pin"}.get(name, "scan")
        assert hook["entry"].split()[:2] == ["lkscan", command]
        assert hook["minimum_pre_commit_version"] == "3.2.0"
        assert {"name", "description"} <= hook.keys()
    assert {name for name, hook in hooks.items() if hook["types"] == ["yaml"]} == hooks.keys() - {"lkscan-image"}
    assert hooks["lkscan-image"]["stages"] == hooks["lkscan-pin"]["stages"] == ["manual"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("out/linuxkit.iso", True),
        ("linuxkit-initrd.img", True),
        ("initrd.img.zst", True),
        ("linuxkit-kernel", True),
        ("linuxkit-cmdline", True),
        ("linuxkit.tar", True),
        ("linuxkit.yml", False),
        ("isotope.py", False),
        ("kernel/config", False),
    ],
)
def test_the_image_hook_picks_images_by_name(hooks, path, wanted):
    assert bool(re.search(hooks["lkscan-image"]["files"], path)) is wanted


@pytest.mark.parametrize("hook", ["lkscan", "lkscan-pin"])
def test_the_hooks_entry_passes_foreign_yaml_without_a_word(hooks, hook, tmp_path, capfd):
    foreign = tmp_path / "workflow.yml"
    foreign.write_text("on: push\njobs: {}\n", encoding="utf-8")
    assert cli.main([*hooks[hook]["entry"].split()[1:], str(foreign)]) == 0
    assert capfd.readouterr() == ("", "")
