"""lkscan: a security policy scanner and linter for LinuxKit specs and images."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .scanning import scan

__all__ = ["__version__", "scan"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the public API only when it is asked for: start-up is a feature."""
    if name == "scan":
        from .scanning import scan

        return scan
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
