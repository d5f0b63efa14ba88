"""What commands that judge tell: the options for it, the reports, and the exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

from . import __version__
from .config.policies import Policy
from .reports import formats
from .rules.funnel import Result
from .scanner.startup import Any
from .terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, folder, links, paints, warn, width

TYPE_CHECKING = False  # argparse is not imported for an order without options: start-up is a feature
if TYPE_CHECKING:
    import argparse

SEVERITIES = ("critical", "high", "medium", "low", "note", "never")


def add_reporting(parser: argparse.ArgumentParser, known: Mapping[str, str] = formats.FORMATS) -> None:
    """The options that say what is told, where, and when it makes the run fail."""
    add_telling(parser, known)
    add = parser.add_argument
    add("--fail-on", choices=SEVERITIES, help="least severity that makes the exit status 1 (default: medium)")
    add("--baseline", metavar="FILE", help="count only what is not in this file; `lkscan baseline` records it")


def add_telling(parser: argparse.ArgumentParser, known: Mapping[str, str] = formats.FORMATS) -> None:
    """The options that say what is told, and where."""
    add = parser.add_argument
    add("-f", "--format", choices=tuple(known), default="text", help="what to print (default: %(default)s)")
    add(
        "-o",
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help=f"also write a report, in the format of the suffix ({' '.join(formats.suffixes(known))}); repeatable",
    )
    if "sarif" in known:
        add("--sarif-all", action="store_true", help="SARIF: also tell what passed, was open or not applicable")
        add(
            "--sarif-suppressed",
            action="store_true",
            help="SARIF: also tell what is silenced or in the baseline, as such",
        )
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: on a terminal)")


def reports(order: argparse.Namespace, known: Mapping[str, str] = formats.FORMATS) -> dict[str, str]:
    """The files that reports are to be written to, and the format of each. Raises UsageError."""
    return targets_of(order.output, known)


def targets_of(paths: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """The format of each of these files, by its suffix. Raises UsageError."""
    return {path: _format_of(path, known) for path in paths}


def tell(
    result: Result,
    order: argparse.Namespace,
    targets: Mapping[str, str],
    policy_of: Callable[[str], Policy],
    known: Mapping[str, str] = formats.FORMATS,
) -> int:
    """Print the report, write those in `targets`, and give the exit status, behind `add_reporting`."""
    show(result, order, targets, known)
    return status(result, policy_of)


def show(
    result: Result,
    order: argparse.Namespace,
    targets: Mapping[str, str],
    known: Mapping[str, str] = formats.FORMATS,
    version: str = __version__,
) -> None:
    """Print the report and write those in `targets`, behind `add_telling`; `version` is that of what found it all."""
    warn(result.problems)
    color = order.color == "always" or (order.color == "auto" and paints(sys.stdout))

    def render(name: str, **shown: Any) -> str:  # noqa: ANN401 - as in Options
        options: dict[str, Any] = {"version": version, "root": folder(), **shown}
        if name in {"sarif", "github", "gitlab"}:
            from .checkout import checkout

            options["checkout"] = checkout(folder())
        if name == "sarif":
            options |= {"everything": order.sarif_all, "silenced": order.sarif_suppressed}
        return formats.render(name, result, known, **options)

    sys.stdout.write(
        render(order.format, color=color, width=width(), links=order.color == "auto" and links(sys.stdout))
    )
    for path, name in targets.items():
        write_report(path, render(name))


def _format_of(path: str, known: Mapping[str, str]) -> str:
    name = formats.of_suffix(path, known)
    if name is None:
        raise UsageError(f"{path}: no report format has this suffix; use {', '.join(formats.suffixes(known))}")
    return name


def write_report(path: str, text: str) -> None:
    """Write a report to a file. Raises UsageError."""
    from .writing import WriteError, write

    try:
        write(path, text.encode("utf-8", "backslashreplace"))
    except WriteError as error:
        raise UsageError(str(error)) from None


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
