"""One document of a spec or package while it is read: its values, their places, and what LinuxKit refuses in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from .schema import FAULT_LIMIT, Fault, decode, validate
from .sniff import Kind
from .source import LimitError
from .startup import Any, Literal
from .subjects import Change, Cure, Place, Problem, Spec, Violation
from .yamlpos import Document, Node, YamlError, parse
from .yamlpos import decode as decode_text


class Source:
    """A document: its nodes, its value as LinuxKit's types hold it, and the reasons to refuse it so far."""

    def __init__(self, path: str, kind: Kind, document: Document) -> None:
        self.path = path
        self.kind = kind
        self.root = document.root
        self.value: Mapping[str, Any] = {}
        self.violations: list[Violation] = []
        self._document = document

    def place(self, node: Node | None, pointer: str = "") -> Place:
        """The place of a node of this document."""
        span = self._document.span(node) if node else None
        return Place((self.path,), span, pointer)

    def refuse(self, fault: Fault) -> None:
        """Note what LinuxKit's schema or types refuse."""
        cure = None
        if fault.remedy:
            action, text, certain = fault.remedy
            cure = Cure(Change(action, self.place(fault.node, fault.pointer), text), certain)
        self.note(Violation("schema", fault.message, self.place(fault.node, fault.pointer), fault.hint, cure=cure))

    @property
    def is_full(self) -> bool:
        """Whether further reasons to refuse it would not be told."""
        return len(self.violations) > FAULT_LIMIT

    def note(self, violation: Violation) -> None:
        """Add a reason to refuse the document, up to a limit."""
        if len(self.violations) < FAULT_LIMIT:
            self.violations.append(violation)
        elif len(self.violations) == FAULT_LIMIT:
            message = f"there are more than {FAULT_LIMIT} reasons to refuse it; the others are not told"
            self.violations.append(Violation("build", message, Place((self.path,)), "", "build"))

    def at(self, path: Sequence[str | int]) -> Place:
        """The place of the value that a path of keys and indices leads to, or of the last one there is on the way."""
        node, pointer = self.root, ""
        for step in path:
            inner = _item(node, step) if isinstance(step, int) else node and node.get(step)
            if inner is None:
                break
            node, pointer = inner, f"{pointer}[{step}]" if isinstance(step, int) else f"{pointer}.{step}".lstrip(".")
        return self.place(node, pointer)

    def subject(self) -> Spec:
        """The document as a subject."""
        sections = {key.text: self.place(key, key.text) for key, _ in self.root.pairs} if self.root else {}
        rest = self._document.rest
        ignored = Place((self.path,), self._document.stretch(rest, rest + len("---"))) if rest >= 0 else None
        return Spec(
            Place((self.path,)),
            self.kind,
            self._document.text,
            sections,
            tuple(self.violations),
            self.value,
            self.at,
            ignored,
        )

    def entries(self, section: str) -> Iterator[Entry]:
        """The items of a section that are maps."""
        node = self.root.get(section) if self.root else None
        values = self.value.get(section) or ()
        for i, (item, value) in enumerate(zip(node.items if node else (), values, strict=False)):
            if isinstance(value, dict):
                yield Entry(self, section, f"{section}[{i}]", item, value)


class Entry:
    """A map in a document: where it is, and what it says."""

    def __init__(self, source: Source, section: str, pointer: str, node: Node, value: Mapping[str, Any]) -> None:
        self.source = source
        self.section = section
        self.pointer = pointer
        self.node = node
        self.value = value

    def text(self, key: str) -> str:
        """The text under a key, "" where there is none."""
        return str(self.value.get(key) or "")

    def place(self, key: str, item: int | None = None) -> Place:
        """The place of a key's value, or of one of its items; of the whole entry when the key is not there."""
        node, pointer = self.node.get(key), f"{self.pointer}.{key}"
        if node is None:
            return self.source.place(self.node, self.pointer)
        if item is not None and item < len(node.items):
            node, pointer = node.items[item], f"{pointer}[{item}]"
        return self.source.place(node, pointer)

    def refuse(
        self,
        message: str,
        place: Place,
        *,
        hint: str = "",
        capability: bool = False,
        late: bool = True,
        cure: Cure | None = None,
    ) -> None:
        """Note why LinuxKit would stop at this entry while it builds, or (not `late`) while it reads."""
        stops: Literal["spec", "build"] = "build" if late else "spec"
        self.source.note(Violation("capability" if capability else "build", message, place, hint, stops, cure))


def _item(node: Node | None, index: int) -> Node | None:
    return node.items[index] if node and index < len(node.items) else None


def load(path: str, data: bytes, kind: Kind) -> Source | Problem:
    """Read one document; a Problem where it exceeds a limit. What cannot be parsed is in the source's violations."""
    try:
        document = parse(data)
    except LimitError as error:
        return Problem(Place((path,)), str(error))
    except YamlError as error:
        source = Source(path, kind, Document(_text(data), None))
        for message, span, hint in error.faults:
            source.note(Violation("yaml", message, Place((path,), span), hint))
        return source
    source = Source(path, kind, document)
    _check(source)
    return source


def _text(data: bytes) -> str:
    try:
        return decode_text(data)
    except YamlError:
        return data.decode("utf-8", "replace")


def _check(source: Source) -> None:
    """Validate and decode, noting what LinuxKit's schema and types refuse."""
    root = source.root
    if root is None:
        source.refuse(Fault("", Node("null", None), "the document is empty"))
        return
    is_spec = source.kind == "spec" and root.kind != "null"
    faults = list(islice(validate(root, "spec"), FAULT_LIMIT + 1)) if is_spec else []
    value, refused = decode(root, source.kind, known=source.kind == "package")
    seen = {fault.pointer for fault in faults}
    faults += [fault for fault in refused if fault.pointer not in seen]
    source.value = value if isinstance(value, dict) else {}
    if source.kind == "package" and not source.value.get("image"):
        faults.append(Fault("", root, "a build.yml must have 'image'"))
    for fault in faults:
        source.refuse(fault)
