"""Time, randomness and identifiers: the only module that imports `time`, `random`, `os.urandom` or `uuid`.

Everything else takes a `Clock`, so that the simulation can run whole clusters on a fake one.
"""

import os
import random
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """What the node knows of time and chance."""

    def now(self) -> float:
        """Seconds on a clock that never goes back and that counts suspension (for leases and timers)."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch (for people only; never for ordering)."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A random float between low and high."""
        ...

    def token(self, size: int) -> bytes:
        """`size` unguessable random bytes."""
        ...

    def uuid(self) -> str:
        """A random UUID in its usual text form."""
        ...


class SystemClock:
    """The machine's own clock and entropy.

    CLOCK_BOOTTIME goes on while a machine is suspended, which CLOCK_MONOTONIC on Linux does not: a leader that
    slept must not believe that its lease still holds.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))
        self._source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> float:
        """Seconds on CLOCK_BOOTTIME where there is one, else on CLOCK_MONOTONIC."""
        return time.clock_gettime(self._source)

    def wall(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    def uniform(self, low: float, high: float) -> float:
        """A random float between low and high."""
        return self._random.uniform(low, high)

    def token(self, size: int) -> bytes:
        """`size` bytes from the kernel's generator."""
        return os.urandom(size)

    def uuid(self) -> str:
        """A random UUID (version 4)."""
        return str(uuid.uuid4())
