"""Family V, as far as a package decides it: whether what is in an image can be traced back to its sources."""

import re
from collections.abc import Iterator

from ..scanner.subjects import Change, Spec
from .engine import Fix, Profile, Severity, Verdict, fail, rule
from .spec import is_parsed


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


RULES = (build_with_network, fixed_package_tag)
