"""Calls end: a process that runs gives each of them an outcome in time."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from raftreg.registry import Registry
from raftreg.sim.loop import SimHandle

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster

T = TypeVar("T")

TIMEOUT_S = 4.0  # of reads and writes
LATE_S = 1.0  # what a process may take beyond the time that a call has


async def in_time(cluster: "Cluster", registry: Registry, answer: Awaitable[T], within_s: float) -> T:
    """The answer of a host. It is a violation if there is none, and no error, within that time and a little more.

    A process that stood still meanwhile has that time anew; one that ended, or is being stopped, owes nothing.
    """
    loop, host = cluster.loop, cluster.hosts[registry.node_name]
    life = host.life
    timers: list[SimHandle] = []

    def watch(since: float) -> None:
        timers.append(loop.at(since + within_s + LATE_S, loop.world, look, since))

    def look(since: float) -> None:
        if life.paused_until > since:
            watch(life.paused_until)
        elif life.alive and not host.stopping:
            text = f"{host.name} owes an answer since {since:.3f} s, and had {within_s:g} s for it"
            cluster.checks.violated("overdue", text)

    watch(loop.now)
    try:
        return await answer
    finally:
        timers[-1].cancel()
