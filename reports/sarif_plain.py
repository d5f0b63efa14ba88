"""Objects of sarif_om made plain: dictionaries and lists in SARIF's own names, ready for json."""

from __future__ import annotations

from functools import cache

import attr

from ..scanner.startup import Any

_ALWAYS = frozenset({"level", "kind", "rules", "results"})
"""Written even when they equal their default: without them a consumer takes the rule's default instead."""


_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """The JSON value of an object of sarif_om, of a container of them, or of a plain value."""
    kind = value.__class__
    if kind in _SCALARS:
        return value
    if kind is dict:
        return {name: plain(one) for name, one in value.items()}
    if kind in {list, tuple}:
        return [plain(one) for one in value]
    fields, found = _fields(kind), {}
    for attribute, one in vars(value).items():
        if one is not None:
            name, default = fields[attribute]
            if default is None or one != default or name in _ALWAYS:
                found[name] = plain(one)
    return found


@cache
def _fields(kind: type) -> dict[str, tuple[str, Any]]:
    """Name in SARIF and default of each attribute; a required one has no default."""
    return {
        field.name: (field.metadata["schema_property_name"], _default(field.default)) for field in attr.fields(kind)
    }


def _default(default: Any) -> Any:  # noqa: ANN401 - a JSON value, or attr's marks
    return default.factory() if isinstance(default, attr.Factory) else default  # type: ignore[arg-type]
