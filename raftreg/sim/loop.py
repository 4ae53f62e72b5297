"""An event loop on fake time that runs every host of a simulated cluster, each in its own lives.

A *life* is one process from its start to its crash. Whatever a callback schedules belongs to the life that it runs in;
the callbacks, timers and tasks of a life that ended are dropped, those of a paused life wait until it goes on. A
callback takes no time; time passes only from one event to the next.

What is guaranteed
    * The same calls in the same order give the same run: nothing depends on the machine's clock or on threads.
    * An exception that reaches the loop ends the run (`failure`).
What is not
    * Sockets, files, signals, subprocesses: none of the methods for them is there.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from typing import Any, TypeVar, TypeVarTuple, Unpack

from raftreg.chance import Stream

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EXECUTOR_S = (0.0005, 0.02)
TURNS_MAX = 200_000  # callbacks at one instant: more is a loop that never ends


class Life:
    """One process of a host; `name` is for people. `monotonic` is the host's clock of that name."""

    __slots__ = ("alive", "monotonic", "name", "number", "paused_until")

    def __init__(self, name: str, number: int = 0, monotonic: Callable[[], float] | None = None) -> None:
        self.name = name
        self.number = number
        self.monotonic = monotonic
        self.alive = True
        self.paused_until = 0.0


class SimHandle(list[Any]):
    """A callback that waits for its turn: when, order, callback (None when it was cancelled), arguments, life.

    There are millions of them: a list is made at once, and the heap compares it without a call.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """Never run it."""
        self[2] = None

    def cancelled(self) -> bool:
        """Whether it will never run."""
        return self[2] is None

    def when(self) -> float:
        """The time of the world at which it is due."""
        when: float = self[0]
        return when


class SimLoop(asyncio.AbstractEventLoop):
    """See the module. `now` is the true time of the simulated world in seconds."""

    def __init__(self, chance: Stream) -> None:
        self.now = 0.0
        self.events = 0
        self.failure: BaseException | None = None
        self.world = Life("world")
        self.life = self.world
        self._chance = chance
        self._ready: deque[SimHandle] = deque()
        self._heap: list[SimHandle] = []
        self._order = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._reports: list[SimHandle] | None = None

    # -- scheduling --------------------------------------------------------------------------------------------------
    def at(self, when: float, life: Life, callback: Callable[..., object], *args: Any) -> SimHandle:
        """Run a callback at a time of the world, in a life."""
        self._order = order = self._order + 1
        handle = SimHandle((when, order, callback, args, life))
        heappush(self._heap, handle)
        return handle

    def call_soon(  # type: ignore[override]  # it has what asyncio asks of a handle
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> SimHandle:
        """At this instant, after what is ready already."""
        handle = SimHandle((self.now, 0, callback, args, self.life))
        self._ready.append(handle)
        return handle

    def soon(self, life: Life, callback: Callable[..., object], *args: Any) -> None:
        """Like call_soon, in another life."""
        self._ready.append(SimHandle((self.now, 0, callback, args, life)))

    def call_soon_threadsafe(  # type: ignore[override]  # as above
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> SimHandle:
        """What a simulated thread reports. Its writer lets it go when the job has taken its time."""
        if self._reports is None:
            return self.call_soon(callback, *args)
        handle = SimHandle((self.now, 0, callback, args, self.life))
        self._reports.append(handle)
        return handle

    def begin_reports(self) -> list[SimHandle]:
        """Collect what comes through call_soon_threadsafe."""
        self._reports = []
        return self._reports

    def end_reports(self) -> None:
        """Collect no more."""
        self._reports = None

    def release(self, reports: list[SimHandle]) -> None:
        """Run what was collected."""
        self._ready.extend(reports)

    def call_later(  # type: ignore[override]  # as above
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> SimHandle:
        """After some seconds."""
        return self.at(self.now + delay if delay > 0.0 else self.now, self.life, callback, *args)

    def call_at(  # type: ignore[override]  # as above
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> SimHandle:
        """At a time of this loop's clock."""
        return self.at(when if when > self.now else self.now, self.life, callback, *args)

    def time(self) -> float:
        """The loop's clock. It is the same for all hosts; what drifts and jumps is `HostClock`."""
        return self.now

    # -- asyncio -------------------------------------------------------------------------------------------------------
    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> Any:
        """A task in the present life."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # its process may crash
        self._tasks.append(task)
        if len(self._tasks) > 4096:
            self._tasks = [kept for kept in self._tasks if not kept.done()]
        return task

    def spawn(self, coro: Any) -> "asyncio.Task[Any]":
        """A task whose exception ends the run."""
        task: asyncio.Task[Any] = self.create_task(coro)
        task.add_done_callback(self._spawned)
        return task

    def _spawned(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Run it here, a little later."""
        future = self.create_future()
        self.call_later(self._chance.uniform(*EXECUTOR_S), _execute, future, func, args)
        return future

    get_debug = staticmethod(bool)  # Never; each future and each task asks.

    def is_running(self) -> bool:
        """Always, as far as its callbacks can tell."""
        return True

    def is_closed(self) -> bool:
        """Never: what a dropped coroutine does in its end must not raise."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Somebody's exception was seen by nobody: a bug, unless its process had crashed."""
        error = context.get("exception")
        if self.life.alive and not isinstance(error, asyncio.CancelledError):
            self.fail(error if error is not None else RuntimeError(context.get("message")))

    def fail(self, error: BaseException) -> None:
        """End the run with this error."""
        if self.failure is None:
            self.failure = error

    # -- running -------------------------------------------------------------------------------------------------------
    def run_until(self, end: float) -> None:
        """Run everything up to a time, or until something fails."""
        asyncio._set_running_loop(self)
        try:
            self._run(end)
        finally:
            self.life = self.world
            asyncio._set_running_loop(None)

    def _run(self, end: float) -> None:
        ready, heap = self._ready, self._heap
        turns = 0
        while self.failure is None:
            if ready:
                handle = ready.popleft()
                _, _, callback, args, life = handle
                turns += 1
                if turns > TURNS_MAX:
                    self.fail(RuntimeError(f"no end of callbacks at {self.now:.6f}: {callback!r}"))
                    return
            elif heap and heap[0][0] <= end:
                handle = heappop(heap)
                when, _, callback, args, life = handle
                if when > self.now:
                    self.now, turns = when, 0
            else:
                self.now = max(self.now, end)
                return
            if callback is None or not life.alive:
                continue
            if life.paused_until > self.now:
                self._order += 1
                handle[0], handle[1] = life.paused_until, self._order
                heappush(heap, handle)
                continue
            self.events += 1
            self.life = life
            try:
                callback(*args)
            except BaseException as error:
                self.fail(error)

    def drop_everything(self) -> None:
        """The run is over: end the coroutines that are left, so that none complains when it is collected."""
        asyncio._set_running_loop(self)
        try:
            for task in self._tasks:
                coroutine = task.get_coro()
                if not task.done() and coroutine is not None:
                    try:
                        coroutine.close()
                    except RuntimeError:
                        continue  # It waits inside its own end; it never goes on.
        finally:
            asyncio._set_running_loop(None)
        self._tasks.clear()
        self._ready.clear()
        self._heap.clear()


def _execute(future: "asyncio.Future[Any]", func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result = func(*args)
    except Exception as error:
        if not future.done():
            future.set_exception(error)
        return
    if not future.done():
        future.set_result(result)
