"""Family V: whether what is in an image can be traced back to its sources."""

import re
from collections.abc import Iterator, Mapping

from ..scanner.startup import Any, late
from ..scanner.subjects import Change, File, Spec, System
from .engine import Fix, Profile, Severity, Verdict, fail, not_applicable, rule, undecided
from .kernel import days_between, today
from .rootfs import is_root
from .spec import is_parsed

_BOM = late(
    r"(?:.*/)?(?:[^/]*\.(?:spdx(?:\.(?:json|xml|rdf|ya?ml|tv))?|(?:cdx|sbom|bom)\.(?:json|xml))|s?bom\.(?:json|xml))"
)
"""Names of bills of materials, as SPDX, CycloneDX and the tools that write them recommend."""
_HEAD, _WHOLE = 64 << 10, 16 << 20
"""Bytes of a bill of materials that tell its format, and those in which packages are looked for."""
_FORMATS = (
    (
        "SPDX",
        late(rb'"spdxVersion"\s{0,8}:\s{0,8}"SPDX-[0-9.]{1,8}"|(?:^|\n)(?:SPDX|spdx)Version: "?SPDX-[0-9.]{1,8}'),
    ),
    (
        "SPDX",
        late(rb'"@context"\s{0,8}:\s{0,8}"https://spdx\.org/rdf/[0-9.]{1,8}/spdx-context\.jsonld"|<spdx:SpdxDocument'),
    ),
    (
        "CycloneDX",
        late(rb'"bomFormat"\s{0,8}:\s{0,8}"CycloneDX"|xmlns(?::[a-z]{1,16})?="http://cyclonedx\.org/schema/bom/'),
    ),
)
_PACKAGES = late(
    rb'"(?:packages|components|@graph)"\s{0,64}:\s{0,64}\[\s{0,64}\{|(?:^|\n)(?:PackageName: |packages:\s{0,64}-)'
    rb"|<(?:[a-z]{1,16}:)?(?:component|Package)[ >]"
)
"""What the first package of a bill of materials looks like, in any of the formats."""


def _is_package(spec: Spec) -> bool:
    return spec.kind == "package" and is_parsed(spec)


def _without(spec: Spec, key: str) -> Fix:
    """Drop a key: the build may need it, or others the name that it gives."""
    return Fix(f"drop '{key}'", (Change("remove", spec.at(key)),), safe=False)


@rule(
    "LKV001",
    "build-with-network",
    Severity.LOW,
    "The build of '{0}' may fetch anything from the network: its sources do not say what is in the image.",
    remedy="Fetch in a package of its own, or add what is needed to the sources, and drop 'network: true'.",
    nist=("3.1.5",),
    profile=Profile.PEDANTIC,
    about=_is_package,
    autofix="unsafe",
)
def build_with_network(spec: Spec) -> Iterator[Verdict]:
    """A package is built with access to the network, which LinuxKit otherwise denies."""
    if spec.value.get("network") is True:
        yield fail("package", spec.at("network"), str(spec.value.get("image", "")), fix=_without(spec, "network"))


@rule(
    "LKV002",
    "fixed-package-tag",
    Severity.LOW,
    "Every build of '{0}' gets the tag '{1}', whatever its sources are.",
    remedy="Drop 'tag', or put {{.Hash}} into it, the hash of the sources.",
    nist=("3.1.5", "3.2.2"),
    about=_is_package,
    autofix="unsafe",
)
def fixed_package_tag(spec: Spec) -> Iterator[Verdict]:
    """A package has a tag that does not hold the hash of its sources, so that it does not name what it was built of."""
    tag = str(spec.value.get("tag") or "")
    if tag and not re.search(r"\{\{.*\.Hash\b.*\}\}", tag):
        yield fail("package", spec.at("tag"), str(spec.value.get("image", "")), tag, fix=_without(spec, "tag"))


def _has_root(system: System) -> bool:
    return (
        system.kind == "image"
        and system.is_linuxkit
        and any(not one.container and is_root(one) for one in system.roots)
    )


@rule(
    "LKV003",
    "no-sbom",
    Severity.LOW,
    "The image has no bill of materials such as '{0}': nobody can look up what is in it.",
    remedy="Build it with LinuxKit 1.2.0 or later and without '--no-sbom'.",
    nist=("3.1.1", "3.1.5"),
    about=_has_root,
)
def no_sbom(system: System) -> Iterator[Verdict]:
    """An image that LinuxKit built has no bill of materials in its root, where LinuxKit writes `sbom.spdx.json`."""
    names = {name for one in system.roots if not one.container for name in one.tops}
    if not any(_BOM.fullmatch(name) for name in names):
        yield fail(system.kind, system.place, "sbom.spdx.json")


def _is_bom(file: File) -> bool:
    return file.kind in {"file", "hardlink"} and "/doc/" not in file.path and _BOM.fullmatch(file.path) is not None


@rule(
    "LKV004",
    "useless-sbom",
    Severity.LOW,
    {
        "default": "'{0}' is called a bill of materials and is in no format that tools read.",
        "empty": "'{0}' is a bill of materials in the format '{1}' that lists nothing.",
    },
    remedy="Write SPDX or CycloneDX; LinuxKit lists what the attestations of the packages' images tell.",
    nist=("3.1.1", "3.1.5"),
    about=_is_bom,
)
def useless_sbom(file: File) -> Iterator[Verdict]:
    """A bill of materials is neither SPDX nor CycloneDX, or names no package.

    LinuxKit writes one without packages where no image of the build had one of its own.
    """
    if file.read is None:
        yield undecided(
            file.path, file.place, f"The content of '{file.path}' is not known here; the built image tells."
        )
        return
    head = file.read(_HEAD)
    found = next((name for name, mark in _FORMATS if mark.search(head)), "")
    if not found:
        yield fail(file.path, file.place, file.path)
    elif not _PACKAGES.search(file.read(_WHOLE)):
        if file.size > _WHOLE:
            yield undecided(file.path, file.place, "No package is named in its first 16 MiB.")
        else:
            yield fail(file.path, file.place, file.path, found, variant="empty")


_CONFIGURATION = late(r"blobs/sha256/[0-9a-f]{64}|[0-9a-f]{64}\.json")
_LIMIT = 8 << 20
_LABELS = ("org.opencontainers.image.source", "org.opencontainers.image.revision")
"""The labels of the OCI image specification that name the sources; `linuxkit pkg build` sets both."""
_AGE = 730
"""Days after which an image is old: two years bring dozens of fixes to any distribution."""


def _may_be_configuration(file: File) -> bool:
    return file.kind == "file" and _CONFIGURATION.fullmatch(file.path) is not None


def _configuration(file: File) -> Mapping[str, Any]:
    """The configuration of a container image; an empty one where it is something else."""
    import json

    try:
        found: Any = json.loads(file.read(_LIMIT)) if file.read and file.size <= _LIMIT else None
    except (ValueError, RecursionError):
        return {}
    is_one = isinstance(found, dict) and isinstance(found.get("os"), str)
    return found if is_one and ("rootfs" in found or "architecture" in found) else {}


@rule(
    "LKV005",
    "image-without-source",
    Severity.LOW,
    "Image '{0}' does not say which sources it was built of: it lacks the labels '{1}'.",
    remedy="Build it with `linuxkit pkg build`, or give it the labels with `docker build --label`.",
    nist=("3.1.5",),
    profile=Profile.PEDANTIC,
    about=_may_be_configuration,
)
def image_without_source(file: File) -> Iterator[Verdict]:
    """A container image has no label that names its sources and their revision."""
    found = _configuration(file)
    if not found:
        yield not_applicable(file.path, file.place, "It is no configuration of a container image.")
        return
    inner = found.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    missing = [name for name in _LABELS if not (isinstance(labels, dict) and labels.get(name))]
    if missing:
        image = file.source or file.path
        yield fail(image, file.place, image, ", ".join(missing))


@rule(
    "LKV006",
    "old-image",
    Severity.LOW,
    "Image '{0}' was built on '{1}', more than two years ago.",
    remedy="Build it anew on a base of today, or take a newer one.",
    nist=("3.1.1",),
    profile=Profile.PEDANTIC,
    about=_may_be_configuration,
)
def old_image(file: File) -> Iterator[Verdict]:
    """A container image was built so long ago that its base lacks years of fixes.

    Images that can be built again bit by bit have no date, or that of 1970: nothing is said of them.
    """
    found = _configuration(file)
    created = str(found.get("created") or "")[:10]
    if not found:
        yield not_applicable(file.path, file.place, "It is no configuration of a container image.")
    elif not re.fullmatch(r"\d{4}-\d{2}-\d{2}", created) or created < "1990":
        yield not_applicable(file.path, file.place, "It does not say when the image was built.")
    elif (age := days_between(created, today())) > _AGE:
        image = file.source or file.path
        yield fail(image, file.place, image, created, evidence=[f"{age} days before {today()}"])


RULES = (build_with_network, fixed_package_tag, no_sbom, useless_sbom, image_without_source, old_image)
