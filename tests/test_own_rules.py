"""Own rules in a configuration: declared with a condition in CEL, judged and told like those of lkscan."""

import builtins
import json
import re
from pathlib import Path

import pytest
from rulelab import binary, container, file, image, outcomes, spec

from lkscan.cli import FINDINGS, OK, USAGE, main
from lkscan.config.files import ConfigurationError
from lkscan.config.settings import settings
from lkscan.rules.catalogue import RULES
from lkscan.rules.engine import Confidence, Engine, Outcome, Profile, Severity
from lkscan.rules.tables import load
from lkscan.rules.vocabulary import KINDS, types
from lkscan.scanner.subjects import Container, Kernel, KernelCommandLine, Origin, Place, Sysctl

cel = pytest.importorskip("cel_expr_python.cel", reason="needs cel-expr-python")

PLACE = Place(("linuxkit.yml",))
LINE = KernelCommandLine(PLACE, "console=ttyS0 quiet quiet=no")
DECLARED = {
    "id": "ACME001",
    "name": "no-quiet-kernel",
    "subject": "cmdline",
    "condition": "'quiet' in arguments",
    "summary": "The kernel is told to be quiet",
    "message": "The kernel is started with '{text}'",
    "remedy": "Leave it out.",
}


def made(**keys):
    """The rule that such a table declares; a key of None is left out."""
    table = {key: value for key, value in {**DECLARED, **keys}.items() if value is not None}
    return settings("lkscan.toml", {"rule": [table]}, "", RULES).rules[-1]


SUBJECTS = {
    "container": container(
        capabilities=["CAP_NET_ADMIN"],
        binds=["/run:/run"],
        env=["A=1"],
        command=["sh"],
        devices=[{"type": "c"}],
        origins={"binds:/run": Origin("spec", PLACE)},
    ),
    "image": image("docker.io/library/nginx:1", "version-tag"),
    "file": file("bin/su", mode=0o4755),
    "binary": binary(needed=("libc.so",)),
    "kernel": Kernel(PLACE, "6.12.59-linuxkit", "", "x86_64", "bzImage", "gzip", {"MODULES": "y"}),
    "cmdline": LINE,
    "sysctl": Sysctl(PLACE, (("kernel.kptr_restrict", "1", 1), ("kernel.kptr_restrict", "2", 2))),
    "spec": spec(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_subject_offers_just_the_fields_that_are_documented_in_their_types(kind) -> None:
    values = KINDS[kind].values(SUBJECTS[kind])
    assert values.keys() == types(kind).keys()
    words = {"string": str, "int": int, "bool": bool, "list": list, "map": dict}
    for name, signature in types(kind).items():
        assert type(values[name]) is words[signature.partition("<")[0]], name
        condition = f"{name} == {name}"
        assert outcomes(made(subject=kind, condition=condition, message="x"), SUBJECTS[kind]) == {Outcome.FAIL}
    for field in load("vocabulary")[kind]["fields"].values():
        assert field["says"]


@pytest.mark.parametrize(
    ("kind", "condition", "fires"),
    [
        ("container", "'CAP_NET_ADMIN' in capabilities && section == 'services'", True),
        ("container", "binds.exists(b, b.writable && b.destination.startsWith('/run'))", True),
        ("container", "mounts.all(m, m.bind)", False),
        ("container", "mounts.exists(m, 'rbind' in m.options)", True),
        ("container", "pid == 'host' || net == 'host'", True),
        ("container", "env == ['A'] && command[0] == 'sh'", True),
        ("container", "devices.exists(d, d.type == 'c' && d.major == -1)", True),
        ("container", "origins.capabilities == 'default'", True),
        ("container", "uid == 0 && !readonly && !no_new_privileges", True),
        ("image", "tag.matches('^[0-9]+$')", True),
        ("file", "setuid && mode == '4755' && uid == 0", True),
        ("binary", "relro != 'full' || size(needed) > 3", False),
        ("kernel", "version.startsWith('6.') && config.MODULES == 'y' && !('KEXEC' in config)", True),
        ("cmdline", "arguments.quiet == 'no'", True),
        ("sysctl", "settings['kernel.kptr_restrict'] == '2'", True),
        ("spec", "kind == 'spec' && !('kernel' in sections)", True),
    ],
)
def test_a_rule_fires_where_its_condition_holds(kind, condition, fires) -> None:
    rule = made(subject=kind, condition=condition, message="x")
    assert outcomes(rule, SUBJECTS[kind]) == {Outcome.FAIL if fires else Outcome.PASS}


def test_a_declaration_becomes_a_rule_with_all_it_says() -> None:
    keys = {"severity": "high", "confidence": "low", "profile": "auditor", "nist": ["3.4.3"], "page": "# A\n\nB"}
    rule = made(**keys)
    assert (rule.severity, rule.confidence, rule.profile) == (Severity.HIGH, Confidence.LOW, Profile.AUDITOR)
    assert (rule.nist, rule.page, rule.owner) == (("3.4.3",), "# A\n\nB", "lkscan.toml")
    assert (rule.summary, rule.remedy) == ("The kernel is told to be quiet.", "Leave it out.")
    (finding,) = Engine([rule]).judge(LINE)
    assert finding.message == "The kernel is started with 'console=ttyS0 quiet quiet=no'."
    assert finding.place == PLACE


UNKNOWN = container(label="unknown", origins={"pid": Origin("spec", PLACE)}, pid="host", section="services")


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("pid == 'host'", Outcome.FAIL),
        ("pid == 'new'", Outcome.PASS),
        ("readonly", Outcome.UNDECIDED),
        ("!readonly", Outcome.UNDECIDED),
        ("pid == 'host' || readonly", Outcome.FAIL),
        ("readonly && pid == 'new'", Outcome.PASS),
        ("section == 'onboot' && !readonly", Outcome.PASS),
        ("section == 'services' && !readonly", Outcome.UNDECIDED),
        ("label == 'unknown'", Outcome.FAIL),
    ],
)
def test_what_an_unknown_label_leaves_open_is_undecided_unless_the_rest_decides(condition, outcome) -> None:
    assert outcomes(made(subject="container", condition=condition, message="x"), UNKNOWN) == {outcome}


def test_a_kernel_without_a_configuration_is_undecided() -> None:
    rule = made(subject="kernel", condition="config.KEXEC == 'y'", message="x")
    assert outcomes(rule, SUBJECTS["kernel"]._replace(config=None)) == {Outcome.UNDECIDED}


def test_a_file_of_settings_whose_content_is_not_known_is_undecided() -> None:
    rule = made(subject="sysctl", condition="settings.x == '1'", message="x")
    assert outcomes(rule, Sysctl(PLACE, None)) == {Outcome.UNDECIDED}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"id": None}, "'rule[0].id' is missing"),
        ({"id": "acme1"}, "'rule[0].id' must be capital letters and digits"),
        ({"id": "LKP999"}, "begins with LK: those are lkscan's"),
        ({"name": "No_Quiet"}, "'rule[0].name' must be lower-case words"),
        ({"name": "../../x"}, "'rule[0].name' must be lower-case words"),
        ({"name": "host-pid-namespace"}, "has the id or name of LKN001 host-pid-namespace"),
        ({"subject": None}, "'rule[0].subject' is missing; it is one of container, image"),
        ({"subject": "containers"}, "did you mean 'container'?"),
        ({"condition": None}, "'rule[0].condition' is missing"),
        ({"condition": "'quiet' in argument"}, "of rule ACME001 is no CEL: 1:12: undeclared reference to 'argument'"),
        ({"condition": "text > 3"}, "1:6: found no matching overload for '_>_' applied to '(string, int)'"),
        ({"condition": "text"}, "must be true or false, and is of type STRING"),
        ({"condition": "text =="}, "is no CEL: 1:8: Syntax error"),
        ({"condition": ""}, "is no CEL: "),
        ({"condition": "text == '" + "x" * 1000 + "'"}, "has more than 1000 characters"),
        ({"condition": "(" * 7 + "true" + ")" * 7}, "has more than 6 brackets within brackets"),
        ({"condition": "!" * 900 + "true && text + text == ''"}, "undeclared reference to '_+_'"),
        ({"condition": "[1].map(x, x) == [1]"}, "is no CEL: "),
        ({"condition": "text.matches('(')"}, ""),
        ({"condition": "text == '\udcff'"}, "is no CEL: "),
        ({"message": "{nope}"}, "has '{nope}', which is no field of a cmdline: text, arguments"),
        ({"message": "{text.__class__}"}, "which is no field"),
        ({"message": "{text!r}"}, "which is no field"),
        ({"message": "{text:>999999999}"}, "which is no field"),
        ({"message": "{"}, "is no template"),
        ({"message": "a\x1b[31m"}, "must have between 1 and 500 printable characters"),
        ({"summary": None}, "'rule[0].summary' is missing"),
        ({"remedy": "x" * 501}, "must have between 1 and 500 printable"),
        ({"page": "a\x07"}, "must have at most 20000 printable"),
        ({"nist": ["9.9.9"]}, "has '9.9.9', which is no risk"),
        ({"severity": "hihg"}, "'rule[0].severity' is 'hihg'"),
        ({"sevrity": "high"}, "'rule[0].sevrity' is unknown; did you mean 'severity'?"),
    ],
)
def test_a_wrong_declaration_is_told_by_file_key_and_place_when_it_is_read(keys, message) -> None:
    if not message:
        made(**keys)  # a pattern is only read when it is used
        return
    with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
        made(**keys)
    assert str(caught.value).startswith("lkscan.toml: ")
    assert "\n" not in str(caught.value)


def test_two_rules_cannot_share_an_id_or_a_name() -> None:
    with pytest.raises(ConfigurationError, match=r"'rule.1..id' ACME001 has the id or name"):
        settings("lkscan.toml", {"rule": [DECLARED, DECLARED]}, "", RULES)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("arguments.nope == ''", 'Key not found in map : "nope"'),
        ("text.matches('(')", "invalid regular expression: missing ): ("),
        ("1 / size(arguments) == 1 / (size(arguments) - 2)", "divide by zero"),
        ("[1,2,3,4,5,6,7,8,9,10].all(a, " * 5 + "true" + ")" * 5, "Iteration budget exceeded"),
    ],
)
def test_a_condition_that_fails_is_told_by_name_and_costs_no_other_rule(condition, message) -> None:
    judge = Engine([made(condition=condition), made(id="ACME002", name="other", condition="true")])
    assert [one.rule.id for one in [*judge.judge(LINE), *judge.judge(LINE)]] == ["ACME002", "ACME002"]
    (problem,) = judge.broken
    assert problem.message == f"rule ACME001 of lkscan.toml failed: {message} (and on 1 more)"
    assert problem.kind == "failed"


def test_names_that_are_no_text_can_be_judged() -> None:
    rule = made(subject="file", condition=r"path.startsWith('a\\udcff')", message="'{path}'")
    (finding,) = Engine([rule]).judge(file("a\udcff"))
    assert finding.message == "'a\udcff'."


def test_braces_in_a_message_and_in_what_it_tells_stay_as_they_are() -> None:
    rule = made(condition="true", message="{{x}} '{text}' '{arguments}' '{text}'")
    (finding,) = Engine([rule]).judge(KernelCommandLine(PLACE, "a={0}"))
    assert finding.message == "{x} 'a={0}' 'a={0}' 'a={0}'."


def test_lists_are_told_in_a_message_as_a_reader_knows_them() -> None:
    message = "{capabilities} {binds} {devices} {readonly} {uid} {sysctls}"
    (finding,) = Engine([made(subject="container", condition="true", message=message)]).judge(SUBJECTS["container"])
    assert finding.message == "CAP_NET_ADMIN /run c -1 -1  false 0 ."


SPEC = """\
kernel: {image: "k@sha256:%s", cmdline: quiet}
services:
  - {name: web, image: nginx, pid: host}
"""
FILE = """
[[rule]]
id = "ACME001"
name = "no-quiet-kernel"
subject = "cmdline"
condition = "'quiet' in arguments"
summary = "The kernel is told to be quiet | really."
message = "The kernel is started with '{text}'."
remedy = "Leave it out."
nist = ["3.5.2"]
page = "## What it does\\n\\nIt looks."
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINUXKIT_CACHE", str(tmp_path / "none"))
    (tmp_path / "lkscan.toml").write_text(FILE, encoding="utf-8")
    (tmp_path / "linuxkit.yml").write_text(SPEC.replace("%s", "a" * 64), encoding="utf-8")
    return tmp_path


def test_own_rules_are_told_in_every_report_like_all_others(folder, capsys) -> None:
    assert main(["linuxkit.yml", "--select", "acme*", "-o", "a.json", "-o", "a.sarif"]) == FINDINGS
    assert "ACME001 no-quiet-kernel" in capsys.readouterr().out
    report = json.loads((folder / "a.json").read_text(encoding="utf-8"))
    assert [(one["rule"], one["nist"]) for one in report["findings"]] == [("ACME001", ["3.5.2"])]
    (run,) = json.loads((folder / "a.sarif").read_text(encoding="utf-8"))["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert (rule["id"], rule["name"]) == ("ACME001", "NoQuietKernel")
    assert rule["messageStrings"]["default"]["text"] == "The kernel is started with '{0}'."
    assert "It looks." in rule["help"]["markdown"]
    assert rule["helpUri"].endswith("/docs/configuration.md")
    assert rule["relationships"][0]["target"]["id"] == "3.5.2"
    assert run["results"][0]["message"]["arguments"] == ["quiet"]


@pytest.mark.parametrize("command", [["rules"], ["explain", "LKP002"]])
def test_a_broken_configuration_does_not_keep_lkscans_own_rules_from_being_told(command, folder, capsys) -> None:
    (folder / "lkscan.toml").write_text("profil = 1\n")
    assert main(command) == USAGE
    out, err = capsys.readouterr()
    assert "LKP002" in out
    assert err == "lkscan: lkscan.toml: 'profil' is unknown; did you mean 'profile'?\n"
    assert main([*command, "--config", "lkscan.toml"]) == USAGE
    assert capsys.readouterr().out == ""


def test_own_rules_are_listed_and_explained(folder, capsys) -> None:
    assert main(["rules"]) == OK
    assert "ACME001  no-quiet-kernel" in capsys.readouterr().out
    assert main(["rules", "-f", "markdown"]) == OK
    assert "The kernel is told to be quiet \\| really." in capsys.readouterr().out
    assert main(["explain", "acme001"]) == OK
    printed = capsys.readouterr().out
    assert "from             lkscan.toml" in printed
    assert "It looks." in printed
    assert main(["explain", "acme001", "--no-config"]) == USAGE
    assert capsys.readouterr().err.startswith("lkscan: no rule is called acme001")
    assert main(["rules", "--config", "gone.toml"]) == USAGE


def test_own_rules_can_be_named_wherever_rules_are(folder) -> None:
    more = '[severity]\nno-quiet-kernel = "note"\n[[ignore]]\nrules = ["ACME001"]\nreason = "fine"\n'
    (folder / "lkscan.toml").write_text(f"{FILE}\n{more}", encoding="utf-8")
    assert main(["linuxkit.yml", "--select", "ACME001,LKS005", "--fail-on", "note"]) == OK


def test_a_rule_that_fails_makes_the_status_2_and_the_rest_is_told(folder, capsys) -> None:
    (folder / "lkscan.toml").write_text(FILE.replace("'quiet' in arguments", "arguments.nope == ''"), encoding="utf-8")
    assert main(["linuxkit.yml"]) == USAGE
    printed = capsys.readouterr()
    assert printed.err == (
        'lkscan: linuxkit.yml:1:103: rule ACME001 of lkscan.toml failed: Key not found in map : "nope"\n'
    )
    assert "LKN001" in printed.out


def test_without_cel_one_line_says_what_to_install(folder, capsys, monkeypatch) -> None:
    def refuse(name, *arguments, real=builtins.__import__):
        if name.startswith("cel_expr_python"):
            raise ImportError(name)
        return real(name, *arguments)

    from lkscan.rules import own

    own._environment.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    assert main(["linuxkit.yml"]) == USAGE
    wanted = "lkscan: lkscan.toml: rule ACME001 needs CEL: pip install 'lkscan[cel]', with Python 3.11 or later\n"
    assert capsys.readouterr().err == wanted


def test_the_example_does_what_it_says(capsys, monkeypatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parent.parent)
    main(["examples/configured", "-f", "json"])
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == []
    assert {"ACME001", "ACME002"} <= {one["rule"] for one in report["findings"]}
    assert [one["rule"] for one in report["suppressed"]] == ["LKN001"]
    assert "LKS006" not in {one["rule"] for one in report["findings"]}


def test_the_vocabulary_knows_no_subject_but_lkscans() -> None:
    assert load("vocabulary").keys() == KINDS.keys()
    assert KINDS["container"].subject is Container


@pytest.mark.parametrize(
    ("mode", "held"),
    [
        (0o0755, set()),
        (0o4000, {"setuid"}),
        (0o2000, {"setgid"}),
        (0o0002, {"world_writable"}),
        (0o1775, set()),
        (0o6775, {"setuid", "setgid"}),
        (0o7777, {"setuid", "setgid", "world_writable"}),
    ],
)
def test_each_bit_of_a_mode_is_told_by_itself(mode, held) -> None:
    told = KINDS["file"].values(file("bin/su", mode=mode))
    assert {name for name in ("setuid", "setgid", "world_writable") if told[name]} == held
    assert told["mode"] == f"{mode:04o}"
