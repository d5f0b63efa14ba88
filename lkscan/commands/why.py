"""`lkscan why`: which component brought a file into an image, and who can use it."""

from __future__ import annotations

import argparse
from functools import partial

from .. import transfer, whys
from ..config.policies import Overrides, Policies, Policy
from ..imaging import Order, results
from ..inputs import Input, gather
from ..ordering import add_configuration, add_labels, add_limits, add_specs, limits_given, staff
from ..reports.printable import printable
from ..rules.engine import Profile
from ..rules.funnel import Result
from ..scanner.sight import View
from ..scanner.subjects import Problem
from ..terminal import INCOMPLETE, OK, UsageError, warn

EPILOG = """exit status:
  0  the file is there
  2  wrong usage, or there is no such file in the image
  3  the image could not be read whole
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("image", metavar="IMAGE", help="an image; NAME stands for NAME-kernel, NAME-initrd.img and NAME-cmdline")
    add("path", metavar="PATH", help="a file in it: etc/motd, or LAYER!PATH, as reports have it")
    add_specs(parser)
    add("-f", "--format", choices=("text", "json"), default="text", help="what to print (default: %(default)s)")
    add_labels(parser)
    add_limits(parser)
    add_configuration(parser)


def run(order: argparse.Namespace) -> int:
    """Tell it."""
    found = list(gather([order.image]))
    images = [one for one in found if isinstance(one, Input) and one.kind == "image"]
    if len(found) != 1 or len(images) != 1:
        problem = next((one.message for one in found if isinstance(one, Problem)), "is no single image")
        raise UsageError(f"{order.image}: {problem}")
    (image,) = images
    if order.spec:
        from ..specs import traced

        (image,) = (one for one in traced(images, order.spec) if isinstance(one, Input))
    policy = _policy(order)
    work = partial(whys.work, image, policy, order.path)
    kinds = (Result, whys.Account)
    transfer.learn(whys.Account, View)
    who = staff(order)
    (answered,) = results([Order(image, policy.limits, work, kinds, policy.known(), policy.labels.folders)], who)
    if isinstance(answered, Problem):
        warn([answered])
        return INCOMPLETE
    return _tell(order, *answered)


def _policy(order: argparse.Namespace) -> Policy:
    overrides = Overrides(Profile.AUDITOR, packages=order.packages, cache=order.cache, limits=limits_given(order))
    return Policies(overrides, config=order.config, search=not order.no_config)(order.image).for_images()


def _tell(order: argparse.Namespace, result: Result, answer: whys.Account) -> int:
    problems = result.problems
    warn(problems)
    if answer.place is None:
        if problems:
            return INCOMPLETE
        raise UsageError(whys.missing(answer, order.image, order.path))
    if order.format == "json":
        print(whys.as_json(answer, result))
    else:
        for line in whys.as_text(answer, result):
            print(printable(line))
    return INCOMPLETE if problems else OK
