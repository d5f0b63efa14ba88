"""`lkscan scan`, the default command: audit specs and images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from .. import __version__
from ..config.policies import Policies, Policy
from ..inputs import gather
from ..ordering import add_inputs, add_judgement, add_reading, policies, staff
from ..reports import formats
from ..rules.funnel import Result
from ..scanning import accepted, scan_judged
from ..terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, folder, paints, warn, width

TYPE_CHECKING = False  # argparse is not imported for an order without options: start-up is a feature
if TYPE_CHECKING:
    import argparse

SEVERITIES = ("critical", "high", "medium", "low", "note", "never")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_inputs(parser)
    add = parser.add_argument
    add_reporting(parser)
    add_judgement(parser)
    add_reading(parser)
    add("--show-config", action="store_true", help="scan nothing; print the configuration for PATH, and its origins")
    add(
        "--if-linuxkit",
        action="store_true",
        help="pass over YAML files that are no LinuxKit spec or package without a word (for hooks)",
    )


def add_reporting(parser: argparse.ArgumentParser) -> None:
    """The options that say what is told, where, and when it makes the run fail."""
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
    add("--fail-on", choices=SEVERITIES, help="least severity that makes the exit status 1 (default: medium)")
    add("--baseline", metavar="FILE", help="count only what is not in this file; `lkscan baseline` records it")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: on a terminal)")


def run(order: argparse.Namespace) -> int:
    """Scan, print and write the reports."""
    policy_of = policies(order)
    if order.show_config:
        return _show(policy_of, order.paths)
    targets = reports(order)
    inputs = gather(order.paths, merge=order.merge, if_linuxkit=order.if_linuxkit, images=order.images)
    result = scan_judged(inputs, policy_of, accepted(order.baseline), staff(order))
    if order.if_linuxkit and not result.systems and not result.problems:
        return OK
    return tell(result, order, targets, policy_of)


def reports(order: argparse.Namespace) -> dict[str, str]:
    """The files that reports are to be written to, and the format of each. Raises UsageError."""
    return {path: _format_of(path) for path in order.output}


def tell(
    result: Result, order: argparse.Namespace, targets: Mapping[str, str], policy_of: Callable[[str], Policy]
) -> int:
    """Print the report, write those in `targets`, and give the exit status, behind `add_reporting`."""
    warn(result.problems)
    color = order.color == "always" or (order.color == "auto" and paints(sys.stdout))

    def render(name: str, *, color: bool = False, width: int = 0) -> str:
        return formats.render(name, result, color=color, width=width, version=__version__, root=folder())

    print(render(order.format, color=color, width=width()), end="")
    for path, name in targets.items():
        _write(path, render(name))
    return status(result, policy_of)


def _show(policy_of: Policies, paths: Sequence[str]) -> int:
    from ..config.show import show

    if len({policy_of.governing(path) for path in paths}) > 1:
        raise UsageError("the paths are under several configurations; name one of them")
    print(show(policy_of, paths[0]), end="")
    return OK


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


def status(result: Result, policy_of: Callable[[str], Policy]) -> int:
    """The exit status that a result makes."""
    if any(problem.kind == "incomplete" for problem in result.problems):
        return INCOMPLETE
    if result.problems:
        return USAGE
    for finding in result.findings:
        least = policy_of(finding.place.artifacts[0]).fail_on
        if least is not None and finding.severity >= least:
            return FINDINGS
    return OK
