"""argparse with its words as they are: to look for translations, and find none, is a fortieth of a start."""

from __future__ import annotations

import sys
from types import ModuleType

__all__ = ["argparse"]


class _Words(ModuleType):
    """Stands in for the module gettext while argparse takes its two functions from it."""

    gettext = staticmethod(str)

    @staticmethod
    def ngettext(one: str, many: str, number: int) -> str:
        """The words for a number of things."""
        return one if number == 1 else many


_missing = "gettext" not in sys.modules
if _missing:
    sys.modules["gettext"] = _Words("gettext")
try:
    import argparse
finally:
    if _missing:
        del sys.modules["gettext"]
