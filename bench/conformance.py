"""Replay all recorded scenarios against three nodes, several times, while a follower is being restarted.

    python -m bench.conformance [--rounds 3] [--nodes 3] [--restart-every 5]

The scenarios talk to the nodes that stay; whoever talks to a node that is down is refused, which no server can help.
One scenario may fail, and must: /v1/operator/autopilot/health answers 429 while a server is down, and that
scenario asks it whether all are well. With `--restart-every 0` nothing is restarted. Exit code 1 if a scenario failed.
"""

import argparse
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

from bench.stopping import stoppable
from tests.conformance.corpus import load, replay_all
from tests.conformance.replay import Target
from tests.conformance.test_scenarios import start, targets_of
from tests.e2e.cluster import Cluster, Node, wait_until


class Restarts(threading.Thread):
    """Stops a node with SIGKILL and starts it again, every so many seconds; a context manager."""

    def __init__(self, node: Node, every_s: float) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self.over = threading.Event()
        self._node, self._every_s = node, every_s

    def __enter__(self) -> "Restarts":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        """Go on until `over`; the node is up and ready then."""
        while not self.over.wait(self._every_s):
            self._node.kill()
            self._node.start()
            self.count += 1
        wait_until(f"{self._node.name} is ready", self._node.is_ready)


def main() -> int:
    """Print what failed and the count of each round. Exit code 1 if anything did."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--restart-every", type=float, default=5.0, metavar="SECONDS")
    arguments = parser.parse_args()
    every_s = arguments.restart_every if arguments.nodes > 2 else 0.0
    with tempfile.TemporaryDirectory(prefix="raftreg-conformance-") as folder:
        cluster = start(Path(folder), arguments.nodes)
        with cluster:
            cluster.start()
            failed = _replay(cluster, arguments.rounds, every_s)
    return 1 if failed else 0


def _replay(cluster: Cluster, rounds: int, every_s: float) -> int:
    """All rounds; how many scenarios failed."""
    restarted = cluster.followers()[0] if every_s else None
    targets = [
        target
        for node, target in zip(cluster.nodes.values(), targets_of(cluster), strict=True)
        if node is not restarted
    ]
    with Restarts(restarted, every_s) if restarted is not None else nullcontext() as restarts:
        failed = _rounds(rounds, targets)
    if restarts is not None:
        print(f"{restarts.count} restarts of a follower")
    return failed


def _rounds(rounds: int, targets: list[Target]) -> int:
    failed, scenarios = 0, list(load().values())
    for number in range(1, rounds + 1):
        begun = time.monotonic()
        differences = {name: text for name, text in replay_all(scenarios, targets).items() if text}
        failed += len(differences)
        for name, text in differences.items():
            print(f"{name}: {text}")
        held, took_s = len(scenarios) - len(differences), time.monotonic() - begun
        print(f"round {number}: {held} of {len(scenarios)} in {took_s:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(stoppable(main))
