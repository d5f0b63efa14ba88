"""Results between processes, as JSON: whoever took over the process that read an image can send data, and no code.

What only works in the process that made it (the readers of files, the retelling of verdicts) becomes None. In what
comes back, each field has the type that its record says.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache
from types import UnionType

from .rules import contents, engine, funnel, needs
from .scanner import subjects
from .scanner.startup import Any

_RECORDS: dict[str, Any] = {
    one.__name__: one
    for module in (subjects, engine, funnel, contents, needs)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, tuple) and hasattr(one, "_fields") and one is not engine.Rule
}
_WORDS: dict[str, type[Enum]] = {
    one.__name__: one for one in (engine.Severity, engine.Confidence, engine.Profile, engine.Outcome)
}
_NAMED: dict[str, Any] = {**_RECORDS, **_WORDS, "str": str, "int": int, "bool": bool, "bytes": bytes}
_Kinds = tuple[type, ...]
_PLAIN = frozenset({type(None), bool, int, float, str})


def learn(*records: type) -> None:
    """Let records of further types through, whose annotations must not be postponed.

    Raises ValueError for one more of a name that is taken: they are told apart by it.
    """
    for one in records:
        if _RECORDS.setdefault(one.__name__, one) is not one:
            raise ValueError(one.__name__)
        _NAMED[one.__name__] = one


class TransferError(Exception):
    """It is nothing that `dump` wrote."""


def dump(value: object) -> bytes:
    """Anything made of subjects, findings, results and plain values."""
    return json.dumps(_encoded(value), separators=(",", ":")).encode("ascii")


def load(data: bytes | bytearray, rules: Iterable[engine.Rule] = ()) -> Any:  # noqa: ANN401 - what was dumped
    """What was dumped, with the rules of this process. Raises TransferError."""
    try:
        return _decoded(json.loads(data), {rule.id: rule for rule in rules})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TransferError(type(error).__name__) from error


def _encoded(value: Any) -> Any:  # noqa: ANN401, PLR0911 - of any type, a line for each
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [_encoded(one) for one in value]
    if isinstance(value, engine.Rule):
        return {"rule": value.id}
    if kind.__name__ in _RECORDS:
        return {kind.__name__: [_encoded(one) for one in value]}
    if kind is tuple:
        return {"tuple": [_encoded(one) for one in value]}
    if isinstance(value, bytes):
        return {"bytes": b64encode(value).decode("ascii")}
    if isinstance(value, Enum):
        return {"word": [kind.__name__, value.value]}
    if isinstance(value, Mapping):
        return {"map": [[_encoded(key), _encoded(one)] for key, one in value.items()]}
    if isinstance(value, Callable):  # type: ignore[arg-type]  # collections.abc's, at run time
        return None
    raise TypeError(kind.__name__)


def _decoded(value: Any, rules: Mapping[str, engine.Rule]) -> Any:  # noqa: ANN401, PLR0911 - of any type, a line for each
    if isinstance(value, list):
        return [_decoded(one, rules) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "rule":
        return rules[content]
    if kind == "bytes":
        return b64decode(content, validate=True)
    if kind == "word":
        return _WORDS[content[0]](content[1])
    parts = [_decoded(one, rules) for one in content]
    if kind == "tuple":
        return tuple(parts)
    return dict(parts) if kind == "map" else _checked(_RECORDS[kind](*parts))


def _checked(record: Any) -> Any:  # noqa: ANN401 - one of _RECORDS
    """The same. Raises TypeError where a field, or what is in a tuple, is of another type than the record says."""
    for value, (kinds, inner) in zip(record, _fields(record.__class__), strict=True):
        if kinds and not isinstance(value, kinds):
            raise TypeError(type(record).__name__)
        if inner and isinstance(value, tuple) and not all(isinstance(one, inner) for one in value):
            raise TypeError(type(record).__name__)
    return record


@cache
def _fields(kind: type) -> tuple[tuple[_Kinds, _Kinds], ...]:
    """For each field its types and, of a tuple of any length, those of what is in it; () where anything may stand."""
    hints = {
        name: hint for one in reversed(kind.__mro__) for name, hint in vars(one).get("__annotations__", {}).items()
    }
    return tuple((_kinds(hints.get(name)), _inner(hints.get(name))) for name in kind._fields)  # type: ignore[attr-defined]


def _kinds(hint: Any) -> _Kinds:  # noqa: ANN401 - an annotation
    """The types that an annotation stands for."""
    if hint is None or hint is type(None):
        return (type(None),) if hint else ()
    if isinstance(hint, str):
        hint = _NAMED.get(hint)
    if isinstance(hint, UnionType):
        parts = [_kinds(one) for one in hint.__args__]
        return tuple(one for part in parts for one in part) if all(parts) else ()
    origin = getattr(hint, "__origin__", hint)
    if origin is Callable:
        return (type(None),)
    if origin is Mapping:
        return (dict,)
    return (origin,) if isinstance(origin, type) and origin not in {object, frozenset, type(None)} else ()


def _inner(hint: Any) -> _Kinds:  # noqa: ANN401 - an annotation
    arguments = list(getattr(hint, "__args__", ()))
    return _kinds(arguments[0]) if getattr(hint, "__origin__", None) is tuple and Ellipsis in arguments else ()
