"""Who looks on while an image is read, and tells in the end what its containers need."""

from __future__ import annotations

from collections.abc import Iterator

from .rules.needs import Needs, interest, judge
from .scanner.reach import Trees
from .scanner.subjects import Container, File, Problem, Subject


class Witness:
    """Takes note of an image's programs and containers as they are met; tells in the end what these need."""

    def __init__(self, limit: int) -> None:
        """`limit` is how many bytes of a program are read."""
        self._trees = Trees(interest(), limit)
        self._containers: dict[tuple[str, ...], Container] = {}

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of a subject while its content can be read."""
        if isinstance(subject, File):
            self._trees.meet(subject)
        elif isinstance(subject, Container):
            self._containers[subject.place.artifacts] = subject

    def needs(self) -> Iterator[Needs]:
        """What each container needs."""
        for container in self._containers.values():
            yield judge(container, self._trees.reach(container), has_set_id=self._trees.grants(container))
