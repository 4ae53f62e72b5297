"""Who waits for what: topics of the state to the waiters that are to be woken when one of them changed.

A waiter is woken once and is then forgotten; whoever wants to go on waiting registers again, before looking at
the state. ("kv-under", prefix) is the one topic that nobody notifies: a changed ("kv", key) wakes the waiters of
every watched prefix of that key. Prefixes are of bytes, as in the table of keys: one may end in the middle of a
character. Costs one lookup per changed topic, and for a key one per distinct length of the prefixes that are watched.
"""

import asyncio
from collections.abc import Sequence

from raftreg.state import Topic
from raftreg.state.tombstones import as_name

KEY = "kv"
UNDER = "kv-under"


class Waiter:
    """One registration. `future` is done once any of the topics changed."""

    __slots__ = ("future", "topics")

    def __init__(self, topics: tuple[Topic, ...], future: asyncio.Future[None]) -> None:
        self.topics = topics
        self.future = future


class Watch:
    """All waiters of this node. For the event loop's thread only."""

    def __init__(self) -> None:
        self._waiters: dict[Topic, set[Waiter]] = {}
        self._prefix_lengths: dict[int, int] = {}  # bytes -> how many prefixes of that length are watched

    def __len__(self) -> int:
        """How many topics are watched."""
        return len(self._waiters)

    def register(self, topics: tuple[Topic, ...]) -> Waiter:
        """Begin to wait for a change of any of the topics. The caller removes the waiter when it gives up."""
        waiter = Waiter(topics, asyncio.get_running_loop().create_future())
        for topic in topics:
            waiters = self._waiters.get(topic)
            if waiters is None:
                waiters = self._waiters[topic] = set()
                if topic[0] == UNDER:
                    length = len(as_name(topic[1]))
                    self._prefix_lengths[length] = self._prefix_lengths.get(length, 0) + 1
            waiters.add(waiter)
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Forget a waiter; nothing happens if it was woken or removed before."""
        for topic in waiter.topics:
            waiters = self._waiters.get(topic)
            if waiters is None:
                continue
            waiters.discard(waiter)
            if not waiters:
                self._forget(topic)

    def notify(self, topics: Sequence[Topic]) -> None:
        """Wake whoever waits for one of the topics."""
        if not self._waiters:
            return
        for topic in topics:
            self._wake(topic)
            if topic[0] == KEY and self._prefix_lengths:
                key = as_name(topic[1])
                for length in tuple(self._prefix_lengths):
                    if length <= len(key):
                        self._wake((UNDER, key[:length].decode("utf-8", "surrogateescape")))

    def notify_all(self) -> None:
        """Wake everybody: the state was replaced as a whole."""
        for topic in tuple(self._waiters):
            self._wake(topic)

    def _wake(self, topic: Topic) -> None:
        waiters = self._waiters.get(topic)
        if waiters is None:
            return
        for waiter in tuple(waiters):
            self.remove(waiter)
            if not waiter.future.done():
                waiter.future.set_result(None)

    def _forget(self, topic: Topic) -> None:
        """Drop a topic that nobody waits for any more."""
        del self._waiters[topic]
        if topic[0] == UNDER:
            length = len(as_name(topic[1]))
            self._prefix_lengths[length] -= 1
            if not self._prefix_lengths[length]:
                del self._prefix_lengths[length]
