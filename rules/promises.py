"""LinuxKit's promises: named groups of rules."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache

from ..scanner.startup import NamedTuple
from .engine import Finding, Outcome, Profile, Rule
from .tables import load

PREFIX = "promise:"
"""What a pattern of rules starts with that names promises: `promise:no-login`, `promise:*`."""


class Promise(NamedTuple):
    """A promise, as tables/promises.toml has it: `rules` are patterns, each with the option that it is about or "".

    `proof`: that nothing speaks against it does not do, a rule has to have looked at something and passed it.
    """

    name: str
    says: str
    rules: tuple[tuple[str, str], ...]
    profile: Profile
    needs: tuple[str, ...]
    proof: bool = False

    def covers(self, rule: Rule) -> bool:
        """Whether the rule has a word on it."""
        return any(_is_named(rule.id, rule.name, pattern) for pattern, _ in self.rules)

    def concerns(self, finding: Finding) -> bool:
        """Whether the finding is about it, and not for a profile beyond its own."""
        return finding.profile <= self.profile and any(
            _is_named(finding.rule.id, finding.rule.name, pattern)
            and (not option or finding.outcome is not Outcome.FAIL or option in finding.members)
            for pattern, option in self.rules
        )


@cache
def promises() -> tuple[Promise, ...]:
    """All of them, in the order of LinuxKit's document."""
    return tuple(
        Promise(
            name,
            row["says"],
            tuple((pattern, option) for pattern, _, option in (text.partition(":") for text in row["rules"])),
            Profile[row.get("profile", "regular").upper()],
            tuple(row.get("needs", ())),
            bool(row.get("proof", False)),
        )
        for name, row in load("promises").items()
    )


def chosen(patterns: Iterable[str]) -> tuple[Promise, ...]:
    """The promises that patterns of rules name."""
    globs = [text.lower().removeprefix(PREFIX) for text in patterns if text.lower().startswith(PREFIX)]
    return tuple(one for one in promises() if any(fnmatchcase(one.name, glob) for glob in globs))


@cache
def includes(pattern: str, rule: str, name: str) -> bool:
    """Whether a rule, by id and name, has a word on one of the promises that a pattern names."""
    return any(_is_named(rule, name, glob) for promise in chosen((pattern,)) for glob, _ in promise.rules)


def _is_named(rule: str, name: str, glob: str) -> bool:
    return fnmatchcase(rule, glob) or fnmatchcase(name, glob)
