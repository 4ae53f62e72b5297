"""The memory of results by request id: what makes a write that was proposed twice happen once."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from raftreg.commands import Ok, Request, Result

RESULTS_MAX = 65_536
LARGE_BYTES = 512  # outcomes of transactions above this size count as large
LARGE_BYTES_MAX = 16 * 1024 * 1024  # of all large outcomes together


class Results:
    """The last `size_max` results, first in, first out.

    Outcomes of transactions may be large. Of those the oldest are emptied (b"") first: what remains known of them is
    that they were applied.

    `floor` is the highest number of a forgotten result. A request that entered the cluster when `floor` or more
    commands were applied cannot have a forgotten result; an older one might.
    """

    def __init__(self, size_max: int, floor: int = 0, rows: Iterable[tuple[bytes, Result]] = ()) -> None:
        self.floor = floor
        self._size_max = size_max
        self._results = dict(rows)
        self._ids = deque(self._results)  # oldest first; popping a dict's first key again and again is slow
        self._large: deque[bytes] = deque()
        self._large_bytes = 0
        for request_id, result in self._results.items():
            self._weigh(request_id, result)

    def find(self, request_id: bytes) -> Result | None:
        """The result of that request, if it was applied and is remembered."""
        return self._results.get(request_id)

    def may_have_forgotten(self, request: Request) -> bool:
        """Whether a request that is not found may have been applied all the same."""
        return self.floor > request.after

    def remember(self, request_id: bytes, result: Result) -> None:
        """Keep the result of a request that was not found."""
        self._results[request_id] = result
        self._ids.append(request_id)
        if len(self._ids) > self._size_max:
            oldest = self._ids.popleft()
            if self._large and self._large[0] == oldest:
                self._empty_oldest()
            self.floor = self._results.pop(oldest).index
        self._weigh(request_id, result)
        while self._large_bytes > LARGE_BYTES_MAX:
            self._empty_oldest()

    def _weigh(self, request_id: bytes, result: Result) -> None:
        size = _outcome_size(result)
        if size > LARGE_BYTES:
            self._large.append(request_id)
            self._large_bytes += size

    def _empty_oldest(self) -> None:
        request_id = self._large.popleft()
        result = self._results[request_id]
        self._large_bytes -= _outcome_size(result)
        if isinstance(result, Ok):
            self._results[request_id] = replace(result, value=b"")

    def copy(self) -> dict[bytes, Result]:
        """Results by id, oldest first: a copy of references only."""
        return self._results.copy()


def _outcome_size(result: Result) -> int:
    """Bytes, if it is the result of a transaction, else 0."""
    return len(result.value) if isinstance(result, Ok) and isinstance(result.value, bytes) else 0
