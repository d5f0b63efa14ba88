"""Components: the parts of an image that sizes are told of, containers, the kernel and the root filesystem."""

from collections.abc import Mapping

from ..scanner.startup import NamedTuple
from ..scanner.subjects import Place

ROOT, KERNEL = "root filesystem", "kernel and modules"
"""What is not a container's."""

_PAGE = 4 << 10
"""Bytes of a page: what a file in memory takes is a number of these."""

_UNIT = 1024


class Part(NamedTuple):
    """A file of a component, or so many `files` of a folder that are not told by themselves.

    `path` is within the component: a folder's ends in a slash, the topmost one is "". `size` is in bytes, unpacked.
    `place` is a single file's, else None.
    """

    path: str
    size: int
    files: int
    place: Place | None = None


class Component(NamedTuple):
    """The files of one container (`services/sshd`), the kernel with its modules, or the root filesystem.

    `parts` are all of it, the largest first. `layer` is the artifact that it lies in. `pages` is what its files take in
    memory where they are unpacked there: their bytes, each file's rounded up to whole pages of 4 KiB.
    """

    name: str
    layer: Place
    size: int
    files: int
    parts: tuple[Part, ...]
    pages: int = 0


class Unpacked(NamedTuple):
    """What is unpacked before the system runs: a kernel's payload, or an initrd.

    `packed` are its bytes as they lie in the image, `size` those it unpacks to; None where that is not told.
    """

    place: Place
    packed: int | None
    size: int | None


class ImageSize(NamedTuple):
    """An image as it is held to a budget: its components, and the most bytes that each, or all of it, may have.

    In `budget`, "" is the whole image; `homes` has the places of containers by title, to point at.
    """

    place: Place
    components: tuple[Component, ...]
    budget: Mapping[str, int]
    homes: Mapping[str, Place] = {}


def paged(size: int) -> int:
    """So many bytes in whole pages."""
    return -(-size // _PAGE) * _PAGE


def amount(size: int) -> str:
    """So many bytes, for people."""
    value, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if value >= _UNIT:
            value, unit = value / _UNIT, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
