"""Changes to a YAML document as minimal text edits: comments and layout stay, and what comes out is proven."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from .startup import NamedTuple
from .subjects import Change, Span
from .yamlpos import Document, Node, shown
from .yamlproof import prove
from .yamltext import PROPERTIES, PatchError, Step, comments, find, line_end, parsed, root, scalar

_BREAK = re.compile(r"\r\n?|\n")
_TAIL = re.compile(r"[ \t]*(?P<comment>#[^\r\n]*)?(?=[\r\n]|\Z)")
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.=@:+-]*(?<!:)")
_SPECIAL = frozenset(",[]{}#&*!|>'\"%@`?")
"""Characters that mean something in some places of YAML."""


class Edit(NamedTuple):
    """`text` takes the place of what stands between two offsets, in code points, of the document's text."""

    start: int
    end: int
    text: str


def edits(text: str, changes: Iterable[Change]) -> tuple[Edit, ...]:
    """The edits that make all of `changes` in the first document of `text`, in order and apart from one another.

    Whole-line comments stay, those inside of what is removed included; a comment behind something that is removed goes
    with its line. The result was parsed again: exactly the values asked for have changed. Only the pointer of a
    change's place is looked at (for a `comment`, the span), not its artifacts. Raises PatchError.
    """
    wanted = list(dict.fromkeys(changes))
    document = _original(text)
    patch = _Patch(document)
    found = _joined(_trimmed(text, one) for one in _apart(patch.edits(wanted)))
    prove(document, wanted, patch.dropped, parsed(apply(text, found)))
    return found


def apply(text: str, changes: Iterable[Edit]) -> str:
    """The text after edits that do not overlap."""
    parts, at = [], 0
    for start, end, new in sorted(changes):
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def spans(text: str, changes: Iterable[Edit]) -> list[Span]:
    """Where edits are, in lines and columns."""
    document = Document(text, None)
    return [document.stretch(one.start, one.end) for one in changes]


def _joined(found: Iterable[Edit]) -> tuple[Edit, ...]:
    """Edits that touch become one: nobody has to know which of two insertions at one place comes first."""
    result: list[Edit] = []
    for one in found:
        if result and result[-1].end == one.start:
            result[-1] = Edit(result[-1].start, one.end, result[-1].text + one.text)
        else:
            result.append(one)
    return tuple(result)


def moved(text: str, changes: Iterable[Edit], span: Span) -> tuple[int, int] | None:
    """Line and column at which the start of a span is after the edits; None where it was removed."""
    found = tuple(changes)
    at = _offset(text, span.line, span.column)
    if any(one.start <= at < one.end and not one.text for one in found):
        return None
    before = [one for one in found if one.end <= at and one.start < at]
    within = next((one.start for one in found if one.start <= at < one.end), at)
    now = within + sum(len(one.text) - (one.end - one.start) for one in before)
    return Document(apply(text, found), None).stretch(now, now)[:2]


def quoted(text: str, like: str = "") -> str:
    """`text` as a YAML scalar: plain where that is the same text, else in quotes; `like` is `'` or `"` to have them."""
    if not like and _PLAIN.fullmatch(text) and scalar(text).kind == "str":
        return text
    if like != '"' and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    escaped = (char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08X}" for char in text)
    return f'"{"".join(escaped)}"'


def _is_plain(text: str) -> bool:
    """Whether a text without quotes is this very text."""
    try:
        node = scalar(text)
    except PatchError:
        return False
    return (node.kind, node.text) == ("str", text)


@lru_cache(maxsize=4)  # a report asks for each finding of a document in turn: twice as fast
def _original(text: str) -> Document:
    return parsed(text)


def _trimmed(text: str, edit: Edit) -> Edit:
    """Without what is the same before and after at either end."""
    old, new = text[edit.start : edit.end], edit.text
    before = _common(old, new)
    after = _common(old[before:][::-1], new[before:][::-1])
    return Edit(edit.start + before, edit.end - after, new[before : len(new) - after])


def _common(one: str, other: str) -> int:
    """How many characters at their beginning are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (left, right) in pairs if left != right), min(len(one), len(other)))


def _apart(found: Iterable[Edit]) -> tuple[Edit, ...]:
    """In order; removals that touch become one. Raises PatchError for others that overlap."""
    result: list[Edit] = []
    for one in sorted(set(found)):
        last = result[-1] if result else None
        if last is None or one.start > last.end or (one.start == last.end and last.start != one.end):
            result.append(one)
        elif one.text == last.text == "":
            result[-1] = Edit(last.start, max(last.end, one.end), "")
        else:
            raise PatchError("it overlaps with another change")
    return tuple(result)


class _Patch:
    """The edits for changes to one document; `dropped` are the comments that go with them, by their offset."""

    def __init__(self, document: Document) -> None:
        self.text = document.text
        self.root = root(document)
        self.comments = list(comments(document))
        self.dropped: dict[int, str] = {}
        found = _BREAK.search(self.text)
        self._break = found[0] if found else "\n"

    def edits(self, changes: Sequence[Change]) -> Iterator[Edit]:
        """The edits, as they come."""
        removed: dict[int, tuple[Node, tuple[Step, ...], set[int]]] = {}
        for change in changes:
            if change.action == "comment":
                yield self._comment(change)
                continue
            path = find(self.root, change.place.pointer)
            node = path[-1].value if path else self.root
            if change.action == "remove":
                if not path:
                    raise PatchError("the whole document cannot be removed")
                parent = path[-1].parent
                removed.setdefault(id(parent), (parent, path[:-1], set()))[2].add(path[-1].index)
            elif change.action == "set":
                yield from self._set(node, path, change)
            elif change.action == "append":
                yield from self._add(node, path, change.text, "seq")
            elif not path:
                raise PatchError("the whole document cannot be replaced")
            elif change.action == "rename":
                yield self._rename(path[-1], change.text)
            else:
                yield from self._assign(path[-1], change.text)
        for parent, path, indices in removed.values():
            yield from self._remove(parent, path, indices)

    # --- values

    def _set(self, node: Node, path: tuple[Step, ...], change: Change) -> Iterator[Edit]:
        for i, (key, _) in enumerate(node.pairs):
            if key.text == change.key:
                step = Step(node, i)
                find(self.root, f"{change.place.pointer}.{change.key}" if path else change.key)
                yield from self._assign(step, change.text)
                return
        yield from self._add(node, path, f"{quoted(change.key)}: {change.text}", "map")

    def _assign(self, step: Step, text: str) -> Iterator[Edit]:
        """Another value in the place of the one that is there."""
        node = step.value
        if node.kind in {"map", "seq"} and node.value and not self._is_flow(node):
            yield from self._clear(step, text)
        elif node.start == node.end:
            yield Edit(node.end, node.end, f" {text}")
        else:
            yield Edit(self._content(node), node.end, self._like(node, text))

    def _rename(self, step: Step, text: str) -> Edit:
        if step.key is None:
            raise PatchError("an item of a list has no name")
        if any(key.text == text for key, _ in step.parent.pairs):
            raise PatchError(f"'{shown(text)}' is there already")
        return Edit(self._content(step.key), step.key.end, self._like(step.key, quoted(text)))

    def _like(self, node: Node, text: str) -> str:
        """A text in the quotes that the present one has, or plain like it where it stays the same text."""
        old, value = self.text[self._content(node) : node.end], scalar(text)
        if value.kind != "str" or node.kind != "str":
            return text
        if old[:1] in {"'", '"'}:
            return quoted(value.text, old[0])
        is_plain = old == node.text and not _SPECIAL & (set(value.text) - set(old))
        return value.text if is_plain and _is_plain(value.text) else text

    def _add(self, node: Node, path: tuple[Step, ...], text: str, kind: str) -> Iterator[Edit]:
        """One more item or pair, behind the last one."""
        scalar(text)
        own = [i for i in range(len(node.value)) if self._holds(node, i)] if node.kind == kind else []
        if own and not self._is_flow(node):
            first, last = own[0], own[-1]
            opening = self._opening(node, first)
            indent = " " * (opening - self._line(opening))
            at = self._tail(self._end(node, last)).end()
            yield Edit(at, at, f"{self._break}{indent}{'- ' if kind == 'seq' else ''}{text}")
        elif own:
            at = self._end(node, own[-1])
            yield Edit(at, at, f", {text}")
        elif node.kind == kind and self._is_flow(node) and not node.value:
            at = self._content(node) + 1
            yield Edit(at, at, text)
        elif node.kind == "null" and path and node.start == node.end:
            yield Edit(node.end, node.end, f" [{text}]" if kind == "seq" else f" {{{text}}}")
        else:
            raise PatchError(f"there is no {'list' if kind == 'seq' else 'map'} of its own to add to")

    # --- removing

    def _remove(self, parent: Node, path: tuple[Step, ...], indices: set[int]) -> Iterator[Edit]:
        """Without some of its items or pairs."""
        kept = [i for i in range(len(parent.value)) if i not in indices]
        if self._is_flow(parent):
            yield from self._remove_flow(parent, kept, indices)
        elif kept:
            for i in sorted(indices):
                yield from self._remove_block(parent, i, kept)
        elif path:
            yield from self._clear(path[-1], "[]" if parent.kind == "seq" else "{}")
        else:
            raise PatchError("nothing would be left of the document")

    def _remove_block(self, parent: Node, index: int, kept: list[int]) -> Iterator[Edit]:
        opening, end = self._opening(parent, index), self._end(parent, index)
        if not self.text[self._line(opening) : opening].strip():
            yield from self._lines(opening, end)
            return
        # The first one stands behind the dash of what it is in: the next one moves there.
        following = next((i for i in kept if i > index), None)
        until = end if following is None else self._opening(parent, following)
        if until == end or self._commented(opening, until):
            until = end
            if not self._tail(end)["comment"]:
                opening = len(self.text[:opening].rstrip(" "))
        if self._commented(opening, until):
            raise PatchError("a comment stands inside of it")
        yield Edit(opening, until, "")

    def _lines(self, opening: int, end: int) -> Iterator[Edit]:
        """Without the lines from one offset to another; lines that hold nothing but a comment stay."""
        tail = self._tail(end)
        inside = [start for start, _ in self.comments if opening < start < end]
        alone = [start for start in inside if not self.text[self._line(start) : start].strip()]
        for start, _ in self.comments:
            if opening < start < tail.end() and start not in alone:
                self.dropped[start] = ""
        at = self._line(opening)
        for start in alone:
            yield Edit(at, self._line(start), "")
            at = self._after(start)
        yield Edit(at, self._after(tail.end()), "")

    def _clear(self, step: Step, text: str) -> Iterator[Edit]:
        """A value on one line in the place of a map or list in block style."""
        node = step.value
        opening = self._opening(node, 0)
        colon = self._skip(step.key.end) if step.key else node.start
        if self.text[colon : colon + 1] == ":" and _BREAK.search(self.text, colon, node.start):
            yield Edit(colon + 1, colon + 1, f" {text}")
            yield from self._lines(opening, node.end)
        elif self._commented(node.start, node.end):
            raise PatchError("a comment stands inside of it")
        else:
            yield Edit(node.start, self._end(node, len(node.value) - 1), text)

    def _remove_flow(self, parent: Node, kept: list[int], indices: set[int]) -> Iterator[Edit]:
        """From each run of items, what is between its neighbours: `[a, b, c]` to `[a, c]`."""
        for run in _runs(sorted(indices)):
            before, after = run[0] - 1, run[-1] + 1
            start, end = self._opening(parent, run[0]), self._end(parent, run[-1])
            if after in kept:
                end = self._opening(parent, after)
            elif before in kept:
                start = self._end(parent, before)
            else:
                comma = re.compile(r"\s*,").match(self.text, end)
                end = comma.end() if comma else end
            if not self._commented(start, end):
                yield Edit(start, end, "")
                continue
            for i in run:  # with a comment between them, only the item itself and its comma
                start, end = self._opening(parent, i), self._end(parent, i)
                comma = re.compile(r"\s*,").match(self.text, end)
                yield Edit(start, comma.end() if comma else end, "")

    # --- comments

    def _comment(self, change: Change) -> Edit:
        """Another text for a part of a comment; without any, its line goes too when it holds nothing else."""
        span = change.place.span
        if span is None:
            raise PatchError("the place of the comment is not known")
        start = _offset(self.text, span.line, span.column)
        end = _offset(self.text, span.end_line, span.end_column)
        home = next(((first, last) for first, last in self.comments if first <= start <= end <= last), None)
        if home is None:
            raise PatchError("there is no comment at this place")
        first, last = home
        rest = self.text[end:last].lstrip()
        if change.text or rest:
            end = end if change.text else last - len(rest)
            self.dropped[first] = self.text[first:start] + change.text + self.text[end:last]
            return Edit(start, end, change.text)
        self.dropped[first] = self.text[first:start].rstrip()
        line = self._line(start)
        head = self.text[line:start].rstrip()
        return Edit(line + len(head), last, "") if head else Edit(line, self._after(last), "")

    # --- where things are

    def _content(self, node: Node) -> int:
        """Where a node begins behind its anchor and tag."""
        found = PROPERTIES.match(self.text, node.start, node.end)
        return found.end() if found else node.start

    def _is_flow(self, node: Node) -> bool:
        return self.text[self._content(node) : node.end][:1] in {"[", "{"}

    def _holds(self, parent: Node, index: int) -> bool:
        """Whether an item's text is its parent's own, and not a merged map's."""
        step = Step(parent, index)
        return parent.start <= (step.key or step.value).start <= step.value.end <= parent.end

    def _opening(self, parent: Node, index: int) -> int:
        """Where an item begins: its dash in block style, its key in a map."""
        step = Step(parent, index)
        if step.key is not None:
            before = self.text[self._line(step.key.start) : step.key.start].rstrip()
            is_complex = re.search(r"(?:^|[\s,{\[])\?$", before)
            return self._line(step.key.start) + len(before) - 1 if is_complex else step.key.start
        if self._is_flow(parent):
            return step.value.start
        at = self._skip(parent.items[index - 1].end if index else self._content(parent))
        if self.text[at : at + 1] != "-":
            raise PatchError("the list is laid out in a way that is not understood")
        return at

    def _end(self, parent: Node, index: int) -> int:
        step = Step(parent, index)
        return max(step.value.end, step.key.end if step.key else 0)

    def _line(self, offset: int) -> int:
        """Where the line of an offset begins."""
        return max(self.text.rfind("\n", 0, offset), self.text.rfind("\r", 0, offset)) + 1

    def _after(self, offset: int) -> int:
        """Where the next line begins; the end of the text where there is none."""
        end = line_end(self.text, offset)
        found = _BREAK.match(self.text, end)
        return found.end() if found else end

    def _tail(self, offset: int) -> re.Match[str]:
        """What stands behind a value on its line. Raises PatchError where that is more than a comment."""
        found = _TAIL.match(self.text, offset)
        if found is None:
            raise PatchError("it shares its line with something else")
        return found

    def _skip(self, offset: int) -> int:
        """The next offset that is neither blank nor in a comment."""
        while True:
            found = re.compile(r"\s*").match(self.text, offset)
            offset = found.end() if found else offset
            if self.text[offset : offset + 1] != "#":
                return offset
            offset = line_end(self.text, offset)

    def _commented(self, start: int, end: int) -> bool:
        return any(start <= one < end for one, _ in self.comments)


def _offset(text: str, line: int, column: int) -> int:
    lines = [0, *(found.end() for found in _BREAK.finditer(text))]
    return lines[line - 1] + column - 1


def _runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers that follow one another, together."""
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run
