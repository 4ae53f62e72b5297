"""Raises the feature level of the cluster once every member can (see `raftreg.versions`). The leader's duty."""

import logging
from collections.abc import Sequence
from typing import Final

from raftreg import versions
from raftreg.cluster_commands import LevelRaise
from raftreg.registry import Registry, levels_of
from raftreg.state import Topic

log = logging.getLogger(__name__)
_LOOK_S: Final = 1.0  # while there is something to raise
_DONE_S: Final = 3600.0
_FOLLOWS_S: Final = 3600.0  # the change of the leader wakes all duties


class LevelDuty:
    """Looks, while this node leads and knows a later level than the cluster's, whether every member knows it too.

    Voters and learners have to be connected, so that what they told is what runs there now. Strangers do not count.
    """

    name = "feature level"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Nothing in the state wakes this duty."""

    async def step(self) -> float:
        """Look, and raise the level if that can be."""
        level = self._registry.state.level
        if level >= versions.LEVEL_MAX:
            return _DONE_S
        status = self._registry.consensus.status()
        if status.role != "leader":
            return _FOLLOWS_S
        common, _ = levels_of(status)
        if common <= level or not status.members_committed:
            return _LOOK_S
        result = await self._registry.write(LevelRaise(common), as_leader=True)
        log.info("the feature level is %s: every member knows it", result.value)
        return 0.0
