"""The whole API of a node in memory, called without sockets: requests in, responses out."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from raftreg.api import create_handler
from raftreg.api.context import ApiContext
from raftreg.api.http import Query, Request, Response, decode_percent
from raftreg.clock import SystemClock
from raftreg.consensus.local import LocalConsensus
from raftreg.duties.checks import CheckDuty
from raftreg.duties.heartbeats import TTL_CALL
from raftreg.duties.own_node import OwnNodeDuty
from raftreg.duties.renewals import RENEWAL_CALL
from raftreg.duties.sessions import SessionDuty
from raftreg.registry import Registry, Replica
from raftreg.state import State

NODE = "n1"
NODE_ID = "11111111-2222-3333-4444-555555555555"


@dataclass(slots=True)
class Reply:
    """A response, with its body decoded if it is JSON."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> object:
        """The body as JSON."""
        return json.loads(self.text)


class Node:
    """One node that leads itself. Its own record is registered; its other duties run when a test says so."""

    def __init__(self) -> None:
        clock = SystemClock()
        replica = Replica(State())
        self.consensus = LocalConsensus(replica, clock, name=NODE)
        self.registry = Registry(self.consensus, replica, clock, node_name=NODE, datacenter="dc1")
        self.context = ApiContext(
            registry=self.registry, clock=clock, node_name=NODE, node_id=NODE_ID, version="0"
        )
        self.checks = CheckDuty(self.registry, lambda: None)
        self.registry.on_topics(self.checks.on_topics)
        self.registry.on_leader_call(TTL_CALL, self.checks.on_heartbeat)
        self.sessions = SessionDuty(self.registry, lambda: None)
        self.registry.on_topics(self.sessions.on_topics)
        self.registry.on_leader_call(RENEWAL_CALL, self.sessions.on_renewal)
        self.answer: Callable[[Request], Awaitable[Response]] = create_handler(self.context)

    async def start(self) -> None:
        """Lead, and register the own node."""
        await self.consensus.start()
        await self.register_itself()

    async def register_itself(self) -> None:
        """Write the node's own record, if it is not there."""
        await OwnNodeDuty(self.registry, node_id=NODE_ID, address="127.0.0.1", raft_port=8300).step()

    async def call(self, method: str, target: str, body: object = None) -> Reply:
        """One request; a body that is neither bytes nor None is sent as JSON."""
        raw_path, _, query = target.partition("?")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request = Request(method, decode_percent(raw_path), raw_path, Query.parse(query), {}, data)
        response = await self.answer(request)
        return Reply(response.status, response.headers, response.body.decode())

    async def get(self, target: str) -> Reply:
        """GET."""
        return await self.call("GET", target)

    async def put(self, target: str, body: object = None) -> Reply:
        """PUT."""
        return await self.call("PUT", target, body)

    async def rows(self, target: str) -> list[dict[str, object]]:
        """A list of objects that GET must give."""
        reply = await self.get(target)
        rows = reply.json
        assert (200, True) == (reply.status, isinstance(rows, list)), reply
        assert isinstance(rows, list)
        return rows

    async def table(self, target: str) -> dict[str, dict[str, object]]:
        """An object of objects that GET must give."""
        reply = await self.get(target)
        table = reply.json
        assert (200, True) == (reply.status, isinstance(table, dict)), reply
        assert isinstance(table, dict)
        return table


def run(scenario: Callable[[Node], Awaitable[None]]) -> None:
    """Run a scenario on a fresh node."""

    async def main() -> None:
        node = Node()
        await node.start()
        await asyncio.wait_for(scenario(node), 20)

    asyncio.run(main())
