"""What two builds are compared by: the facts of one of them, collected as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import Binary, File, Place, Problem, Span, Subject, System
from .binaries import beyond
from .engine import Finding

Digest = Callable[[File], str]
"""Gives a mark of a file's whole content, "" where it cannot be read."""


class Entry(NamedTuple):
    """One entry of a file tree, as far as a comparison goes; fields as in `File`.

    `digest` is the SHA-256 of the content in hexadecimal digits, "" where it is not known. `xattrs` maps extended
    attributes to their values in hexadecimal digits.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    target: str
    digest: str
    xattrs: Mapping[str, str]
    place: Place


class Build(NamedTuple):
    """One spec or image. `system` is None where it could not be read whole; `problems` then say why.

    `entries` are its files, by the layer that they lie in and their path; `programs` has the hardening of each ELF file
    by its artifacts, as `lkscan inspect --binaries` names it. `findings` are those to show. `inputs` has the SHA-256 of
    kernels that were named, by their paths.
    """

    name: str
    system: System | None
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()
    entries: Mapping[tuple[tuple[str, ...], str], Entry] = {}
    programs: Mapping[tuple[str, ...], Mapping[str, str]] = {}
    inputs: Mapping[str, str] = {}

    def content(self, artifacts: tuple[str, ...]) -> str:
        """The SHA-256 of a file that was named, or of one in it; "" where it is not known."""
        if len(artifacts) == 1:
            return self.inputs.get(artifacts[0], "")
        entry = self.entries.get((artifacts[:-1], artifacts[-1]))
        return entry.digest if entry else ""


class Recorder:
    """Meets the subjects of one input as they come, and writes down, in plain values, what a comparison needs of them.

    `record` is called with a JSON object for each file and each program.
    """

    def __init__(self, digest: Digest, record: Callable[[dict[str, Any]], None]) -> None:
        self._digest = digest
        self._record = record

    def meet(self, subject: Subject | Problem) -> None:
        """Take note of files and programs."""
        if isinstance(subject, File):
            self._record(
                {
                    "at": subject.place.artifacts,
                    "span": subject.place.span,
                    "pointer": subject.place.pointer,
                    "path": subject.path,
                    "kind": subject.kind,
                    "mode": subject.mode,
                    "uid": subject.uid,
                    "gid": subject.gid,
                    "size": subject.size,
                    "target": subject.target,
                    "digest": self._digest(subject) if subject.kind == "file" else "",
                    "xattrs": {name: value.hex() for name, value in sorted(subject.xattrs.items())},
                }
            )
        elif isinstance(subject, Binary) and not beyond(subject):
            found = {
                "relro": subject.relro,
                "nx": subject.nx,
                "pie": "no" if subject.kind in {"exec", "static"} else subject.kind,
                "rwx": _word(bool(subject.rwx)),
                "textrel": _word(subject.textrel),
                **subject.answers,
            }
            for file in subject.files:
                self._record({"at": file.place.artifacts, "program": found})


def _word(holds: bool) -> str:  # noqa: FBT001 - a flag
    return "yes" if holds else "no"


class Notes(NamedTuple):
    """What a recorder wrote down: as in `Build`."""

    entries: Mapping[tuple[tuple[str, ...], str], Entry] = {}
    programs: Mapping[tuple[str, ...], Mapping[str, str]] = {}


def notes(records: Iterable[Mapping[str, Any]]) -> Notes:
    """What the records say; of several files of one path, the last one counts. Raises KeyError, TypeError."""
    entries: dict[tuple[tuple[str, ...], str], Entry] = {}
    programs: dict[tuple[str, ...], Mapping[str, str]] = {}
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row in records:
        artifacts = tuple(row["at"])
        if "program" in row:
            programs[artifacts] = row["program"]
            continue
        layer = artifacts[:-1] if artifacts[-1] == row["path"] else artifacts
        layer = known.setdefault(layer, layer)
        place = Place(artifacts, Span(*row["span"]) if row["span"] else None, row["pointer"])
        programs.pop(artifacts, None)
        entries[layer, row["path"]] = Entry(**{name: row[name] for name in Entry._fields[:-1]}, place=place)
    return Notes(entries, programs)
