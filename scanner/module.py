"""Loadable kernel modules: what .modinfo says, and whether a signature is appended."""

from __future__ import annotations

from .elf import Elf
from .source import Budget, DamagedError, Limits
from .subjects import File, KernelModule

_RELOCATABLE = 1
_TRAILER = b"~Module signature appended~\n"
_SIGNATURE_INFO = 12
"""Bytes before the trailer: five single ones, three of padding, the signature's length (big endian)."""
_SUFFIXES = (".gz", ".xz", ".zst", ".ko")


def read(file: File, data: bytes, budget: Budget | None = None) -> KernelModule:
    """The facts of a module, compressed or not.

    A key that stands more than once (alias, parm, firmware) has its values joined by line breaks. Raises DamagedError,
    LimitError when it unpacks beyond the `budget`.
    """
    data = expanded(data, budget)
    elf = Elf(data)
    if elf.type != _RELOCATABLE:
        raise DamagedError("no kernel module: not a relocatable ELF object")
    info = _pairs(elf.section_named(b".modinfo") or b"")
    return KernelModule(file, info.get("name") or _stem(file.path), info, _is_signed(data))


_OUTLINE = ("license", "vermagic", "retpoline", "intree", "name")


def outline(found: KernelModule) -> KernelModule:
    """The same with what all modules together are judged by, and nothing of the file's content."""
    info = {key: found.info[key] for key in _OUTLINE if key in found.info}
    return found._replace(file=found.file._replace(read=None, pieces=None), info=info)


def expanded(data: bytes, budget: Budget | None) -> bytes:
    """A module's file, or another that may be compressed, unpacked. Raises DamagedError, LimitError."""
    from .compression import expand, identify

    kind = identify(data[:16])
    return expand(data, kind, Limits().body, budget) if kind else data


def _pairs(section: bytes) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for entry in section.decode("utf-8", "surrogateescape").split("\0"):
        key, equals, value = entry.partition("=")
        if equals:
            found.setdefault(key, []).append(value)
    return {key: "\n".join(values) for key, values in found.items()}


def _stem(path: str) -> str:
    """The name by which the kernel knows the module of this file."""
    name = path.rpartition("/")[2]
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name.replace("-", "_")


def _is_signed(data: bytes) -> bool:
    """Whether a signature is there; whether it is valid depends on keys that only the kernel has."""
    if not data.endswith(_TRAILER):
        return False
    end = len(data) - len(_TRAILER)
    length = int.from_bytes(data[end - 4 : end], "big")
    if length + _SIGNATURE_INFO > end:
        raise DamagedError(f"a signature of {length} bytes before byte {end}")
    return True
