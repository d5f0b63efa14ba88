"""The tables of facts: TOML files beside the rules, read when a rule first asks for one."""

from __future__ import annotations

import os
from functools import cache

from ..scanner.startup import Any

_FOLDER = os.path.dirname(__file__)


@cache
def load(name: str) -> dict[str, Any]:
    """The content of `name`.toml. Raises FileNotFoundError when lkscan ships no such table."""
    import tomli

    with open(os.path.join(_FOLDER, f"{name}.toml"), "rb") as file:
        return tomli.load(file)
