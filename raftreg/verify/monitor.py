"""Watches the nodes from outside: who leads, in which term, who is silent, who has ended."""

import asyncio
import json
from typing import Any

from raftreg.verify.caller import World
from raftreg.verify.exchange import Connection, NotSent, Unanswered
from raftreg.verify.record import NodeSample
from raftreg.verify.target import Target

SAMPLE_S = 0.2
SAMPLE_OF_OTHERS_S = 1.0  # /v1/agent/self is a large answer
TIMEOUT_S = 0.5
SILENT = "silent"


class Monitor:
    """Asks every node every so often, beside the load, and takes note of nodes that ended by themselves."""

    def __init__(self, world: World, target: Target) -> None:
        self._world, self._target = world, target
        self._latest: dict[str, NodeSample] = {}
        self._connections = {node: Connection(address, TIMEOUT_S) for node, address in world.nodes.items()}

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(SAMPLE_S if self._world.is_raftreg else SAMPLE_OF_OTHERS_S)
        finally:
            for connection in self._connections.values():
                connection.close()

    async def look(self) -> None:
        """Ask every node once."""
        for text in self._target.deaths():
            self._world.record.deaths.append(text)
            self._world.ended(text.split(" ", 1)[0])
        for sample in await asyncio.gather(*(self._ask(node) for node in self._world.nodes)):
            self.note(sample)

    def note(self, sample: NodeSample) -> None:
        """Take note of what a node said."""
        self._latest[sample.node] = sample
        self._world.record.samples.append(sample)

    @property
    def leader(self) -> str | None:
        """The node that says that it leads, in the greatest term if there are several."""
        leaders = [sample for sample in self._latest.values() if sample.role == "leader"]
        return max(leaders, key=lambda sample: sample.term).node if leaders else None

    @property
    def is_calm(self) -> bool:
        """Whether every node answers and one of them leads."""
        silent = [sample for sample in self._latest.values() if sample.role == SILENT]
        return self.leader is not None and not silent

    async def _ask(self, node: str) -> NodeSample:
        path = "/v1/raftreg/status" if self._world.is_raftreg else "/v1/agent/self"
        role, term = SILENT, 0
        try:
            answer = await self._connections[node].request("GET", path)
            if answer.status == 200:
                role, term = _role(json.loads(answer.body))
        except (NotSent, Unanswered):
            pass  # Silence is what is noted.
        return NodeSample(node, self._world.clock.now(), role, term)


def _role(document: dict[str, Any]) -> tuple[str, int]:
    """Role and term, from the status of a node of raftreg, or from what Consul says of itself."""
    if "Role" in document:
        return document["Role"], document["Term"]
    raft = document.get("Stats", {}).get("raft", {})
    return str(raft.get("state", "follower")).lower(), int(raft.get("term", 0))
