"""`lkscan report`: show a saved JSON report in other formats, without scanning again."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ..reporting import SEVERITIES, add_telling, reports, show
from ..reports.formats import COMPLIANCE, FORMATS
from ..rules.engine import Severity
from ..rules.funnel import Result
from ..rules.kernel import set_today, today
from ..terminal import FINDINGS, OK, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from ..reports.saved import Saved

_SIZE = 1 << 30
"""Bytes of a report that is read: some 700,000 findings."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = parser.add_argument
    add("report", metavar="FILE", help="a report of `lkscan --format json`, or - (stdin)")
    add("--compliance", action="store_true", help="assess by the sections of NIST SP 800-190, as `lkscan compliance`")
    add_telling(parser, {**FORMATS, **COMPLIANCE})
    add("--fail-on", choices=SEVERITIES, default="never", help="least severity that makes the exit status 1 (never)")


def run(order: argparse.Namespace) -> int:
    """Read, print and write the reports."""
    known: Mapping[str, str] = COMPLIANCE if order.compliance else FORMATS
    if order.format not in known:
        other = "leave out --compliance" if order.compliance else "add --compliance"
        raise UsageError(f"--format {order.format} is none of this kind of report; {other}")
    targets = reports(order, known)
    saved = _load(order.report)
    show(saved.result, order, targets, known, saved.version)
    return _status(saved.result, order.fail_on)


def _load(path: str) -> Saved:
    """The saved report; from here on it is the day as of which it was made."""
    from ..reports.saved import SavedError, load

    try:
        saved = load(_read(path))
        set_today(saved.date)
        today()
    except SavedError as error:
        raise UsageError(f"{path}: {error}") from None
    except ValueError as error:
        raise UsageError(f"{path}: contradicts itself: {error}") from None
    return saved


def _read(path: str) -> bytes:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_SIZE + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(_SIZE + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > _SIZE:
        raise UsageError(f"{path}: has more than {_SIZE >> 20} MiB and is not read")
    return data


def _status(result: Result, least: str) -> int:
    if least == "never":
        return OK
    severity = Severity[least.upper()]
    return FINDINGS if any(one.severity >= severity for one in result.findings) else OK
