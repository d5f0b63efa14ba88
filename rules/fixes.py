"""Fixes that several rules offer, and the places in a spec that they change."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..scanner.subjects import Change, Container, KernelCommandLine, Mount, Place
from .engine import Fix
from .tables import load


def entry(container: Container) -> Place | None:
    """The map that a container is in its spec, or a package's `config`; None for one of an image."""
    if container.label.kind == "built":
        return None
    if container.section == "package":
        return Place(container.place.artifacts, None, "config")
    home, _, key = container.place.pointer.rpartition(".")
    return Place(container.place.artifacts, None, home) if key == "name" else None


def set_true(containers: Iterable[Container], key: str) -> Fix | None:
    """Set a switch of containers that programs were not told of: they may fail by it."""
    everyone = list(containers)
    places = [place for place in map(entry, everyone) if place is not None]
    if len(places) < len(everyone):
        return None
    changes = tuple(Change("set", place, "true", key) for place in places)
    return Fix(f"set '{key}: true'", changes, safe=False, effects=tuple(f"{one.title} {key}" for one in everyone))


def read_only(container: Container, mount: Mount) -> Fix | None:
    """Bind read-only what a container's spec lets it write; safe where the table says that its program never does.

    The bind loses `rshared` by that: with options given, LinuxKit adds no others but `rbind`.
    """
    origin = container.origins.get(f"binds:{mount.destination}")
    is_last = origin == container.origins.get(f"mounts:{mount.destination}")
    if origin is None or origin.source != "spec" or not is_last:
        return None
    *given, _ = mount.options  # LinuxKit's own `rbind` comes last
    kept = [] if mount.options == ("rw", "rbind", "rshared") else [one for one in given if one != "rw"]
    text = f"{mount.source}:{mount.destination}:{','.join([*kept, 'ro'])}".replace("'", "''")
    name = container.image.name if container.image else ""
    known = any(row["image"] == name and row["path"] == mount.source for row in load("readonly_binds")["bind"])
    what = f"bind '{mount.source}' read-only{'' if kept else ', and no longer shared'}"
    change = Change("replace", origin.place, f"'{text}'")
    return Fix(what, (change,), safe=known, effects=(f"{container.title} binds",))


def without_argument(line: KernelCommandLine, name: str, argument: str) -> Fix | None:
    """Take all settings of a parameter off the command line of a spec, where that is plain words.

    `name` has `_` for `-`, which are the same to the kernel; `argument` is how it is written.
    """
    if line.built_in or not line.place.pointer or '"' in line.text:
        return None
    own, dashes, rest = line.text.partition(" -- ")
    parts = re.split(r"(\s+)", own)
    pairs = zip(["", *parts[1::2]], parts[::2], strict=True)
    kept = [gap + word for gap, word in pairs if word.partition("=")[0].replace("-", "_") != name]
    text = f"{''.join(kept).strip()}{dashes}{rest}".replace("'", "''")
    change = Change("replace", line.place, f"'{text}'")
    return Fix(f"take '{argument}' off the command line", (change,), safe=False, effects=("kernel cmdline",))
