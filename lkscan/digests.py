"""The digests of tags that this machine knows without asking anybody: those in lock files and in image caches."""

from __future__ import annotations

import os
from collections.abc import Mapping

from . import lockfile
from .scanner.labels import LabelFinder
from .scanner.references import canonical
from .scanner.subjects import ImageReference, Place, Problem


class Digests:
    """Adds to references what is known of them; `problems` are the lock files that could not be used."""

    def __init__(self, labels: LabelFinder) -> None:
        self._labels = labels
        self._locks: dict[str, Mapping[str, str]] = {}
        self.problems: list[Problem] = []

    def add(self, reference: ImageReference) -> ImageReference:
        """The reference with the digest that its tag has in the nearest lock file, else in the cache."""
        if reference.digest or reference.kind in {"placeholder", "package"}:
            return reference
        locked = self._lock(os.path.dirname(reference.place.artifacts[0])).get(canonical(reference.text))
        if locked:
            return reference._replace(known=locked, source="lock")
        cached = self._labels.digest(reference.text)
        return reference._replace(known=cached, source="cache") if cached else reference

    def _lock(self, folder: str) -> Mapping[str, str]:
        """What the lock file says that counts for specs in a folder."""
        if folder not in self._locks:
            path = lockfile.find(folder)
            try:
                self._locks[folder] = lockfile.load(path).images if path else {}
            except lockfile.LockError as error:
                self._locks[folder] = {}
                problem = Problem(Place((error.path,)), error.message, "unusable")
                self.problems += [] if problem in self.problems else [problem]
        return self._locks[folder]
