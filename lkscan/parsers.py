"""The command line as argparse reads it: the parser of each command, and that of `lkscan` itself."""

from __future__ import annotations

import sys
from types import ModuleType

from . import __version__
from .commands import COMMANDS
from .terminal import USAGE, complain, width

TYPE_CHECKING = False  # typing itself is not imported: start-up is a feature
if TYPE_CHECKING:
    from typing import NoReturn

_EPILOG = """exit status:
  0  nothing at or above --fail-on
  1  findings
  2  wrong usage or configuration, a path that is no spec or image, or a rule that failed
  3  an input could not be read whole (what was read is still reported)
"""


class _Words(ModuleType):
    """Stands in for the module gettext while argparse takes its two functions from it.

    To look for translations, and find none, is a fortieth of a start.
    """

    gettext = staticmethod(str)

    @staticmethod
    def ngettext(one: str, many: str, number: int) -> str:
        """The words for a number of things."""
        return one if number == 1 else many


_missing = "gettext" not in sys.modules
if _missing:
    sys.modules["gettext"] = _Words("gettext")
try:
    import argparse
finally:
    if _missing:
        del sys.modules["gettext"]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with an order in one line, as with everything else."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message}; `{self.prog} --help` says more")
        sys.exit(USAGE)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command, without its options."""
    return _Parser(
        prog=f"lkscan {command}",
        description=COMMANDS[command],
        epilog=_EPILOG,
        formatter_class=_help_formatter,
    )


def parser() -> argparse.ArgumentParser:
    """What `lkscan --help` needs; each command has a parser of its own, made only when it is called."""
    commands = "".join(f"  {name:<10} {text}\n" for name, text in COMMANDS.items())
    made = argparse.ArgumentParser(
        prog="lkscan",
        usage="lkscan [command] ...",
        description="Security policy scanner and linter for LinuxKit specs and images.",
        epilog=f"commands (`lkscan COMMAND --help` says more):\n{commands}\n{_EPILOG}",
        formatter_class=_help_formatter,
    )
    made.add_argument("--version", action="version", version=f"lkscan {__version__}")
    return made


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """With a width, as argparse would import shutil to find one, for every option: start-up is a feature."""
    return argparse.RawDescriptionHelpFormatter(prog, width=(width() or 80) - 2)
