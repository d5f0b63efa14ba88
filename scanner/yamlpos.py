"""YAML with positions: every key and value knows where it stands, scalars mean what Go's yaml.v3 makes of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from math import inf, isinf, nan

from .libyaml import library
from .source import LimitError
from .startup import Any, Literal
from .subjects import Span

SIZE_LIMIT = 10 << 20
"""Bytes of a document."""
DEPTH_LIMIT = 64
"""Collections inside one another; a LinuxKit spec needs eight."""
NODE_LIMIT = 50_000
"""Keys and values of a document, aliases expanded."""

Kind = Literal["map", "seq", "str", "int", "float", "bool", "null", "timestamp"]


_DUPLICATES = 20
"""Keys given twice that are told."""


_EMPTY = 1000
"""Events behind the first document that may say nothing, until it is left open what comes."""


class YamlError(Exception):
    """The text is no YAML that LinuxKit could read; `faults` holds each reason: message, place, hint or ""."""

    def __init__(self, *faults: tuple[str, Span | None, str]) -> None:
        self.faults = faults
        super().__init__("; ".join(message for message, _, _ in faults))


class Node:
    """A key or value: kind, Python value, text, and where it stands (offsets in code points, end exclusive).

    `value` is a list of (key, value) nodes for a map, merge keys already merged in; a list of nodes for a seq; else
    the scalar. `text` is the scalar as written, quotes and escapes resolved. `start` is -1 where there is no text.
    """

    __slots__ = ("end", "kind", "start", "text", "value", "weight")

    def __init__(self, kind: Kind, value: Any, text: str = "", start: int = -1, end: int = -1) -> None:  # noqa: ANN401 - a scalar holds anything
        self.kind = kind
        self.value = value
        self.text = text
        self.start = start
        self.end = end
        self.weight = 1

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        """Keys and values of a map; of anything else, none."""
        return self.value if self.kind == "map" else []

    @property
    def items(self) -> list[Node]:
        """Items of a seq; of anything else, none."""
        return self.value if self.kind == "seq" else []

    def get(self, name: str) -> Node | None:
        """The value of key `name` in a map."""
        return next((value for key, value in self.pairs if key.kind == "str" and key.value == name), None)


class Document:
    """The first document of a text: its root (None when there is none) and what turns offsets into lines.

    `rest` is the offset of what follows it in the text and is never read, -1 when nothing does.
    """

    def __init__(self, text: str, root: Node | None, rest: int = -1) -> None:
        self.text = text
        self.root = root
        self.rest = rest
        self._lines: list[int] = []

    def span(self, node: Node) -> Span | None:
        """Where a node stands; None for one that was not read from text."""
        return None if node.start < 0 else self.stretch(node.start, node.end)

    def stretch(self, start: int, end: int) -> Span:
        """The span of two offsets."""
        return Span(*self._position(start), *self._position(end))

    def _position(self, offset: int) -> tuple[int, int]:
        if not self._lines:
            self._lines = [0, *(found.end() for found in re.finditer(r"\r\n?|\n", self.text))]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


def parse(data: bytes) -> Document:
    """Read the first YAML document in `data`, as LinuxKit does.

    Raises YamlError with the line and column, LimitError when a limit is exceeded.
    """
    if len(data) > SIZE_LIMIT:
        raise LimitError(f"the YAML exceeds the limit of {SIZE_LIMIT >> 20} MiB")
    text = decode(data)
    composer = _Composer(text)
    return Document(text, composer.document(), composer.rest())


def decode(data: bytes) -> str:
    """The text of a YAML file: UTF-8, or UTF-16 with a byte order mark, which is dropped. Raises YamlError."""
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace").removeprefix("\ufeff")
        place = Document(before, None).stretch(len(before), len(before) + 1)
        raise YamlError((f"the text is not valid {encoding.upper()}", place, "")) from None


def shown(text: str) -> str:
    """A value as a message quotes it: one line of at most 80 characters, control characters escaped."""
    line = text if text.isprintable() else repr(text)[1:-1]
    return line if len(line) <= 80 else line[:79] + "…"  # noqa: PLR2004 - said above


def node_of(value: Any) -> Node:  # noqa: ANN401 - JSON holds anything
    """A node without a place, of a JSON value (an image's label): what YAML would have made of the same JSON text."""
    if isinstance(value, dict):
        return Node("map", [(Node("str", str(key), str(key)), node_of(item)) for key, item in value.items()])
    if isinstance(value, list):
        return Node("seq", [node_of(item) for item in value])
    kinds: dict[type, Kind] = {str: "str", bool: "bool", int: "int", float: "float"}
    kind = kinds.get(type(value), "null")
    return Node(kind, value, str(value).lower() if kind == "bool" else str(value))


# --- scalars, as yaml.v3's resolve() reads them

_WORDS: dict[str, tuple[Kind, Any]] = {
    **dict.fromkeys(("true", "True", "TRUE"), ("bool", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("bool", False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("null", None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("float", nan)),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("float", inf)),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("float", -inf)),
}
_FIRST = frozenset("0123456789+-.")
_PREFIXES = {"0x": 16, "0o": 8, "0b": 2}
_DIGITS = 70
"""Characters of the longest 64-bit integer: sign, prefix and 64 binary digits."""


def resolve(text: str) -> tuple[Kind, Any]:
    """What a plain scalar means: its kind and value."""
    known = _WORDS.get(text)
    if known is not None:
        return known
    if text[0] not in _FIRST:
        return "str", text
    if text[0] == ".":
        return _float(text) or ("str", text)
    if _is_timestamp(text):
        return "timestamp", text
    plain = text.replace("_", "")
    return _integer(plain) or _float(plain) or ("str", text)


def _integer(text: str) -> tuple[Kind, int] | None:
    """An integer of 64 bits: decimal, or 0x, 0o, 0b, or a leading zero for octal."""
    digits = text[1:] if text[:1] in {"+", "-"} else text
    base = _PREFIXES.get(digits[:2].lower(), 0)
    if base:
        digits = digits[2:]
    elif digits[:1] == "0" and len(digits) > 1:
        base, digits = 8, digits[1:]
    if not (digits.isascii() and digits.isalnum()) or len(text) > _DIGITS:
        return None
    try:
        value = int(digits, base or 10)
    except ValueError:
        return None
    if text[0] == "-":
        return ("int", -value) if value <= 1 << 63 else None
    return ("int", value) if value < (1 << 63 if text[0] == "+" else 1 << 64) else None


def _float(text: str) -> tuple[Kind, float] | None:
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text) is None:
        return None
    value = float(text)
    return None if isinf(value) else ("float", value)


def _is_timestamp(text: str) -> bool:
    """Whether Go's time.Parse takes it in one of the four layouts that yaml.v3 tries."""
    if text[4:5] != "-" or not text[:4].isdecimal():
        return False
    clock = r"(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)| \d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?)?"
    found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})" + clock, text, re.ASCII)
    return found is not None and _is_date(*map(int, found.groups()))


def _is_date(year: int, month: int, day: int) -> bool:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 1 <= month <= len(days) and 1 <= day <= days[month - 1]


# --- composing


_Event = Any
"""One of PyYAML's events: start_mark and end_mark with an index, anchor, tag, style, flow_style, value."""


class _Composer:
    """Builds nodes from PyYAML's events, so that depth and aliases are bounded while the text is read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._document = Document(text, None)
        self._library = library()
        self._events = self._parsed()
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0
        self._aliased = 0
        self._faults: list[tuple[str, Span | None, str]] = []

    def document(self) -> Node | None:
        """The root of the first document. Raises YamlError, LimitError."""
        root = None
        name, event = self._next()
        while name not in {"DocumentEndEvent", "StreamEndEvent"}:
            if name not in {"StreamStartEvent", "DocumentStartEvent"}:
                root = self._node(name, event, DEPTH_LIMIT)
            name, event = self._next()
        if self._faults:
            raise YamlError(*self._faults)
        if self._nodes > 1000 and self._aliased / self._nodes > 0.99:  # noqa: PLR2004 - yaml.v3's own limit
            raise YamlError(("aliases make up nearly all of the document", None, ""))
        return root

    def rest(self) -> int:
        """Where a further document starts that is not empty, or what is no YAML at all; -1 where nothing follows."""
        start = -1
        try:
            for event in islice(self._events, _EMPTY):
                match type(event).__name__:
                    case "StreamEndEvent":
                        return -1
                    case "DocumentStartEvent":
                        start = event.start_mark.index
                    case "DocumentEndEvent":
                        pass
                    case "ScalarEvent" if not (event.value or event.style or event.anchor):
                        pass
                    case _:
                        return int(start)
        except self._library.error.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            return int(start if start >= 0 else mark.index if mark else len(self._text))
        return int(start)

    def _parsed(self) -> Iterator[_Event]:
        """The events: libyaml's, else the same in pure Python."""
        libyaml = getattr(self._library, "_yaml", None)
        parser = (libyaml.CParser if libyaml else self._library.SafeLoader)(self._text)
        while True:
            yield parser.get_event()

    def _next(self) -> tuple[str, _Event]:
        """The next event and the name of its type; the library's errors become YamlError."""
        try:
            event = next(self._events)
        except self._library.error.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(_reason(error), mark.index if mark else 0) from None
        except self._library.reader.ReaderError:
            raise self._unreadable() from None
        return type(event).__name__, event

    def _node(self, name: str, event: _Event, depth: int) -> Node:
        self._count(1)
        if name == "AliasEvent":
            return self._alias(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        if name == "ScalarEvent":
            node = self._scalar(event)
        elif depth == 0:
            raise LimitError(f"the YAML exceeds the limit of {DEPTH_LIMIT} nested values")
        else:
            node = (self._mapping if name == "MappingStartEvent" else self._sequence)(event, depth - 1)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > NODE_LIMIT:
            raise LimitError(f"the YAML exceeds the limit of {NODE_LIMIT} keys and values")

    def _alias(self, event: _Event) -> Node:
        anchor: str = event.anchor
        at: int = event.start_mark.index
        if anchor not in self._anchors:
            raise self._error(f"the alias *{shown(anchor)} names no anchor", at)
        target = self._anchors[anchor]
        if target is None:
            raise self._error(f"the anchor &{shown(anchor)} contains itself", at)
        self._count(target.weight)
        self._aliased += target.weight
        node = Node(target.kind, target.value, target.text, at, event.end_mark.index)
        node.weight = target.weight
        return node

    def _scalar(self, event: _Event) -> Node:
        start, end, text = event.start_mark.index, event.end_mark.index, event.value
        if event.style in {"|", ">"}:
            end = start + len(self._text[start:end].rstrip())
        if event.tag and event.tag != "!":
            return self._tagged(event.tag, text, start, end)
        if event.style:
            return Node("str", text, text, start, end)
        kind, value = resolve(text)
        return Node(kind, value, text, start, end)

    def _tagged(self, tag: str, text: str, start: int, end: int) -> Node:
        """A scalar with an explicit tag: it must be what the tag says."""
        wanted = tag.removeprefix("tag:yaml.org,2002:")
        if wanted == "binary":
            text = self._base64(text, start)
            return Node("str", text, text, start, end)
        if wanted not in {"bool", "int", "float", "null", "timestamp"}:
            return Node("str", text, text, start, end)
        kind, value = resolve(text)
        if kind == "int" and wanted == "float":
            return Node("float", float(value), text, start, end)
        if not wanted.startswith(kind):
            raise self._error(f"'{shown(text)}' is no {wanted}, as its tag says", start)
        return Node(kind, value, text, start, end)

    def _base64(self, text: str, start: int) -> str:
        from base64 import b64decode

        try:
            return b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
        except ValueError:
            raise self._error("a !!binary value is not valid base64", start) from None

    def _sequence(self, event: _Event, depth: int) -> Node:
        items: list[Node] = []
        node = Node("seq", items, "", event.start_mark.index)
        name, inner = self._next()
        while name != "SequenceEndEvent":
            items.append(self._node(name, inner, depth))
            name, inner = self._next()
        node.end = _end(event, inner, items)
        node.weight += sum(item.weight for item in items)
        return node

    def _mapping(self, event: _Event, depth: int) -> Node:
        pairs: list[tuple[Node, Node]] = []
        merges: list[Node] = []
        seen: dict[str, int] = {}
        node = Node("map", pairs, "", event.start_mark.index)
        name, inner = self._next()
        while name != "MappingEndEvent":
            key = self._key(name, inner, depth, seen)
            value = self._node(*self._next(), depth)
            is_merge = key.text == "<<" and name == "ScalarEvent" and not inner.style
            merges.append(value) if is_merge else pairs.append((key, value))
            name, inner = self._next()
        node.end = _end(event, inner, [value for _, value in pairs])
        node.weight += sum(key.weight + value.weight for key, value in pairs) + sum(one.weight for one in merges)
        for one in merges:
            self._merge(pairs, one)
        return node

    def _key(self, name: str, event: _Event, depth: int, seen: dict[str, int]) -> Node:
        key = self._node(name, event, depth)
        if key.kind in {"map", "seq"}:
            hint = "quote the template" if self._text.startswith("{{", max(0, key.start - 1)) else ""
            raise self._error("a map or list cannot be a key", key.start, hint)
        identity = f"*{event.anchor}" if name == "AliasEvent" else f"={key.text}"
        if identity in seen and len(self._faults) < _DUPLICATES:
            first = self._document.stretch(seen[identity], seen[identity]).line
            place = self._document.span(key)
            self._faults.append((f"the key '{shown(key.text)}' is given twice, first in line {first}", place, ""))
        seen.setdefault(identity, key.start)
        return key

    def _merge(self, pairs: list[tuple[Node, Node]], merged: Node) -> None:
        """Add the pairs of `<<: {…}` or `<<: [{…}, …]`; keys that are already there win."""
        present = {key.text for key, _ in pairs}
        for one in merged.items if merged.kind == "seq" else [merged]:
            if one.kind != "map":
                raise self._error("a merge key needs a map or a list of maps", one.start)
            pairs += [(key, value) for key, value in one.pairs if key.text not in present]
            present.update(key.text for key, _ in one.pairs)

    def _error(self, message: str, offset: int, hint: str = "") -> YamlError:
        place = self._document.stretch(offset, offset + 1)
        return YamlError((message, place, hint or _hint(self._text, offset)))

    def _unreadable(self) -> YamlError:
        """Says where the first character is that YAML forbids."""
        printable = r"\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
        found = re.search(f"[^{printable}]", self._text)
        name = f"the control character U+{ord(found[0]):04X}" if found else "a control character"
        return self._error(f"YAML cannot hold {name}", found.start() if found else 0)


def _end(opening: _Event, closing: _Event, parts: list[Node]) -> int:
    """Where a collection ends: at its bracket, or with its last part (libyaml would say: at the next token)."""
    if opening.flow_style or not parts:
        return int(closing.end_mark.index)
    return max(int(opening.start_mark.index), parts[-1].end)


def _reason(error: Any) -> str:  # noqa: ANN401 - an exception of a library that is imported late
    problem = error.problem or "the text is not valid YAML"
    return f"{problem} ({error.context})" if error.context else str(problem)


def _hint(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 :].split("\n", 1)[0]
    if text[offset : offset + 1] == "\t":
        return "indent with spaces, not tabs"
    return "quote the template" if "{{" in line else ""
