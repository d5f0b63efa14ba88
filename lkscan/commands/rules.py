"""`lkscan rules`: list what is checked."""

from __future__ import annotations

import argparse

from ..ordering import add_configuration, rules
from ..reports import explain
from ..terminal import OK, USAGE, warn


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("-f", "--format", choices=("text", "markdown"), default="text")
    add_configuration(parser)


def run(order: argparse.Namespace) -> int:
    """Print the table of rules, those of the configuration included."""
    known, problems = rules(order)
    warn(problems)
    print(explain.listing(known, markdown=order.format == "markdown"), end="")
    return USAGE if problems else OK
