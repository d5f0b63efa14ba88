"""Tracing: what is found in an image leads back to the component, and to the line of the spec, that brought it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from . import building
from .rules.engine import Engine, Finding, Location, Outcome, Rule
from .rules.origins import note
from .scanner import spec
from .scanner.builds import Build
from .scanner.built import keys_at
from .scanner.labels import LabelFinder
from .scanner.ledger import Ledger
from .scanner.plan import Component, Plan
from .scanner.subjects import Container, File, Place, Problem, Spec, Subject, System
from .specs import Documents, Sources

_HEADS = (b"kernel:", b'{\n    "kernel":')
"""How LinuxKit writes a spec into an image: YAML or JSON, the kernel first (build.go, `metadata`)."""
_EMBEDDED = 1 << 20
"""Bytes of a spec in an image."""
_RECORDS = 100_000
"""LinuxKit's records of single files that are kept, outside of containers, whose folders tell."""
_ONE_FILE = "; it is not examined"
"""How a problem ends that is about what is in a file, and leaves the rest of the tree as it is."""
_FORMAT = "brought by the output format, by no line of the spec"
_WHOLE = "the spec as a whole"
_SECRETS = "LKX"


class Trace:
    """Meets what is read of one image, and in the end leads its findings back to the spec that it was built from.

    That is the spec that the user gave; else the one that the image holds itself, which LinuxKit writes there for
    `metadata: yaml` in `files`; else there are only LinuxKit's own records, which name components but no lines.
    """

    def __init__(self, documents: Documents, labels: LabelFinder, rules: Iterable[Rule], sources: Sources) -> None:
        """`documents` are the specs that the user gave, if any; `rules` are those by which the image is judged.

        `sources` are what files in the specs are made of.
        """
        self._given = documents
        self._sources = sources
        self._labels = labels
        self._rules = tuple(rules)
        self._ledger = Ledger(_paths(documents), is_open=not documents, whole=labels.layers is not None)
        self._records: dict[tuple[str, ...], tuple[str, str]] = {}
        self._embedded: list[tuple[tuple[str, ...], bytes]] = []
        self._system: System | None = None
        self._is_whole = True
        self._plan: Plan | None = None
        self._prefix: tuple[str, ...] = ()
        self._names: set[tuple[str, ...]] = set()
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
            self._ledger.meet(subject)
            if subject.location and not subject.path.startswith("containers/") and len(self._records) < _RECORDS:
                self._records[subject.place.artifacts] = subject.source, subject.location
            self._look(subject)
        elif isinstance(subject, System):
            self._system = subject
        elif isinstance(subject, Problem):
            self._is_whole &= subject.message.endswith(_ONE_FILE)

    def _look(self, file: File) -> None:
        """Keep what may be the spec of the image; of several the last one counts, as later files win."""
        is_small = len(_HEADS[0]) < file.size <= _EMBEDDED
        if not is_small or file.read is None or file.kind != "file" or file.path.startswith("containers/"):
            return
        if file.read(len(_HEADS[1])).startswith(_HEADS):
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
            self._names = {one.place.artifacts for one in self._plan.specs}
            self._judge(subjects)
        self._boots = {line.place.artifacts for line in system.command_lines if not line.built_in}
        self._built = {one.place.artifacts: one for one in system.containers}

    def builds(self) -> Iterator[Build]:
        """The spec beside the image, where there is one: a subject to judge once the image was read."""
        if self._plan and self._system:
            is_whole = self._is_whole and not self._ledger.left
            beside = building.Beside(self._sources, self._labels, dict(self._embedded), is_whole=is_whole)
            yield building.build(self._plan, self._ledger, self._system, beside)

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
        own = [one for one in finding.locations[1:] if one.place.artifacts in self._names]
        found = own[0] if own else self._alike.get(finding.fingerprint) or self._of(finding)
        rest = tuple(one for one in finding.locations if one not in own)
        return finding._replace(origin=Location(self._within(found.place), found.note), locations=rest)

    def whence(self, place: Place) -> Location | None:
        """The line that brought a file of the image, and the component in words; None where nothing tells."""
        if self._plan is None:
            told = self._recorded(place)
            return Location(place, told) if told else None
        found = self._brought(place)
        return Location(self._within(found.place), found.note)

    def _within(self, place: Place) -> Place:
        """A place in the spec, which may lie in the image itself."""
        return place._replace(artifacts=(*self._prefix, *place.artifacts)) if self._prefix else place

    def _recorded(self, place: Place) -> str:
        record = self._records.get(self._file(place))
        return f"brought by {record[1]}: {record[0]}" if record else ""

    def _file(self, place: Place) -> tuple[str, ...]:
        """The artifacts of the file of the root file system that a place is in; () where it is in none."""
        artifacts = place.artifacts
        for length in range(1, len(artifacts)):
            if artifacts[:length] in self._ledger.roots:
                return artifacts[: length + 1]
        return ()

    def component(self, file: tuple[str, ...]) -> Component | None:
        """What brought a file of the root file system, by its artifacts."""
        record = self._records.get(file, ("", ""))[1]
        return self._plan.of_path(file[-1], record) if self._plan else None

    def _of(self, finding: Finding) -> Location:
        """The line that brought what a finding is about."""
        system = self._system
        if self._plan and system and finding.subject == system.kind and finding.place == system.place:
            return Location(self._plan.place, _WHOLE)
        return self._brought(finding.place)

    def _brought(self, place: Place) -> Location:
        """The line that brought what is at a place."""
        plan, system = self._plan, self._system
        assert plan  # noqa: S101 - for the type checker; asked for where there is one
        artifacts = place.artifacts
        if artifacts in self._boots and plan.command_line:
            return Location(plan.command_line.place, "set here")
        kernels = {one.place.artifacts for one in system.kernels} if system else set()
        if plan.kernel and any(artifacts[: len(one)] == one for one in (*kernels, *self._boots)):
            return _by(plan.kernel)
        if file := self._file(place):
            return self._lies_in(file, place)
        is_whole = len(artifacts) == 1 or artifacts in self._ledger.roots
        return Location(plan.place, _WHOLE if is_whole else _FORMAT)

    def _lies_in(self, file: tuple[str, ...], place: Place) -> Location:
        """The line that brought a file of the root file system, or that sets a value in it."""
        component = self.component(file)
        if component is None or self._plan is None:
            return Location(self._plan.place if self._plan else place, "no component of the spec brings it")
        built, expected = self._built.get(place.artifacts), self._plan.containers.get(component.location)
        return (built and expected and _set_by(place, built, expected)) or _by(component)


def _paths(documents: Documents) -> Iterator[str]:
    """The paths that the specs have written."""
    for one in spec.read(documents, LabelFinder(), "spec") if documents else ():
        if isinstance(one, File):
            yield posixpath.normpath(one.path)


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
