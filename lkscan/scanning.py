"""The main job: inputs in, a result out. The public API is `scan`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .inputs import Input, gather
from .rules.catalogue import RULES
from .rules.engine import Engine
from .rules.funnel import Funnel, Options, Result, choose
from .scanner import spec
from .scanner.labels import LabelFinder
from .scanner.source import Limits
from .scanner.subjects import Problem, Subject


def scan(paths: Sequence[str], *, options: Options | None = None, merge: bool = False) -> Result:
    """Scan specs, packages, images and directories; what cannot be read is in the result's problems.

    Nothing is raised for bad input, nothing is written, no network is used.
    """
    return scan_inputs(gather(paths, merge=merge), options or Options(), LabelFinder())


def scan_inputs(inputs: Iterable[Input | Problem], options: Options, labels: LabelFinder) -> Result:
    """Scan what `inputs.gather` found, with the labels of images from `labels`."""
    rules = choose(RULES, options)
    engine = Engine(rules)
    funnel = Funnel(rules, options, RULES)
    for one in inputs:
        for subject in (one,) if isinstance(one, Problem) else read(one, labels):
            funnel.meet(subject)
            if not isinstance(subject, Problem):
                for finding in engine.judge(subject):
                    funnel.add(finding)
        funnel.close()
    for problem in (*labels.unread, *engine.broken):
        funnel.meet(problem)
    return funnel.result(engine.tally)


def read(one: Input, labels: LabelFinder) -> Iterator[Subject | Problem]:
    """The subjects of one input, as they are met."""
    if one.kind == "spec":
        return spec.read(one.documents, labels)
    from .scanner import image

    return image.read(one.paths, Limits())
