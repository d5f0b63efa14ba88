"""`lkscan size`: what an image is made of in bytes, and whether that is within a budget."""

from __future__ import annotations

import argparse
import sys

from .. import sizing
from ..config.policies import Policy
from ..inputs import Input, gather
from ..ordering import add_configuration, add_inputs, add_reading, facts, staff
from ..terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, warn


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_inputs(parser, merge=False)
    add_configuration(parser)
    add_reading(parser)
    parser.add_argument("-f", "--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--budget",
        metavar="NAME=SIZE",
        type=_budget,
        action="append",
        default=[],
        help="exit with 1 when an image (35M) or a component (services/web=5M) is larger, unpacked; repeatable",
    )


def _budget(text: str) -> tuple[str, int]:
    from ..limits import LimitsError, size

    name, _, amount = text.rpartition("=")
    try:
        return name, size(amount)
    except LimitsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(order: argparse.Namespace) -> int:
    """Measure and print."""
    policy_of = facts(order)
    images: list[tuple[Input, Policy]] = []
    found: list[sizing.Sizes] = []
    for one in gather(order.paths, images=True):
        if not isinstance(one, Input):
            found.append(sizing.Sizes(one.place.artifacts[0], problems=(one,)))
        elif one.kind == "spec":
            found.append(sizing.unusable(one.paths[0], "a spec has no size; name an image that was built of it"))
        else:
            images.append((one, policy_of(one.paths[0]).for_images()))
    found += sizing.measure(images, staff(order))
    problems = [problem for one in found for problem in one.problems]
    warn(problems)
    budget = dict(order.budget)
    if not problems and (unknown := sizing.missing(found, budget)):
        raise UsageError(f"--budget {unknown[0]}=…: no image has a component of this name")
    told = [(one, sizing.exceeded(one, budget)) for one in found if one.system]
    sys.stdout.write(sizing.as_json(told) if order.format == "json" else "\n".join(sizing.lines(*one) for one in told))
    kinds = {problem.kind for problem in problems}
    if kinds:
        return INCOMPLETE if "incomplete" in kinds else USAGE
    return FINDINGS if any(over for _, over in told) else OK
