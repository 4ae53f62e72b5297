"""Runs all duties of a node, each in a task of its own that outlives whatever goes wrong in it."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from raftreg.duties.autopilot import AutopilotDuty
from raftreg.duties.checks import CheckDuty
from raftreg.duties.heartbeats import TTL_CALL
from raftreg.duties.levels import LevelDuty
from raftreg.duties.liveness import LivenessDuty
from raftreg.duties.own_node import OwnNodeDuty
from raftreg.duties.renewals import RENEWAL_CALL
from raftreg.duties.restores import RestoreDuty
from raftreg.duties.server_health import HEALTH_CALL, ServerHealthDuty
from raftreg.duties.sessions import SessionDuty
from raftreg.errors import NotApplied, OutcomeUnknown
from raftreg.registry import Registry
from raftreg.state import Topic

log = logging.getLogger(__name__)

LOST_AFTER_S: Final = 1.0
_PAUSE_S_MIN: Final = 0.1
_PAUSE_S_MAX: Final = 5.0


class Duty(Protocol):
    """One thing to see to."""

    name: str

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Something changed in the state. Must not raise."""
        ...

    async def step(self) -> float:
        """Do what is due; seconds until the next step, unless the duty is woken before."""
        ...


class Worker:
    """One duty with its alarm clock."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Take the next step now."""
        self._woken.set()

    async def run(self, duty: Duty) -> None:
        """Step after step until cancelled. What goes wrong is told, and tried again after a growing pause."""
        pause_s = _PAUSE_S_MIN
        while True:
            self._woken.clear()
            try:
                wait_s = await duty.step()
                pause_s = _PAUSE_S_MIN
            except (NotApplied, OutcomeUnknown) as error:
                log.debug("%s: %s; trying again", duty.name, error)
                wait_s, pause_s = pause_s, min(pause_s * 2, _PAUSE_S_MAX)
            except Exception:
                log.exception("%s: a step failed; trying again in %.1f s", duty.name, pause_s)
                await asyncio.sleep(pause_s)  # being woken must not make a failing duty spin
                wait_s, pause_s = 0.0, min(pause_s * 2, _PAUSE_S_MAX)
            # Not asyncio.wait_for: that of Python 3.11 swallows a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()


class Duties:
    """All duties of this node. `node_id` is a UUID, `address` that by which other hosts reach this one."""

    def __init__(
        self,
        registry: Registry,
        *,
        node_id: str,
        address: str,
        raft_port: int,
        http_address: str = "",
        lost_after_s: float = LOST_AFTER_S,
        rejoin: bool = False,
    ) -> None:
        """Nothing runs yet. `lost_after_s`: how long a node is silent before it counts as lost.

        `rejoin`: members that were wiped are replaced without being asked for.
        """
        self._registry = registry
        workers = [Worker() for _ in range(8)]
        checks = CheckDuty(registry, workers[0].wake)
        self.sessions = SessionDuty(registry, workers[1].wake)
        health = ServerHealthDuty(registry)
        duties: list[Duty] = [
            checks,
            self.sessions,
            LivenessDuty(registry, lost_after_s),
            OwnNodeDuty(
                registry,
                workers[3].wake,
                node_id=node_id,
                address=address,
                raft_port=raft_port,
                http_address=http_address,
            ),
            health,
            RestoreDuty(registry),
            AutopilotDuty(registry, rejoin=rejoin),
            LevelDuty(registry),
        ]
        self._pairs = list(zip(workers, duties, strict=True))
        self._tasks: list[asyncio.Task[None]] = []
        registry.on_topics(self._on_topics)
        registry.on_leader_call(TTL_CALL, checks.on_heartbeat)
        registry.on_leader_call(RENEWAL_CALL, self.sessions.on_renewal)
        registry.on_leader_call(HEALTH_CALL, health.on_call)
        registry.consensus.on_change(self._wake_all)

    async def start(self) -> None:
        """Begin. Returns at once; the node's own record is written when there is a leader."""
        for worker, duty in self._pairs:
            self._tasks.append(asyncio.create_task(worker.run(duty), name=f"duty: {duty.name}"))

    async def stop(self) -> None:
        """End all duties; a command that is on its way may still arrive."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _on_topics(self, topics: Sequence[Topic]) -> None:
        for _, duty in self._pairs:
            duty.on_topics(topics)

    def _wake_all(self) -> None:
        for worker, _ in self._pairs:
            worker.wake()
