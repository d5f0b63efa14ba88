"""Sizes as a page: the budget's verdict, a map and a tree of each image, and what it costs to boot. Needs no script."""

from __future__ import annotations

from collections.abc import Iterable

from ..rules.components import Component
from ..rules.contents import Contents
from ..rules.sizes import Report, Sizes
from ..scanner.startup import NamedTuple
from ..scanner.subjects import Place
from . import treemap
from .formats import Options
from .html_page import MOST
from .html_page import render as page
from .size_tree import Node, tree
from .size_words import boot, total

_OVER = "high"
"""The colour of what is over its budget."""

_ROWS = 100
"""Files and folders of one component that are written out, the first of its tree."""


class _Row(NamedTuple):
    """A component with its tree; `left` nodes of it are not written out."""

    name: str
    one: Component
    share: float
    packed: int | None
    held: int
    is_over: bool
    nodes: list[Node]
    left: int


class _Marks:
    """Colours what is in a component that is over its budget."""

    def __init__(self, over: Iterable[str]) -> None:
        self._over = frozenset(over)

    def of_parts(self, one: Component) -> list[str]:
        """See `treemap.Colours`."""
        return [self.word(one)] * len(one.parts)

    def of_component(self, one: Component) -> tuple[int, str]:
        """See `treemap.Colours`."""
        return int(one.name in self._over), self.word(one)

    def word(self, one: Component) -> str:
        """The colour of a component."""
        return _OVER if one.name in self._over else ""


def render(report: Report, options: Options) -> str:
    """The report; see `formats.render`."""
    images = [one for one in report.images if one.is_read]
    has_budget = any(one.budget for one in images)
    over = [(one, excess) for one in images for excess in one.excess]
    return page(
        "size.html",
        version=options.version,
        title=_title(images, len(over), has_budget=has_budget),
        tone="high" if over else "good" if has_budget else "note",
        over=over,
        images=[_image(one) for one in images],
        shapes=(("wide", treemap.WIDE), ("tall", treemap.TALL)),
        result=report,
    )


def _title(images: list[Sizes], over: int, *, has_budget: bool) -> str:
    if not images:
        return "Nothing could be measured."
    if has_budget:
        return "Over budget." if over else "Within its budget." if len(images) == 1 else "All within their budgets."
    return f"{total(images[0])}." if len(images) == 1 else f"{len(images)} images."


def _image(sizes: Sizes) -> dict[str, object]:
    """What the template shows of one image."""
    marks = _Marks(one.name for one in sizes.excess)
    contents = Contents(Place((sizes.path,)), sizes.components, ())
    return {
        "path": sizes.path,
        "total": total(sizes),
        "sizes": sizes,
        "boot": list(boot(sizes)),
        "rows": list(_rows(sizes, marks)),
        "marked": any(map(marks.word, sizes.components)),
        "left": max(0, len(sizes.components) - MOST),
        "drawn": {
            "wide": treemap.draw(contents, marks, treemap.WIDE),
            "tall": treemap.draw(contents, marks, treemap.TALL),
        },
    }


def _rows(sizes: Sizes, marks: _Marks) -> Iterable[_Row]:
    whole = sizes.size or 1
    rows = list(zip(treemap.titles(sizes.components), sizes.packed, sizes.held, strict=True))[:MOST]
    for (name, one), packed, held in rows:
        nodes = tree(one.parts)
        share = 100 * one.size / whole
        yield _Row(name, one, share, packed, held, bool(marks.word(one)), nodes[:_ROWS], max(0, len(nodes) - _ROWS))
