"""Whole clusters under random faults, from fixed seeds."""

from pathlib import Path

import pysyncobj.syncobj
import pytest

from tests.consensus.simulation import simulate


@pytest.mark.parametrize("seed", range(1, 9))
def test_three_members_lose_and_repeat_nothing(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crashes, partitions, pauses and resets: every check of the simulation holds, and there was something to check."""
    monkeypatch.setattr(pysyncobj.syncobj, "monotonicTime", pysyncobj.syncobj.monotonicTime)
    cluster = simulate(seed, tmp_path)
    assert len(cluster.acked) > 200
    assert cluster.reads > 50
    assert len(cluster.leaders) > 1


@pytest.mark.parametrize("seed", range(1, 3))
def test_five_members_lose_and_repeat_nothing(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with five."""
    monkeypatch.setattr(pysyncobj.syncobj, "monotonicTime", pysyncobj.syncobj.monotonicTime)
    cluster = simulate(seed, tmp_path, names="abcde")
    assert len(cluster.acked) > 200
