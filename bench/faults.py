"""Faults on real processes, counted and judged: nodes are killed, paused, cut off, and their power is cut.

    python -m bench.faults                                       every scene, 3 and 5 nodes, 20 rounds: about an hour
    python -m bench.faults --nodes 3 --rounds 100 --only kill:leader
    python -m bench.faults --list                                the scenes, and what each is judged by

Writers and readers run all the while (`tests/e2e/witness.py`). The last lines are a table; the exit code is 1 if an
acknowledged write was lost, a default or consistent read was stale or stepped back on a node, or a goal was missed;
130 after Ctrl-C or SIGTERM, which end all that was started. Cuts last three seconds, so that elections that do not end
would show as a gap of that length. "stall" is the longest time for which the machine kept a thread of this very program
from running that wanted to sleep 5 ms: on a machine that is busy with other things it explains gaps, and figures from
there are no figures of raftreg.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.stopping import in_words, stoppable
from raftreg.verify.wires import Wires
from tests.e2e.cluster import Cluster
from tests.e2e.faults import ALL, FAULTS, FOLLOWER, LEADER, Outcome, Stage, play
from tests.e2e.power import LossyDisks
from tests.e2e.wires import lay
from tests.e2e.witness import Witness, witnessed

SCENES = [f"{fault}:{target}" for fault in FAULTS for target in (LEADER, FOLLOWER, ALL)]
CUT_S = 3.0
PULSE_S = 0.005
ROUNDS_OF = {"kill:leader": 100}  # at least, unless --rounds says otherwise
# Longest time without an acknowledged write, in seconds, where a majority is left to take it.
GAP_S = {
    "kill:leader": 0.6,
    "kill:follower": 0.2,
    "stop:leader": 0.2,
    "stop:follower": 0.2,
    "power-cut:leader": 0.6,
    "power-cut:follower": 0.6,
    "pause:leader": 0.9,
    "pause:follower": 0.6,
    **{f"{fault}:{LEADER}": 2.0 for fault in ("cut", "silence", "deaf", "dumb", "one-link", "flap", "slow")},
    **{
        f"{fault}:{FOLLOWER}": 2.0 for fault in ("cut", "silence", "deaf", "dumb", "one-link", "flap", "slow")
    },
}
# From the end of a fault, a power cut of all nodes among them, until every node is ready and answers reads of each
# mode again, and a write was acknowledged by any of them.
SERVING_S = 3.0
NOT_CUT = "not cut: no file system can be mounted here"


@dataclass(slots=True)
class Row:
    """What the rounds of one scene came to."""

    nodes: int
    scene: str
    outcomes: list[Outcome] = field(default_factory=list)
    acks: int = 0
    reads: int = 0
    broken: str = ""  # the promise that was broken, or the error that ended the rounds
    stall_s: float = 0.0  # for how long the machine kept this program from running
    is_cut: bool = True  # whether the disks lost anything, if that is what the scene is about

    @property
    def gap_s(self) -> float:
        """The longest gap of all rounds."""
        return max((outcome.gap_s for outcome in self.outcomes), default=0.0)

    @property
    def serving_s(self) -> float:
        """The longest time until every node served again."""
        return max((outcome.recovery_s for outcome in self.outcomes), default=0.0)

    def verdict(self) -> str:
        """ "" if all is well, else what is not."""
        if self.broken:
            return f"BROKEN: {self.broken}"
        missed = []
        if self.gap_s > GAP_S.get(self.scene, float("inf")):
            missed.append(f"gap above {GAP_S[self.scene]:g} s")
        if self.serving_s > SERVING_S:
            missed.append(f"not serving within {SERVING_S:g} s")
        return ", ".join(missed)

    def result(self) -> str:
        """The verdict in words. Nothing is wrong where no power was cut, and nothing is known."""
        return self.verdict() or ("ok" if self.is_cut else NOT_CUT)


class Pulse:
    """A thread that wants to run every few milliseconds; a context manager. `worst_s`: by how much it was late."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse")

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(PULSE_S):
            now = time.monotonic()
            self.worst_s = max(self.worst_s, now - before - PULSE_S)
            before = now


def run_scene(row: Row, rounds: int, folder: Path) -> None:
    """All rounds of one fault on one cluster. AssertionError if a promise was broken."""
    fault, _, target = row.scene.partition(":")
    with ExitStack() as stack:
        wires = stack.enter_context(Wires())
        cluster = Cluster(folder, row.nodes, snapshot_entries="2000")
        disks = stack.enter_context(LossyDisks(cluster)) if fault == "power-cut" else None
        if disks is not None and not disks.are_mounted:
            row.is_cut = False
        stack.enter_context(cluster)
        lay(wires, cluster)
        cluster.start()

        def work(witness: Witness) -> None:
            stage = Stage(cluster, wires, witness, disks, CUT_S)
            for _ in range(rounds):
                row.outcomes.append(play(stage, FAULTS[fault], target))

        with Pulse() as pulse:
            witness = witnessed(cluster, work)
    row.stall_s = pulse.worst_s
    row.acks, row.reads = len(witness.acks_at), witness.reads.total()


def say(line: str) -> None:
    """At once, also into a pipe."""
    print(line, flush=True)


HEAD = (
    f"{'nodes':5} {'scene':22} {'rounds':>6} {'writes':>7} {'reads':>7}   {'gap ms: p50':>11} {'max':>6} {'goal':>5}"
    f"   {'serving s: p50':>14} {'max':>5} {'goal':>4}   {'terms':>5} {'stall ms':>8}  verdict"
)


def line_of(row: Row) -> str:
    """One row of the table."""
    gaps = [outcome.gap_s for outcome in row.outcomes] or [0.0]
    serving = [outcome.recovery_s for outcome in row.outcomes] or [0.0]
    goal = f"{GAP_S[row.scene] * 1000:.0f}" if row.scene in GAP_S else "-"
    return (
        f"{row.nodes:5} {row.scene:22} {len(row.outcomes):6} {row.acks:7} {row.reads:7}   "
        f"{statistics.median(gaps) * 1000:11.0f} {max(gaps) * 1000:6.0f} {goal:>5}   "
        f"{statistics.median(serving):14.2f} {max(serving):5.2f} {SERVING_S:4g}   "
        f"{max((outcome.terms for outcome in row.outcomes), default=0):5} {row.stall_s * 1000:8.0f}  "
        f"{row.result()}"
    )


def summary(rows: list[Row], failed: list[Row], took_s: float) -> str:
    """The last line."""
    rounds, acks = sum(len(row.outcomes) for row in rows), sum(row.acks for row in rows)
    verdict = (
        f"{len(failed)} of {len(rows)} scenes failed" if failed else "nothing lost or stale, every goal met"
    )
    reads = sum(row.reads for row in rows)
    uncut = sum(not row.is_cut for row in rows)
    more = f"; {uncut} of {len(rows)} scenes {NOT_CUT}" if uncut else ""
    return f"{rounds} faults, {acks:,} writes and {reads:,} reads checked in {took_s / 60:.0f} min: {verdict}{more}"


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--nodes", type=int, action="append", help="size of the cluster; may be repeated (3 and 5)"
    )
    parser.add_argument("--rounds", type=int, help="how often each (20, and 100 for kill:leader)")
    parser.add_argument("--only", action="append", metavar="FAULT:TARGET", help="a scene; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the scenes and their goals, and end")
    parser.add_argument("--data", type=Path, help="where the nodes keep their data; a temporary directory")
    options = parser.parse_args(arguments)
    unknown = set(options.only or []) - set(SCENES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; see --list")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if a promise was broken or a goal missed."""
    options = options_of(arguments)
    if options.list:
        for scene in SCENES:
            goal = f"gap <= {GAP_S[scene]:g} s, " if scene in GAP_S else ""
            say(f"{scene:24} {goal}every node serves within {SERVING_S:g} s")
        return 0
    rows: list[Row] = []
    began = time.monotonic()
    say(HEAD)
    for nodes in options.nodes or [3, 5]:
        for scene in options.only or SCENES:
            row = Row(nodes, scene)
            rows.append(row)
            with tempfile.TemporaryDirectory(dir=options.data, ignore_cleanup_errors=True) as folder:
                try:
                    run_scene(row, options.rounds or ROUNDS_OF.get(scene, 20), Path(folder))
                except Exception as error:
                    row.broken = in_words(error)
            say(line_of(row))
    failed = [row for row in rows if row.verdict()]
    say(summary(rows, failed, time.monotonic() - began))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(stoppable(main))
