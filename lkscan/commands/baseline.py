"""`lkscan baseline`: record today's findings, so that only new ones count from then on."""

from __future__ import annotations

import argparse
import os

from .. import baselines
from ..inputs import gather
from ..ordering import add_inputs, add_judgement, add_reading, add_specs, policies, staff
from ..reports.printable import printable
from ..rules.baseline import Comparison
from ..scanning import scan_judged
from ..terminal import INCOMPLETE, OK, USAGE, UsageError, warn
from ..writing import WriteError, replace

EPILOG = """exit status:
  0  the baseline was printed or written, whatever was found
  2  wrong usage, or a path that is no spec or image
  3  an input could not be read whole (what the baseline knows of it is kept)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.epilog = EPILOG
    add_inputs(parser)
    add_specs(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("-o", "--output", metavar="FILE", help="record into this new file (default: print)")
    target.add_argument("--update", metavar="FILE", help="drop from this baseline what is no longer found; add nothing")
    parser.add_argument("--accept-new", action="store_true", help="with --update: add what is new, too")
    add_judgement(parser)
    add_reading(parser)


def run(order: argparse.Namespace) -> int:
    """Scan, and write or print the baseline."""
    if order.accept_new and order.update is None:
        raise UsageError("--accept-new adds to a baseline that there is: name it with --update FILE")
    if order.output is not None and os.path.lexists(order.output):
        raise UsageError(f"{order.output}: is there already; --update drops what is mended, --accept-new adds to it")
    old = None if order.update is None else baselines.read(order.update)
    before = baselines.place((), order.output or "") if old is None else baselines.parse(old, order.update)
    inputs = gather(order.paths, merge=order.merge, images=order.images)
    if order.spec:
        from ..specs import traced

        inputs = traced(inputs, order.spec)
    result = scan_judged(inputs, policies(order), before, staff(order))
    warn(result.problems)
    comparison = result.baseline or Comparison((), (), 0)
    new = [before.entry(finding) for finding in result.findings]
    grows = old is None or order.accept_new
    text = baselines.dump([*comparison.kept, *(new if grows else ())])
    path = order.output if order.update is None else order.update
    if path is None:
        print(text, end="")
    else:
        _write(path, text.encode(), old)
        print(f"{printable(path)}: {_told(comparison, len(new), grows=grows)}")
    kinds = {problem.kind for problem in result.problems}
    return INCOMPLETE if "incomplete" in kinds else USAGE if kinds else OK


def _write(path: str, new: bytes, old: bytes | None) -> None:
    try:
        replace(path, new, old=old)
    except WriteError as error:
        raise UsageError(str(error)) from None


def _told(comparison: Comparison, new: int, *, grows: bool) -> str:
    added = f"{new} added" if grows else f"{new} new ones left out (--accept-new adds them)"
    return f"{len(comparison.kept)} kept, {len(comparison.stale)} dropped, {added}"
