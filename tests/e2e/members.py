"""What happens to the members of a cluster in the course of its life, each scene under load and judged.

`bench.members` runs them at length, `test_members` in short.
"""

import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.e2e.cluster import Node, wait_until
from tests.e2e.fleet import Fleet, run
from tests.e2e.traffic import Traffic, judged
from tests.e2e.witness import acks_again

# A busy machine may take long; then latency is what there is, and no error.
PATIENT = {"write_timeout": "60s", "read_timeout": "60s"}
KILL_EVERY_S = (0.5, 2.5)
NO_LEADER_S = 3.0  # ten election timeouts
BATCH = 64  # operations of a transaction
VALUE_BYTES = 100


@dataclass(slots=True)
class Outcome:
    """What a scene came to. `figures`: what else was measured, for people."""

    seconds: float
    gap_s: float = 0.0
    traffic: Traffic | None = None
    figures: dict[str, float] = field(default_factory=dict)


# -- life --------------------------------------------------------------------------------------------------------------
class Killer:
    """kill -9 of the leader at moments that a seed decides, of one node at a time, never of one of two."""

    def __init__(self, fleet: Fleet, traffic: Traffic, chance: random.Random) -> None:
        self.kills = 0
        self._fleet, self._traffic, self._chance = fleet, traffic, chance
        self._over = threading.Event()
        self._problem: BaseException | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Kill meanwhile. What went wrong with it is raised at the end."""
        thread = threading.Thread(target=self._run, name="killer")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            while not self._over.wait(self._chance.uniform(*KILL_EVERY_S)):
                self._kill()
        except BaseException as error:  # it is raised by who waits for this thread
            self._problem = error

    def _kill(self) -> None:
        fleet = self._fleet
        name = fleet.leader().name
        with fleet.hands:
            node = fleet.nodes.get(name)
            if node is None or node.process is None:
                return  # It was removed just now.
            self._traffic.ends(node)
            node.kill()
        self.kills += 1
        fleet.leader(other_than=name)
        with fleet.hands:
            if name not in fleet.nodes:
                return
            node.start()
        wait_until(f"{name} is ready, or gone", lambda: name not in fleet.nodes or _is_ready(node))
        self._traffic.returns(node)


def _is_ready(node: Node) -> bool:
    """Whether it runs and is ready; it may be stopped for good meanwhile."""
    try:
        return node.process is not None and node.is_ready()
    except AssertionError:
        return False


def life(folder: Path, seed: int, *, size: int = 5, kills: bool = True) -> Outcome:
    """One node grows to 3, and to `size`; each is replaced; it shrinks to 3. Leaders are killed all the while."""
    began = time.monotonic()
    chance = random.Random(seed)
    figures: dict[str, float] = {}
    with Fleet(folder, 0, snapshot_entries="2000", **PATIENT) as fleet:
        fleet.found("n1")

        def work(traffic: Traffic) -> None:
            for name in ("n2", "n3"):
                traffic.comes(fleet.join(name))
            killer = Killer(fleet, traffic, chance)
            if not kills:
                _live_on(fleet, traffic, size)
                return
            with killer.at_work():
                _live_on(fleet, traffic, size)
            figures["kills"] = killer.kills

        traffic = judged(fleet, work)
        assert 3 == len(fleet.nodes)
        wait_until("three voters", lambda: sorted(fleet.nodes) == fleet.voters())
    moments = traffic.acks_at
    gap_s = traffic.longest_gap_s(min(moments), max(moments))
    return Outcome(time.monotonic() - began, gap_s, traffic, figures)


def _live_on(fleet: Fleet, traffic: Traffic, size: int) -> None:
    """From three to `size`; all replaced, one after the other; back to three, the leader first."""
    for number in range(4, size + 1):
        traffic.comes(fleet.join(f"n{number}"))
    for number, old in enumerate(list(fleet.nodes), size + 1):
        traffic.comes(fleet.join(f"n{number}"))
        _part(fleet, traffic, old)
    while len(fleet.nodes) > 3:
        _part(fleet, traffic, fleet.leader().name)


def _part(fleet: Fleet, traffic: Traffic, name: str) -> None:
    traffic.leaves(fleet[name].http)
    fleet.part(name)


# -- wipe --------------------------------------------------------------------------------------------------------------
def wipe(folder: Path, keys: int, window_s: float, *, module: str = "raftreg") -> Outcome:
    """A follower's data directory is deleted, once while it runs and once after kill -9; it comes back by itself."""
    began = time.monotonic()
    figures: dict[str, float] = {}
    with Fleet(folder, 3, rejoin="auto", **PATIENT) as fleet:
        for node in fleet.nodes.values():
            node.module = module
        fleet.start()
        fill(fleet.leader(), keys)

        def work(traffic: Traffic) -> None:
            for label in ("while it runs", "after kill -9"):
                since = time.monotonic()
                threading.Event().wait(window_s)
                lost = fleet.followers()[0]
                struck = time.monotonic()
                _lose_disk(traffic, fleet, lost, runs=label == "while it runs")
                traffic.leaves(
                    lost.http
                )  # Who balances load goes by /readyz, which says that it is no member.
                started = time.monotonic()
                lost.start()
                wait_until("it is a voter again", lambda: fleet.voters() == sorted(fleet.nodes), 300.0)
                wait_until(f"{lost.name} is ready", lost.is_ready)
                voter = time.monotonic()
                traffic.returns(lost)
                traffic.comes(lost)
                threading.Event().wait(window_s)
                figures[f"voter again s, {label}"] = voter - started
                for when, p99_s in (
                    ("before", traffic.p99_s(since, struck)),
                    ("during", traffic.p99_s(struck, voter)),
                    ("after", traffic.p99_s(voter, time.monotonic())),
                ):
                    figures[f"p99 ms {when}, {label}"] = p99_s * 1000

        traffic = judged(fleet, work)
    moments = traffic.acks_at
    gap_s = traffic.longest_gap_s(min(moments), max(moments))
    return Outcome(time.monotonic() - began, gap_s, traffic, figures)


def _lose_disk(traffic: Traffic, fleet: Fleet, node: Node, *, runs: bool) -> None:
    """The data goes, before or after the process."""
    traffic.ends(node)
    if runs:
        shutil.rmtree(node.data)
        acks_again(traffic)
    node.kill()
    fleet.wipe(node)


def fill(node: Node, keys: int) -> None:
    """So many keys of 100 bytes each, by transactions."""
    value = "eHh4" * (VALUE_BYTES // 3)  # base64 of xxx
    for first in range(0, keys, BATCH):
        operations = [
            f'{{"KV":{{"Verb":"set","Key":"fill/{number:07}","Value":"{value}"}}}}'
            for number in range(first, min(first + BATCH, keys))
        ]
        reply = node.put("/v1/txn", f"[{','.join(operations)}]".encode())
        assert 200 == reply.status, reply.text


# -- three wrecks ------------------------------------------------------------------------------------------------------
def three_wrecks(folder: Path, load_s: float = 1.0) -> Outcome:
    """One lags, one lost its disk, the third is stopped: nobody leads until it is back, and nothing is lost."""
    began = time.monotonic()
    with Fleet(folder, 3, **PATIENT) as fleet:
        fleet.start()
        names = list(fleet.nodes)
        lagging, wiped, third = (fleet[name] for name in names)

        def work(traffic: Traffic) -> None:
            threading.Event().wait(load_s)
            traffic.ends(lagging)
            lagging.kill()
            acks_again(traffic)
            threading.Event().wait(load_s)

        traffic = judged(fleet, work)
        wiped.kill()
        fleet.wipe(wiped)
        third.kill()
        for node in (lagging, wiped):
            node.start()
        wait_until("the wiped one answers", lambda: _answers(wiped))
        until = time.monotonic() + NO_LEADER_S
        while time.monotonic() < until:
            for node in (lagging, wiped):
                if _answers(node):
                    assert not node.status()["Leader"], f"{node.name} sees a leader"
            time.sleep(0.1)
        third.start()
        fleet.ask("replace", Old=wiped.name)
        fleet.promote(wiped.name)
        for node in fleet.nodes.values():
            wait_until(f"{node.name} is ready", node.is_ready)
        traffic.check(fleet)
        judged(fleet, _write_again)
    return Outcome(time.monotonic() - began, traffic=traffic)


def _write_again(traffic: Traffic) -> None:
    """It serves."""
    acks_again(traffic)


def _answers(node: Node) -> bool:
    try:
        return node.get("/livez", timeout_s=5.0).status == 200
    except OSError:
        return False


# -- moves -------------------------------------------------------------------------------------------------------------
def moves(folder: Path, load_s: float = 1.0) -> Outcome:
    """Each data directory moves to another address, one after the other; in the end all start anew where they are."""
    began = time.monotonic()
    with Fleet(folder, 0, **PATIENT) as fleet:
        fleet.found("n1")
        for name in ("n2", "n3"):
            fleet.join(name)
        ids = {name: node.status()["NodeID"] for name, node in fleet.nodes.items()}

        def work(traffic: Traffic) -> None:
            for node in list(fleet.nodes.values()):
                threading.Event().wait(load_s)
                traffic.ends(node)
                traffic.leaves(node.http)
                node.kill()
                moved = node.data.with_name(f"{node.name}-moved")
                node.data.rename(moved)
                node.data = moved
                fleet.settle(node, *fleet.running())
                fleet.start(node.name)
                traffic.comes(node)
            acks_again(traffic)

        traffic = judged(fleet, work)
        assert ids == {name: node.status()["NodeID"] for name, node in fleet.nodes.items()}
        for node in fleet.nodes.values():
            node.kill()
        fleet.start()
        wait_until("all are connected", lambda: fleet.voters() == sorted(fleet.nodes))
        traffic.check(fleet)
    moments = traffic.acks_at
    gap_s = traffic.longest_gap_s(min(moments), max(moments))
    return Outcome(time.monotonic() - began, gap_s, traffic)


# -- recover -----------------------------------------------------------------------------------------------------------
def recover(folder: Path, load_s: float = 1.0) -> Outcome:
    """Two of three are gone: the third becomes a cluster of its own, and grows again.

    One that was given up comes back with what it had, one with an empty disk that was told of the former cluster. Both
    stay outside, and end nothing by it.
    """
    began = time.monotonic()
    with Fleet(folder, 3, **PATIENT) as fleet:
        fleet.start()
        traffic = judged(fleet, lambda traffic: time.sleep(load_s))
        former = fleet["n1"].status()["ClusterID"]
        for node in fleet.running():
            node.kill()
        left = fleet.nodes.pop("n3")
        gone, fleet.nodes = fleet.nodes, {"n3": left}
        fleet.guests += gone.values()
        _come_back_empty(fleet, gone["n2"], left)
        run("recover", "--from-this-node", "--data-dir", str(left.data), "--yes-i-understand", former)
        fleet.start("n3")
        ours = left.status()["ClusterID"]
        assert former != ours
        traffic.check(fleet)
        gone["n1"].start()
        for node in gone.values():
            wait_until(f"{node.name} is refused", partial(is_refused, node, ours))
        refusals = [f"{node.name} (127.0.0.1:{node.raft}) refused this node" for node in gone.values()]
        wait_until("both refuse n3", lambda: all(text in left.said() for text in refusals))
        traffic.check(fleet)
        assert ["n3"] == fleet.voters()
        for node in gone.values():
            if node.process is not None:
                node.kill()
            fleet.wipe(node)
            fleet.join(node.name)
        assert ["n1", "n2", "n3"] == fleet.voters()
        traffic.check(fleet)
        judged(fleet, _write_again)
    return Outcome(time.monotonic() - began, traffic=traffic)


def _come_back_empty(fleet: Fleet, wiped: Node, left: Node) -> None:
    """A node that lost its disk is told of the cluster by one that is left, without a majority, and stays up."""
    fleet.wipe(wiped)
    for node in (left, wiped):
        node.start()
    wait_until(f"{wiped.name} waits", lambda: "this node is no member of cluster" in wiped.said())
    left.kill()


def is_refused(node: Node, cluster_id: str) -> bool:
    """Whether it said since its start that others are of this cluster, and is not let in: it waits, or has ended."""
    assert node.process is not None
    code = node.process.poll()
    if code is None:
        assert not node.is_ready(), f"{node.name} was let in"
        return cluster_id in node.said()
    assert (1, True) == (code, cluster_id in node.said()), f"{node.name} ended with {code}:\n{node.tail()}"
    node.wait()
    return True
