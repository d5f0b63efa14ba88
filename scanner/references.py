"""References to container images: what pins them, whether LinuxKit takes them, and the full name they stand for."""

from __future__ import annotations

import re

from .subjects import ImageReference, Place, ReferenceClass

_PLACEHOLDER = r"\$\{|\$[A-Za-z_(]|\{\{|<[^<>]*>|@@|%[A-Z_]+%|^[A-Z][A-Z0-9_]*$"
"""What a template fills in: ${VAR} $VAR {{ x }} <x> @@X@@ %X%, or a bare NAME_TAG (no image name is upper case)."""
_MARKS = ("$", "{{", "<", "@@", "%")
"""One of them is in each but the last."""
_HEX = frozenset("0123456789abcdef")
_TREE_HASH = 40
_SHA256 = len("sha256:") + 64
_BAD_HOST = frozenset(" #%/?@\\^`{|}")
_BAD_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_PACKAGE = "@pkg:"


def reference(text: str, role: str, place: Place) -> ImageReference:
    """The reference that `text` is; any text is one, and `kind` says of what sort."""
    name, tag, digest = split(text)
    kind = _kind(text, tag)
    repository = "" if kind in {"package", "placeholder"} or not name else full_name(name)
    return ImageReference(text, name, tag, digest, kind, role, place, repository)


def split(text: str) -> tuple[str, str, str]:
    """Name, tag and digest (with its `sha256:`), each "" when it is not there."""
    if text.startswith(_PACKAGE):
        return text, "", ""
    rest, _, digest = text.partition("@")
    head, slash, last = rest.rpartition("/")
    base, _, tag = last.partition(":")
    return head + slash + base, tag, digest


def _kind(text: str, tag: str) -> ReferenceClass:
    if text.startswith(_PACKAGE):
        return "package"
    if (text.isupper() or any(one in text for one in _MARKS)) and re.search(_PLACEHOLDER, text):
        return "placeholder"
    if "@" in text:
        return "digest"
    if not tag:
        return "untagged"
    parts = tag.split("-")  # a kernel's tag has the version in front, one architecture's has its name behind
    if any(len(part) == _TREE_HASH and _HEX.issuperset(part) for part in parts):
        return "dirty-tag" if "dirty" in parts else "content-tag"
    return "latest" if tag == "latest" else "version-tag"


def expand(text: str) -> str:
    """The reference with its registry: `redis` is docker.io/library/redis, `a/b` is docker.io/a/b, as in LinuxKit."""
    parts = text.split("/")
    if len(parts) == 1:
        return "docker.io/library/" + text
    is_domain = "." in parts[0] or ":" in parts[0] or parts[0] == "localhost"
    return text if len(parts) > 2 or is_domain else "docker.io/" + text  # noqa: PLR2004 - registry/org/name is full


def full_name(name: str) -> str:
    """`name` (no tag) with its registry, docker.io under its one name."""
    full = expand(name)
    return "docker.io/" + full.removeprefix("index.docker.io/") if full.startswith("index.docker.io/") else full


def complaint(text: str) -> str:
    """Why LinuxKit cannot parse a reference, or "" when it can.

    It expands the reference and hands it to containerd, which parses it as an URL without a scheme.
    """
    full = expand(text)
    if "://" in full:
        return "it holds '://'"
    if any(one < " " or one == "\x7f" for one in full):
        return "it holds a control character"
    location, _, fragment = full.partition("#")
    host, _, path = location.partition("?")[0].partition("/")
    if "%" in full and (re.search(_BAD_ESCAPE, path) or re.search(_BAD_ESCAPE, fragment)):
        return "it holds a '%' that is no escape"
    user, _, host = host.rpartition("@")
    return _host_complaint(host) or ("its user part holds an invalid character" if _BAD_HOST & {*user} else "")


def _host_complaint(host: str) -> str:
    if not host:
        return "it names no registry host"
    if host.startswith("[") and "]" not in host:
        return "its registry host lacks a ']'"
    bad = sorted(_BAD_HOST & {*host})
    if bad:
        return f"its registry host holds '{bad[0]}'"
    colon, port = host.rpartition(":")[1:]
    if colon and port and not (port.isascii() and port.isdigit()) and not port.endswith("]"):
        return f"'{port}' is no port number"
    return ""


def canonical(text: str) -> str:
    """The full name with its tag, `latest` when there is none; a digest is left out."""
    name, tag, _ = split(text)
    return f"{full_name(name)}:{tag or 'latest'}"


_HOST = r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_ADDRESS = rf"({_HOST})/({_PART}(?:/{_PART})*):([A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})"
_ADDRESS_LIMIT = 512
"""Characters of an address; registries allow 255 for host and repository, and 128 for the tag."""


def address(text: str) -> tuple[str, str, str] | None:
    """Host, repository and tag of a canonical reference; None when no registry could have it.

    The grammar is that of the OCI distribution specification, and of Docker for the host.
    """
    found = re.fullmatch(_ADDRESS, text) if len(text) <= _ADDRESS_LIMIT else None
    return (found[1], found[2], found[3]) if found else None


def is_sha256(digest: str) -> bool:
    """Whether it is a digest as LinuxKit takes it behind an `@`: sha256 and nothing else."""
    return digest.startswith("sha256:") and len(digest) == _SHA256 and _HEX.issuperset(digest[7:])
