"""The proof that a changed YAML text holds just the values that were asked for, and the comments that it had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .startup import Any
from .subjects import Change
from .yamlpos import Document, Node
from .yamltext import PatchError, Step, comments, find, root, scalar

_Model = Any
"""A document as plain values that can be compared and changed: dict, list, or (kind, text) for a scalar."""
_Key = int | tuple[str, str]


def _model(node: Node) -> _Model:
    if node.kind == "map":
        return {(key.kind, key.text): _model(value) for key, value in node.pairs}
    return [_model(item) for item in node.items] if node.kind == "seq" else (node.kind, node.text)


def prove(before: Document, changes: Iterable[Change], dropped: Mapping[int, str], after: Document) -> None:
    """Raises PatchError unless `after` is `before` with exactly these changes, and with its comments.

    `dropped` are the comments that may go, by their offset, and what is left of them.
    """
    try:
        wanted = _changed(root(before), changes)
    except (IndexError, KeyError, TypeError):  # a value that another change has taken away
        raise PatchError("it overlaps with another change") from None
    if wanted != _model(root(after)):
        raise PatchError("the text is laid out so that something else would change, too")
    kept = [dropped.get(start, before.text[start:end]).rstrip() for start, end in comments(before)]
    if list(filter(None, kept)) != [after.text[start:end].rstrip() for start, end in comments(after)]:
        raise PatchError("a comment would be lost")


def _changed(top: Node, changes: Iterable[Change]) -> _Model:
    """The model of the document as it shall be; what renames or moves others comes last, removals from the end."""
    model = _model(top)
    names: list[tuple[_Model, _Key, str]] = []
    removals: list[tuple[_Model, _Key]] = []
    for change in changes:
        if change.action == "comment":
            continue
        path = find(top, change.place.pointer)
        home, here = _follow(model, path[:-1]), _place(path[-1]) if path else 0
        if change.action == "remove":
            removals.append((home, here))
        elif change.action == "set":
            _settle(model, path, change)
        elif change.action == "append":
            _append(model, path, change.text)
        elif change.action == "rename":
            names.append((home, here, change.text))
        else:
            home[here] = _model(scalar(change.text))
    for home, here, name in names:
        home["str", name] = home.pop(here)
    for home, here in sorted(removals, key=lambda one: -one[1] if isinstance(one[1], int) else 0):
        del home[here]
    return model


def _place(step: Step) -> _Key:
    return step.index if step.key is None else (step.key.kind, step.key.text)


def _follow(model: _Model, path: Iterable[Step]) -> _Model:
    for step in path:
        model = model[_place(step)]
    return model


def _settle(model: _Model, path: tuple[Step, ...], change: Change) -> None:
    home = _follow(model, path)
    if isinstance(home, dict):
        home["str", change.key] = _model(scalar(change.text))
    elif path:
        _follow(model, path[:-1])[_place(path[-1])] = {("str", change.key): _model(scalar(change.text))}


def _append(model: _Model, path: tuple[Step, ...], text: str) -> None:
    home = _follow(model, path)
    if isinstance(home, list):
        home.append(_model(scalar(text)))
    elif path:
        _follow(model, path[:-1])[_place(path[-1])] = [_model(scalar(text))]
