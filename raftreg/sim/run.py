"""One run: a seed and a profile in, an outcome out."""

import asyncio
import gc
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from raftreg.chance import Chance
from raftreg.checkers.linearizability import Undecided
from raftreg.commands import decode_request
from raftreg.consensus import journal, segments, snapshot_transfer
from raftreg.consensus.wal import Wal
from raftreg.sim import verdict
from raftreg.sim.checks import Violation
from raftreg.sim.cluster import Cluster
from raftreg.sim.faults import Fault, Harm, schedule
from raftreg.sim.member_checks import watching_members
from raftreg.sim.member_faults import MemberHarm
from raftreg.sim.mutants import MUTANTS
from raftreg.sim.patches import Patches
from raftreg.sim.probe import watching
from raftreg.sim.profiles import Profile
from raftreg.state import machine

HEALING_S = 4.0  # times the profile's timing; afterwards everybody serves
SETTLING_S = 6.0
ORDER_S = 15.0  # times the profile's timing: so long may the operator need after that
SEGMENT_BYTES = 4 << 10
ALLOCATE_BYTES = 2 << 10
CHUNK_BYTES = 2 << 10
WINDOW_BYTES = 8 << 10
SLICE_ENTRIES = 6
SLICE_BYTES = 512
DECODED = 1024  # requests that are remembered as they were decoded


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `failure` is None, or what was violated."""

    seed: int
    profile: str
    seconds: float
    faults: tuple[Fault, ...]
    failure: str | None
    rule: str | None
    acknowledged: int
    reads: int
    elections: int
    snapshots_loaded: int
    events: int
    digest: int
    asked_s: float = 0.0
    at_s: float = 0.0
    changes: int = 0  # committed member sets, but for the first
    disks: int = 0  # that were put in the place of others
    told: tuple[tuple[str, int], ...] = ()  # what leaders answered to the operator, and how often
    story: tuple[str, ...] = field(default=(), repr=False)


def run(
    seed: int,
    profile: Profile,
    seconds: float,
    *,
    mutant: str | None = None,
    faults: Sequence[Fault] | None = None,
    rules: frozenset[str] | None = None,
) -> Outcome:
    """Faults for `seconds`, healing, the final checks.

    `faults` replaces the schedule that the seed would give. `rules`: the only ones that count, None for all.
    """
    chosen = schedule(profile, Chance(seed).stream("faults"), seconds) if faults is None else faults
    cluster = Cluster(seed, profile, rules)
    patches = small_sizes()
    if mutant is not None:
        MUTANTS[mutant].apply(patches)
    with ExitStack() as stack:
        stack.enter_context(quietly())
        stack.enter_context(patches)
        stack.enter_context(watching(cluster.checks, cluster.monotonic))
        if profile.membership is not None:
            stack.enter_context(watching_members(cluster.member_checks))
        failure = _live(cluster, list(chosen), seconds)
        cluster.loop.drop_everything()
    return Outcome(
        seed,
        profile.name,
        cluster.loop.now,
        tuple(chosen),
        None if failure is None else f"{type(failure).__name__}: {failure}",
        None if failure is None else getattr(failure, "rule", type(failure).__name__),
        cluster.acknowledged,
        cluster.reads,
        cluster.checks.elections,
        cluster.checks.loads,
        cluster.loop.events,
        hash((cluster.network.trace, cluster.loop.events, cluster.acknowledged, cluster.reads)),
        seconds,
        cluster.loop.now,
        max(0, len(cluster.member_checks.committed) - 1),
        sum(len(host.shelf) for host in cluster.hosts.values()),
        tuple(sorted(cluster.operator.told.items())),
        tuple(cluster.story),
    )


@contextmanager
def quietly() -> Iterator[None]:
    """Within: no logging, and no collections of garbage."""
    collecting, level = gc.isenabled(), logging.root.manager.disable
    gc.disable()
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        if collecting:
            gc.enable()


def small_sizes() -> Patches:
    """What is large in production is small here, so that a run of seconds sees segments change and chunks flow."""
    patches = Patches()
    defaults = {**(Wal.__init__.__kwdefaults__ or {}), "segment_bytes": SEGMENT_BYTES}
    patches.put(Wal.__init__, "__kwdefaults__", defaults)
    patches.put(segments, "ALLOCATE_BYTES", ALLOCATE_BYTES)
    patches.put(snapshot_transfer, "CHUNK_BYTES", CHUNK_BYTES)
    patches.put(journal, "SLICE_ENTRIES", SLICE_ENTRIES)
    patches.put(journal, "SLICE_BYTES", SLICE_BYTES)
    patches.put(snapshot_transfer, "WINDOW_BYTES", WINDOW_BYTES)
    # For speed: each host applies the same bytes, and nobody asks asyncio for all its tasks.
    patches.put(machine, "decode_request", lru_cache(DECODED)(decode_request))
    patches.put(asyncio.tasks._all_tasks, "add", bool)  # type: ignore[attr-defined]  # asyncio's own registry
    return patches


def _live(cluster: Cluster, faults: list[Fault], seconds: float) -> BaseException | None:
    loop, harm = cluster.loop, MemberHarm(cluster)
    cluster.begin()
    for fault in faults:
        loop.at(fault.at_s, loop.world, _strike, cluster, harm, fault)
    loop.run_until(seconds)
    try:
        if loop.failure is None:
            _heal(cluster, harm)
            loop.run_until(loop.now + HEALING_S * cluster.profile.timing)
        if loop.failure is None:
            _bring_members_in_order(cluster)
            verdict.check_led(cluster)
            loop.run_until(loop.now + 2.0)
            cluster.busy = False
            loop.run_until(loop.now + SETTLING_S)
        if loop.failure is None:
            verdict.check_end(cluster)
    except (Violation, Undecided) as failure:
        loop.fail(failure)
    return loop.failure


def _bring_members_in_order(cluster: Cluster) -> None:
    """Give the operator of a cluster whose members change the time for what is left to do."""
    end = cluster.loop.now + ORDER_S * cluster.profile.timing
    while cluster.profile.membership is not None and not cluster.operator.done():
        if cluster.loop.now > end or cluster.loop.failure is not None:
            break
        cluster.loop.run_until(cluster.loop.now + 0.5)


def _strike(cluster: Cluster, harm: Harm, fault: Fault) -> None:
    cluster.log("", f"fault: {fault}")
    harm.do(fault)


def _heal(cluster: Cluster, harm: Harm) -> None:
    """From here on nothing goes wrong any more."""
    cluster.log("", "healing")
    harm.heal()
    cluster.network.mend_all()
    now = cluster.loop.now
    for host in cluster.hosts.values():
        host.mend_disk()
        host.pace.slow_until = 0.0
        cluster.loop.at(max(now, host.life.paused_until) + 0.01, cluster.loop.world, host.start)
    if cluster.profile.membership is not None:
        cluster.operator.heal()
    longest = max(host.life.paused_until for host in cluster.hosts.values())
    if longest > now:
        cluster.loop.run_until(longest)
