"""What an image is made of in bytes, as shipped, unpacked and in memory, what it costs to boot, and its budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..scanner.startup import NamedTuple
from ..scanner.subjects import PeeledLayer, Place, Problem, System
from .components import KERNEL, ROOT, Component, Part, Unpacked, amount
from .contents import component

_ENVELOPES = frozenset({"gzip", "xz", "lzma", "zstd", "lz4", "lz4-legacy", "lzo", "bzip2"})
"""Layers that only pack what is in them."""

_PACKED = ("squashfs", "EROFS")
"""File systems that pack their files."""

_DISKS = ("qcow2", "VMDK")
"""Disks that may be packed; those that are not are as large as what is on them, or larger."""

_Artifacts = tuple[str, ...]


class Sizes(NamedTuple):
    """One image: its components, the largest first, and what is unpacked to boot it; `weigh` makes it.

    `packed` has the bytes that each component takes in the image as shipped, None where that can't be told: an estimate
    wherever several are packed as one (see `shipped`). `held` has what each takes in memory from the start, in whole
    pages. Both are in the order of the components. `initrds` are unpacked into memory. `onboot` are the containers that
    are run one after another, each to its end, `services` those that are started then, and not waited for, in their
    order. `is_read`: the image was read; `problems` say why it was not, or not all of it. `budget` has the bytes that
    the whole image ("") and components may have, unpacked.
    """

    path: str
    components: tuple[Component, ...] = ()
    packed: tuple[int | None, ...] = ()
    held: tuple[int, ...] = ()
    kernels: tuple[Unpacked, ...] = ()
    initrds: tuple[Unpacked, ...] = ()
    onboot: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    is_read: bool = False
    problems: tuple[Problem, ...] = ()
    budget: Mapping[str, int] = {}

    @property
    def excess(self) -> list[Excess]:
        """What is larger than its budget."""
        return exceeded(self.components, self.budget)

    @property
    def size(self) -> int:
        """All components together, in bytes, unpacked."""
        return sum(one.size for one in self.components)

    @property
    def shipped(self) -> int | None:
        """All components together, as shipped; None where that of one can't be told."""
        known = [one for one in self.packed if one is not None]
        return sum(known) if len(known) == len(self.packed) else None

    @property
    def memory(self) -> int:
        """Bytes of memory that the initrds' files take for good; 0 where nothing is unpacked there.

        LinuxKit's init moves them, one by one, into another file system in memory: there is never a second copy.
        """
        return sum(self.held)


class Report(NamedTuple):
    """The images that were measured, in their order."""

    images: tuple[Sizes, ...]

    @property
    def problems(self) -> list[Problem]:
        """What could not be read."""
        return [problem for one in self.images for problem in one.problems]


class Excess(NamedTuple):
    """What is larger than its budget: a component by `name`, "" for the whole image; bytes, unpacked."""

    name: str
    size: int
    budget: int

    @property
    def amounts(self) -> tuple[str, str]:
        """Both sizes for people: to the byte where they look the same otherwise."""
        size, budget = amount(self.size), amount(self.budget)
        return (size, budget) if size != budget else (f"{self.size:,} bytes", f"{self.budget:,} bytes")

    def __str__(self) -> str:
        size, budget = self.amounts
        return f"{self.name or 'the whole image'} has {size} unpacked, more than its budget of {budget}"


def weigh(
    system: System, components: tuple[Component, ...], kernels: tuple[Unpacked, ...], problems: tuple[Problem, ...]
) -> Sizes:
    """The sizes of an image that was read; `components` are those that `with_kernels` gives."""
    initrds = _initrds(system.layers)
    in_memory = {one.place.artifacts for one in initrds}
    return Sizes(
        system.place.artifacts[0],
        components,
        shipped(components, system.layers),
        tuple(one.pages if one.layer.artifacts in in_memory else 0 for one in components),
        kernels,
        initrds,
        _started(system, "onboot"),
        _started(system, "services"),
        is_read=True,
        problems=problems,
    )


def _started(system: System, section: str) -> tuple[str, ...]:
    """The containers of a section, in the order in which LinuxKit's init takes them: that of their folders' names."""
    found = [one for one in system.containers if one.section == section]
    return tuple(one.name for one in sorted(found, key=lambda one: one.place.artifacts[-1].split("/")))


def exceeded(components: Iterable[Component], budget: Mapping[str, int]) -> list[Excess]:
    """What is larger than its budget, in the budget's order."""
    found = Counter[str]()
    for one in components:
        found[""] += one.size
        found[one.name] += one.size
    return [Excess(name, found[name], most) for name, most in budget.items() if found[name] > most]


def missing(images: Iterable[Iterable[Component]], budget: Mapping[str, int]) -> list[str]:
    """The components with a budget that are in none of the images."""
    known = {"", *(one.name for components in images for one in components)}
    return [name for name in budget if name not in known]


def with_kernels(components: Iterable[Component], kernels: Mapping[str, int]) -> tuple[Component, ...]:
    """The components with the kernels that are files of their own, by path and size; the largest first."""
    made = (
        Component(KERNEL, Place((path,)), size, 1, (Part(path.rpartition("/")[2], size, 1, Place((path,))),), size)
        for path, size in kernels.items()
    )
    return tuple(sorted((*components, *made), key=lambda one: (-one.size, one.name, one.layer.artifacts)))


def shipped(components: Sequence[Component], layers: Iterable[PeeledLayer]) -> tuple[int | None, ...]:
    """Bytes of each component in the image as shipped; None where that can't be told.

    What lies in a file as it is takes its own bytes. Of what is packed, the bytes of the whole pack are shared out by
    what each component has unpacked, as if all of it packed equally well: that is an estimate.
    """
    made: list[float | None] = [one.size for one in components]
    within: dict[_Artifacts, list[int]] = {}
    for number, one in enumerate(components):
        for length in range(1, len(one.layer.artifacts) + 1):
            within.setdefault(one.layer.artifacts[:length], []).append(number)
    for artifacts, some in sorted(_by_file(layers).items(), key=lambda item: -len(item[0])):  # the innermost first
        inside = within.get(artifacts, [])
        sizes = [size for number in inside if (size := made[number]) is not None]
        ratio = _ratio(some, sum(sizes)) if len(sizes) == len(inside) else None
        for number in inside:
            made[number] = None if ratio is None else (made[number] or 0) * ratio
    return tuple(None if one is None else round(one) for one in made)


def _by_file(layers: Iterable[PeeledLayer]) -> dict[_Artifacts, list[PeeledLayer]]:
    """The layers of each file, the outermost first."""
    found: dict[_Artifacts, list[PeeledLayer]] = {}
    for layer in layers:
        found.setdefault(layer.place.artifacts, []).append(layer)
    return found


def _ratio(layers: Sequence[PeeledLayer], held: float) -> float | None:
    """What a byte in a file takes as the file is shipped, by its layers; `held` are the bytes of all that is in it."""
    packed = _outermost(layers)
    inner = [one for one in layers if one.format not in _ENVELOPES]
    if any(one.format.startswith(_PACKED) for one in inner):
        return packed / held if packed and held else None
    if any(one.format.startswith(_DISKS) for one in inner):
        return min(1.0, packed / held) if packed and held else None
    if len(inner) == len(layers):
        return 1.0
    unpacked = sum(one.size for one in inner)
    return packed / unpacked if packed and unpacked > 0 and all(one.size >= 0 for one in inner) else None


def _outermost(layers: Sequence[PeeledLayer]) -> int | None:
    """The bytes of a file as it is shipped, of which these are the layers; None where that is not told."""
    least = min(one.depth for one in layers)
    sizes = [one.size for one in layers if one.depth == least]
    return sum(sizes) if all(size >= 0 for size in sizes) else None


def _initrds(layers: Iterable[PeeledLayer]) -> tuple[Unpacked, ...]:
    """Archives that the kernel unpacks: those that lie in no other, and in no container."""
    found = _by_file(layers)
    archives = {artifacts for artifacts, some in found.items() if any(one.is_in_memory for one in some)}
    made = []
    for artifacts in sorted(archives):
        above = {artifacts[:length] for length in range(1, len(artifacts))}
        is_container = component(artifacts[-1]) not in {KERNEL, ROOT}
        if above.isdisjoint(archives) and not is_container:
            size = sum(one.size for one in found[artifacts] if one.is_in_memory)
            made.append(Unpacked(Place(artifacts), _outermost(found[artifacts]), size))
    return tuple(made)
