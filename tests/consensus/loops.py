"""Runs an async test on a loop of its own, with every task and connection of it gone afterwards."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import ParamSpec

P = ParamSpec("P")
TEST_TIMEOUT_S = 30.0


def on_loop(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Decorates an `async def test_...`; one that hangs fails."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(TEST_TIMEOUT_S):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run
