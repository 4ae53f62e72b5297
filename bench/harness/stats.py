"""Percentiles and their kin, on plain lists of numbers."""

import statistics
from collections.abc import Sequence

# Of each distribution the values at these shares are kept: enough to draw its histogram.
SHARES = (0.0, *(step / 100 for step in range(1, 100)), 0.995, 0.999, 1.0)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def curve(values: Sequence[float]) -> list[tuple[float, float]]:
    """(share, value) at SHARES, to five digits: what is kept of a distribution."""
    ordered = sorted(values)
    size = len(ordered)
    return (
        [(share, _rounded(ordered[min(size - 1, int(size * share))])) for share in SHARES] if ordered else []
    )


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)
