"""Limits as users write them: `total=32G`, on the command line and in the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .scanner.schema import suggest
from .scanner.source import Limits

FORM = "NAME=SIZE"
_SIZE = re.compile(r"([0-9]{1,18})(?:([KMGT])(?:i?B)?)?", re.IGNORECASE)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_MOST = (1 << 63) - 1

GUARDS = frozenset({"address", "seconds"})
"""What bounds the process as a whole, whatever the others are: a configuration that was found may not raise them."""


class LimitsError(ValueError):
    """No limit, or no size; the message says what to write."""


def size(text: str) -> int:
    """`512M` in bytes (or entries, or whatever is counted); K, M, G and T are powers of 1024. Raises LimitsError."""
    match = _SIZE.fullmatch(text.strip())
    value = int(match[1]) << _UNITS[(match[2] or "").upper()] if match else 0
    if not 0 < value <= _MOST:
        raise LimitsError(f"'{text[:40]}' is no size: write a number above 0, such as 400000, 512M or 32G")
    return value


def budget(text: str) -> tuple[str, int]:
    """The component and its bytes in `services/web=5M`; "", for the whole image, in `35M`. Raises LimitsError."""
    name, equals, value = text.rpartition("=")
    if equals and not name.strip():
        raise LimitsError(f"'{text[:40]}' is no budget: write 35M for an image, or {FORM} for a component of it")
    return name.strip(), size(value)


def limit(text: str) -> tuple[str, int]:
    """The name and value in `total=32G`. Raises LimitsError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise LimitsError(f"'{text[:40]}' is no limit: write {FORM}, such as total=32G")
    known(name.strip())
    return name.strip(), size(value)


def known(name: str) -> None:
    """Whether there is such a limit. Raises LimitsError."""
    if name not in Limits._fields:
        hint = suggest(name, Limits._fields) or f"there are {', '.join(Limits._fields)}"
        raise LimitsError(f"no limit is called '{name[:40]}'; {hint}")


def merged(*layers: Mapping[str, int]) -> Limits:
    """The defaults with what the layers say, the first of them first."""
    return Limits(**{name: value for layer in reversed(layers) for name, value in layer.items()})


def raised(values: Mapping[str, int], names: Iterable[str] = GUARDS) -> list[str]:
    """Which of `names` the values raise over the defaults."""
    default = Limits()
    return sorted(name for name in names if values.get(name, 0) > getattr(default, name))
