"""The map of an image: rectangles as large as what it is made of, coloured by the worst that was found there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from squarify import normalize_sizes, squarify

from ..rules.components import Component, Part, amount
from ..rules.contents import Contents, component, within
from ..rules.engine import Finding, Severity
from ..scanner.startup import NamedTuple, Protocol

WIDE, TALL = (1120.0, 520.0), (380.0, 620.0)
"""Width and height of the map on a desk, and of the one on a phone, in pixels."""

_HEAD = 19.0
"""The height of a component's title."""

_CHARACTER, _LINE = 6.6, 14.0
"""What a character takes, and a line."""

_SMALL = 3.0
"""Sides below this are not drawn: nobody could point at them."""


class Rectangle(NamedTuple):
    """A part of the map by corner and size; `label` fits in, `title` says all, `severity` is "" where all is well."""

    x: float
    y: float
    width: float
    height: float
    label: str
    title: str
    severity: str


class Area(NamedTuple):
    """A component of the map: its frame and what is in it."""

    frame: Rectangle
    parts: list[Rectangle]


class Row(NamedTuple):
    """A component in numbers: `share` is a part of the whole in per cent, `severity` the worst, "" without any."""

    name: str
    size: int
    share: float
    files: int
    findings: int
    severity: str


_Home = tuple[tuple[str, ...], str]
"""A component: the layer that it lies in, and its name."""


class Colours(Protocol):
    """What the map is coloured by: words for severities, "" where all is well."""

    def of_parts(self, one: Component) -> list[str]:
        """Of each part of a component."""
        ...

    def of_component(self, one: Component) -> tuple[int, str]:
        """How much is wrong in a component, and the worst of it."""
        ...


class Tones:
    """The worst severity found on files and in components of one image."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._counts: Counter[_Home] = Counter()
        self._files: dict[_Home, dict[tuple[str, ...], Severity]] = {}
        for one in findings:
            artifacts = one.place.artifacts
            if len(artifacts) > 1:
                home = artifacts[:-1], component(artifacts[-1])
                files = self._files.setdefault(home, {})
                self._counts[home] += 1
                files[artifacts] = max(one.severity, files.get(artifacts, one.severity))

    def of_parts(self, one: Component) -> list[str]:
        """Of each part of a component; what is found in no file of its own counts for the folder that it lies in."""
        found = self._files.get((one.layer.artifacts, one.name), {})
        single = {part.place.artifacts for part in one.parts if part.place}
        folders = {part.path for part in one.parts if not part.place}
        worst: dict[str | None, Severity] = {}
        for artifacts, severity in found.items():
            if artifacts not in single:
                folder = _folder(within(artifacts[-1]), folders)
                worst[folder] = max(severity, worst.get(folder, severity))
        return [_word(found.get(part.place.artifacts) if part.place else worst.get(part.path)) for part in one.parts]

    def of_component(self, one: Component) -> tuple[int, str]:
        """How many findings are in a component, and the worst severity."""
        home = one.layer.artifacts, one.name
        return self._counts[home], _word(max(self._files.get(home, {}).values(), default=None))


def _word(severity: Severity | None) -> str:
    return "" if severity is None else str(severity)


def _folder(path: str, folders: Collection[str]) -> str | None:
    """The innermost of the folders that holds the path."""
    while path:
        path = path[: path.rstrip("/").rfind("/") + 1]
        if path in folders:
            return path
    return None


def rows(contents: Contents, tones: Colours) -> list[Row]:
    """The components, the largest first."""
    whole = sum(one.size for one in contents.components) or 1
    return [
        Row(name, one.size, 100 * one.size / whole, one.files, *tones.of_component(one))
        for name, one in titles(contents.components)
    ]


def draw(contents: Contents, tones: Colours, size: tuple[float, float]) -> list[Area]:
    """The map in a frame of this width and height."""
    boxes = _boxes([one.size for one in contents.components], 0, 0, *size)
    return [
        Area(_rectangle(box, name, _told(name, one.size, one.files), ""), _inside(box, one, tones))
        for (name, one), box in zip(titles(contents.components), boxes, strict=True)
        if min(box[2:]) >= _SMALL
    ]


def titles(components: Sequence[Component]) -> list[tuple[str, Component]]:
    """The components with their names; those of one name in several layers with the layer's."""
    names = Counter(one.name for one in components)
    return [(one.name if names[one.name] == 1 else f"{one.name} ({_home(one)})", one) for one in components]


def _home(one: Component) -> str:
    """The layer that a component lies in, or the file's own name where it lies in no layer of it."""
    whole, inner = one.layer.artifacts[:1], one.layer.artifacts[1:]
    return " / ".join(inner) or "".join(whole).rpartition("/")[2] or "outside"


_Box = tuple[float, float, float, float]


def _boxes(sizes: Sequence[int], x: float, y: float, width: float, height: float) -> list[_Box]:
    """Where each goes, as (x, y, width, height), all zero for what has no pixel of its own; sizes fall."""
    pixel = sum(sizes) / (width * height) if min(width, height) >= _SMALL else math.inf
    drawn = [size for size in sizes if size and size >= pixel]
    made = squarify(normalize_sizes(drawn, width, height), x, y, width, height) if drawn else []
    boxes = [(one["x"], one["y"], one["dx"], one["dy"]) for one in made]
    return boxes + [(0.0, 0.0, 0.0, 0.0)] * (len(sizes) - len(boxes))


def _inside(box: _Box, one: Component, tones: Colours) -> list[Rectangle]:
    x, y, width, height = box
    head = _HEAD if height > 2 * _HEAD else 1.0
    boxes = _boxes([part.size for part in one.parts], x + 1, y + head, width - 2, height - head - 1)
    return [
        _rectangle(inner, _name(part), _told(part.path or "other files", part.size, part.files), tone)
        for part, inner, tone in zip(one.parts, boxes, tones.of_parts(one), strict=True)
        if min(inner[2:]) >= _SMALL
    ]


def _name(part: Part) -> str:
    """What fits best: the file's own name."""
    return part.path.rstrip("/").rpartition("/")[2] + ("/" if part.path.endswith("/") else "") or "other files"


def _told(name: str, size: int, files: int) -> str:
    return f"{name}: {amount(size)}" + (f" in {files:,} files" if files > 1 else "")


def _rectangle(box: _Box, name: str, title: str, severity: str) -> Rectangle:
    x, y, width, height = (round(value, 1) for value in box)
    room = int((width - 8) / _CHARACTER)
    label = "" if height < _LINE or room < 3 else name if len(name) <= room else f"{name[: room - 1]}…"  # noqa: PLR2004
    return Rectangle(x, y, width, height, label, f"{title}, {severity}" if severity else title, severity)
