"""Objects of sarif_om made plain: dictionaries and lists in SARIF's own names, ready for json."""

from __future__ import annotations

from functools import cache

import attr

from ..scanner.startup import Any

_ALWAYS = frozenset({"level", "kind", "rules", "results"})
"""Written even when they equal their default: without them a consumer takes the rule's default instead."""


def plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """The JSON value of an object of sarif_om, of a container of them, or of a plain value."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if not hasattr(value, "__attrs_attrs__"):
        return value
    found = {}
    for attribute, name, default in _fields(value.__class__):
        one = getattr(value, attribute)
        if one is not None and (one != default or name in _ALWAYS):
            found[name] = plain(one)
    return found


@cache
def _fields(kind: type) -> list[tuple[str, str, Any]]:
    """Attribute, name in SARIF and default of each field; a required one comes first and has no default."""
    return [
        (field.name, field.metadata["schema_property_name"], _default(field.default)) for field in attr.fields(kind)
    ]


def _default(default: Any) -> Any:  # noqa: ANN401 - a JSON value, or attr's marks
    return default.factory() if isinstance(default, attr.Factory) else default  # type: ignore[arg-type]
