"""What an image holds that nothing in the spec brings, by where LinuxKit writes and by the records that it leaves."""

from __future__ import annotations

from collections.abc import Iterator

from .scanner.builds import Pair, Stray
from .scanner.ledger import Ledger, Record, Tree
from .scanner.plan import Plan
from .scanner.references import expand
from .scanner.startup import NamedTuple
from .scanner.subjects import SECTIONS, Place

_OF_VOLUME = frozenset({"lower", "tmp", "merged"})
_FILES = frozenset({"config.json", "runtime.json"})
_NOTHING = "LinuxKit writes nothing there"


def strays(plan: Plan, ledger: Ledger, root: Tree, found: list[Pair]) -> Iterator[Stray]:
    """What is in places that LinuxKit writes alone, and what its records tell to be from elsewhere.

    `found` are the containers of that root file system beside those of the spec.
    """
    places = _Places.of(plan, found)
    for path, seen in ledger.parts.get(root, {}).items():
        if not plan.writes(path) and (reason := places.complaint(path, has_files=bool(seen.number))):
            yield Stray(path, Place((*root, path)), max(seen.number, 1), reason)
    yield from _misrecorded(plan, ledger, root)


class _Places(NamedTuple):
    """Where LinuxKit writes below `containers`: folders of bundles and of volumes, and what mounts fill."""

    bundles: dict[str, Pair]
    volumes: set[str]
    filled: set[str]

    @classmethod
    def of(cls, plan: Plan, found: list[Pair]) -> _Places:
        """Those of a spec, and the folders that its containers were found in."""
        bundles = {pair.folder: pair for pair in found}
        bundles |= {pair.built.place.artifacts[-1].rpartition("/")[0]: pair for pair in found if pair.built}
        volumes = {f"containers/{one.title}" for one in plan.all if one.title.startswith("volumes/")}
        mounts = [one for pair in found for one in pair.runtime.get("mounts", ())]
        layers = [option.removeprefix("lowerdir=") for one in mounts for option in one.get("options", ())]
        sources = [str(one.get("source", "")) for one in mounts]
        return cls(bundles, volumes, {one[1:] for one in (*sources, *layers) if one.startswith("/")})

    def complaint(self, path: str, *, has_files: bool) -> str:
        """Why LinuxKit did not write that path, in words; "" where it may have, or where something else tells."""
        folder, _, part = path.rpartition("/")
        if folder in self.volumes and part in _OF_VOLUME:
            return ""
        pair = self.bundles.get(folder)
        if pair is None:
            is_section = path.count("/") == 1 and part in {*SECTIONS, "volumes"}
            return "" if is_section else _NOTHING
        if pair.built and folder != pair.folder:
            return ""  # in another folder than it belongs: that is told
        if part not in _FILES and part != "rootfs" and (part not in {"lower", "tmp"} or _is_readonly(pair)):
            return _NOTHING
        is_right = path in self.filled or not has_files or pair.expected is None
        return "" if is_right else "LinuxKit leaves that folder empty"


def _is_readonly(pair: Pair) -> bool:
    one = pair.built or pair.expected
    return one is not None and one.readonly


def _misrecorded(plan: Plan, ledger: Ledger, root: Tree) -> Iterator[Stray]:
    """What LinuxKit's own records tell to be from elsewhere, or have no word on."""
    records = ledger.records.get(root)
    if not records:
        return
    if bare := ledger.bare.get(root):
        reason = "LinuxKit's records, which all other files have, have no word on it"
        yield Stray(bare.place.artifacts[-1], bare.place, bare.number, reason)
    for record, seen in records.items():
        if reason := _contradiction(plan, record):
            yield Stray(seen.place.artifacts[-1], seen.place, seen.number, reason)


def _contradiction(plan: Plan, record: Record) -> str:
    """What is wrong with a record, in words; "" where it fits the spec."""
    component = plan.of_record(record.location)
    if component is None:
        return f"LinuxKit's record has it from {record.location}, which is not in the spec"
    own = record.source.startswith(("linuxkit.", "LINUXKIT.")) or record.source == "empty"
    if component.image and not own and record.source != expand(component.image):
        return f"LinuxKit's record has it from {record.source}, the spec has {component.image} there"
    here = plan.of_path(record.part) if record.part.count("/") > 1 else None
    if here and here.location != component.location and not record.location.startswith("files"):
        return f"LinuxKit's record has it from {component.title}, and it lies in {here.title}"
    return ""


def unexplained(ledger: Ledger, roots: list[Tree]) -> str:
    """Why it is open whether all other files are explained."""
    if not roots or all(root in ledger.records for root in roots):
        return ""
    return (
        "Whether all files in the image come from the images of the spec is not known: this format has no records of "
        "it. LinuxKit's tar output has them, or a cache (--cache) with these images tells."
    )
