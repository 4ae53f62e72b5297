"""The scenes of the end-to-end tests see what is wrong: a check that cannot fail would say nothing."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e import members
from tests.e2e.cluster import Cluster, Node, free_ports
from tests.e2e.power import LossyDisk, LossyDisks
from tests.e2e.traffic import Traffic
from tests.e2e.witness import Witness, reads_again

REFUSAL = "refused this node: not admitted: n1 has the data of cluster {}, but n3 is in cluster {}\n"


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Node]:
    """A node with the log of a former life, whose process answers nobody and says nothing."""
    http, raft = free_ports(2)
    node = Node("n1", http, raft, tmp_path / "n1", tmp_path / "n1.log", [])
    node.log.write_text("n1.1 in cluster former: log up to entry 1\n" + REFUSAL.format("former", "ours"))
    node.log_bytes = node.log.stat().st_size
    node.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield node
    if node.process is not None:
        node.kill()


def test_a_former_member_is_refused_only_once_it_says_so(mute: Node) -> None:
    """What its log held before it was started counts for nothing, nor does the name of its own cluster."""
    assert not members.is_refused(mute, "ours")
    with mute.log.open("a") as log:
        log.write("n1.1 in cluster former: log up to entry 6\n")
    assert not members.is_refused(mute, "ours")
    with mute.log.open("a") as log:
        log.write(REFUSAL.format("former", "ours"))
    assert members.is_refused(mute, "ours")


def test_a_former_member_that_ends_has_to_say_why(mute: Node) -> None:
    """An end for another reason is no refusal."""
    assert mute.process is not None
    mute.process.kill()
    mute.process.wait()
    with pytest.raises(AssertionError, match="n1 ended with -9"):
        members.is_refused(mute, "ours")


async def write_for(traffic: Traffic, seconds: float) -> None:
    """What the writers of a scene do, without readers."""
    async with aiohttp.ClientSession() as session:
        writing = asyncio.create_task(traffic._write_on(session))
        await asyncio.sleep(seconds)
        traffic.stopping = True
        await writing


def test_a_write_that_breaks_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the last one is waited for; and its register is written again."""
    seen = []

    async def breaks(
        self: Traffic, session: aiohttp.ClientSession, number: int, target: str, value: int
    ) -> None:
        seen.append(target)
        raise ValueError("no index")

    monkeypatch.setattr(Traffic, "_write", breaks)
    traffic = Traffic(free_ports(1))
    traffic.acknowledged = {f"{traffic.registers}{number}": 1 for number in range(8)}
    asyncio.run(write_for(traffic, 0.5))
    assert ["a write: ValueError no index"] * len(seen) == traffic.violations
    assert seen.count(f"{traffic.registers}0") > 1


class Slow(list[int]):
    """Ports that take their time, and say when somebody began to choose."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__(ports)
        self.asked = threading.Event()

    def __len__(self) -> int:
        count = super().__len__()
        self.asked.set()
        threading.Event().wait(0.2)
        return count


def test_a_member_is_not_taken_out_while_a_client_chooses_it() -> None:
    """It stays until it has answered."""
    ports = Slow(free_ports(2))
    last = ports[-1]
    traffic = Traffic(ports)
    left = threading.Event()

    def leave() -> None:
        ports.asked.wait()
        traffic.leaves(last)
        left.set()

    thread = threading.Thread(target=leave)
    thread.start()
    with traffic._asking(1) as port:
        assert last == port
        assert not left.wait(0.3)
    thread.join()
    assert left.is_set()


class Reads(Counter[tuple[int, str]]):
    """Nine reads of each kind were answered, and two more of some are as soon as somebody has looked at these."""

    def __init__(self, answering: list[tuple[int, str]]) -> None:
        super().__init__()
        self.answering = answering

    def __missing__(self, kind: tuple[int, str]) -> int:
        return 9

    def copy(self) -> "Reads":
        before = Reads([])
        before.update(self)
        threading.Timer(0.1, self.answer).start()
        return before

    def answer(self) -> None:
        """Two more of each kind."""
        for kind in self.answering:
            self[kind] += 2


def test_a_node_serves_only_once_it_answers_reads_of_each_mode(tmp_path: Path) -> None:
    """Reads at another node, in another mode, or before, are none."""
    nodes = [
        Node(name, port, 0, tmp_path, tmp_path, []) for name, port in zip("ab", free_ports(2), strict=True)
    ]
    witness = Witness([node.http for node in nodes])
    a, b = nodes
    rest = [(a.http, ""), (a.http, "consistent"), (b.http, "")]
    witness.reads = Reads(rest)
    with pytest.raises(AssertionError, match=f"consistent reads at {b.http}: not within"):
        reads_again(witness, nodes, 1.0)
    witness.reads.answering = [*rest, (b.http, "consistent")]
    reads_again(witness, nodes)
    assert 13 == witness.reads[a.http, ""]


def test_disks_are_unmounted_if_not_all_can_be_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the last one is being mounted leaves none behind."""
    opened = []
    real = LossyDisk.open

    def interrupted(disk: LossyDisk) -> None:
        real(disk)
        opened.append(disk)
        if len(opened) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(LossyDisk, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), LossyDisks(Cluster(tmp_path)):
        pass
    assert 3 == len(opened)
    assert [] == list(tmp_path.glob("*.img"))
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
