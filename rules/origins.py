"""Where a container's values come from, in words, and what is not known when its image's label is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..scanner.subjects import Container, File, Origin, Place, Sysctl
from .engine import Confidence, Fix, Location, Outcome, Profile, Severity, Verdict, fail, not_applicable, undecided

Key = tuple[str, str | None]
"""A key of a container's configuration and, where it has items, one of them: as `Container.origin` takes them."""


def note(container: Container, origin: Origin) -> str:
    """What to say at the place of a value: `from the label of linuxkit/getty:… (newest known state)`."""
    if origin.source == "label":
        image = container.image.text if container.image else container.name
        return f"from the label of {image}{' (newest known state)' if container.label.kind == 'newest' else ''}"
    return {"spec": "set here", "default": "LinuxKit's default", "image": "as built"}[origin.source]


def where(container: Container, keys: Iterable[Key]) -> list[Location]:
    """The places that decide, each once, with a note; never empty."""
    found: dict[tuple[Place, str], None] = {}
    for key, item in keys:
        origin = container.origin(key, item)
        found[origin.place, note(container, origin)] = None
    return [Location(place, text) for place, text in found] or [Location(container.place)]


def fail_at(
    container: Container,
    keys: Iterable[Key],
    *arguments: str,
    variant: str = "default",
    key: str = "",
    evidence: Iterable[str] = (),
    severity: Severity | None = None,
    profile: Profile | None = None,
    members: Iterable[str] = (),
    fix: Fix | None = None,
) -> Verdict:
    """The failure of a container by the values of `keys`, the deciding one first; its name is the first argument."""
    keys = tuple(keys)
    at, *related = where(container, keys)
    return fail(
        container.title,
        at.place,
        container.name,
        *arguments,
        note=at.note,
        related=related,
        variant=variant,
        key=key,
        evidence=(*evidence, *stand_in(container, keys)),
        severity=severity,
        profile=profile,
        confidence=confidence(container, keys),
        members=members,
        fix=fix,
    )


def confidence(container: Container, keys: Iterable[Key]) -> Confidence:
    """HIGH, but MEDIUM where a stand-in label brings a value, or an unknown one might give it another user."""
    if container.label.kind == "unknown":
        return Confidence.HIGH if is_set(container, "uid") else Confidence.MEDIUM
    stand_in = container.label.kind == "newest" and any(container.origin(*key).source == "label" for key in keys)
    return Confidence.MEDIUM if stand_in else Confidence.HIGH


def stand_in(container: Container, keys: Iterable[Key]) -> tuple[str, ...]:
    """Evidence for a value out of the label of another tag of the same package."""
    if container.label.kind != "newest" or not any(container.origin(*key).source == "label" for key in keys):
        return ()
    return ("The label of this very tag is not known; that of the package's newest known state stands in for it.",)


def is_set(container: Container, key: str) -> bool:
    """Whether the spec itself sets `key`, so that no label can change it; `key.add` only adds to the label's."""
    origin = container.origins.get(key)
    return origin is not None and origin.source == "spec" and not origin.place.pointer.endswith(".add")


def open_question(container: Container, *keys: str) -> str:
    """Why nothing found is no pass, in one sentence or two; or "".

    Either LinuxKit refuses a value of the container, or its label is unknown and the spec leaves some of `keys` to it.
    """
    if container.error:
        return f"LinuxKit does not build container '{container.name}': what it would be given is not settled."
    if container.label.kind != "unknown":
        return ""
    left = [key for key in keys if not is_set(container, key)]
    if not left:
        return ""
    image = container.image.text if container.image else "its image"
    return f"The label of '{image}' is not known. The spec leaves {_listed(left)} to it."


def unsettled(container: Container, *keys: str) -> Iterator[Verdict]:
    """Undecided where nothing found is no pass, as `open_question` says; nothing where it is one."""
    if question := open_question(container, *keys):
        yield _doubt(container, question)


def _doubt(container: Container, reason: str) -> Verdict:
    """Undecided at the container and at its image, where findings on values of the label would be.

    A directive there is of use: to those who know the label.
    """
    return Verdict(Outcome.UNDECIDED, container.title, tuple(doubtful_places(container)), reason=reason)


def doubtful_places(container: Container) -> Iterator[Location]:
    """The places of a container whose label is not known: its own, and that of its image."""
    yield Location(container.place)
    if container.image:
        yield Location(container.image.place)


def absent(container: Container, reason: str, *keys: str) -> Verdict:
    """What a rule asks about is not there, as `reason` says; open where an unknown label may bring it by `keys`."""
    if question := open_question(container, *keys):
        return _doubt(container, question)
    return not_applicable(container.title, container.place, reason)


def _listed(words: list[str]) -> str:
    quoted = [f"'{word}'" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def unread(file: File | Sysctl) -> Verdict:
    """Nothing can be said of a file whose content a spec leaves to `source:` or to an image."""
    return undecided(file.path, file.place, f"The content of '{file.path}' is not known here; the built image tells.")


def unknown_environment(container: Container) -> Verdict:
    """Nothing can be said of an environment that a spec leaves to the image, whose own may be anything."""
    image = container.image.text if container.image else container.name
    return _doubt(container, f"The environment that '{image}' brings is not known.")
