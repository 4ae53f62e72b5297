"""Members come and go on real processes, under constant load, judged: growth, replacement, lost disks, moves, recovery.

    python -m bench.members                                  every scene: about 20 minutes
    python -m bench.members --only life --rounds 3 --seed 7
    python -m bench.members --list                           the scenes, and what each is judged by

A write is begun every 5 ms, at one member after the other, whether those before it were answered or not, and reads go
on in all modes (`tests/e2e/traffic.py`). The last lines are a table; the exit code is 1 if an acknowledged write was
lost or doubled, a default or consistent read was stale, a client saw an error, or a goal was missed. "stall" is the
longest time for which the machine kept a thread of this very program from running that wanted to sleep 5 ms: on a
machine that is busy with other things, figures are no figures of raftreg.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.faults import Pulse
from bench.stopping import in_words, stoppable
from tests.e2e import members
from tests.e2e.members import Outcome

KEYS = 100_000
WINDOW_S = 10.0  # before and after a disk is lost, for comparison
GAP_S = 0.6
VOTER_AGAIN_S = 60.0
P99_RISE = 2.0

Play = Callable[[Path, int], Outcome]  # folder, seed


@dataclass(frozen=True, slots=True)
class Scene:
    """One kind of thing that happens. `gap_s`: the longest time without an acknowledged write that is allowed."""

    play: Play
    rounds: int
    what: str
    gap_s: float = float("inf")


SCENES = {
    "life": Scene(
        members.life,
        10,
        "1 -> 3 -> 5, every node replaced, back to 3, leaders killed",
        GAP_S,
    ),
    "wipe": Scene(
        lambda folder, seed: members.wipe(folder, KEYS, WINDOW_S),
        1,
        f"{KEYS:,} keys; lost disk is a voter again within {VOTER_AGAIN_S:g} s, p99 of writes < {P99_RISE:g} x",
    ),
    "three-wrecks": Scene(
        lambda folder, seed: members.three_wrecks(folder),
        3,
        "one lags, one was wiped, the third is stopped: no leader before it is back",
    ),
    "moves": Scene(
        lambda folder, seed: members.moves(folder),
        3,
        "data directories move to other addresses, one by one; then all start anew",
        GAP_S,
    ),
    "recover": Scene(
        lambda folder, seed: members.recover(folder),
        3,
        "two of three are gone; the third becomes a cluster and grows; former members stay outside",
    ),
}


@dataclass(slots=True)
class Row:
    """What the rounds of one scene came to."""

    name: str
    outcomes: list[Outcome] = field(default_factory=list)
    broken: str = ""
    stall_s: float = 0.0

    def verdict(self) -> str:
        """ "" if all is well, else what is not."""
        missed = [f"BROKEN: {self.broken}"] if self.broken else []
        if any(outcome.gap_s > SCENES[self.name].gap_s for outcome in self.outcomes):
            missed.append(f"gap above {SCENES[self.name].gap_s:g} s")
        for outcome in self.outcomes:
            missed += _missed(outcome.figures)
        return ", ".join(missed)


def _missed(figures: dict[str, float]) -> list[str]:
    """The goals of the wipes."""
    missed = [
        f"{name} above {VOTER_AGAIN_S:g}"
        for name, value in figures.items()
        if name.startswith("voter again") and value > VOTER_AGAIN_S
    ]
    for name, value in figures.items():
        before = figures.get(name.replace("during", "before"), 0.0)
        if name.startswith("p99 ms during") and value >= P99_RISE * before:
            missed.append(f"{name}: {value:.1f} after {before:.1f}")
    return missed


def run_scene(row: Row, rounds: int, seed: int, data: Path | None) -> None:
    """All rounds; each on a cluster of its own. What breaks a promise ends them."""
    with Pulse() as pulse:
        for number in range(rounds):
            with tempfile.TemporaryDirectory(dir=data, ignore_cleanup_errors=True) as folder:
                try:
                    outcome = SCENES[row.name].play(Path(folder), seed + number)
                except Exception as error:
                    row.broken = f"seed {seed + number}: {in_words(error)}"
                    break
            row.outcomes.append(outcome)
            say(f"  {row.name}, seed {seed + number}: {_in_words(outcome)}")
    row.stall_s = pulse.worst_s


def _in_words(outcome: Outcome) -> str:
    more = "".join(f"; {name} {value:.3g}" for name, value in outcome.figures.items())
    gap = f", longest gap {outcome.gap_s * 1000:.0f} ms" if outcome.gap_s else ""
    return f"{outcome.seconds:.0f} s{gap}{more}"


HEAD = (
    f"{'scene':13} {'rounds':>6} {'writes':>7} {'reads':>7} {'retried':>7}   {'gap ms':>6} {'goal':>5}   "
    f"{'stall ms':>8}  verdict"
)


def line_of(row: Row) -> str:
    """One row of the table. `retried`: requests that found their node killed."""
    loads = [outcome.traffic for outcome in row.outcomes if outcome.traffic is not None]
    gap_s = max((outcome.gap_s for outcome in row.outcomes), default=0.0)
    goal_s = SCENES[row.name].gap_s
    return (
        f"{row.name:13} {len(row.outcomes):6} {sum(len(load.acks_at) for load in loads):7} "
        f"{sum(load.reads.total() for load in loads):7} {sum(load.failures.total() for load in loads):7}   "
        f"{gap_s * 1000:6.0f} {'-' if goal_s == float('inf') else f'{goal_s * 1000:.0f}':>5}   "
        f"{row.stall_s * 1000:8.0f}  {row.verdict() or 'ok'}"
    )


def say(line: str) -> None:
    """At once, also into a pipe."""
    print(line, flush=True)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="how often each (life 10, wipe 1, the others 3)")
    parser.add_argument("--only", action="append", choices=list(SCENES), help="a scene; may be repeated")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first round; decides when leaders are killed"
    )
    parser.add_argument("--list", action="store_true", help="print the scenes and their goals, and end")
    parser.add_argument("--data", type=Path, help="where the nodes keep their data; a temporary directory")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if a promise was broken or a goal missed."""
    options = options_of(arguments)
    if options.list:
        for name, scene in SCENES.items():
            goal = "" if scene.gap_s == float("inf") else f"; gap <= {scene.gap_s:g} s"
            say(f"{name:13} {scene.what}{goal}")
        return 0
    rows: list[Row] = []
    began = time.monotonic()
    for name in options.only or SCENES:
        row = Row(name)
        rows.append(row)
        run_scene(row, options.rounds or SCENES[name].rounds, options.seed, options.data)
    say(HEAD)
    for row in rows:
        say(line_of(row))
    failed = [row for row in rows if row.verdict()]
    verdict = (
        f"{len(failed)} of {len(rows)} scenes failed"
        if failed
        else "nothing lost or stale, no error seen, every goal met"
    )
    say(f"{(time.monotonic() - began) / 60:.0f} min: {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(stoppable(main))
