"""The command line: finds the command, hands it its order, and sets the exit status."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace

from . import __version__
from .commands import COMMANDS
from .terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, complain, lenient

TYPE_CHECKING = False  # typing itself is not imported: start-up is a feature
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["COMMANDS", "FINDINGS", "INCOMPLETE", "OK", "USAGE", "main", "run"]

_INTERRUPTED = 130
_FEW_COLLECTIONS = 1_000_000
"""New objects before the garbage collector looks for cycles: to look through all there are is a fifteenth of the time
of linting a folder, and finds next to nothing."""


def run() -> NoReturn:
    """The console script: `main` with the exit status of its result."""
    gc.set_threshold(_FEW_COLLECTIONS)
    for name in ("stdout", "stderr"):  # a stream that was closed is None here
        setattr(sys, name, getattr(sys, name) or open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except OSError as error:
        # Nothing more can be written, the shutdown flush included. The reader of a pipe (`| head`) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = OK if isinstance(error, BrokenPipeError) else USAGE
        if status:
            complain(f"standard output cannot be written: {error.strerror}")
    _leave(status)


def _leave(status: int) -> NoReturn:
    """End the process without taking apart, object by object, what its end frees anyway: a twelfth of one spec's time.

    What was registered for the end is still done. Under a debugger, a profiler or anything with threads, the
    interpreter ends in its own way.
    """
    if "threading" in sys.modules or sys.gettrace() or sys.getprofile():
        sys.exit(status)
    atexit._run_exitfuncs()  # noqa: SLF001 - the interpreter's own first step, and there is no other name for it
    sys.stdout.flush()
    os._exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; only this module prints."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        from .parsers import parser

        parser().print_help(sys.stderr)
        return USAGE
    if arguments[0] == "--version":
        sys.stdout.write(f"lkscan {__version__}\n")
        return OK
    if arguments[0] in ("-h", "--help"):
        from .parsers import parser

        parser().parse_args(arguments[:1])
    name = arguments.pop(0) if arguments[0] in COMMANDS else "scan"
    command, order = _order(name, arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=lenient())  # names in images may hold any bytes
    try:
        status: int = command.run(order)
    except UsageError as error:
        complain(str(error))
        return USAGE
    return status


def _order(name: str, arguments: list[str]) -> tuple[Any, Any]:
    """The module of a command, and the order as its options have it."""
    if name == "scan" and arguments and not any(one.startswith("-") and one != "-" for one in arguments):
        command, plain = import_module(".commands.scan", __package__), _Plain()
        command.add_options(plain)
        return command, SimpleNamespace(**{**vars(plain), "paths": arguments})
    from .parsers import parser_of

    command, parser = import_module(f".commands.{name}", __package__), parser_of(name)
    command.add_options(parser)
    return command, parser.parse_args(arguments)


class _Plain:
    """Takes a parser's place where an order holds no option at all: keeps what argparse gives then, for each option.

    To import argparse, and make a parser, would be a twelfth of what lkscan does for one spec.
    """

    def add_argument(self, *names: str, default: object = None, action: str = "store", **_: object) -> None:
        """Note the default of an option."""
        value = False if action == "store_true" else default
        setattr(self, names[-1].lstrip("-").replace("-", "_"), value)

    def add_mutually_exclusive_group(self) -> _Plain:
        """Of no options, none excludes another."""
        return self
