"""The edits behind a finding's fix, as reports show them: places and texts in the documents as they were scanned."""

from __future__ import annotations

from collections.abc import Mapping

from ..rules.engine import Fix
from ..scanner.startup import NamedTuple
from ..scanner.subjects import Change, Span
from ..scanner.yamlpatch import PatchError, edits, spans


class Replacement(NamedTuple):
    """`text` takes the place of what stands at `span` of the document called `path`; an empty span is an insertion."""

    path: str
    span: Span
    text: str


def replacements(fix: Fix, texts: Mapping[str, str]) -> tuple[Replacement, ...]:
    """What the fix changes in the documents, all of it or (where it cannot be made as text) nothing."""
    by_path: dict[str, list[Change]] = {}
    for change in fix.changes:
        by_path.setdefault(change.place.artifacts[-1], []).append(change)
    found: list[Replacement] = []
    for path, changes in by_path.items():
        if path not in texts:
            return ()
        try:
            made = edits(texts[path], changes)
        except PatchError:
            return ()
        found += [Replacement(path, span, one.text) for one, span in zip(made, spans(texts[path], made), strict=True)]
    return tuple(found)
