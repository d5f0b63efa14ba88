"""Family I: what pins an image, so that today's build is tomorrow's."""

from collections.abc import Iterator, Mapping
from functools import cache

from ..scanner.subjects import Change, ImageReference, System
from .engine import Fix, Location, Profile, Severity, Verdict, fail, not_applicable, rule, undecided
from .tables import load

_WORDS = (
    "master main trunk head edge dev devel develop nightly daily snapshot canary next testing unstable stable rolling "
    "current x"
)
_MOVING = frozenset(_WORDS.split())
"""Last words of tags that are named after a branch or a channel, or have an `x` for the digits that change."""
_WITHOUT_TAG = {
    "untagged": "no tag, which means 'latest'",
    "latest": "the tag is 'latest'",
}
_SOURCES = {"lock": "lock file", "cache": "image cache", "": ""}
_OPEN = {
    "placeholder": "A template fills this reference in; what it will be is not known here.",
    "package": "The image is built from a local folder, whose content names it.",
}


@rule(
    "LKI001",
    "unpinned-image",
    Severity.MEDIUM,
    {
        "default": "Image '{0}' is pinned by nothing: two builds of the same spec may hold different programs.",
        "init": "Image '{0}', a part of the host itself, is pinned by nothing: two builds may hold different programs.",
        "kernel": "Kernel image '{0}' is pinned by nothing: two builds of the same spec may boot different kernels.",
    },
    remedy="Name the image by digest, which `lkscan pin` writes, or LinuxKit's own by a content tag.",
    nist=("3.1.5", "3.2.2"),
    autofix="safe",
)
def unpinned_image(image: ImageReference) -> Iterator[Verdict]:
    """An image has no tag, or the tag latest."""
    if image.kind in _OPEN:
        yield not_applicable(_subject(image), image.place, _OPEN[image.kind])
    elif image.kind in _WITHOUT_TAG:
        variant = image.role if image.role in {"init", "kernel"} else "default"
        note = _WITHOUT_TAG[image.kind]
        yield fail(_subject(image), image.place, image.text, variant=variant, note=note, fix=_pin(image))


@rule(
    "LKI002",
    "mutable-image-tag",
    Severity.LOW,
    {
        "default": "Image '{0}' is named by a tag, which its registry may move to another image.",
        "content": "Image '{0}' is named by a content tag: the right content is named, but not checked.",
        "dirty": "Image '{0}' was built from sources that were never committed: nobody can tell what is in it.",
        "moving": "Image '{0}' is named by a tag that is there to be moved: two builds may hold different programs.",
    },
    remedy="Name the image by digest: NAME:TAG@sha256:… keeps the tag readable; `lkscan pin` writes it.",
    nist=("3.1.5", "3.2.2"),
    profile=Profile.PEDANTIC,
    autofix="safe",
)
def mutable_image_tag(image: ImageReference) -> Iterator[Verdict]:
    """An image is named by a tag, not by a digest."""
    if image.kind in _OPEN:
        yield not_applicable(_subject(image), image.place, _OPEN[image.kind])
    elif image.kind == "dirty-tag":
        yield _mutable(image, "dirty", Severity.MEDIUM, Profile.REGULAR)
    elif image.kind == "content-tag":
        yield _mutable(image, "content", Severity.NOTE, Profile.AUDITOR)
    elif image.kind == "version-tag" and _last_word(image.tag) in _MOVING:
        yield _mutable(image, "moving", Severity.MEDIUM, Profile.REGULAR)
    elif image.kind == "version-tag":
        yield _mutable(image, "default", Severity.LOW, Profile.PEDANTIC)


def _last_word(tag: str) -> str:
    return tag.lower().replace(".", "-").replace("_", "-").rpartition("-")[2]


def _mutable(image: ImageReference, variant: str, severity: Severity, profile: Profile) -> Verdict:
    return fail(
        _subject(image),
        image.place,
        image.text,
        variant=variant,
        severity=severity,
        profile=profile,
        fix=_pin(image),
    )


def _pin(image: ImageReference) -> Fix | None:
    """By the digest that is known here; one out of a cache is unsafe, as only the cache may hold that image."""
    if not image.known:
        return None
    change = Change("replace", image.place, image.pinned(image.known))
    return Fix(f"name the image by the digest that the {_SOURCES[image.source]} has", (change,), image.source == "lock")


def _subject(image: ImageReference) -> str:
    """`services:linuxkit/sshd`: the role and the image, whatever its tag."""
    return f"{image.role}:{image.name}"


_DIGITS = 64
_HEX = frozenset("0123456789abcdef")


def _has_digest(image: ImageReference) -> bool:
    return image.kind == "digest"


@rule(
    "LKI003",
    "unusable-digest",
    Severity.MEDIUM,
    "Image '{0}' cannot be pulled: '{1}' is no SHA-256 digest.",
    remedy="Write the digest whole: 'sha256:' and 64 digits of 0-9 and a-f.",
    nist=("3.1.5",),
    about=_has_digest,
)
def unusable_digest(image: ImageReference) -> Iterator[Verdict]:
    """What stands behind the @ of an image is no digest that LinuxKit can pull by."""
    algorithm, _, digits = image.digest.partition(":")
    if algorithm != "sha256" or len(digits) != _DIGITS or not _HEX.issuperset(digits):
        yield fail(_subject(image), image.place, image.text, image.digest)


def _has_images(system: System) -> bool:
    return any(image.repository for image in system.images)


@rule(
    "LKI008",
    "image-in-several-versions",
    Severity.LOW,
    "Image '{0}' is used in '{1}' versions: '{2}'.",
    remedy="Name one version everywhere; give images that differ on purpose names that tell them apart.",
    nist=("3.1.1", "3.2.2"),
    about=_has_images,
)
def image_in_several_versions(system: System) -> Iterator[Verdict]:
    """One image is used in several versions: an update has reached some of its users and not the others."""
    places: dict[str, list[ImageReference]] = {}
    for image in system.images:
        if image.repository:
            places.setdefault(image.repository, []).append(image)
    for repository, images in places.items():
        versions: dict[str, ImageReference] = {}
        for image in images:
            versions.setdefault(image.digest or image.tag or "latest", image)
        if len(versions) > 1:
            first, *others = versions.values()
            yield fail(
                system.kind,
                first.place,
                first.name,
                str(len(versions)),
                ", ".join(sorted(versions)),
                related=[Location(other.place, "another version") for other in others],
                key=repository,
            )


# --- runtimes with a known way out of a container

_LINUXKIT = "docker.io/linuxkit/"
_RUNTIMES = (f"{_LINUXKIT}runc", f"{_LINUXKIT}containerd")
_ARCHITECTURES = ("amd64", "arm64", "s390x", "riscv64")
"""What stands behind the tag of one architecture's image."""


def _is_runtime(image: ImageReference) -> bool:
    return image.repository in _RUNTIMES


@rule(
    "LKI009",
    "runtime-with-known-escape",
    Severity.HIGH,
    "Image '{0}' holds '{1}' of version '{2}', which lets a process leave its container ('{3}').",
    remedy="Move to a state of the image that holds the version in which it is mended, or a later one.",
    nist=("3.4.1",),
    about=_is_runtime,
)
def runtime_with_known_escape(image: ImageReference) -> Iterator[Verdict]:
    """LinuxKit's runc or containerd is of a version with a flaw by which processes leave their containers."""
    program = image.repository.removeprefix(_LINUXKIT)
    tag, _, last = image.tag.rpartition("-")
    state = _states(program).get(tag if last in _ARCHITECTURES else image.tag)
    if state is None:
        yield undecided(_subject(image), image.place, f"The table does not know which {program} '{image.text}' holds.")
    elif flaw := state.get("flaw"):
        known = load("runtime_states")["flaw"][flaw]
        evidence = (known["reason"], f"Mended in {program} {known['fixed']}.")
        yield fail(
            _subject(image), image.place, image.text, program, state["version"], flaw, key=flaw, evidence=evidence
        )


@cache
def _states(program: str) -> Mapping[str, Mapping[str, str]]:
    """The rows of the table by tag."""
    return {tag: state for state in load("runtime_states")[program] for tag in state["tags"].split()}


RULES = (
    unpinned_image,
    mutable_image_tag,
    unusable_digest,
    image_in_several_versions,
    runtime_with_known_escape,
)
