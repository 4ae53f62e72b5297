"""Engines in a world of their own: a clock, a network and disks that do only what a test tells them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgpack

from raftreg import versions
from raftreg.consensus.engine import Engine, Timing, World
from raftreg.consensus.members import APP, Members
from raftreg.consensus.snapshot import SnapshotStore
from raftreg.errors import NewerFormat

CLUSTER = Members("test", frozenset({"a", "b", "c"}))


class FakeClock:
    """Time stands still until a test moves it; chance always takes the lower bound."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    def uniform(self, low: float, high: float) -> float:
        return low

    def token(self, size: int) -> bytes:
        return bytes(size)

    def uuid(self) -> str:
        return "00000000-0000-4000-8000-000000000000"


class MemoryLog:
    """A write-ahead log whose records are durable when a test says so."""

    def __init__(self, records: Iterable[bytes] = ()) -> None:
        self.records = list(records)
        self.seq = self.synced = len(self.records)
        self.dropped_through = 0

    def append(self, record: bytes, entry_index: int | None = None) -> int:
        self.records.append(record)
        self.seq += 1
        return self.seq

    def drop_through(self, entry_index: int) -> None:
        self.dropped_through = max(self.dropped_through, entry_index)


PIECE_BYTES = 1 << 10


class ListMachine:
    """A state machine that remembers what it applied; the command BOOM is a bug, and `unknown` ones are newer."""

    def __init__(self) -> None:
        self.applied: list[bytes] = []
        self.effort_each = 0  # by default a snapshot is due by the count of entries alone
        self.efforts = 0
        self.unknown: set[bytes] = set()
        self.feature_level = versions.LEVEL_MAX

    def apply(self, index: int, data: bytes) -> object:
        if data == b"BOOM":
            raise ValueError("boom")
        if data in self.unknown:
            raise NewerFormat("a command of the future")
        self.applied.append(data)
        self.efforts += self.effort_each
        return len(self.applied)

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        state = bytes(msgpack.packb(self.applied))
        return lambda: (state[start : start + PIECE_BYTES] for start in range(0, len(state), PIECE_BYTES))

    def effort(self) -> int:
        return self.efforts

    def level(self) -> int:
        return self.feature_level

    def load(self, data: bytes) -> None:
        self.applied = msgpack.unpackb(data)


class Host:
    """One engine with its fake surroundings. `sent` holds (member, message) in order."""

    def __init__(
        self,
        directory: Path,
        clock: FakeClock,
        member: str = "a",
        members: Members = CLUSTER,
        log: MemoryLog | None = None,
        snapshot_entries: int = 1000,
        connect: bool = True,
    ) -> None:
        self.clock, self.member = clock, member
        self.log = log or MemoryLog()
        self.sent: list[tuple[str, list[Any]]] = []
        self.refusing: set[str] = set()  # members whose send buffer is full
        self.jobs: list[tuple[Callable[[], object], Callable[[object], None]]] = []
        self.hold_jobs = False
        self.rests = 0  # how often a job left the machine to others
        self.machine = ListMachine()
        directory.mkdir(exist_ok=True)
        self.store = SnapshotStore(directory, members.cluster_id)
        world = World(
            outlet=self._outlet,
            clock=clock,
            jobs=self._job,
            rest=self._rest,
            want_tick=lambda: None,
            want_sync=lambda: None,
            on_change=lambda: None,
        )
        records = list(self.log.records)
        self.engine = Engine(
            member,
            members.encode(),
            self.log,
            records,
            self.store,
            self.machine,
            world,
            Timing(),
            snapshot_entries,
        )
        self.sync()
        if connect:
            for other in sorted(members.all - {member}):
                self.engine.guard.peer_up(other)

    def _outlet(self, member: str, message: list[Any]) -> bool:
        if member in self.refusing:
            return False
        self.sent.append((member, message))
        return True

    def _job(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        self.jobs.append((work, done))
        if not self.hold_jobs:
            self.run_jobs()

    def _rest(self) -> None:
        self.rests += 1

    def run_jobs(self) -> None:
        """Do the work that waits for the other thread."""
        while self.jobs:
            work, done = self.jobs.pop(0)
            try:
                outcome: object = work()
            except Exception as error:
                outcome = error
            done(outcome)

    def sync(self) -> None:
        """The disk caught up."""
        self.log.synced = self.log.seq
        self.engine.synced(self.log.seq)

    def kinds(self) -> list[str]:
        """Kinds of the messages sent since `sent` was cleared."""
        return [message[0] for _, message in self.sent]

    def last(self, kind: str) -> list[Any]:
        """The newest message of a kind."""
        return next(message for _, message in reversed(self.sent) if message[0] == kind)

    def lead(self) -> "Host":
        """Win an election with everybody's vote, not yet having committed anything."""
        engine = self.engine
        self.clock.time += 1.0
        engine.tick()
        others = sorted(engine.members.voters - {self.member})
        for other in others:
            engine.receive(other, ["p", engine.election.round])
        engine.tick()
        self.sync()
        for other in others:
            engine.receive(other, ["R", engine.raftCurrentTerm])
        engine.tick()
        self.sync()
        assert engine.leading
        return self

    def settle(self) -> "Host":
        """Have b ack everything, so that the no-op is committed."""
        self.ack("b")
        self.engine.tick()
        return self

    def ack(self, member: str, index: int | None = None, term: int | None = None) -> None:
        """A member acks everything, or up to an index."""
        engine = self.engine
        following = (engine.journal.last if index is None else index) + 1
        its_term = engine.raftCurrentTerm if term is None else term
        engine.receive(member, ["A", its_term, following, False, True, engine.reads.last_stamp])

    def append(
        self,
        leader: str,
        term: int,
        prev: int,
        prev_term: int,
        body: list[tuple[bytes, int]],
        commit: int = 0,
    ) -> None:
        """An append from a leader arrives."""
        self.engine.receive(leader, ["E", 7, term, commit, prev, prev_term, [list(entry) for entry in body]])

    def propose(self, data: bytes) -> list[tuple[object, bool]]:
        """Propose; the list gets the outcome."""
        outcome: list[tuple[object, bool]] = []
        self.engine.propose(data, lambda result, known: outcome.append((result, known)))
        return outcome


def app(data: bytes) -> bytes:
    """An entry for the state machine."""
    return APP + data
