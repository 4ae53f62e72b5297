"""The long measurements judge themselves: what is missed or broken is said, and costs the exit code."""

from pathlib import Path

import pytest

from bench import faults, series
from tests.e2e.faults import Outcome


def row(scene: str, gap_s: float, serving_s: float) -> faults.Row:
    """Three nodes, two rounds, of which one went perfectly."""
    return faults.Row(3, scene, [Outcome(0.01, 0.5, 1), Outcome(gap_s, serving_s, 1)])


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (row("kill:leader", 0.6, 3.0), ""),
        (row("kill:leader", 0.61, 1.0), "gap above 0.6 s"),
        (row("stop:leader", 0.21, 1.0), "gap above 0.2 s"),
        (row("power-cut:all", 9.0, 3.1), "not serving within 3 s"),
    ],
)
def test_the_worst_round_is_judged(judged: faults.Row, expected: str) -> None:
    """One bad round among good ones is a miss; where no majority is left only the return counts."""
    assert expected == judged.verdict()
    assert faults.line_of(judged).endswith(expected or "ok")


def test_a_broken_promise_is_the_verdict() -> None:
    """Whatever the figures say."""
    judged = row("kill:leader", 0.01, 0.1)
    judged.broken = "n1 lost 3 of 9"
    assert "BROKEN: n1 lost 3 of 9" == judged.verdict()


def test_a_power_cut_that_lost_nothing_is_not_called_ok() -> None:
    """Nor a failure: row and summary say why nothing is known."""
    judged = row("power-cut:all", 9.0, 1.0)
    judged.is_cut = False
    assert "" == judged.verdict()
    assert faults.line_of(judged).endswith("  not cut: no file system can be mounted here")
    told = faults.summary([judged, row("kill:leader", 0.1, 1.0)], [], 60.0)
    assert told.endswith("every goal met; 1 of 2 scenes not cut: no file system can be mounted here")


def samples(**lines: list[float]) -> list[series.Row]:
    """Rows of one second each."""
    count = len(next(iter(lines.values())))
    return [{"seconds": float(at)} | {name: line[at] for name, line in lines.items()} for at in range(count)]


def test_lines_that_rise_are_told_and_flat_ones_are_not() -> None:
    """Memory is compared after warming up; segments have a bound that needs no comparison."""
    warm = [10.0] * 4 + [100.0] * 12
    leak = [100.0 + 10.0 * at for at in range(16)]
    assert [] == series.grown(samples(n1_rss_mib=warm, n1_segments=[2.0] * 16, p99_ms=leak))
    assert ["n2_rss_mib grew from 155.0 to 235.0"] == series.grown(samples(n1_rss_mib=warm, n2_rss_mib=leak))
    assert ["n1_segments reached 9, at most 4 are expected"] == series.grown(samples(n1_segments=[9.0]))


def test_samples_survive_a_file(tmp_path: Path) -> None:
    """What was not measured stays away."""
    rows: list[series.Row] = [{"seconds": 2.0, "n1_fds": 40.0}, {"seconds": 4.0}]
    series.write_csv(tmp_path / "soak.csv", rows)
    assert rows == series.read_csv(tmp_path / "soak.csv")
