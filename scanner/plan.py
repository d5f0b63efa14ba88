"""What a spec brings into an image: its components, and the one that each path of the image belongs to.

As `linuxkit build` lays an image out (src/cmd/linuxkit/moby/build/build.go): the kernel's files, then the images of
`init`, volumes, containers, and the entries of `files`; of a path that is written twice the last one counts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from .startup import Any, NamedTuple
from .subjects import (
    SECTIONS,
    Container,
    File,
    ImageReference,
    KernelCommandLine,
    Place,
    Problem,
    Spec,
    Subject,
)

_IN_CONTAINER = re.compile(r"containers/(onboot|onshutdown|services|volumes)/([^/]+)")
_NUMBERED = re.compile(r"(\d{3,9})-(.+)", re.DOTALL)
_KERNEL = re.compile(
    r"boot(?:/(?:kernel|cmdline|ucode\.cpio))?|lib/modules(?:/.*)?|kernel(?:/x86(?:/microcode(?:/.*)?)?)?", re.DOTALL
)
"""What LinuxKit makes of a kernel image: these files, its kernel.tar, which holds the modules, and its microcode."""
_RECORD = re.compile(r"(volume)s?(\[\d+\])")
"""LinuxKit names a volume in both ways."""


_LONGEST = 512
"""Characters of a path whose folders are told: all prefixes of a hostile one would fill the memory."""


class Component(NamedTuple):
    """A part of a spec that brings something into an image.

    `title` is `kernel`, `init[0]`, `services/sshd`, `volumes/data` or `files[2]`; or says that it is not known which
    of several images of init. `location` is the same in LinuxKit's own records (`services[2]`, `volume[0]`).
    `image` is the reference, "" where there is none; `place` the line that asks for it.
    """

    title: str
    location: str
    image: str
    place: Place

    def __str__(self) -> str:
        """`services/sshd, linuxkit/sshd:…`, or `one of the 4 images of init`."""
        return f"{self.title}, {self.image}" if self.image else self.title


class Plan:
    """The components of the specs that an image is built from, and what they say of it."""

    def __init__(self, subjects: Iterable[Subject | Problem]) -> None:
        """`subjects` are those that `spec.read` gives, all of them."""
        self.specs: list[Spec] = []
        self.containers: dict[str, Container] = {}
        """As LinuxKit would configure them, by `location`: a title may stand twice in onboot and onshutdown."""
        self.given: dict[str, Mapping[str, Any]] = {}
        """What the spec itself says of each of them."""
        self.files: list[File] = []
        self.entries: list[Mapping[str, Any]] = []
        """What the spec itself says of each file."""
        self.command_line: KernelCommandLine | None = None
        self.kernel: Component | None = None
        self.init: list[Component] = []
        self._numbered: dict[tuple[str, int], Component] = {}
        self._named: dict[tuple[str, str], Component] = {}
        self._written: dict[str, Component] = {}
        self._owners: Mapping[str, Component] = {}
        for one in subjects:
            self._take(one)
        self._volumes = dict(self._declared())
        self._tell_given()
        self.all: tuple[Component, ...] = (
            *([self.kernel] if self.kernel else ()),
            *self.init,
            *self._volumes.values(),
            *self._numbered.values(),
            *dict.fromkeys(self._written.values()),
        )
        self._above = {one[: match.start()] for one in self._written for match in re.finditer("/", one[:_LONGEST])}
        self._recorded = {one.location: one for one in self.all}

    @property
    def place(self) -> Place:
        """The (first) spec as a whole."""
        return self.specs[0].place

    def _take(self, one: Subject | Problem) -> None:
        if isinstance(one, Spec):
            self.specs.append(one)
        elif isinstance(one, ImageReference) and one.role == "kernel":
            self.kernel = Component("kernel", "kernel", one.text, one.place)
        elif isinstance(one, ImageReference) and one.role == "init":
            title = f"init[{len(self.init)}]"
            self.init.append(Component(title, title, one.text, one.place))
        elif isinstance(one, KernelCommandLine):
            self.command_line = one
        elif isinstance(one, Container) and one.section in SECTIONS:
            image, place = (one.image.text, one.image.place) if one.image else ("", one.place)
            component = Component(one.title, f"{one.section}[{one.index}]", image, place)
            self.containers[component.location] = one
            self._numbered[one.section, one.index] = component
            self._named.setdefault((one.section, one.name), component)
        elif isinstance(one, File):
            location = f"files[{len(self.files)}]"
            self.files.append(one)
            component = Component(location, location, "", one.place)
            for path in (*one.folders, one.path):
                self._written[posixpath.normpath(path)] = component

    def _declared(self) -> Iterator[tuple[str, Component]]:
        """The volumes by name."""
        number = 0
        for spec in self.specs:
            for index, value in enumerate(spec.value.get("volumes") or ()):
                if isinstance(value, Mapping):
                    name, image = str(value.get("name") or ""), str(value.get("image") or "")
                    place = spec.at("volumes", index, "image" if image else "name")
                    yield name, Component(f"volumes/{name}", f"volume[{number}]", image, place)
                number += 1

    def _tell_given(self) -> None:
        for section in (*SECTIONS, "files"):
            entries = [one for spec in self.specs for one in spec.value.get(section) or () if isinstance(one, Mapping)]
            if section == "files":
                self.entries = entries
            else:
                self.given |= {f"{section}[{number}]": one for number, one in enumerate(entries)}

    @property
    def given_kernel(self) -> Mapping[str, Any]:
        """What the specs say of the kernel, key by key the last one that says anything."""
        found: dict[str, Any] = {}
        for one in self.specs:
            kernel = one.value.get("kernel")
            found |= {key: value for key, value in kernel.items() if value} if isinstance(kernel, Mapping) else {}
        return found

    @property
    def refused(self) -> str:
        """LinuxKit's reason not to build from the specs as a whole, or ""; a container that it refuses tells itself."""
        faults = (fault for one in self.specs for fault in one.violations if fault.stops == "spec")
        return next((fault.message for fault in faults), "")

    def numbered(self) -> Iterator[tuple[Component, Container]]:
        """The containers in the order in which LinuxKit builds them."""
        for component in self._numbered.values():
            yield component, self.containers[component.location]

    def writes(self, path: str) -> bool:
        """Whether `files` writes it, or something below it."""
        return path in self._written or path in self._above

    def writes_itself(self, path: str) -> bool:
        """Whether an entry of `files` takes the place of what an image has there."""
        return path in self._written

    def learn(self, owners: Mapping[str, Component]) -> None:
        """Take over which image of init brought which path, from a cache that holds them all."""
        self._owners = owners

    def of_record(self, location: str) -> Component | None:
        """The component that LinuxKit's own record names (`services[2]`)."""
        found = self._recorded.get(_RECORD.sub(r"\1\2", location))
        return self.any_init if location == "init" else found

    @property
    def any_init(self) -> Component | None:
        """The image of init; where there are several, all of them as one, at the key."""
        if len(self.init) < 2:  # noqa: PLR2004 - several
            return self.init[0] if self.init else None
        spec = next(one for one in self.specs if one.value.get("init"))
        return Component(f"one of the {len(self.init)} images of init", "init", "", spec.sections["init"])

    def of_path(self, path: str, record: str = "") -> Component | None:
        """The component that a path in the image's root file system belongs to, None where none can have brought it.

        `record` is LinuxKit's own one, if the image has it. Without it, what is in the root file system and in no
        other place comes from some image of init: which one is not known where there are several.
        """
        if record and (found := self.of_record(record)):
            return found
        path = posixpath.normpath(path)
        if path in self._written:
            return self._written[path]
        if match := _IN_CONTAINER.match(path):
            return self._of_folder(*match.groups())
        if self.kernel and _KERNEL.fullmatch(path) and path not in self._owners:
            return self.kernel
        return self._owners.get(path) or self.any_init

    def _of_folder(self, section: str, folder: str) -> Component | None:
        """Of `containers/SECTION/FOLDER`: by number and name, or by name alone where the number is another's."""
        if section == "volumes":
            return self._volumes.get(folder)
        numbered = _NUMBERED.fullmatch(folder) if section != SECTIONS[-1] else None
        if numbered is None:
            return self._named.get((section, folder)) if section == SECTIONS[-1] else None
        found = self._numbered.get((section, int(numbered[1])))
        title = f"{section}/{numbered[2]}"
        return found if found and found.title == title else self._named.get((section, numbered[2]))
