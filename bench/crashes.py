"""The power fails before every operation on the disk of a member, in all the ways that a file system may leave behind.

    python -m bench.crashes                                   a few minutes
    python -m bench.crashes --seeds 200 --exhaustive 4096     hours

Journal, meta, peers and snapshots are written by the real code on a disk in memory (`tests/crash`). Of what was not
synced at a crash point any subset may be there, in any order, with torn sectors, and renames without their directory;
each such disk is recovered, and some of the recoveries are cut again. Exit code 1 at the first that forgets a promise
or takes a mere crash for damage.
"""

import argparse
import logging
import sys
import time
from collections import Counter

from raftreg.consensus import segments
from tests.crash.test_crash_points import WORKLOADS, cut_everywhere


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seeds", type=int, default=8, help="how many, for each workload (8)")
    parser.add_argument(
        "--exhaustive", type=int, default=512, help="up to so many disks of a point try all (512)"
    )
    parser.add_argument("--sampled", type=int, default=128, help="else try so many (128)")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # Thousands of torn tails are not worth a line each.
    segments.ALLOCATE_BYTES = 1024
    kinds: Counter[str] = Counter()
    points = disks = twice = sampled = 0
    began = time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        for workload in WORKLOADS:
            try:
                crashes = cut_everywhere(
                    workload, seed, exhaustive=options.exhaustive, sampled=options.sampled
                )
            except AssertionError as error:
                print(f"{workload}, seed {seed}: {error}")
                return 1
            kinds += crashes.kinds
            points, disks, twice = points + crashes.points, disks + crashes.states, twice + crashes.twice
            sampled += crashes.settling.incomplete
    print(", ".join(f"{count} x {kind}" for kind, count in kinds.most_common()))
    print(
        f"{points} crash points, {sampled} of them by a sample; {disks} disks recovered, {twice} more after a second "
        f"cut in the recovery, in {time.monotonic() - began:.0f} s: nothing promised was forgotten"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
