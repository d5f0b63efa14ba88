"""The demo: lint the example specs, then build a small ISO from one of them and audit it."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import build_demo_iso

from lkscan.cli import main

ROOT = Path(__file__).resolve().parent.parent
DATE = "2026-01-01"  # the day ends of life are judged by, so that the demo says the same next year
IMAGE = "build/demo.iso"
HEAD = 24
STEPS = (
    ("A spec with nothing to mend", "examples/exemplary.yml", 0),
    ("A spec as bad as they are found", "examples/bad.yml", HEAD),
    ("The image that is built from it", IMAGE, 0),
)


def demo() -> int:
    """Show each command and its report (or the first lines of it); 2 when an input could not be read, else 0."""
    os.chdir(ROOT)
    build_demo_iso.main([IMAGE])
    worst = 0
    for title, path, lines in STEPS:
        print(f"\n### {title}\n$ lkscan {path}\n", flush=True)
        output = io.StringIO() if lines else sys.stdout
        with redirect_stdout(output):
            worst = max(worst, main(["scan", "--date", DATE, path]))
        if isinstance(output, io.StringIO):
            _show(output.getvalue().splitlines(), lines)
    print("\nThe findings are the point of the demo: `lkscan` itself exits with 1 on them, `make demo` with 0.")
    return 0 if worst <= 1 else 2


def _show(report: list[str], lines: int) -> None:
    """The first lines of a report and its last block, the summary."""
    summary = len(report) - report[::-1].index("")
    print(*report[:lines], "  [...]", "", *report[summary:], sep="\n")


if __name__ == "__main__":
    sys.exit(demo())
