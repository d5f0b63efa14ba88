"""`lkscan scan`, the default command: audit specs and images."""

from __future__ import annotations

import argparse
import os
import sys

from .. import __version__
from ..inputs import gather
from ..ordering import add_inputs, add_judgement, judgement, labels
from ..reports import formats
from ..rules.engine import Severity
from ..rules.funnel import Result
from ..scanning import scan_inputs
from ..terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, folder, warn, width

_SEVERITIES = ("critical", "high", "medium", "low", "note", "never")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_inputs(parser)
    add = parser.add_argument
    add("-f", "--format", choices=tuple(formats.FORMATS), default="text", help="what to print (default: %(default)s)")
    add(
        "-o",
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help=f"also write a report; the format follows from the suffix ({' '.join(formats.SUFFIXES)}); repeatable",
    )
    add(
        "--fail-on",
        choices=_SEVERITIES,
        default="medium",
        help="least severity that makes the exit status 1 (default: %(default)s)",
    )
    add_judgement(parser)
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: on a terminal)")
    add(
        "--if-linuxkit",
        action="store_true",
        help="pass over YAML files that are no LinuxKit spec or package without a word (for hooks)",
    )


def run(order: argparse.Namespace) -> int:
    """Scan, print and write the reports."""
    options, finder = judgement(order), labels(order)
    targets = {path: _format_of(path) for path in order.output}
    inputs = gather(order.paths, merge=order.merge, if_linuxkit=order.if_linuxkit)
    result = scan_inputs(inputs, options, finder)
    if order.if_linuxkit and not result.systems and not result.problems:
        return OK
    warn(result.problems)
    color = order.color == "always" or (order.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)

    def render(name: str, *, color: bool = False, width: int = 0) -> str:
        return formats.render(name, result, color=color, width=width, version=__version__, root=folder())

    print(render(order.format, color=color, width=width()), end="")
    for path, name in targets.items():
        _write(path, render(name))
    return _status(result, None if order.fail_on == "never" else Severity[order.fail_on.upper()])


def _format_of(path: str) -> str:
    name = formats.of_suffix(path)
    if name is None:
        raise UsageError(f"{path}: no report format has this suffix; use {', '.join(formats.SUFFIXES)}")
    return name


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _status(result: Result, least: int | None) -> int:
    if any(problem.kind == "incomplete" for problem in result.problems):
        return INCOMPLETE
    if result.problems:
        return USAGE
    if least is not None and any(finding.severity >= least for finding in result.findings):
        return FINDINGS
    return OK
