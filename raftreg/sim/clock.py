"""The clocks of a simulated host."""

from raftreg.chance import Stream
from raftreg.sim.loop import SimLoop

EPOCH_S = 1_700_000_000.0


class HostClock:
    """A `raftreg.clock.Clock` that drifts, whose wall clock jumps, and that knows how long the host was suspended.

    `now` goes on while the host is suspended (CLOCK_BOOTTIME), `monotonic` does not (CLOCK_MONOTONIC).
    """

    def __init__(self, loop: SimLoop, chance: Stream, rate: float) -> None:
        self._loop = loop
        self._chance = chance
        self.rate = rate
        self._base = chance.uniform(10.0, 100_000.0)
        self.suspended_s = 0.0
        self.wall_offset_s = chance.uniform(-1.0, 1.0)

    def now(self) -> float:
        """Seconds since the host was booted, as it counts them."""
        return self._base + self._loop.now * self.rate

    def monotonic(self) -> float:
        """The same without the time in which it was suspended."""
        return self._base + (self._loop.now - self.suspended_s) * self.rate

    def wall(self) -> float:
        """For people."""
        return EPOCH_S + self._loop.now + self.wall_offset_s

    def uniform(self, low: float, high: float) -> float:
        """From the host's stream."""
        return low + (high - low) * self._chance.random()

    def token(self, size: int) -> bytes:
        """From the host's stream."""
        return self._chance.randbytes(size)

    def uuid(self) -> str:
        """From the host's stream."""
        text = self._chance.randbytes(16).hex()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"
