"""Kernel command lines in boot loaders' configuration: SYSLINUX, GRUB, systemd-boot, U-Boot, plain files."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from .source import LimitError
from .subjects import KernelCommandLine, Place, Span

LIMIT = 1 << 20
"""Characters that such a file may have: Debian's largest has some 20,000."""

_KINDS = (
    ("grub", re.compile(r"(?:.*/)?grub[^/]*\.cfg|(?:.*/)?grub/(?:.*/)?[^/]+\.cfg")),
    ("u-boot", re.compile(r"(?:.*/)?boot\.(?:script|cmd)")),
    ("loader", re.compile(r"(?:.*/)?loader/entries/[^/]+\.conf")),
    ("syslinux", re.compile(r"(?:.*/)?(?:iso|sys|ext)linux(?:\.cfg|\.conf|/(?:.*/)?[^/]+\.(?:cfg|conf))")),
    ("syslinux", re.compile(r"(?:.*/)?(?:pxelinux\.cfg/[^/]+|boot-screens/[^/]+\.cfg)|[^/]+\.cfg")),
    ("cmdline", re.compile(r"(?:boot/)?(?:[^/]*-|\.)?cmdline(?:\.txt)?|etc/kernel/cmdline")),
)
_NOT_BOOTED = re.compile(r"(?:containers|usr|var)/")
"""Here such files are samples, or belong to a container, which boots nothing."""


def kind(path: str) -> str | None:
    """`grub`, `u-boot`, `loader`, `syslinux` or `cmdline`, by the path inside an image; None where none reads it.

    Case doesn't count, as boot loaders' file systems ignore it. A file named on its own goes by its last component.
    """
    path = path.lstrip("/").lower()
    if _NOT_BOOTED.match(path):
        return None
    return next((name for name, pattern in _KINDS if pattern.fullmatch(path)), None)


def read(path: str, text: str, place: Place) -> list[KernelCommandLine]:
    """The command lines that a file of this path can boot a kernel with, each once, in order.

    Files that it includes are read on their own. `place` gets the span of the text that the command line stands in.
    Empty when `kind` is None. Raises LimitError.
    """
    reader = _READERS.get(kind(path) or "")
    if reader is None:
        return []
    if len(text) > LIMIT:
        raise LimitError(f"a boot loader's configuration of {len(text)} characters, more than {LIMIT}")
    lines = _Lines(text)
    found = dict.fromkeys(reader(text))
    return [KernelCommandLine(Place(place.artifacts, lines.span(start, end)), line) for line, start, end in found]


_Found = Iterator[tuple[str, int, int]]
"""A command line, and where in the text it starts and ends."""


class _Lines:
    """Turns offsets of a text into lines and columns."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def span(self, start: int, end: int) -> Span:
        """The stretch from offset `start` up to `end`."""
        return Span(*self._position(start), *self._position(end))

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def _plain(text: str) -> _Found:
    """The whole file: LinuxKit's boot/cmdline, kernel-install's, the Raspberry Pi's."""
    line = text.strip(" \t\r\n\0")
    if line:
        start = text.index(line)
        yield line, start, start + len(line)


_DIRECTIVE = re.compile(r"^[ \t]*(\w+)(?:[ \t]+(.*))?\r?$", re.MULTILINE)
_HELP = re.compile(r"^[ \t]*text[ \t]+help\b.*?(?:^[ \t]*endtext\b|\Z)", re.MULTILINE | re.DOTALL | re.IGNORECASE)
_NO_KERNEL = (".c32", ".com", ".cbt", ".bin", ".bss", ".bs", ".0", ".img")
"""Suffixes of what SYSLINUX runs or loads instead of a kernel; its APPEND is no kernel command line."""
_OTHERS = frozenset({"boot", "bss", "com32", "comboot", "config", "fdimage", "localboot", "pxe"})
"""Directives that do the same."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a directive's line, and the offset that it starts at."""

    text: str
    start: int

    def split(self) -> tuple[_Part, _Part | None]:
        """The first word and what follows it, None when nothing does."""
        first, _, rest = self.text.partition(" ")
        rest = rest.strip()
        following = _Part(rest, self.start + len(self.text) - len(rest)) if rest else None
        return _Part(first, self.start), following


@dataclass(slots=True)
class _Label:
    """What SYSLINUX's directives say of one label; `append` is None where the global one counts."""

    name: str = ""
    boots: bool = True
    inline: _Part | None = None
    append: _Part | None = None

    def lines(self, common: _Part | None, extra: _Part | None = None) -> _Found:
        """The command line: arguments beside the kernel's name, APPEND (`-` is none), and what DEFAULT adds."""
        append = self.append or common
        parts = [part for part in (self.inline, append, extra) if part and part.text not in {"", "-"}]
        if self.boots and parts:
            end = max(part.start + len(part.text) for part in parts)
            yield " ".join(part.text for part in parts), min(part.start for part in parts), end


def _syslinux(text: str) -> _Found:
    """One for each label that starts a kernel, and one for a DEFAULT with arguments of its own."""
    labels = [_Label()]
    default: _Part | None = None
    for name, value in _directives(text):
        if name == "label":
            labels.append(_Label(value.text))
        elif name == "default":
            default = value
        else:
            _tell(labels[-1], name, value)
    common = labels[0].append
    for label in labels[1:] or labels:
        yield from label.lines(common)
    chosen, extra = default.split() if default else (None, None)
    if chosen and extra:
        label = next((one for one in labels[1:] if one.name == chosen.text), _Label())
        yield from label.lines(common, extra)


def _tell(label: _Label, name: str, value: _Part) -> None:
    if name == "append":
        label.append = value
    elif name in {"kernel", "linux"}:
        kernel, label.inline = value.split()
        label.boots = name == "linux" or not kernel.text.lower().endswith(_NO_KERNEL)
    elif name in _OTHERS:
        label.boots = False


def _directives(text: str) -> Iterator[tuple[str, _Part]]:
    """(name in lower case, its value), help texts left out."""
    text = _HELP.sub(lambda match: " " * len(match[0]), text)
    for match in _DIRECTIVE.finditer(text):
        start = match.start(2) if match[2] else match.end()
        yield match[1].lower(), _Part((match[2] or "").rstrip(), start)


_TOKEN = re.compile(
    r"""(?P<blank>(?:[ \t\r]|\\\r?\n)+|\#[^\n]*)
    |(?P<end>[\n;{}|&<>])
    |(?P<word>(?:\$\{[^{}\s]*\}|\\[\s\S]|'[^']*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"|[^\s;{}|&<>\\'"])+)
    |(?P<stray>[\s\S])""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"""\\(\r?\n|[\s\S])|'([^']*)'|"([^"\\]*(?:\\[\s\S][^"\\]*)*)\"""")
_IN_QUOTES = re.compile(r"\\(\r?\n|[\"$\\])")
_MARKED = re.compile(r"([\\'\"])")
_LINUX = frozenset({"linux", "linux16", "linuxefi"})


def _grub(text: str) -> _Found:
    """One for each `linux` command; variables stay as they are written."""
    for words in _commands(text):
        if len(words) > 2 and _unquoted(words[0][0]) in _LINUX:  # noqa: PLR2004 - the command and the kernel
            line = " ".join(_as_grub_passes(_unquoted(word[0])) for word in words[2:])
            yield line, words[2].start(), words[-1].end()


def _commands(text: str) -> Iterator[list[re.Match[str]]]:
    words: list[re.Match[str]] = []
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "word":
            words.append(token)
        elif token.lastgroup == "end":
            yield words
            words = []
    yield words


def _unquoted(word: str) -> str:
    return _QUOTED.sub(_bare, word)


def _bare(match: re.Match[str]) -> str:
    escaped, single, double = match.groups()
    if escaped is not None:
        return "" if escaped.endswith("\n") else escaped
    return single if single is not None else _IN_QUOTES.sub(lambda one: one[1].strip("\r\n"), double)


def _as_grub_passes(word: str) -> str:
    """How GRUB writes an argument into the command line: quotes around one with a space, a backslash before others."""
    word = _MARKED.sub(r"\\\1", word)
    return f'"{word}"' if " " in word else word


_OPTIONS = re.compile(r"^[ \t]*options[ \t]+(\S.*)$", re.MULTILINE)


def _loader(text: str) -> _Found:
    """The `options` of a systemd-boot entry, joined when there are several."""
    matches = list(_OPTIONS.finditer(text))
    if matches:
        line = " ".join(match[1].rstrip() for match in matches)
        yield line, matches[0].start(1), matches[-1].start(1) + len(matches[-1][1].rstrip())


_BOOTARGS = re.compile(
    r"""^[ \t]*(?:env[ \t]+set|setenv)[ \t]+bootargs[ \t]+("[^"\n]*"|'[^'\n]*'|[^;\r\n]+)""", re.MULTILINE
)


def _u_boot(text: str) -> _Found:
    """What a script sets `bootargs` to; variables stay as they are written."""
    for match in _BOOTARGS.finditer(text):
        line = match[1].strip()
        start = match.start(1)
        yield line.strip("\"'"), start, start + len(line)


_READERS = {"u-boot": _u_boot, "cmdline": _plain, "syslinux": _syslinux, "grub": _grub, "loader": _loader}
