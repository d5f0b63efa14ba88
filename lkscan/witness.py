"""Who looks on while an image is read, and tells in the end what its containers need, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from .rules.needs import Needs, interest, judge
from .scanner.reach import reach
from .scanner.reached import Reach, Unreached
from .scanner.subjects import Container, File, Problem, Subject, System
from .scanner.trees import Trees
from .scanner.unreached import unreached


class Witness:
    """Takes note of an image's programs and containers as they are met; tells in the end what these need."""

    def __init__(self, limit: int) -> None:
        """`limit` is how many bytes of a program are read."""
        self._trees = Trees(interest(), limit)
        self._containers: dict[tuple[str, ...], Container] = {}
        self._in_memory: list[tuple[str, ...]] = []

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of a subject while its content can be read."""
        if isinstance(subject, File):
            self._trees.meet(subject)
        elif isinstance(subject, Container):
            self._containers[subject.place.artifacts] = subject
        elif isinstance(subject, System):
            self._in_memory = [one.place.artifacts for one in subject.layers if one.is_in_memory]

    def needs(self) -> Iterator[Needs]:
        """What each container needs."""
        for container, reached in self._reached:
            yield judge(container, reached, has_set_id=self._trees.grants(container))

    def unreached(self) -> Iterator[Unreached]:
        """What nothing reaches in the root file system of each container that brings one."""
        return unreached(self._trees, self._reached, self._in_memory)

    def subjects(self) -> Iterator[Needs | Unreached]:
        """All that is to be judged."""
        yield from self.needs()
        yield from self.unreached()

    @cached_property
    def _reached(self) -> list[tuple[Container, Reach]]:
        return [(one, reach(self._trees, one)) for one in self._containers.values()]
