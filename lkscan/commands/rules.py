"""`lkscan rules`: list what is checked."""

from __future__ import annotations

import argparse

from ..reports import explain
from ..rules.catalogue import RULES
from ..terminal import OK


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("-f", "--format", choices=("text", "markdown"), default="text")


def run(order: argparse.Namespace) -> int:
    """Print the table of rules."""
    print(explain.listing(RULES, markdown=order.format == "markdown"), end="")
    return OK
