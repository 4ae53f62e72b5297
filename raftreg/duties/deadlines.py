"""Deadlines by key: thousands of them, put off again and again, at a few dictionary accesses each."""

import heapq
from typing import Final

Key = tuple[str, str]  # such as a folded node name and a check id
_SLACK: Final = 64


class Deadlines:
    """When something is due, per key. Putting it off touches no heap: the old entry moves when it surfaces."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._earliest: dict[Key, float] = {}  # the entry in the heap that counts for a key

    def __len__(self) -> int:
        """How many keys have a deadline."""
        return len(self._due)

    def __contains__(self, key: Key) -> bool:
        """Whether the key has a deadline."""
        return key in self._due

    def set(self, key: Key, due: float) -> None:
        """Let the key be due at that time, instead of any earlier setting."""
        self._due[key] = due
        pushed = self._earliest.get(key)
        if pushed is None or due < pushed:
            self._push(key, due)

    def drop(self, key: Key) -> None:
        """Forget the key."""
        self._due.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._due.clear()
        self._heap.clear()
        self._earliest.clear()

    def take_due(self, now: float, count_max: int | None = None) -> list[Key]:
        """The keys that are due, earliest first, at most so many; they have no deadline afterwards."""
        taken: list[Key] = []
        while self._heap and self._heap[0][0] <= now and len(taken) != count_max:
            at, key = heapq.heappop(self._heap)
            if self._earliest.get(key) != at:
                continue
            del self._earliest[key]
            due = self._due.get(key)
            if due is None:
                continue
            if due > now:
                self._push(key, due)
                continue
            del self._due[key]
            taken.append(key)
        return taken

    def next_due(self) -> float | None:
        """A time before which nothing is due; None if nothing ever is."""
        return self._heap[0][0] if self._heap else None

    def _push(self, key: Key, due: float) -> None:
        self._earliest[key] = due
        heapq.heappush(self._heap, (due, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [
                (at, key) for at, key in self._heap if key in self._due and self._earliest.get(key) == at
            ]
            self._earliest = {key: at for at, key in self._heap}
            heapq.heapify(self._heap)
