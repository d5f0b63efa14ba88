"""`lkscan size`: images are read, by others than us where that is wanted, and what they are made of is summed up."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial

from .budgeting import is_image, named_kernels
from .config.policies import Policy
from .desks import Staff, read
from .imaging import Order, results
from .inputs import Input
from .rules.contents import Collector
from .rules.sizes import Sizes, Unpacked, weigh, with_kernels
from .scanner import payload
from .scanner.source import FileSource
from .scanner.startup import Any
from .scanner.subjects import File, Place, Problem, System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot

_LEAST = 512 << 10
"""Bytes of a file that may be a kernel: the smallest have more."""


def measure(images: Sequence[tuple[Input, Policy]], staff: Staff) -> list[Sizes]:
    """The sizes of each image, in order; they are read by the `staff`."""
    orders = [
        Order(one, policy.limits, partial(_measured, one, policy), (tuple, tuple, dict, tuple))
        for one, policy in images
    ]
    return [
        _sizes(one.paths[0], found)._replace(budget=policy.budget)
        for (one, policy), found in zip(images, results(orders, staff), strict=True)
    ]


def _measured(one: Input, policy: Policy, slot: Slot | None) -> tuple[Any, ...]:
    """Components, systems, payloads by place, and problems, which `transfer` can carry."""
    collector, systems, problems = Collector(), [], []
    payloads = dict(_named(one.paths))
    for subject in read(one, policy.labels, policy.limits, slot.watch if slot else None):
        collector.meet(subject)
        if isinstance(subject, System):
            systems.append(subject._replace(roots=()))
        elif isinstance(subject, Problem):
            problems.append(subject)
        elif isinstance(subject, File) and (found := _payload(subject)):
            payloads[subject.place.artifacts] = tuple(found)
    components = tuple(one for contents in collector.contents for one in contents.components)
    return components, tuple(systems), payloads, tuple(problems)


def _payload(file: File) -> payload.Payload | None:
    return payload.read(file.size, file.read) if file.read and file.size >= _LEAST else None


def _named(paths: Sequence[str]) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...]]]:
    """The payloads of kernels that were named themselves, by place; what can't be read is told as the image is."""
    for path in filter(os.path.isfile, paths):
        try:
            source = FileSource(path)
        except OSError:
            continue
        try:
            if found := payload.read(source.size, partial(source.pread, 0)):
                yield (path,), tuple(found)
        finally:
            source.close()


def _sizes(path: str, found: Any) -> Sizes:  # noqa: ANN401 - what `_measured` gave, or a Problem
    if isinstance(found, Problem):
        return Sizes(path, problems=(found,))
    components, systems, payloads, problems = found
    if not systems:
        return Sizes(path, problems=problems)
    system: System = systems[0]
    kernels = tuple(
        Unpacked(place, *payloads.get(place.artifacts, (None, None)))
        for place in dict.fromkeys(
            Place(kernel.place.artifacts) for kernel in system.kernels if is_image(kernel.format)
        )
    )
    return weigh(system, with_kernels(components, named_kernels(system)), kernels, problems)


def unusable(path: str, why: str) -> Sizes:
    """What there is to say of an input that is no image."""
    return Sizes(path, problems=(Problem(Place((path,)), why, "unusable"),))
