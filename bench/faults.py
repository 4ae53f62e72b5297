"""Faults on real processes, counted: kill, pause, cut, flap and power-cut the leader, a follower and all nodes.

    python -m bench.faults --nodes 3 --rounds 20                 every fault on every target, about 40 minutes
    python -m bench.faults --rounds 100 --only kill:leader       one of them
    python -m bench.faults --list

Writers and readers run all the while (`tests/e2e/witness.py`). It ends with exit code 1 if an acknowledged write is
lost, or a default or consistent read is stale or steps back; gaps are printed and judged by nobody.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from raftreg.verify.wires import Wires
from tests.e2e.cluster import Cluster
from tests.e2e.faults import ALL, FAULTS, FOLLOWER, LEADER, Outcome, Stage, play
from tests.e2e.power import LossyDisks
from tests.e2e.wires import lay
from tests.e2e.witness import Witness, witnessed

SCENES = [f"{fault}:{target}" for fault in FAULTS for target in (LEADER, FOLLOWER, ALL)]


def run_scene(scene: str, nodes: int, rounds: int, folder: Path) -> None:
    """All rounds of one fault on one cluster, and a line about them. AssertionError if a promise was broken."""
    fault, _, target = scene.partition(":")
    outcomes: list[Outcome] = []
    began = time.monotonic()
    with ExitStack() as stack:
        wires = stack.enter_context(Wires())
        cluster = Cluster(folder, nodes, snapshot_entries="2000")
        disks = stack.enter_context(LossyDisks(cluster)) if fault == "power-cut" else None
        if disks is not None and not disks.are_mounted:
            print(
                f"{scene:24} no file system can be mounted here: what was not synced is not lost", flush=True
            )
        stack.enter_context(cluster)
        lay(wires, cluster)
        cluster.start()

        def work(witness: Witness) -> None:
            stage = Stage(cluster, wires, witness, disks)
            outcomes.extend(play(stage, FAULTS[fault], target) for _ in range(rounds))

        witness = witnessed(cluster, work)
    show(scene, outcomes)
    print(
        f"{'':24} {len(witness.acks_at):,} writes acknowledged, reads {dict(witness.reads)}, allowed failures "
        f"{dict(witness.failures)}, {time.monotonic() - began:.0f} s",
        flush=True,
    )


def show(scene: str, outcomes: list[Outcome]) -> None:
    """One line of figures."""
    gaps = sorted(outcome.gap_s * 1000 for outcome in outcomes)
    recoveries = sorted(outcome.recovery_s for outcome in outcomes)
    terms = [outcome.terms for outcome in outcomes]
    print(
        f"{scene:24} {len(outcomes)} rounds; write gap ms p50 {statistics.median(gaps):.0f} max {gaps[-1]:.0f}; "
        f"all serve again after s p50 {statistics.median(recoveries):.2f} max {recoveries[-1]:.2f}; "
        f"terms per round at most {max(terms)}",
        flush=True,
    )


def main() -> int:
    """The command line; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=3, help="size of the cluster (3)")
    parser.add_argument("--rounds", type=int, default=20, help="how often each (20)")
    parser.add_argument("--only", action="append", metavar="FAULT:TARGET", help="a scene; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the scenes and end")
    parser.add_argument("--data", type=Path, help="where the nodes keep their data; a temporary directory")
    options = parser.parse_args()
    if options.list:
        print("\n".join(SCENES))
        return 0
    unknown = set(options.only or []) - set(SCENES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; see --list")
    broken = []
    for scene in options.only or SCENES:
        with tempfile.TemporaryDirectory(dir=options.data) as folder:
            try:
                run_scene(scene, options.nodes, options.rounds, Path(folder))
            except AssertionError as error:
                broken.append(scene)
                print(f"{scene:24} BROKEN: {error}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
