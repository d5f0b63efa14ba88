"""`lkscan scan`, the default command: audit specs and images."""

from __future__ import annotations

from collections.abc import Sequence

from ..config.policies import Policies
from ..inputs import gather
from ..ordering import add_budget, add_inputs, add_judgement, add_reading, add_specs, policies, staff
from ..reporting import add_reporting, reports, tell
from ..reports.formats import SHOWS_CONTENTS
from ..scanning import accepted, scan_judged
from ..terminal import OK, UsageError

TYPE_CHECKING = False  # argparse is not imported for an order without options: start-up is a feature
if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_inputs(parser)
    add_specs(parser)
    add = parser.add_argument
    add_reporting(parser)
    add_judgement(parser)
    add_reading(parser)
    add(
        "--evidence",
        action="store_true",
        help="read the code of programs in images, too, for what their containers hold and never use",
    )
    add_budget(parser)
    add("--show-config", action="store_true", help="scan nothing; print the configuration for PATH, and its origins")
    add(
        "--if-linuxkit",
        action="store_true",
        help="pass over YAML files that are no LinuxKit spec or package without a word (for hooks)",
    )


def run(order: argparse.Namespace) -> int:
    """Scan, print and write the reports."""
    policy_of = policies(order)
    if order.show_config:
        return _show(policy_of, order.paths)
    targets = reports(order)
    inputs = gather(order.paths, merge=order.merge, if_linuxkit=order.if_linuxkit, images=order.images)
    if order.spec:
        from ..specs import traced

        inputs = traced(inputs, order.spec)
    contents = not SHOWS_CONTENTS.isdisjoint({order.format, *targets.values()})
    who = staff(order)._replace(contents=contents, evidence=getattr(order, "evidence", False))
    result = scan_judged(inputs, policy_of, accepted(order.baseline), who)
    if order.if_linuxkit and not result.systems and not result.problems:
        return OK
    return tell(result, order, targets, policy_of)


def _show(policy_of: Policies, paths: Sequence[str]) -> int:
    from ..config.show import show

    if len({policy_of.governing(path) for path in paths}) > 1:
        raise UsageError("the paths are under several configurations; name one of them")
    print(show(policy_of, paths[0]), end="")
    return OK
