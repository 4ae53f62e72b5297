"""Messages to the leader: who answers them, and what becomes of garbage."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftreg.errors import Refused
from tests.fake_cluster import FakeCluster

SHORT_S = 0.2


def run(scenario: Callable[[FakeCluster], Awaitable[None]]) -> None:
    """Run a scenario on a cluster of a, b and c, with a as its leader."""

    async def main() -> None:
        await asyncio.wait_for(scenario(FakeCluster("a", "b", "c")), 20)

    asyncio.run(main())


def test_tell_leader_reaches_the_leader_and_survives_a_failover() -> None:
    """A message goes to the handler of whoever leads, with the sender's name; without a leader it waits for one."""

    async def scenario(cluster: FakeCluster) -> None:
        for name in ("a", "b", "c"):
            registry = cluster.registry(name)
            registry.on_leader_call("who", _answer_as(name))
        assert await registry.tell_leader("who", ["x", b"y"]) == ["a", "c", ["x", b"y"]]
        cluster.elect(None)
        asking = asyncio.get_running_loop().create_task(registry.tell_leader("who", None))
        await asyncio.sleep(0)
        cluster.elect("b")
        assert await asking == ["b", "c", None]
        with pytest.raises(Refused, match="no messages"):
            await registry.tell_leader("what", None)

    run(scenario)


def _answer_as(name: str) -> Callable[[str, object], Awaitable[object]]:
    async def answer(caller: str, payload: object) -> object:
        return [name, caller, payload]

    return answer


def test_garbage_from_another_node_is_refused() -> None:
    """Bytes that are no batch and no message give an error, and nothing is appended."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("a")
        for data in (b"", b"\x01garbage", b"\x02\xc1", b"\x02\x01", b"\x09"):
            with pytest.raises(Refused):
                await cluster.nodes["b"].call_leader(data)
        assert cluster.log == []

    run(scenario)
