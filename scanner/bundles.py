"""Bundles: the folders in which LinuxKit lays out containers, and the two files that it writes into each.

As src/cmd/linuxkit/moby/build has it: `outputImage` and `ImageBundle` of build.go and image.go, and volume.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .builds import Pair
from .labels import CACHE, OWN
from .plan import Component, Plan
from .references import expand
from .startup import Any
from .subjects import SECTIONS, Container


def folder(section: str, index: int, name: str) -> str:
    """Where a container lies: `containers/onboot/000-sysctl`, `containers/services/sshd`."""
    number = f"{index:03d}-" if section != SECTIONS[-1] else ""
    return f"containers/{section}/{number}{name}"


def pairs(plan: Plan, built: Iterable[Container]) -> Iterator[Pair]:
    """Each container of the spec beside that of the image, in LinuxKit's order; then those that only the image has."""
    left = {_folder_of(one): one for one in built}
    roots: dict[str, str] = {}
    wanted = [(folder(one.section, one.index, one.name), component, one) for component, one in plan.numbered()]
    expected = {path for path, _, _ in wanted}
    moved = {one.title: path for path, one in left.items() if path not in expected}
    for path, component, one in wanted:
        there = left.pop(path, None) or left.pop(moved.pop(one.title, ""), None)
        yield _pair(plan, component, one, there, roots)
    for path, there in left.items():
        yield Pair(there.title, plan.place, path, None, there)


def _folder_of(container: Container) -> str:
    """The folder that a container of an image was found in."""
    return container.place.artifacts[-1].rpartition("/")[0]


def _pair(plan: Plan, component: Component, one: Container, built: Container | None, roots: dict[str, str]) -> Pair:
    """`roots` has, by image, the folder with its files: containers that come later share it."""
    where = folder(one.section, one.index, one.name)
    path = _folder_of(built) if built else where
    given = plan.given[component.location]
    is_known = one.label.kind == "exact" or (one.label.kind == "newest" and one.label.detail != OWN)
    readonly = one.readonly if is_known or "readonly" in given or built is None else built.readonly
    own = f"{path}/{'rootfs' if readonly else 'lower'}"
    root = roots.setdefault(expand(component.image), own)
    runtime = {**one.runtime, "mounts": [*_root_mounts(path, root, readonly=readonly), *one.runtime.get("mounts", ())]}
    return Pair(
        one.title,
        component.place,
        where,
        one,
        built,
        {**one.oci, "mounts": [_with_volume(mount, given) for mount in one.oci.get("mounts", ())]},
        runtime,
        given,
        is_known,
        one.label.detail == CACHE,
    )


def _root_mounts(path: str, root: str, *, readonly: bool) -> list[dict[str, Any]]:
    """What makes the root file system of a container out of the folder `root`, at boot."""
    if readonly:
        return [{"destination": f"/{path}/rootfs", "source": f"/{root}", "options": ["bind"]}]
    scratch = f"/{path}/tmp"  # noqa: S108 - a folder of the image
    layers = [f"lowerdir=/{root}", f"upperdir={scratch}/upper", f"workdir={scratch}/work"]
    return [
        {"destination": scratch, "type": "tmpfs", "source": "tmpfs"},
        {"destination": scratch, "options": ["remount", "private"]},
        {"destination": f"/{path}/rootfs", "type": "overlay", "source": "overlay", "options": layers},
    ]


def _with_volume(mount: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A bind of a volume by its name, as the image has it; LinuxKit leaves names in `mounts` as they are."""
    source = str(mount.get("source", ""))
    if source.startswith("/"):
        return mount
    binds = [bind.split(":") for key in ("binds", "binds.add") for bind in given.get(key) or () if bind]
    if [source, mount.get("destination")] not in [one[:2] for one in binds]:
        return mount
    return {**mount, "source": f"/containers/volumes/{source}/merged"}
