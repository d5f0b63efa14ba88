"""An image is weighed as its subjects come, to hold it to a budget."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from .rules.components import ImageSize
from .rules.contents import Collector
from .rules.sizes import with_kernels
from .scanner.subjects import Problem, Subject, System


class Weigher:
    """Meets the subjects of one image, and tells its size in the end."""

    def __init__(self, budget: Mapping[str, int]) -> None:
        self._budget = budget
        self._collector = Collector()
        self._found: list[ImageSize] = []

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of the subject; the system, which comes last, sums up."""
        self._collector.meet(subject)
        if isinstance(subject, System):
            components = (one for contents in self._collector.contents for one in contents.components)
            whole = with_kernels(components, _named_kernels(subject))
            homes = {one.title: one.place for one in subject.containers}
            self._found.append(ImageSize(subject.place, whole, self._budget, homes))

    def subjects(self) -> Sequence[ImageSize]:
        """What is to be judged."""
        return self._found


def is_image(form: str) -> bool:
    """Whether a kernel of this format is one, and no configuration that stands for it."""
    return form != "configuration"


def _named_kernels(system: System) -> dict[str, int]:
    """The kernels that are inputs themselves, no files of a tree: path and size in bytes."""
    paths = {one.place.artifacts[0] for one in system.kernels if len(one.place.artifacts) == 1 and is_image(one.format)}
    return {path: os.path.getsize(path) for path in sorted(paths) if os.path.isfile(path)}
