"""The SARIF report under the SARIF Multitool, with the rules for GitHub switched on: no error, no warning."""

import json
from pathlib import Path

import pytest
from multitoollab import CHECKOUT, program, reports, validate
from reportlab import RULES, TOKEN, image_result, spec_result, traced_result
from test_diff import differing

from lkscan.reports import formats
from lkscan.rules.funnel import Result

pytestmark = pytest.mark.skipif(
    program() is None,
    reason="needs sarif-multitool (npm @microsoft/sarif-multitool) on PATH, or its node_modules in LKSCAN_MULTITOOL",
)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_no_error_no_warning_and_no_note(tmp_path: Path) -> None:
    results = {
        "spec": spec_result(),
        "secret": spec_result(TOKEN),
        "image": image_result(),
        "nothing": Result(rules=RULES),
    }
    results["traced"] = traced_result()
    for name, result in results.items():
        for everything in (False, True):
            options = {"everything": everything, "silenced": everything}
            text = formats.render("sarif", result, version="1.2.3", root="/srv", checkout=CHECKOUT, **options)
            (tmp_path / f"{name}-{everything}.sarif").write_text(text, encoding="utf-8")
    differences = differing()
    folder = str(Path(differences.new).parent)
    checkout = CHECKOUT._replace(root=folder)
    for name, comparison in {"differing": differences, "equal": differences._replace(changes=(), effects=())}.items():
        options = {"version": "1.2.3", "root": folder, "checkout": checkout}
        text = formats.render("sarif", comparison, formats.COMPARISON, **options)
        (tmp_path / f"{name}.sarif").write_text(text, encoding="utf-8")
    for path in EXAMPLES.glob("*.yml"):
        for number, text in enumerate(reports([str(path)], str(EXAMPLES))):
            (tmp_path / f"{path.stem}-{number}.sarif").write_text(text, encoding="utf-8")
    assert validate(tmp_path) == {}


def test_outside_of_a_working_tree_the_one_note_is_that_it_has_no_revision(tmp_path: Path) -> None:
    (tmp_path / "one.sarif").write_text(formats.render("sarif", spec_result(), version="1.2.3"), encoding="utf-8")
    assert set(validate(tmp_path)) == {("SARIF2003", "note")}


def test_the_tool_does_complain_of_a_broken_report(tmp_path: Path) -> None:
    log = json.loads(formats.render("sarif", spec_result()))
    del log["runs"][0]["tool"]["driver"]["informationUri"]
    del log["runs"][0]["results"][0]["locations"]
    (tmp_path / "broken.sarif").write_text(json.dumps(log), encoding="utf-8")
    complaints = validate(tmp_path)
    assert complaints["SARIF2005", "warning"]
    assert any(level == "error" for _, level in complaints)
