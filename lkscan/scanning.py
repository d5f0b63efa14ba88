"""The main job: inputs in, a result out. The public API is `scan`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from .config.files import ConfigurationError
from .config.policies import Policies, Policy
from .digests import Digests
from .inputs import Input, gather
from .rules.catalogue import RULES
from .rules.engine import Engine, Outcome
from .rules.funnel import Funnel, Options, Result, accept, choose, hygiene
from .scanner import spec
from .scanner.labels import LabelFinder
from .scanner.source import Limits
from .scanner.subjects import ImageReference, Place, Problem, Subject

TYPE_CHECKING = False  # a baseline's modules are imported where there is one: start-up is a feature
if TYPE_CHECKING:
    from .rules.baseline import Baseline
    from .rules.entries import Entries


def scan(
    paths: Sequence[str],
    *,
    options: Options | None = None,
    merge: bool = False,
    config: str | None = None,
    baseline: str | None = None,
) -> Result:
    """Scan specs, packages, images and directories; what cannot be read is in the result's problems.

    `config` is a configuration file to judge by, `options` what to judge by without one; none is looked for. Findings
    that are in the file `baseline` are not in the result's findings. Nothing is raised for bad input, nothing is
    written, no network is used. Raises UsageError for a configuration or baseline that cannot be used, ValueError for
    options and configuration at once.
    """
    known = accepted(baseline)
    if config is not None:
        if options is not None:
            raise ValueError("give either options or a configuration")
        return scan_judged(gather(paths, merge=merge), Policies(config=config, scanned=paths), known)
    return scan_inputs(gather(paths, merge=merge), options or Options(), LabelFinder(), known)


def accepted(path: str | None) -> Baseline | None:
    """The baseline in a file, if one is given. Raises UsageError."""
    if path is None:
        return None
    from .baselines import load

    return load(path)


def scan_inputs(
    inputs: Iterable[Input | Problem], options: Options, labels: LabelFinder, baseline: Baseline | None = None
) -> Result:
    """Scan what `inputs.gather` found, all by the same options, with the labels of images from `labels`."""
    policy = Policy(choose(RULES, options), RULES, options, labels)
    return scan_judged(inputs, lambda _: policy, baseline)


def scan_judged(
    inputs: Iterable[Input | Problem], policy_of: Callable[[str], Policy], baseline: Baseline | None = None
) -> Result:
    """Scan what `inputs.gather` found, each input by the policy of its (first) path, and leave out what is known.

    An input whose configuration cannot be used is not scanned, and that is a problem of the result.
    """
    desks: dict[int, _Desk] = {}
    problems: list[Problem] = []
    order: list[str] = []
    judged: list[str] = []
    for one in inputs:
        if isinstance(one, Problem):
            order.append(one.place.artifacts[0])
            problems.append(one)
            continue
        order += one.paths
        try:
            policy = policy_of(one.paths[0])
        except ConfigurationError as error:
            problems.append(Problem(Place((error.path,)), error.message, "unusable"))
            continue
        if id(policy) not in desks:
            desks[id(policy)] = _Desk(policy)
        desks[id(policy)].take(one)
        judged += one.paths
    parts = [desk.result() for desk in desks.values()]
    unread = {one.place.artifacts[0] for one in (*problems, *(one for part in parts for one in part.problems))}
    registers = {id(one.policy.entries): one.policy for one in reversed(desks.values())}
    for policy in reversed(registers.values()):
        if policy.entries:
            parts.append(_hygiene(policy, policy.entries, unread))
            judged.append(policy.entries.path)
    if len(parts) == 1 and not problems:
        result = parts[0]
    else:
        from .rules.joining import join

        result = join(parts, order, problems)
    return result if baseline is None else accept(result, baseline, judged)


def _hygiene(policy: Policy, entries: Entries, unread: Iterable[str]) -> Result:
    """What the rules about directives say of those in a configuration, now that it is known what came of each."""
    funnel, counts = Funnel(policy.rules, policy.options), Counter[tuple[str, Outcome]]()
    for finding in hygiene(entries.outcomes(policy.rules, unread), policy.rules, counts):
        funnel.add(finding)
    return funnel.result(counts)


class _Desk:
    """Where the inputs of one policy are judged."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._engine = Engine(policy.rules)
        self._digests = Digests(policy.labels)
        self._funnel = Funnel(policy.rules, policy.options, policy.known, policy.entries)

    def take(self, one: Input) -> None:
        """Read and judge an input."""
        funnel, engine, entries = self._funnel, self._engine, self.policy.entries
        if entries:
            for path in one.paths:
                entries.meet(path)
        for found in read(one, self.policy.labels):
            subject = self._digests.add(found) if isinstance(found, ImageReference) else found
            funnel.meet(subject)
            if not isinstance(subject, Problem):
                for finding in engine.judge(subject):
                    funnel.add(finding)
        funnel.close()

    def result(self) -> Result:
        """What came of all of them."""
        policy, engine = self.policy, self._engine
        for problem in (*policy.problems, *policy.labels.unread, *self._digests.problems, *engine.broken):
            self._funnel.meet(problem)
        return self._funnel.result(self._engine.tally)


def read(one: Input, labels: LabelFinder) -> Iterator[Subject | Problem]:
    """The subjects of one input, as they are met."""
    if one.kind == "spec":
        return spec.read(one.documents, labels)
    from .scanner import image

    found = image.read(one.paths, Limits())
    if one.boot is None:
        return found
    from .kernels import alone

    return alone(found, one.boot)
