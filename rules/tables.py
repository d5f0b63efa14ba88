"""The tables of facts: TOML files in tables/, read when a rule first asks for one."""

from __future__ import annotations

import os
from functools import cache
from importlib.machinery import SourceFileLoader

from ..scanner.startup import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

_FOLDER = os.path.join(os.path.dirname(__file__), "tables")


class _Loader(SourceFileLoader):
    """Python's own way with modules: what was made of the source is kept in __pycache__ while the source is the same.

    Reading TOML anew, and the module for it, would be a ninth of what lkscan does for one spec.
    """

    def source_to_code(self, data: Any, path: Any, *, _optimization: int = -1) -> CodeType:  # type: ignore[override]  # noqa: ANN401 - bytes
        """The table as an expression."""
        import tomli

        return compile(repr(tomli.loads(data.decode())), path, "eval")


@cache
def load(name: str) -> dict[str, Any]:
    """The content of tables/`name`.toml. Raises FileNotFoundError when lkscan ships no such table."""
    code: Any = _Loader(name, os.path.join(_FOLDER, f"{name}.toml")).get_code(name)
    table: dict[str, Any] = eval(code)  # noqa: S307 - made of our own file, by us
    return table
