"""SARIF's locations: relative URIs, regions, and snippets that never show a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

import sarif_om as om

from ..rules import secrets
from ..rules.engine import Finding, Location, Outcome
from ..rules.funnel import Result
from ..scanner.subjects import Place, Span, Spec
from .grouping import within
from .paths import from_root
from .printable import encodable, printable

ROOT = "SRCROOT"
"""The uriBaseId of paths that are relative to the folder lkscan was run in."""

_SECRETS = "LKX"
"""The family whose findings are about secrets."""

_SNIPPET = 2000
"""Characters of a snippet; a longer one helps nobody."""

_ODD_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Line breaks to YAML, but to no editor: lines cannot be told apart reliably."""

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
        self._lines: Mapping[str, list[str]] = {
            name: re.split("\r\n|\r|\n", text)
            for name, text in _free_of_secrets(result).items()
            if not _ODD_BREAKS.search(text)
        }

    def primary(self, finding: Finding) -> Location:
        """The location to show first: one in a spec, which a reader can open and mend, before one in an image."""
        if finding.origin and len(finding.origin.place.artifacts) == 1:
            return finding.origin
        return next((one for one in finding.locations if _in_text(one.place)), finding.locations[0])

    def location(self, finding: Finding) -> om.Location:
        """The location of a finding itself, with the lines it is about.

        What LinuxKit refuses is not quoted: a secret may stand there that no rule about secrets understood.
        """
        place = self.primary(finding).place
        region = _bare(_span(place)) if finding.rule.subject is Spec else self._region(place)
        context = self._context(place) if region.snippet else None
        if region.snippet is None:
            region.snippet = _rendered(_NOT_QUOTED if _in_text(place) else "; ".join(finding.evidence) or str(place))
            context = _around(region)
        location = self.artifact(place.artifacts[0])
        if len(place.artifacts) > 1:
            location.index = self._index(place.artifacts[:1])
        physical = om.PhysicalLocation(artifact_location=location, region=region, context_region=context)
        return om.Location(physical_location=physical, logical_locations=[_logical(place, finding.subject)])

    def inner(self, place: Place) -> om.Location | None:
        """The file inside an image that a place is in, as an artifact of its own; None for what is not inside one."""
        if len(place.artifacts) == 1:
            return None
        location = om.ArtifactLocation(uri=_nested(place.artifacts), index=self._index(place.artifacts))
        region = _bare(place.span) if place.span else None
        return om.Location(physical_location=om.PhysicalLocation(artifact_location=location, region=region))

    def artifacts(self) -> list[om.Artifact] | None:
        """Images and what lies in them, as far as locations were made of it, each with a pointer to what it is in."""
        return [self._artifact(chain) for chain in self._artifacts] or None

    def _artifact(self, chain: tuple[str, ...]) -> om.Artifact:
        if len(chain) == 1:
            contents = _rendered(printable(self._formats.get(chain[0]) or "image"))
            return om.Artifact(location=self.artifact(chain[0]), contents=contents, roles=["analysisTarget"])
        location = om.ArtifactLocation(uri=_nested(chain))
        return om.Artifact(location=location, parent_index=self._artifacts[chain[:-1]])

    def _index(self, chain: tuple[str, ...]) -> int:
        for length in range(1, len(chain) + 1):
            self._artifacts.setdefault(chain[:length], len(self._artifacts))
        return self._artifacts[chain]

    def related(self, number: int, location: Location) -> om.Location:
        """Another location that plays a part, by a number that messages link to."""
        place = location.place
        physical = om.PhysicalLocation(artifact_location=self.artifact(place.artifacts[0]), region=_bare(_span(place)))
        return om.Location(
            id=number, physical_location=physical, message=om.Message(text=printable(location.note or str(place)))
        )

    def artifact(self, path: str) -> om.ArtifactLocation:
        """The URI of an input, relative and without `..`; a path that cannot be so is kept in the description."""
        short = from_root(path, *self._folders)
        stripped = re.sub(r"^(?:/+|\.\./)+", "", short)
        uri = quote(stripped.encode("utf-8", "surrogateescape"))
        if stripped == short:
            return om.ArtifactLocation(uri=uri, uri_base_id=ROOT)
        return om.ArtifactLocation(uri=uri, description=om.Message(text=f"Given as {printable(path)}."))

    def may_quote(self, path: str) -> bool:
        """Whether lines of this spec may be shown."""
        return path in self._lines

    def _region(self, place: Place) -> om.Region:
        span = _span(place)
        region = _bare(span)
        lines = self._quoted(place, span)
        if lines:
            lines[-1] = lines[-1][: region.end_column - 1]
            lines[0] = lines[0][span.column - 1 :]
            region.snippet = _content("\n".join(lines))
        return region

    def _context(self, place: Place) -> om.Region | None:
        """The whole lines; None where the region already is all of them."""
        span = _span(place)
        lines = self._quoted(place, span)
        end = len(lines[-1]) + 1 if lines else 1
        content = _content("\n".join(lines))
        whole = Span(span.line, 1, span.end_line, end)
        if content is None or whole == span:
            return None
        return om.Region(
            start_line=whole.line, start_column=1, end_line=whole.end_line, end_column=end, snippet=content
        )

    def _quoted(self, place: Place, span: Span) -> list[str]:
        """A copy of the lines of a span; none where they are not known or not to be shown."""
        return self._lines.get(place.artifacts[0], [])[span.line - 1 : span.end_line] if _in_text(place) else []


def _free_of_secrets(result: Result) -> Mapping[str, str]:
    """The texts of specs that every rule about secrets has searched in vain; of others, no line is for reports.

    Nor of those where something in a place that no rule looks at, such as a command, may be a secret.
    """
    if not {rule.id for rule in secrets.RULES} <= {rule.id for rule in result.rules}:
        return {}
    silenced = [one.finding for one in (*result.suppressed, *result.baselined)]
    told = {
        location.place.artifacts[-1]
        for finding in (*result.findings, *result.others, *silenced)
        if finding.rule.id.startswith(_SECRETS) and finding.outcome in {Outcome.FAIL, Outcome.PARTIAL}
        for location in finding.everywhere
    }
    return {name: text for name, text in result.texts.items() if name not in told and not secrets.looks_secret(text)}


def _in_text(place: Place) -> bool:
    return len(place.artifacts) == 1 and place.span is not None


def _span(place: Place) -> Span:
    """The lines of the input itself: those of a file inside an image are none of the image's."""
    return place.span if place.span and _in_text(place) else _START


def whole(span: Span) -> om.Region:
    """A region as it is; an empty one is a place to insert something at."""
    return om.Region(start_line=span.line, start_column=span.column, end_line=span.end_line, end_column=span.end_column)


def _bare(span: Span) -> om.Region:
    end = span.end_column if (span.end_line, span.end_column) > (span.line, span.column) else span.column + 1
    return om.Region(
        start_line=span.line, start_column=span.column, end_line=max(span.end_line, span.line), end_column=end
    )


def _nested(chain: tuple[str, ...]) -> str:
    """The URI of what lies in something else, relative to that."""
    return quote(chain[-1].lstrip("/").encode("utf-8", "surrogateescape"))


def _rendered(text: str) -> om.ArtifactContent:
    """Stands for content that is not quoted: what it is, or what is to be seen there."""
    return om.ArtifactContent(rendered=om.MultiformatMessageString(text=printable(text)[:_SNIPPET]))


def _around(region: om.Region) -> om.Region:
    """Up to the start of the next line: the lines of a region whose text is not told."""
    return om.Region(
        start_line=region.start_line, start_column=1, end_line=region.end_line + 1, end_column=1, snippet=region.snippet
    )


def _content(text: str) -> om.ArtifactContent | None:
    return om.ArtifactContent(text=encodable(text)) if text and len(text) <= _SNIPPET else None


def _logical(place: Place, subject: str) -> om.LogicalLocation:
    """The place inside the artifact: a path of keys in a spec, of artifacts in an image."""
    name = ": ".join(filter(None, (within(place), place.pointer)))
    return om.LogicalLocation(
        name=printable(subject) or None,
        fully_qualified_name=printable(name or subject),
        kind="resource" if len(place.artifacts) > 1 else "value",
    )
