"""The configuration: found, read, checked, merged; own errors in one line, and nothing hostile gets further."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

import lkscan
from lkscan.cli import FINDINGS, OK, USAGE, main
from lkscan.config.files import SIZE, ConfigurationError, Finder, load
from lkscan.config.policies import Overrides, Policies, configured
from lkscan.config.settings import settings
from lkscan.rules.engine import Engine, Profile, Severity, Verdict, fail, rule
from lkscan.rules.globs import fits
from lkscan.scanner.subjects import KernelCommandLine, Place

BAD = f"""\
kernel: {{image: "kernel@sha256:{"a" * 64}"}}
init: ["init@sha256:{"b" * 64}"]
services:
  - name: web
    image: nginx
    pid: host
    capabilities: [all]
"""


@rule(
    "LKT001",
    "long-line",
    Severity.LOW,
    {"default": "The line has more than '{0}' characters.", "huge": "The line is far too long, '{0}' or more."},
    remedy="Shorten it.",
    nist=("3.5.2",),
    parameters={"limit": 10, "words": (), "strict": False, "factor": 2.0},
)
def long_line(line: KernelCommandLine, parameters: dict) -> Iterator[Verdict]:
    """A line is too long."""
    if len(line.text) > parameters["limit"] * parameters["factor"]:
        yield fail("line", line.place, str(parameters["limit"]), variant="huge", severity=Severity.HIGH)
    elif len(line.text) > parameters["limit"]:
        yield fail("line", line.place, str(parameters["limit"]))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write files by name; the scan runs in their folder, with no LinuxKit cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("LKSCAN_DATE", "2026-11-23")

    def write(**files: str | bytes):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return write


def ids(capsys) -> set[str]:
    return {one["rule"] for one in json.loads(capsys.readouterr().out)["findings"]}


# --- finding


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, None),
        ({"lkscan_toml": ""}, "lkscan.toml"),
        ({"a__lkscan_toml": "", "lkscan_toml": ""}, "a/lkscan.toml"),
        ({"pyproject_toml": "[tool.lkscan]\n"}, "pyproject.toml"),
        ({"pyproject_toml": "[tool.lkscan]\n", "lkscan_toml": ""}, "lkscan.toml"),
        ({"a__pyproject_toml": "[project]\nname = 'lkscan-user'\n", "lkscan_toml": ""}, "lkscan.toml"),
        ({"a__pyproject_toml": "[tool]\n", "lkscan_toml": ""}, "lkscan.toml"),
        ({"a__pyproject_toml": "[ tool . lkscan ]\n", "lkscan_toml": ""}, "a/pyproject.toml"),
        ({"a__pyproject_toml": "[tool.'lkscan']\n", "lkscan_toml": ""}, "a/pyproject.toml"),
        ({"a__pyproject_toml": "[[tool.lkscan.ignore]]\n", "lkscan_toml": ""}, "a/pyproject.toml"),
        ({"a__pyproject_toml": "[tool]\nlkscan.profile = 'auditor'\n", "lkscan_toml": ""}, "a/pyproject.toml"),
        ({"a__pyproject_toml": "tool = {lkscan = {}}\n", "lkscan_toml": ""}, "a/pyproject.toml"),
        ({"a__pyproject_toml": '["to\\u006fl"] # lkscan\nlkscan = {}\n', "lkscan_toml": ""}, "a/pyproject.toml"),
        ({"a__pyproject_toml": "[project.scripts]\nlkscan = 'x:y'\n[tool.x]\n", "lkscan_toml": ""}, "lkscan.toml"),
        ({"a__.git__HEAD": "", "lkscan_toml": ""}, None),
        ({"a__b__.git__HEAD": "", "a__b__lkscan_toml": "", "lkscan_toml": ""}, "a/b/lkscan.toml"),
    ],
)
def test_the_nearest_file_governs_and_the_search_ends_with_the_repository(folder, files, found) -> None:
    top = folder(a__b__keep="", **{".git__HEAD": ""}, **files)
    assert Finder().nearest(str(top / "a/b")) == (found and str(top / found))


def test_each_input_is_judged_by_its_own_configuration(folder, capsys) -> None:
    folder(a__x_yml=BAD, b__y_yml=BAD, a__lkscan_toml='select = ["LKN001"]', b__lkscan_toml='ignore = ["LKN*"]')
    assert main(["a/x.yml", "b/y.yml", "-f", "json"]) == FINDINGS
    document = json.loads(capsys.readouterr().out)
    found = {(one["rule"], one["locations"][0]["artifacts"][0]) for one in document["findings"]}
    assert ("LKN001", "a/x.yml") in found
    assert {rule for rule, path in found if path == "a/x.yml"} == {"LKN001"}
    assert ("LKN001", "b/y.yml") not in found
    assert ("LKP002", "b/y.yml") in found
    assert [one["path"] for one in document["systems"]] == ["a/x.yml", "b/y.yml"]


def test_fail_on_is_each_configurations_own(folder) -> None:
    folder(a__x_yml=BAD, b__y_yml=BAD, a__lkscan_toml='fail-on = "never"', b__lkscan_toml='fail-on = "low"')
    assert main(["a/x.yml"]) == OK
    assert main(["a/x.yml", "--fail-on", "high"]) == FINDINGS
    assert main(["b/y.yml", "a/x.yml"]) == FINDINGS
    assert main(["a/x.yml", "--no-config"]) == FINDINGS


def test_a_broken_configuration_costs_only_what_it_governs(folder, capsys) -> None:
    folder(a__x_yml=BAD, b__y_yml=BAD, a__lkscan_toml="profil = 1")
    assert main(["a/x.yml", "b/y.yml"]) == USAGE
    printed = capsys.readouterr()
    assert printed.err == "lkscan: a/lkscan.toml: 'profil' is unknown; did you mean 'profile'?\n"
    assert "b/y.yml" in printed.out
    assert main(["a/x.yml", "--no-config"]) == FINDINGS


def test_standard_input_is_governed_by_the_folder_we_are_in(folder) -> None:
    top = folder(lkscan_toml='fail-on = "never"')
    command = [sys.executable, "-m", "lkscan", "-"]
    done = subprocess.run(command, check=False, input=BAD, text=True, cwd=top, capture_output=True)
    assert done.returncode == OK, done.stderr


# --- errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profil = 'regular'", "'profil' is unknown; did you mean 'profile'?"),
        ("xyz = 1", "'xyz' is unknown; there are plugins, rule, ignore, profile, select"),
        ("profile = 'pedant'", "'profile' is 'pedant', which is none of regular, pedantic, auditor"),
        ("profile = 1", "'profile' must be a text, not a whole number"),
        ("select = 'LKP002'", "'select' must be a list of texts, not a text"),
        ("select = [1]", "'select' must be a list of texts, not a list"),
        ("select = ['LKPP002']", "'select' no rule is called LKPP002; did you mean 'LKP002'?"),
        ("ignore = ['host-root-equivalen']", "did you mean 'host-root-equivalent'?"),
        ("[[ignore]]\nrule = ['LKP002']", "'ignore[0].rules' must name at least one rule"),
        ("[[ignore]]\nrules = ['LKP002']\nuntil = '2027'", "'ignore[0].until' must be a day of the form YYYY-MM-DD"),
        ("[[ignore]]\nrules = ['LKP002']\nuntil = 2027-01-01T00:00:00", "'ignore[0].until' must be a day"),
        ("[[ignore]]\nrules = ['LKP002']\nreasons = 'x'", "'ignore[0].reasons' is unknown; did you mean 'reason'?"),
        ("ignore = [1]", "'ignore[0]' must be a table, not a whole number"),
        ("ignore = ['LKP002']\n[[ignore]]\nrules = ['LKN001']", "[[ignore]] and ignore = [...] exclude each other"),
        ("fail-on = 'all'", "'fail-on' is 'all'"),
        ("require-reason = 'yes'", "'require-reason' must be true or false, not a text"),
        ("packages = 2020-01-01", "'packages' must be a text, not a date or time"),
        ("packages = 'gone'", "'packages' or 'cache': gone: not a folder"),
        ("severity = 'high'", "'severity' must be a table, not a text"),
        ("[severity]\nLKP002 = 'hihg'", "'severity.LKP002' is 'hihg', which is none of critical, high, medium"),
        ("[severity]\nLKZ999 = 'high'", "'severity.LKZ999' is unknown: no rule is called LKZ999"),
        ("[rules.LKP002]\nx = 1", "'rules.LKP002' has no parameters to set"),
        ("[rules]\nLKZ999 = {}", "'rules.LKZ999' is unknown"),
        ("[[per-path]]\nignore = ['LKP002']", "'per-path[0].path' is missing"),
        ("[[per-path]]\npath = ''", "'per-path[0].path' must have between 1 and 500 characters"),
        ("[[per-path]]\npath = 'x'\npaths = 1", "'per-path[0].paths' is unknown; did you mean 'path'?"),
        ("[per-path]\npath = 'x'", "'per-path' must be a list, not a table"),
        ("per-path = [1]", "'per-path[0]' must be a table, not a whole number"),
        ("a = 1\na = 2", "is no TOML: "),
        ("x = " + "[" * 100_000, "is nested too deeply"),
        ("a." * 50_000 + "a = 1", "is nested too deeply"),
        ("x = " + "9" * 5000, "is no TOML: "),
        ("#" * (SIZE + 1), "is longer than 256 KiB"),
        (b"profile = '\xff'", "is not UTF-8 (byte 11)"),
        (b"\x00", "is no TOML: "),
        ('"\\u001b[31m' + "x" * 500 + '" = 1', "is unknown"),
    ],
)
def test_a_wrong_configuration_is_one_line_that_names_file_and_key(folder, capsys, text, message) -> None:
    folder(lkscan_toml=text, x_yml=BAD)
    for order in (["x.yml"], ["x.yml", "--config", "lkscan.toml"]):
        assert main(order) == USAGE
        printed = capsys.readouterr()
        assert printed.err.startswith("lkscan: lkscan.toml: ")
        assert message in printed.err
        assert len(printed.err.splitlines()) == 1
        assert len(printed.err) < 500
        assert "\x1b" not in printed.err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is no regular file"),
        (os.mkfifo, "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a link, which is not followed; name its target with --config"),
        (lambda path: path.symlink_to("gone"), "is a link"),
        (lambda path: path.symlink_to("lkscan.toml"), "is a link"),
    ],
)
def test_what_is_no_file_of_its_own_is_refused_where_it_is_found(folder, capsys, make, message) -> None:
    make(folder(x_yml=BAD) / "lkscan.toml")
    assert main(["x.yml"]) == USAGE
    assert capsys.readouterr().err.startswith(f"lkscan: lkscan.toml: {message}")
    assert main(["x.yml", "--no-config"]) == FINDINGS


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.toml", "gone.toml: cannot be read: No such file or directory"),
        ("/dev/zero", "/dev/zero: is no regular file"),
        (".", ".: is no regular file"),
        ("a\0b", "is no path"),
        ("pyproject.toml", "pyproject.toml: has no table [tool.lkscan]"),
    ],
)
def test_a_named_file_that_is_of_no_use_is_an_error(folder, capsys, path, message) -> None:
    folder(x_yml=BAD, pyproject_toml="[tool.other]\n")
    assert main(["x.yml", "--config", path]) == USAGE
    assert message in capsys.readouterr().err


def test_a_named_file_may_be_a_link(folder) -> None:
    (folder(x_yml=BAD, policy_toml='fail-on = "never"') / "link.toml").symlink_to("policy.toml")
    assert main(["x.yml", "--config", "link.toml"]) == OK


def test_an_unreadable_file_is_an_error(folder, capsys, monkeypatch) -> None:
    def refuse(path, *flags, real=os.open, **options):
        if str(path).endswith("lkscan.toml"):
            raise PermissionError(13, "Permission denied")
        return real(path, *flags, **options)

    folder(x_yml=BAD, lkscan_toml="")
    monkeypatch.setattr(os, "open", refuse)
    assert main(["x.yml"]) == USAGE
    assert capsys.readouterr().err == "lkscan: lkscan.toml: cannot be read: Permission denied\n"


@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise_anything_else(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("config") / "lkscan.toml"
    path.write_bytes(data)
    with contextlib.suppress(ConfigurationError):
        assert settings(str(path), *load(str(path)), ()).path == str(path)


# --- merging


FILE = """
profile = "pedantic"
select = ["LKP*", "LKN*", "LKI*"]
ignore = ["LKP002"]
fail-on = "critical"
[severity]
host-pid-namespace = "low"
[[per-path]]
path = "lab/"
profile = "auditor"
ignore = ["LKN*"]
severity = {LKI001 = "note"}
[[per-path]]
path = "lab/**/strict.yml"
select = ["LKI*"]
profile = "regular"
"""


@pytest.mark.parametrize(
    ("path", "order", "wanted"),
    [
        ("x.yml", Overrides(), (Profile.PEDANTIC, {"LKN001", "LKI001"}, Severity.MEDIUM, Severity.CRITICAL)),
        ("lab/x.yml", Overrides(), (Profile.AUDITOR, {"LKI001"}, Severity.NOTE, Severity.CRITICAL)),
        ("lab/a/strict.yml", Overrides(), (Profile.REGULAR, {"LKI001"}, Severity.NOTE, Severity.CRITICAL)),
        (
            "lab/x.yml",
            Overrides(Profile.PEDANTIC, ignore=(), fail_on="never"),
            (Profile.PEDANTIC, {"LKN001", "LKI001", "LKP002"}, Severity.NOTE, None),
        ),
        ("x.yml", Overrides(select=("LKP002",)), (Profile.PEDANTIC, {"LKP002"}, None, Severity.CRITICAL)),
        (
            "lab/x.yml",
            Overrides(select=("LKN*", "LKI*"), ignore=("LKN001",)),
            (Profile.AUDITOR, {"LKI001"}, Severity.NOTE, Severity.CRITICAL),
        ),
    ],
)
def test_the_command_line_beats_the_path_beats_the_file_beats_the_defaults(folder, path, order, wanted) -> None:
    folder(lkscan_toml=FILE)
    policy = Policies(order)(path)
    rules = {one.id: one for one in policy.rules}
    image = rules.get("LKI001")
    profile, run, severity, fail_on = wanted
    assert policy.options.profile is profile
    assert rules.keys() & {"LKP002", "LKN001", "LKI001"} == run
    assert (image and image.severity) is severity
    assert policy.fail_on is fail_on


def test_inputs_that_are_judged_alike_share_a_policy(folder) -> None:
    folder(lkscan_toml=FILE)
    policies = Policies()
    assert policies("x.yml") is policies("y.yml") is policies("sub/z.yml")
    assert policies("x.yml") is not policies("lab/x.yml")


def test_a_severity_that_a_user_sets_stands_whatever_the_check_says() -> None:
    found = settings("f", {"severity": {"long-line": "note"}, "rules": {"LKT001": {"limit": 3}}}, "", [long_line])
    rules = configured([long_line], found.severities, found.parameters)
    (one,) = Engine(rules).judge(KernelCommandLine(Place(("x",)), "far too long"))
    assert (one.severity, one.message) == (Severity.NOTE, "The line is far too long, '3' or more.")
    (other,) = Engine([long_line]).judge(KernelCommandLine(Place(("x",)), "some letters"))
    assert (other.severity, other.message) == (Severity.LOW, "The line has more than '10' characters.")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"limit": 3}, {"limit": 3}),
        ({"words": ["a", "b"]}, {"words": ("a", "b")}),
        ({"strict": True, "factor": 3}, {"strict": True, "factor": 3}),
        ({}, {}),
        ({"limit": True}, "'rules.LKT001.limit' must be a whole number, not true or false"),
        ({"limit": 1.5}, "'rules.LKT001.limit' must be a whole number, not a number"),
        ({"words": "a"}, "'rules.LKT001.words' must be a list of texts, not a text"),
        ({"strict": 1}, "'rules.LKT001.strict' must be true or false, not a whole number"),
        ({"factor": "x"}, "'rules.LKT001.factor' must be a number, not a text"),
        ({"limits": 1}, "'rules.LKT001.limits' is unknown; did you mean 'limit'?"),
    ],
)
def test_parameters_have_the_type_of_their_default(given, wanted) -> None:
    tree = {"rules": {"LKT001": given}}
    if isinstance(wanted, str):
        with pytest.raises(ConfigurationError, match=f"^f: {wanted.replace('?', '[?]')}$".replace(".", "[.]")):
            settings("f", tree, "", [long_line])
    else:
        assert settings("f", tree, "", [long_line]).parameters == {"LKT001": wanted}


def test_folders_are_relative_to_the_file(folder, capsys) -> None:
    build = "image: web\norg: mine\nconfig: {pid: host}\n"
    spec = "services:\n  - {name: web, image: 'mine/web:1'}\n"
    folder(a__lkscan_toml='packages = "../pkg"\nselect = ["LKN001"]', a__x_yml=spec, pkg__web__build_yml=build)
    folder(**{".git__HEAD": ""})
    assert main(["inspect", "a/x.yml", "-f", "json"]) == OK
    assert json.loads(capsys.readouterr().out)[0]["containers"][0]["label"] == "newest"
    assert main(["a/x.yml", "-f", "json", "--fail-on", "never"]) == OK
    assert ids(capsys) == {"LKN001"}


@pytest.mark.parametrize("key", ["packages", "cache"])
@pytest.mark.parametrize("named", ["/", "..", "../repo-2", "link", "~"])
def test_only_a_named_file_leads_out_of_its_repository(folder, capsys, key, named) -> None:
    top = folder(**{"repo__.git__HEAD": "", "repo-2__index_json": "{}", "repo__x_yml": BAD})
    folder(repo__lkscan_toml=f'{key} = "{named}"')
    (top / "repo/link").symlink_to("..")
    wanted = (
        f"lkscan: repo/lkscan.toml: '{key}' leads out of the repository; only a file that --config names may do that\n"
    )
    assert main(["repo/x.yml"]) == USAGE
    assert capsys.readouterr().err == wanted
    assert main(["inspect", "repo/x.yml"]) == USAGE
    assert capsys.readouterr().err == wanted
    main(["repo/x.yml", "--config", "repo/lkscan.toml"])
    assert "leads out" not in capsys.readouterr().err


def test_the_public_api_takes_a_configuration(folder) -> None:
    folder(lkscan_toml='select = ["LKN001"]', x_yml=BAD)
    assert {one.rule.id for one in lkscan.scan(["x.yml"], config="lkscan.toml").findings} == {"LKN001"}
    assert "LKP002" in {one.rule.id for one in lkscan.scan(["x.yml"]).findings}
    with pytest.raises(ConfigurationError, match=r"gone[.]toml: cannot be read"):
        lkscan.scan(["x.yml"], config="gone.toml")


# --- showing


def test_what_is_shown_could_be_used_as_a_configuration(folder, capsys) -> None:
    folder(lkscan_toml=FILE, x_yml=BAD)
    assert main(["x.yml", "--show-config", "--profile", "auditor"]) == OK
    text = capsys.readouterr().out
    tree = tomli.loads(text)
    wanted = {**tomli.loads(FILE), "profile": "auditor", "severity": {"LKN001": "low"}, "require-reason": False}
    assert {key: value for key, value in tree.items() if key != "rules"} == wanted
    assert '# command line\nprofile = "auditor"' in text
    assert '# lkscan.toml\nfail-on = "critical"' in text
    assert "# default\nrequire-reason = false" in text
    folder(lkscan_toml=text)
    assert main(["x.yml", "--show-config"]) == OK
    assert tomli.loads(capsys.readouterr().out) == tree


def test_several_configurations_are_not_shown_as_one(folder, capsys) -> None:
    folder(a__lkscan_toml="", a__x_yml=BAD, y_yml=BAD)
    assert main(["a/x.yml", "y.yml", "--show-config"]) == USAGE
    assert "several configurations" in capsys.readouterr().err


def test_without_a_configuration_nothing_of_it_is_loaded(folder) -> None:
    top = folder(x_yml=BAD)
    program = "import sys; from lkscan.cli import main; main(['x.yml', '--select', 'LKN001']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=top, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {one for one in loaded if one.startswith("lkscan.config.")} == {
        "lkscan.config.files",
        "lkscan.config.policies",
    }


# --- globs


@pytest.mark.parametrize(
    ("path", "pattern", "wanted"),
    [
        ("a/b.yml", "a/b.yml", True),
        ("a/b.yml", "/a/b.yml", True),
        ("a/b.yml", "b.yml", True),
        ("a/b.yml", "*.yml", True),
        ("a/b.yml", "a", False),
        ("a/b.yml", "a/", True),
        ("a/b/c.yml", "a/", True),
        ("b/a/c.yml", "a/", False),
        ("a/b/c.yml", "a/*", False),
        ("a/b/c.yml", "a/*.yml", False),
        ("a/b/c.yml", "a/**", True),
        ("a/b/c.yml", "a/**/c.yml", True),
        ("a/c.yml", "a/**/c.yml", True),
        ("c.yml", "**/c.yml", True),
        ("a/b/c/d.yml", "**/b/**/*.yml", True),
        ("a/b/c/d.yml", "**/x/**/*.yml", False),
        ("a/b.yml", "a/[ab].yml", True),
        ("a/b.yml", "a/?.yml", True),
        ("a/B.yml", "a/b.yml", False),
        ("../a/b.yml", "a/b.yml", False),
        ("a/b", "*/" * 200 + "**", False),
    ],
)
def test_path_patterns(path, pattern, wanted) -> None:
    assert fits(path, pattern) is wanted


def by_definition(names: list[str], parts: list[str]) -> bool:
    """`**` stands for any number of names, here tried one by one."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(by_definition(names[number:], parts[1:]) for number in range(len(names) + 1))
    return bool(names) and parts[0] in {"*", names[0]} and by_definition(names[1:], parts[1:])


@given(
    st.lists(st.sampled_from("ab"), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=2, max_size=6),
)
def test_path_patterns_mean_what_the_definition_says(names, parts) -> None:
    assert fits("/".join(names), "/".join(parts)) is by_definition(names, parts)
