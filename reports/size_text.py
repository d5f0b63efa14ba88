"""Sizes as text: components, each with its tree, and what the image costs to boot."""

from __future__ import annotations

from collections.abc import Iterator

from ..rules.components import amount
from ..rules.sizes import Report, Sizes
from .formats import Options
from .printable import printable
from .size_tree import tree
from .size_words import about, boot, total
from .treemap import titles

_SHARE = 100
"""What has less than one part in so many of the whole is told together."""


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - as every format
    """The report; see `formats.render`. A terminal may get it, whatever names are in it."""
    return "\n".join("".join(f"{printable(line)}\n" for line in _image(one)) for one in report.images if one.is_read)


def _image(sizes: Sizes) -> Iterator[str]:
    whole = sizes.size or 1
    yield f"{sizes.path}  {total(sizes)}"
    if sizes.components:
        yield f"  {'unpacked':>10} {'share':>6} {'as shipped':>10}"
    for (name, one), packed in zip(titles(sizes.components), sizes.packed, strict=True):
        yield f"  {amount(one.size):>10} {one.size / whole:6.1%} {about(packed):>10}  {name}  ({one.files:,} files)"
        nodes = tree(one.parts, whole / _SHARE)
        for node in nodes if len(nodes) > 1 or one.size * _SHARE >= whole else ():
            yield f"  {amount(node.size):>10} {node.size / whole:6.1%} {'':>10}  {'  ' * (node.depth + 1)}{node.name}"
    yield "  boot"
    yield from (f"    {name:<9} {text}" for name, text in boot(sizes))
    yield from (f"  over budget: {one}" for one in sizes.excess)
