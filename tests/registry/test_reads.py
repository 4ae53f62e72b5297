"""The read door: how fresh answers are, and what it takes to know."""

import asyncio
from dataclasses import dataclass, field

import pytest

from raftreg.commands import KVSet
from raftreg.errors import NoLeader, Refused
from raftreg.registry import ReadOptions
from raftreg.state import Found, State, Topic
from raftreg.state.queries import KVGet
from tests.fake_cluster import FakeCluster, run

SHORT_S = 0.2
LONG_S = 60.0


async def _spin() -> None:
    """Let everything happen that can happen without time going by."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("mode", ["default", "consistent"])
def test_follower_read_sees_what_was_acknowledged_elsewhere(mode: str) -> None:
    """A default and a consistent read on a lagging node wait until it has caught up."""

    async def scenario(cluster: FakeCluster) -> None:
        leader, follower = cluster.registry("a"), cluster.registry("b")
        cluster.nodes["b"].lags = True
        written = await leader.write(KVSet("k", b"v"))
        options = ReadOptions(mode="consistent") if mode == "consistent" else ReadOptions()
        reading = asyncio.get_running_loop().create_task(follower.read(KVGet("k"), options))
        await _spin()
        assert not reading.done()
        cluster.nodes["b"].catch_up()
        answer = await reading
        assert (answer.index, answer.known_leader, answer.last_contact_ms) == (written.index, True, 0)

    run(scenario)


def test_stale_read_answers_at_once_without_a_leader() -> None:
    """A stale read needs nobody; it tells that no leader is known and how old the copy may be."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.elect(None)
        cluster.nodes["b"].leader_contact_s = 1.5
        answer = await registry.read(KVGet("k"), ReadOptions(mode="stale"))
        assert (answer.value, answer.known_leader, answer.last_contact_ms) == (None, False, 1500)

    run(scenario)


def test_contact_that_never_was_is_a_large_number() -> None:
    """A node that never heard of a leader can still answer stale reads."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.nodes["b"].leader_contact_s = float("inf")
        answer = await registry.read(KVGet("k"), ReadOptions(mode="stale"))
        assert answer.last_contact_ms > 10**9

    run(scenario)


def test_max_stale_falls_back_to_the_leader() -> None:
    """A stale read with a bound is served stale within it, and asks the leader beyond it."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.nodes["b"].leader_contact_s = 1.0
        assert (
            await registry.read(KVGet("k"), ReadOptions("stale", max_stale_s=2.0))
        ).last_contact_ms == 1000
        assert cluster.nodes["b"].read_indexes == []
        assert (await registry.read(KVGet("k"), ReadOptions("stale", max_stale_s=0.5))).last_contact_ms == 0
        assert cluster.nodes["b"].read_indexes == [False]

    run(scenario)


@pytest.mark.parametrize("name", ["a", "b"])
def test_read_without_a_leader_fails_within_the_timeout(name: str) -> None:
    """Without a quorum nobody vouches for the copy, and the read says so instead of hanging."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry(name, timeout_s=SHORT_S)
        cluster.elect(None)
        for options in (ReadOptions(), ReadOptions("consistent")):
            with pytest.raises(NoLeader):
                await registry.read(KVGet("k"), options)
        with pytest.raises(NoLeader, match="no leader"):
            await registry.check_ready()

    run(scenario)


def test_readers_that_wait_for_a_leader_ask_together() -> None:
    """However many reads come while nobody leads, each change of the leader costs one question, not one for each."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.elect(None)
        reading = []
        for number in range(100):
            reading.append(asyncio.get_running_loop().create_task(registry.read(KVGet(str(number)))))
            await _spin()
        asked = len(cluster.nodes["b"].read_indexes)
        cluster.elect("c")
        await asyncio.gather(*reading)
        assert 1 == len(cluster.nodes["b"].read_indexes) - asked

    run(scenario)


def test_nobody_is_asked_again_while_nobody_leads() -> None:
    """A read waits for a leader without trying, and gives up when its own time is over."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b", timeout_s=SHORT_S)
        cluster.elect(None)
        with pytest.raises(NoLeader, match="within"):
            await registry.read(KVGet("k"))
        assert [False] == cluster.nodes["b"].read_indexes

    run(scenario)


def test_read_waits_for_a_leader() -> None:
    """A read that finds no leader is answered once there is one."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.elect(None)
        reading = asyncio.get_running_loop().create_task(registry.read(KVGet("k")))
        await _spin()
        assert not reading.done()
        cluster.elect("c")
        assert (await reading).value is None
        await registry.check_ready()

    run(scenario)


@pytest.mark.parametrize("mode", ["default", "consistent"])
def test_reads_of_one_turn_share_a_read_index(mode: str) -> None:
    """However many clients ask in one turn of the loop, the leader is asked once; the next turn asks anew."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        options = ReadOptions("consistent") if mode == "consistent" else ReadOptions()
        await asyncio.gather(*(registry.read(KVGet(str(n)), options) for n in range(50)))
        assert cluster.nodes["b"].read_indexes == [mode == "consistent"]
        await registry.read(KVGet("k"), options)
        assert len(cluster.nodes["b"].read_indexes) == 2

    run(scenario)


def test_leader_with_a_lease_asks_nobody_but_for_consistent_reads() -> None:
    """The lease answers default reads on the leader; a consistent one is confirmed nevertheless."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        await registry.read(KVGet("k"))
        assert cluster.nodes["a"].read_indexes == []
        await registry.read(KVGet("k"), ReadOptions("consistent"))
        assert cluster.nodes["a"].read_indexes == [True]

    run(scenario)


@pytest.mark.parametrize("before", [False, True])
def test_lease_that_ran_out_during_the_answer_is_not_trusted(before: bool) -> None:
    """A leader that was paused between the look at its lease and the answer asks again before it answers."""

    @dataclass(frozen=True)
    class Pause:
        """A query during which the lease ends."""

        cluster: FakeCluster = field(compare=False)

        def topics(self) -> tuple[Topic, ...]:
            return ()

        def run(self, state: State) -> Found[int]:
            self.cluster.nodes["a"].leased = False
            return Found(1, 1)

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        if before:  # a read that needed nobody makes the next expect the same
            await registry.read(KVGet("k"))
        assert (await registry.read(Pause(cluster))).value == 1
        assert cluster.nodes["a"].read_indexes == [False]

    run(scenario)


def test_cancelled_reader_does_not_hurt_those_that_share_its_round() -> None:
    """One client that goes away leaves the others of the same read index alone."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.elect(None)
        tasks = [asyncio.get_running_loop().create_task(registry.read(KVGet("k"))) for _ in range(2)]
        await _spin()
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        cluster.elect("a")
        assert (await tasks[1]).value is None

    run(scenario)


def test_kept_encodings_are_bounded() -> None:
    """Encodings of large answers are dropped rather than kept without limit."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        for number in range(40):
            answer = await registry.read(KVGet(str(number)))
            answer.encodings.keep("json", bytes(2**20))
        first = await registry.read(KVGet("0"))
        assert first.encodings.get("json") is None

    run(scenario)


def test_min_index_waits_until_it_is_applied() -> None:
    """A client may ask any node for a copy that has its own write, even without a leader."""

    async def scenario(cluster: FakeCluster) -> None:
        leader, follower = cluster.registry("a"), cluster.registry("b", timeout_s=SHORT_S)
        cluster.nodes["b"].lags = True
        written = await leader.write(KVSet("k", b"v"))
        options = ReadOptions("stale", min_index=written.index)
        reading = asyncio.get_running_loop().create_task(follower.read(KVGet("k"), options))
        await _spin()
        assert not reading.done()
        cluster.nodes["b"].catch_up()
        assert (await reading).index == written.index
        with pytest.raises(Refused, match="min-index"):
            await follower.read(KVGet("k"), ReadOptions("stale", min_index=written.index + 1))

    run(scenario)
