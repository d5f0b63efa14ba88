"""The rule engine: what a rule, a finding and an outcome are, and how subjects meet the rules that asked for them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import Enum, IntEnum

from ..scanner.startup import Any, Literal, NamedTuple, late
from ..scanner.subjects import Change, Place, Problem, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..scanner.ballast import Ballast
    from ..scanner.builds import Build
    from ..scanner.reached import Unreached
    from .components import ImageSize
    from .needs import Needs

_NUMBER = late(r"(?<=^containers/onboot/)\d{3}-|(?<=^containers/onshutdown/)\d{3}-")
"""A container's place in the order, which LinuxKit puts before its name in an image."""


class Severity(IntEnum):
    """What an attacker gains, not how untidy it looks."""

    NOTE = 0
    """Information."""
    LOW = 1
    """Hardening worth having."""
    MEDIUM = 2
    """A defence that LinuxKit or KSPP promises is missing."""
    HIGH = 3
    """A container boundary is void."""
    CRITICAL = 4
    """Host root, or a secret disclosed."""

    def __str__(self) -> str:
        return self.name.lower()


class Confidence(IntEnum):
    """How sure the evidence is."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2

    def __str__(self) -> str:
        return self.name.lower()


class Profile(IntEnum):
    """Who wants to see it: everyone; who wants more hardening; who reviews what only a person can judge."""

    REGULAR = 0
    PEDANTIC = 1
    AUDITOR = 2

    def __str__(self) -> str:
        return self.name.lower()


class Outcome(Enum):
    """What a rule can say of a subject; it never guesses FAIL."""

    FAIL = "fail"
    PASS = "pass"  # noqa: S105 - no password
    NOT_APPLICABLE = "not applicable"
    UNDECIDED = "undecided"
    PARTIAL = "partial"

    __hash__ = object.__hash__  # Enum's own, in Python, is a fiftieth of the time of linting a folder

    def __str__(self) -> str:
        return self.value


class Location(NamedTuple):
    """A place and what is to be seen there ("label of linuxkit/getty:… grants it")."""

    place: Place
    note: str = ""


class Fix(NamedTuple):
    """How to mend what a finding is about: what is done, in a sentence, and the changes that do it.

    `description` says what is done, as an order ("remove the section"). `safe`: it changes nothing that the built
    image's programs could miss; other fixes are applied on request only. `effects` are what of the effective
    configuration it changes: a subject and a key of config.json or of the file (`services/sshd mounts`,
    `etc/motd mode`, `kernel cmdline`); without any, what LinuxKit builds stays the same, or it built nothing before.
    """

    description: str
    changes: tuple[Change, ...]
    safe: bool = True
    effects: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """What a rule's function yields: one outcome for one subject. `fail()` and its siblings make it.

    `subject` names the subject in a way that survives moved lines and rebuilt images (`services/sshd`,
    `etc/shadow`); `key` tells apart two verdicts of one rule on one subject (the bind's destination, the option).
    `arguments` fill the placeholders of the rule's message `variant`; `reason` is the whole sentence for the other
    outcomes. `evidence` are facts that a reader can check by hand. The primary location comes first. `members` are
    what one verdict on several things lists (containers, accounts): to a baseline, one more of them is news. Where
    each of them has a location of its own, `retold` gives the verdict on some of them only: a directive may silence
    the others.
    """

    outcome: Outcome
    subject: str
    locations: tuple[Location, ...]
    arguments: tuple[str, ...] = ()
    variant: str = "default"
    reason: str = ""
    key: str = ""
    evidence: tuple[str, ...] = ()
    severity: Severity | None = None
    confidence: Confidence | None = None
    profile: Profile | None = None
    fix: Fix | None = None
    members: tuple[str, ...] = ()
    retold: "Callable[[Collection[str]], Verdict] | None" = None


def fail(
    subject: str,
    at: Place,
    *arguments: str,
    note: str = "",
    related: Iterable[Location] = (),
    variant: str = "default",
    key: str = "",
    evidence: Iterable[str] = (),
    severity: Severity | None = None,
    confidence: Confidence | None = None,
    profile: Profile | None = None,
    fix: Fix | None = None,
    members: Iterable[str] = (),
    retold: Callable[[Collection[str]], Verdict] | None = None,
) -> Verdict:
    """The rule fires at `at`; severity, confidence and profile are the rule's own unless truer here."""
    locations = (Location(at, note), *related)
    return Verdict(
        Outcome.FAIL,
        subject,
        locations,
        arguments,
        variant,
        "",
        key,
        tuple(evidence),
        severity,
        confidence,
        profile,
        fix,
        tuple(members),
        retold,
    )


def not_applicable(subject: str, at: Place, reason: str, *, key: str = "") -> Verdict:
    """The question does not arise, and `reason` (a sentence) says why."""
    return Verdict(Outcome.NOT_APPLICABLE, subject, (Location(at),), reason=reason, key=key)


def undecided(subject: str, at: Place, reason: str, *, key: str = "") -> Verdict:
    """The evidence to decide is not there, and `reason` (a sentence) says what is missing."""
    return Verdict(Outcome.UNDECIDED, subject, (Location(at),), reason=reason, key=key)


def partial(subject: str, at: Place, reason: str, *, key: str = "", evidence: Iterable[str] = ()) -> Verdict:
    """True of a part of the subject, and `reason` (a sentence) says of which."""
    return Verdict(Outcome.PARTIAL, subject, (Location(at),), reason=reason, key=key, evidence=tuple(evidence))


def proved(subject: str, at: Place, reason: str, *, key: str = "", evidence: Iterable[str] = ()) -> Verdict:
    """A pass that is worth telling: `reason` (a sentence) says what was shown, and by what."""
    return Verdict(Outcome.PASS, subject, (Location(at),), reason=reason, key=key, evidence=tuple(evidence))


Check = Callable[..., Iterator[Verdict]]
"""A rule's function: judges one subject, by its parameters if it has any."""


class Rule(NamedTuple):
    """A rule: identity, what it says, and the generator that judges one subject.

    `id` (`LKP002`) and `name` (`host-root-equivalent`) are stable for ever. `messages` are templates by variant with
    `'{0}'` placeholders, each ending in a full stop; `remedy` is what to do. `nist` are risk sections of NIST
    SP 800-190 (`3.4.3`). `subject` is the type of the check's only parameter: its annotation is the subscription.
    `about` tells the subjects of that type for which its question arises at all; without it, it does for every one.
    `parameters` are what a user may set, with their defaults; a check of a rule that has any takes them as its second
    argument. `settled`: a user set the severity, and it stands whatever the check says. `autofix` says whether it
    offers fixes: `safe` ones (some may not be), `unsafe` ones only, or "". `owner` is the configuration file or plugin
    that a rule of a user's own comes from, "" for lkscan's; `page` is its page in Markdown.
    """

    id: str
    name: str
    severity: Severity
    messages: Mapping[str, str]
    remedy: str
    nist: tuple[str, ...]
    profile: Profile
    confidence: Confidence
    subject: type
    check: Check
    about: Callable[[Any], bool] | None = None
    parameters: Mapping[str, Any] = {}
    settled: bool = False
    autofix: Literal["safe", "unsafe", ""] = ""
    owner: str = ""
    page: str = ""

    @property
    def summary(self) -> str:
        """The first line of the check's docstring."""
        return (self.check.__doc__ or "").strip().splitlines()[0]

    def __call__(self, subject: "Subject | Build | Needs | Unreached | Ballast | ImageSize") -> "list[Finding]":
        """Judge one subject that the rule is about; an empty list is a pass."""
        return [Finding.of(self, verdict) for verdict in self.verdicts(subject)]

    def verdicts(self, subject: "Subject | Build | Needs | Unreached | Ballast | ImageSize") -> list[Verdict]:
        """What the check says of one subject that the rule is about."""
        return list(self.check(subject, self.parameters) if self.parameters else self.check(subject))


def rule(
    identity: str,
    name: str,
    severity: Severity,
    message: str | Mapping[str, str],
    *,
    remedy: str,
    nist: tuple[str, ...],
    profile: Profile = Profile.REGULAR,
    confidence: Confidence = Confidence.HIGH,
    about: Callable[[Any], bool] | None = None,
    parameters: Mapping[str, Any] | None = None,
    autofix: Literal["safe", "unsafe", ""] = "",
) -> Callable[[Check], Rule]:
    """Make a rule of a generator function whose only parameter is annotated with the subject it judges.

    `message` is one template, or several by variant. `about` is asked of every subject and must be cheap. With
    `parameters`, the function has a second one that takes them. The module must not postpone its annotations.
    """

    def decorate(check: Check) -> Rule:
        subject = next(iter(check.__annotations__.values()))
        messages = {"default": message} if isinstance(message, str) else message
        return Rule(
            identity,
            name,
            severity,
            messages,
            remedy,
            nist,
            profile,
            confidence,
            subject,
            check,
            about,
            parameters or {},
            autofix=autofix,
        )

    return decorate


class Finding(NamedTuple):
    """A verdict with its rule and nothing left open: what reports are made of. Fields as in `Verdict`.

    `origin` is, for what is in an image, the line of the spec that brought it, where a spec is known; the funnel tells.
    """

    rule: Rule
    outcome: Outcome
    subject: str
    locations: tuple[Location, ...]
    arguments: tuple[str, ...]
    variant: str
    reason: str
    key: str
    evidence: tuple[str, ...]
    severity: Severity
    confidence: Confidence
    profile: Profile
    fix: Fix | None = None
    members: tuple[str, ...] = ()
    retold: Callable[[Collection[str]], Verdict] | None = None
    origin: Location | None = None

    @classmethod
    def of(cls, rule: Rule, verdict: Verdict) -> "Finding":
        """Settle what the verdict leaves to its rule."""
        return cls(
            rule,
            verdict.outcome,
            verdict.subject,
            verdict.locations,
            verdict.arguments,
            verdict.variant,
            verdict.reason,
            verdict.key,
            verdict.evidence,
            rule.severity if verdict.severity is None or rule.settled else verdict.severity,
            rule.confidence if verdict.confidence is None else verdict.confidence,
            rule.profile if verdict.profile is None else verdict.profile,
            verdict.fix,
            verdict.members,
            verdict.retold,
        )

    @property
    def place(self) -> Place:
        """The primary place of the thing itself, by which it is filed."""
        return self.locations[0].place

    @property
    def shown(self) -> Location:
        """The location to show first: the line of a spec that brought it, where that is known."""
        return self.origin or self.locations[0]

    @property
    def everywhere(self) -> tuple[Location, ...]:
        """All of its locations, the one to show first."""
        return (self.origin, *self.locations) if self.origin else self.locations

    @property
    def message(self) -> str:
        """The sentence to print."""
        return self.reason or self.rule.messages[self.variant].format(*self.arguments)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that survive moved lines, reordered containers, renamed images and rebuilds."""
        from hashlib import sha256

        identity = "\0".join((self.rule.id, _NUMBER.sub("", self.subject), self.key, str(self.outcome)))
        return sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]


class RuleError(Exception):
    """A rule of a user's own cannot judge a subject; the message says why."""


class Engine:
    """Judges a stream of subjects by the rules that asked for their type, and counts what came of it.

    `tally` maps (rule id, outcome) to the number of subjects; a rule that yields nothing has passed the subject.
    `not_applicable` maps (rule id, reason) to how often a rule said so.
    `failures` maps (rule id, what went wrong) to the places of the subjects that a rule could not cope with; `broken`
    tells of them: a defect of the rule, reported and not hidden.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_subject: dict[type, list[tuple[Rule, Callable[[Any], bool] | None]]] = {}
        for one in rules:
            self._by_subject.setdefault(one.subject, []).append((one, one.about))
        self._outcomes: Counter[tuple[str, Outcome]] = Counter()
        self._spared: dict[str, int] = {}
        self.not_applicable: Counter[tuple[str, str]] = Counter()
        self.failures: dict[tuple[str, str], list[Place]] = {}

    @property
    def tally(self) -> Counter[tuple[str, Outcome]]:
        """Subjects by rule and outcome."""
        return self._outcomes + Counter({(one, Outcome.NOT_APPLICABLE): n for one, n in self._spared.items()})

    def join(
        self,
        tally: Mapping[tuple[str, Outcome], int],
        not_applicable: Mapping[tuple[str, str], int],
        failures: Mapping[tuple[str, str], Iterable[Place]],
    ) -> None:
        """Add what another engine with these rules has counted."""
        self._outcomes.update(tally)
        self.not_applicable.update(not_applicable)
        for key, places in failures.items():
            self.failures.setdefault(key, []).extend(places)

    @property
    def broken(self) -> list[Problem]:
        """A problem for each defect of a rule, at the first subject that shows it."""
        return [
            Problem(first, text + (f" (and on {len(others)} more)" if others else ""), "failed")
            for (_, text), (first, *others) in self.failures.items()
        ]

    def judge(self, subject: "Subject | Build | Needs | Unreached | Ballast | ImageSize") -> Iterator[Finding]:
        """All findings on one subject but passes and what is not applicable: nine in ten, which are only counted."""
        tally, spared = self._outcomes, self._spared
        for one, about in self._by_subject.get(type(subject), ()):
            try:
                if about is not None and not about(subject):
                    spared[one.id] = spared.get(one.id, 0) + 1  # nearly all of them, so by the shortest way
                    continue
                verdicts = one.verdicts(subject)
                if one.owner:
                    _ = [Finding.of(one, verdict).message for verdict in verdicts]  # what cannot be told shows here
            except Exception as error:  # noqa: BLE001 - a rule's defect must not cost the other rules' findings
                self.failures.setdefault((one.id, _complaint(one, error)), []).append(subject.place)
                continue
            if not verdicts:
                tally[one.id, Outcome.PASS] += 1
                continue
            for outcome in {verdict.outcome for verdict in verdicts}:
                tally[one.id, outcome] += 1
            for verdict in verdicts:
                if verdict.outcome is Outcome.NOT_APPLICABLE:
                    self.not_applicable[one.id, verdict.reason] += 1
                else:
                    yield Finding.of(one, verdict)


def _complaint(rule: Rule, error: Exception) -> str:
    """What went wrong, for whom it concerns: the owner of the rule, or us."""
    if isinstance(error, RuleError):
        return f"rule {rule.id} of {rule.owner} failed: {error}"
    if rule.owner:
        return f"rule {rule.id} of {rule.owner} failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return f"rule {rule.id} failed: {type(error).__name__}; please report it"
