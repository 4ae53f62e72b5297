"""When Python's collector looks at every object there is: seldom, and rather on a follower.

With 100,000 keys such a look takes a third of a second, longer than an election timeout, and by its own rule Python
takes one each time a quarter of the objects are new: every few seconds under a load of writes. The young generations go
on as ever, and reference counting frees nearly everything by itself; what is left for a full look are cycles that
lived long, such as closed connections, and they can wait.
"""

import asyncio
import gc
from collections.abc import Callable

FULL_EVERY_S = 600.0  # on a node that does not lead
FULL_EVERY_S_LEADING = 3600.0
LOOK_S = 30.0
_NEVER = 1 << 30  # young collections before a full one, by Python's own rule


class FullCollections:
    """Full collections of this process: by this object's rule from its making on, not by Python's.

    `leads` says whether this node leads now, `now` is the time in seconds.
    """

    def __init__(self, leads: Callable[[], bool], now: Callable[[], float]) -> None:
        self._leads = leads
        self._now = now
        self._last = now()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)

    def settle(self) -> None:
        """The node has started: what was made so far stays for good and is left alone from now on.

        Nothing is collected: a look at a state of 100,000 keys would keep a node that just came up from its peers.
        """
        gc.freeze()
        gc.enable()

    def look(self) -> bool:
        """Collect if it is time; whether it was."""
        every_s = FULL_EVERY_S_LEADING if self._leads() else FULL_EVERY_S
        if self._now() - self._last < every_s:
            return False
        gc.collect()
        self._last = self._now()
        return True

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
