"""Which check is to be probed when, and which may be probed at the same time. Pure: time is an argument."""

import heapq
import itertools
from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")
SLOW_S: Final = 1.0  # a probe that takes longer makes its check a slow one, until it is quicker again


class Agenda(Generic[T]):
    """Things by the time at which they are due. One that is no longer wanted is told apart by whoever takes it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """How many are on it."""
        return len(self._heap)

    def add(self, thing: T, due: float) -> None:
        """Let the thing be due at that time."""
        heapq.heappush(self._heap, (due, next(self._numbers), thing))

    def take(self, now: float) -> T | None:
        """The thing that is due longest, or None if none is due."""
        if self._heap and self._heap[0][0] <= now:
            return heapq.heappop(self._heap)[2]
        return None

    def next_due(self) -> float | None:
        """When the first is due; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def purge(self, wanted: "set[T]") -> None:
        """Forget those that are not wanted any more."""
        self._heap = [entry for entry in self._heap if entry[2] in wanted]
        heapq.heapify(self._heap)


class Slots(Generic[T]):
    """How many probes run at once. Those of slow checks get half of the places, so that they delay each other only."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._free_for_slow = max(1, size // 2)
        self._waiting: tuple[deque[T], deque[T]] = (deque(), deque())  # for quick checks, for slow ones

    def enter(self, thing: T, *, slow: bool) -> bool:
        """Take a place, or wait in line; whether there was one."""
        if self._free > 0 and (not slow or self._free_for_slow > 0):
            self._free -= 1
            self._free_for_slow -= slow
            return True
        self._waiting[slow].append(thing)
        return False

    def leave(self, *, slow: bool) -> tuple[T, bool] | None:
        """Give a place back; who gets it, with whether that is a slow one. None if nobody waits that may have it."""
        self._free += 1
        self._free_for_slow += slow
        for next_slow in (False, True):
            if self._waiting[next_slow] and (not next_slow or self._free_for_slow > 0):
                self._free -= 1
                self._free_for_slow -= next_slow
                return self._waiting[next_slow].popleft(), next_slow
        return None


def next_time(due: float, interval_s: float, now: float) -> float:
    """When a check that was due at `due` is due again: in step with its interval; what was missed is left out."""
    steps = max(1, int((now - due) // interval_s) + 1)
    return due + steps * interval_s
