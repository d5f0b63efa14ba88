"""Compare with kernel-hardening-checker: every option on which the two differ, with the reason.

    python benchmarks/kernel_options.py DIR

DIR holds configurations, NAME.config, each with the checker's verdicts beside it, NAME.khc.json, as
`kernel-hardening-checker -c NAME.config -m json` prints them. Printed is a line for each difference: the option, both
verdicts, and why they differ, from kernel_options.toml or from the fact that decides. The exit status is 1 where
one has no explanation.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tomli

from lkscan.rules.kernel_options import Answer, Given, answers, spellings
from lkscan.rules.tables import load
from lkscan.scanner import kconfig
from lkscan.scanner.subjects import Kernel, Place

EXPLANATIONS = Path(__file__).with_suffix(".toml")
_SAME = {True: {"good", "absent"}, False: {"bad"}}
"""To the checker, what does not exist and is not wanted is as it should be."""
_LSM = {"selinux": "LSM:access"}


class Difference(NamedTuple):
    """One option, what either says, and why; `why` is "" where nobody knows."""

    option: str
    theirs: str
    ours: str
    why: str


def kernel(path: Path) -> Kernel:
    """The kernel that a configuration stands for."""
    text = path.read_bytes()
    options = kconfig.parse(text)
    arch = kconfig.architecture(options)
    return Kernel(Place((path.name,)), kconfig.version(text), "", arch, "configuration", "", options, path.name, text)


def compare(subject: Kernel, verdicts: list[dict[str, Any]], reasons: dict[str, str]) -> Iterator[Difference]:
    """What differs: a failure that is none here, or the other way round."""
    found = {one.key: one for one in answers(subject, Given())}
    names = {name["name"]: key for key, row in load("kernel_options").items() for name in spellings(key, row)}
    for one in verdicts:
        option = one["option_name"].removeprefix("CONFIG_")
        module = re.fullmatch(r"\*(\w+)\*", one["desired_val"])
        name = f"LSM {module[1]}" if module else option
        key = (_LSM.get(module[1], f"LSM:{module[1]}") if module else None) or names.get(option)
        ours = found.get(key or "")
        if ours is None or ours.value not in _SAME[one["check_result_bool"]]:
            yield Difference(name, one["check_result"], ours.value if ours else "not judged", _why(name, ours, reasons))


def _why(name: str, ours: Answer | None, reasons: dict[str, str]) -> str:
    """The fact that decides tells of what does not exist here; everything else somebody has to have looked at."""
    if name in reasons:
        return reasons[name]
    return ours.fact if ours and ours.value == "absent" else ""


def pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The configurations of a folder that have verdicts beside them. Raises SystemExit when there are none."""
    found = [(path, path.with_suffix(".khc.json")) for path in sorted(folder.glob("*.config"))]
    lone = [path.name for path, verdicts in found if not verdicts.is_file()]
    if lone or not found:
        what = f"{lone[0]} has no verdicts beside it" if lone else "no NAME.config is in there"
        raise SystemExit(f"{folder}: {what}; NAME.khc.json is what the checker prints with -m json")
    return found


def main(arguments: list[str]) -> int:
    """Print all differences of a folder."""
    if len(arguments) != 1:
        raise SystemExit((__doc__ or "").strip())
    reasons = tomli.loads(EXPLANATIONS.read_text(encoding="utf-8"))
    bare = 0
    for path, other in pairs(Path(arguments[0])):
        verdicts = [one for one in json.loads(other.read_text(encoding="utf-8")) if one["type"] == "kconfig"]
        found = list(compare(kernel(path), verdicts, reasons))
        counts = Counter(one.ours for one in found)
        told = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        print(f"{path.name}: {len(verdicts)} options compared, {len(found)} differ ({told})")
        for one in found:
            print(f"  {one.option:<36} {one.theirs}  |  lkscan: {one.ours}  |  {one.why or 'NOT EXPLAINED'}")
        bare += sum(not one.why for one in found)
    print(f"{bare} not explained")
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
