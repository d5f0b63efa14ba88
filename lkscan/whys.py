"""Why a file is in an image: the component that brought it, who sees it, what leads to it, what is said of it."""

import json
import posixpath
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from .config.policies import Policy
from .desks import Desk
from .inputs import Input
from .reports.jsonreport import told
from .reports.printable import encodable, printable
from .rules.engine import Finding, Location
from .rules.funnel import Result
from .scanner.sight import View, views
from .scanner.startup import Any, NamedTuple
from .scanner.subjects import File, Place, Problem, Subject, System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .workers import Slot

_LINKS = 100_000
"""Links that are kept until it is known what they lead to."""
_SHOWN = 200
"""Of what leads to it, what is told."""
_MANY, _NEAR = 5000, 4
"""Paths among which those are looked for that resemble a wrong one, and how many are named."""
_BOOT = {"etc/init.d": "runs it at boot", "etc/shutdown.d": "runs it at shutdown"}


class Account(NamedTuple):
    """What is known of a file: its place, what it is, its component, and who sees it.

    `mode` to `target` are as in File. `origin` is the line of the spec, `component` what brought it, in words; both
    are empty where nothing tells. `starts` is what LinuxKit's init does with it, or "". `near` are paths that resemble
    one that is not there: then `place` is None.
    """

    place: Place | None
    kind: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""
    origin: Place | None = None
    component: str = ""
    seen: tuple[View, ...] = ()
    starts: str = ""
    links: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


class _Looker:
    """Meets what is read of an image, for the one path that is asked for."""

    def __init__(self, wanted: str) -> None:
        self.wanted = "/".join(part for part in wanted.replace(" / ", "!").split("/") if part not in {"", "."})
        self.found: File | None = None
        self.system: System | None = None
        self._links: list[tuple[str, tuple[str, ...]]] = []
        self._others: list[str] = []
        self._base = self.wanted.rpartition("!")[2].rpartition("/")[2]
        self._named: list[str] = []

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of a subject."""
        if isinstance(subject, System):
            self.system = subject
        if not isinstance(subject, File):
            return
        if subject.path == self.wanted or "!".join(subject.place.artifacts[1:]) == self.wanted:
            self.found = subject._replace(read=None, pieces=None, again=None)
        elif subject.target and len(self._links) < _LINKS:
            self._links.append((_led(subject), subject.place.artifacts))
        if subject.path.rpartition("/")[2] == self._base:
            self._named.append(subject.path)
        elif len(self._others) < _MANY:
            self._others.append(subject.path)

    def near(self) -> tuple[str, ...]:
        """Paths that resemble the one that is asked for."""
        alike = get_close_matches(self.wanted, self._others, _NEAR)
        return tuple(dict.fromkeys((*self._named, *alike)))[:_NEAR]

    def leading(self, file: File) -> Iterator[str]:
        """The links of the same tree that lead to the file, in one step."""
        outer = file.place.artifacts[:-1]
        for target, artifacts in self._links:
            if target == file.path and artifacts[:-1] == outer:
                yield artifacts[-1]


def _led(file: File) -> str:
    """The path in the tree that a link leads to; what is absolute starts at the root that it is seen from."""
    prefix = file.path[: len(file.path) - len(file.inner)]
    if file.kind == "hardlink":
        return posixpath.normpath(file.target)
    inner = posixpath.normpath(posixpath.join("/", posixpath.dirname(file.inner), file.target))
    return prefix + inner.lstrip("/")


def work(one: Input, policy: Policy, wanted: str, slot: "Slot | None") -> tuple[Result, Account]:
    """Read and judge an image, and tell of one file in it."""
    desk, looker = Desk(policy), _Looker(wanted)
    desk.also = looker.meet
    desk.take(one, slot.watch if slot else None)
    result = desk.result()
    return result._replace(findings=tuple(_naming(result, looker.found))), _answer(desk, looker)


def _naming(result: Result, file: File | None) -> Iterator[Finding]:
    """The findings at a file, the most severe first."""
    if file is None:
        return
    chain = file.place.artifacts
    for finding in sorted(result.findings, key=lambda one: -one.severity):
        if any(one.place.artifacts[: len(chain)] == chain for one in finding.locations):
            yield finding


def _answer(desk: Desk, looker: _Looker) -> Account:
    file, system = looker.found, looker.system
    if file is None or system is None:
        return Account(None, near=looker.near())
    origin: Location | None = desk.trace.whence(file.place) if desk.trace else None
    containers = [one for one in system.containers if one.place.artifacts[:-1] == file.place.artifacts[:-1]]
    return Account(
        file.place,
        file.kind,
        file.mode,
        file.uid,
        file.gid,
        file.size,
        file.target,
        origin.place if origin and origin.place.artifacts != file.place.artifacts else None,
        origin.note if origin else "",
        tuple(views(file.path, containers)),
        _BOOT.get(posixpath.dirname(file.path), ""),
        tuple(sorted(looker.leading(file)))[:_SHOWN],
    )


# --- what is printed


def as_text(answer: Account, result: Result) -> Iterator[str]:
    """For people, a line each."""
    place = answer.place
    assert place  # noqa: S101 - for the type checker; there is something to tell of
    owner = f"{answer.uid}:{answer.gid}"
    size = f", {answer.size:,} bytes" if answer.kind == "file" else ""
    target = f" -> {answer.target}" if answer.target else ""
    yield f"{place}{target}  {answer.kind}, {answer.mode:04o}, {owner}{size}"
    origin = answer.component.removeprefix("brought by ") or "nothing tells: name the spec (--spec)"
    yield from _listed("brought by", [origin, *([str(answer.origin)] if answer.origin else [])])
    yield from _listed("seen by", [_view(one) for one in answer.seen] or ["no container"])
    starters = [f"init {answer.starts}"] if answer.starts else []
    starters += [f"{one.container} starts it" for one in answer.seen if one.starts]
    yield from _listed("run by", starters)
    yield from _listed("linked from", answer.links)
    yield from _listed(
        "findings", [f"{one.severity}  {one.rule.id}  {one.message}" for one in result.findings] or ["none"]
    )


def _view(one: View) -> str:
    return f"{one.container} at {one.path}, {'writable' if one.writable else 'read-only'}: {one.why}"


def _listed(title: str, texts: list[str] | tuple[str, ...]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield f"  {title if not number else '':<13}{text}"


def as_json(answer: Account, result: Result) -> str:
    """For programs: one object, a contract (see docs/tracing.md)."""
    place = answer.place
    assert place  # noqa: S101 - for the type checker; there is something to tell of
    document: Mapping[str, Any] = {
        "path": encodable(place.artifacts[-1]),
        "artifacts": [encodable(one) for one in place.artifacts],
        "type": answer.kind,
        "mode": f"{answer.mode:04o}",
        "uid": answer.uid,
        "gid": answer.gid,
        "size": answer.size,
        "target": encodable(answer.target),
        "component": encodable(answer.component.removeprefix("brought by ")),
        "origin": _place(answer.origin) if answer.origin else None,
        "seen": [
            {
                "container": encodable(one.container),
                "path": encodable(one.path),
                "writable": one.writable,
                "why": encodable(one.why),
                "starts": one.starts,
            }
            for one in answer.seen
        ],
        "init": answer.starts,
        "links": [encodable(one) for one in answer.links],
        "findings": [told(one, result) for one in result.findings],
    }
    return json.dumps(document, indent=2)


def _place(place: Place) -> dict[str, Any]:
    span = place.span
    return {
        "artifacts": [encodable(one) for one in place.artifacts],
        "line": span and span.line,
        "column": span and span.column,
    }


def missing(answer: Account, image: str, wanted: str) -> str:
    """What to say where there is no such file."""
    hint = f"; did you mean {' or '.join(answer.near)}?" if answer.near else "; `lkscan inspect --files` lists all"
    return printable(f"{image}: there is no '{wanted}' in it{hint}")
