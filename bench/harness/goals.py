"""What raftreg must reach: ratios to its peers, measured in the same run, and a few absolute figures.

Each line names a figure, against whom it is held, and the bound on raftreg / peer (or on raftreg itself). "best" is
the best of all peers that were measured, over HTTP if nothing else is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.harness.figures import UP, Figure, Results
from bench.harness.stats import median

OURS = "raftreg"
BEST = "best"
ITSELF = ""
GRPC = "-grpc"


@dataclass(frozen=True, slots=True)
class Goal:
    """`bound` is on the ratio; on the figure itself if it is held against nobody."""

    workload: str
    case: str
    metric: str
    against: str
    bound: float
    # Whether "best" is also that of gRPC, which raftreg does not speak.
    with_grpc: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Which figure."""
        return self.workload, self.case, self.metric


GOALS = (
    Goal("resources", "at rest", "CPU of all nodes", ITSELF, 2.6),
    Goal("resources", "at rest", "memory of a node", ITSELF, 60.0),
    Goal("resources", "KV PUT, 64 clients", "CPU per 10,000", BEST, 1.0, with_grpc=True),
    Goal("resources", "KV GET, 64 clients", "CPU per 10,000", "consul", 1.0),
    Goal("resources", "100,000 keys, 10,000 services", "memory of a node", "etcd", 1.5),
    Goal("writes", "1 client, leader", "p50", BEST, 0.85),
    Goal("writes", "1 client, follower", "p50", BEST, 0.85),
    Goal("writes", "64 clients, leader", "rate", BEST, 1.25, with_grpc=True),
    Goal("writes", "64 clients, follower", "rate", BEST, 1.25, with_grpc=True),
    Goal("registrations", "catalog, leader", "rate", BEST, 1.25),
    Goal("registrations", "agent, leader", "rate", "consul", 15.0),
    Goal("reads", "key, default, leader", "rate", "consul", 1.0),
    Goal("reads", "key, default, follower", "rate", "consul", 2.0),
    Goal("reads", "key, consistent, follower", "rate", "consul", 2.0),
    Goal("reads", "key, stale, follower", "rate", "consul", 1.0),
    Goal("reads", "3 instances, default, leader", "rate", "consul", 1.5),
    Goal("reads", "3 instances, default, follower", "rate", "consul", 3.0),
    Goal("reads", "50 instances, default, leader", "rate", "consul", 4.0),
    Goal("reads", "50 instances, default, follower", "rate", "consul", 8.0),
    Goal("watch", "1 watchers, leader", "p50", BEST, 0.9),
    Goal("watch", "1000 watchers, leader", "p50", "consul", 0.5),
    Goal("watch", "1000 watchers, leader", "p99", "consul", 0.5),
    Goal("watch", "1 watchers, stale follower", "p50", "etcd", 0.5),
    Goal("watch", "1000 watchers, stale follower", "p50", "etcd", 0.5),
    Goal("restart", "one node", "to serving", BEST, 1.0),
    Goal("restart", "all at once", "to a write", BEST, 1.0),
    Goal("failover", "kill -9", "gap p50", "etcd-fast", 0.5),
    Goal("failover", "kill -9", "gap max", "etcd-fast", 1.0),
    Goal("failover", "host vanishes", "gap p50", "etcd-fast", 1.5),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a goal came out. `ours` is a figure of raftreg, `value` the median; None if it was not measured.

    Unjudged: `reached` is None, and `why` says why.
    """

    goal: Goal
    ours: Figure | None = None
    value: float | None = None
    peer: str = ""
    peer_value: float | None = None
    ratios: tuple[float, ...] = ()
    reached: bool | None = None
    why: str = ""


def judge(results: Results) -> Iterator[Verdict]:
    """Every goal of the workloads that were run."""
    run = set(results.options.get("only") or (key[0] for key in results.measured()))
    for goal in GOALS:
        found = results.of(goal.key, OURS)
        if found:
            yield _judged(results, goal, found[0])
        elif goal.workload in run:
            full = " in a quick run" if results.options.get("quick") else ""
            yield Verdict(goal, why=f"not measured{full}")


def _judged(results: Results, goal: Goal, example: Figure) -> Verdict:
    ours = results.median(goal.key, OURS)
    assert ours is not None
    if goal.against == ITSELF:
        return Verdict(goal, example, ours, reached=_holds(example, ours, goal.bound))
    peers = [name for name in results.targets() if _is_held_against(goal, name)]
    measured = {name: value for name in peers if (value := results.median(goal.key, name))}
    if not measured:
        return Verdict(
            goal, example, ours, why=f"no {goal.against if goal.against != BEST else 'peer'} in this run"
        )
    pick = max if example.better == UP else min
    peer = pick(measured, key=lambda name: measured[name])
    ratios = tuple(results.ratios(goal.key, OURS, peer))
    reached = _holds(example, median(ratios), goal.bound) if ratios else None
    has_grpc = any(name.endswith(GRPC) for name in measured)
    why = "" if has_grpc or not goal.with_grpc else "gRPC not measured"
    return Verdict(goal, example, ours, peer, measured[peer], ratios, reached, why)


def _is_held_against(goal: Goal, name: str) -> bool:
    if name in (OURS, "running"):
        return False
    if name.endswith(GRPC):
        return goal.with_grpc
    return goal.against == BEST or name == goal.against or name.partition("-")[0] == goal.against


def _holds(example: Figure, value: float, bound: float) -> bool:
    return value >= bound if example.better == UP else value <= bound
