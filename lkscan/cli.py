"""The command line: takes the order, walks it through, prints, and sets the exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from . import __version__

TYPE_CHECKING = False  # typing itself is not imported: start-up is a feature
if TYPE_CHECKING:
    from typing import NoReturn

    from .rules.funnel import Options, Result
    from .scanner.labels import LabelFinder
    from .scanner.subjects import Problem

FORMATS = ("text", "json", "sarif")
OK, FINDINGS, USAGE, INCOMPLETE = 0, 1, 2, 3
_INTERRUPTED = 130
_SEVERITIES = ("critical", "high", "medium", "low", "note", "never")

_EPILOG = """exit status:
  0  nothing at or above --fail-on
  1  findings
  2  wrong usage, or a path that is no spec or image
  3  an input could not be read whole (what was read is still reported)
"""


class UsageError(Exception):
    """The order cannot be carried out as it was given; the message says what to change."""


def run() -> NoReturn:
    """The console script: `main` with the exit status of its result."""
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
            _complain(f"standard output cannot be written: {error.strerror}")
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; only this module prints."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        _parser().print_help(sys.stderr)
        return USAGE
    if arguments[0] in ("-h", "--help", "--version"):
        _parser().parse_args(arguments[:1])
    name = arguments.pop(0) if arguments[0] in COMMANDS else "scan"
    add_options, run_command, text = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"lkscan {name}", description=text, epilog=_EPILOG, formatter_class=_help_formatter
    )
    add_options(parser)
    order = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names in images may hold any bytes
    try:
        return run_command(order)
    except UsageError as error:
        _complain(str(error))
        return USAGE


def _parser() -> argparse.ArgumentParser:
    """What `--help` and `--version` need; each command has a parser of its own, made only when it is called."""
    commands = "".join(f"  {name:<10} {text}\n" for name, (_, _, text) in COMMANDS.items())
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
    return argparse.RawDescriptionHelpFormatter(prog, width=(_width() or 80) - 2)


def _scan_options(parser: argparse.ArgumentParser) -> None:
    _input_options(parser)
    add = parser.add_argument
    add("-f", "--format", choices=FORMATS, default="text", help="what to print (default: %(default)s)")
    add(
        "-o",
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help="also write a report; the format follows from the suffix (.sarif .json .txt); repeatable",
    )
    add(
        "--fail-on",
        choices=_SEVERITIES,
        default="medium",
        help="least severity that makes the exit status 1 (default: %(default)s)",
    )
    add(
        "--profile",
        choices=("regular", "pedantic", "auditor"),
        default="regular",
        help="how much to show: what everyone should mend, hardening worth having, or everything",
    )
    add("--select", metavar="RULES", default="", help="only these rules: ids or names, comma-separated, * allowed")
    add("--ignore", metavar="RULES", default="", help="all rules but these")
    add("--no-ignores", action="store_true", help="show what `# lkscan: ignore[...]` in specs silences, too")
    add("--require-reason", action="store_true", help="heed only those directives in specs that give a reason")
    add("--date", metavar="YYYY-MM-DD", help="judge ends of life as of this day (default: today)")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: on a terminal)")
    add(
        "--if-linuxkit",
        action="store_true",
        help="pass over YAML files that are no LinuxKit spec or package without a word (for hooks)",
    )


def _input_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a spec, a package's build.yml, an image, a directory, or - (stdin)"
    )
    parser.add_argument("--merge", action="store_true", help="join all specs as `linuxkit build a.yml b.yml` does")
    parser.add_argument("--packages", metavar="DIR", help="LinuxKit packages whose build.yml gives image defaults")
    parser.add_argument("--cache", metavar="DIR", help="LinuxKit cache or OCI layout to read image labels from")


def _inspect_options(parser: argparse.ArgumentParser) -> None:
    _input_options(parser)
    parser.add_argument("-f", "--format", choices=("text", "json"), default="text")
    parser.add_argument("--files", action="store_true", help="list every file, with its SHA-256")
    parser.add_argument("--binaries", action="store_true", help="list every ELF binary with its hardening")


def _rules_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--format", choices=("text", "markdown"), default="text")


def _explain_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", metavar="RULE", nargs="+", help="id or name")


def _scan(order: argparse.Namespace) -> int:
    from .inputs import gather
    from .reports import formats
    from .rules.engine import Severity
    from .scanning import scan_inputs

    options, labels = _options(order), _labels(order)
    targets = {path: _format_of(path) for path in order.output}
    inputs = gather(order.paths, merge=order.merge, if_linuxkit=order.if_linuxkit)
    result = scan_inputs(inputs, options, labels)
    if order.if_linuxkit and not result.systems and not result.problems:
        return OK
    _warn(result.problems)
    color = order.color == "always" or (order.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)

    def render(name: str, *, color: bool = False, width: int = 0) -> str:
        return formats.render(name, result, color=color, width=width, version=__version__, root=_folder())

    print(render(order.format, color=color, width=_width()), end="")
    for path, name in targets.items():
        _write(path, render(name))
    return _status(result, None if order.fail_on == "never" else Severity[order.fail_on.upper()])


def _folder() -> str:
    """The folder we are in; the root where somebody removed it meanwhile."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def _options(order: argparse.Namespace) -> Options:
    from .rules.catalogue import RULES
    from .rules.engine import Profile
    from .rules.funnel import Options, unknown
    from .rules.kernel import set_today, today

    try:
        set_today(order.date)
        today()
    except ValueError as error:
        raise UsageError(str(error)) from None
    select, ignore = (tuple(filter(None, map(str.strip, text.split(",")))) for text in (order.select, order.ignore))
    if strangers := unknown((*select, *ignore), RULES):
        raise UsageError(f"no rule is called {strangers[0]}; `lkscan rules` lists them")
    return Options(
        Profile[order.profile.upper()], select, ignore, heed=not order.no_ignores, require_reason=order.require_reason
    )


def _labels(order: argparse.Namespace) -> LabelFinder:
    from .scanner.labels import LabelError, LabelFinder

    default = os.environ.get("LINUXKIT_CACHE") or os.path.expanduser("~/.linuxkit/cache")
    try:
        if order.cache is None and os.path.isfile(os.path.join(default, "index.json")):
            return _with_default_cache(order.packages, default)
        return LabelFinder(packages=order.packages, cache=order.cache)
    except LabelError as error:
        raise UsageError(str(error)) from None


def _with_default_cache(packages: str | None, cache: str) -> LabelFinder:
    """Nobody asked for LinuxKit's own cache: when it is damaged, it is left out, and that is said."""
    from .scanner.labels import LabelError, LabelFinder

    finder = LabelFinder(packages=packages)
    try:
        return LabelFinder(packages=packages, cache=cache)
    except LabelError as error:
        _complain(f"{error}; going on without it")
        return finder


def _warn(problems: Sequence[Problem]) -> None:
    for problem in problems:
        _complain(f"{problem.place}: {problem.message}")


def _complain(text: str) -> None:
    """One line on standard error; the names in it may come from anywhere."""
    from .reports.printable import printable

    print(f"lkscan: {printable(text)}", file=sys.stderr)


def _format_of(path: str) -> str:
    from .reports import formats

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


def _width() -> int:
    """Columns to fill: COLUMNS or the terminal's, within reason; 0, lines of any length, where there is neither."""
    try:
        columns = int(os.environ["COLUMNS"]) if "COLUMNS" in os.environ else os.get_terminal_size().columns
    except (OSError, ValueError):
        return 0
    return max(72, min(columns, 160))


def _status(result: Result, least: int | None) -> int:
    if any(problem.kind == "incomplete" for problem in result.problems):
        return INCOMPLETE
    if result.problems:
        return USAGE
    if least is not None and any(finding.severity >= least for finding in result.findings):
        return FINDINGS
    return OK


def _inspect(order: argparse.Namespace) -> int:
    from . import inspection
    from .inputs import gather

    inputs = gather(order.paths, merge=order.merge)
    facts = inspection.inspect(inputs, _labels(order), files=order.files, binaries=order.binaries)
    _warn([problem for one in facts for problem in one.problems])
    print(inspection.as_json(facts) if order.format == "json" else inspection.as_text(facts), end="")
    kinds = {problem.kind for one in facts for problem in one.problems}
    return INCOMPLETE if "incomplete" in kinds else USAGE if kinds else OK


def _rules(order: argparse.Namespace) -> int:
    from .reports import explain
    from .rules.catalogue import RULES

    print(explain.listing(RULES, markdown=order.format == "markdown"), end="")
    return OK


def _explain(order: argparse.Namespace) -> int:
    from .reports import explain
    from .rules.catalogue import find

    for text in order.rule:
        rule = find(text)
        if rule is None:
            raise UsageError(f"no rule is called {text}; `lkscan rules` lists them")
        print(explain.page(rule), end="")
    return OK


COMMANDS = {
    "scan": (_scan_options, _scan, "audit specs and images (the default command)"),
    "inspect": (_inspect_options, _inspect, "print the facts lkscan sees, without judgement"),
    "rules": (_rules_options, _rules, "list what is checked"),
    "explain": (_explain_options, _explain, "say what a rule checks, and why"),
}
