"""`lkscan explain`: say what a rule checks, and why, or what a promise of LinuxKit is judged by."""

from __future__ import annotations

import argparse

from ..ordering import add_configuration, rules
from ..reports import explain
from ..rules.catalogue import find
from ..terminal import OK, USAGE, UsageError, warn


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("rule", metavar="RULE", nargs="+", help="id or name, or promise:NAME")
    add_configuration(parser)


def run(order: argparse.Namespace) -> int:
    """Print the page of each rule."""
    known, problems = rules(order)
    warn(problems)
    for text in order.rule:
        if text.lower().startswith("promise:") and (pages := explain.promise_pages(text, known)):
            print(pages, end="")
            continue
        rule = find(text, known)
        if rule is None:
            from ..config.settings import stranger

            raise UsageError(stranger(text, known))
        print(explain.page(rule), end="")
    return USAGE if problems else OK
