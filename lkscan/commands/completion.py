"""`lkscan completion`: print a script that makes a shell complete lkscan's command line."""

from __future__ import annotations

import argparse

from ..terminal import OK


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to complete in")


def run(order: argparse.Namespace) -> int:
    """Print the script."""
    from ..completions import script

    print(script(order.shell), end="")
    return OK
