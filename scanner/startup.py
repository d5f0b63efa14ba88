"""What modules need as they are imported, for less: names for type checkers, named tuples, regular expressions.

A process that lints one spec would spend a sixth of its time on importing typing, on what typing checks again of every
class that mypy has checked, and on compiling patterns that most specs never need.
"""

import re
from collections import _tuplegetter  # type: ignore[attr-defined] # what namedtuple's fields are
from types import FunctionType

__all__ = ["Any", "Literal", "NamedTuple", "NoReturn", "Protocol", "late"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AnyStr, Literal, NamedTuple, NoReturn, Protocol
else:
    _new = tuple.__new__

    class _Record(tuple):
        """What all named tuples share; as in `collections.namedtuple`, which makes it anew for each."""

        __slots__ = ()
        _make = classmethod(_new)

        def _replace(self, **values: object) -> "_Record":
            made = self._make(map(values.pop, self._fields, self))
            if values:
                raise TypeError(f"unexpected field names: {list(values)}")
            return made

        __replace__ = _replace

        def _asdict(self) -> "dict[str, object]":
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self) -> "tuple[object, ...]":
            return tuple(self)

    _FIELDS = [_tuplegetter(i, "") for i in range(21)]
    _MAKERS = (
        lambda _cls: _new(_cls, ()),
        lambda _cls, a: _new(_cls, (a,)),
        lambda _cls, a, b: _new(_cls, (a, b)),
        lambda _cls, a, b, c: _new(_cls, (a, b, c)),
        lambda _cls, a, b, c, d: _new(_cls, (a, b, c, d)),
        lambda _cls, a, b, c, d, e: _new(_cls, (a, b, c, d, e)),
        lambda _cls, a, b, c, d, e, f: _new(_cls, (a, b, c, d, e, f)),
        lambda _cls, a, b, c, d, e, f, g: _new(_cls, (a, b, c, d, e, f, g)),
        lambda _cls, a, b, c, d, e, f, g, h: _new(_cls, (a, b, c, d, e, f, g, h)),
        lambda _cls, a, b, c, d, e, f, g, h, i: _new(_cls, (a, b, c, d, e, f, g, h, i)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j: _new(_cls, (a, b, c, d, e, f, g, h, i, j)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k: _new(_cls, (a, b, c, d, e, f, g, h, i, j, k)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m: _new(_cls, (a, b, c, d, e, f, g, h, i, j, k, m)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n: _new(_cls, (a, b, c, d, e, f, g, h, i, j, k, m, n)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o: _new(_cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o)),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p: _new(
            _cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p)
        ),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q: _new(
            _cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q)
        ),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r: _new(
            _cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r)
        ),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s: _new(
            _cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s)
        ),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t: _new(
            _cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t)
        ),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t, u: _new(
            _cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t, u)
        ),
        lambda _cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t, u, v: _new(
            _cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t, u, v)
        ),
    )
    """The code of a `__new__` for each number of fields, whose names are replaced. To make it as it is needed would
    take a source to be compiled at every start, a twentieth of it."""

    class _Made(type):
        """Makes a named tuple of a class body, as typing does, without looking at the annotations' values.

        To make one with `collections.namedtuple` costs seven times as much, which compiles its `__new__` every time.
        """

        def __new__(cls, name: str, _: "tuple[type, ...]", body: "dict[str, object]") -> type:
            fields = tuple(body.get("__annotations__") or body["__annotate_func__"](1))  # lazy from Python 3.14 on
            defaults = {field: body.pop(field) for field in fields if field in body}
            code = _MAKERS[len(fields)].__code__.replace(co_varnames=("_cls", *fields))
            new = FunctionType(code, {"_new": _new}, "__new__", tuple(defaults.values()))
            new.__qualname__ = f"{name}.__new__"
            made = {"__slots__": (), "__new__": new, "_fields": fields, "_field_defaults": defaults}
            return type(
                name, (_Record,), {**made, "__match_args__": fields, **dict(zip(fields, _FIELDS, strict=False)), **body}
            )

    class Literal:
        """Stands for its values."""

        __class_getitem__ = classmethod(lambda _, __: str)

    NamedTuple = type.__new__(_Made, "NamedTuple", (), {})
    Any = NoReturn = Protocol = object


class _Late:
    """A pattern's attributes; what was asked for once is found without asking again."""

    def __init__(self, pattern: Any, flags: int) -> None:
        self._arguments = pattern, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(re.compile(*self._arguments), name)
        self.__dict__[name] = found
        return found


def late(pattern: "AnyStr", flags: int = 0) -> "re.Pattern[AnyStr]":
    """What `re.compile` gives, compiled when it is first used: to be asked for its methods, not handed to `re`'s."""
    return _Late(pattern, flags)  # type: ignore[return-value]
