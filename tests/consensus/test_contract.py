"""What every implementation of `raftreg.consensus.Consensus` promises to its callers, on a cluster of one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from raftreg.clock import SystemClock
from raftreg.consensus import Consensus, MemberChange, StateMachine
from raftreg.consensus.local import LocalConsensus
from raftreg.consensus.node import RaftNode, RaftSettings
from raftreg.errors import Fatal, NoLeader, NotLeader, OutcomeUnknown, Refused
from tests.e2e.cluster import free_ports

Make = Callable[[StateMachine], Consensus]


class Journal:
    """A state machine that keeps what it applied; the entry BOOM is a bug."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, bytes]] = []

    def apply(self, index: int, data: bytes) -> object:
        """Keep one entry."""
        if data == b"BOOM":
            raise ValueError("a bug")
        self.entries.append((index, data))
        return data.upper()

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        """What was kept, as bytes."""
        kept = b"".join(data for _, data in self.entries)
        return lambda: iter([kept])

    def effort(self) -> int:
        """One for each entry."""
        return len(self.entries)

    def level(self) -> int:
        """The first."""
        return 1

    def load(self, data: bytes) -> None:
        """Begin with one entry."""
        self.entries = [(0, data)]


def on_disk(directory: Path) -> Make:
    """Makes real nodes, each the only member of its cluster."""

    def make_one(machine: StateMachine) -> Consensus:
        address = ("127.0.0.1", free_ports(1)[0])
        settings = RaftSettings("n1", directory, address, {"n1": address}, None)
        return RaftNode(settings, machine, SystemClock(), _fail)

    return make_one


def _fail(error: BaseException) -> None:
    raise AssertionError(f"the node would end the process: {error}")


@pytest.fixture(params=["local", "on disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a cluster of one over a state machine."""
    makers: dict[str, Make] = {
        "local": lambda machine: LocalConsensus(machine, SystemClock()),
        "on disk": on_disk(tmp_path / "n1"),
    }
    return makers[request.param]


def run(make: Make, scenario: Callable[[Consensus, Journal], Awaitable[None]]) -> None:
    """Run a scenario on a started cluster of one."""

    async def main() -> None:
        journal = Journal()
        consensus = make(journal)
        led = asyncio.Event()
        consensus.on_change(led.set)
        await consensus.start()
        try:
            async with asyncio.timeout(5):
                while consensus.status().role != "leader":
                    await led.wait()
                    led.clear()
            await scenario(consensus, journal)
        finally:
            await consensus.stop()

    asyncio.run(main())


def test_propose_applies_and_answers(make: Make) -> None:
    """A proposal returns its index and what the state machine answered, after it was applied."""

    async def scenario(consensus: Consensus, journal: Journal) -> None:
        first, answer = await consensus.propose(b"one")
        assert answer == b"ONE"
        assert journal.entries[-1] == (first, b"one")
        second, _ = await consensus.propose(b"two")
        assert second > first
        assert consensus.status().applied_index >= second

    run(make, scenario)


def test_concurrent_proposals_are_applied_in_the_order_of_their_indexes(make: Make) -> None:
    """Every proposal is applied once, in the order of the indexes that the proposers were told."""

    async def scenario(consensus: Consensus, journal: Journal) -> None:
        told = await asyncio.gather(*(consensus.propose(b"%d" % number) for number in range(50)))
        indexes = {b"%d" % number: index for number, (index, _) in enumerate(told)}
        assert sorted(indexes.values()) == [index for index, _ in journal.entries]
        assert all(indexes[data] == index for index, data in journal.entries)

    run(make, scenario)


def test_read_index_covers_what_was_proposed(make: Make) -> None:
    """Each kind of read index is at least that of the last proposal, and is applied."""

    async def scenario(consensus: Consensus, journal: Journal) -> None:
        index, _ = await consensus.propose(b"one")
        for confirm in (False, True):
            read_index = await consensus.read_index(confirm=confirm)
            assert read_index >= index
            await consensus.wait_applied(read_index)
        now = consensus.read_index_now()
        assert now is None or now >= index

    run(make, scenario)


def test_call_leader_reaches_the_own_handler(make: Make) -> None:
    """On the leader itself a call goes to the own handler, with the own name; its errors come back as they are."""

    async def scenario(consensus: Consensus, journal: Journal) -> None:
        async def serve(caller: str, data: bytes) -> bytes:
            if data == b"refuse":
                raise Refused(418, "no")
            if data == b"not here":
                raise NotLeader("not here")
            if data == b"unknown":
                raise OutcomeUnknown("who knows")
            return caller.encode() + b":" + data

        consensus.serve_calls(serve)
        assert await consensus.call_leader(b"hello") == consensus.status().name.encode() + b":hello"
        with pytest.raises(Refused, match="no"):
            await consensus.call_leader(b"refuse")
        with pytest.raises(NoLeader, match="not here"):
            await consensus.call_leader(b"not here")
        with pytest.raises(OutcomeUnknown, match="who knows"):
            await consensus.call_leader(b"unknown")

    run(make, scenario)


def test_status_names_the_leader_and_the_members(make: Make) -> None:
    """A cluster of one leads itself and lists itself."""

    async def scenario(consensus: Consensus, journal: Journal) -> None:
        await consensus.propose(b"one")
        status = consensus.status()
        assert status.role == "leader"
        assert (status.leader_id, status.leader_name) == (status.id, status.name)
        assert status.leader_contact_s == 0.0
        assert [(status.id, status.name, True)] == [(peer.id, peer.name, peer.voter) for peer in status.peers]

    run(make, scenario)


def test_the_only_member_stays(make: Make) -> None:
    """Nobody can go and nobody can take over; the refusal says what to do. Handing over to itself is done already."""

    async def scenario(consensus: Consensus, journal: Journal) -> None:
        me = consensus.status().id
        with pytest.raises(Refused, match=r"add another node|can grow") as caught:
            await consensus.change_members(MemberChange("remove", me))
        assert caught.value.status == 409
        with pytest.raises(Refused, match=r"no other voter|can grow") as caught:
            await consensus.transfer_leadership()
        assert caught.value.status == 409
        assert consensus.status().role == "leader"

    run(make, scenario)


def test_nothing_is_taken_after_a_stop(make: Make) -> None:
    """A stopped node appends nothing and vouches for nothing, and tells that it changed."""

    async def scenario(consensus: Consensus, journal: Journal) -> None:
        changes: list[str] = []
        consensus.on_change(lambda: changes.append(consensus.status().role))
        await consensus.stop()
        with pytest.raises(NotLeader):
            await consensus.propose(b"late")
        with pytest.raises(NotLeader):
            await consensus.change_members(MemberChange("remove", consensus.status().id))
        with pytest.raises(NotLeader):
            await consensus.transfer_leadership()
        with pytest.raises(NoLeader):
            await consensus.read_index()
        assert consensus.read_index_now() is None
        assert journal.entries == []
        assert changes

    run(make, scenario)


def test_local_tells_of_a_bug_in_the_state_machine() -> None:
    """An exception in apply is never skipped: the proposer and whoever ends the process get Fatal."""

    async def main() -> None:
        told: list[BaseException] = []
        consensus = LocalConsensus(Journal(), SystemClock(), on_fatal=told.append)
        await consensus.start()
        with pytest.raises(Fatal, match="entry 1"):
            await consensus.propose(b"BOOM")
        assert [Fatal] == [type(error) for error in told]

    asyncio.run(main())
