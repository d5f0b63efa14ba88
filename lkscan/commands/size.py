"""`lkscan size`: what an image is made of in bytes, what it costs to boot, and whether that is within a budget."""

from __future__ import annotations

import argparse
import sys

from .. import __version__, sizing
from ..config.policies import Policy
from ..inputs import Input, gather
from ..ordering import add_budget, add_configuration, add_inputs, add_reading, facts, staff
from ..reporting import targets_of, write_report
from ..reports import formats
from ..rules.sizes import Report, Sizes, missing
from ..terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, warn


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_inputs(parser, merge=False)
    add_configuration(parser)
    add_reading(parser)
    add = parser.add_argument
    add("-f", "--format", choices=tuple(formats.SIZES), default="text", help="what to print (default: %(default)s)")
    add(
        "-o",
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help=f"also write a report, in the format of the suffix ({' '.join(formats.suffixes(formats.SIZES))}); "
        "repeatable",
    )
    add_budget(parser)


def run(order: argparse.Namespace) -> int:
    """Measure, print and write the reports."""
    targets = targets_of(order.output, formats.SIZES)
    policy_of = facts(order)
    images: list[tuple[Input, Policy]] = []
    found: list[Sizes] = []
    for one in gather(order.paths, images=True):
        if not isinstance(one, Input):
            found.append(Sizes(one.place.artifacts[0], problems=(one,)))
        elif one.kind == "spec":
            found.append(sizing.unusable(one.paths[0], "a spec has no size; name an image that was built of it"))
        else:
            images.append((one, policy_of(one.paths[0]).for_images()))
    found += sizing.measure(images, staff(order))
    report = Report(tuple(found))
    warn(report.problems)
    if not report.problems and (unknown := missing((one.components for one in found), dict(order.budget))):
        raise UsageError(f"--budget {unknown[0]}=…: no image has a component of this name")
    sys.stdout.write(formats.render(order.format, report, formats.SIZES, version=__version__))
    for path, name in targets.items():
        write_report(path, formats.render(name, report, formats.SIZES, version=__version__))
    kinds = {problem.kind for problem in report.problems}
    if kinds:
        return INCOMPLETE if "incomplete" in kinds else USAGE
    return FINDINGS if any(one.excess for one in found) else OK
