"""Directives: the comments that silence findings, what each is after the run, and what came of it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from ..scanner.startup import NamedTuple
from ..scanner.subjects import Place
from .engine import Finding, Outcome, Rule
from .kernel import today

UNTIL = r"(?i)\(\s*until\b[:\s]*(?P<date>[^()]*)\)|\buntil:?\s+(?P<bare>\d{4}-\d\d-\d\d)(?!\d)"
"""The last day of a directive, in its reason: whatever is in brackets behind `until`, or a day without brackets."""


class Ignore(NamedTuple):
    """A directive after the run, as a subject for the rules about directives.

    `patterns` are the rules it names, `reason` the rest of the comment, `until` its last day (YYYY-MM-DD) or "".
    `flaw` says why it is no directive at all, or is "". `strangers` are patterns that name no rule there is, `unused`
    those that silenced nothing although their rules were run. `required`: it counts only with a reason.
    """

    place: Place
    patterns: tuple[str, ...]
    reason: str
    until: str
    flaw: str
    strangers: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    required: bool = False

    @property
    def expired(self) -> bool:
        """Whether its last day is over."""
        return bool(self.until) and today() > self.until

    @property
    def reasoned(self) -> bool:
        """Whether it says more than until when."""
        return bool(re.sub(UNTIL, "", self.reason).strip(" .,;"))

    @property
    def effective(self) -> bool:
        """Whether it can silence anything."""
        return not (self.flaw or self.expired or (self.required and not self.reasoned))


class Scope(NamedTuple):
    """The lines that a directive covers, counted from 1; from 0 on: what has no line in the file, too."""

    first: int
    last: int


class Directives:
    """All directives of a run: asked for every finding, they say afterwards which of them were of use."""

    def __init__(
        self,
        parsed: Mapping[tuple[str, ...], list[tuple[Scope, Ignore]]],
        rules: Callable[[], Iterable[Rule]],
        *,
        require_reason: bool = False,
    ) -> None:
        """`parsed` are those of each spec, by its chain of artifacts; `rules` gives all there are, run or not."""
        self._rules = rules
        self._named: dict[str, frozenset[str]] = {}
        self._found = {
            artifacts: [
                (scope, ignore._replace(place=Place(artifacts, ignore.place.span), required=require_reason))
                for scope, ignore in found
            ]
            for artifacts, found in parsed.items()
        }
        self.are_any = any(self._found.values())
        """Whether there are any at all."""
        self._used: set[tuple[Place, str]] = set()

    def reason(self, finding: Finding) -> str | None:
        """The reason that the innermost directive gives for silencing it at any of its places; None: it is to be shown.

        An open verdict is never silenced; it only shows that its directive may be of use.
        """
        if not self.are_any:
            return None
        covering = [
            ignore.reason
            for place in dict.fromkeys(location.place for location in finding.everywhere)
            for scope, ignore in self._found.get(place.artifacts, ())
            if ignore.effective
            and scope.first <= (place.span.line if place.span else 0) <= scope.last
            and self._uses(ignore, finding.rule)
        ]
        if finding.outcome is not Outcome.FAIL:
            return None
        return covering[-1] if covering else None

    def outcomes(self, run: Iterable[Rule], unread: Iterable[str]) -> Iterator[Ignore]:
        """Every directive with what came of it, `run` being the rules that were; of `unread` files less can be said."""
        ids, broken = frozenset(rule.id for rule in run), frozenset(unread)
        for artifacts, found in self._found.items():
            for _, ignore in found:
                strangers = tuple(one for one in ignore.patterns if not self._ids(one))
                idle = (one for one in ignore.patterns if (ignore.place, one) not in self._used)
                unused = tuple(one for one in idle if self._ids(one) and self._ids(one) <= ids)
                decided = ignore.effective and artifacts[0] not in broken
                yield ignore._replace(strangers=strangers, unused=unused if decided else ())

    def _ids(self, pattern: str) -> frozenset[str]:
        if pattern not in self._named:
            self._named[pattern] = frozenset(rule.id for rule in self._rules() if names(rule, (pattern,)))
        return self._named[pattern]

    def _uses(self, ignore: Ignore, rule: Rule) -> bool:
        hits = [(ignore.place, one) for one in ignore.patterns if rule.id in self._ids(one)]
        self._used.update(hits)
        return bool(hits)


def names(rule: Rule, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns names this rule: by id, by name, or by a promise that it has a word on."""
    return any(
        fnmatchcase(rule.id, pattern.upper()) or fnmatchcase(rule.name, pattern.lower()) or _promised(rule, pattern)
        for pattern in patterns
    )


def _promised(rule: Rule, pattern: str) -> bool:
    if ":" not in pattern:
        return False
    from .promises import includes

    return includes(pattern, rule.id, rule.name)
