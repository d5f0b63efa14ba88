"""Kernel configurations that lie beside a kernel, and which kernel each of them is of."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import kconfig
from .startup import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .subjects import File, Kernel

_PATH = re.compile(
    r"(?:.*/)?(?:boot/config(?:-[^/]+)?|lib/modules/[^/]+/(?:config|(?:build|source)/\.config)|usr/src/[^/]+/\.config"
    r"|proc/config\.gz|kernel[.-]config)"
)
"""Where distributions, LinuxKit's kernel-dev.tar and running kernels keep the configuration."""
_MODULE = re.compile(r"(?:.*/)?lib/modules/(?P<release>[^/]+)/kernel/kernel/configs\.ko(?:\.gz|\.xz|\.zst)?")
"""What CONFIG_IKCONFIG=m makes."""
_RELEASE = re.compile(r"(?:.*/)?(?:boot/config-|lib/modules/|usr/src/linux-headers-)([^/]+)(?:/.*)?")


def is_one(path: str) -> bool:
    """Whether it is where a configuration stands."""
    return _PATH.fullmatch(path) is not None


def releases_of(path: str) -> set[str]:
    """The release that the path of a configuration tells, if it tells one."""
    match = _RELEASE.fullmatch(path)
    return {match[1]} if match else set()


def release_of_module(path: str) -> str:
    """The release of a kernel whose configuration that module holds, else ""."""
    match = _MODULE.fullmatch(path)
    return match["release"] if match else ""


class _One(NamedTuple):
    """A configuration: the releases that it may be of, and where it was found."""

    releases: frozenset[str]
    source: str
    text: bytes


class Configurations:
    """Those of one image, as they come."""

    def __init__(self, keep: Callable[[int], None]) -> None:
        """`keep` is told how many bytes are held, and raises LimitError where that is too much."""
        self._found: list[_One] = []
        self._keep = keep

    def add(self, file: File, text: bytes, releases: set[str]) -> None:
        """Keep one for the kernel of one of the `releases`, or of one that it names itself. Raises LimitError."""
        options = kconfig.parse(text)
        if options:
            self._keep(len(text))
            known = frozenset(releases | kconfig.releases(text, options))
            self._found.append(_One(known, str(file.place), text))

    def join(self, kernel: Kernel) -> Kernel:
        """A kernel without one of its own, with the first that is of its release, if there is one."""
        for one in self._found:
            if kernel.version and kernel.version in one.releases:
                options = kconfig.parse(one.text)
                return kernel._replace(config=options, config_source=one.source, config_text=one.text, traces=())
        return kernel
