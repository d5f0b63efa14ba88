"""The edits behind a finding's fix, as reports show them: places and texts in the documents as they were scanned."""

from __future__ import annotations

from ..rules.engine import Fix
from ..rules.funnel import Result
from ..scanner.startup import NamedTuple
from ..scanner.subjects import Change, Span
from ..scanner.yamlpatch import edits, spans
from ..scanner.yamltext import PatchError


class Replacement(NamedTuple):
    """`text` takes the place of what stands at `span` of the document called `path`; an empty span is an insertion."""

    path: str
    span: Span
    text: str


def replacements(fix: Fix, result: Result) -> tuple[Replacement, ...]:
    """What the fix changes in the documents, all of it or (where it cannot be made as text) nothing."""
    if result.told is not None:  # read back, with changes that are edits
        kept = ((one.place.artifacts[0], one.place.span, one.text) for one in fix.changes)
        return tuple(Replacement(path, span, text) for path, span, text in kept if span)
    texts = result.texts
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
