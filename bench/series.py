"""What a long run measured: rows of samples, drawn as text and as a picture, and whether the lines are flat."""

import csv
import importlib.util
from pathlib import Path

BARS = "▁▂▃▄▅▆▇█"
Row = dict[str, float]  # "seconds", and values by name; per node as <node>_<what>

# How much the mean of the last quarter may be above that of the second one (the first is for warming up): by a factor,
# and so much more. The 99th percentile depends on how many leaders are killed, and on what else the machine does.
GROWTH = {
    "rss_mib": (1.25, 24.0),
    "disk_mib": (1.25, 64.0),  # a segment of the log fills up to so much, and goes
    "fds": (1.25, 24.0),
    "p50_ms": (1.5, 10.0),
    "p99_ms": (2.0, 50.0),
}
# Never to be exceeded, whatever the rate: the segment in use, those between two snapshots, and one to come.
MOST = {"segments": 4.0}
ERRORS_MOST = 0.01  # answers 5xx, as a share of all
SAMPLES_LEAST = 16  # four a quarter; fewer say nothing
PANELS = {
    "requests per second": ("requests_per_s",),
    "answers 5xx per second": ("errors_per_s",),
    "latency, ms": ("p50_ms", "p99_ms"),
    "resident memory, MiB": ("_rss_mib",),
    "data directory, MiB": ("_disk_mib",),
    "segments of the log": ("_segments",),
    "file descriptors": ("_fds",),
}


def names_of(rows: list[Row]) -> list[str]:
    """Every series but the time."""
    return sorted({name for row in rows for name in row} - {"seconds"})


def values_of(rows: list[Row], name: str) -> list[float]:
    """One series, where it was measured."""
    return [row[name] for row in rows if name in row]


def quarter(values: list[float], number: int) -> float:
    """The mean of a quarter of a series, 0 to 3."""
    size = max(1, len(values) // 4)
    part = values[number * size : (number + 1) * size] if number < 3 else values[-size:]
    return sum(part) / len(part) if part else 0.0


def kind_of(name: str) -> str:
    """rss_mib for n1_rss_mib; what is no node's stands for itself."""
    return name if name in (*GROWTH, "errors_per_s") else name.partition("_")[2]


def grown(rows: list[Row]) -> list[str]:
    """What is not flat or too much, a line each."""
    lines = []
    for name in names_of(rows):
        what = kind_of(name)
        values = values_of(rows, name)
        if what in GROWTH and len(values) >= SAMPLES_LEAST:
            factor, more = GROWTH[what]
            before, after = quarter(values, 1), quarter(values, 3)
            if after > before * factor + more:
                lines.append(f"{name} grew from {before:.1f} to {after:.1f}")
        if what in MOST and max(values) > MOST[what]:
            lines.append(f"{name} reached {max(values):g}, at most {MOST[what]:g} are expected")
    errors, answers = sum(values_of(rows, "errors_per_s")), sum(values_of(rows, "answers_per_s"))
    if errors > ERRORS_MOST * answers:
        lines.append(f"{errors / answers:.1%} of all answers were 5xx, at most {ERRORS_MOST:.0%}")
    return lines


def unjudged(rows: list[Row]) -> list[str]:
    """What there are too few samples of to say anything, with how many there are; the least of all nodes."""
    counts: dict[str, int] = {}
    for name in names_of(rows):
        count = len(values_of(rows, name))
        counts[kind_of(name)] = min(count, counts.get(kind_of(name), count))
    kinds = (*GROWTH, *MOST, "errors_per_s")
    return [f"{kind} ({counts.get(kind, 0)})" for kind in kinds if counts.get(kind, 0) < SAMPLES_LEAST]


def verdict(wrong: list[str], rows: list[Row], well: str = "") -> str:
    """What is wrong, a line each, and what could not be judged; if nothing is, `well`, and that the lines are flat."""
    few = ", ".join(unjudged(rows))
    if few:
        return "\n".join([*(wrong or filter(None, [well])), f"not judged, too few samples: {few}"])
    return "\n".join(wrong) or ", ".join(filter(None, [well, "every line is flat"]))


def draw(values: list[float], width: int = 60) -> str:
    """A line of bars, from the least to the greatest value."""
    shown = [values[at * len(values) // width] for at in range(width)] if len(values) > width else values
    least, most = min(shown), max(shown)
    return "".join(BARS[int((value - least) / ((most - least) or 1) * (len(BARS) - 1))] for value in shown)


def show(rows: list[Row]) -> None:
    """Each series with the means of its second and last quarter, its greatest value, and a line of bars."""
    print(f"{'':18} {'2nd quarter':>11} {'last':>9} {'most':>9}")
    for name in names_of(rows):
        values = values_of(rows, name)
        print(
            f"{name:18} {quarter(values, 1):11.1f} {quarter(values, 3):9.1f} {max(values):9.1f}  {draw(values)}"
        )


def write_csv(path: Path, rows: list[Row]) -> None:
    """All samples, a row each."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["seconds", *names_of(rows)], restval="")
        writer.writeheader()
        writer.writerows({name: round(value, 3) for name, value in row.items()} for row in rows)


def read_csv(path: Path) -> list[Row]:
    """What `write_csv` wrote."""
    with path.open(newline="") as file:
        return [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]


def can_plot() -> bool:
    """Whether matplotlib is there (`pip install .[bench]`)."""
    return importlib.util.find_spec("matplotlib") is not None


def plot(path: Path, rows: list[Row], events: list[tuple[float, str]], title: str) -> None:
    """A picture: a panel for each kind of series, with a line where a node was killed or stopped. Kind by suffix."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 2.2 * len(PANELS)), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(len(PANELS), 1, sharex=True)
    minutes = [row["seconds"] / 60 for row in rows]
    for axis, (label, wanted) in zip(axes, PANELS.items(), strict=True):
        for name in names_of(rows):
            if name.endswith(wanted):
                axis.plot(minutes, [row.get(name) for row in rows], label=name, linewidth=1)
        for seconds, _ in events:
            axis.axvline(seconds / 60, color="0.85", linewidth=0.7, zorder=0)
        axis.set_title(label, loc="left", fontsize="medium")
        axis.set_ylim(bottom=0)
        axis.legend(loc="upper left", fontsize="x-small", ncols=3)
    axes[-1].set_xlabel("minutes; grey lines: a node was killed or stopped, and started again")
    figure.savefig(path, dpi=90)
