"""Entries: what a configuration silences by rule, path and container, and what came of it."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase

from ..scanner.startup import NamedTuple
from .engine import Finding, Outcome, Rule
from .globs import fits
from .ignores import Ignore, names

_WILD = frozenset("*?[")


class Entry(NamedTuple):
    """An `[[ignore]]` of a configuration; `path` and `container` are patterns, "" for all.

    A container is named as `sshd` or as `services/sshd`. The place of `ignore` is in the configuration file.
    """

    ignore: Ignore
    path: str = ""
    container: str = ""


class Entries:
    """The entries of one configuration: asked for every finding, they say afterwards which of them were of use."""

    def __init__(
        self, entries: Iterable[Entry], rules: Iterable[Rule], relative: Callable[[str], str], *, whole: bool = False
    ) -> None:
        """`rules` are all there are. `relative` gives an input's path as the patterns have it.

        `whole`: all that is below the configuration's folder is scanned.
        """
        self._entries = tuple(entries)
        self._rules = tuple(rules)
        self._relative = relative
        self._whole = whole
        self._fitting: dict[str, list[int]] = {}
        self._named: dict[str, frozenset[str]] = {}
        self._used: set[tuple[int, str]] = set()

    @property
    def path(self) -> str:
        """The configuration file."""
        return next((one.ignore.place.artifacts[0] for one in self._entries), "")

    def meet(self, path: str) -> list[int]:
        """The numbers of the entries for an input of this path."""
        if path not in self._fitting:
            name = self._relative(path)
            fitting = [i for i, one in enumerate(self._entries) if not one.path or fits(name, one.path)]
            self._fitting[path] = fitting
        return self._fitting[path]

    @property
    def used(self) -> list[tuple[int, str]]:
        """The patterns that silenced something, each with the number of its entry."""
        return sorted(self._used)

    def note(self, used: Iterable[tuple[int, str]]) -> None:
        """Take over what was used elsewhere."""
        self._used.update(used)

    def reason(self, finding: Finding, container: str) -> str | None:
        """The reason that the last of the fitting entries gives for silencing a finding; None: it is to be shown.

        `container` is the title of the one that the finding is in, "" for none. An open verdict is never silenced.
        """
        covering = [
            entry.ignore.reason
            for number in self.meet(finding.place.artifacts[0])
            if (entry := self._entries[number]).ignore.effective
            and _is_in(container, entry.container)
            and self._uses(number, entry, finding.rule)
        ]
        return covering[-1] if covering and finding.outcome is Outcome.FAIL else None

    def outcomes(self, run: Iterable[Rule], unread: Iterable[str]) -> Iterator[Ignore]:
        """Every entry with what came of it, `run` being the rules that were.

        It is unused only where all that it is for was scanned, and none of it is `unread`: the one file that its path
        names, or the whole folder. An entry without a path may be for any file.
        """
        ids = frozenset(rule.id for rule in run)
        open_ = {number for path in unread for number in self.meet(path)}
        met = {number for fitting in self._fitting.values() for number in fitting} - open_
        for number, entry in enumerate(self._entries):
            patterns = entry.ignore.patterns
            decided = entry.path and number in met and (self._whole or not _WILD & set(entry.path))
            idle = [one for one in patterns if (number, one) not in self._used]
            yield entry.ignore._replace(
                strangers=tuple(one for one in patterns if not self._ids(one)),
                unused=tuple(one for one in idle if self._ids(one) and self._ids(one) <= ids)
                if decided and entry.ignore.effective
                else (),
            )

    def _uses(self, number: int, entry: Entry, rule: Rule) -> bool:
        hits = [(number, one) for one in entry.ignore.patterns if rule.id in self._ids(one)]
        self._used.update(hits)
        return bool(hits)

    def _ids(self, pattern: str) -> frozenset[str]:
        if pattern not in self._named:
            self._named[pattern] = frozenset(rule.id for rule in self._rules if names(rule, (pattern,)))
        return self._named[pattern]


def _is_in(title: str, pattern: str) -> bool:
    name = title if "/" in pattern else title.partition("/")[2]
    return not pattern or (bool(title) and fnmatchcase(name, pattern))
