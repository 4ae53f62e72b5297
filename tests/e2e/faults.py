"""Faults of real processes and their connections. Each is done to some nodes, and undone, under a witness's eyes."""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from raftreg.verify.wires import Wires
from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.power import LossyDisks
from tests.e2e.wires import around
from tests.e2e.witness import Witness, acks_again, reads_again

LEADER, FOLLOWER, ALL = "leader", "follower", "all"
PAUSE_S = 1.0  # several times the lease and the election timeout
CUT_S = 1.0
FLAPS = 8
FLAP_S = 0.15
SLOW_S = 0.02


@dataclass(slots=True)
class Stage:
    """What a fault is done to."""

    cluster: Cluster
    wires: Wires
    witness: Witness
    disks: LossyDisks | None = None  # where the nodes keep their data, if their power can be cut
    cut_s: float = CUT_S  # how long connections stay cut

    def chosen(self, target: str) -> list[Node]:
        """The nodes that a fault hits."""
        if target == ALL:
            return list(self.cluster.nodes.values())
        return [self.cluster.leader() if target == LEADER else self.cluster.followers()[0]]

    def wait(self, seconds: float) -> None:
        """Let the fault last."""
        threading.Event().wait(seconds)

    def all_serve(self) -> None:
        """Wait until every node is ready and answers reads of each mode, and a write was acknowledged by any."""
        for node in self.cluster.running():
            wait_until(f"{node.name} is ready", node.is_ready)
        reads_again(self.witness, self.cluster.running())
        acks_again(self.witness)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault did to the writers. Seconds."""

    gap_s: float  # longest without an acknowledged write, from the fault until everything served again
    recovery_s: float  # from the moment of healing until every node served again
    terms: int  # how many terms passed


Fault = Callable[[Stage, list[Node]], float]  # does it and undoes it; the moment at which it was undone


def kill(stage: Stage, nodes: list[Node]) -> float:
    """kill -9, then a start at once."""
    for node in nodes:
        node.signal(signal.SIGKILL)
    for node in nodes:
        node.wait()
    if len(nodes) < len(stage.cluster.nodes):
        acks_again(stage.witness)
    return _start(nodes)


def stop(stage: Stage, nodes: list[Node]) -> float:
    """SIGTERM, then a start once the process has ended."""
    for node in nodes:
        node.signal(signal.SIGTERM)
    for node in nodes:
        code = node.wait()
        assert code == 0, f"{node.name} ended with {code}:\n{node.tail()}"
    return _start(nodes)


def pause(stage: Stage, nodes: list[Node]) -> float:
    """SIGSTOP for longer than the lease, then SIGCONT."""
    for node in nodes:
        node.signal(signal.SIGSTOP)
    stage.wait(PAUSE_S)
    for node in nodes:
        node.signal(signal.SIGCONT)
    return time.monotonic()


def cut(stage: Stage, nodes: list[Node]) -> float:
    """Connections break, and none comes about."""
    stage.wires.close(around(stage.cluster, [node.name for node in nodes]))
    return _heal(stage)


def silence(stage: Stage, nodes: list[Node]) -> float:
    """Connections stay, and nothing arrives; what was held arrives late."""
    stage.wires.hold(around(stage.cluster, [node.name for node in nodes]))
    return _heal(stage)


def deaf(stage: Stage, nodes: list[Node]) -> float:
    """A one-way cut: the nodes are heard, and hear nothing."""
    names = {node.name for node in nodes}
    pairs = around(stage.cluster, sorted(names))
    stage.wires.hold([(a, b) for a, b in pairs if b in names])
    return _heal(stage)


def dumb(stage: Stage, nodes: list[Node]) -> float:
    """The other one-way cut: the nodes hear, and are not heard."""
    names = {node.name for node in nodes}
    pairs = around(stage.cluster, sorted(names))
    stage.wires.hold([(a, b) for a, b in pairs if a in names])
    return _heal(stage)


def one_link(stage: Stage, nodes: list[Node]) -> float:
    """Each node cannot talk to one other, which both can still reach through a third."""
    names = list(stage.cluster.nodes)
    for node in nodes[:1]:
        other = names[(names.index(node.name) + 1) % len(names)]
        stage.wires.close([(node.name, other), (other, node.name)])
    return _heal(stage)


def flap(stage: Stage, nodes: list[Node]) -> float:
    """Connections break and come back, again and again."""
    pairs = around(stage.cluster, [node.name for node in nodes])
    for _ in range(FLAPS):
        stage.wires.close(pairs)
        stage.wait(FLAP_S)
        stage.wires.heal()
        stage.wait(FLAP_S)
    return time.monotonic()


def slow(stage: Stage, nodes: list[Node]) -> float:
    """Each piece of data takes longer than usual."""
    stage.wires.slow(around(stage.cluster, [node.name for node in nodes]), SLOW_S)
    return _heal(stage)


def power_cut(stage: Stage, nodes: list[Node]) -> float:
    """The disks lose what was not synced, and the processes end; then all start on what is left."""
    assert stage.disks is not None
    for node in nodes:
        stage.disks[node.name].cut()
    for node in nodes:
        node.signal(signal.SIGKILL)
    for node in nodes:
        node.wait()
        stage.disks[node.name].restore()
    return _start(nodes)


def restart_loop(stage: Stage, nodes: list[Node]) -> float:
    """Killed again while it starts, at ever later moments, then left alone."""
    for node in nodes:
        node.kill()
    for step in range(6):
        for node in nodes:
            node.start()
        stage.wait(0.1 * step)
        for node in nodes:
            node.kill()
    return _start(nodes)


def _start(nodes: list[Node]) -> float:
    began = time.monotonic()
    for node in nodes:
        node.start()
    return began


def _heal(stage: Stage) -> float:
    stage.wait(stage.cut_s)
    stage.wires.heal()
    return time.monotonic()


FAULTS: dict[str, Fault] = {
    fault.__name__.replace("_", "-"): fault
    for fault in (kill, stop, pause, cut, silence, deaf, dumb, one_link, flap, slow, restart_loop, power_cut)
}


def play(stage: Stage, fault: Fault, target: str) -> Outcome:
    """One fault, from a cluster that serves to one that serves again."""
    stage.all_serve()
    before = _term(stage)
    nodes = stage.chosen(target)
    began = time.monotonic()
    healed = fault(stage, nodes)
    stage.all_serve()
    ended = time.monotonic()
    return Outcome(stage.witness.longest_gap_s(began, ended), ended - healed, _term(stage) - before)


def _term(stage: Stage) -> int:
    return max(int(node.status()["Term"]) for node in stage.cluster.running())
