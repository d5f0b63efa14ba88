"""Tracing: what is found in an image leads back to the component, and to the line of the spec, that brought it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from .rules.engine import Engine, Finding, Location, Outcome, Rule
from .rules.origins import note
from .scanner import spec
from .scanner.built import keys_at
from .scanner.labels import LabelFinder
from .scanner.plan import Component, Plan
from .scanner.subjects import Container, File, Place, Problem, Spec, Subject, System

Documents = Sequence[tuple[str, bytes]]
"""Specs by path, as LinuxKit joins them."""

_MARKS = re.compile(r"init|bin/rc\.init|containers/(?:onboot|onshutdown|services|volumes)/.+", re.DOTALL)
"""What only the root file system of an image has: /init, which the kernel starts, and the containers."""
_HEADS = (b"kernel:", b'{\n    "kernel":')
"""How LinuxKit writes a spec into an image: YAML or JSON, the kernel first (build.go, `metadata`)."""
_EMBEDDED = 1 << 20
"""Bytes of a spec in an image."""
_FORMAT = "brought by the output format, by no line of the spec"
_SECRETS = "LKX"


class Trace:
    """Meets what is read of one image, and in the end leads its findings back to the spec that it was built from.

    That is the spec that the user gave; else the one that the image holds itself, which LinuxKit writes there for
    `metadata: yaml` in `files`; else there are only LinuxKit's own records, which name components but no lines.
    """

    def __init__(self, documents: Documents, labels: LabelFinder, rules: Iterable[Rule]) -> None:
        """`documents` are the specs that the user gave, if any; `rules` are those by which the image is judged."""
        self._given = documents
        self._labels = labels
        self._rules = tuple(rules)
        self._roots: set[tuple[str, ...]] = set()
        self._records: dict[tuple[str, ...], tuple[str, str]] = {}
        self._embedded: list[tuple[tuple[str, ...], bytes]] = []
        self._system: System | None = None
        self._plan: Plan | None = None
        self._prefix: tuple[str, ...] = ()
        self._alike: dict[str, Location] = {}
        self._boots: set[tuple[str, ...]] = set()
        self._built: dict[tuple[str, ...], Container] = {}
        self.heeded: dict[str, str] = {}
        """Texts of specs whose comments silence what is traced to them: those that the user gave."""
        self.quoted: dict[str, str] = {}
        """Texts of specs that reports may quote: those in which no secret was found."""

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of a subject while its content can be read."""
        if isinstance(subject, File):
            if _MARKS.fullmatch(subject.path):
                self._roots.add(subject.place.artifacts[:-1])
            if subject.location:
                self._records[subject.place.artifacts] = subject.source, subject.location
            if (
                not self._given
                and subject.read
                and subject.kind == "file"
                and len(_HEADS[0]) < subject.size <= _EMBEDDED
            ):
                self._look(subject)
        elif isinstance(subject, System):
            self._system = subject

    def _look(self, file: File) -> None:
        """Keep what may be the spec of the image; of several the last one counts, as later files win."""
        if file.read and not file.path.startswith("containers/") and file.read(len(_HEADS[1])).startswith(_HEADS):
            data = file.read(_EMBEDDED)
            if b"metadata" in data:
                self._embedded = [*self._embedded[-1:], (file.place.artifacts, data)]

    def close(self) -> None:
        """The image was read: settle what its spec is, and what it says."""
        system = self._system
        if system is None:
            return
        subjects = self._subjects()
        if subjects:
            self._plan = Plan(subjects)
            self._judge(subjects)
        self._boots = {line.place.artifacts for line in system.command_lines if not line.built_in}
        self._built = {one.place.artifacts: one for one in system.containers}

    def _subjects(self) -> list[Subject | Problem]:
        """What the spec says."""
        if self._given:
            return list(spec.read(self._given, self._labels, "spec"))
        for artifacts, data in reversed(self._embedded):
            found = list(spec.read([(artifacts[-1], data)], self._labels, "spec"))
            names = [str(one.get("path")) for one in _entries(found) if one.get("metadata")]
            if artifacts[-1] in map(posixpath.normpath, (name.lstrip("/") for name in names)):
                self._prefix = artifacts[:-1]
                return found
        return []

    def _judge(self, subjects: Iterable[Subject | Problem]) -> None:
        """What the rules say of the spec itself: where it is the same as of the image, it tells the very line."""
        engine = Engine(self._rules)
        secret = False
        for subject in subjects:
            for finding in () if isinstance(subject, Problem) else engine.judge(subject):
                self._alike.setdefault(finding.fingerprint, finding.locations[0])
                secret |= finding.rule.id.startswith(_SECRETS) and finding.outcome in {Outcome.FAIL, Outcome.PARTIAL}
        if self._given and self._plan:
            self.heeded = {one.place.artifacts[0]: one.text for one in self._plan.specs}
            self.quoted = {} if secret else self.heeded

    # --- back from a finding

    def __call__(self, finding: Finding) -> Finding:
        """The finding with its line of the spec; without a spec, with the component that LinuxKit's records name."""
        if self._plan is None:
            told = self._recorded(finding.place)
            return finding._replace(evidence=(*finding.evidence, told)) if told else finding
        if finding.origin:
            return finding
        found = self._alike.get(finding.fingerprint) or self._brought(finding.place)
        place = found.place
        if self._prefix:
            place = place._replace(artifacts=(*self._prefix, *place.artifacts))
        return finding._replace(origin=Location(place, found.note))

    def _recorded(self, place: Place) -> str:
        record = self._records.get(self._file(place))
        return f"brought by {record[1]}: {record[0]}" if record else ""

    def _file(self, place: Place) -> tuple[str, ...]:
        """The artifacts of the file of the root file system that a place is in; () where it is in none."""
        artifacts = place.artifacts
        for length in range(1, len(artifacts)):
            if artifacts[:length] in self._roots:
                return artifacts[: length + 1]
        return ()

    def component(self, file: tuple[str, ...]) -> Component | None:
        """What brought a file of the root file system, by its artifacts."""
        record = self._records.get(file, ("", ""))[1]
        return self._plan.of_path(file[-1], record) if self._plan else None

    def _brought(self, place: Place) -> Location:
        plan = self._plan
        assert plan  # noqa: S101 - for the type checker; asked for where there is one
        artifacts, system = place.artifacts, self._system
        if artifacts in self._boots and plan.command_line:
            return Location(plan.command_line.place, "set here")
        kernels = {one.place.artifacts for one in system.kernels} if system else set()
        if plan.kernel and any(artifacts[: len(one)] == one for one in (*kernels, *self._boots) if one):
            return _by(plan.kernel)
        file = self._file(place)
        if not file:
            whole = len(artifacts) == 1 or artifacts in self._roots
            return Location(plan.place, "the spec as a whole" if whole else _FORMAT)
        component = self.component(file)
        if component is None:
            return Location(plan.place, "no component of the spec brings it")
        built, expected = self._built.get(artifacts), plan.containers.get(component.location)
        if built and expected:
            return _set_by(place, built, expected) or _by(component)
        return _by(component)


def _entries(subjects: Iterable[Subject | Problem]) -> list[Mapping[str, object]]:
    """The entries of `files` of all specs."""
    return [
        one
        for found in subjects
        if isinstance(found, Spec)
        for one in found.value.get("files") or ()
        if isinstance(one, Mapping)
    ]


def _by(component: Component) -> Location:
    return Location(component.place, f"brought by {component}")


def _set_by(place: Place, built: Container, expected: Container) -> Location | None:
    """The line that sets the value at a place of config.json, if the spec sets it."""
    for key in keys_at(built, place.pointer):
        origin = expected.origins.get(key)
        if origin and origin.source in {"spec", "label"}:
            return Location(origin.place, note(expected, origin))
    return None
