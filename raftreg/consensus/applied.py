"""Waiting until this node has applied a Raft index."""

import asyncio
import heapq
from itertools import count


class AppliedWaiters:
    """Futures ordered by the index that they wait for."""

    def __init__(self) -> None:
        self.index = 0
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._abandoned = 0  # at most so many of the heap are cancelled

    async def wait(self, index: int) -> None:
        """Return once `reached` was called with this index or a greater one."""
        if index <= self.index:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (index, next(self._order), future))
        try:
            await future
        except asyncio.CancelledError:
            self._abandoned += 1
            self._forget_abandoned()
            raise

    def _forget_abandoned(self) -> None:
        """Readers give up after their timeout, but a node that applies nothing would keep them for ever."""
        if 2 * self._abandoned > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2].done()]
            heapq.heapify(self._heap)
            self._abandoned = 0

    def reached(self, index: int) -> None:
        """Everything up to `index` is applied."""
        self.index = index
        heap = self._heap
        while heap and heap[0][0] <= index:
            future = heapq.heappop(heap)[2]
            if not future.done():
                future.set_result(None)
