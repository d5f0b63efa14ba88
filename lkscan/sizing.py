"""`lkscan size`: images are read, by others than us where that is wanted, and what they are made of is summed up."""

import os
from collections.abc import Iterator, Sequence
from functools import partial

from . import transfer
from .budgeting import Weigher, is_image
from .config.policies import Policy
from .desks import Staff, read
from .imaging import Order, results
from .inputs import Input
from .rules.components import Component, Unpacked
from .rules.sizes import Sizes, weigh
from .scanner import payload
from .scanner.source import FileSource
from .scanner.startup import Any, NamedTuple
from .scanner.subjects import File, Place, Problem, System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot

_LEAST = 512 << 10
"""Bytes of a file that may be a kernel: the smallest have more."""


class Measured(NamedTuple):
    """What reading one image gave; there is one system, or none where it could not be read.

    `payloads` are those of all files that may be kernels.
    """

    components: tuple[Component, ...]
    systems: tuple[System, ...]
    payloads: tuple[Unpacked, ...]
    problems: tuple[Problem, ...]


def measure(images: Sequence[tuple[Input, Policy]], staff: Staff) -> list[Sizes]:
    """The sizes of each image, in order; they are read by the `staff`."""
    transfer.learn(Measured, Unpacked)
    orders = [Order(one, policy.limits, partial(_measured, one, policy), (Measured,)) for one, policy in images]
    return [
        _sizes(one.paths[0], found)._replace(budget=policy.budget)
        for (one, policy), found in zip(images, results(orders, staff), strict=True)
    ]


def _measured(one: Input, policy: Policy, slot: "Slot | None") -> tuple[Measured]:
    weigher, systems, problems = Weigher(policy.budget), [], []
    payloads = list(_named(one.paths))
    for subject in read(one, policy.labels, policy.limits, slot.watch if slot else None):
        weigher.meet(subject)
        if isinstance(subject, System):
            systems.append(subject._replace(roots=()))
        elif isinstance(subject, Problem):
            problems.append(subject)
        elif isinstance(subject, File) and (found := _payload(subject)):
            payloads.append(Unpacked(subject.place, *found))
    components = tuple(one for found in weigher.subjects() for one in found.components)
    return (Measured(components, tuple(systems), tuple(payloads), tuple(problems)),)


def _payload(file: File) -> payload.Payload | None:
    return payload.read(file.size, file.read) if file.read and file.size >= _LEAST else None


def _named(paths: Sequence[str]) -> Iterator[Unpacked]:
    """The payloads of kernels that were named themselves, by place; what can't be read is told as the image is."""
    for path in filter(os.path.isfile, paths):
        try:
            source = FileSource(path)
        except OSError:
            continue
        try:
            if found := payload.read(source.size, partial(source.pread, 0)):
                yield Unpacked(Place((path,)), *found)
        finally:
            source.close()


def _sizes(path: str, found: Any) -> Sizes:  # noqa: ANN401 - what `_measured` gave, or a Problem
    if isinstance(found, Problem):
        return Sizes(path, problems=(found,))
    measured: Measured = found[0]
    if not measured.systems:
        return Sizes(path, problems=measured.problems)
    system = measured.systems[0]
    payloads = {one.place.artifacts: one for one in measured.payloads}
    places = dict.fromkeys(Place(one.place.artifacts) for one in system.kernels if is_image(one.format))
    kernels = tuple(payloads.get(place.artifacts) or Unpacked(place, None, None) for place in places)
    return weigh(system, measured.components, kernels, measured.problems)


def unusable(path: str, why: str) -> Sizes:
    """What there is to say of an input that is no image."""
    return Sizes(path, problems=(Problem(Place((path,)), why, "unusable"),))
