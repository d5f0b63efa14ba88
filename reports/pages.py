"""The page of a rule: read from rules/pages, with the facts of the rule before it."""

from __future__ import annotations

import json
from pathlib import Path

from .. import rules
from ..rules.crosswalk import Framework, crosswalk, frameworks
from ..rules.engine import Rule
from ..rules.nist import section
from ..rules.tables import load


def body(rule: Rule) -> str:
    """The Markdown of its page, without the title; "" for a rule that has none (one of a user's own)."""
    if rule.owner:
        return rule.page
    path = Path(next(iter(rules.__path__))) / "pages" / f"{rule.name}.md"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    title, _, rest = text.partition("\n")
    return rest.strip() if title.startswith("# ") else text


_FIXES = {"safe": "mends it, where that is safe", "unsafe": "mends it with --unsafe", "": "does not mend it"}


def family(rule: Rule) -> str:
    """What the rules of its family are about; "" for a rule of a user's own."""
    return str(load("families").get(_letter(rule), ""))


def rank(rule: Rule) -> tuple[int, str]:
    """To sort rules by: families as in their table, those of a user's own last, and in each by id."""
    letters = list(load("families"))
    letter = _letter(rule)
    return letters.index(letter) if letter in letters else len(letters), rule.id


def _letter(rule: Rule) -> str:
    return rule.id[2:3] if rule.id.startswith("LK") else ""


def facts(rule: Rule) -> list[tuple[str, str]]:
    """What the rule is, as pairs of a name and a value."""
    looks_at = "".join(f" {c.lower()}" if c.isupper() else c for c in rule.subject.__name__).strip()
    return [
        *([("family", family(rule))] if family(rule) else []),
        ("severity", str(rule.severity)),
        ("confidence", str(rule.confidence)),
        ("profile", str(rule.profile)),
        ("lkscan fix", _FIXES[rule.autofix]),
        ("looks at", looks_at),
        *([("from", rule.owner)] if rule.owner else []),
        *(("NIST SP 800-190", risk(number)) for number in rule.nist),
        *(
            (f"{frameworks()[key].label} (informative)", _numbers(frameworks()[key], numbers))
            for key, numbers in crosswalk(rule.id).items()
        ),
        *(("parameter", f"{name} = {_toml(value)}") for name, value in rule.parameters.items()),
    ]


def _numbers(framework: Framework, numbers: list[str]) -> str:
    return ", ".join(f"{number} {framework.titles[number]}" for number in numbers)


def _toml(value: object) -> str:
    """The value as a configuration has it: JSON, which is TOML too for texts, numbers and lists of them."""
    return json.dumps(sorted(value) if isinstance(value, (set, frozenset)) else value, ensure_ascii=False)


def risk(number: str) -> str:
    """`3.4.3 Insecure container runtime configurations (answered by 4.4.3)`."""
    found = section(number)
    return f"{found} (answered by {found.countermeasure})"
