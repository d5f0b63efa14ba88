"""Own rules in a configuration: `[[rule]]`, whose condition is in CEL."""

from __future__ import annotations

import re

from ..rules.engine import Confidence, Profile, Rule, Severity
from ..rules.own import DeclarationError, declared
from ..rules.tables import load
from ..rules.vocabulary import KINDS
from .files import ConfigurationError
from .tables import Table

_ID = re.compile(r"[A-Z]{2,8}-?[0-9]{1,6}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_OURS = "LK"
_LINE, _PAGE = 500, 20_000
"""Characters of a text that is one line, of a page."""


def rule(table: Table) -> Rule:
    """The rule that a table declares. Raises ConfigurationError."""
    identity = _identity(table)
    name = table.line("name", _LINE)
    if not _NAME.fullmatch(name) or len(name) > 60:  # noqa: PLR2004 - what fits a line of a report
        raise table.error("name", "must be lower-case words with hyphens between them, 60 characters at most")
    subject = table.choice("subject", KINDS)
    if subject is None:
        raise table.error("subject", f"is missing; it is one of {', '.join(KINDS)}")
    condition, message = table.text("condition", needed=True) or "", table.line("message", _LINE)
    summary = _sentence(table, "summary")
    try:
        check, template = declared(subject, condition, message, summary)
    except DeclarationError as error:
        raise table.error(error.key, f"of rule {identity} {error}") from None
    except ImportError:
        text = f"rule {identity} needs CEL: pip install 'lkscan[cel]', with Python 3.11 or later"
        raise ConfigurationError(table.path, text) from None
    found = Rule(
        identity,
        name,
        Severity[(table.choice("severity", map(str, Severity)) or "medium").upper()],
        {"default": template},
        _sentence(table, "remedy"),
        _risks(table),
        Profile[(table.choice("profile", map(str, Profile)) or "regular").upper()],
        Confidence[(table.choice("confidence", map(str, Confidence)) or "high").upper()],
        KINDS[subject].subject,
        check,
        owner=table.path,
        page=table.page("page", _PAGE),
    )
    table.close()
    return found


def flaw(rule: Rule, others: list[Rule]) -> str:
    """Why a rule of a user's own cannot stand beside `others`, as the rest of a sentence that begins with it; or ""."""
    if not isinstance(rule.id, str) or not _ID.fullmatch(rule.id):
        return "has an id that is not capital letters and digits, such as ACME001"
    if rule.id.startswith(_OURS):
        return f"has an id that begins with {_OURS}: those are lkscan's, and a later version may use it"
    if not isinstance(rule.name, str) or not _NAME.fullmatch(rule.name):
        return "has a name that is not lower-case words with hyphens between them"
    if strange := [number for number in rule.nist if number not in load("nist")["risks"]]:
        return f"refers to {strange[0]}, which is no risk of NIST SP 800-190 that lkscan knows"
    if other := next((one for one in others if rule.id == one.id or rule.name == one.name), None):
        return f"has the id or name of {other.id} {other.name}{f' of {other.owner}' if other.owner else ''}"
    return ""


def _identity(table: Table) -> str:
    identity = table.line("id", _LINE)
    if not _ID.fullmatch(identity):
        raise table.error("id", "must be capital letters and digits, such as ACME001")
    return identity


def _sentence(table: Table, key: str) -> str:
    text = table.line(key, _LINE)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _risks(table: Table) -> tuple[str, ...]:
    risks = table.texts("nist") or ()
    known = load("nist")["risks"]
    for number in risks:
        if number not in known:
            raise table.error("nist", f"has '{number}', which is no risk of NIST SP 800-190 that lkscan knows")
    return risks
