"""Pictures of the figures, as SVG and PNG: bars per workload, distributions, failovers as they went by, growth."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure as Drawing

from bench.harness import timeline
from bench.harness.colours import COLOURS
from bench.harness.distributions import distributions
from bench.harness.figures import UP, Results

PROPERTIES: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "figure.dpi": 110,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
}
_ROW_INCHES = 0.32


def draw(results: Results, folder: Path) -> list[tuple[str, Path]]:
    """Draw everything; (title, path of the SVG) of each, in the order of the report."""
    folder.mkdir(exist_ok=True)
    mpl.use("agg")
    drawn = []
    with plt.rc_context(PROPERTIES):
        for title, drawing in _drawings(results):
            path = folder / f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
            drawing.savefig(path)
            drawing.set_layout_engine("none")  # What was laid out for the one file holds for the other.
            drawing.savefig(path.with_suffix(".png"))
            plt.close(drawing)
            drawn.append((title, path))
    return drawn


def _drawings(results: Results) -> Iterator[tuple[str, Drawing]]:
    """One after the other, so that only one is held at a time."""
    groups: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for key in results.measured():
        figure = next(figure for figure in results.figures if figure.key == key)
        groups.setdefault((figure.workload, figure.metric, figure.unit), []).append(key)
    for (workload, metric, unit), keys in groups.items():
        if workload != "consistency":
            yield f"{workload}: {metric}", _bars(results, keys, unit)
    for workload in dict.fromkeys(figure.workload for figure in results.figures if figure.curve):
        yield from distributions(results, workload)
    growth = [key for key in results.measured() if key[0] == "resources" and "keys" in key[1]]
    if growth:
        yield "growth with the data", _growth(results, growth)
    for each in results.timelines:
        yield f"timeline of {each['title']}", timeline.drawn(each)


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
    axes.margins(x=0.14, y=0.1 / len(keys))
    more = next(f for f in results.figures if f.key == keys[0]).better == UP
    axes.set_xlabel(
        f"{unit}, median of the rounds (dots: each round); {'more' if more else 'less'} is better"
    )
    if len(targets) > 1:
        drawing.legend(loc="outside upper right", ncols=len(targets), frameon=False)
    return drawing


def _growth(results: Results, keys: Sequence[tuple[str, str, str]]) -> Drawing:
    """Memory and disk over the number of keys."""
    drawing, (memory, disk) = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained")
    for axes, metric in ((memory, "memory of a node"), (disk, "disk of a node")):
        for target in results.targets():
            points = [
                (_keys(key), results.median(key, target))
                for key in keys
                if key[2] == metric and results.of(key, target)
            ]
            if points:
                axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[target], label=target)
        axes.set_xscale("log")
        axes.set_xticks(
            sizes := sorted({_keys(key) for key in keys}), [f"{size:,}" for size in sizes], minor=False
        )
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("keys of 64 bytes, and a tenth as many services")
        axes.set_ylabel(f"{metric}, MiB")
    memory.legend(frameon=False)
    return drawing


def _keys(key: tuple[str, str, str]) -> int:
    """How many keys a case of growth is about."""
    return int(key[1].partition(" ")[0].replace(",", ""))
