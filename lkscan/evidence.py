"""What containers need, by the evidence of their programs: read from an image, or for a spec from a cache of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from .config.policies import Policy
from .desks import Staff, read
from .imaging import Order, results
from .inputs import Input
from .rules.needs import Needs
from .scanner.cached import laid_out
from .scanner.layout import is_layout
from .scanner.source import DamagedError, LimitError
from .scanner.startup import NamedTuple
from .scanner.subjects import SECTIONS, Container, File, Place, Problem
from .witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot


class Evidence(NamedTuple):
    """What was found in one image, or for one spec: what its containers need, and what could not be read."""

    path: str
    needs: tuple[Needs, ...]
    problems: tuple[Problem, ...]


def gather(inputs: Sequence[Input], policy_of: Callable[[str], Policy], staff: Staff) -> list[Evidence]:
    """The evidence of each image, and for each spec that of the images in its cache, in order. Raises UsageError."""
    orders = []
    for one in inputs:
        policy = policy_of(one.paths[0])
        work = partial(_of_image if one.kind == "image" else _of_spec, one, policy)
        orders.append(Order(one, policy.limits, work, (tuple, tuple), folders=policy.labels.folders))
    found = []
    for one, answer in zip(inputs, results(orders, staff), strict=True):
        path = one.paths[0]
        needs, problems = ((), (answer,)) if isinstance(answer, Problem) else answer
        found.append(Evidence(path, tuple(needs), tuple(problems)))
    return found


def cache(policy: Policy) -> str:
    """The folder that has the images of specs: a LinuxKit cache or an OCI layout; "" where there is none."""
    return next((one for one in reversed(policy.labels.folders) if is_layout(one)), "")


def _of_image(one: Input, policy: Policy, slot: Slot | None) -> tuple[tuple[Needs, ...], tuple[Problem, ...]]:
    """The needs of an image's containers, and the problems of reading it."""
    witness = Witness(policy.limits.body)
    problems = []
    for subject in read(one, policy.labels, policy.limits, slot.watch if slot else None):
        if slot and isinstance(subject, File):
            slot.reach(subject.place)
        if isinstance(subject, Problem):
            problems.append(subject)
        witness.meet(subject)
    return tuple(witness.needs()), tuple(problems)


def _of_spec(one: Input, policy: Policy, slot: Slot | None) -> tuple[tuple[Needs, ...], tuple[Problem, ...]]:
    """The needs of a spec's containers, by what the cache holds of their images."""
    folder, path = cache(policy), one.paths[0]
    witness = Witness(policy.limits.body)
    problems: list[Problem] = []
    containers: dict[str, Container] = {}
    for subject in read(one, policy.labels, policy.limits):
        if isinstance(subject, Problem):
            problems.append(subject)
        elif isinstance(subject, Container) and subject.section in SECTIONS and subject.image:
            place = Place((path, f"containers/{subject.section}/{len(containers)}/config.json"))
            if slot:
                slot.reach(subject.place)
            try:
                for file in laid_out(folder, subject.image.text, place, policy.limits):
                    witness.meet(file)
            except (DamagedError, LimitError) as error:
                why = f"nothing can be told of '{subject.title}', as its image '{subject.image.text}' is not read"
                problems.append(Problem(subject.image.place, f"{why}: {error}"))
                continue
            containers[place.artifacts[-1]] = subject
            witness.meet(subject._replace(place=place))
    found = (needs._replace(container=containers[needs.place.artifacts[-1]]) for needs in witness.needs())
    return tuple(found), tuple(problems)
