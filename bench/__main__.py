"""The benchmark harness: raftreg beside its peers, in one run on one machine.

    python -m bench --quick                                  raftreg alone, a few minutes
    python -m bench --quick --versus consul,etcd             beside peers, alternating
    python -m bench --only reads,watch --rounds 5            some workloads, more rounds
    python -m bench --url http://10.0.0.1:8500,http://10.0.0.2:8500,http://10.0.0.3:8500

Peers are consul, consul-fast, etcd and etcd-fast: as shipped, and tuned for quick failover. Clients and servers share
the machine; every server syncs each write to the same disk. The results go to a folder: results.json, results.csv,
plots, and report.html. What could not be measured is named there, with the reason. Exit code 1 if a cluster answered
wrongly, or a workload could not be done; 2 for wrong usage; 130 if it was told to stop (Ctrl-C, SIGTERM).
"""

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bench.harness import load, machine
from bench.harness.clusters import find_targets
from bench.harness.figures import Results, rows_of
from bench.harness.progress import Progress
from bench.harness.report import write_report
from bench.harness.table import print_table
from bench.harness.targets import NotThere, Running, Target
from bench.stopping import INTERRUPTED, sigterm_is_ctrl_c
from bench.workloads import WORKLOADS, Scope, Workload

NAMES = [workload.name for workload in WORKLOADS]
PEERS = ("consul", "consul-fast", "etcd", "etcd-fast")


def main() -> int:
    """Run, print, write; the exit code."""
    options = _parse()
    sigterm_is_ctrl_c()
    try:
        results = _measured(options)
    except NotThere as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped: everything was ended, and nothing was written", file=sys.stderr)
        return INTERRUPTED
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder)
    print("drawing the report", file=sys.stderr)
    write_report(results, folder)
    print_table(results)
    print(f"\nreport: {folder / 'report.html'}")
    return 1 if results.failures else 0


def _measured(options: argparse.Namespace) -> Results:
    with tempfile.TemporaryDirectory(prefix="raftreg-bench-", dir=options.data) as data:
        targets, missing = _targets(options, Path(data))
        described = machine.describe() | {"load from": load.generator()}
        given = {
            name: value if isinstance(value, int | list) else str(value)
            for name, value in vars(options).items()
        }
        results = Results(described, given, missing)
        workloads = [kind(Scope(options.quick)) for kind in WORKLOADS if kind.name in options.only]
        _run(results, targets, workloads, options.rounds, options.seed)
    return results


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes instead of an hour")
    parser.add_argument("--versus", default="", metavar="PEERS", help=f"of {', '.join(PEERS)}, by commas")
    parser.add_argument("--url", default="", metavar="URLS", help="a running cluster instead; no faults")
    parser.add_argument(
        "--only", action="append", metavar="WORKLOADS", default=[], help=f"of {', '.join(NAMES)}, by commas"
    )
    parser.add_argument(
        "--rounds", type=int, help="how often each is measured (3; in a quick run 2, those that take long 1)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of what is random (1)")
    parser.add_argument("--out", default="bench-results", help="folder of the results (bench-results)")
    parser.add_argument(
        "--data", type=Path, help="where the servers keep their data: put it on the disk that counts"
    )
    parser.add_argument("--consul", default="consul", metavar="PATH", help="the consul program")
    parser.add_argument("--etcd", default="etcd", metavar="PATH", help="the etcd program")
    options = parser.parse_args()
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data: {options.data} is no folder")
    if not _can_make(Path(options.out)):
        parser.error(f"--out: {options.out} is no folder, and none can be made there")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    if options.url and options.versus:
        parser.error("--url measures a cluster that runs; --versus starts others: give one of them")
    options.only = [name for text in options.only for name in text.split(",") if name] or NAMES
    for name in options.only:
        if name not in NAMES:
            parser.error(f"--only: {name!r} is none of {', '.join(NAMES)}")
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.versus = [name for name in options.versus.split(",") if name]
    for name in options.versus:
        if name not in PEERS:
            parser.error(f"--versus: {name!r} is none of {', '.join(PEERS)}")
    for url in filter(None, options.url.split(",")):
        if urlsplit(url).scheme != "http" or not urlsplit(url).hostname:
            parser.error(f"--url: {url!r}: write http://HOST:PORT, separated by commas")
    return options


def _can_make(folder: Path) -> bool:
    """Whether results can be written there; nothing is made yet."""
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return above.is_dir() and os.access(above, os.W_OK)


def _targets(options: argparse.Namespace, data: Path) -> tuple[list[Target], list[str]]:
    if options.url:
        return [Running(options.url.split(","))], []
    paths = {"consul": options.consul, "etcd": options.etcd}
    return find_targets(["raftreg", *options.versus], data, paths)


def _run(
    results: Results, targets: Sequence[Target], workloads: Sequence[Workload], rounds: int, seed: int
) -> None:
    """Each workload in rounds, and the targets in turn within a round; all clusters run all the while."""
    rounds_of = {workload.name: workload.rounds(rounds) for workload in workloads}
    fitting = {
        workload.name: [target for target in targets if not workload.unfit(target)] for workload in workloads
    }
    progress = Progress(sum(rounds_of[name] * len(found) for name, found in fitting.items()) + len(targets))
    try:
        for target in targets:
            progress.begin(f"starting {target.name}")
            target.start()
            results.machine[target.name] = target.version()
            progress.end()
        for workload in workloads:
            for number in range(rounds_of[workload.name]):
                for target in fitting[workload.name]:
                    progress.begin(f"{workload.name}: {target.name}")
                    _measure(results, workload, target, number, seed)
                    progress.end()
            results.timelines += workload.report()
            reasons = {target.name: workload.unfit(target) for target in targets}
            results.missing += [f"{workload.name} at {name}: {why}" for name, why in reasons.items() if why]
            results.missing += dict.fromkeys(workload.left_out)
    finally:
        for target in targets:
            target.stop()


def _measure(results: Results, workload: Workload, target: Target, number: int, seed: int) -> None:
    """One round at one target. What goes wrong is a failure of the run; the others are measured all the same."""
    try:
        if number == 0:
            workload.prepare(target)
        figures = workload.run(target, seed + number)
        results.figures += rows_of(figures, target.name, number)
        results.failures += workload.verify(target)
    except Exception as error:
        traceback.print_exc()
        results.failures.append(f"{workload.name} at {target.name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
