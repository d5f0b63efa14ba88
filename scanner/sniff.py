"""Whether a text is a LinuxKit spec or package, told from its outermost keys without parsing it."""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet

from .source import LimitError
from .startup import Literal
from .yamlpos import SIZE_LIMIT, YamlError, parse

Kind = Literal["spec", "package"]

_KEY = rb"""(?m)^( *)(?:- *)?["']?([\w.-]+)["']? *:(?=[ \r\n]|$)"""
_STRONG = frozenset((b"onboot", b"onshutdown"))
_PACKAGE = frozenset(
    b"org config arches network gitrepo extra-sources disable-cache buildArgs dockerfile depends tag "
    b"disable-content-trust".split()
)
_TELLING = _PACKAGE - frozenset((b"org", b"network", b"dockerfile", b"tag"))
"""Those that make a package of a file whatever its name."""
_BELOW = rb"(?:[ \t]*(?:#.*)?\r?\n)+"
_MAP = rb"(?:" + _BELOW + rb"[ \t]+|[ \t]*\{\s*)"
_LIST = rb"(?:" + _BELOW + rb" *- +|[ \t]*\[\s*)"


def _list_of(key: bytes) -> bytes:
    """A list whose first item is a map with `key` among its first keys, in block or flow style."""
    return _LIST + rb"(?:\{(?:[^\n]*[ ,{\"'])?|(?:[\w.]+ *: .*\r?\n +){0,9})" + key + rb"[\"']? *:"


_SHAPES = {
    b"kernel": _MAP + rb"[\"']?(?:image|cmdline|binary|tar|ucode)[\"']? *:",
    b"init": _LIST + rb"[\"'$@{]*[\w./-]+[:/@][\w.$@{-]\S*\s*(\n|$)",
    b"files": _list_of(b"path"),
    b"volumes": _list_of(b"name") + rb"[^\n]*(?!\s+(?:hostPath|emptyDir|secret|configMap|persistent\w+|host) *:)(\n|$)",
    b"trust": _MAP + rb"[\"']?(?:org|image)[\"']? *:\s+[\[-]",
    **dict.fromkeys((b"services", b"system", b"daemon"), _list_of(b"image")),
}
"""What stands below a key in a LinuxKit spec, and in no compose file, pipeline or pod."""

_FOREIGN = frozenset(b"apiVersion kind version stages script jobs steps runcmd packages name on".split())
"""Outermost keys that other tools' files have."""


def sniff(data: bytes, name: str = "") -> Kind | None:
    """`spec`, `package`, or None for anybody else's text; `name` is the file's, for a build.yml with little in it."""
    head = _utf8(data)
    keys = _block_keys(head) or _flow_keys(head)
    if b"image" in keys and not keys.keys() & (_STRONG | _FOREIGN):
        return "package" if _is_package(keys.keys(), os.path.basename(name)) else None
    if keys.keys() & _STRONG:
        return "spec"
    if keys.keys() & _FOREIGN:
        return None
    return "spec" if any(_looks(head, key, at) for key, at in keys.items()) else None


_MAPS = frozenset((b"kernel", b"trust"))
_LISTS = frozenset((b"init", b"services", b"files", b"volumes"))
_LIST = rb"[ \t]*(?:\[|(?:#.*)?(?:\r?\n[ \t]*(?:#.*)?)*- )"


def likely(data: bytes, name: str = "") -> Kind | None:
    """The same of a file that somebody calls a spec: one with an error where `sniff` looks is still one."""
    if found := sniff(data, name):
        return found
    head = _utf8(data)
    keys = _block_keys(head) or _flow_keys(head)
    if keys.keys() & (_FOREIGN | {b"image"}):
        return None
    lists = any(at < 0 or re.match(_LIST, head[at : at + 4096]) for key, at in keys.items() if key in _LISTS)
    return "spec" if lists or keys.keys() & _MAPS else None


def _is_package(keys: AbstractSet[bytes], name: str) -> bool:
    """LinuxKit's packages are described in build.yml, or build-SOMETHING.yml; elsewhere a telling key must be there."""
    if name in {"build.yml", "build.yaml"}:
        return True
    is_named = name.startswith("build") or bool(keys & _TELLING)
    return is_named and len(keys & _PACKAGE) * 2 >= len(keys) - 1


def _utf8(data: bytes) -> bytes:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data[:SIZE_LIMIT].decode("utf-16", "replace").encode("utf-8", "replace")
    return data.removeprefix(b"\xef\xbb\xbf")


def _block_keys(data: bytes) -> dict[bytes, int]:
    """The keys of the outermost block mapping, each with the offset behind its colon; none in flow style."""
    found: dict[bytes, int] = {}
    indent = None
    for match in re.finditer(_KEY, data[:SIZE_LIMIT]):
        if indent is None:
            indent = match[1]
        if match[1] == indent and b"-" not in data[match.start() : match.start(2)]:
            found.setdefault(match[2], match.end())
    return found


def _flow_keys(data: bytes) -> dict[bytes, int]:
    """The same of a document in flow style, or in JSON: it is parsed, if one of LinuxKit's words is in it at all."""
    if data.lstrip()[:1] != b"{" or not any(word in data for word in (*_STRONG, *_SHAPES, b"image")):
        return {}
    try:
        root = parse(data).root
    except (YamlError, LimitError):
        return {}
    return {key.text.encode("utf-8", "replace"): -1 for key, _ in root.pairs} if root else {}


def _looks(data: bytes, key: bytes, at: int) -> bool:
    shape = _SHAPES.get(key)
    return shape is not None and (at < 0 or re.match(shape, data[at : at + 4096]) is not None)
