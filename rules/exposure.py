"""The exposure score of a container: how much of the host it could touch, in one number from 0 to 10.

The manner is that of `systemd-analyze security`. Every item of exposure.toml has a weight and is true of the container
(bad) or not; the score is ten times the weight of the bad items over the weight of all items, rounded to one decimal,
and never below the highest `floor` among the bad ones: one way to root on the host is enough. Zero is a container that
could do nothing to the host even as root; ten is no container at all. The score ranks containers and shows progress;
the findings say what is wrong.
"""

from collections.abc import Callable, Iterator
from functools import cache

from ..scanner.startup import Any, NamedTuple
from ..scanner.subjects import Container
from .escape import effective, sensitive, shares, sockets, ways
from .origins import is_set
from .tables import load

UNKNOWN = "UNKNOWN"
"""The word where no score can be given."""


class Item(NamedTuple):
    """One thing that a container may be exposed by; `bad` is None where the evidence to tell is not there."""

    label: str
    weight: float
    bad: bool | None
    floor: float = 0.0


class Exposure(NamedTuple):
    """A container's score (0.0 none to 10.0 all), its word, and what it is made of, heaviest first.

    `score` is None where the image's label is not known and could change it; `at_least` is then what is certain (and
    otherwise the score itself), and the word is UNKNOWN unless nothing could change that.
    """

    score: float | None
    at_least: float
    word: str
    items: tuple[Item, ...]


def exposure(container: Container) -> Exposure:
    """Score one container by its effective configuration."""
    items = tuple(sorted(_items(container), key=lambda item: (-item.floor, -item.weight, item.label)))
    at_least = _score(items, (True,))
    if container.error or any(item.bad is None for item in items):
        settled = word(at_least) == word(_score(items, (True, None))) and not container.error
        return Exposure(None, at_least, word(at_least) if settled else UNKNOWN, items)
    return Exposure(at_least, at_least, word(at_least), items)


def word(score: float) -> str:
    """TIGHT, OK, MEDIUM, EXPOSED or UNSAFE."""
    words: list[tuple[float, str]] = load("exposure")["words"]
    return next(text for least, text in words if score >= least)


def _score(items: tuple[Item, ...], counted: tuple[bool | None, ...]) -> float:
    bad = [item for item in items if item.bad in counted]
    share = sum(item.weight for item in bad) / sum(item.weight for item in items)
    return round(max([10 * share, *(item.floor for item in bad)]), 1)


def _items(container: Container) -> Iterator[Item]:
    held, is_open = _held(container), container.label.kind == "unknown"
    for label, weight, floor, fact, capabilities, grows, keys in _rows():
        bad = fact(container) if fact else not held.isdisjoint(capabilities)
        certain = not is_open or (bad and grows) or all(is_set(container, key) for key in keys)
        yield Item(label, weight, bad if certain else None, floor)


@cache
def _rows() -> list[tuple[str, float, float, Callable[[Container], bool] | None, frozenset[str], bool, list[str]]]:
    """The items of exposure.toml: label, weight, floor, fact, capabilities, `grows`, and the keys that settle it."""
    return [
        (
            row["label"],
            row["weight"],
            row.get("floor", 0.0),
            _FACTS.get(row.get("fact", "")),
            frozenset(row.get("capabilities", ())),
            row.get("grows", "fact" not in row),
            row.get("keys", ["capabilities"]),
        )
        for row in load("exposure")["item"]
    ]


def _held(container: Container) -> frozenset[str]:
    """The capabilities over the host that its processes can ever hold, by a set-user-id file at worst."""
    if container.namespace("user") != "host" or (container.uid != 0 and container.no_new_privileges):
        return effective(container)
    return container.capabilities


def _leads(container: Container, *kinds: str) -> bool:
    return any(way.kind in kinds for way in ways(container))


def _writes(container: Container, *, sensitive_ones: bool) -> bool:
    binds = [mount.source for mount in container.mounts if mount.is_bind and mount.writable]
    return any((sensitive(source) is not None) is sensitive_ones for source in binds if source.startswith("/"))


def _unmasked(container: Container) -> bool:
    linux: dict[str, Any] = container.oci.get("linux") or {}
    return not linux.get("maskedPaths")


_FACTS: dict[str, Callable[[Container], bool]] = {
    "way_out": lambda c: _leads(c, "direct", "told"),
    "detour": lambda c: _leads(c, "detour"),
    "root": lambda c: c.uid == 0,
    "gains_privileges": lambda c: not c.no_new_privileges,
    "writable_root": lambda c: not c.readonly,
    "host_network": lambda c: shares(c, "network"),
    "host_pid": lambda c: shares(c, "pid"),
    "host_ipc": lambda c: shares(c, "ipc"),
    "host_uts": lambda c: shares(c, "uts"),
    "host_users": lambda c: c.namespace("user") == "host",
    "runtime_socket": lambda c: any(True for _ in sockets(c)),
    "writes_sensitive": lambda c: _writes(c, sensitive_ones=True),
    "sees_sensitive": lambda c: any(m.is_bind and sensitive(m.source) is not None for m in c.mounts),
    "writes_host": lambda c: _writes(c, sensitive_ones=False),
    "devices": lambda c: any(device.get("allow") for device in c.devices),
    "unmasked": _unmasked,
}
"""The facts that exposure.toml weighs, by name."""
