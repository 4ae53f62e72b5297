"""Messages to the leader: who answers them, and what becomes of garbage."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftreg.errors import OutcomeUnknown, Refused
from tests.fake_cluster import FakeCluster, run

SHORT_S = 0.2


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


def test_messages_of_one_turn_share_a_call() -> None:
    """Many messages of one turn are one call; each sender gets the answer or the error that is its own."""

    async def scenario(cluster: FakeCluster) -> None:
        leader, follower = cluster.registry("a"), cluster.registry("b")
        calls: list[bytes] = []
        serve = cluster.nodes["a"].handler
        assert serve is not None

        async def counted(caller: str, data: bytes) -> bytes:
            calls.append(data)
            return await serve(caller, data)

        cluster.nodes["a"].serve_calls(counted)
        leader.on_leader_call("even", _even)
        answers = await asyncio.gather(
            *(follower.tell_leader("even", number) for number in range(5)), return_exceptions=True
        )
        assert 1 == len(calls)
        calls.clear()
        await asyncio.gather(*(follower.tell_leader("even", 2 * number) for number in range(300)))
        assert 2 == len(calls)
        assert [0, 2, 4] == answers[::2]
        assert ["1 is odd", "internal error: ZeroDivisionError"] == [str(answer) for answer in answers[1::2]]

    run(scenario)


async def _even(caller: str, payload: object) -> object:
    assert isinstance(payload, int)
    if payload == 1:
        raise Refused(500, "1 is odd")
    return payload if payload % 2 == 0 else payload // 0


def test_only_what_failed_is_sent_again() -> None:
    """A message whose handler had no outcome is tried again alone; one without an answer in time may have arrived."""

    async def scenario(cluster: FakeCluster) -> None:
        seen: list[object] = []

        async def fails_once(caller: str, payload: object) -> object:
            seen.append(payload)
            if seen.count(payload) == 1 and payload == "unlucky":
                raise OutcomeUnknown("leadership was lost")
            return payload

        cluster.registry("a").on_leader_call("echo", fails_once)
        follower = cluster.registry("b", timeout_s=SHORT_S)
        telling = (follower.tell_leader("echo", word) for word in ("lucky", "unlucky"))
        assert ["lucky", "unlucky"] == await asyncio.gather(*telling)
        assert ["lucky", "unlucky", "unlucky"] == seen
        cluster.nodes["b"].calls_hang = True
        with pytest.raises(OutcomeUnknown, match="in time"):
            await follower.tell_leader("echo", "unanswered")

    run(scenario)
