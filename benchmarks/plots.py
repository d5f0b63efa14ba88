"""Draws a table as curves of time and memory, as SVG: the same bytes for the same table and version of matplotlib.

A viewer that prefers dark colours shows the sheet inverted, with its hues.
"""

from __future__ import annotations

import io
import json

from results import COLUMNS, Row, Table

_DARK = "<style>@media (prefers-color-scheme: dark) { #figure_1 { filter: invert(0.9) hue-rotate(180deg); } }</style>"
_WIDE = 30
"""From which ratio of the largest to the smallest an axis is logarithmic."""


def name(title: str) -> str:
    """The file of a plot, beside the page."""
    return f"benchmarks-{title.lower().replace(' ', '-')}.svg"


def svg(table: Table) -> str:
    """The plot; the table itself is its description."""
    import matplotlib as mpl  # heavy: only who draws needs it

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context():
        mpl.rcdefaults()  # not what is configured on this machine
        mpl.rc("svg", fonttype="none", hashsalt="lkscan")
        mpl.rc("font", size=9)
        figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        for axis, key in zip(axes, (table.by, "peak"), strict=True):
            for series in dict.fromkeys(one["name"] for one in table.rows):
                points = [(one["x"], one[key]) for one in table.rows if one["name"] == series and key in one]
                if points:
                    axis.plot(*zip(*points, strict=True), marker="o", markersize=3.5, label=series)
            for letter, values in (("x", _values(table.rows, "x")), ("y", _values(table.rows, key))):
                if values and min(values) > 0 and max(values) / min(values) > _WIDE:
                    getattr(axis, f"set_{letter}scale")("log")
            axis.set_xlabel(table.x)
            axis.set_title(COLUMNS[key][0])
            axis.grid(visible=True, alpha=0.3)
            if axis.get_yscale() == "linear":
                axis.set_ylim(bottom=0)
            axis.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
            axis.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,g}"))
        if len({one["name"] for one in table.rows}) > 1:
            axes[0].legend(frameon=False)
        out = io.StringIO()
        about = {"Title": table.title, "Description": described(table), "Date": None, "Creator": "lkscan"}
        figure.savefig(out, format="svg", metadata=about)
        plt.close(figure)
    drawn = "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
    return drawn.replace(" <defs>", f" {_DARK}\n <defs>", 1)


def described(table: Table) -> str:
    """The points, as text: a test holds a plot against the figures by it."""
    return json.dumps(table.rows, sort_keys=True)


def _values(rows: list[Row], key: str) -> list[float]:
    return [one[key] for one in rows if key in one]
