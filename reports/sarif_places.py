"""SARIF's locations: relative URIs, regions, and snippets that never show a secret.

They are plain dictionaries in SARIF's own names: of 25,000 results, objects of sarif_om would take twice as long.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from ..rules.engine import Location
from ..rules.funnel import Result
from ..scanner.startup import Any
from ..scanner.subjects import Place, Span
from .grouping import within
from .paths import from_root
from .printable import encodable, printable
from .quoting import in_text, lines

ROOT = "SRCROOT"
"""The uriBaseId of paths that are relative to the folder lkscan was run in."""

_SNIPPET = 2000
"""Characters of a snippet; a longer one helps nobody."""

_NOT_QUOTED = "Not quoted here: a secret may stand in this file."
_START = Span(1, 1, 1, 2)
"""Stands for a place that has no lines: an image, a file in it."""


class Places:
    """Makes locations; knows the texts of the specs that may be quoted."""

    def __init__(self, result: Result, root: str = "", top: str = "") -> None:
        """`root` is the absolute path that the result's paths are relative to, "" when it is not known.

        `top` is the folder that the report's paths are to be relative to, `root` or one above it.
        """
        self._folders = root, top
        self._formats = {one.place.artifacts[0]: one.format for one in result.systems if one.kind == "image"}
        self._artifacts: dict[tuple[str, ...], int] = {}
        self._locations: dict[str, dict[str, Any]] = {}
        self._lines = lines(result)

    def location(self, place: Place, subject: str, shown: str = "", *, quoted: bool = True) -> dict[str, Any]:
        """The location of what is found at a place on a subject, with the lines it is about.

        `shown` is what is to be seen there, where no line is quoted: none is with `quoted` switched off.
        """
        region = self._region(place) if quoted else _bare(_span(place))
        context = self._context(place) if "snippet" in region else None
        if "snippet" not in region:
            region["snippet"] = _rendered(_NOT_QUOTED if in_text(place) else shown or str(place))
            context = _around(region)
        location = self.artifact(place.artifacts[0])
        if len(place.artifacts) > 1:
            location = {"index": self._index(place.artifacts[:1]), **location}
        physical = {"artifactLocation": location, "contextRegion": context, "region": region}
        if context is None:
            del physical["contextRegion"]
        return {"logicalLocations": [_logical(place, subject)], "physicalLocation": physical}

    def inner(self, place: Place) -> dict[str, Any] | None:
        """The file inside an image that a place is in, as an artifact of its own; None for what is not inside one."""
        if len(place.artifacts) == 1:
            return None
        physical: dict[str, Any] = {
            "artifactLocation": {"index": self._index(place.artifacts), "uri": _nested(place.artifacts)}
        }
        if place.span:
            physical["region"] = _bare(place.span)
        return {"physicalLocation": physical}

    def artifacts(self) -> list[dict[str, Any]]:
        """Images and what lies in them, as far as locations were made of it, each with a pointer to what it is in."""
        return [self._artifact(chain) for chain in self._artifacts]

    def _artifact(self, chain: tuple[str, ...]) -> dict[str, Any]:
        if len(chain) > 1:
            return {"location": {"uri": _nested(chain)}, "parentIndex": self._artifacts[chain[:-1]]}
        contents = _rendered(printable(self._formats.get(chain[0]) or "image"))
        return {"contents": contents, "location": self.artifact(chain[0]), "roles": ["analysisTarget"]}

    def _index(self, chain: tuple[str, ...]) -> int:
        found = self._artifacts.get(chain)
        if found is None:
            if len(chain) > 1:
                self._index(chain[:-1])
            found = self._artifacts[chain] = len(self._artifacts)
        return found

    def related(self, number: int, location: Location) -> dict[str, Any]:
        """Another location that plays a part, by a number that messages link to."""
        place = location.place
        return {
            "id": number,
            "message": {"text": printable(location.note or str(place))},
            "physicalLocation": {"artifactLocation": self.artifact(place.artifacts[0]), "region": _bare(_span(place))},
        }

    def artifact(self, path: str) -> dict[str, Any]:
        """The URI of an input, relative and without `..`; a path that cannot be so is kept in the description."""
        known = self._locations.get(path)
        if known is None:
            short = from_root(path, *self._folders)
            stripped = re.sub(r"^(?:/+|\.\./)+", "", short)
            uri = quote(stripped.encode("utf-8", "surrogateescape"))
            known = {"uri": uri, "uriBaseId": ROOT}
            if stripped != short:
                known = {"description": {"text": f"Given as {printable(path)}."}, "uri": uri}
            self._locations[path] = known
        return known

    def may_quote(self, path: str) -> bool:
        """Whether lines of this spec may be shown."""
        return path in self._lines

    def _region(self, place: Place) -> dict[str, Any]:
        span = _span(place)
        region = _bare(span)
        lines = self._quoted(place, span)
        if lines:
            lines[-1] = lines[-1][: region["endColumn"] - 1]
            lines[0] = lines[0][span.column - 1 :]
            if content := _content("\n".join(lines)):
                region["snippet"] = content
        return region

    def _context(self, place: Place) -> dict[str, Any] | None:
        """The whole lines; None where the region already is all of them."""
        span = _span(place)
        lines = self._quoted(place, span)
        end = len(lines[-1]) + 1 if lines else 1
        content = _content("\n".join(lines))
        outer = Span(span.line, 1, span.end_line, end)
        return None if content is None or outer == span else {**whole(outer), "snippet": content}

    def _quoted(self, place: Place, span: Span) -> list[str]:
        """The lines of a span; none where not all of them are known, or they are not to be shown."""
        known = self._lines.get(place.artifacts[0], {}) if in_text(place) else {}
        numbers = range(span.line, span.end_line + 1)
        return [known[one] for one in numbers] if len(numbers) <= len(known) and known.keys() >= {*numbers} else []


def _span(place: Place) -> Span:
    """The lines of the input itself: those of a file inside an image are none of the image's."""
    return place.span if place.span and in_text(place) else _START


def whole(span: Span) -> dict[str, Any]:
    """A region as it is; an empty one is a place to insert something at."""
    return {
        "endColumn": span.end_column,
        "endLine": span.end_line,
        "startColumn": span.column,
        "startLine": span.line,
    }


def _bare(span: Span) -> dict[str, Any]:
    end = span.end_column if (span.end_line, span.end_column) > (span.line, span.column) else span.column + 1
    return whole(Span(span.line, span.column, max(span.end_line, span.line), end))


def _nested(chain: tuple[str, ...]) -> str:
    """The URI of what lies in something else, relative to that."""
    return quote(chain[-1].lstrip("/").encode("utf-8", "surrogateescape"))


def _rendered(text: str) -> dict[str, Any]:
    """Stands for content that is not quoted: what it is, or what is to be seen there."""
    return {"rendered": {"text": printable(text)[:_SNIPPET]}}


def _around(region: dict[str, Any]) -> dict[str, Any]:
    """Up to the start of the next line: the lines of a region whose text is not told."""
    return {**whole(Span(region["startLine"], 1, region["endLine"] + 1, 1)), "snippet": region["snippet"]}


def _content(text: str) -> dict[str, Any] | None:
    return {"text": encodable(text)} if text and len(text) <= _SNIPPET else None


def _logical(place: Place, subject: str) -> dict[str, Any]:
    """The place inside the artifact: a path of keys in a spec, of artifacts in an image."""
    name = ": ".join(filter(None, (within(place), place.pointer)))
    made = {
        "fullyQualifiedName": printable(name or subject),
        "kind": "resource" if len(place.artifacts) > 1 else "value",
    }
    return {**made, "name": printable(subject)} if subject else made
