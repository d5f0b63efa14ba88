"""Family L, with a budget: what is larger than somebody said it may be."""

from collections.abc import Iterator

from .components import Component, ImageSize, amount
from .engine import Severity, Verdict, fail, rule, undecided
from .sizes import exceeded, missing

_SHOWN = 5
"""Parts that are named, the largest."""


def _has_budget(image: ImageSize) -> bool:
    return bool(image.budget)


@rule(
    "LKL020",
    "over-budget",
    Severity.MEDIUM,
    {
        "default": "Component '{0}' has '{1}' unpacked, more than its budget of '{2}'.",
        "image": "The image has '{0}' unpacked, more than its budget of '{1}'.",
    },
    remedy="Take out what it does not need (`lkscan size` tells what is large), or raise the budget.",
    nist=("3.5.1",),
    about=_has_budget,
)
def over_budget(image: ImageSize) -> Iterator[Verdict]:
    """An image, or a component of it, is larger than the budget that it was given.

    Asked only where there is a budget (`--budget`, or `budget` in the configuration). Bytes are those of files,
    unpacked. Undecided for a component that the image does not have: its name may be mistyped.
    """
    for excess in exceeded(image.components, image.budget):
        if name := excess.name:
            some = [one for one in image.components if one.name == name]
            at = image.homes.get(name, some[0].layer)
            yield fail(name, at, name, *excess.amounts, key="budget", evidence=_largest(some))
        else:
            shown = tuple(f"{one.name}: {amount(one.size)}" for one in image.components[:_SHOWN])
            yield fail("image", image.place, *excess.amounts, variant="image", key="budget", evidence=shown)
    for name in missing([image.components], image.budget):
        reason = f"No component of the image is called '{name}', which has a budget."
        yield undecided(name, image.place, reason, key="budget")


def _largest(components: list[Component]) -> tuple[str, ...]:
    """The largest files, and folders without those, of a component, which may lie in several layers."""
    parts = sorted((part for one in components for part in one.parts), key=lambda part: (-part.size, part.path))
    return tuple(f"{part.path or 'other files'}: {amount(part.size)}" for part in parts[:_SHOWN])


RULES = (over_budget,)
