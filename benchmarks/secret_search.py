"""Measures the search for secrets: how many of each format are found, what is found where none is, and what it costs.

    python benchmarks/secret_search.py [DIR ...]

DIR are trees without secrets, /etc and /usr/share unless told. Formats and notations are those of the tests, made anew
with other random bodies. Every finding in the trees is printed, to be looked at.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from results import Sheet, Table, figures

from lkscan.rules.detectors import find

TESTS = Path(__file__).resolve().parent.parent / "tests"
TREES = ("/etc", "/usr/share")
EACH = 20
"""Secrets of each format in each notation."""


def measured(sheet: Sheet, trees: list[str]) -> None:
    """A table of what is found of what was put in, and one of trees."""
    sys.path.insert(0, str(TESTS))
    formats: Any = import_module("secretlab")
    formats.MOST = sys.maxsize
    total, missed = 0, Counter[str]()
    for name, path, text in formats.positives(EACH, seed=2):
        total += 1
        missed[name] += not any(find(text.encode(), in_spec=False, path=path))
    share = 100 - 100 * missed.total() / total
    most = ", ".join(f"{name} {count}" for name, count in missed.most_common(5) if count)
    put_in = figures("secrets that were put in", count=total, share=share)
    sheet.add(Table("Secrets that are found", [put_in], note=f"missed most: {most}"))
    texts = list(formats.texts(*trees))
    size = sum(len(text) for _, text in texts)
    started, start = time.perf_counter(), time.process_time()
    found = [(path, secret) for path, text in texts for secret in find(text, in_spec=False, path=path)]
    spent, wall = time.process_time() - start, time.perf_counter() - started
    rows = [
        figures("texts searched", count=len(texts), size=size / 1e6, wall=wall, cpu=spent),
        figures("texts with something found", count=len({path for path, _ in found})),
    ]
    sheet.add(Table("Texts without secrets", rows, note=f"below {' and '.join(trees)}"))
    for path, secret in found:
        print(f"  {path}: {secret.kind}")


if __name__ == "__main__":
    measured(Sheet(), sys.argv[1:] or list(TREES))
