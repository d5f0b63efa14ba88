"""How sizes are told, in the words that all formats of `lkscan size` share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..rules.components import Unpacked, amount
from ..rules.sizes import Sizes

_NAMES = 30
"""Containers that are named in a sentence; the others are counted."""


def total(sizes: Sizes) -> str:
    """An image in one line."""
    packed = "" if sizes.shipped is None else f", about {amount(sizes.shipped)} as shipped"
    return f"{amount(sizes.size)} unpacked{packed}"


def about(packed: int | None) -> str:
    """The bytes of something as shipped."""
    return "?" if packed is None else amount(packed)


def boot(sizes: Sizes) -> Iterator[tuple[str, str]]:
    """What it costs to boot the image, as pairs of a name and a text."""
    for name, some in (("kernel", sizes.kernels), ("initrd", sizes.initrds)):
        for one in some:
            yield name, f"{' / '.join(one.place.artifacts[1:]) or one.place.artifacts[0]}: {_unpacked(one)}"
    if sizes.memory:
        yield "memory", f"{amount(sizes.memory)} for good: the files of the initrd, in whole pages of 4 KiB"
    else:
        yield "memory", "nothing is unpacked into memory, the files stay where they are"
    yield "onboot", _started(sizes.onboot, "run one after another before the services", "no container")
    yield "services", _started(sizes.services, "started, none waited for", "none")


def _unpacked(one: Unpacked) -> str:
    if one.packed is None:
        return "how much is unpacked is not known" if one.size is None else f"{amount(one.size)} unpacked"
    if one.size is None:
        return f"{amount(one.packed)}, unpacked to a size that it does not tell"
    return (
        f"{amount(one.packed)}, not packed"
        if one.packed == one.size
        else f"{amount(one.packed)} unpack to {amount(one.size)}"
    )


def _started(names: Sequence[str], what: str, none: str) -> str:
    if not names:
        return none
    more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
    return f"{len(names):,} {what}: {', '.join(names[:_NAMES])}{more}"
