"""The JSON report: its shape is a contract."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from reportlab import GETTY, RULES, image_result, snapshot, spec_result

from lkscan.cli import FINDINGS, main
from lkscan.reports import formats
from lkscan.rules.funnel import Result


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LKSCAN_DATE", "2026-01-01")


def load(result: Result) -> dict:
    return json.loads(formats.render("json", result, version="1.2.3"))


def test_the_report_looks_as_reviewed() -> None:
    for name, result in (("spec", spec_result()._replace(rules=RULES)), ("image", image_result(1))):
        text = formats.render("json", result, version="1.2.3")
        assert text == snapshot(f"{name}.json", text)


def test_the_version_and_the_keys_are_a_contract() -> None:
    document = load(spec_result())
    assert document["version"] == 1
    assert list(document) == [
        "version",
        "tool",
        "summary",
        "findings",
        "others",
        "proofs",
        "not_applicable",
        "suppressed",
        "baselined",
        "stale",
        "problems",
        "systems",
        "promises",
        "rules",
        "sources",
        "names",
        "date",
    ]
    assert list(load(Result())) == list(document)


def test_a_finding_has_all_that_is_known_of_it() -> None:
    one = load(spec_result())["findings"][0]
    assert one["rule"] == "LKP902"
    assert one["nist"] == ["3.4.3", "3.5.5"]
    assert one["fingerprint"] == GETTY.fingerprint
    assert one["locations"][0] == {
        "artifacts": ["linuxkit.yml"],
        "line": 5,
        "column": 12,
        "end_line": 5,
        "end_column": 67,
        "pointer": "services[0].image",
        "note": "from the label of linuxkit/getty",
    }


def test_other_outcomes_carry_their_reason_and_suppressions_theirs() -> None:
    document = load(spec_result())
    assert [(one["outcome"], one["message"]) for one in document["others"]] == [
        ("undecided", "Nobody knows the label of 'web'."),
    ]
    assert document["not_applicable"] == [{"rule": "LKP902", "reason": "It is not built.", "subjects": 1}]
    assert document["suppressed"][0]["reason"] == "we know"
    assert document["problems"][0]["kind"] == "incomplete"


def test_the_summary_adds_up() -> None:
    assert load(spec_result())["summary"] == {
        "critical": 1,
        "high": 0,
        "medium": 1,
        "low": 0,
        "note": 0,
        "hidden": 3,
        "suppressed": 1,
        "baselined": 0,
        "stale": 0,
        "undecided": 1,
        "partial": 0,
        "not_applicable": 1,
        "problems": 1,
        "unseen": 0,
    }


def test_every_container_has_its_exposure() -> None:
    getty, web = load(spec_result())["systems"][0]["containers"]
    assert getty["exposure"]["word"] == "UNSAFE"
    assert (web["exposure"]["score"], web["exposure"]["word"]) == (None, "UNKNOWN")
    assert web["label"] == {"kind": "unknown", "detail": ""}


def test_an_image_lists_its_kernels_and_every_finding() -> None:
    document = load(image_result(9))
    assert len(document["findings"]) == 10
    assert document["findings"][0]["locations"][0]["line"] is None
    assert document["systems"][0]["kernels"][0]["version"] == "6.12.59-linuxkit"


def test_the_rules_that_ran_are_there_with_their_outcomes() -> None:
    rules = load(spec_result())["rules"]
    assert rules["LKP902"]["outcomes"] == {"fail": 1, "pass": 7}
    assert rules["LKF901"]["outcomes"] == {}


def test_the_document_is_ascii_and_strict_json() -> None:
    text = formats.render("json", image_result())
    assert text.isascii()
    assert "\\ud" not in text  # a lone surrogate is no character to most readers of JSON
    assert "\\u001b" in text


def test_the_same_result_gives_the_same_bytes() -> None:
    assert formats.render("json", spec_result()) == formats.render("json", spec_result())


# --- the schema

SCHEMA = json.loads((Path(__file__).parent.parent / "docs/schema/report-1.json").read_text(encoding="utf-8"))


def strict(schema):
    """The same schema, by which an object has no keys but those that it describes."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"unevaluatedProperties": False} if "properties" in schema or "allOf" in schema else {}
    return {**{name: strict(one) for name, one in schema.items()}, **closed}


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "result",
    [
        spec_result(),
        image_result(),
        Result(),
        spec_result()._replace(suppressed=(), others=(), rules=RULES, systems=()),
    ],
    ids=["spec", "image", "nothing", "rules"],
)
def test_every_report_fits_the_schema(result):
    Draft202012Validator(SCHEMA).validate(load(result))


def test_the_schema_describes_every_key_but_that_of_a_silenced_finding(tmp_path, monkeypatch, capsys):
    loose = json.loads(json.dumps(SCHEMA))
    finding, silenced = loose["$defs"]["finding"], loose["$defs"]["silenced"]["allOf"][1]
    loose["$defs"]["silenced"] = {
        **finding,
        "required": [*finding["required"], "reason"],
        "properties": {**finding["properties"], **silenced["properties"]},
    }
    validator = Draft202012Validator(strict(loose))
    for result in (spec_result(), image_result()):
        validator.validate(load(result))
    (tmp_path / "a.yml").write_text("services:\n  - {name: a, image: nginx, capabilities: [all]}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["a.yml", "--profile", "linuxkit", "-f", "json"]) == FINDINGS
    validator.validate(json.loads(capsys.readouterr().out))
