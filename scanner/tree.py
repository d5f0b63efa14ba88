"""What all file trees share: which paths are accepted, how entries are counted, and the making of a File."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from .source import Budget, Source
from .stream import Stream
from .subjects import File, FileKind, Place, Problem

NOTHING: Mapping[str, bytes] = MappingProxyType({})

KINDS: dict[int, FileKind] = {
    0o010000: "fifo",
    0o020000: "char",
    0o040000: "dir",
    0o060000: "block",
    0o100000: "file",
    0o120000: "symlink",
    0o140000: "socket",
}
"""File types by the upper bits of st_mode."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What a format holds instead of files: an unpacked stream, a partition, a boot image.

    `label` is its name in the chain of artifacts ("" when it goes by its container's). An `optional` layer need not
    be readable when the rest of the image already tells the kernel and its command line.
    """

    content: Stream | Source
    label: str = ""
    optional: bool = False


Entry = tuple[File, Stream | None] | Problem | Layer
"""What a format yields: a file and its content, something it could not read, or a further layer."""


def text(name: bytes) -> str:
    """A name as File has it: bytes that are not UTF-8 stand as surrogates, whatever the locale."""
    return name.decode("utf-8", "surrogateescape")


class Tree:
    """The file tree of one layer, being read: makes Files of entries, in the order in which a format meets them."""

    def __init__(self, place: Place, budget: Budget) -> None:
        self.place = place
        self.budget = budget
        self._artifacts = place.artifacts

    def path(self, name: bytes) -> str:
        """`name` without leading and trailing slashes and dots; "" when it is not acceptable."""
        limits = self.budget.limits
        if not 0 < len(name) <= limits.path or b"\0" in name:
            return ""
        parts = [part for part in name.split(b"/") if part and part != b"."]
        if len(parts) > limits.depth or b".." in parts:
            return ""
        return text(b"/".join(parts)) or "."

    def problem(self, name: bytes, message: str) -> Problem:
        """Something about one entry that was not read."""
        shown = self.path(name) or text(name[:256].replace(b"\0", b"?")) or "(no name)"
        return Problem(self.place.inside(shown), message)

    def entry(
        self,
        name: bytes,
        mode: int,
        owner: tuple[int, int],
        size: int,
        content: Stream | None = None,
        *,
        link: str = "",
        kind: FileKind | None = None,
        xattrs: Mapping[str, bytes] = NOTHING,
        provenance: tuple[str, str] = ("", ""),
    ) -> Entry:
        """One entry with its st_mode and (uid, gid), `link` being its target."""
        path = self.path(name)
        kind = kind or KINDS.get(mode & 0o170000)
        if not path:
            return self.problem(name, "the path is not acceptable (too long, too deep, NUL or ..); entry skipped")
        if kind is None:
            return self.problem(name, f"the entry has no known file type (mode {mode:o}); entry skipped")
        place = Place((*self._artifacts, path))
        read = content.peek if content else None
        source, location = provenance
        permissions = mode & 0o7777
        return (
            File(
                path,
                kind,
                permissions,
                *owner,
                size,
                place,
                link,
                xattrs,
                source,
                location,
                read,
                pieces=content.pieces if content else None,
                again=partial(content.afresh, self.budget.spend) if content else None,
                packed=content.packed if content else None,
            ),
            content,
        )
