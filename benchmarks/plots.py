"""Draws figures as SVG: the same bytes for the same figures and version of matplotlib.

A viewer that prefers dark colours shows the sheet inverted, with its hues.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from results import COLUMNS, Table

_DARK = "<style>@media (prefers-color-scheme: dark) { #figure_1 { filter: invert(0.9) hue-rotate(180deg); } }</style>"


def name(title: str) -> str:
    """The file of a plot, beside the page."""
    return f"benchmarks-{title.lower().replace(' ', '-')}.svg"


def curves(table: Table) -> str:
    """Time and memory over `x`, a line for each name; the rows are the description."""
    from matplotlib import ticker  # heavy: only who draws needs it

    with _style() as plt:
        figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        names = list(dict.fromkeys(one["name"] for one in table.rows))
        for axis, key in zip(axes, (table.by, "peak"), strict=True):
            for series in names:
                points = [(one["x"], one[key]) for one in table.rows if one["name"] == series and key in one]
                if points:
                    axis.plot(*zip(*points, strict=True), marker="o", markersize=3.5, label=series)
            axis.set_ylim(bottom=0)
            axis.set_xlabel(table.x)
            axis.xaxis.set_major_formatter("{x:,.0f}")
            axis.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
            axis.set_title(COLUMNS[key][0])
            axis.grid(visible=True, alpha=0.3)
        if len(names) > 1:
            axes[0].legend(frameon=False)
        return _drawn(figure, table.title, described(table))


def bars(title: str, shares: Mapping[str, float]) -> str:
    """How much of what is allowed each figure takes, on a logarithmic scale; the shares are the description."""
    with _style() as plt:
        figure, axis = plt.subplots(figsize=(8, 0.6 + 0.2 * len(shares)), layout="constrained")
        colours = ["tab:green" if share <= 1 else "tab:red" for share in shares.values()]
        axis.barh(list(shares), [share - 1 for share in shares.values()], left=1, color=colours)
        axis.set_xscale("log")
        axis.invert_yaxis()
        axis.minorticks_off()
        axis.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], [0.1, 0.2, 0.5, 1, 2, 5, 10])
        axis.set_xlim(min([0.2, *shares.values()]) / 1.1, max([2, *shares.values()]) * 1.1)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_title(title)
        axis.grid(visible=True, axis="x", alpha=0.3)
        return _drawn(figure, title, json.dumps(shares))


@contextmanager
def _style() -> Iterator[Any]:
    """pyplot, with its own defaults, not those of this machine, and text that stays text."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("svg", fonttype="none", hashsalt="lkscan")
        mpl.rc("font", size=9)
        yield plt
        plt.close("all")


def _drawn(figure: Any, title: str, description: str) -> str:  # noqa: ANN401 - the same
    out = io.StringIO()
    about = {"Title": title, "Description": description, "Date": None, "Creator": "lkscan"}
    figure.savefig(out, format="svg", metadata=about)
    lines = "\n".join(line.rstrip() for line in out.getvalue().splitlines())
    return lines.replace(" <defs>", f" {_DARK}\n <defs>", 1) + "\n"


def described(table: Table) -> str:
    """The points, as text: a test holds a plot against the figures by it."""
    return json.dumps(table.rows, sort_keys=True)
