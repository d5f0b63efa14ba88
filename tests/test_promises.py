"""LinuxKit's promises: which rules tell of each, whether an input keeps it, and how every report says so."""

import json

import pytest
from defaultlab import CONFIG, document, initrd
from elflab import Lab
from imagelab import Item, newc

from lkscan.cli import main
from lkscan.reports.promises import words
from lkscan.rules.catalogue import RULES
from lkscan.rules.funnel import Options, choose
from lkscan.rules.ignores import names
from lkscan.rules.promises import chosen, promises
from lkscan.scanning import scan


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """LinuxKit's default spec and an image of it, as an earlier LinuxKit had them, in the present folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linuxkit.yml").write_text(document(), encoding="utf-8")
    (tmp_path / "linuxkit.img").write_bytes(initrd(document()))
    (tmp_path / "bare.yml").write_text(document(sysctl=False), encoding="utf-8")
    (tmp_path / "bare.img").write_bytes(initrd(document(sysctl=False)))
    return tmp_path


def states(path, **options):
    """State and rules of each promise by name, for one input."""
    found = words(scan([path], options=Options(select=("promise:*",), **options)))
    return {word.promise.name: (word.state, word.rules, word.reason) for word in found}


def report(capsys, *order):
    status = main([*order, "-f", "json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("promise", promises(), ids=lambda one: one.name)
def test_every_pattern_of_a_promise_names_a_rule(promise):
    for pattern, _ in promise.rules:
        assert any(names(rule, (pattern,)) for rule in RULES), pattern
    assert promise.says.endswith(".")
    assert set(promise.needs) <= {
        "kernel", "release", "command line", "containers", "files", "binaries", "images", "spec",
    }  # fmt: skip


def test_a_promise_is_a_named_group_of_rules():
    some = {rule.id for rule in choose(RULES, Options(select=("promise:no-login",)))}
    assert {"LKA001", "LKA002"} <= some
    assert not {"LKK001", "LKP001"} & some
    assert {rule.id for rule in choose(RULES, Options(ignore=("promise:no-login",)))}.isdisjoint(some)
    assert [one.name for one in chosen(("LKA001", "PROMISE:*-kernel"))] == [
        "modern-kernel",
        "hardened-kernel",
        "upstream-kernel",
    ]


def test_the_default_spec_is_found_to_break_what_it_breaks(inputs):
    found = states("linuxkit.yml")
    assert found["no-login"] == ("broken", ("LKA001",), "")
    assert found["trusted-images"] == ("broken", ("LKS004",), "")
    assert found["images-by-digest"][:2] == ("broken", ("LKI001", "LKI002"))
    assert found["modern-kernel"] == ("broken", ("LKK018",), "")
    assert found["hardened-kernel"] == ("not decidable", (), "A spec does not tell; scan the image that is built.")
    assert found["no-self-update"][0] == "kept"


def test_the_default_image_is_found_to_break_what_it_breaks(inputs):
    found = states("linuxkit.img")
    assert found["no-login"] == ("broken", ("LKA001",), "")
    assert found["modern-kernel"] == ("broken", ("LKK017",), "")
    assert found["hardened-kernel"][:2] == ("broken", ("LKK007", "LKK012"))
    assert found["restricted-helper"][0] == found["hardened-boot"][0] == found["upstream-kernel"][0] == "kept"
    assert found["images-by-digest"][0] == "not decidable"
    assert found["images-by-digest"][2] == "An image does not tell; scan the spec that it was built from."


def test_silence_is_no_proof_where_nothing_was_looked_at(inputs):
    (inputs / "bare.cpio").write_bytes(newc(Item("usr/bin/tool", Lab().build()), Item("etc/motd", b"hello")))
    found = states("bare.cpio")
    assert found["type-safe-daemons"] == ("not decidable", (), "Nothing that it is about was found in it.")
    assert found["no-package-manager"][0] == "kept"


@pytest.mark.parametrize("kind", ["yml", "img"])
def test_a_missing_sysctl_container_breaks_the_promise_of_settings(inputs, kind):
    assert "LKL001" not in states(f"linuxkit.{kind}")["hardened-settings"][1]
    state, rules, _ = states(f"bare.{kind}")["hardened-settings"]
    assert (state, "LKL001" in rules) == ("broken", True)


def test_what_is_silenced_is_broken_all_the_same(inputs):
    path = inputs / "linuxkit.yml"
    text = path.read_text(encoding="utf-8").replace("- INSECURE=true", "- INSECURE=true # lkscan: ignore[LKA001] a lab")
    path.write_text(text, encoding="utf-8")
    assert states("linuxkit.yml")["no-login"] == ("broken", ("LKA001",), "")


def test_a_rule_that_is_switched_off_leaves_its_promise_open(inputs):
    found = states("linuxkit.img", ignore=("LKL006",))
    assert found["no-self-update"] == ("not decidable", (), "LKL006 is switched off.")


def test_an_input_that_is_not_read_whole_keeps_nothing(inputs):
    whole = (inputs / "linuxkit.img").read_bytes()
    (inputs / "cut.img").write_bytes(whole[:-150])
    found = states("cut.img")
    assert found["no-login"][0] == "broken"
    assert {state for state, _, _ in found.values()} == {"broken", "not decidable"}


def test_an_option_of_a_rule_is_told_apart_from_its_others(inputs):
    assert states("linuxkit.img")["restricted-helper"][1] == ("LKK012",)
    (helper,) = chosen(("promise:restricted-helper",))
    fails = scan(["linuxkit.img"], options=Options(select=("LKK012",))).findings
    assert fails
    assert not any(helper.concerns(one) for one in fails)


def test_an_option_that_a_kernel_does_not_have_is_no_promise_kept(inputs, monkeypatch):
    monkeypatch.setattr("defaultlab.CONFIG", CONFIG.replace(b"CONFIG_STATIC_USERMODEHELPER=y\n", b""))
    (inputs / "old.img").write_bytes(initrd(document()))
    assert states("old.img")["restricted-helper"][0] == "not decidable"


def test_the_profile_asks_for_all_promises_and_a_selection_for_some(inputs, capsys):
    status, document = report(capsys, "linuxkit.img", "--profile", "linuxkit")
    assert status == 1
    assert [one["name"] for one in document["promises"]] == [one.name for one in promises()]
    (login,) = (one for one in document["promises"] if one["name"] == "no-login")
    assert (login["path"], login["state"], login["rules"]) == ("linuxkit.img", "broken", ["LKA001"])
    assert set(login["findings"]) <= {one["fingerprint"] for one in document["findings"]}
    _, document = report(capsys, "linuxkit.img", "--select", "promise:modern-kernel,LKA001")
    assert [one["name"] for one in document["promises"]] == ["modern-kernel"]
    assert {one["rule"] for one in document["findings"]} == {"LKK017", "LKA001"}
    assert report(capsys, "linuxkit.img")[1]["promises"] == []


def test_a_configuration_may_name_the_profile_and_the_command_line_another(inputs, capsys):
    (inputs / "lkscan.toml").write_text('profile = "linuxkit"\n', encoding="utf-8")
    assert len(report(capsys, "linuxkit.yml")[1]["promises"]) == len(promises())
    assert report(capsys, "linuxkit.yml", "--profile", "pedantic")[1]["promises"] == []
    main(["linuxkit.yml", "--show-config"])
    assert 'profile = "linuxkit"' in capsys.readouterr().out


def test_several_inputs_are_told_apart(inputs, capsys):
    _, document = report(capsys, "linuxkit.yml", "linuxkit.img", "bare.img", "--profile", "linuxkit")
    settings = {one["path"]: one["rules"] for one in document["promises"] if one["name"] == "hardened-settings"}
    assert list(settings) == ["linuxkit.yml", "linuxkit.img", "bare.img"]
    assert "LKL001" in settings["bare.img"]
    assert "LKL001" not in settings["linuxkit.img"]
    main(["linuxkit.yml", "linuxkit.img", "--profile", "linuxkit"])
    assert capsys.readouterr().out.count("Promises of LinuxKit") == 2


def test_the_text_says_promise_by_promise_what_is_kept(inputs, capsys):
    main(["linuxkit.img", "--profile", "linuxkit"])
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  broken") and "no-login:" in line)
    assert lines[at + 1].split() == ["LKA001"]
    assert any(line.startswith("  kept") and "upstream-kernel:" in line for line in lines)


def test_sarif_has_the_promises_as_properties_and_notes(inputs, capsys):
    main(["linuxkit.img", "--profile", "linuxkit", "-f", "sarif"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    told = {one["name"]: one["state"] for one in run["properties"]["promises"]}
    assert (told["no-login"], told["upstream-kernel"]) == ("broken", "kept")
    notes = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert "linuxkit.img: LinuxKit's promise no-login is broken (LKA001)." in notes


def test_a_promise_is_explained(capsys):
    assert main(["explain", "promise:restricted-helper", "promise:modern-kernel"]) == 0
    out = capsys.readouterr().out
    assert "promise:restricted-helper\n" in out
    assert "  LKK012  unverified-kernel-code\n  Of LKK012 only what it says of STATIC_USERMODEHELPER counts." in out
    assert "  LKK017  outdated-kernel\n" in out
    assert main(["explain", "promise:nothing"]) == 2


def test_a_promise_that_there_is_not_is_refused_in_a_line(inputs, capsys):
    assert main(["linuxkit.yml", "--select", "promise:nothing"]) == 2
    assert "no rule is called promise:nothing" in capsys.readouterr().err


def test_a_baseline_does_not_mend_a_promise(inputs, capsys):
    assert main(["baseline", "linuxkit.yml", "--profile", "linuxkit", "-o", "known.json"]) == 0
    capsys.readouterr()
    status, document = report(capsys, "linuxkit.yml", "--profile", "linuxkit", "--baseline", "known.json")
    assert (status, document["findings"]) == (0, [])
    assert {one["name"]: one["state"] for one in document["promises"]}["no-login"] == "broken"
