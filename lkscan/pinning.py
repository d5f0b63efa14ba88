"""Pinning: which of a spec's references get a digest, what becomes of the others, and the spec's text afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from .scanner import spec
from .scanner.labels import LabelFinder
from .scanner.references import canonical, is_sha256
from .scanner.startup import Literal, NamedTuple
from .scanner.subjects import Change, ImageReference, Problem, Spec
from .scanner.yamlpatch import apply, edits
from .scanner.yamltext import PatchError

LOCKED = "from the lock file"
"""The note of digests that are in the lock file already."""
_LEFT = {"placeholder": "placeholder", "package": "built from a local folder"}


class Document(NamedTuple):
    """A spec: its path, its bytes, the text they hold, and the image references in their order."""

    path: str
    data: bytes
    text: str
    references: tuple[ImageReference, ...]


class Answer(NamedTuple):
    """What is known of a tag: its digest and where that is from, or "" and why it is not known."""

    digest: str
    note: str


class Outcome(NamedTuple):
    """What became of a reference.

    `pinned`: it got `digest`, and `note` says where that is from. `kept`: nothing is to be done, and why; `digest` is
    what `update` found the tag to stand for still. `open`: it has no digest, and why. `drift`: the lock file has
    `digest` for its tag, and the reference another one.
    """

    reference: ImageReference
    state: Literal["pinned", "kept", "open", "drift"]
    digest: str = ""
    note: str = ""


def read(path: str, data: bytes) -> Document | Problem:
    """The references of one spec, or why there are none; a package has none."""
    references: list[ImageReference] = []
    text = ""
    for subject in spec.read([(path, data)], LabelFinder()):
        if isinstance(subject, Problem):
            return subject
        if isinstance(subject, Spec):
            text = subject.text
            for violation in subject.violations:
                if violation.kind == "yaml":
                    return Problem(violation.place, f"cannot be read as YAML: {violation.message}")
        elif isinstance(subject, ImageReference):
            references.append(subject)
    return Document(path, data, text, tuple(references))


def unknown(document: Document, lock: Mapping[str, str], *, update: bool) -> list[str]:
    """The canonical references whose digest is wanted, and not in the lock file or, with `update`, wanted anew."""
    names = [_wanted(one, update=update) for one in document.references]
    return [name for name in names if name and (update or name not in lock)]


def _wanted(reference: ImageReference, *, update: bool) -> str:
    """The canonical reference whose digest is asked for; "" when none is."""
    if reference.kind in _LEFT or (reference.digest and not (update and reference.tag and is_sha256(reference.digest))):
        return ""
    return canonical(reference.text)


def pin(
    document: Document, answers: Mapping[str, Answer], lock: Mapping[str, str], *, update: bool
) -> tuple[str, tuple[Outcome, ...]]:
    """The text with the digests of the lock file and `answers`, and what became of each reference.

    `answers` has one for each of `unknown`.
    """
    known = answers if update else {**answers, **{name: Answer(one, LOCKED) for name, one in lock.items()}}
    outcomes = [
        _found(one, known[name]) if (name := _wanted(one, update=update)) else _left(one, lock)
        for one in document.references
    ]
    changes = {
        i: Change("replace", one.reference.place, one.reference.pinned(one.digest))
        for i, one in enumerate(outcomes)
        if one.state == "pinned"
    }
    try:
        return apply(document.text, edits(document.text, changes.values())), tuple(outcomes)
    except PatchError:
        return _one_by_one(document.text, changes, outcomes)


def _found(reference: ImageReference, answer: Answer) -> Outcome:
    if not answer.digest:
        return Outcome(reference, "open", note=answer.note)
    if answer.digest == reference.digest:
        return Outcome(reference, "kept", answer.digest, "up to date")
    return Outcome(reference, "pinned", answer.digest, answer.note)


def _left(reference: ImageReference, lock: Mapping[str, str]) -> Outcome:
    if reference.kind in _LEFT:
        return Outcome(reference, "kept", note=_LEFT[reference.kind])
    if not is_sha256(reference.digest):
        return Outcome(reference, "open", note="what stands behind its '@' is no digest that LinuxKit takes")
    locked = lock.get(canonical(reference.text), "") if reference.tag else ""
    if locked and locked != reference.digest:
        return Outcome(reference, "drift", locked)
    return Outcome(reference, "kept", note="already pinned")


def _one_by_one(text: str, changes: Mapping[int, Change], outcomes: list[Outcome]) -> tuple[str, tuple[Outcome, ...]]:
    """Some change is not to be made in place: all others are. From the end, as an alias stands behind its anchor."""
    for i, change in sorted(changes.items(), reverse=True):
        try:
            text = apply(text, edits(text, [change]))
        except PatchError as error:
            outcomes[i] = Outcome(outcomes[i].reference, "open", note=f"it cannot be changed in place: {error}")
    return text, tuple(outcomes)
