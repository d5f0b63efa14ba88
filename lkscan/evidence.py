"""What the containers of images need, by the evidence of their programs: each image is read for that, and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from .config.policies import Policy
from .desks import Staff, read
from .imaging import Order, results
from .inputs import Input
from .rules.needs import Needs
from .scanner.startup import NamedTuple
from .scanner.subjects import File, Problem
from .witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot


class Evidence(NamedTuple):
    """What was found in one image: what its containers need, and what could not be read."""

    path: str
    needs: tuple[Needs, ...]
    problems: tuple[Problem, ...]


def gather(images: Sequence[Input], policy_of: Callable[[str], Policy], staff: Staff) -> list[Evidence]:
    """The evidence of each image, in order. Raises UsageError."""
    policies = [policy_of(one.paths[0]) for one in images]
    orders = [
        Order(one, policy.limits, partial(_found, one, policy), (tuple, tuple))
        for one, policy in zip(images, policies, strict=True)
    ]
    found = []
    for one, answer in zip(images, results(orders, staff), strict=True):
        path = one.paths[0]
        needs, problems = ((), (answer,)) if isinstance(answer, Problem) else answer
        found.append(Evidence(path, tuple(needs), tuple(problems)))
    return found


def _found(one: Input, policy: Policy, slot: Slot | None) -> tuple[tuple[Needs, ...], tuple[Problem, ...]]:
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
