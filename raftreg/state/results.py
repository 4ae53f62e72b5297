"""The memory of results by request id: what makes a write that was proposed twice happen once."""

from collections import deque
from collections.abc import Iterable

from raftreg.commands import Request, Result

RESULTS_MAX = 65_536


class Results:
    """The last `size_max` results, first in, first out.

    `floor` is the highest number of a forgotten result. A request that entered the cluster when `floor` or more
    commands were applied cannot have a forgotten result; an older one might.
    """

    def __init__(self, size_max: int, floor: int = 0, rows: Iterable[tuple[bytes, Result]] = ()) -> None:
        self.floor = floor
        self._size_max = size_max
        self._results = dict(rows)
        self._ids = deque(self._results)  # oldest first; popping a dict's first key again and again is slow

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
            forgotten = self._results.pop(self._ids.popleft())
            self.floor = forgotten.index

    def copy(self) -> dict[bytes, Result]:
        """Results by id, oldest first: a copy of references only."""
        return self._results.copy()
