"""Kernel configurations: the text of a .config, whole or a fragment."""

from __future__ import annotations

import re

from .source import LimitError

LIMIT = 4 << 20
"""Bytes that a configuration may have: real ones stay below 400 KiB."""

_LINE = re.compile(
    rb"^(?:CONFIG_(?P<name>\w+)=(?P<value>.*)|# CONFIG_(?P<off>\w+) is not set[ \t\r]*)$", re.MULTILINE | re.ASCII
)
_ESCAPE = re.compile(rb"\\(.)")
_VERSION = re.compile(rb"^# (?:Linux/\S+|Linux kernel version:) (?P<version>\d\S*)", re.MULTILINE)


def parse(text: bytes) -> dict[str, str]:
    """The options without CONFIG_: `y`, `m`, `n` (is not set), or the value's text without its quotes.

    The last line about an option wins, as in Kconfig; other lines are passed over. Raises LimitError.
    """
    _bound(text)
    return {
        (match["name"] or match["off"]).decode(): "n" if match["name"] is None else _value(match["value"])
        for match in _LINE.finditer(text)
    }


def version(text: bytes) -> str:
    """The release in the heading (`# Linux/x86 6.12.59 Kernel Configuration`), "" when there is none."""
    match = _VERSION.search(text[:4096])
    return match["version"].decode("ascii", "replace") if match else ""


def _bound(text: bytes) -> None:
    if len(text) > LIMIT:
        raise LimitError(f"a configuration of {len(text)} bytes, more than {LIMIT}")


def _value(raw: bytes) -> str:
    raw = raw.rstrip(b" \t\r")
    if raw[:1] == b'"':
        raw = _ESCAPE.sub(rb"\1", raw[1:-1] if raw.endswith(b'"') and len(raw) > 1 else raw[1:])
    return raw.decode("utf-8", "surrogateescape")
