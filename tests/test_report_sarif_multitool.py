"""The SARIF report under the SARIF Multitool, with the rules for GitHub switched on: no error, no warning."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from reportlab import RULES, TOKEN, image_result, multitool, spec_result

from lkscan.reports import formats
from lkscan.rules.funnel import Result

PROGRAM = multitool()
pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason="needs sarif-multitool (npm @microsoft/sarif-multitool) on PATH, or its node_modules in LKSCAN_MULTITOOL",
)

OFF_BY_DEFAULT = (
    "GH1001.ProvideRequiredLocationProperties",
    "GH1002.InlineThreadFlowLocations",
    "GH1003.ProvideRequiredRegionProperties",
    "GH1005.LocationsMustBeRelativeUrisOrFilePaths",
    "GH1006.ProvideCheckoutPath",
    "GH1007.ProvideFullyFormattedMessageStrings",
)
NEEDS_NETWORK = "SARIF2006.UrisShouldBeReachable"

CHECKOUT = formats.Checkout("/srv", "https://example.org/o/r", "0" * 40, "main")


def validate(text: str, folder: Path) -> Counter[tuple[str, str]]:
    """(rule, level) -> number of complaints. The program's exit status is 0 whatever it finds."""
    options = "".join(_option(name, "Error") for name in OFF_BY_DEFAULT) + _option(NEEDS_NETWORK, "Disabled")
    (folder / "options.xml").write_text(f"<?xml version='1.0'?><Properties>{options}</Properties>", encoding="utf-8")
    (folder / "report.sarif").write_text(text, encoding="utf-8")
    command = [str(PROGRAM), "validate", "report.sarif", "--rule-kind", "Sarif;Ghas", "--level", "Error;Warning;Note"]
    command += ["--config", "options.xml", "-o", "out.sarif", "--log", "ForceOverwrite"]
    PROGRAM.chmod(0o755)  # npm leaves it so when it may not run the package's script
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    run = json.loads((folder / "out.sarif").read_text(encoding="utf-8-sig"))["runs"][0]
    return Counter((one["ruleId"], one.get("level", "warning")) for one in run.get("results", ()))


def _option(name: str, value: str) -> str:
    kind = "Driver.RuleEnabledState"
    return f'<Properties Key="{name}.Options"><Property Key="RuleEnabled" Value="{value}" Type="{kind}"/></Properties>'


@pytest.mark.parametrize(
    "result",
    [spec_result(), spec_result(TOKEN), image_result(), Result(rules=RULES)],
    ids=["spec", "secret", "image", "nothing"],
)
def test_no_error_no_warning_and_no_note(result: Result, tmp_path: Path) -> None:
    text = formats.render("sarif", result, version="1.2.3", root="/srv", checkout=CHECKOUT)
    assert validate(text, tmp_path) == {}


def test_outside_of_a_working_tree_the_one_note_is_that_it_has_no_revision(tmp_path: Path) -> None:
    assert set(validate(formats.render("sarif", spec_result(), version="1.2.3"), tmp_path)) == {("SARIF2003", "note")}


def test_the_tool_does_complain_of_a_broken_report(tmp_path: Path) -> None:
    log = json.loads(formats.render("sarif", spec_result()))
    del log["runs"][0]["tool"]["driver"]["informationUri"]
    del log["runs"][0]["results"][0]["locations"]
    complaints = validate(json.dumps(log), tmp_path)
    assert complaints["SARIF2005", "warning"]
    assert any(level == "error" for _, level in complaints)
