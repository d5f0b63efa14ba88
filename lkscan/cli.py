"""The command line: finds the command, hands it its order, and sets the exit status."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .commands import COMMANDS
from .terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, complain, lenient, width
from .untranslated import argparse

TYPE_CHECKING = False  # typing itself is not imported: start-up is a feature
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["COMMANDS", "FINDINGS", "INCOMPLETE", "OK", "USAGE", "main", "run"]

_INTERRUPTED = 130
_FEW_COLLECTIONS = 1_000_000
"""New objects before the garbage collector looks for cycles: to look through all there are is a fifteenth of the time
of linting a folder, and finds next to nothing."""

_EPILOG = """exit status:
  0  nothing at or above --fail-on
  1  findings
  2  wrong usage or configuration, a path that is no spec or image, or a rule that failed
  3  an input could not be read whole (what was read is still reported)
"""


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
        _parser().print_help(sys.stderr)
        return USAGE
    if arguments[0] in ("-h", "--help", "--version"):
        _parser().parse_args(arguments[:1])
    name = arguments.pop(0) if arguments[0] in COMMANDS else "scan"
    command = import_module(f".commands.{name}", __package__)
    parser = _Parser(
        prog=f"lkscan {name}",
        description=COMMANDS[name],
        epilog=_EPILOG,
        formatter_class=_help_formatter,
    )
    command.add_options(parser)
    order = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=lenient())  # names in images may hold any bytes
    try:
        status: int = command.run(order)
    except UsageError as error:
        complain(str(error))
        return USAGE
    return status


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with an order in one line, as with everything else."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message}; `{self.prog} --help` says more")
        sys.exit(USAGE)


def _parser() -> argparse.ArgumentParser:
    """What `--help` and `--version` need; each command has a parser of its own, made only when it is called."""
    commands = "".join(f"  {name:<10} {text}\n" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="lkscan",
        usage="lkscan [command] ...",
        description="Security policy scanner and linter for LinuxKit specs and images.",
        epilog=f"commands (`lkscan COMMAND --help` says more):\n{commands}\n{_EPILOG}",
        formatter_class=_help_formatter,
    )
    parser.add_argument("--version", action="version", version=f"lkscan {__version__}")
    return parser


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """With a width, as argparse would import shutil to find one, for every option: start-up is a feature."""
    return argparse.RawDescriptionHelpFormatter(prog, width=(width() or 80) - 2)
