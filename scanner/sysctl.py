"""Files of kernel settings: sysctl.conf and sysctl.d."""

from __future__ import annotations

import re

from .source import LimitError
from .subjects import Place, Sysctl

LIMIT = 1 << 20
"""Characters that such a file may have."""

_MINE = re.compile(
    r"/?(?:containers/[^/]+/[^/]+/(?:rootfs|lower)/)?"
    r"(?:etc/sysctl\.conf|etc/sysctl\.d/[^/]+|(?:run|lib|usr/lib|usr/local/lib)/sysctl\.d/[^/]+\.conf)"
)
_LINE = re.compile(r"[ \t]*(?:-[ \t]*)?([^#;=\s][^=]*)=(.*)")
_SWAPPED = str.maketrans("./", "/.")


def is_mine(path: str) -> bool:
    """Whether `path` is read at boot, by the root filesystem or by a container that sets them.

    In etc/sysctl.d LinuxKit's own program reads every file, whatever its suffix.
    """
    return _MINE.fullmatch(path) is not None


def read(text: str, place: Place, path: str = "") -> Sysctl:
    """The settings of a file in order; lines that set nothing are passed over, as sysctl does. Raises LimitError."""
    if len(text) > LIMIT:
        raise LimitError(f"a file of kernel settings of {len(text)} characters, more than {LIMIT}")
    matches = ((number, _LINE.match(line)) for number, line in enumerate(text.split("\n"), 1))
    return Sysctl(
        place,
        tuple((_dotted(match[1].rstrip()), match[2].strip(), number) for number, match in matches if match),
        path,
    )


def _dotted(name: str) -> str:
    """`net/ipv4/conf/eth0.1/rp_filter` is `net.ipv4.conf.eth0/1.rp_filter`: the first separator tells."""
    separator = next((letter for letter in name if letter in "./"), ".")
    return name.translate(_SWAPPED) if separator == "/" else name
