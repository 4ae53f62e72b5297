"""Pictures of the figures, as SVG and PNG: bars per workload, distributions, failovers as they went by, growth."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import NullFormatter

from bench.harness.figures import UP, Figure, Results

COLOURS = {
    "raftreg": "#c2410c",
    "running": "#c2410c",
    "consul": "#9d174d",
    "consul-fast": "#db2777",
    "etcd": "#1d4ed8",
    "etcd-fast": "#0891b2",
}
GAP_COLOUR = "#fecaca"
PROPERTIES: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "figure.dpi": 110,
}
_ROW_INCHES = 0.32


def draw(results: Results, folder: Path) -> list[tuple[str, Path]]:
    """Draw everything; (title, path of the SVG) of each, in the order of the report."""
    folder.mkdir(exist_ok=True)
    mpl.use("agg")
    drawn = []
    with plt.rc_context(PROPERTIES | {"figure.max_open_warning": 0}):
        for title, drawing in _drawings(results):
            path = folder / f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
            drawing.savefig(path, bbox_inches="tight")
            drawing.savefig(path.with_suffix(".png"), bbox_inches="tight")
            plt.close(drawing)
            drawn.append((title, path))
    return drawn


def _drawings(results: Results) -> list[tuple[str, Drawing]]:
    drawings = []
    groups: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for key in results.measured():
        figure = next(figure for figure in results.figures if figure.key == key)
        groups.setdefault((figure.workload, figure.metric, figure.unit), []).append(key)
    for (workload, metric, unit), keys in groups.items():
        if workload != "consistency":
            drawings.append((f"{workload}: {metric}", _bars(results, keys, unit)))
    for workload in dict.fromkeys(figure.workload for figure in results.figures if figure.curve):
        drawings += _distributions(results, workload)
    growth = [key for key in results.measured() if key[0] == "resources" and "keys" in key[1]]
    if growth:
        drawings.append(("growth with the data", _growth(results, growth)))
    drawings += [(f"timeline of {timeline['title']}", _timeline(timeline)) for timeline in results.timelines]
    return drawings


def _bars(results: Results, keys: Sequence[tuple[str, str, str]], unit: str) -> Drawing:
    """A bar per case and target, its rounds as dots."""
    targets = [name for name in results.targets() if any(results.of(key, name) for key in keys)]
    height = 0.8 + _ROW_INCHES * len(keys) * (len(targets) + 0.6)
    drawing, axes = plt.subplots(figsize=(8.5, height), layout="constrained")
    thick = 0.8 / len(targets)
    for place, target in enumerate(targets):
        for row, key in enumerate(keys):
            found = [figure.value for figure in results.of(key, target)]
            if not found:
                continue
            at = row + (place - (len(targets) - 1) / 2) * thick
            value = results.median(key, target) or 0.0
            label = target if row == 0 or not axes.get_legend_handles_labels()[1].count(target) else None
            axes.barh(at, value, thick * 0.9, color=COLOURS[target], label=label)
            axes.plot(found, [at] * len(found), "o", color="black", markersize=2.5)
            axes.annotate(
                f" {value:,.0f}" if value >= 100 else f" {value:.3g}",
                (max(found), at),
                va="center",
                fontsize=8,
                xytext=(3, 0),
                textcoords="offset points",
            )
    axes.set_yticks(range(len(keys)), [key[1] for key in keys])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.14)
    more = next(f for f in results.figures if f.key == keys[0]).better == UP
    axes.set_xlabel(
        f"{unit}, median of the rounds (dots: each round); {'more' if more else 'less'} is better"
    )
    if len(targets) > 1:
        drawing.legend(loc="outside upper right", ncols=len(targets), frameon=False)
    return drawing


def _distributions(results: Results, workload: str) -> list[tuple[str, Drawing]]:
    """How the values behind the figures of one workload are spread: a curve per target, a picture per case."""
    cases = dict.fromkeys(f.key for f in results.figures if f.workload == workload and f.curve)
    drawings = []
    for key in cases:
        drawing, axes = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
        for target in results.targets():
            found = [figure for figure in results.of(key, target) if figure.curve]
            if found:
                _one_distribution(axes, found[-1], target)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("ms (logarithmic)")
        axes.set_ylabel("share of the samples below")
        axes.set_ylim(0, 1.02)
        axes.legend(frameon=False, loc="lower right")
        metric = "" if key[2] == "rate" else f" {key[2].removesuffix(' p50').removesuffix('p50')}".rstrip()
        drawings.append((f"distribution of {workload}, {key[1]}{metric}", drawing))
    return drawings


def _one_distribution(axes: Axes, figure: Figure, target: str) -> None:
    shares = [share for share, _ in figure.curve]
    values = [max(value, 1e-6) * 1e3 for _, value in figure.curve]
    axes.plot(values, shares, color=COLOURS[target], label=target, drawstyle="steps-post")


def _growth(results: Results, keys: Sequence[tuple[str, str, str]]) -> Drawing:
    """Memory and disk over the number of keys."""
    drawing, (memory, disk) = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained")
    for axes, metric in ((memory, "memory of a node"), (disk, "disk of a node")):
        for target in results.targets():
            points = [
                (int(key[1].partition(" ")[0].replace(",", "")), results.median(key, target))
                for key in keys
                if key[2] == metric and results.of(key, target)
            ]
            if points:
                axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[target], label=target)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("keys of 64 bytes, and a tenth as many services")
        axes.set_ylabel(f"{metric}, MiB")
    memory.legend(frameon=False)
    return drawing


def _timeline(timeline: dict[str, Any]) -> Drawing:
    """Each acknowledged write at the time of its answer, who was seen leading, and the longest gap shaded."""
    drawing, axes = plt.subplots(figsize=(8.5, 3.2), layout="constrained")
    answers = sorted((at, (at - sent) * 1e3) for sent, at in timeline["acknowledged"])
    times = [at for at, _ in answers]
    axes.plot(times, [took for _, took in answers], ".", markersize=3, color="#374151", label="a write")
    gaps = [(after - before, before, after) for before, after in pairwise(times) if after > 0]
    if gaps:
        length, begin, end = max(gaps)
        axes.axvspan(begin, end, color=GAP_COLOUR, label=f"no write acknowledged: {length * 1e3:.0f} ms")
    axes.axvline(0, color="#b91c1c", linewidth=1, label="fault")
    named = False
    for at, leader in timeline["leaders"]:
        if leader is not None and at > 0:
            label = None if named else "a survivor names a new leader"
            axes.axvline(at, color="#15803d", linewidth=0.8, linestyle=":", label=label)
            named = True
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("seconds since the fault")
    axes.set_ylabel("ms to the answer")
    drawing.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=8)
    return drawing
