"""The picture of a side-by-side run: server CPU per request by workload, server and size. Needs matplotlib."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .results import Document
from .table import Figures
from .workloads import WORKLOADS

matplotlib.use("Agg")

COLOURS = ("#c1272d", "#1f5fa8", "#3a8f4d", "#8a5fb0", "#d08b1d", "#555555")
GREY = "#333333"
LINE_HEIGHT = 0.21
INCHES_A_LINE = 0.16
FLOOR_MS = 0.01
"""Less cannot be told from nothing, and a logarithmic axis has no zero."""


def draw(documents: Iterable[Document], path: Path) -> None:
    """Write the picture as PNG.

    Each server has a line per workload, from the smallest size (hollow) to the largest (filled): a single dot is a cost
    that does not grow with the book, a long line one that does. A cross marks figures with wrong answers among them.
    """
    figures = Figures(documents)
    labels = figures.labels
    rows = [
        workload
        for workload in WORKLOADS
        if any(figures.cpu_ms(n, label, workload.letter) is not None for n in figures.sizes for label in labels)
    ]
    height = 1.6 + max(1, len(rows)) * (len(labels) + 1.2) * INCHES_A_LINE
    figure = Figure(figsize=(10, height), layout="constrained")
    axes = figure.add_subplot()
    for row, workload in enumerate(rows):
        if row % 2:
            axes.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", zorder=0)
        for place, label in enumerate(labels):
            y = row + (place - (len(labels) - 1) / 2) * LINE_HEIGHT
            points = [
                Point(n, cpu, figures.doubtful(n, label, workload.letter))
                for n in figures.sizes
                if (cpu := figures.cpu_ms(n, label, workload.letter)) is not None
            ]
            _line(axes, y, points, largest=figures.sizes[-1], colour=COLOURS[place % len(COLOURS)])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_yticks(range(len(rows)), [f"{workload.name} ({workload.letter})" for workload in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#d9d9d9", linewidth=0.6, zorder=1)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("server CPU per request, ms (logarithmic; less is better)")
    sizes = " and ".join(f"{n:,}" for n in (figures.sizes[0], figures.sizes[-1])) if figures.sizes else "no"
    figure.legend(
        handles=_legend(labels, figures.sizes),
        title=f"CardDAV servers, books of {sizes} contacts",
        alignment="left",
        loc="outside upper left",
        ncols=6,
        frameon=False,
        fontsize=9,
    )
    figure.savefig(path, dpi=150)


class Point(NamedTuple):
    """One figure of one server. ``doubtful``: some answers were not as expected."""

    n: int
    cpu_ms: float
    doubtful: bool


def _line(axes: Axes, y: float, points: Sequence[Point], *, largest: int, colour: str) -> None:
    places = [max(point.cpu_ms, FLOOR_MS) for point in points]
    axes.plot(places, [y] * len(points), color=colour, linewidth=1.4, zorder=2)
    for place, point in zip(places, points, strict=True):
        face = colour if point.n == largest else "white"
        marker = "X" if point.doubtful else "o"
        axes.plot(
            place, y, marker, markersize=7.5 if point.doubtful else 5.5, color=colour, markerfacecolor=face, zorder=3
        )


def _legend(labels: list[str], sizes: list[int]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=COLOURS[place % len(COLOURS)], marker="o", label=label)
        for place, label in enumerate(labels)
    ]
    if len(sizes) > 1:
        for n, face in ((sizes[0], "white"), (sizes[-1], GREY)):
            label = f"N = {n:,}"
            handles.append(Line2D([], [], color=GREY, marker="o", linestyle="none", markerfacecolor=face, label=label))
    handles.append(Line2D([], [], color=GREY, marker="X", linestyle="none", label="wrong answers"))
    return handles
