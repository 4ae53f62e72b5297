"""Blocking reads: who waits for what, what wakes them, and what waiting costs."""

import asyncio
import gc
import weakref
from dataclasses import dataclass, field

import pytest

from raftreg.commands import KVSet
from raftreg.errors import NoLeader, Refused
from raftreg.registry import EVERYTHING, ReadOptions, Registry, Replica
from raftreg.state import Found, State, Topic
from raftreg.state.queries import KVGet, KVList
from tests.fake_cluster import FakeCluster, run

SHORT_S = 0.2
LONG_S = 60.0


@dataclass(frozen=True)
class CountedGet:
    """KVGet that counts how often it runs."""

    key: str
    runs: list[int] = field(default_factory=list, compare=False)

    def topics(self) -> tuple[Topic, ...]:
        """As KVGet."""
        return KVGet(self.key).topics()

    def run(self, state: State) -> Found[object]:
        """As KVGet."""
        self.runs.append(state.index)
        found = KVGet(self.key).run(state)
        return Found(found.index, found.value)


def watched(registry: Registry) -> int:
    """How many topics somebody waits for."""
    replica: Replica = registry._replica
    return len(replica.watch)


async def _spin() -> None:
    """Let everything happen that can happen without time going by."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_blocking_read_returns_on_a_change_of_its_own() -> None:
    """A blocked read ignores other keys, returns on the first change of its own, and leaves no waiter behind."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        written = await registry.write(KVSet("k", b"1"))
        query = CountedGet("k")
        options = ReadOptions(index=written.index, wait_s=LONG_S)
        reading = asyncio.get_running_loop().create_task(registry.read(query, options))
        await _spin()
        runs = len(query.runs)
        await registry.write(KVSet("other", b"1"))
        await _spin()
        assert not reading.done()
        assert runs == len(query.runs)
        changed = await registry.write(KVSet("k", b"2"))
        assert (await reading).index == changed.index
        assert watched(registry) == 0

    run(scenario)


def test_blocking_read_below_the_index_returns_at_once() -> None:
    """A client that is behind gets what there is."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        await registry.write(KVSet("k", b"1"))
        written = await registry.write(KVSet("k", b"2"))
        answer = await registry.read(KVGet("k"), ReadOptions(index=written.index - 1, wait_s=LONG_S))
        assert answer.index == written.index

    run(scenario)


@pytest.mark.parametrize("mode", ["default", "stale"])
def test_blocking_read_runs_out_with_the_unchanged_answer(mode: str) -> None:
    """After the wait the ordinary answer comes with the real index, also for an index from the future."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        written = await registry.write(KVSet("k", b"1"))
        stale = ReadOptions("stale", index=written.index + 1000, wait_s=0.01)
        options = stale if mode == "stale" else ReadOptions(index=written.index, wait_s=0.01)
        answer = await registry.read(KVGet("k"), options)
        assert answer.index == written.index
        assert watched(registry) == 0

    run(scenario)


def test_blocking_read_that_runs_out_on_a_cut_off_node_fails() -> None:
    """Nothing changed is not the word of a node that cannot know."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b", timeout_s=SHORT_S)
        answer = await registry.read(KVGet("k"))
        options = ReadOptions(index=answer.index, wait_s=0.1)
        reading = asyncio.get_running_loop().create_task(registry.read(KVGet("k"), options))
        await _spin()
        cluster.elect(None)
        with pytest.raises(NoLeader):
            await reading

    run(scenario)


def test_cancelled_blocking_read_leaves_nothing_behind() -> None:
    """A client that goes away while it waits is forgotten."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        options = ReadOptions(index=1000, wait_s=LONG_S)
        reading = asyncio.get_running_loop().create_task(registry.read(KVList("p"), options))
        await _spin()
        assert watched(registry) == 1
        reading.cancel()
        await asyncio.wait([reading])
        assert watched(registry) == 0

    run(scenario)


def test_a_thousand_waiters_cost_one_run() -> None:
    """All that wait for the same thing share one computation and one place for its encodings."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        written = await registry.write(KVSet("k", b"1"))
        query = CountedGet("k")
        options = ReadOptions(index=written.index, wait_s=LONG_S)
        reading = [asyncio.get_running_loop().create_task(registry.read(query, options)) for _ in range(1000)]
        await _spin()
        assert len(query.runs) == 1
        await registry.write(KVSet("k", b"2"))
        answers = await asyncio.gather(*reading)
        assert len(query.runs) == 2
        answers[0].encodings.keep("json", b"{}")
        assert {b"{}"} == {answer.encodings.get("json") for answer in answers}

    run(scenario)


def test_restore_wakes_everybody_and_forgets_what_was_computed() -> None:
    """After the state was replaced blocked reads look again, listeners are told, and old answers are gone."""

    async def scenario(cluster: FakeCluster) -> None:
        leader, registry = cluster.registry("a"), cluster.registry("b")
        told: list[Topic] = []
        registry.on_topics(told.extend)
        cluster.nodes["b"].lags = True
        answer = await registry.read(KVGet("k"), ReadOptions("stale"))
        options = ReadOptions("stale", index=answer.index, wait_s=LONG_S)
        reading = asyncio.get_running_loop().create_task(registry.read(KVGet("k"), options))
        await _spin()
        written = await leader.write(KVSet("k", b"v"))
        machine = cluster.nodes["b"].machine
        assert machine is not None
        machine.load(leader.state.dump())
        assert (await reading).index == written.index
        assert told == [EVERYTHING]

    run(scenario)


def test_stop_releases_those_that_wait() -> None:
    """A node that stops answers its blocked reads instead of keeping them waiting."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        options = ReadOptions(index=1000, wait_s=LONG_S)
        reading = asyncio.get_running_loop().create_task(registry.read(KVGet("k"), options))
        await _spin()
        await registry.stop()
        assert (await reading).value is None
        assert (await registry.read(KVGet("k"), options)).value is None

    run(scenario)


def test_min_index_is_not_given_up_by_stopping() -> None:
    """A read that waits for an index is refused when the node stops first: it would show less than was asked for."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        options = ReadOptions("stale", min_index=1000)
        reading = asyncio.get_running_loop().create_task(registry.read(KVGet("k"), options))
        await _spin()
        await registry.stop()
        with pytest.raises(Refused, match="min-index 1000 was not reached"):
            await reading

    run(scenario)


def test_a_blocked_read_keeps_no_old_answer_alive() -> None:
    """What a query found before it began to wait can be forgotten: many readers would hold many old answers."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        written = await registry.write(KVSet("k", b"1"))
        query = RememberedGet("k")
        options = ReadOptions(index=written.index, wait_s=LONG_S)
        reading = asyncio.get_running_loop().create_task(registry.read(query, options))
        await _spin()
        assert query.found
        await registry.write(KVSet("other", b"1"))
        registry.local(KVGet("k"))  # the first query on a new state forgets the answers to the old one
        gc.collect()
        assert [None] * len(query.found) == [found() for found in query.found]
        reading.cancel()

    run(scenario)


class Thing:
    """Something to be referred to weakly."""


@dataclass(frozen=True)
class RememberedGet:
    """A query on a key that remembers, weakly, what it found."""

    key: str
    found: list[weakref.ref[Thing]] = field(default_factory=list, compare=False)

    def topics(self) -> tuple[Topic, ...]:
        """As KVGet."""
        return KVGet(self.key).topics()

    def run(self, state: State) -> Found[object]:
        """A thing of its own each time."""
        thing = Thing()
        self.found.append(weakref.ref(thing))
        return Found(KVGet(self.key).run(state).index, thing)
