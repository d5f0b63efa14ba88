"""`lkscan fix`: mend specs in place, comments and layout untouched."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from ..config.policies import Policy
from ..fixing import Mended, mend
from ..inputs import STDIN, Input, gather
from ..ordering import add_inputs, add_judgement, add_limits, policies, staff
from ..reports.diff import unified
from ..reports.printable import printable
from ..rules.engine import Finding
from ..rules.funnel import Result
from ..scanner.subjects import Place, Problem
from ..scanner.yamlpos import decode
from ..scanning import scan_judged
from ..terminal import FINDINGS, INCOMPLETE, OK, USAGE, UsageError, complain, paints, warn
from ..writing import WriteError, replace

DESCRIPTION = """Mend specs and packages in place: the smallest edits that do it, comments and layout untouched.
Findings that are shown (see --profile, --select) and offer a safe fix are mended, with --unsafe all that offer one;
what a comment silences is left alone. `lkscan rules` tells which rules offer fixes. A spec on standard input (-) comes
out mended on standard output. Symbolic links are not followed: name the file that one leads to."""

EPILOG = """exit status:
  0  done, whether there was something to mend or not
  1  with --diff or --check: something would be mended
  2  wrong usage, a path that is no spec or package, or a file that cannot be written
  3  an input could not be read whole
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_inputs(parser, merge=False)
    add = parser.add_argument
    add("--unsafe", action="store_true", help="also make changes that a program in the image could miss")
    add("--suggested", action="store_true", help="take away what `lkscan suggest` finds no use of, instead")
    add("--image", metavar="FILE", help="with --suggested: the image that was built from the spec")
    add("--diff", action="store_true", help="write nothing; print what would change as a unified diff")
    add("--check", action="store_true", help="write nothing; say what would be mended")
    add_judgement(parser)
    add_limits(parser)
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: on a terminal)")
    add("--if-linuxkit", action="store_true", help="pass over YAML files that are no LinuxKit spec (for hooks)")


def run(order: argparse.Namespace) -> int:
    """Mend every file, or say what would be done; the worst that happened gives the status."""
    policy_of = policies(order)
    scan = _scan(order, policy_of)
    counts: Counter[str] = Counter()
    status = OK
    for one in gather(order.paths, if_linuxkit=order.if_linuxkit):
        problem = one if isinstance(one, Problem) else _refusal(one)
        if problem is not None or isinstance(one, Problem):
            status = max(status, *_worst([problem]))
            continue
        path, data = one.documents[0]
        mended, first = mend(path, data, scan, unsafe=order.unsafe or order.suggested)
        status = max(status, *_worst(first.problems), _deliver(mended, order))
        counts["files"] += 1
        counts["mended"] += len(mended.mended)
        counts["left"] += len(mended.left)
    if counts["files"]:
        _say(_summary(counts, would=order.diff or order.check), order)
    return status


def _scan(order: argparse.Namespace, policy_of: Callable[[str], Policy]) -> Callable[[Input], Result]:
    """What finds what is to be mended. Raises UsageError."""
    if not order.suggested:
        if order.image:
            raise UsageError("--image goes with --suggested")
        return lambda document: scan_judged([document], policy_of)
    from .. import suggesting
    from ..evidence import Evidence, cache
    from ..evidence import gather as evidence

    if order.image is None:
        known: dict[str, Evidence] = {}

        def by_cache(document: Input) -> Result:
            path = document.paths[0]
            if not cache(policy_of(path)):
                raise UsageError(
                    "--suggested needs evidence: name the image that was built from the spec by --image, "
                    "or by --cache a cache that has its images"
                )
            if path not in known:
                (known[path],) = evidence([document], policy_of, staff(order))
                warn(known[path].problems)
            return suggesting.judged(document, known[path], policy_of(path))

        return by_cache

    (built,) = [*gather([order.image]), None][:1]
    if not isinstance(built, Input) or built.kind != "image":
        raise UsageError(f"{order.image}: is no image that can be read")
    (found,) = evidence([built], policy_of, staff(order))
    warn(found.problems)
    return lambda document: suggesting.judged(document, found, policy_of(document.paths[0]))


def _refusal(one: Input) -> Problem | None:
    """Why an input is not to be mended, if so."""
    place = Place((one.paths[0],))
    if one.kind != "spec":
        return Problem(place, "is an image: only specs and packages can be mended", "unusable")
    if one.paths[0] != STDIN and os.path.islink(one.paths[0]):
        return Problem(place, "is a symbolic link; name the file that it leads to", "unusable")
    return None


def _worst(problems: Iterable[Problem | None]) -> list[int]:
    """Say what could not be read; the exit statuses of that."""
    found = [problem for problem in problems if problem is not None]
    warn(found)
    return [OK, *(INCOMPLETE if problem.kind == "incomplete" else USAGE for problem in found)]


def _deliver(mended: Mended, order: argparse.Namespace) -> int:
    """Write a file, or show what would change in it, and tell of it; the exit status."""
    path, before, after = mended.path, mended.before, mended.after
    if mended.failure:
        complain(f"{path}: left as it is: {mended.failure}")
        return USAGE
    if order.diff and before != after:
        color = order.color == "always" or (order.color == "auto" and paints(sys.stdout))
        print(unified(path, decode(before), decode(after), color=color), end="")
    elif path == STDIN and not order.check:
        sys.stdout.flush()
        sys.stdout.buffer.write(after)
    elif before != after and not order.check:
        try:
            replace(path, after, old=before)
        except WriteError as error:
            complain(str(error))
            return USAGE
    for line in _account(mended):
        _say(line, order)
    return FINDINGS if before != after and (order.diff or order.check) else OK


def _account(mended: Mended) -> Iterator[str]:
    """What was mended and what was left, a line each; findings that are mended by one and the same change are one."""
    for finding in mended.mended:
        yield _line(finding, "")
    for finding, reason in mended.left:
        yield _line(finding, f" - left: {reason}")


def _line(finding: Finding, reason: str) -> str:
    what = finding.fix.description if finding.fix else ""
    return f"{finding.place}: {finding.rule.id} {finding.rule.name}: {what}{reason}"


def _summary(counts: Counter[str], *, would: bool) -> str:
    number, left = counts["mended"], counts["left"]
    verb = "would be mended" if would else "mended"
    head = f"{number} finding{'' if number == 1 else 's'} {verb}" if number else "Nothing to mend"
    return f"{head}, {left} left." if left else f"{head}."


def _say(line: str, order: argparse.Namespace) -> None:
    """Tell it where it does not get in the way of a diff or of a spec."""
    aside = order.diff or STDIN in order.paths
    print(printable(line), file=sys.stderr if aside else sys.stdout)
