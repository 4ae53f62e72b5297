"""A failover as it went by: each write at the time of its answer, the longest gap shaded, and who leads by time."""

from itertools import pairwise
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator

from bench.harness.colours import NOBODY, NODES

GAP_COLOUR = "#fecaca"
FAULT_COLOUR = "#b91c1c"


def drawn(timeline: dict[str, Any]) -> Drawing:
    """The picture of what `Outage.timeline` gave."""
    drawing, (writes, leaders) = plt.subplots(
        2, 1, figsize=(8.5, 3.9), height_ratios=(4, 1), sharex=True, layout="constrained"
    )
    _writes(writes, timeline["acknowledged"])
    seen = _leaders(leaders, timeline)
    for axes in (writes, leaders):
        axes.axvline(0, color=FAULT_COLOUR, linewidth=1)
    writes.plot([], [], color=FAULT_COLOUR, linewidth=1, label="fault")
    patches = [
        Patch(
            color=NOBODY if who is None else NODES[who],
            label="no leader" if who is None else f"n{who + 1} leads",
        )
        for who in sorted(seen, key=lambda who: (who is None, who))
    ]
    handles, _ = writes.get_legend_handles_labels()
    drawing.legend(
        handles=[*handles, *patches],
        loc="outside upper right",
        ncols=len(handles) + len(patches),
        frameon=False,
        fontsize=8,
        columnspacing=1.2,
        handlelength=1.4,
    )
    return drawing


def _writes(axes: Axes, acknowledged: list[list[float]]) -> None:
    answers = sorted((at, (at - sent) * 1e3) for sent, at in acknowledged)
    times = [at for at, _ in answers]
    axes.plot(times, [took for _, took in answers], ".", markersize=3, color="#374151", label="a write")
    gaps = [(after - before, before, after) for before, after in pairwise(times) if after > 0]
    if gaps:
        length, begin, end = max(gaps)
        axes.axvspan(begin, end, color=GAP_COLOUR, label=f"no write acknowledged: {length * 1e3:,.0f} ms")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.minorticks_off()
    axes.set_ylabel("ms to the answer")


def _leaders(axes: Axes, timeline: dict[str, Any]) -> set[int | None]:
    """A bar per node that was asked, coloured by whom it names; all who were named."""
    former, until = timeline["former"], timeline["until_s"]
    begin = min([at for _, at in timeline["acknowledged"]], default=0.0)
    asked = [number for number in range(len(NODES)) if number != former]
    seen: set[int | None] = set()
    for row, number in enumerate(asked):
        changes = [(begin, former), *((at, who) for at, by, who in timeline["leaders"] if by == number)]
        for (since, who), (end, _) in pairwise([*changes, (until, None)]):
            seen.add(who)
            axes.barh(row, end - since, 0.7, since, color=NOBODY if who is None else NODES[who])
    axes.set_yticks(range(len(asked)), [f"seen by n{number + 1}" for number in asked])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("seconds since the fault")
    return seen
