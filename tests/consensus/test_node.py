"""Three members on real disks and sockets: bootstrap, forwarding, hand-over, restarts, and who is refused."""

import asyncio
import errno
import itertools
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysyncobj.serializer
import pysyncobj.syncobj
import pysyncobj.tcp_connection
import pysyncobj.transport
import pytest

from raftreg.addresses import Address
from raftreg.consensus.exchange import SEND_LIMIT_BYTES
from raftreg.consensus.frames import MESSAGE_LIMIT_BYTES
from raftreg.consensus.members import Members
from raftreg.errors import NotLeader, OutcomeUnknown, Overloaded, StartRefused
from tests.consensus.trios import NAMES, Trio, with_trio


def test_three_empty_directories_become_one_cluster(tmp_path: Path) -> None:
    """All wait for all, then one cluster id is on every node, and what is proposed is applied everywhere."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader = await trio.leader()
        index, _ = await leader.propose(b"x")
        for node in trio.nodes.values():
            await node.wait_applied(index)
        assert 1 == len({node.status().cluster_id for node in trio.nodes.values()})
        assert [[b"x"]] * 3 == [machine.applied for machine in trio.machines.values()]

    with_trio(tmp_path, scenario)


@pytest.mark.parametrize("order", [("n3", "n2", "n1"), ("n2", "n1", "n3")])
def test_the_order_of_the_first_start_does_not_matter(order: tuple[str, ...], tmp_path: Path) -> None:
    """Whoever comes last, every node ends connected with every other."""

    async def scenario(trio: Trio) -> None:
        for name in order:
            await trio.start(name)
            await asyncio.sleep(0)
        await trio.until(
            lambda: all(peer.connected for node in trio.nodes.values() for peer in node.status().peers)
        )
        assert await trio.leader() in trio.nodes.values()

    with_trio(tmp_path, scenario)


def test_timers_may_be_due_before_they_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine uvloop gives a handle without a time then, and nobody stumbles over it."""

    async def scenario(trio: Trio) -> None:
        loop = asyncio.get_running_loop()
        at_their_time, numbers = loop.call_at, itertools.count()

        def call_at(when: float, callback: Callable[..., object], *args: object, **how: Any) -> Any:
            handle = at_their_time(when, callback, *args, **how)
            is_ours = getattr(callback, "__name__", "") == "_timer_fired"
            return types.SimpleNamespace(cancel=handle.cancel) if is_ours and next(numbers) % 2 else handle

        monkeypatch.setattr(loop, "call_at", call_at)
        await trio.start()
        leader = await trio.leader()
        for number in range(20):
            await leader.propose(b"%d" % number)
            await asyncio.sleep(0.01)
        assert {} == trio.ended
        assert next(numbers) > 4

    with_trio(tmp_path, scenario)


def test_two_of_three_do_not_begin_a_cluster(tmp_path: Path) -> None:
    """The first start waits for everybody."""

    async def scenario(trio: Trio) -> None:
        await trio.start("n1", "n2")
        await asyncio.sleep(0.5)
        assert {"starting"} == {node.status().role for node in trio.nodes.values()}
        with pytest.raises(NotLeader, match="not joined"):
            await trio.nodes["n1"].propose(b"x")

    with_trio(tmp_path, scenario)


def test_a_follower_reads_and_calls_through_the_leader(tmp_path: Path) -> None:
    """A read index on a follower covers what the leader acknowledged; calls reach the leader's handler."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()

        async def serve(caller: str, data: bytes) -> bytes:
            return caller.encode() + b" says " + data

        leader.serve_calls(serve)
        index, _ = await leader.propose(b"x")
        for confirm in (False, True):
            read_index = await follower.read_index(confirm=confirm)
            assert read_index >= index
            await follower.wait_applied(read_index)
        assert f"{follower.settings.name} says hello".encode() == await follower.call_leader(b"hello")

    with_trio(tmp_path, scenario)


def test_an_answer_that_is_too_long_for_a_frame_is_told_as_unknown(tmp_path: Path) -> None:
    """The call was carried out and its answer cannot be sent: whoever waits for it is told so, at once."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()

        async def serve(caller: str, data: bytes) -> bytes:
            return bytes(MESSAGE_LIMIT_BYTES)

        leader.serve_calls(serve)
        with pytest.raises(OutcomeUnknown, match="failed at it"):
            await follower.call_leader(b"hello")

    with_trio(tmp_path, scenario)


def test_large_answers_at_once_all_arrive(tmp_path: Path) -> None:
    """What has no room on the connection behind the others waits for it."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()

        async def serve(caller: str, data: bytes) -> bytes:
            return data * SEND_LIMIT_BYTES

        leader.serve_calls(serve)
        calls = [follower.call_leader(bytes((number,))) for number in range(4)]
        assert [0, 1, 2, 3] == [answer[0] for answer in await asyncio.wait_for(asyncio.gather(*calls), 30)]

    with_trio(tmp_path, scenario)


def test_a_leader_that_stops_hands_over(tmp_path: Path) -> None:
    """After an orderly stop another node leads in the very next term, without an election timeout."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader = await trio.leader()
        await leader.propose(b"x")
        term = leader.status().term
        await trio.stop(leader.settings.name)
        assert term + 1 == (await trio.leader()).status().term

    with_trio(tmp_path, scenario)


def test_everything_is_there_after_a_restart_of_all(tmp_path: Path) -> None:
    """What was committed is applied again from the disks, through snapshots as well."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader = await trio.leader()
        for number in range(60):
            await leader.propose(b"%d" % number)
        await trio.stop()
        await trio.start()
        index, _ = await (await trio.leader()).propose(b"60")
        for node in trio.nodes.values():
            await node.wait_applied(index)
        assert [[b"%d" % number for number in range(61)]] * 3 == [
            machine.applied for machine in trio.machines.values()
        ]

    with_trio(tmp_path, scenario, snapshot_entries=20)


def test_a_member_that_was_away_is_caught_up_by_snapshot(tmp_path: Path) -> None:
    """The entries it lacks are gone from the logs; the snapshot brings them."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        away = (await trio.follower()).settings.name
        await trio.stop(away)
        leader = await trio.leader()
        for number in range(100):
            index, _ = await leader.propose(b"%d" % number)
        await trio.start(away)
        await trio.nodes[away].wait_applied(index)
        assert trio.machines[leader.settings.name].applied == trio.machines[away].applied

    with_trio(tmp_path, scenario, snapshot_entries=20)


def test_a_wiped_member_is_a_stranger_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty directory under a known name is somebody new: both sides say what to run, and the cluster commits."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        wiped = (await trio.follower()).settings.name
        await trio.stop(wiped)
        await trio.start(wiped, directory="empty")
        node, leader = trio.nodes.pop(wiped), await trio.leader()
        await trio.until(lambda: [wiped] == [each.name for each in leader.status().strangers])
        await trio.until(lambda: f"To make it one: raftreg operator raft replace {wiped}" in caplog.text)
        stranger = leader.status().strangers[0]
        assert (node.status().id, str(Address(*trio.addresses[wiped]))) == (stranger.id, stranger.address)
        assert stranger.id not in {peer.id for peer in node.status().peers}
        assert (None, False) == (node.status().leader_id, node.status().removed)
        await leader.propose(b"still here")
        with pytest.raises(NotLeader):
            await node.propose(b"x")
        assert {} == trio.ended
        await node.stop()

    with_trio(tmp_path, scenario)


def test_a_member_of_another_cluster_is_refused(tmp_path: Path) -> None:
    """Its peers name both clusters."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        await trio.leader()
        foreign = trio.nodes["n3"]
        await trio.stop("n3")
        other = Trio(tmp_path / "other")
        await other.start()
        await other.leader()
        await other.stop()
        await trio.start("n3", directory="other/n3")
        await trio.until(lambda: "n3" in trio.ended)
        assert "is in cluster" in str(trio.ended["n3"])
        assert foreign is not trio.nodes["n3"]

    with_trio(tmp_path, scenario)


class _NoPickle:
    """Stands where pysyncobj has its pickle; touching it fails."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"pickle.{name} was reached")


def test_pickle_is_never_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes, forwarded calls, snapshots, catching up and restarts go without pysyncobj's pickle."""
    for module in (pysyncobj.syncobj, pysyncobj.serializer, pysyncobj.transport, pysyncobj.tcp_connection):
        if hasattr(module, "pickle"):
            monkeypatch.setattr(module, "pickle", _NoPickle())

    async def scenario(trio: Trio) -> None:
        await trio.start()
        away = (await trio.follower()).settings.name
        await trio.stop(away)
        for number in range(50):
            index, _ = await (await trio.leader()).propose(b"%d" % number)
        await trio.start(away)
        await trio.nodes[away].wait_applied(index)
        await trio.stop()
        await trio.start()
        index, _ = await (await trio.leader()).propose(b"again")
        await trio.nodes[away].wait_applied(index)
        assert 51 == len(trio.machines[away].applied)
        assert {} == trio.ended

    with_trio(tmp_path, scenario, snapshot_entries=20)


def test_a_data_directory_is_used_by_one_node_at_a_time(tmp_path: Path) -> None:
    """The second one is told who has it."""

    async def scenario(trio: Trio) -> None:
        await trio.start("n1")
        with pytest.raises(StartRefused, match="in use by a running node"):
            await Trio(tmp_path).start("n1")
        assert NAMES[0] in trio.nodes

    with_trio(tmp_path, scenario)


def test_a_leader_under_load_hands_over_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The entries in flight are committed first, and their commit notice does not keep the heir from campaigning."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        for _ in range(3):
            leader = await trio.leader()
            await leader.propose(b"settled")
            term = leader.status().term
            writes = [asyncio.ensure_future(leader.propose(b"x%d" % number)) for number in range(50)]
            await asyncio.sleep(0)
            name = leader.settings.name
            await trio.stop(name)
            assert all(isinstance(outcome, tuple) for outcome in await asyncio.gather(*writes))
            assert term + 1 == (await trio.leader()).status().term
            await trio.start(name)
        assert [] == [line for line in caplog.messages if "not taken over" in line]

    with_trio(tmp_path, scenario)


def test_a_follower_with_a_full_disk_leaves_writes_to_the_leader(tmp_path: Path) -> None:
    """What it cannot store itself, a majority can; only a leader refuses writes for want of room."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader, follower = await trio.leader(), await trio.follower()
        for node in (leader, follower):
            assert node.driver is not None
            node.driver.disk_full = True
        with pytest.raises(NotLeader):
            await follower.propose(b"x")
        with pytest.raises(Overloaded):
            await leader.propose(b"x")

    with_trio(tmp_path, scenario)


def test_a_leader_without_file_descriptors_gives_the_lead_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what is the matter and what to do, as with a full disk, and goes on when it may open files again."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader = await trio.leader()
        assert leader.driver is not None
        leader.driver._disk_filled(OSError(errno.EMFILE, "Too many open files"))
        with pytest.raises((Overloaded, NotLeader)):
            await leader.propose(b"x")
        await trio.until(lambda: leader.status().leader_name not in (None, leader.settings.name))
        (told,) = [line for line in caplog.messages if "out of file descriptors" in line]
        assert "(Too many open files); raise the limit (ulimit -n, LimitNOFILE= of systemd" in told
        leader.driver._disk_filled(None)
        assert (False, False) == (leader.driver.disk_full, leader.driver.engine.election.barred)
        assert {} == trio.ended

    with_trio(tmp_path, scenario)


def test_nothing_is_adopted_while_stopping(tmp_path: Path) -> None:
    """A genesis that arrives at a node on its way out begins nothing that nobody would close."""

    async def scenario(trio: Trio) -> None:
        await trio.start("n1")
        node = trio.nodes["n1"]
        await trio.stop("n1")
        node._adopt(Members.genesis(["n1.0", "n2.0", "n3.0"]).encode(), False)
        assert node.driver is None

    with_trio(tmp_path, scenario)


def test_a_leader_that_stops_without_an_heir_leaves_nobody_waiting(tmp_path: Path) -> None:
    """What it could not commit any more ends as unknown."""

    async def scenario(trio: Trio) -> None:
        await trio.start()
        leader = await trio.leader()
        name = leader.settings.name
        await trio.stop(*(set(NAMES) - {name}))
        write = asyncio.ensure_future(leader.propose(b"x"))
        await asyncio.sleep(0)
        await trio.stop(name)
        with pytest.raises((OutcomeUnknown, NotLeader)):
            await write

    with_trio(tmp_path, scenario)
