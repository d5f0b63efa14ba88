"""`lkscan compliance`: assess specs and images by the sections of NIST SP 800-190."""

from __future__ import annotations

from ..inputs import gather
from ..ordering import add_inputs, add_judgement, add_reading, policies, staff
from ..reporting import add_reporting, reports, tell
from ..reports.formats import COMPLIANCE
from ..scanning import accepted, scan_judged

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_inputs(parser)
    add_reporting(parser, COMPLIANCE)
    add_judgement(parser)
    add_reading(parser)


def run(order: argparse.Namespace) -> int:
    """Scan as ever, and tell the sections instead of the findings."""
    policy_of = policies(order)
    targets = reports(order, COMPLIANCE)
    inputs = gather(order.paths, merge=order.merge, images=order.images)
    result = scan_judged(inputs, policy_of, accepted(order.baseline), staff(order))
    return tell(result, order, targets, policy_of, COMPLIANCE)
