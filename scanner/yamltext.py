"""A YAML document as text: where a pointer leads in it, where its comments are, and what one value reads like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .source import LimitError
from .startup import NamedTuple
from .yamlpos import Document, Node, YamlError, parse, shown

_LINE_END = re.compile(r"[^\r\n]*")
_GAP = re.compile(r"[&!][^\s,\[\]{}]*|#[^\r\n]*")
"""In the text between scalars: an anchor or a tag, which may hold a `#`, or a comment."""
PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*\s+)*")
_ITEM = re.compile(r"\[(\d+)\]")


class PatchError(Exception):
    """The change cannot be made as text without touching something else; the message says why."""


def parsed(text: str) -> Document:
    """The document that a text is. Raises PatchError."""
    try:
        return parse(text.encode())
    except (YamlError, LimitError, UnicodeEncodeError) as error:
        raise PatchError(f"the text would be no valid YAML: {error}") from None


def scalar(text: str) -> Node:
    """The value that a change writes: one line of YAML. Raises PatchError."""
    if len(text.splitlines()) > 1:
        raise PatchError("the new value takes more than a line")
    return root(parsed(text))


def root(document: Document) -> Node:
    """Its first value; null where there is none."""
    return document.root or Node("null", None, "", 0, 0)


class Step(NamedTuple):
    """A value inside a map or list: which one, and the key in front of it."""

    parent: Node
    index: int  # type: ignore[assignment]  # hides tuple.index, which has no meaning here

    @property
    def key(self) -> Node | None:
        """The key in front of it, in a map."""
        return self.parent.pairs[self.index][0] if self.parent.kind == "map" else None

    @property
    def value(self) -> Node:
        """The value itself."""
        pairs, items = self.parent.pairs, self.parent.items
        return pairs[self.index][1] if pairs else items[self.index]

    @property
    def name(self) -> str | int:
        """Its key's text, or its number in a list."""
        return self.index if self.key is None else self.key.text


def _steps(node: Node, pointer: str, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Every way down that reads like the pointer: a key with dots in it may look like two keys."""
    if not pointer:
        yield path
        return
    rest = pointer.removeprefix(".") if path else pointer
    for i, (key, value) in enumerate(node.pairs):
        left = rest[len(key.text) :]
        if rest.startswith(key.text) and left[:1] in {"", ".", "["}:
            yield from _steps(value, left, (*path, Step(node, i)))
    item = _ITEM.match(pointer)
    if item and int(item[1]) < len(node.items):
        yield from _steps(node.items[int(item[1])], pointer[item.end() :], (*path, Step(node, int(item[1]))))


def find(top: Node, pointer: str) -> tuple[Step, ...]:
    """The way to the value that a pointer names. Raises PatchError unless there is just one, of its own text."""
    found = list(_steps(top, pointer))
    if len(found) != 1:
        raise PatchError(f"'{shown(pointer)}' {'names two values' if found else 'is not there'}")
    for step in found[0]:
        inner = step.key or step.value
        if not step.parent.start <= inner.start <= step.value.end <= step.parent.end:
            raise PatchError(f"'{shown(pointer)}' comes from an anchor, which other places may use too")
    return found[0]


def comments(document: Document) -> Iterator[tuple[int, int]]:
    """Where comments are: the parts of a text that belong to no scalar, and begin with `#`."""
    at = 0
    for start, end in [*_scalars(document.text, document.root), (len(document.text), len(document.text))]:
        for found in _GAP.finditer(document.text, at, start):
            if found[0][0] == "#":
                yield found.span()
        at = max(at, end)


def _scalars(text: str, root: Node | None) -> list[tuple[int, int]]:
    """The stretches of scalars in the order of the text; of block scalars without the line that opens them."""
    found = []
    stack = [root] if root else []
    while stack:
        node = stack.pop()
        inner = [part for pair in node.pairs for part in pair] or node.items
        own = [one for one in inner if node.start <= one.start <= one.end <= node.end]
        if node.kind in {"map", "seq"}:
            stack += own
            continue
        properties = PROPERTIES.match(text, node.start, node.end)
        start = properties.end() if properties else node.start
        found.append((line_end(text, start) if text[start : start + 1] in {"|", ">"} else start, node.end))
    return sorted(one for one in found if one[0] <= one[1])


def line_end(text: str, offset: int) -> int:
    """Where the line of an offset ends."""
    found = _LINE_END.match(text, offset)
    return found.end() if found else offset
