"""The write door: batches, forwarding, trying again, and what each caller is told."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftreg.commands import Deregister, KVDelete, KVSet, Register, decode_batch
from raftreg.consensus.frames import MESSAGE_LIMIT_BYTES
from raftreg.errors import NoLeader, NotLeader, OutcomeUnknown, Overloaded, Refused, Removed
from raftreg.registry import ReadOptions, Registry
from raftreg.registry.registry import COMMAND_BYTES_MAX
from raftreg.registry.writes import BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, IN_FLIGHT_COMMANDS_MAX
from raftreg.state.queries import KVGet, KVKeys
from raftreg.transactions import KVOperand, Operation, Transaction
from tests.fake_cluster import FakeCluster, run

SHORT_S = 0.2


def put(registry: Registry, key: str, value: bytes = b"v") -> asyncio.Task[object]:
    """Begin to write a key."""
    return asyncio.get_running_loop().create_task(_put(registry, key, value))


async def _put(registry: Registry, key: str, value: bytes) -> object:
    return (await registry.write(KVSet(key, value))).value


def sizes(cluster: FakeCluster) -> list[int]:
    """How many commands each log entry holds."""
    return [len(decode_batch(entry)) for entry in cluster.log]


@pytest.mark.parametrize("name", ["a", "b"])
def test_writes_of_one_turn_share_an_entry(name: str) -> None:
    """What arrives in one turn of the loop goes into one log entry, also from a follower, each with its own index."""

    async def scenario(cluster: FakeCluster) -> None:
        leader, registry = cluster.registry("a"), cluster.registry(name)
        registry = leader if name == "a" else registry
        results = await asyncio.gather(*(registry.write(KVSet(str(n), b"v")) for n in range(100)))
        assert sizes(cluster) == [100]
        assert len({result.index for result in results}) == 100
        assert {result.value for result in results} == {True}

    run(scenario)


def test_a_write_of_a_node_that_is_removed_meanwhile_has_its_outcome() -> None:
    """Such a node applies nothing any more, so it takes the leader's word; one that only lags waits."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("a")
        registry, node = cluster.registry("b"), cluster.nodes["b"]
        node.lags = True
        writing = put(registry, "k")
        assert (set(), {writing}) == await asyncio.wait([writing], timeout=0.5)
        node.removed = True
        assert await writing is True

    run(scenario)


def test_a_write_that_a_removed_node_has_to_try_again_has_its_outcome() -> None:
    """It was taken before: that the leader goes just then is no reason to give it up."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("c")
        registry, node = cluster.registry("b"), cluster.nodes["b"]
        cluster.elect(None)
        writing = put(registry, "k")
        await asyncio.sleep(0.05)
        node.removed = node.lags = True
        cluster.elect("c")
        assert await writing is True
        assert 1 == len(cluster.log)

    run(scenario)


def test_a_removed_node_takes_nothing_more() -> None:
    """Its last leader would answer it yet, but it says at once that it is out. It may be added again."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("a").on_leader_call("kind", _answer)
        registry, node = cluster.registry("b"), cluster.nodes["b"]
        assert 1 == await registry.tell_leader("kind", 1)
        node.removed = node.lags = True
        calls: list[Awaitable[object]] = [
            registry.write(KVSet("k", b"v")),
            registry.write(KVSet("k", b"v"), as_leader=True),
            registry.tell_leader("kind", 2),
            registry.read(KVGet("k"), ReadOptions()),
            registry.read(KVGet("k"), ReadOptions("consistent")),
        ]
        for call in calls:
            with pytest.raises(Removed, match="this node was removed from cluster"):
                await asyncio.wait_for(call, 1)
        assert [] == cluster.log
        assert (await registry.read(KVGet("k"), ReadOptions("stale"))).value is None
        node.removed = node.lags = False
        assert (await registry.write(KVSet("k", b"v"))).value is True

    run(scenario)


async def _answer(caller: str, payload: object) -> object:
    return payload


def test_a_leader_that_hands_over_keeps_what_it_took() -> None:
    """All of it waits for the next leader, and counts once among the writes in flight."""

    async def scenario(cluster: FakeCluster) -> None:
        registry, cluster.hands_over = cluster.registry("a"), True
        writing = [put(registry, str(n)) for n in range(IN_FLIGHT_COMMANDS_MAX)]
        assert not (await asyncio.wait(writing, timeout=0.3))[0]
        cluster.hands_over = False
        assert {True} == set(await asyncio.gather(*writing))

    run(scenario)


def test_who_gave_up_waiting_for_a_leader_leaves_nothing_behind() -> None:
    """However long there is none, while new writes come before the last ones end: what waits is what is in flight."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a", timeout_s=SHORT_S)
        cluster.elect(None)
        writing = []
        for turn in range(8):
            writing.append(put(registry, str(turn)))
            await asyncio.sleep(SHORT_S / 2)
        ended = [write for write in writing if write.done()]
        assert {NoLeader} == {type(write.exception()) for write in ended}
        assert len(ended) >= 4
        assert len(registry._changes._waiters) <= len(writing) - len(ended)
        await asyncio.wait(writing)
        assert not registry._changes._waiters

    run(scenario)


def test_batches_are_bounded_in_number_and_bytes() -> None:
    """A batch ends at its largest number of commands or bytes; a larger command is an entry of its own."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        await asyncio.gather(*(registry.write(KVSet(str(n), b"v")) for n in range(BATCH_COMMANDS_MAX + 1)))
        assert sizes(cluster) == [BATCH_COMMANDS_MAX, 1]
        cluster.log.clear()
        cluster.nodes["a"].applied = 0
        big = b"x" * (BATCH_BYTES_MAX // 2)
        await asyncio.gather(*(registry.write(KVSet(str(n), big)) for n in range(3)))
        await registry.write(KVSet("huge", b"x" * (2 * BATCH_BYTES_MAX)))
        assert sizes(cluster) == [1, 1, 1, 1]

    run(scenario)


def test_answers_to_a_batch_fit_into_a_frame() -> None:
    """Small transactions that read much share an entry with few others; those that only write, with many."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("a")
        registry = cluster.registry("b")
        await asyncio.gather(*(registry.write(KVSet(f"big/{n}", b"x" * 240_000)) for n in range(4)))
        write, read = Operation("set", kv=KVOperand("k")), Operation("get-tree", kv=KVOperand("big/"))
        await asyncio.gather(*(registry.write(Transaction((write,))) for _ in range(20)))
        assert 20 == sizes(cluster)[-1]
        answers: list[int] = []
        serve = cluster.nodes["a"].handler
        assert serve is not None

        async def measured(caller: str, data: bytes) -> bytes:
            answer = await serve(caller, data)
            answers.append(len(answer))
            return answer

        cluster.nodes["a"].handler = measured
        await asyncio.gather(*(registry.write(Transaction((write, read))) for _ in range(20)))
        assert MESSAGE_LIMIT_BYTES > max(answers) > 960_000

    run(scenario)


def test_follower_answers_after_it_applied() -> None:
    """A write through a follower returns only once that follower's own copy has it."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("a")
        registry = cluster.registry("b")
        cluster.nodes["b"].lags = True
        writing = put(registry, "k")
        await _until(lambda: len(cluster.log) == 1)
        await asyncio.sleep(0)
        assert not writing.done()
        cluster.nodes["b"].catch_up()
        assert await writing is True
        entry = registry.local(KVGet("k")).value
        assert entry is not None
        assert entry.value == b"v"

    run(scenario)


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_unknown_outcome_is_tried_again_and_applied_once(name: str, fault: str) -> None:
    """When nobody knows what became of a proposal it is made again under the same id: the client sees one success."""

    async def scenario(cluster: FakeCluster) -> None:
        leader = cluster.registry("a")
        registry = leader if name == "a" else cluster.registry(name)
        cluster.faults = [fault]
        written = await registry.write(KVSet("k", b"v", cas=0))
        assert written.value is True
        entry = leader.local(KVGet("k")).value
        assert entry is not None
        assert (entry.create_index, entry.modify_index) == (written.index, written.index)

    run(scenario)


def test_write_waits_for_a_leader() -> None:
    """A write that finds no leader is kept until there is one."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("a")
        registry = cluster.registry("b")
        cluster.elect(None)
        writing = put(registry, "k")
        await asyncio.sleep(0)
        cluster.elect("b")
        assert await writing is True

    run(scenario)


@pytest.mark.parametrize("fault", ["", "dropped"])
def test_what_a_leader_decided_is_not_carried_out_by_its_successor(fault: str) -> None:
    """A write as the leader goes to no other node: not when another leads, nor after leadership was lost under it."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("b")
        registry = cluster.registry("a")
        cluster.faults.append(fault)
        if not fault:
            cluster.elect("b")
        with pytest.raises(OutcomeUnknown if fault else NotLeader):
            await registry.write(KVSet("k", b"v"), as_leader=True)
        cluster.elect("b")
        await asyncio.sleep(0)
        assert sizes(cluster) == []

    run(scenario)


def test_write_without_a_leader_did_not_happen() -> None:
    """When no leader was found in time the error says that nothing happened, and nothing happens later."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a", timeout_s=SHORT_S)
        cluster.elect(None)
        with pytest.raises(NoLeader):
            await registry.write(KVSet("k", b"v"))
        cluster.elect("a")
        await registry.write(KVSet("other", b"v"))
        assert registry.local(KVKeys("", "")).value == ("other",)

    run(scenario)


@pytest.mark.parametrize("fault", ["lost", "hang"])
def test_write_that_may_have_happened_is_unknown(fault: str) -> None:
    """When the time is over and some attempt may have reached the log, the error claims nothing."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a", timeout_s=SHORT_S)
        cluster.faults = [fault]
        writing = put(registry, "k")
        await _until(lambda: not cluster.faults)
        if fault == "lost":
            cluster.elect(None)
        with pytest.raises(OutcomeUnknown):
            await writing

    run(scenario)


def test_leader_that_does_not_answer_is_left_when_another_is_elected() -> None:
    """A call to a leader that hangs costs no more time than the election of the next."""

    async def scenario(cluster: FakeCluster) -> None:
        cluster.registry("a")
        registry = cluster.registry("b")
        cluster.nodes["b"].calls_hang = True
        writing = put(registry, "k")
        await asyncio.sleep(0.01)
        cluster.nodes["b"].calls_hang = False
        cluster.registry("c")
        cluster.elect("c")
        assert await writing is True

    run(scenario)


def test_in_flight_writes_are_bounded() -> None:
    """One write more than may be in flight is refused at once; the room is free again when the others are done."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        cluster.faults = ["hang"] * (IN_FLIGHT_COMMANDS_MAX // BATCH_COMMANDS_MAX)
        writing = [put(registry, str(n)) for n in range(IN_FLIGHT_COMMANDS_MAX)]
        await _until(lambda: not cluster.faults)
        with pytest.raises(Overloaded):
            await registry.write(KVSet("more", b"v"))
        cluster.released.set()
        assert {True} == set(await asyncio.gather(*writing))
        assert (await registry.write(KVSet("more", b"v"))).value is True

    run(scenario)


@pytest.mark.parametrize("name", ["a", "b"])
def test_overloaded_log_is_told_to_the_client(name: str) -> None:
    """When consensus takes no more, the client learns that nothing happened, through a follower as well."""

    async def scenario(cluster: FakeCluster) -> None:
        leader = cluster.registry("a")
        registry = leader if name == "a" else cluster.registry(name)
        cluster.faults = ["overloaded"]
        with pytest.raises(Overloaded):
            await registry.write(KVSet("k", b"v"))
        assert cluster.log == []

    run(scenario)


def test_cancelled_client_does_not_hurt_the_batch() -> None:
    """A client that goes away takes nobody along, and its write goes on."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        cluster.faults = ["hang"]
        first, second = put(registry, "first"), put(registry, "second")
        await _until(lambda: not cluster.faults)
        first.cancel()
        await asyncio.wait([first])
        cluster.released.set()
        assert await second is True
        assert first.cancelled()
        assert registry.local(KVKeys("", "")).value == ("first", "second")
        await registry.stop()

    run(scenario)


def test_refusal_of_one_command_leaves_the_others_alone() -> None:
    """A recorded refusal goes to its own caller only, with its status and text."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        results = await asyncio.gather(
            registry.write(KVSet("k", b"v")),
            registry.write(Register("nowhere")),
            registry.write(Deregister("nowhere")),
            return_exceptions=True,
        )
        assert sizes(cluster) == [3]
        assert isinstance(results[1], Refused)
        assert [False, True, False] == [isinstance(result, Exception) for result in results]

    run(scenario)


def test_command_that_cannot_be_encoded_is_refused() -> None:
    """A number of more than 64 bits never gets to the log."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        with pytest.raises(Refused) as caught:
            await registry.write(KVSet("k", b"v", flags=2**64))
        assert caught.value.status == 400
        assert cluster.log == []

    run(scenario)


def test_same_request_id_is_done_once() -> None:
    """The second write under one id changes nothing and is told the first result, whichever node it went to."""

    async def scenario(cluster: FakeCluster) -> None:
        leader, follower = cluster.registry("a"), cluster.registry("b")
        first = await leader.write(KVSet("k", b"v"), request_id=b"0123456789abcdef")
        await leader.write(KVDelete("k"))
        again = await follower.write(KVSet("k", b"v"), request_id=b"0123456789abcdef")
        assert first == again
        assert leader.local(KVGet("k")).value is None

    run(scenario)


async def _until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


def test_command_that_is_too_large_for_the_log_is_refused() -> None:
    """What no frame between nodes could carry must not enter the log of a leader: it could never be replicated."""

    async def scenario(cluster: FakeCluster) -> None:
        for name in ("a", "b"):
            with pytest.raises(Refused, match="Request too large") as caught:
                await cluster.registry(name).write(KVSet("k", bytes(COMMAND_BYTES_MAX)))
            assert 413 == caught.value.status
        assert [] == cluster.log

    run(scenario)


def test_a_stop_does_not_wait_for_a_leader_that_does_not_come(caplog: pytest.LogCaptureFixture) -> None:
    """Without a leader a write ends soon after the stop, long before its timeout. Nothing happened, and so it says."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.leader = None
        write = put(registry, "k")
        await asyncio.sleep(0)
        await registry.stop()
        with pytest.raises(NoLeader, match="stopping"):
            await write

    run(scenario)
    assert [] == caplog.messages


def test_a_stop_says_how_many_writes_may_have_happened(caplog: pytest.LogCaptureFixture) -> None:
    """A write of which an attempt may have reached the log ends as unknown, and the log tells the operator."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("a")
        cluster.faults = ["hang"]
        write = put(registry, "k")
        await _until(lambda: not cluster.faults)
        cluster.leader = None
        await registry.stop()
        with pytest.raises(OutcomeUnknown, match="stopping"):
            await write

    run(scenario)
    said = "writes left without an outcome: 1; their clients cannot know whether they happened"
    assert [said] == caplog.messages


def test_a_write_of_the_last_moment_is_answered() -> None:
    """A write that came in the very turn of the loop in which the node gave up the others does not wait in vain."""

    async def scenario(cluster: FakeCluster) -> None:
        registry = cluster.registry("b")
        cluster.leader = None
        first = put(registry, "k")
        stop = asyncio.create_task(registry.stop())
        await asyncio.sleep(0.01)
        last = put(registry, "l")
        asyncio.get_running_loop().call_soon(stop.cancel)
        for write in (first, last):
            with pytest.raises(NoLeader, match="stopping"):
                await write

    run(scenario)
