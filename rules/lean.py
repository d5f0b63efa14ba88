"""Family L: what a system carries although nothing in it has a use for it."""

import posixpath
from collections import Counter
from collections.abc import Iterator

from ..scanner.subjects import SECTIONS, Change, Container, ImageReference, System
from .engine import Confidence, Fix, Location, Profile, Severity, Verdict, fail, rule
from .origins import open_question
from .tables import load

_DEBUG = frozenset({"dbg", "debug", "kasan", "kcov"})
_LINUXKIT = "docker.io/linuxkit/"
_VOLUMES = "/containers/volumes/"
"""Where LinuxKit puts volumes."""
_TESTS = frozenset({"bpftrace", "docker-bench", "kernel-config", "kernel-perf", "ltp", "virtsock"})
"""LinuxKit's packages, besides those called test-…, that examine a system or one of its parts."""


def _is_kernel(image: ImageReference) -> bool:
    return image.role == "kernel" and bool(image.repository)


@rule(
    "LKL002",
    "debug-kernel",
    Severity.LOW,
    "The kernel '{0}' is a debugging build: slower, and it tells more about its memory than a kernel should.",
    remedy="Name the kernel without the suffix.",
    nist=("3.5.1",),
    about=_is_kernel,
)
def debug_kernel(image: ImageReference) -> Iterator[Verdict]:
    """The kernel is built for debugging, with checks and interfaces that a product has no use for."""
    last = image.repository.rpartition("/")[2]
    if not _DEBUG.isdisjoint(f"{last}-{image.tag}".replace("_", "-").replace(".", "-").split("-")):
        yield fail(f"kernel:{image.name}", image.place, image.text)


def _is_container(image: ImageReference) -> bool:
    return image.role not in {"kernel", "volumes"} and bool(image.repository)


@rule(
    "LKL003",
    "test-image",
    Severity.LOW,
    "Image '{0}' is there to test or to examine LinuxKit, not to run in a product.",
    remedy="Take it out of the spec, or keep it in a spec of its own that is built for tests only.",
    nist=("3.5.1",),
    profile=Profile.PEDANTIC,
    about=_is_container,
)
def test_image(image: ImageReference) -> Iterator[Verdict]:
    """A container comes from one of the packages that LinuxKit tests and examines itself with."""
    name = image.repository.removeprefix(_LINUXKIT)
    if name in _TESTS or (name.startswith("test-") and name != image.repository):
        yield fail(f"{image.role}:{image.name}", image.place, image.text)


def _has_several(system: System) -> bool:
    return system.kind == "spec" and len(system.containers) > 1


@rule(
    "LKL004",
    "duplicate-container",
    Severity.LOW,
    "Container '{0}' does what '{1}' does already: the same image with the same configuration.",
    remedy="Remove one of them.",
    nist=("3.5.1",),
    about=_has_several,
)
def duplicate_container(system: System) -> Iterator[Verdict]:
    """Two services, or two containers of one stage next to each other, are the same but for their names."""
    for section in SECTIONS:
        earlier: dict[str, Container] = {}
        containers = [container for container in system.containers if container.section == section]
        images = Counter(one.image.text for one in containers if one.image and one.image.kind != "placeholder")
        for one in containers:
            build = _build(one) if one.image and images[one.image.text] > 1 else ""  # the text costs more than the rest
            if build and (twin := earlier.get(build)):
                yield fail(one.title, one.place, one.name, twin.name, related=(Location(twin.place, "the same"),))
            if section != "services":
                earlier.clear()
            earlier.setdefault(build, one)


def _build(container: Container) -> str:
    """Its image and all that it is given, as one text."""
    return repr((container.image and container.image.text, container.oci, container.runtime))


def _has_volumes(system: System) -> bool:
    return bool(system.volumes)


@rule(
    "LKL005",
    "unused-volume",
    Severity.LOW,
    "No container mounts the volume '{0}'.",
    remedy="Remove the volume, or mount it where it is meant to be used.",
    nist=("3.5.1",),
    about=_has_volumes,
    autofix="unsafe",
)
def unused_volume(system: System) -> Iterator[Verdict]:
    """A volume is declared, and put into the image, and no container mounts it."""
    sources = {posixpath.normpath(mount.source) for container in system.containers for mount in container.mounts}
    used = {source.removeprefix(_VOLUMES).partition("/")[0] for source in sources}
    is_open = any(open_question(one, "binds", "mounts") for one in system.containers)
    for volume in system.volumes:
        if volume.name not in used:
            confidence = Confidence.MEDIUM if is_open else Confidence.HIGH
            home, _, key = volume.place.pointer.rpartition(".")
            change = Change("remove", volume.place._replace(pointer=home))
            fix = Fix("remove the volume", (change,), safe=False) if key == "name" else None
            yield fail(f"volumes/{volume.name}", volume.place, volume.name, confidence=confidence, fix=fix)


def _words(container: Container) -> set[str]:
    """What a container is called: its name, the last part of its image's, and the programs that it is to run."""
    image = container.image.name.rpartition("/")[2] if container.image else ""
    return {container.name, image, *(word.rpartition("/")[2] for word in container.command)}


@rule(
    "LKL006",
    "self-updating-system",
    Severity.LOW,
    "Container '{0}' is there to update the system, or other containers, while they run ('{1}').",
    remedy="Leave updates to what provisions the machines: replace the image as a whole.",
    nist=("3.5.1", "3.5.5"),
    profile=Profile.PEDANTIC,
    confidence=Confidence.MEDIUM,
)
def self_updating_system(container: Container) -> Iterator[Verdict]:
    """A container exists to update the system, which LinuxKit leaves to whatever provisions it.

    By the name of the container, of its image or of a program in its command.
    """
    table = load("updaters")
    if name := min(_words(container) & table.keys(), default=""):
        yield fail(container.title, container.place, container.name, name, evidence=(f"{name} {table[name]['what']}",))


RULES = (debug_kernel, test_image, duplicate_container, unused_volume, self_updating_system)
