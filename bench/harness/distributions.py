"""How values are spread: for each case a histogram and the share of the values below."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from bench.harness.colours import COLOURS
from bench.harness.figures import Results

BINS = 40

Curve = Sequence[tuple[float, float]]


def distributions(results: Results, workload: str) -> Iterator[tuple[str, Drawing]]:
    """(title, picture) for each case of one workload of which the distribution was kept, a line per target."""
    cases = dict.fromkeys(f.key for f in results.figures if f.workload == workload and f.curve)
    for key in cases:
        curves = {}
        for target in results.targets():
            found = [figure.curve for figure in results.of(key, target) if figure.curve]
            if found:
                curves[target] = [(share, max(value, 1e-6) * 1e3) for share, value in found[-1]]
        metric = " ".join(word for word in key[2].replace("p50", "").split() if word != "rate") or "latency"
        yield f"distribution of {workload}, {key[1]}: {metric}", _drawn(curves)


def _drawn(curves: dict[str, list[tuple[float, float]]]) -> Drawing:
    drawing, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained")
    least = min(curve[0][1] for curve in curves.values())
    # What is beyond 99.9 % would stretch the axis over decades that hold next to nothing.
    greatest = max(
        next((value for share, value in curve if share >= 0.999), least) for curve in curves.values()
    )
    greatest = max(greatest, least * 1.5)
    edges = [least * (greatest / least) ** (step / BINS) for step in range(BINS + 1)]
    for target, curve in curves.items():
        colour = COLOURS[target]
        left.stairs(histogram(curve, edges), edges, color=colour, label=target, fill=True, alpha=0.25)
        left.stairs(histogram(curve, edges), edges, color=colour)
        right.plot([value for _, value in curve], [share * 100 for share, _ in curve], color=colour)
    left.set_ylabel("% of the samples, per bar")
    right.set_ylabel("% of the samples below")
    left.set_ylim(bottom=0)
    right.set_ylim(0, 102)
    for axes in (left, right):
        axes.set_xlim(least / 1.05, greatest * 1.05)
        _logarithmic(axes, least, greatest)
    drawing.legend(loc="outside upper right", ncols=len(curves), frameon=False, fontsize=8)
    return drawing


def _logarithmic(axes: Axes, least: float, greatest: float) -> None:
    """Ticks at round numbers, few enough to be read."""
    axes.set_xscale("log")
    decades = math.log10(greatest / least)
    steps = (1, 2, 5) if decades < 2.5 else (1,)
    first, last = math.floor(math.log10(least)) - 1, math.ceil(math.log10(greatest)) + 1
    ticks = [step * 10.0**power for power in range(first, last) for step in steps]
    axes.set_xticks([tick for tick in ticks if least / 1.05 <= tick <= greatest * 1.05])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_xlabel("ms (logarithmic)")


def histogram(curve: Curve, edges: Sequence[float]) -> list[float]:
    """Percent of the values between each two edges; those outside count to the first and the last."""
    below = [0.0, *(share_below(curve, edge) for edge in edges[1:-1]), 1.0]
    return [100 * (after - before) for before, after in pairwise(below)]


def share_below(curve: Curve, value: float) -> float:
    """The share of the values below one, on straight lines between those that were kept."""
    before = (0.0, -math.inf)
    for share, known in curve:
        if known >= value:
            if known == before[1] or before[1] == -math.inf:
                return before[0]
            return before[0] + (share - before[0]) * (value - before[1]) / (known - before[1])
        before = (share, known)
    return 1.0
