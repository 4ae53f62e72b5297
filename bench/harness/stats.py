"""Percentiles and their kin, on plain lists of numbers."""

import statistics
from collections.abc import Sequence

SHARES = (0.01, 0.05, *(step / 10 for step in range(1, 9)), 0.9, 0.95, 0.99, 0.999, 1.0)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def curve(values: Sequence[float]) -> list[tuple[float, float]]:
    """(share, value) at fixed shares: what is kept of a distribution."""
    ordered = sorted(values)
    size = len(ordered)
    return [(share, ordered[min(size - 1, int(size * share))]) for share in SHARES] if ordered else []


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)
