"""Coroutines that are run at once, and become a task only when they have to wait.

A task costs more than many an answer. What Python 3.12 calls an eager task is done here for all releases, with one
difference: until the coroutine waits for the first time there is no current task, so what is run like this must not
enter `asyncio.timeout` or a task group before.
"""

from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Pending(Generic[T]):
    """A coroutine that waits for something. To be awaited once, in a task, which cancels it when it is cancelled."""

    __slots__ = ("_awaited", "_coroutine")

    def __init__(self, running: Coroutine[Any, Any, T], awaited: object) -> None:
        self._coroutine = running
        self._awaited = awaited

    async def result(self) -> T:
        """What the coroutine returns, or raises."""
        return await _go_on(self._coroutine, self._awaited)


def begin(running: Coroutine[Any, Any, T]) -> T | Pending[T]:
    """Run a coroutine up to where it ends or waits; its result, or what is to be awaited. Raises what it raises."""
    try:
        awaited = running.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    return Pending(running, awaited)


@coroutine
def _go_on(running: Coroutine[Any, Any, T], awaited: object) -> Generator[Any, Any, T]:
    """Hand on what the coroutine waits for, and to it what comes back."""
    while True:
        try:
            try:
                sent = yield awaited
            except BaseException as error:  # a cancellation, which is the coroutine's to deal with
                awaited = running.throw(error)
            else:
                awaited = running.send(sent)
        except StopIteration as end:
            result: T = end.value
            return result
