"""Family I, its second half: where images come from, and who they are taken for."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from ..scanner.startup import Any
from ..scanner.subjects import ImageReference
from .engine import Confidence, Profile, Severity, Verdict, fail, not_applicable, rule

_DOCKER = "docker.io"
_LOCAL = r"localhost(:\d+)?|.*127\.0\.0\.1.*|.*::1.*"
_PRIVATE = (
    r"(10(\.\d{1,3}){3}|192\.168(\.\d{1,3}){2}|172\.(1[6-9]|2\d|3[01])(\.\d{1,3}){2})(:\d+)?"
    r"|.*\.local(host)?(:\d{1,5})?"
)
"""Hosts for which LinuxKit's client tries plain HTTP besides HTTPS (go-containerregistry, pkg/name/registry.go)."""


def _is_pulled(image: ImageReference) -> bool:
    return bool(image.repository)


def _subject(image: ImageReference) -> str:
    return f"{image.role}:{image.name}"


@rule(
    "LKI004",
    "image-not-allowed",
    Severity.MEDIUM,
    "Image '{0}' comes from '{1}', and the configuration allows neither the registry nor the image.",
    remedy="Take the image from a source that is allowed, or allow this one in the configuration.",
    nist=("3.1.5",),
    about=_is_pulled,
    parameters={"registries": (), "images": ()},
)
def image_not_allowed(image: ImageReference, parameters: Mapping[str, Any]) -> Iterator[Verdict]:
    """An image comes from a source that the configuration does not allow.

    `registries` are globs of hosts (`ghcr.io`, `*.example.org`), `images` are globs of names without tag
    (`linuxkit/*`, `ghcr.io/acme/*`); where a name has no registry, docker.io is meant, as in a spec.
    """
    registries, images = parameters["registries"], [_full(glob) for glob in parameters["images"]]
    if not registries and not images:
        yield not_applicable(_subject(image), image.place, "The configuration does not say what is allowed.")
        return
    registry = image.registry
    is_allowed = any(fnmatchcase(registry, _dockers(glob)) for glob in registries)
    if not is_allowed and not any(fnmatchcase(image.repository, glob) for glob in images):
        yield fail(_subject(image), image.place, image.text, registry)


def _full(glob: str) -> str:
    """A glob of names with its registry, as LinuxKit completes names."""
    first, *rest = glob.split("/")
    if rest and (len(rest) > 1 or "." in first or ":" in first or first == "localhost"):
        return "/".join((_dockers(first), *rest))
    return f"{_DOCKER}/{glob}" if rest else f"{_DOCKER}/library/{glob}"


def _dockers(host: str) -> str:
    return _DOCKER if host == "index.docker.io" else host


@rule(
    "LKI005",
    "registry-without-tls",
    Severity.MEDIUM,
    {
        "default": "Image '{0}' may be pulled without TLS: for the host '{1}' LinuxKit falls back to plain HTTP.",
        "local": "Image '{0}' comes from '{1}', which is another registry on each machine that builds.",
    },
    remedy="Name the image by digest, which is checked however it is pulled, or take it from a registry with a public "
    "name and a certificate.",
    nist=("3.2.1",),
    about=_is_pulled,
)
def registry_without_tls(image: ImageReference) -> Iterator[Verdict]:
    """An image is pulled, not by digest, from a host that LinuxKit also speaks plain HTTP with."""
    registry = image.registry
    if image.kind == "digest" or registry == _DOCKER:
        return
    if re.fullmatch(_LOCAL, registry):
        yield fail(
            _subject(image),
            image.place,
            image.text,
            registry,
            variant="local",
            severity=Severity.LOW,
            profile=Profile.PEDANTIC,
        )
    elif re.fullmatch(_PRIVATE, registry):
        yield fail(_subject(image), image.place, image.text, registry)


@rule(
    "LKI006",
    "implied-registry",
    Severity.NOTE,
    "Image '{0}' names no registry and no owner: it is '{1}'.",
    remedy="Write the name whole where readers are to see whom the build trusts.",
    nist=("3.1.5",),
    profile=Profile.AUDITOR,
    about=_is_pulled,
)
def implied_registry(image: ImageReference) -> Iterator[Verdict]:
    """An image has a short name, for which LinuxKit takes Docker Hub's library."""
    if "/" not in image.name:
        yield fail(_subject(image), image.place, image.text, image.repository)


@rule(
    "LKI007",
    "look-alike-image-owner",
    Severity.HIGH,
    "Image '{0}' belongs to '{1}', which is one letter away from '{2}'.",
    remedy="Correct the name; where it is meant, add it to the owners that are known to the configuration.",
    nist=("3.1.5",),
    confidence=Confidence.MEDIUM,
    about=_is_pulled,
    parameters={"owners": ("linuxkit", "linuxkitprojects", "mobylinux", "tinkerbell")},
)
def look_alike_image_owner(image: ImageReference, parameters: Mapping[str, Any]) -> Iterator[Verdict]:
    """The owner of an image is spelled nearly, and not quite, like one that is well known.

    `owners` are the well-known names; one letter more, less, other, or two that changed places make a look-alike.
    """
    owner = next(iter(image.repository.split("/")[1:-1]), "").lower()
    for known in parameters["owners"]:
        if owner not in parameters["owners"] and _is_near(owner, known):
            yield fail(_subject(image), image.place, image.text, owner, known, key=known)


def _is_near(one: str, other: str) -> bool:
    """Whether one edit makes the one the other: a letter more, less or other, or two neighbours swapped."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True
    a, b = one[start:], other[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


RULES = (image_not_allowed, registry_without_tls, implied_registry, look_alike_image_owner)
