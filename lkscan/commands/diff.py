"""`lkscan diff`: compare two specs or images, and say what got worse and what got better."""

from __future__ import annotations

import argparse
import sys

from .. import __version__
from ..comparing import compared
from ..ordering import add_judgement, add_labels, add_limits, policies, staff
from ..reporting import targets_of, write_report
from ..reports import formats
from ..terminal import FINDINGS, INCOMPLETE, OK, USAGE, folder, paints, warn, width


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = parser.add_argument
    add("old", metavar="OLD", help="a spec or an image")
    add("new", metavar="NEW", help="another one, of any format")
    add(
        "-f", "--format", choices=tuple(formats.COMPARISON), default="text", help="what to print (default: %(default)s)"
    )
    add(
        "-o",
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help=f"also write a report, in the format of the suffix ({' '.join(formats.suffixes(formats.COMPARISON))}); "
        "repeatable",
    )
    add("--fail-on-regression", action="store_true", help="exit with 1 when something got worse")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: on a terminal)")
    add_labels(parser)
    add_judgement(parser)
    add_limits(parser)


def run(order: argparse.Namespace) -> int:
    """Compare, print and write the reports."""
    targets = targets_of(order.output, formats.COMPARISON)
    found = compared(order.old, order.new, policies(order), staff(order))
    warn(found.problems)
    color = order.color == "always" or (order.color == "auto" and paints(sys.stdout))

    def render(name: str, *, color: bool = False, width: int = 0) -> str:
        options = {"color": color, "width": width, "version": __version__, "root": folder()}
        if name == "sarif":
            from ..checkout import checkout

            options["checkout"] = checkout(folder())
        return formats.render(name, found, formats.COMPARISON, **options)

    sys.stdout.write(render(order.format, color=color, width=width()))
    for path, name in targets.items():
        write_report(path, render(name))
    kinds = {problem.kind for problem in found.problems}
    if kinds:
        return INCOMPLETE if "incomplete" in kinds else USAGE
    return FINDINGS if order.fail_on_regression and found.regressions else OK
