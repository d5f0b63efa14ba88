"""JSON for people and programs: spread over lines, but very many items of a list are a line each."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..scanner.startup import Any

_SPREAD = 1_000
"""Items of a list that are written with a line for each of their values: of 50,000, that would take four seconds."""


def document(value: dict[str, Any], lists: Iterable[str], *, indent: int = 2) -> str:
    """The text of an object, of which the values of the keys `lists` are lists that may be long."""
    return f"{spread(value, value, lists, indent=indent, depth=1)}\n"


def array(items: list[Any], *, indent: int = 1) -> str:
    """The text of a list that may be long."""
    if len(items) <= _SPREAD:
        return f"{json.dumps(items, indent=indent)}\n"
    separator = f",\n{' ' * indent}"
    return f"[{separator[1:]}{separator.join(map(json.dumps, items))}\n]\n"


def spread(value: dict[str, Any], holder: dict[str, Any], lists: Iterable[str], *, indent: int, depth: int) -> str:
    """The same, where the lists are in an object `holder` within it, whose keys are indented `depth` times."""
    margin = " " * (indent * depth)
    long = {name: holder[name] for name in lists if len(holder.get(name) or ()) > _SPREAD}
    holder.update((name, []) for name in long)
    text = json.dumps(value, indent=indent)
    for name, items in long.items():
        head, key, tail = text.partition(f'\n{margin}"{name}": [')
        separator = f",\n{margin}{' ' * indent}"
        text = f"{head}{key}{separator[1:]}{separator.join(map(json.dumps, items))}\n{margin}{tail}"
    return text
