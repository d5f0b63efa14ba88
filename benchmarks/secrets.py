"""Measures the search for secrets: how many of each format are found, what is found where none is, and what it costs.

    python benchmarks/secrets.py [DIR ...]

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

from lkscan.rules.detectors import find

TESTS = Path(__file__).resolve().parent.parent / "tests"
EACH = 20
"""Secrets of each format in each notation."""


def main(trees: list[str]) -> None:
    """Print the figures."""
    sys.path.insert(0, str(TESTS))
    formats: Any = import_module("secretlab")
    formats.MOST = sys.maxsize
    total, missed = 0, Counter[str]()
    for name, path, text in formats.positives(EACH, seed=2):
        total += 1
        missed[name] += not any(find(text.encode(), in_spec=False, path=path))
    print(f"found {total - missed.total()} of {total} secrets ({100 - 100 * missed.total() / total:.2f} %)")
    print(f"missed most: {', '.join(f'{name} {count}' for name, count in missed.most_common(5))}")
    texts = list(formats.texts(*trees))
    size = sum(len(text) for _, text in texts)
    start = time.process_time()
    found = [(path, secret) for path, text in texts for secret in find(text, in_spec=False, path=path)]
    spent = time.process_time() - start
    print(f"{len(texts)} texts, {size >> 20} MiB: {spent:.2f} s CPU, {1000 * spent / max(size >> 20, 1):.1f} ms/MiB")
    for path, secret in found:
        print(f"  {path}: {secret.kind}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["/etc", "/usr/share"])
