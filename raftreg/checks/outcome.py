"""What one probe found out, and how much of what the target said is kept."""

from dataclasses import dataclass
from typing import Final

from raftreg.model import Status

OUTPUT_MAX: Final = 4096  # bytes of output that are kept of one probe; a definition may only lower it


@dataclass(frozen=True, slots=True)
class Outcome:
    """Status and output of a check, as one probe saw them."""

    status: Status
    output: str


class Tail:
    """The last bytes of a stream of any length. `total` counts all of them."""

    __slots__ = ("_kept", "_size", "total")

    def __init__(self, size: int) -> None:
        """Keep `size` bytes."""
        self._size = size
        self._kept = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
        self.total += len(data)
        self._kept += data[-self._size :]
        if len(self._kept) > 2 * self._size:
            del self._kept[: -self._size]

    @property
    def kept(self) -> int:
        """How many bytes are kept."""
        return min(self.total, self._size)

    @property
    def text(self) -> str:
        """What is kept. Bytes that are no UTF-8 are shown as U+FFFD."""
        return bytes(self._kept[-self._size :]).decode("utf-8", "replace")


def output_max(given: object) -> int:
    """Bytes to keep of a check whose definition says OutputMaxSize `given`."""
    return min(given, OUTPUT_MAX) if isinstance(given, int) and given > 0 else OUTPUT_MAX
