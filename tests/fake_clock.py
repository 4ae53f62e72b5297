"""A clock that a test moves."""


class FakeClock:
    """`raftreg.clock.Clock` whose time stands still, without chance."""

    def __init__(self, time: float = 1000.0) -> None:
        self.time = time
        self._tokens = 0

    def now(self) -> float:
        """The time that the test set."""
        return self.time

    def wall(self) -> float:
        """The same."""
        return self.time

    def uniform(self, low: float, high: float) -> float:
        """The lower end."""
        return low

    def token(self, size: int) -> bytes:
        """Never the same twice."""
        self._tokens += 1
        return self._tokens.to_bytes(size)

    def uuid(self) -> str:
        """Never the same twice."""
        self._tokens += 1
        return f"00000000-0000-4000-8000-{self._tokens:012d}"
