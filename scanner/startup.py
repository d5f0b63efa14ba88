"""What modules need as they are imported, for less: names for type checkers, named tuples, regular expressions.

A process that lints one spec would spend a sixth of its time on importing typing, on what typing checks again of every
class that mypy has checked, and on compiling patterns that most specs never need.
"""

import re
from collections import namedtuple

__all__ = ["Any", "Literal", "NamedTuple", "NoReturn", "Protocol", "late"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AnyStr, Literal, NamedTuple, NoReturn, Protocol
else:

    class _Made(type):
        """Makes a named tuple of a class body, as typing does, without looking at the annotations' values."""

        def __new__(cls, name: str, _: "tuple[type, ...]", body: "dict[str, object]") -> type:
            fields = body.get("__annotations__") or body["__annotate_func__"](1)  # from Python 3.14 on they are lazy
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])  # noqa: PYI024 - it becomes one
            for key, value in body.items():
                setattr(made, key, value)
            return made

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
