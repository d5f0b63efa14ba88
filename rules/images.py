"""Family I: what pins an image, so that today's build is tomorrow's."""

from collections.abc import Iterator

from ..scanner.subjects import ImageReference
from .engine import Profile, Severity, Verdict, fail, not_applicable, rule

_WITHOUT_TAG = {
    "untagged": "no tag, which means 'latest'",
    "latest": "the tag is 'latest'",
}
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
    remedy="Name the image by digest (NAME@sha256:…), or by a content tag where it is one of LinuxKit's own.",
    nist=("3.1.5", "3.2.2"),
)
def unpinned_image(image: ImageReference) -> Iterator[Verdict]:
    """An image has no tag, or the tag latest."""
    if image.kind in _OPEN:
        yield not_applicable(_subject(image), image.place, _OPEN[image.kind])
    elif image.kind in _WITHOUT_TAG:
        variant = image.role if image.role in {"init", "kernel"} else "default"
        note = _WITHOUT_TAG[image.kind]
        yield fail(_subject(image), image.place, image.text, variant=variant, note=note)


@rule(
    "LKI002",
    "mutable-image-tag",
    Severity.LOW,
    {
        "default": "Image '{0}' is named by a tag, which its registry may move to another image.",
        "content": "Image '{0}' is named by a content tag: the right content is named, but not checked.",
        "dirty": "Image '{0}' was built from sources that were never committed: nobody can tell what is in it.",
    },
    remedy="Name the image by digest: NAME:TAG@sha256:… keeps the tag readable.",
    nist=("3.1.5", "3.2.2"),
    profile=Profile.PEDANTIC,
)
def mutable_image_tag(image: ImageReference) -> Iterator[Verdict]:
    """An image is named by a tag, not by a digest."""
    if image.kind in _OPEN:
        yield not_applicable(_subject(image), image.place, _OPEN[image.kind])
    elif image.kind == "dirty-tag":
        yield _mutable(image, "dirty", Severity.MEDIUM, Profile.REGULAR)
    elif image.kind == "content-tag":
        yield _mutable(image, "content", Severity.NOTE, Profile.AUDITOR)
    elif image.kind == "version-tag":
        yield _mutable(image, "default", Severity.LOW, Profile.PEDANTIC)


def _mutable(image: ImageReference, variant: str, severity: Severity, profile: Profile) -> Verdict:
    return fail(_subject(image), image.place, image.text, variant=variant, severity=severity, profile=profile)


def _subject(image: ImageReference) -> str:
    """`services:linuxkit/sshd`: the role and the image, whatever its tag."""
    return f"{image.role}:{image.name}"


RULES = (unpinned_image, mutable_image_tag)
