"""`lkscan explain`: say what a rule checks, and why."""

from __future__ import annotations

import argparse

from ..reports import explain
from ..rules.catalogue import find
from ..terminal import OK, UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("rule", metavar="RULE", nargs="+", help="id or name")


def run(order: argparse.Namespace) -> int:
    """Print the page of each rule."""
    for text in order.rule:
        rule = find(text)
        if rule is None:
            raise UsageError(f"no rule is called {text}; `lkscan rules` lists them")
        print(explain.page(rule), end="")
    return OK
