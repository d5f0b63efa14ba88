"""Which findings belong together: those of one container, of one part of a spec, of one file tree."""

from __future__ import annotations

from collections.abc import Iterable

from ..rules.engine import Finding, Location, Severity
from ..rules.funnel import Result
from ..scanner.startup import NamedTuple
from ..scanner.subjects import Binary, Container, File, KernelModule, Place, System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..rules.exposure import Exposure

_OBVIOUS = frozenset({"set here", "as built"})
"""Notes that say no more than the place they stand at."""

_TREE = (File, Binary, KernelModule)


class Group(NamedTuple):
    """The findings of one container or part; `container` is None for a part."""

    title: str
    container: Container | None
    findings: list[Finding]

    @property
    def worst(self) -> Severity:
        """The highest severity among them."""
        return max(finding.severity for finding in self.findings)


class Input(NamedTuple):
    """One input as the user named it, what was seen of it, and its findings in groups, worst first."""

    name: str
    system: System | None
    groups: list[Group]


def telling(location: Location) -> str:
    """What a location's note adds to its place, "" when nothing."""
    return "" if location.note in _OBVIOUS else location.note


def within(place: Place) -> str:
    """The place inside its input: `boot/initrd.img / etc/shadow:1:6`, "" for the input itself."""
    return str(Place(place.artifacts[1:], place.span)) if len(place.artifacts) > 1 else ""


def inside(finding: Finding) -> str:
    """Where it is, as far as the place that is shown first does not tell; "" where it does.

    In an image: `etc/shadow`; `linuxkit.iso / etc/shadow` where a line of a spec is shown first.
    """
    origin = finding.origin
    if origin is None:
        return within(finding.place)
    return str(finding.place) if len(origin.place.artifacts) == 1 else within(finding.place)


def exposed(container: Container, result: Result) -> Exposure:
    """The exposure of a container of the result; as it was found, where the result was read back."""
    if result.told is not None:
        kept: Exposure = result.told.exposures[container.place, container.title]
        return kept
    from ..rules.exposure import exposure

    return exposure(container)


def inputs(result: Result) -> list[Input]:
    """The inputs in the order of their reading; one that broke before it could be summed up has no system."""
    by_name: dict[str, list[Finding]] = {}
    systems = {system.place.artifacts[0]: system for system in result.systems}
    for name in systems:
        by_name[name] = []
    for finding in result.findings:
        by_name.setdefault(finding.place.artifacts[0], []).append(finding)
    return [Input(name, systems.get(name), groups(found, systems.get(name))) for name, found in by_name.items()]


def groups(findings: Iterable[Finding], system: System | None) -> list[Group]:
    """The findings of one input in groups: worst group first, worst finding first, else in the order given."""
    containers = {container.place.home: container for container in (system.containers if system else ())}
    found: dict[str, Group] = {}
    for finding in findings:
        container = None if system and finding.subject == system.kind else containers.get(finding.place.home)
        title = container.title if container else _part(finding, system)
        found.setdefault(title, Group(title, container, [])).findings.append(finding)
    for group in found.values():
        group.findings.sort(key=lambda finding: -finding.severity)
    return sorted(found.values(), key=lambda group: -group.worst)


def _part(finding: Finding, system: System | None) -> str:
    """`kernel` or `the spec` of a spec, `root filesystem` or `boot/kernel` of an image."""
    place = finding.place
    whole = f"the {system.kind}" if system else "the file"
    if system and finding.subject == system.kind:
        return whole
    if len(place.artifacts) == 1:
        return place.pointer.partition(".")[0].partition("[")[0] or whole
    return "root filesystem" if issubclass(finding.rule.subject, _TREE) else " / ".join(place.artifacts[1:])
