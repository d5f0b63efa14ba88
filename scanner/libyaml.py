"""PyYAML's parser of events, for a fifth of what PyYAML takes to import: a sixth of what lkscan does for one spec."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType

from .startup import Any, late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_NEEDED = ("error", "events", "reader")
"""What libyaml's binding needs of PyYAML to parse."""
_UNNEEDED = ("tokens", "nodes", "scanner", "parser", "composer", "constructor", "serializer", "representer", "emitter")
"""What it takes names from that it hands out as it scans, composes or dumps, and errors that are told by their base."""


@cache
def library() -> Any:  # noqa: ANN401 - a library that is imported late
    """The package `yaml`, with at least `error`, `reader` and, where libyaml is there, `_yaml`, which has `CParser`.

    Whoever asks the package for more, now or later, has all of it. Raises ModuleNotFoundError where it is missing.
    """
    if "yaml" not in sys.modules:
        try:
            return _part()
        except (ImportError, AttributeError):  # without libyaml, or not as we know it
            for name in [name for name in sys.modules if name.partition(".")[0] == "yaml"]:
                del sys.modules[name]
    return import_module("yaml")


def _part() -> Any:  # noqa: ANN401 - a module
    """The package with what parsing needs; it is made whole when it is asked for what is not there."""
    spec = PathFinder.find_spec("yaml")
    if spec is None:
        raise ModuleNotFoundError("yaml")
    package: Any = ModuleType("yaml")
    package.__spec__, package.__loader__ = spec, spec.loader
    package.__path__, package.__file__ = spec.submodule_search_locations, spec.origin
    sys.modules["yaml"] = package
    _import(_NEEDED)
    stand_ins = [_StandIn(name, package) for name in _UNNEEDED]
    try:
        _import(("_yaml",))
    finally:
        for one in stand_ins:
            one.leave(package)
    package.__getattr__ = lambda name: getattr(_whole(package, spec, stand_ins), name)
    return package


def _whole(package: Any, spec: ModuleSpec, stand_ins: list[_StandIn]) -> Any:  # noqa: ANN401 - a module
    """The package as if it had been imported from the start, its binding included."""
    del package.__getattr__
    spec.loader.exec_module(package)  # type: ignore[union-attr] # every package with modules has one
    for one in stand_ins:
        for name in one.asked:
            setattr(package._yaml, name, getattr(sys.modules[one.__name__], name))  # noqa: SLF001 - as its makers do
    return package


class _StandIn(ModuleType):
    """Stands in for a module of PyYAML while libyaml's binding takes names from it."""

    def __init__(self, name: str, package: Any) -> None:  # noqa: ANN401 - a module
        super().__init__(f"yaml.{name}")
        self.asked: set[str] = set()
        self._error: type[Exception] = package.error.MarkedYAMLError
        setattr(package, name, self)
        sys.modules[self.__name__] = self

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        self.asked.add(name)
        return self._error

    def leave(self, package: ModuleType) -> None:
        """Give the place to the real module, for whoever imports it next."""
        delattr(package, self.__name__.partition(".")[2])
        del sys.modules[self.__name__]


def _import(names: tuple[str, ...]) -> None:
    """Import modules of PyYAML, their patterns to be compiled when they are used: libyaml never asks for them.

    One of them is a class of all printable characters, a twentieth of a start.
    """
    compile_now = re.compile

    def compile_later(pattern: Any, flags: Any = 0) -> Any:  # noqa: ANN401 - what re.compile takes and gives
        is_yaml = str(sys._getframe(1).f_globals.get("__name__")).startswith("yaml.")  # noqa: SLF001 - nobody else's
        return late(pattern, flags) if is_yaml else compile_now(pattern, flags)

    re.compile = compile_later
    try:
        for name in names:
            import_module(f"yaml.{name}")
    finally:
        re.compile = compile_now
