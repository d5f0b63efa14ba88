"""The funnel: the one place that filters, suppresses, orders and counts findings."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import File, Problem, Spec, Subject, System
from .engine import Finding, Outcome, Profile, Rule, Severity
from .ignores import Directives, Ignore, Scope, names

TYPE_CHECKING = False  # a baseline's module is imported where there is one: start-up is a feature
if TYPE_CHECKING:
    from .baseline import Baseline, Comparison
    from .contents import Contents
    from .entries import Entries


class Options(NamedTuple):
    """What the user wants to see. `select` and `ignore` hold rule ids, names or promises, `*` and `?` allowed (`LKB*`).

    `heed`: whether directives in the files silence findings at all; `require_reason`: whether only those with a reason.
    """

    profile: Profile = Profile.REGULAR
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    heed: bool = True
    require_reason: bool = False


class Suppressed(NamedTuple):
    """A finding that somebody silenced or accepted, and the reason given."""

    finding: Finding
    reason: str


class Result(NamedTuple):
    """All that a report is made of; the same input gives the same result, in the same order.

    `findings` are to be shown: every FAIL that the options ask for. `others` are the outcomes UNDECIDED and PARTIAL,
    each with its reason; not those undecided that the profile does not ask. `not_applicable` counts that outcome by
    rule id and reason; `tally`, which maps (rule id, outcome) to a number of subjects, has those besides that a rule is
    not about at all. `hidden` counts the fails that a lower profile leaves out, `quiet` are those of them that nobody
    silenced. `texts` maps the name of a spec to its text, for snippets. `baselined` are the fails that a baseline
    accepts, and `baseline` says what came of its entries. `promised` are the patterns that asked for promises;
    `tallies` has, where there are any, the tally of each input by its paths. `contents` tell what each image is made
    of, if asked. `proofs` are the passes that are worth telling, each with what was shown as its message. `told`
    is, of a result read back from a report, what that report told of subjects, which are at hand no more.
    """

    findings: tuple[Finding, ...] = ()
    others: tuple[Finding, ...] = ()
    not_applicable: Mapping[tuple[str, str], int] = {}
    suppressed: tuple[Suppressed, ...] = ()
    hidden: int = 0
    problems: tuple[Problem, ...] = ()
    systems: tuple[System, ...] = ()
    tally: Mapping[tuple[str, Outcome], int] = {}
    texts: Mapping[str, str] = {}
    rules: tuple[Rule, ...] = ()
    quiet: tuple[Finding, ...] = ()
    baselined: tuple[Suppressed, ...] = ()
    baseline: "Comparison | None" = None
    promised: tuple[str, ...] = ()
    tallies: Mapping[tuple[str, ...], Mapping[tuple[str, Outcome], int]] = {}
    contents: "tuple[Contents, ...]" = ()
    proofs: tuple[Finding, ...] = ()
    told: Any = None

    def count(self, severity: Severity) -> int:
        """How many findings to show have this severity."""
        return sum(finding.severity is severity for finding in self.findings)


def choose(rules: Iterable[Rule], options: Options) -> tuple[Rule, ...]:
    """The rules that the options leave switched on."""
    return tuple(
        rule
        for rule in rules
        if (not options.select or names(rule, options.select)) and not names(rule, options.ignore)
    )


def unknown(patterns: Iterable[str], rules: Iterable[Rule]) -> list[str]:
    """The patterns that name no rule at all."""
    known = tuple(rules)
    return [pattern for pattern in patterns if not any(names(rule, (pattern,)) for rule in known)]


class Funnel:
    """Takes findings as they come and gives, in `result`, those to show, in order."""

    def __init__(
        self,
        rules: Iterable[Rule],
        options: Options,
        known: Callable[[], Iterable[Rule]] | None = None,
        entries: "Entries | None" = None,
    ) -> None:
        """`rules` are those that were run, `known` gives all that a directive may name (the same, unless told).

        `entries` are what a configuration silences.
        """
        self._entries = entries if options.heed else None
        self._rules = tuple(rules)
        self._known = known or (lambda: self._rules)
        self._options = options
        self._inputs: list[list[Finding]] = [[]]
        self._numbers: list[int] = []
        self._met = 0
        self._void: dict[tuple[str, ...], int] = {}
        self._problems: list[Problem] = []
        self._systems: list[System] = []
        self._texts: dict[str, str] = {}
        self._homes: dict[tuple[str, ...], int] = {}
        self._traces: dict[int, Callable[[Finding], Finding]] = {}
        self._traced: dict[tuple[str, ...], str] = {}

    def add(self, finding: Finding, number: int | None = None) -> None:
        """Take a finding of the present input: on the subject that was met last, or on that of a number."""
        self._inputs[-1].append(finding)
        self._numbers.append(self._met if number is None else number)

    def meet(self, subject: Subject | Problem) -> int:
        """Take note of what the result must tell besides findings, before the subject is judged; returns its number."""
        self._met += 1
        if isinstance(subject, Problem):
            self._problems.append(subject)
        elif isinstance(subject, Spec):
            self._document(subject)
        elif isinstance(subject, System):
            self._systems.append(subject._replace(roots=()))  # reports tell nothing of them, and they are large
        elif isinstance(subject, File) and subject.replaces:
            self._void[subject.place.artifacts] = self._met
        return self._met

    def trace(self, back: Callable[[Finding], Finding], heeded: Mapping[str, str], quoted: Mapping[str, str]) -> None:
        """The present input is an image of known origin: `back` gives a finding its line of a spec.

        `heeded` are the texts of specs, by name, whose comments silence what is traced to them; `quoted` are those
        that reports may quote.
        """
        self._traces[len(self._inputs) - 1] = back
        self._traced |= {(name,): text for name, text in heeded.items()}
        self._texts |= quoted

    def close(self) -> None:
        """The present input ends: what was found in files that later ones of the same path replace is dropped."""
        if self._void or self._numbers != sorted(self._numbers):
            found = sorted(zip(self._numbers, self._inputs[-1], strict=True), key=lambda pair: pair[0])
            self._inputs[-1] = [one for number, one in found if not self._is_void(number, one)]
            self._void.clear()
        self._numbers = []
        if self._systems and self._systems[-1].kind == "image":
            from .gathering import gathered

            self._inputs[-1] = gathered(self._inputs[-1])
        self._inputs.append([])

    def _is_void(self, number: int, finding: Finding) -> bool:
        """In an archive the last file of a path wins, with all that lies within it."""
        path = finding.place.artifacts
        return any(number < self._void.get(path[:length], 0) for length in range(1, len(path) + 1))

    def _document(self, spec: Spec) -> None:
        """Keep a spec's text: its comments silence findings, its lines are snippets."""
        self._texts[spec.place.artifacts[-1]] = spec.text
        self._homes[spec.place.artifacts] = len(self._inputs) - 1
        for violation in spec.violations:
            if violation.kind == "yaml":
                hint = f" ({violation.hint})" if violation.hint else ""
                self._problems.append(Problem(violation.place, f"cannot be read as YAML: {violation.message}{hint}"))

    def result(
        self, tally: Mapping[tuple[str, Outcome], int], not_applicable: Mapping[tuple[str, str], int] | None = None
    ) -> Result:
        """Filter, suppress, order; with what the engine has counted."""
        homes = {home: self._texts[home[-1]] for home in self._homes} | self._traced if self._options.heed else {}
        parsed = {home: _directives(text) for home, text in homes.items()}
        directives = Directives(parsed, self._known, require_reason=self._options.require_reason)
        findings: list[Finding] = []
        others: list[Finding] = []
        suppressed: list[Suppressed] = []
        hidden = 0
        quiet: list[Finding] = []
        proofs: list[Finding] = []
        reason = self._reasons(directives)
        silenced = [
            [pair for one in batch for pair in _parts(one, reason, self._traces.get(number, _as_it_is))]
            for number, batch in enumerate(self._inputs)
        ]
        counts: Counter[tuple[str, Outcome]] = Counter()
        for one in self._hygiene(directives, counts):
            silenced[self._homes[one.place.artifacts]].append((one, None))
        for finding, excuse in (pair for batch in silenced for pair in sorted(batch, key=lambda pair: _order(pair[0]))):
            asked = finding.profile <= self._options.profile or self._is_selected(finding)
            if finding.outcome is Outcome.PASS:
                proofs.append(finding)
            elif finding.outcome is not Outcome.FAIL:
                others += [finding] if asked or finding.outcome is not Outcome.UNDECIDED else []
            elif not asked:
                hidden += 1
                quiet += [finding] if excuse is None else []
            elif excuse is not None:
                suppressed.append(Suppressed(finding, excuse))
            else:
                findings.append(finding)
        return Result(
            findings=tuple(findings),
            others=tuple(others),
            not_applicable=dict(sorted((not_applicable or {}).items())),
            suppressed=tuple(suppressed),
            hidden=hidden,
            problems=tuple(self._problems),
            systems=tuple(self._systems),
            tally=dict(sorted({**tally, **counts}.items(), key=lambda item: (item[0][0], item[0][1].value))),
            texts=self._texts,
            rules=self._rules,
            quiet=tuple(quiet),
            proofs=tuple(proofs),
        )

    def _is_selected(self, finding: Finding) -> bool:
        """Whether it was asked for whatever its profile: by its rule's name, or by a promise that it breaks."""
        plain = [one for one in self._options.select if ":" not in one]
        if names(finding.rule, plain):
            return True
        if len(plain) == len(self._options.select):
            return False
        from .promises import chosen

        return any(promise.concerns(finding) for promise in chosen(self._options.select))

    def _reasons(self, directives: Directives) -> Callable[[Finding], str | None]:
        """What asks for a finding's excuse: the comments first, then the configuration."""
        entries = self._entries
        if entries is None:
            return directives.reason
        containers = {one.place.home: one.title for system in self._systems for one in system.containers}

        def reason(finding: Finding) -> str | None:
            comment = directives.reason(finding)
            entry = entries.reason(finding, containers.get(finding.place.home, ""))
            return entry if comment is None else comment

        return reason

    def _hygiene(self, directives: Directives, counts: Counter[tuple[str, Outcome]]) -> Iterator[Finding]:
        """What the rules about directives say, now that it is known what came of each; nothing silences them."""
        unread = [problem.place.artifacts[0] for problem in self._problems]
        if not directives.are_any:
            return iter(())
        run = choose(self._known(), self._options)  # those on images, too, which no spec's scan has loaded
        outcomes = directives.outcomes(run, unread)
        if self._traced:  # a spec that was only held against an image was not judged itself
            outcomes = (one for one in outcomes if one.place.artifacts in self._homes)
        return hygiene(outcomes, self._rules, counts)


def hygiene(
    ignores: Iterable[Ignore], rules: Iterable[Rule], counts: Counter[tuple[str, Outcome]]
) -> Iterator[Finding]:
    """What the rules about directives say of each after the run; the outcomes are added to `counts`."""
    asked = [rule for rule in rules if rule.subject is Ignore]
    for ignore in ignores:
        for rule in asked:
            if rule.about is not None and not rule.about(ignore):
                counts[rule.id, Outcome.NOT_APPLICABLE] += 1
                continue
            found = [Finding.of(rule, verdict) for verdict in rule.check(ignore)]
            counts[rule.id, Outcome.FAIL if found else Outcome.PASS] += 1
            yield from found


def _as_it_is(finding: Finding) -> Finding:
    return finding


def _parts(
    finding: Finding, reason: Callable[[Finding], str | None], back: Callable[[Finding], Finding]
) -> list[tuple[Finding, str | None]]:
    """The finding with its excuse; one on several containers in parts, where not the same is said of each of them."""
    if finding.retold is None:
        finding = back(finding)
        return [(finding, reason(finding))]
    alone = [(one, back(Finding.of(finding.rule, finding.retold((one,))))) for one in finding.members]
    parts: dict[str | None, list[str]] = {}
    for member, part in alone:
        parts.setdefault(reason(part), []).append(member)
    if len(parts) == 1:
        return [(back(finding), excuse) for excuse in parts]
    return [(back(Finding.of(finding.rule, finding.retold(some))), excuse) for excuse, some in parts.items()]


def accept(result: Result, baseline: "Baseline", read: Iterable[str]) -> Result:
    """The result without the findings that the baseline accepts; `read` are the paths of the inputs that were read.

    Fails that the profile hides use up their entries, too: they are there, whoever looks.
    """
    from .baseline import compare

    number = len(result.findings)
    accepted, comparison = compare(
        baseline,
        (*result.findings, *result.quiet),
        read=read,
        broken=[problem.place.artifacts[0] for problem in result.problems],
        rules={rule.id for rule in result.rules},
    )
    return result._replace(
        findings=tuple(one for index, one in enumerate(result.findings) if index not in accepted),
        baselined=tuple(
            Suppressed(result.findings[index], accepted[index].reason) for index in range(number) if index in accepted
        ),
        baseline=comparison,
    )


def _order(finding: Finding) -> tuple[tuple[str, ...], int, int, str, str]:
    span = finding.place.span
    return (
        finding.place.artifacts,
        span.line if span else 0,
        span.column if span else 0,
        finding.rule.id,
        finding.key,
    )


def _directives(text: str) -> list[tuple[Scope, Ignore]]:
    """The directives of a text; the module that reads them costs 2 ms of a start, and few texts have any."""
    plain = text.lower()
    if "lkscan:" not in plain and not ("lkscan" in plain and "ignore" in plain):
        return []
    from .directives import parse

    return parse(text)
