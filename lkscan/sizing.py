"""`lkscan size`: what an image is made of in bytes, what it costs to boot, and whether that is within a budget."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from .config.policies import Policy
from .desks import Staff, read
from .imaging import Order, results
from .inputs import Input
from .reports.printable import encodable, printable
from .reports.treemap import amount
from .rules.contents import Collector, Component
from .scanner.startup import Any, NamedTuple
from .scanner.subjects import Place, Problem, System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot

_PARTS = 8
"""Files and folders of a component that are told one by one."""


class Sizes(NamedTuple):
    """One image: bytes of its files as they were named, and its components, unpacked, the largest first.

    `memory` is what an initrd takes unpacked, 0 where there is none; `onboot` how many containers run one after
    another at boot. `system` is None where it could not be read; `problems` then say why.
    """

    path: str
    components: tuple[Component, ...] = ()
    memory: int = 0
    onboot: int = 0
    system: System | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def size(self) -> int:
        """All components together, in bytes, unpacked."""
        return sum(one.size for one in self.components)


def measure(images: Sequence[tuple[Input, Policy]], staff: Staff) -> list[Sizes]:
    """The sizes of each image, in order; they are read by the `staff`."""
    orders = [
        Order(one, policy.limits, partial(_measured, one, policy), (tuple, tuple, tuple)) for one, policy in images
    ]
    return [_sizes(one.image.paths[0], found) for one, found in zip(orders, results(orders, staff), strict=True)]


def _measured(one: Input, policy: Policy, slot: Slot | None) -> tuple[Any, ...]:
    """Components, systems and problems, which `transfer` can carry."""
    collector, systems, problems = Collector(), [], []
    for subject in read(one, policy.labels, policy.limits, slot.watch if slot else None):
        collector.meet(subject)
        if isinstance(subject, System):
            systems.append(subject._replace(roots=()))
        elif isinstance(subject, Problem):
            problems.append(subject)
    components = tuple(one for contents in collector.contents for one in contents.components)
    return components, tuple(systems), tuple(problems)


def _sizes(path: str, found: Any) -> Sizes:  # noqa: ANN401 - what `_measured` gave, or a Problem
    if isinstance(found, Problem):
        return Sizes(path, problems=(found,))
    components, systems, problems = found
    if not systems:
        return Sizes(path, problems=problems)
    system: System = systems[0]
    in_memory = {layer.place.artifacts for layer in system.layers if layer.is_in_memory}
    memory = sum(one.size for one in components if one.layer.artifacts in in_memory)
    onboot = sum(one.section == "onboot" for one in system.containers)
    return Sizes(path, components, memory, onboot, system, problems)


def exceeded(sizes: Sizes, budget: Mapping[str, int]) -> list[str]:
    """What is larger than its budget, a sentence each; "" stands for the whole image, other keys for components."""
    found = {"": sizes.size}
    for one in sizes.components:
        found[one.name] = found.get(one.name, 0) + one.size
    return [
        f"{name or 'the whole image'} has {amount(found[name])} unpacked, more than its budget of {amount(most)}"
        for name, most in budget.items()
        if found.get(name, 0) > most
    ]


def missing(sizes: Sequence[Sizes], budget: Mapping[str, int]) -> list[str]:
    """The components with a budget that are in none of the images."""
    known = {"", *(one.name for image in sizes for one in image.components)}
    return [name for name in budget if name not in known]


def as_text(sizes: Sizes, over: Sequence[str]) -> Iterator[str]:
    """Line by line: the components with their largest parts, and what the image costs to boot."""
    yield f"{sizes.path}  {amount(sizes.size)} unpacked"
    whole = sizes.size or 1
    for one in sizes.components:
        yield f"  {amount(one.size):>10} {one.size / whole:6.1%}  {one.name}  ({one.files:,} files)"
        for part in one.parts[:_PARTS]:
            yield f"  {amount(part.size):>10} {part.size / whole:6.1%}    {part.path or 'other files'}"
        if len(one.parts) > _PARTS:
            rest = sum(part.size for part in one.parts[_PARTS:])
            yield f"  {amount(rest):>10} {rest / whole:6.1%}    in {len(one.parts) - _PARTS} smaller parts"
    where = f"{amount(sizes.memory)} unpacked into memory" if sizes.memory else "nothing is unpacked into memory"
    yield f"  boot: {where}; {sizes.onboot} containers run one after another before the services"
    yield from (f"  over budget: {text}" for text in over)


def lines(sizes: Sizes, over: Sequence[str]) -> str:
    """The same as one text that a terminal may get."""
    return "".join(f"{printable(line)}\n" for line in as_text(sizes, over))


def as_json(found: Sequence[tuple[Sizes, Sequence[str]]]) -> str:
    """An array with an object per image; the keys are a contract, later versions only add. Sizes are in bytes."""
    return json.dumps([_object(sizes, over) for sizes, over in found], indent=1) + "\n"


def _object(sizes: Sizes, over: Sequence[str]) -> dict[str, Any]:
    return {
        "path": encodable(sizes.path),
        "size": sizes.size,
        "memory": sizes.memory,
        "onboot": sizes.onboot,
        "components": [_component(one, sizes.size or 1) for one in sizes.components],
        "over_budget": [encodable(text) for text in over],
        "problems": [{"place": encodable(str(one.place)), "message": encodable(one.message)} for one in sizes.problems],
    }


def _component(one: Component, whole: int) -> dict[str, Any]:
    return {
        "name": encodable(one.name),
        "layer": encodable(str(one.layer)),
        "size": one.size,
        "share": round(one.size / whole, 4),
        "files": one.files,
        "parts": [{"path": encodable(part.path), "size": part.size, "files": part.files} for part in one.parts],
    }


def unusable(path: str, why: str) -> Sizes:
    """What there is to say of an input that is no image."""
    return Sizes(path, problems=(Problem(Place((path,)), why, "unusable"),))
