"""`lkscan inspect`: print the facts lkscan sees, without judgement."""

from __future__ import annotations

import argparse

from .. import inspection
from ..inputs import gather
from ..ordering import add_configuration, add_inputs, add_reading, facts, staff
from ..terminal import INCOMPLETE, OK, USAGE, warn


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_inputs(parser)
    add_configuration(parser)
    add_reading(parser)
    parser.add_argument("-f", "--format", choices=("text", "json"), default="text")
    parser.add_argument("--files", action="store_true", help="list every file, with its SHA-256")
    parser.add_argument("--binaries", action="store_true", help="list every ELF binary with its hardening")


def run(order: argparse.Namespace) -> int:
    """Print what was seen in each input."""
    inputs = gather(order.paths, merge=order.merge, images=order.images)
    found = inspection.inspect(inputs, facts(order), staff(order), files=order.files, binaries=order.binaries)
    warn([problem for one in found for problem in one.problems])
    for piece in inspection.as_json(found) if order.format == "json" else inspection.as_text(found):
        print(piece, end="")
    kinds = {problem.kind for one in found for problem in one.problems}
    return INCOMPLETE if "incomplete" in kinds else USAGE if kinds else OK
