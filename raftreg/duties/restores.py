"""Restores that nobody finishes: what they have collected is in every node's memory until somebody drops it."""

import logging
from collections.abc import Sequence
from typing import Final

from raftreg.cluster_commands import RestoreAbandon
from raftreg.registry import Registry
from raftreg.state import Topic
from raftreg.state.cluster_queries import RestoreProgress

log = logging.getLogger(__name__)

ABANDONED_AFTER_S: Final = 60.0  # without another part
_LOOK_S: Final = 5.0


class RestoreDuty:
    """Drops a restore that has stood still for a minute, while this node leads."""

    name = "restores"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Nothing in the state wakes this duty."""

    async def step(self) -> float:
        """Look whether the current restore, if there is one, has moved."""
        now = self._registry.clock.now()
        progress = self._registry.local(RestoreProgress()).value
        if progress != self._seen or self._registry.consensus.status().role != "leader":
            self._seen, self._since = progress, now
        elif progress is not None and now - self._since >= ABANDONED_AFTER_S:
            log.warning("a restore was never finished: dropping its %d parts", progress[1])
            await self._registry.write(RestoreAbandon(progress[0]), as_leader=True)
        return _LOOK_S
