"""The SARIF Multitool, with its rules for GitHub switched on, over SARIF reports.

By itself, it tells what the tool has to say of the reports on what is named, in each of the ways that they can be
asked for: multitoollab.py PATH...
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lkscan.reports import formats
from lkscan.rules.engine import Profile
from lkscan.rules.funnel import Options
from lkscan.scanning import scan

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
"""The working tree that reports are made in: without one, the tool notes that a revision is missing."""


def program() -> Path | None:
    """The program, of the npm package that LKSCAN_MULTITOOL (a node_modules) or PATH names."""
    named, found = os.environ.get("LKSCAN_MULTITOOL"), shutil.which("sarif-multitool")
    modules = Path(named) if named else Path(found).resolve().parents[2] if found else None
    return next(iter(sorted(modules.glob("@microsoft/sarif-multitool-*/Sarif.Multitool"))), None) if modules else None


def reports(paths: Sequence[str], root: str = "") -> tuple[str, str]:
    """The reports on inputs that are scanned together: on all that an auditor is shown, and on all that can be told."""
    result = scan(paths, options=Options(Profile.AUDITOR))
    folder = root or os.getcwd()
    common = {"version": "1.2.3", "root": folder, "checkout": CHECKOUT._replace(root=folder)}
    return (
        formats.render("sarif", result, **common),
        formats.render("sarif", result, **common, everything=True, silenced=True),
    )


def validate(folder: Path) -> Counter[tuple[str, str]]:
    """(rule, level) -> number of complaints about all reports in a folder.

    They stand in the file that the program writes: its exit status is 0 whatever it finds.
    """
    tool = program()
    assert tool is not None
    options = "".join(_option(name, "Error") for name in OFF_BY_DEFAULT) + _option(NEEDS_NETWORK, "Disabled")
    (folder / "options.xml").write_text(f"<?xml version='1.0'?><Properties>{options}</Properties>", encoding="utf-8")
    names = sorted(path.name for path in folder.glob("*.sarif") if path.name != "out.sarif")
    command = [str(tool), "validate", *names, "--rule-kind", "Sarif;Ghas", "--level", "Error;Warning;Note"]
    command += ["--max-file-size-in-kb", str(1 << 20)]  # it passes over what is larger with a warning
    command += ["--config", "options.xml", "-o", "out.sarif", "--log", "ForceOverwrite"]
    tool.chmod(0o755)  # npm leaves it so when it may not run the package's script
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    read = re.search(rb"(\d+) files scanned", done.stdout)
    assert int(read[1] if read else 0) == len(names), done.stdout[-2000:]
    run = json.loads((folder / "out.sarif").read_text(encoding="utf-8-sig"))["runs"][0]
    return Counter((one["ruleId"], one.get("level", "warning")) for one in run.get("results", ()))


def _option(name: str, value: str) -> str:
    kind = "Driver.RuleEnabledState"
    return f'<Properties Key="{name}.Options"><Property Key="RuleEnabled" Value="{value}" Type="{kind}"/></Properties>'


def main() -> int:
    """Print the complaints, and how large the reports are under gzip, which GitHub limits to 10 MB."""
    import gzip

    if program() is None or len(sys.argv) == 1:
        print(__doc__, "It is the npm package @microsoft/sarif-multitool; LKSCAN_MULTITOOL names a node_modules.")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, text in enumerate(reports(sys.argv[1:])):
            (folder / f"{number}.sarif").write_text(text, encoding="utf-8")
            results, packed = len(json.loads(text)["runs"][0]["results"]), len(gzip.compress(text.encode()))
            print(f"{results:7,} results, {len(text) / 1e6:6.2f} MB, {packed / 1e6:5.2f} under gzip")
        found = validate(folder)
    for level in ("error", "warning", "note"):
        print(f"{sum(number for (_, one), number in found.items() if one == level)} {level}s")
    print(*(f"{rule} {level}: {number}" for (rule, level), number in sorted(found.items())), sep="\n", end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
