"""Sizes as Markdown, for a comment on a pull request: a table of components, and what the image costs to boot."""

from __future__ import annotations

from collections.abc import Iterator

from ..rules.components import amount
from ..rules.sizes import Report, Sizes
from .formats import Options
from .markdown import text
from .size_words import about, boot, total
from .treemap import titles

_MOST = 50
"""Components that are written out."""


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - as every format
    """The report; see `formats.render`."""
    return "\n".join("\n".join((*_image(one), "")) for one in report.images if one.is_read)


def _image(sizes: Sizes) -> Iterator[str]:
    yield f"### {text(sizes.path)}: {total(sizes)}"
    yield ""
    over = sizes.excess
    yield from (f"- **over budget**: {text(str(one))}" for one in over)
    if sizes.budget and not over:
        yield "Within its budget."
    yield from ("", "| Component | Unpacked | Share | As shipped | In memory | Files |")
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    whole = sizes.size or 1
    rows = zip(titles(sizes.components), sizes.packed, sizes.held, strict=True)
    for (name, one), packed, held in list(rows)[:_MOST]:
        numbers = (amount(one.size), f"{one.size / whole:.1%}", about(packed), amount(held) if held else "none")
        yield f"| {text(name)} | {' | '.join(numbers)} | {one.files:,} |"
    if len(sizes.components) > _MOST:
        yield from ("", f"And {len(sizes.components) - _MOST:,} smaller components.")
    yield ""
    yield from (f"- {name}: {text(what)}" for name, what in boot(sizes))
