"""`lkscan lsp`: serve editors with diagnostics, hover and quick fixes while a spec is written."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from ..ordering import add_judgement, add_labels, policies
from ..terminal import OK, UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_labels(parser)
    add_judgement(parser)
    parser.add_argument("--stdio", action="store_true", help="what editors say; it is the only way, and the default")


def run(order: argparse.Namespace) -> int:
    """Serve until the editor ends it."""
    if find_spec("pygls") is None:
        raise UsageError("the language server needs the extra 'lsp': pip install 'lkscan[lsp]'")
    policies(order)  # what is of no use is told now, and not to an editor
    from ..language_server import serve

    serve(lambda: policies(order))
    return OK
