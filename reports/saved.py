"""A result out of a saved JSON report, so that other formats can be made of it without scanning again.

The file may come from anybody: it is checked against the schema that is published, and becomes findings, places and
numbers, never code. What is told of subjects is told as it was found then.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from ..rules.baseline import Comparison, Entry
from ..rules.components import Component, Part
from ..rules.contents import Contents, Hardening
from ..rules.engine import Confidence, Finding, Fix, Location, Outcome, Profile, Rule, Severity, Verdict
from ..rules.exposure import Exposure, Item
from ..rules.funnel import Result, Suppressed
from ..rules.ignores import Ignore
from ..rules.promises import Promise
from ..scanner import subjects
from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import Change, Container, ImageReference, Kernel, Label, Place, Problem, Span, System
from .kernels import Option
from .printable import printable
from .promises import Word
from .quoting import Lines

_SCHEMA = os.path.join(os.path.dirname(__file__), "report-1.json")
_SUBJECTS = {
    one.__name__: one
    for one in (Ignore, *vars(subjects).values())
    if isinstance(one, type) and one.__module__ in {Ignore.__module__, subjects.__name__}
}
_WHY = 200
"""Characters of a complaint."""


class SavedError(Exception):
    """It is no report that can be shown again; one line that says why."""


class Told(NamedTuple):
    """What the saved report told of subjects.

    `exposures` are by the place and title of a container, `options` by the artifacts of a kernel, `lines` and `hashes`
    by the path of a spec and the number of a line.
    """

    exposures: Mapping[tuple[Place, str], Exposure]
    options: Mapping[tuple[str, ...], tuple[Option, ...]]
    promises: tuple[Word, ...]
    lines: Lines
    hashes: Mapping[tuple[str, int], str]


class Saved(NamedTuple):
    """What was saved: the result, the version of lkscan that found it, and the day as of which it judged."""

    result: Result
    version: str
    date: str


def load(data: bytes) -> Saved:
    """What a saved JSON report tells. Raises SavedError."""
    try:
        document = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SavedError(f"is no JSON ({type(error).__name__})") from None
    if isinstance(document, dict) and document.get("version") == 1 and "sources" not in document:
        raise SavedError("was saved by a version of lkscan that did not keep what other formats show; scan again")
    _check(document)
    try:
        return Saved(_Reader(document).result(), document["tool"]["version"], document["date"])
    except (KeyError, ValueError) as error:
        raise SavedError(f"contradicts itself: {' '.join(str(error).split())[:_WHY]}") from None


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # NaN and Infinity, which JSON does not have


def _check(document: object) -> None:
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator()(document)
    except (JsonSchemaValueException, RecursionError) as error:
        why = str(error).replace("data", "the report", 1)
        raise SavedError(f"is no JSON report of lkscan: {why[:_WHY]}") from None


@cache
def _validator() -> Callable[[object], object]:
    import fastjsonschema

    with open(_SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    made: Callable[[object], object] = fastjsonschema.compile(schema, use_default=False)
    return made


class _Reader:
    """Makes records of a document that fits the schema."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._names = {
            told: b64decode(name, validate=True).decode("utf-16-le", "surrogatepass")
            for told, name in document["names"].items()
        }
        self._rules = {identity: _rule(identity, row) for identity, row in document["rules"].items()}

    def result(self) -> Result:
        """All of it."""
        document, summary = self._document, self._document["summary"]
        words = tuple(_word(one) for one in document["promises"])
        stale = tuple(map(_entry, document["stale"]))
        systems = tuple(map(self._system, document["systems"]))
        return Result(
            findings=tuple(map(self._finding, document["findings"])),
            others=tuple(map(self._finding, document["others"])),
            proofs=tuple(map(self._finding, document["proofs"])),
            not_applicable={(one["rule"], one["reason"]): one["subjects"] for one in document["not_applicable"]},
            suppressed=tuple(map(self._silenced, document["suppressed"])),
            hidden=summary["hidden"],
            problems=tuple(self._problem(one) for one in document["problems"]),
            systems=systems,
            tally={
                (identity, Outcome(outcome)): number
                for identity, row in document["rules"].items()
                for outcome, number in row["outcomes"].items()
            },
            rules=tuple(self._rules.values()),
            quiet=tuple(self._quiet()),
            baselined=tuple(map(self._silenced, document["baselined"])),
            baseline=Comparison((), stale, summary["unseen"]) if stale or summary["unseen"] else None,
            tallies={(one.path,): {} for one in words},
            contents=tuple(self._contents(document["systems"], systems)),
            told=Told(dict(self._exposures(systems)), dict(self._options()), words, self._lines(), self._hashes()),
        )

    def _quiet(self) -> Iterator[Finding]:
        """As many findings as only a higher profile shows: nothing but their rules is known."""
        for identity, row in self._document["rules"].items():
            verdict = Verdict(Outcome.FAIL, "", (Location(Place(("",))),))
            yield from [Finding.of(self._rules[identity], verdict)] * row["hidden"]

    def _text(self, text: str) -> str:
        """What a text really is by which something is known."""
        return self._names.get(text, text)

    def _texts(self, texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(self._text, texts))

    def _place(self, row: Mapping[str, Any]) -> Place:
        edges = [row[name] for name in ("line", "column", "end_line", "end_column")]
        span = None if None in edges else Span(*edges)
        return Place(self._texts(row["artifacts"]), span, self._text(row["pointer"]))

    def _finding(self, row: Mapping[str, Any]) -> Finding:
        locations = tuple(Location(self._place(one), self._text(one["note"])) for one in row["locations"])
        return Finding(
            self._rules[row["rule"]],
            Outcome(row["outcome"]),
            self._text(row["subject"]),
            locations[1:] if row["traced"] and len(locations) > 1 else locations,
            self._texts(row["arguments"]),
            row["variant"],
            self._text(row["message"]),
            self._text(row["key"]),
            self._texts(row["evidence"]),
            Severity[row["severity"].upper()],
            Confidence[row["confidence"].upper()],
            Profile[row["profile"].upper()],
            self._fix(row["fix"]) if row["fix"] else None,
            tuple(row["members"]),
            origin=locations[0] if row["traced"] else None,
        )

    def _silenced(self, row: Mapping[str, Any]) -> Suppressed:
        return Suppressed(self._finding(row), row["reason"])

    def _fix(self, row: Mapping[str, Any]) -> Fix:
        """The fix with its edits for changes."""
        changes = (
            Change(
                "comment",
                Place(
                    (self._text(one["artifact"]),),
                    Span(one["line"], one["column"], one["end_line"], one["end_column"]),
                ),
                one["text"],
            )
            for one in row["edits"]
        )
        return Fix(row["description"], tuple(changes), row["safe"])

    def _problem(self, row: Mapping[str, Any]) -> Problem:
        return Problem(self._place(row["location"]), self._text(row["message"]), row["kind"])

    def _system(self, row: Mapping[str, Any]) -> System:
        return System(
            Place((self._text(row["path"]),)),
            row["kind"],
            row["linuxkit"],
            row["format"],
            containers=tuple(map(self._container, row["containers"])),
            kernels=tuple(map(self._kernel, row["kernels"])),
            files=row["files"],
            binaries=row["binaries"],
            modules=row["modules"],
        )

    def _kernel(self, row: Mapping[str, Any]) -> Kernel:
        place = self._place(row["location"])
        kernel = Kernel(place, row["version"], "", row["arch"], row["format"], "", config_source=row["config_source"])
        return kernel._replace(config={}) if row["options"] else kernel

    def _container(self, row: Mapping[str, Any]) -> Container:
        """The container with as much of a config.json as was told."""
        place, config = self._place(row["location"]), row["config"]
        image = ImageReference(row["image"], "", "", "", "placeholder", "", place) if row["image"] is not None else None
        command = [] if config["program"] is None else [config["program"], *[""] * config["arguments"]]
        oci = {
            "process": {
                "args": command,
                "user": {"uid": config["uid"]},
                "noNewPrivileges": config["no_new_privileges"],
                "capabilities": {
                    "bounding": self._texts(config["capabilities"]),
                    "ambient": self._texts(config["ambient"]),
                },
            },
            "root": {"readonly": config["readonly"]},
            "linux": {
                "namespaces": [
                    {"type": kind, "path": "" if value == "new" else value}
                    for kind, value in config["namespaces"].items()
                    if value != "host"
                ]
            },
            "mounts": config["mounts"],
        }
        label = Label(row["label"]["kind"], row["label"]["detail"])
        name = self._text(row["name"])
        return Container(name, row["section"], 0, place, image, label, oci, {}, {}, row["error"])

    def _exposures(self, systems: Iterable[System]) -> Iterator[tuple[tuple[Place, str], Exposure]]:
        for system, told in zip(systems, self._document["systems"], strict=True):
            for container, row in zip(system.containers, told["containers"], strict=True):
                one = row["exposure"]
                items = tuple(Item(printable(item["label"]), item["weight"], item["bad"]) for item in one["items"])
                yield (container.place, container.title), Exposure(one["score"], one["at_least"], one["word"], items)

    def _options(self) -> Iterator[tuple[tuple[str, ...], tuple[Option, ...]]]:
        for system in self._document["systems"]:
            for kernel in system["kernels"]:
                if kernel["options"]:
                    yield (
                        self._texts(kernel["location"]["artifacts"]),
                        tuple(Option(**one) for one in kernel["options"]),
                    )

    def _lines(self) -> Lines:
        return {
            self._text(path): {int(number): line for number, line in row["lines"].items()}
            for path, row in self._document["sources"].items()
            if row["lines"] is not None
        }

    def _hashes(self) -> Mapping[tuple[str, int], str]:
        return {
            (self._text(path), int(number)): value
            for path, row in self._document["sources"].items()
            for number, value in row["hashes"].items()
        }

    def _contents(self, rows: Iterable[Mapping[str, Any]], systems: Iterable[System]) -> Iterator[Contents]:
        for row, system in zip(rows, systems, strict=True):
            told = row["contents"]
            if told:
                hardening = (
                    Hardening(one["component"], tuple(one["facts"]), one["number"], tuple(one["names"]))
                    for one in told["hardening"]
                )
                yield Contents(system.place, tuple(map(self._component, told["components"])), tuple(hardening))

    def _component(self, row: Mapping[str, Any]) -> Component:
        parts = (
            Part(
                self._text(one["path"]),
                one["size"],
                one["files"],
                Place(self._texts(one["artifacts"])) if one["artifacts"] else None,
            )
            for one in row["parts"]
        )
        return Component(
            self._text(row["name"]), Place(self._texts(row["layer"])), row["size"], row["files"], tuple(parts)
        )


def _rule(identity: str, row: Mapping[str, Any]) -> Rule:
    """The rule as it was; it judges nothing any more."""

    def check(_: object) -> Iterator[Verdict]:
        yield from ()

    check.__doc__ = printable(row["summary"])
    return Rule(
        identity,
        row["name"],
        Severity[row["severity"].upper()],
        row["messages"],
        printable(row["remedy"]),
        tuple(row["nist"]),
        Profile[row["profile"].upper()],
        Confidence[row["confidence"].upper()],
        _SUBJECTS.get(row["subject"]) or type(row["subject"], (), {}),  # what reports tell apart is in _SUBJECTS
        check,
        parameters=row["parameters"],
        autofix=row["autofix"],
        owner=row["owner"],
        page=row["page"],
    )


def _word(row: Mapping[str, Any]) -> Word:
    promise = Promise(printable(row["name"]), printable(row["says"]), (), Profile.REGULAR, ())
    return Word(row["path"], promise, row["state"], tuple(row["rules"]), tuple(row["findings"]), row["reason"])


def _entry(row: Mapping[str, Any]) -> Entry:
    told = {**row, "severity": Severity[row["severity"].upper()], "members": tuple(row["members"])}
    return Entry(*(told[name] for name in Entry._fields))
