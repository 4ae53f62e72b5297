"""The HTTP API over one node in memory, called without any socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from raftreg.api import create_handler
from raftreg.api.context import ApiContext
from raftreg.api.dispatch import Answerer
from raftreg.api.http import Query, Request, Response, decode_percent
from raftreg.clock import SystemClock
from raftreg.consensus.local import LocalConsensus
from raftreg.registry import Registry, Replica
from raftreg.state import State
from raftreg.watch import Watch


class LocalApi:
    """One node: `call` makes a request of a method, a target as it stands in a request line, a body and headers."""

    def __init__(self, registry: Registry, answer: Answerer, context: ApiContext, watch: Watch) -> None:
        self.registry = registry
        self.watch = watch
        self.answer = answer
        self.context = context

    async def call(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Response:
        """The response to one request."""
        path, _, query = target.partition("?")
        return await self.answer(
            Request(method, decode_percent(path), path, Query.parse(query), headers or {}, body)
        )

    async def get(self, target: str) -> object:
        """The JSON body of a successful GET."""
        response = await self.call("GET", target)
        assert response.status == 200, (response.status, response.body)
        return json.loads(response.body)

    async def put(self, target: str, body: bytes = b"") -> object:
        """The JSON body of a successful PUT."""
        response = await self.call("PUT", target, body)
        assert response.status == 200, (response.status, response.body)
        return json.loads(response.body)


async def start_api() -> LocalApi:
    """A node that leads itself."""
    clock = SystemClock()
    replica = Replica(State())
    consensus = LocalConsensus(replica, clock, name="n1", address="127.0.0.1:8300")
    registry = Registry(
        consensus, replica, clock, node_name="n1", datacenter="dc1", write_timeout_s=0.2, read_timeout_s=0.2
    )
    await consensus.start()
    context = ApiContext(registry, clock, "n1", clock.uuid())
    return LocalApi(registry, create_handler(context), context, replica.watch)


def run(scenario: Callable[[LocalApi], Awaitable[None]]) -> None:
    """Run a scenario on a fresh node."""

    async def main() -> None:
        await asyncio.wait_for(scenario(await start_api()), 20)

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; TimeoutError if that takes very long."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is on what no event tells of
            await asyncio.sleep(0.01)
