"""What a cache holds of a spec's images, held against what is in an image that was built from it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from .scanner import cached
from .scanner.builds import Content, Pair, Row, Stray
from .scanner.ledger import Ledger, Tree
from .scanner.plan import Component, Plan
from .scanner.source import Budget, DamagedError, LimitError, Limits
from .scanner.subjects import Kernel, Place, System
from .scanner.tree import Tree as Reading

_MERGED = "lib/apk/db/installed"
"""The one file that LinuxKit joins where several images of init have it."""
_OF_ISO = re.compile(
    r"isolinux(?:/(?:isolinux\.(?:bin|cfg)|ldlinux\.c32|boot\.cat))?|EFI(?:/BOOT(?:/grub\.cfg)?)?"
    r"|boot\.(?:img|catalog)|rr_moved"
)
"""What LinuxKit's tools put into an ISO beside the root file system."""
_OF_BOOT = re.compile(r"boot(?:/(?:kernel|cmdline|ucode\.cpio))?|Dockerfile|[^/]+\.spdx\.json|\.")
_MICROCODE = re.compile(r"kernel(?:/x86(?:/microcode(?:/.*)?)?)?", re.DOTALL)
_BUNDLES = re.compile(r"containers(?:/[^/]+(?:/[^/]+(?:/(?:config\.json|runtime\.json|rootfs|lower|tmp|merged))?)?)?")
"""What LinuxKit writes itself into the folders of containers and volumes."""


class Cache:
    """The images of a spec in a cache, each read once."""

    def __init__(self, folder: str, machine: str, limits: Limits) -> None:
        """`machine` is that of the kernel, "" where it is not known."""
        self._folder = folder
        self._machine = machine
        self._limits = limits

    def _tree(self) -> Reading:
        return Reading(Place((self._folder,)), Budget(self._limits))

    def rows(self, image: str, *, is_init: bool = False) -> dict[str, Row] | str:
        """An image's tree as LinuxKit lays it out, or why it is not known."""
        try:
            return cached.rows(self._folder, image, self._machine, self._tree(), is_init=is_init)
        except (DamagedError, LimitError) as error:
            return str(error)

    def kernel(self, image: str, given: Mapping[str, object]) -> tuple[frozenset[str], dict[str, Row]] | str:
        """The digests that its kernel may have, and what its kernel.tar holds; or why they are not known."""
        try:
            return cached.kernel(self._folder, image, self._machine, self._tree(), given)
        except (DamagedError, LimitError) as error:
            return str(error)


class Compared:
    """One root file system held against the cache: `contents` of images, `strays` that none has, digests of kernels."""

    def __init__(self, plan: Plan, ledger: Ledger, root: Tree, found: Iterable[Pair], cache: Cache) -> None:
        self._plan = plan
        self._root = root
        self._rows = ledger.rows.get(root, {})
        self._cache = cache
        self._known: set[str] = set()
        self._open = False
        self.kernels: frozenset[str] = frozenset()
        self.contents: list[Content] = []
        self.owners: dict[str, Component] = {}
        """Which image of init brought a path."""
        self._init()
        self._kernel()
        for component, prefix in self._trees(found):
            self._compare(component, prefix, self._cache.rows(component.image, is_init="volumes" in prefix))

    def _trees(self, found: Iterable[Pair]) -> Iterator[tuple[Component, str]]:
        """Containers and volumes with an image of their own, and where it lies."""
        plan = self._plan
        roots: dict[str, None] = {}
        for pair in found:
            for mount in pair.runtime.get("mounts", ())[:3] if pair.expected and pair.built else ():
                sources = (str(mount.get("source", "")), *(str(one) for one in mount.get("options", ())[:1]))
                own = f"/{pair.folder}/"
                roots.update((one[1:], None) for one in map(_of_overlay, sources) if one.startswith(own))
        for root in roots:
            component = plan.of_path(root)
            if component and root.endswith(("/rootfs", "/lower")):
                yield component, f"{root}/"
        for component in plan.all:
            if component.title.startswith("volumes/") and component.image:
                yield component, f"containers/{component.title}/lower/"

    def _compare(self, component: Component, prefix: str, wanted: dict[str, Row] | str) -> None:
        place = Place((*self._root, prefix.rstrip("/"))) if prefix else Place(self._root)
        told = (component.title, component.image, component.place, place)
        if isinstance(wanted, str):
            self._open = True
            self.contents.append(Content(*told, doubt=wanted))
            return
        self._known.update(prefix + path for path in wanted)
        others = {path: row for path, row in wanted.items() if not self._plan.writes_itself(prefix + path)}
        differing = tuple(cached.differences(others, self._rows, prefix))
        self.contents.append(Content(*told, compared=len(others), differing=differing))

    def _kernel(self) -> None:
        """What the kernel's image brings, as far as no image of init replaces it."""
        kernel = self._plan.kernel
        if kernel is None:
            return
        found = self._cache.kernel(kernel.image, self._plan.given_kernel)
        if isinstance(found, str):
            self._compare(kernel, "", found)
            return
        self.kernels, modules = found
        self._compare(kernel, "", {path: row for path, row in modules.items() if path not in self._known})

    def _init(self) -> None:
        """The images of init, of which the last one that has a path counts."""
        read = [(one, self._cache.rows(one.image, is_init=True)) for one in self._plan.init]
        owners: dict[str, Component] = {}
        unknown = [number for number, (_, rows) in enumerate(read) if isinstance(rows, str)]
        databases = len(unknown)
        for component, rows in read:
            if not isinstance(rows, str):
                owners.update(dict.fromkeys(rows, component))
                databases += _MERGED in rows
        for number, (component, rows) in enumerate(read):
            if isinstance(rows, str) or number > max(unknown, default=-1):
                self._compare(component, "", self._own(component, rows, owners, is_joined=databases > 1))
            else:
                self._compare(component, "", "a later image of init, which may replace its files, is not there")
        self.owners = {} if unknown else owners

    def _own(
        self, component: Component, rows: dict[str, Row] | str, owners: Mapping[str, Component], *, is_joined: bool
    ) -> dict[str, Row] | str:
        """What of an image of init no later one replaces."""
        if isinstance(rows, str):
            return rows
        self._known.update(rows)
        return {
            path: row for path, row in rows.items() if owners[path] is component and not (is_joined and path == _MERGED)
        }

    @property
    def is_whole(self) -> bool:
        """Whether all images of the spec were there to compare with."""
        return not self._open

    def strays(self, system: System, pairs: Iterable[Pair], told: Iterable[str]) -> Iterator[Stray]:
        """The files that no image and no other part of the spec brings, as far as all images are known.

        Not those below what was `told` of already.
        """
        if self._open:
            return
        is_iso = any(one.place.artifacts == self._root and one.format.startswith("ISO") for one in system.layers)
        above = {path[: match.start()] for path in self._known for match in re.finditer("/", path)}
        foreign = tuple({f"{_folder_of(pair)}/" for pair in pairs if pair.expected is None or _is_moved(pair)})
        foreign += tuple(f"{path}/" for path in told)
        left = [
            path
            for path in self._rows
            if path not in self._known
            and path not in above
            and not self._is_ours(path, is_iso=is_iso)
            and not f"{path}/".startswith(foreign)
        ]
        if left:
            first = left[0]
            listed = ", ".join(left[1:5])
            reason = f"no image in the cache has it{f', nor {listed}' if listed else ''}"
            yield Stray(first, Place((*self._root, first)), len(left), reason)

    def _is_ours(self, path: str, *, is_iso: bool) -> bool:
        has_microcode = bool(self._plan.given_kernel.get("ucode"))
        return bool(
            self._plan.writes(path)
            or _OF_BOOT.fullmatch(path)
            or _BUNDLES.fullmatch(path)
            or (is_iso and _OF_ISO.fullmatch(path))
            or (has_microcode and _MICROCODE.fullmatch(path))
        )


def _of_overlay(text: str) -> str:
    return text.removeprefix("lowerdir=")


def _folder_of(pair: Pair) -> str:
    return posixpath.dirname(pair.built.place.artifacts[-1]) if pair.built else ""


def _is_moved(pair: Pair) -> bool:
    return pair.built is not None and _folder_of(pair) != pair.folder


def machine(kernels: Iterable[Kernel]) -> str:
    """The architecture of the kernels, "" where there is none or several."""
    found = {one.arch for one in kernels if one.arch}
    return found.pop() if len(found) == 1 else ""
