"""GitLab's code quality report: a list of issues in CodeClimate's manner, as merge requests show them."""

from __future__ import annotations

from collections import Counter

from ..rules.engine import Severity
from ..rules.funnel import Result
from .dense import array
from .formats import Options
from .grouping import inside
from .paths import from_root
from .printable import encodable, printable

_SEVERITIES = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
    Severity.NOTE: "info",
}


def render(result: Result, options: Options) -> str:
    """The report; see `formats.render`."""
    seen: Counter[tuple[str, str]] = Counter()
    issues = []
    for finding in result.findings:
        place = finding.shown.place
        path = from_root(place.artifacts[0], options.root, options.top)
        seen[path, finding.fingerprint] += 1
        line = place.span.line if place.span and len(place.artifacts) == 1 else 1
        where = f" In {printable(inside(finding))}." if inside(finding) else ""
        issues.append(
            {
                "description": f"{printable(finding.message)}{where} {finding.rule.remedy}",
                "check_name": f"{finding.rule.id} {finding.rule.name}",
                "fingerprint": _fingerprint(path, finding.fingerprint, seen[path, finding.fingerprint]),
                "severity": _SEVERITIES[finding.severity],
                "location": {"path": encodable(path), "lines": {"begin": line}},
            }
        )
    return array(issues)


def _fingerprint(path: str, finding: str, number: int) -> str:
    """GitLab takes issues of one fingerprint for one: the file counts, and so does how often it was met there."""
    from hashlib import sha256

    return sha256(f"{path}\0{finding}\0{number}".encode("utf-8", "surrogateescape")).hexdigest()
