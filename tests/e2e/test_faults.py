"""Faults of processes, connections and disks, one of each; `python -m bench.faults` counts them by the hundred."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from raftreg.verify.wires import Wires
from tests.e2e.cluster import Cluster
from tests.e2e.dying_disk import DISK_DIES
from tests.e2e.faults import ALL, FAULTS, FOLLOWER, LEADER, Stage, play
from tests.e2e.power import LossyDisks
from tests.e2e.wires import lay
from tests.e2e.witness import Witness, acks_again, witnessed

PROCESSES = [
    *(("kill", target) for target in (LEADER, FOLLOWER, ALL)),
    *(("pause", target) for target in (LEADER, FOLLOWER, ALL)),
    ("stop", LEADER),
    ("stop", ALL),
    ("restart-loop", FOLLOWER),
]
CONNECTIONS = [
    ("cut", LEADER),
    ("cut", ALL),
    ("silence", LEADER),
    ("deaf", LEADER),
    ("deaf", FOLLOWER),
    ("dumb", LEADER),
    ("dumb", FOLLOWER),
    ("one-link", LEADER),
    ("flap", LEADER),
    ("slow", LEADER),
]


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Wires]]:
    """Three nodes whose connections can be cut, for all faults after which a cluster is as good as new."""
    with (
        Wires() as wires,
        Cluster(tmp_path_factory.mktemp("wired"), snapshot_entries="500") as cluster,
    ):
        lay(wires, cluster)
        cluster.start()
        yield cluster, wires


def run_fault(
    cluster: Cluster, wires: Wires, fault: str, target: str, disks: LossyDisks | None = None
) -> tuple[Witness, str]:
    """One fault under the eyes of readers and writers, who check that nothing is lost; what they saw, the figures."""
    lines = []

    def work(witness: Witness) -> None:
        outcome = play(Stage(cluster, wires, witness, disks), FAULTS[fault], target)
        lines.append(
            f"{fault} of {target}: longest write gap {outcome.gap_s * 1000:.0f} ms, all served again "
            f"{outcome.recovery_s:.2f} s after it was over, {outcome.terms} new terms"
        )

    return witnessed(cluster, work), lines[0]


@pytest.mark.parametrize(("fault", "target"), PROCESSES + CONNECTIONS)
def test_nothing_is_lost_and_nothing_stale_is_read(
    wired: tuple[Cluster, Wires], fault: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever happens to processes and connections, acknowledged writes stay and reads never step back."""
    witness, figures = run_fault(*wired, fault, target)
    assert [] == witness.violations
    with capsys.disabled():
        print(f"\n{figures}", end=" ")


@pytest.mark.parametrize("target", [LEADER, ALL])
def test_a_power_cut_takes_nothing_acknowledged(
    tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was not synced is gone from the disks, and none of it was acknowledged."""
    with ExitStack() as stack:
        wires = stack.enter_context(Wires())
        cluster = Cluster(tmp_path, snapshot_entries="500")
        disks = stack.enter_context(LossyDisks(cluster))
        stack.enter_context(cluster)
        lay(wires, cluster)
        cluster.start()
        witness, figures = run_fault(cluster, wires, "power-cut", target, disks)
        assert [] == witness.violations
        how = "" if disks.are_mounted else " (no file system can be mounted here: killed only)"
    with capsys.disabled():
        print(f"\n{figures}{how}", end=" ")


@pytest.mark.parametrize("role", [LEADER, FOLLOWER])
def test_a_node_whose_disk_dies_stops_and_the_others_go_on(
    stopped_cluster: Cluster, tmp_path: Path, role: str
) -> None:
    """A failed sync is never tried again: the process ends with 70, and comes back with all that it had promised."""
    cluster = stopped_cluster
    for node in cluster.nodes.values():
        node.module = "tests.e2e.dying_disk"
        node.environ = {DISK_DIES: str(tmp_path / f"{node.name} dies")}
    cluster.start()

    def disk_dies(witness: Witness) -> None:
        node = cluster.leader() if role == LEADER else cluster.followers()[0]
        trigger = Path(node.environ[DISK_DIES])
        trigger.touch()
        assert 70 == node.wait()
        assert "CRITICAL" in node.tail()
        acks_again(witness)
        trigger.unlink()
        cluster.start(node.name)

    assert [] == witnessed(cluster, disk_dies).violations
