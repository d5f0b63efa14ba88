"""Baseline files: JSON, sorted, a line for each fact of a finding, so that a change of it can be read in a diff."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from .rules.baseline import Baseline, Entry
from .rules.engine import Severity
from .scanner.startup import Any
from .terminal import UsageError

VERSION = 1
_SIZE = 16 << 20
"""Bytes of a file that is read: some 30,000 findings."""

_SEVERITIES = {str(one): one for one in Severity}
_TEXTS = ("path", "rule", "name", "subject", "fingerprint", "message", "reason")
_NEEDED = ("path", "rule", "severity", "fingerprint")
_KNOWN = {*_TEXTS, "severity", "members"}


def read(path: str) -> bytes:
    """The bytes of a baseline file, which may come through a pipe. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            data = file.read(_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: the baseline cannot be read: {reason}") from None
    if len(data) > _SIZE:
        raise UsageError(f"{path}: the baseline has more than {_SIZE >> 20} MiB and is not read")
    return data


def load(path: str) -> Baseline:
    """The baseline in a file. Raises UsageError where there is none that can be relied on."""
    return parse(read(path), path)


def parse(data: bytes, path: str) -> Baseline:
    """The baseline in the bytes of a file. Raises UsageError where it cannot be relied on."""
    try:
        entries = tuple(_entry(one, number) for number, one in enumerate(_findings(data), 1))
    except _FlawError as flaw:
        raise UsageError(f"{path}: {flaw}") from None
    return place(entries, path if os.path.isfile(path) else "")


def place(entries: Iterable[Entry], path: str) -> Baseline:
    """A baseline whose paths start from the folder of the file `path`, or from the present one when that is ""."""
    try:
        home = os.path.dirname(os.path.abspath(path or "-"))
    except OSError as error:
        raise UsageError(f"the folder of the baseline cannot be told: {error.strerror}") from None
    found = tuple(entries)
    paths = {entry.path for entry in found if entry.path != "-"}
    gone = frozenset(one for one in paths if not os.path.lexists(os.path.join(home, one)))
    return Baseline(found, home, gone)


def dump(entries: Iterable[Entry]) -> str:
    """The text of a baseline file; the same entries, in any order, give the same text. Raises UsageError."""
    findings = [_plain(entry) for entry in sorted(entries)]
    text = json.dumps({"version": VERSION, "findings": findings}, indent=1) + "\n"
    if len(text) > _SIZE:
        raise UsageError(
            f"{len(findings)} findings are too many for a baseline ({_SIZE >> 20} MiB); narrow it by --select"
        )
    return text


def _plain(entry: Entry) -> dict[str, Any]:
    plain = {**entry._asdict(), "severity": str(entry.severity)}
    if not entry.members:
        del plain["members"]
    return plain


class _FlawError(Exception):
    """What makes a file no baseline, in words that follow its path."""


def _findings(data: bytes) -> list[Any]:
    try:
        # A number of a million digits would take hours; no number here has more than a few.
        document = json.loads(data, parse_int=lambda digits: int(digits[:9]))
    except (ValueError, RecursionError):
        raise _FlawError("the baseline is damaged: it is no JSON; restore it, or record it anew") from None
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise _FlawError("this is no baseline: there is no 'version'; `lkscan baseline PATH... -o FILE` records one")
    if version != VERSION:
        raise _FlawError(
            f"the baseline is of version {version}, this lkscan reads version {VERSION}; use a newer lkscan"
        )
    findings = document.get("findings")
    if not isinstance(findings, list) or document.keys() != {"version", "findings"}:
        raise _FlawError("the baseline is damaged: it holds 'version' and a list of 'findings', and nothing else")
    return findings


def _entry(plain: Any, number: int) -> Entry:  # noqa: ANN401 - a JSON value
    def demand(holds: bool, what: str) -> None:  # noqa: FBT001 - a condition
        if not holds:
            raise _FlawError(f"the baseline is damaged: finding {number} {what}")

    demand(isinstance(plain, dict), "is no object")
    for key in plain:
        demand(key in _KNOWN, f"has an unknown key '{key[:40]}'")
    for key in _NEEDED:
        demand(key in plain, f"has no '{key}'")
    for key in (*_TEXTS, "severity"):
        demand(isinstance(plain.get(key, ""), str), f"has a '{key}' that is no text")
    demand(plain["severity"] in _SEVERITIES, f"has no severity out of {', '.join(_SEVERITIES)}")
    members = plain.get("members", [])
    demand(
        isinstance(members, list) and all(isinstance(one, str) for one in members), "has 'members' that are no texts"
    )
    texts = {key: plain.get(key, "") for key in _TEXTS}
    return Entry(**texts, severity=_SEVERITIES[plain["severity"]], members=tuple(members))
