"""Kernel configurations: the text of a .config, whole or a fragment."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .source import LimitError

LIMIT = 4 << 20
"""Bytes that a configuration may have: real ones stay below 400 KiB."""

_LINE = re.compile(
    rb"^(?:CONFIG_(?P<name>\w+)=(?P<value>.*)|# CONFIG_(?P<off>\w+) is not set[ \t\r]*)$", re.MULTILINE | re.ASCII
)
_ARCHITECTURES = (
    ("X86_64", "x86_64"),
    ("X86_32", "x86"),
    ("ARM64", "arm64"),
    ("ARM", "arm"),
    ("S390", "s390x"),
    ("PPC64", "ppc64"),
    ("LOONGARCH", "loongarch64"),
)
_FIRST = 64
"""Lines that tell whether a text is a configuration."""

_ESCAPE = re.compile(rb"\\(.)")
_VERSION = re.compile(rb"^# (?:Linux/\S+|Linux kernel version:) (?P<version>\d\S*)", re.MULTILINE)


def sniff(head: bytes) -> bool:
    """Whether a text that starts with `head` is a configuration: options, comments and empty lines, nothing else."""
    if b"CONFIG_" not in head:
        return bool(version(head))
    whole, _, rest = head.rpartition(b"\n")
    lines = [line for line in (whole or rest).split(b"\n") if line.strip()][:_FIRST]
    options = [line for line in lines if _LINE.match(line)]
    return bool(options or version(head)) and all(line in options or line.lstrip()[:1] == b"#" for line in lines)


def architecture(options: Mapping[str, str]) -> str:
    """`x86_64`, `x86`, `arm64`, `arm`, `riscv64` …; "" where the configuration does not tell."""
    if options.get("RISCV") == "y":
        return "riscv64" if options.get("64BIT") == "y" else "riscv32"
    return next((name for option, name in _ARCHITECTURES if options.get(option) == "y"), "")


def parse(text: bytes) -> dict[str, str]:
    """The options without CONFIG_: `y`, `m`, `n` (is not set), or the value's text without its quotes.

    The last line about an option wins, as in Kconfig; other lines are passed over. Raises LimitError.
    """
    _bound(text)
    plain = {b"y": "y", b"m": "m"}  # nine in ten: a third of the time
    return {
        (name or off).decode(): (plain.get(value) or _value(value)) if name else "n"
        for name, value, off in _LINE.findall(text)
    }


def version(text: bytes) -> str:
    """The release in the heading (`# Linux/x86 6.12.59 Kernel Configuration`), "" when there is none."""
    match = _VERSION.search(text[:4096])
    return match["version"].decode("ascii", "replace") if match else ""


def releases(text: bytes, options: Mapping[str, str]) -> set[str]:
    """The releases that a kernel built by it may have: that of the heading, alone and with CONFIG_LOCALVERSION."""
    number = version(text)
    return {number, number + options.get("LOCALVERSION", "")} if number else set()


def _bound(text: bytes) -> None:
    if len(text) > LIMIT:
        raise LimitError(f"a configuration of {len(text)} bytes, more than {LIMIT}")


def _value(raw: bytes) -> str:
    raw = raw.rstrip(b" \t\r")
    if raw[:1] == b'"':
        raw = _ESCAPE.sub(rb"\1", raw[1:-1] if raw.endswith(b'"') and len(raw) > 1 else raw[1:])
    return raw.decode("utf-8", "surrogateescape")
