"""The walk through file systems of inodes: every directory once on its way down, hard links, and what breaks off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

from .blocks import Mapped
from .source import DamagedError, LimitError, Source
from .stream import Stream, over
from .tree import KINDS, Entry, Tree, text


class Inode(Protocol):
    """What all of them have."""

    @property
    def mode(self) -> int:
        """Its st_mode."""

    @property
    def owner(self) -> tuple[int, int]:
        """User and group."""

    @property
    def links(self) -> int:
        """How many names it has."""

    @property
    def size(self) -> int:
        """Bytes of its content."""


Node = TypeVar("Node", bound=Inode)


class _Pending(NamedTuple):
    """A directory still to be read, by what leads to its inode, and those that lead to it."""

    path: bytes
    key: int
    above: tuple[int, ...]


class Walk(ABC, Generic[Node]):
    """Yields a file system's entries, directory by directory. A key is the number by which an inode is found.

    A format tells the inode of a key, its extended attributes, what a directory holds, where a link leads to and what
    is in a file; each may raise DamagedError, which costs only what it is raised for, and LimitError, which ends all.
    """

    def __init__(self, source: Source, tree: Tree) -> None:
        self.source = source
        self.tree = tree
        self._linked: dict[int, str] = {}
        self._pending: list[_Pending] = []

    @abstractmethod
    def inode(self, key: int) -> Node:
        """The inode of a key."""

    @abstractmethod
    def attributes(self, inode: Node) -> Mapping[str, bytes]:
        """Its extended attributes by name."""

    @abstractmethod
    def names(self, inode: Node) -> Iterator[tuple[int, bytes]]:
        """Key and name of what a directory holds, but for itself and the one above."""

    @abstractmethod
    def target(self, inode: Node) -> bytes:
        """Where a symbolic link leads to."""

    @abstractmethod
    def content(self, inode: Node) -> tuple[Stream, int]:
        """What is in a file, and where in the source it ends."""

    def below(self, root: int, what: str) -> Iterator[Entry]:
        """Everything, the root first. Raises DamagedError, naming `what`, where there is none."""
        inode = self.inode(root)
        if KINDS.get(inode.mode & 0o170000) != "dir":
            raise DamagedError(f"the root of the {what} is no directory")
        yield self.tree.entry(b".", inode.mode, inode.owner, 0, xattrs=self.attributes(inode))
        self._pending = [_Pending(b"", root, ())]
        while self._pending:
            here = self._pending.pop()
            level = len(self._pending)
            try:
                for key, name in self.names(self.inode(here.key)):
                    self.tree.budget.entry()
                    yield from self._item(key, here.path + name, here)
            except LimitError:
                raise
            except DamagedError as error:
                yield self.tree.problem(here.path or b".", str(error))
            self._pending[level:] = reversed(self._pending[level:])

    def _item(self, key: int, name: bytes, here: _Pending) -> Iterator[Entry]:
        try:
            inode = self.inode(key)
            xattrs = self.attributes(inode)
        except LimitError:
            raise
        except DamagedError as error:
            yield self.tree.problem(name, f"{error}; entry skipped")
            return
        kind = KINDS.get(inode.mode & 0o170000)
        if kind == "dir":
            yield self.tree.entry(name, inode.mode, inode.owner, 0, xattrs=xattrs)
            if key == here.key or key in here.above:
                yield self.tree.problem(name, "the directory holds itself; not followed")
            elif len(here.above) >= self.tree.budget.limits.depth:
                yield self.tree.problem(name, "the directory is nested too deep (limit: depth); not followed")
            else:
                self._pending.append(_Pending(name + b"/", key, (*here.above, here.key)))
        elif key in self._linked:
            yield self.tree.entry(name, inode.mode, inode.owner, 0, kind="hardlink", link=self._linked[key])
        else:
            if inode.links > 1 and (path := self.tree.path(name)):
                self._linked[key] = path
            yield from self._leaf(inode, name, kind or "", xattrs)

    def _leaf(self, inode: Node, name: bytes, kind: str, xattrs: Mapping[str, bytes]) -> Iterator[Entry]:
        """A file, a link, or what has no content."""
        link, stream, end = "", None, 0
        try:
            if kind == "symlink":
                link = text(self.target(inode))
            elif kind == "file":
                stream, end = self.content(inode)
        except LimitError:
            raise
        except DamagedError as error:
            yield self.tree.entry(name, inode.mode, inode.owner, inode.size, xattrs=xattrs)
            yield self.tree.problem(name, f"the content is not read: {error}")
            return
        size = inode.size if kind in {"file", "symlink"} else 0
        yield self.tree.entry(name, inode.mode, inode.owner, size, stream, link=link, xattrs=xattrs)
        if stream:
            stream.close()
            if end > self.source.size and not stream.failure:
                why = f"the content ends at byte {end}, behind the end of the image at byte {self.source.size}"
                yield self.tree.problem(name, why)

    def over(self, content: Source) -> tuple[Stream, int]:
        """Content that lies somewhere in the source, as `content` tells it."""
        stream = over(content, self.tree.budget, "the content of the file") if content.size else Stream(iter(()))
        return stream, content.end if isinstance(content, Mapped) else 0
