"""Desks: where inputs are read and judged, all of one desk by one policy; and who reads those that are images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain

from .config.policies import Policy
from .digests import Digests
from .inputs import Input
from .rules.engine import Engine, Outcome
from .rules.funnel import Funnel, Result
from .scanner import spec
from .scanner.labels import LabelFinder
from .scanner.source import Limits, Watch
from .scanner.startup import NamedTuple, late
from .scanner.subjects import File, ImageReference, Problem, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .budgeting import Weigher
    from .progress import Bar
    from .rules.components import ImageSize
    from .rules.contents import Collector
    from .rules.needs import Needs
    from .scanner.ballast import Ballast, Scale
    from .scanner.builds import Build
    from .scanner.reached import Unreached
    from .sharing import Share
    from .tracing import Trace
    from .witness import Witness

_LIMIT = late(r"\(limit: (\w+)\)")


class Staff(NamedTuple):
    """Who reads images: processes of their own, so many at a time, shut in unless not `isolated`.

    With no `jobs` this process does it itself. `bar` shows how far they are; `note` is told once what the kernel
    lacks to shut them in. With `contents`, they take note of what each image is made of, too.
    """

    jobs: int = 0
    isolated: bool = True
    bar: Bar | None = None
    note: Callable[[str], None] | None = None
    contents: bool = False
    evidence: bool = False


class Desk:
    """Where the inputs of one policy are judged; with `contents`, the result tells what images are made of, too.

    With `evidence`, the programs of images are read for what their containers need.
    """

    def __init__(self, policy: Policy, *, contents: bool = False, evidence: bool = False) -> None:
        self.policy = policy
        self._engine = Engine(policy.rules)
        self._digests = Digests(policy.labels)
        self._funnel = Funnel(policy.rules, policy.options, policy.known, policy.entries)
        self._promised = tuple(one for one in policy.options.select if ":" in one)
        self._tallies: dict[tuple[str, ...], Counter[tuple[str, Outcome]]] = {}
        self.also: Callable[[Subject | Problem], None] | None = None
        """Is told of each subject, too, while its content can be read."""
        self.trace: Trace | None = None
        """Of the last image, what leads back to its spec."""
        self._collector: Collector | None = None
        if contents:
            from .rules.contents import Collector

            self._collector = Collector()
        self._has_evidence = evidence

    def take(
        self,
        one: Input,
        watch: Watch | None = None,
        reach: Callable[[Subject], None] | None = None,
        share: Share | None = None,
    ) -> None:
        """Read and judge an input; `watch` is told how many bytes are read, `reach` of each subject, first.

        With a `share`, another process judges some of its files.
        """
        funnel, engine, entries = self._funnel, self._engine, self.policy.entries
        before = Counter(engine.tally) if self._promised else None
        if entries:
            for path in one.paths:
                entries.meet(path)
        trace = self.trace = self._trace(one) if one.kind == "image" else None
        onlookers = self._onlookers() if one.kind == "image" else []
        meets: list[Callable[[Subject | Problem], None]]
        meets = [one.meet for one in (trace, self._collector, *onlookers) if one]
        meets += [self.also] if self.also else []
        for found in read(one, self.policy.labels, self.policy.limits, watch, elsewhere=share):
            subject = self._digests.add(found) if isinstance(found, ImageReference) else found
            number = funnel.meet(subject)
            for meet in meets:
                meet(subject)
            if not isinstance(subject, Problem):
                if reach:
                    reach(subject)
                if not (share and isinstance(subject, File) and share.give(subject, number)):
                    self._judge(subject)
        for seen in chain.from_iterable(one.subjects() for one in onlookers):
            self._judge(seen)
        self._close(share, trace)
        if before is not None:
            self._tallies[one.paths] = engine.tally - before

    def _onlookers(self) -> list[Scale | Weigher | Witness]:
        """Who takes note of what an image holds, and tells something in the end that is to be judged."""
        from .scanner.ballast import Scale

        found: list[Scale | Weigher | Witness] = [Scale()]
        if self.policy.budget:
            from .budgeting import Weigher

            found.append(Weigher(self.policy.budget))
        if self._has_evidence:
            from .witness import Witness

            found.append(Witness(self.policy.limits.body))
        return found

    def _trace(self, one: Input) -> Trace:
        from .tracing import Trace

        return Trace(one.specs, self.policy.labels, self.policy.rules, one.sources)

    def _trace_back(self, trace: Trace) -> None:
        """Judge the image by its spec, if it has one, and lead what was found back to that."""
        trace.close()
        for build in trace.builds():
            self._judge(build)
        self._funnel.trace(trace, trace.heeded, trace.quoted)

    def _close(self, share: Share | None, trace: Trace | None) -> None:
        """The input ends: add what came of it elsewhere."""
        if share:
            share.join(self._engine, self._funnel, self.policy.rules)
        if trace:
            self._trace_back(trace)
        self._funnel.close()

    def _judge(self, subject: Subject | Build | Needs | Unreached | Ballast | ImageSize) -> None:
        for finding in self._engine.judge(subject):
            self._funnel.add(finding)

    def result(self) -> Result:
        """What came of all of them."""
        policy, engine = self.policy, self._engine
        for problem in (*policy.problems, *policy.labels.unread, *self._digests.problems, *engine.broken):
            self._funnel.meet(problem)
        result = self._funnel.result(engine.tally, engine.not_applicable)
        if self._promised:
            result = result._replace(promised=self._promised, tallies=self._tallies)
        return result._replace(contents=tuple(self._collector.contents)) if self._collector else result


def read(
    one: Input,
    labels: LabelFinder,
    limits: Limits | None = None,
    watch: Watch | None = None,
    *,
    exact: bool = False,
    elsewhere: Share | None = None,
) -> Iterator[Subject | Problem]:
    """The subjects of one input, as they are met; `watch`, `exact` and `elsewhere` as `image.read` has them."""
    if one.kind == "spec":
        return spec.read(one.documents, labels)
    from .scanner import image

    found = map(_told, image.read(one.paths, limits or Limits(), watch, exact=exact, elsewhere=elsewhere))
    if one.boot is None:
        return found
    from .kernels import alone

    return alone(found, one.boot)


def _told(found: Subject | Problem) -> Subject | Problem:
    return advised(found) if isinstance(found, Problem) else found


def advised(problem: Problem) -> Problem:
    """The same; where it names a limit, it also says how to raise it."""
    match = _LIMIT.search(problem.message)
    if match and match[1] in Limits._fields:
        return problem._replace(message=f"{problem.message}; --limit {match[1]}=N raises it")
    return problem
