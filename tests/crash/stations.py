"""One member on a memory disk: real data directory, log, snapshots and engine, a scripted world, and its promises."""

import random
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import msgpack

from raftreg.consensus.engine import Engine, Timing, World
from raftreg.consensus.identity import DataDir, open_data_dir
from raftreg.consensus.journal import Entry
from raftreg.consensus.members import APP, Members
from raftreg.consensus.recovery import recover
from raftreg.consensus.snapshot import SnapshotStore
from raftreg.consensus.wal import Wal
from raftreg.errors import Damaged
from tests.consensus.worlds import FakeClock, ListMachine
from tests.crash.memory_disk import ROOT, MemoryDisk

NAME = "n1"
DATA = ROOT / "data"
SEGMENT_BYTES = 1800
SNAPSHOT_ENTRIES = 8


class CountingClock(FakeClock):
    """Tokens that differ."""

    tokens = 0

    def token(self, size: int) -> bytes:
        CountingClock.tokens += 1
        return CountingClock.tokens.to_bytes(size, "big")


class Waited:
    """As much of a future as closing a log needs."""

    def __init__(self) -> None:
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, result: object) -> None:
        self._done = True

    def __await__(self) -> Generator[None, None, None]:
        while not self._done:
            yield


class Turns:
    """Event loop, threads and timers in one: whatever was handed over waits here until somebody runs it."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], object]] = []
        self.jobs: list[Callable[[], object]] = []

    def create_future(self) -> Waited:
        return Waited()

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: object) -> None:
        self.callbacks.append(lambda: callback(*args))

    def start(self, loop: object) -> None:
        """As a Writer."""

    def submit(self, job: Callable[[], object]) -> None:
        """As a Writer."""
        self.jobs.append(job)

    def rest(self) -> None:
        """As a Writer."""

    async def stop(self) -> None:
        """As a Writer."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What a log means: term, vote, and the entries by index."""

    term: int = 0
    vote: str | None = None
    entries: dict[int, tuple[bytes, int]] = field(default_factory=dict)

    def after(self, record: bytes) -> "Logged":
        """Read one record more; the format is that of `raftreg.consensus.journal`, read independently of it."""
        kind, *rest = msgpack.unpackb(record)
        if kind == 3:
            return Logged(rest[0], rest[1], self.entries)
        if kind == 0:
            return Logged(self.term, self.vote, {**self.entries, rest[0]: (rest[2], rest[1])})
        kept = {index: entry for index, entry in self.entries.items() if kind == 1 and index < rest[0]}
        return Logged(self.term, self.vote, kept)


class Ledger:
    """The log as the journal sees it, noting what the log means after each record."""

    def __init__(self, wal: Wal, start: Logged) -> None:
        self.wal = wal
        self.states = {wal.seq: start}

    seq = property(lambda self: self.wal.seq)
    synced = property(lambda self: self.wal.synced)

    def append(self, record: bytes, entry_index: int | None = None) -> int:
        before = self.states[self.wal.seq]
        seq = self.wal.append(record, entry_index)
        self.states[seq] = before.after(record)
        return seq

    def drop_through(self, entry_index: int) -> None:
        self.wal.drop_through(entry_index)


@dataclass(slots=True)
class Promises:
    """What the member has said to somebody, or relies on. A crash must not take it back."""

    starts: int = 0
    incarnation: str | None = None
    cluster_id: str | None = None
    peers: dict[str, tuple[int, str]] = field(default_factory=dict)
    snapshot: int = 0
    ledger: Ledger | None = None
    applied: dict[int, bytes] = field(default_factory=dict)  # commands by index, whoever applied them

    @property
    def possible(self) -> list[Logged]:
        """What the log may say, oldest first: everything reported as synced, and perhaps what was appended since."""
        ledger = self.ledger
        if ledger is None:
            return [Logged()]
        return [ledger.states[seq] for seq in range(ledger.synced, ledger.seq + 1)]


class Station:
    """The member. It runs until it is dropped or closed; `promises` outlive it."""

    def __init__(self, disk: MemoryDisk, promises: Promises, chance: random.Random) -> None:
        self.disk, self.promises, self.chance = disk, promises, chance
        self.clock, self.turns, self.machine = CountingClock(), Turns(), ListMachine()
        self.sent: list[tuple[str, list[Any]]] = []
        self.work: list[tuple[Callable[[], object], Callable[[object], None]]] = []
        self.data_dir: DataDir = open_data_dir(DATA, NAME, self.clock, disk=disk, exclusive=False)
        identity = self.data_dir.identity
        assert identity.starts > promises.starts
        assert promises.incarnation in (None, identity.incarnation)
        assert promises.cluster_id in (None, identity.cluster_id)
        promises.incarnation = identity.incarnation

    def join(self, *others: str) -> None:
        """Become a member of a new cluster."""
        members = Members.genesis([self.data_dir.identity.member_id, *others])
        self.data_dir.save_genesis(members.encode(), members.cluster_id)
        self.promises.cluster_id = members.cluster_id
        self.begin()

    def begin(self) -> None:
        """Recover, as `raftreg.consensus.node` does."""
        identity = self.data_dir.identity
        assert identity.genesis is not None
        cluster_id = identity.cluster_id or ""
        self.store = SnapshotStore(DATA, cluster_id, self.disk)
        self.wal, self.engine = recover(
            lambda: Wal(
                self.data_dir.log_path,
                cluster_id,
                identity.member_id,
                segment_bytes=SEGMENT_BYTES,
                disk=self.disk,
                writer=self.turns,
            ),
            self._engine_on,
        )
        wal = self.wal
        loop = cast(Any, self.turns)
        wal.start(loop, self.engine.synced, self.engine.journal.preamble, _raise, lambda full: None)
        wal.kick()
        self.data_dir.log_begins()
        self.data_dir.count_start()
        self.promises.starts = identity.starts
        for other in sorted(self.engine.members.all - {identity.member_id}):
            self.engine.guard.peer_up(other)

    def _engine_on(self, wal: Wal, records: Iterator[bytes], lost: Damaged | None) -> Engine:
        identity = self.data_dir.identity
        assert identity.genesis is not None
        world = World(
            outlet=self._outlet,
            clock=self.clock,
            jobs=lambda work, done: self.work.append((work, done)),
            want_tick=lambda: None,
            want_sync=wal.kick,
            on_change=lambda: None,
            rest=lambda: None,
        )
        found = list(records)
        self.ledger = self.promises.ledger = Ledger(wal, _fold(found))
        return Engine(
            identity.member_id,
            identity.genesis,
            self.ledger,
            found,
            self.store,
            self.machine,
            world,
            Timing(),
            SNAPSHOT_ENTRIES,
            lost,
        )

    def _outlet(self, member: str, message: list[Any]) -> bool:
        """Whatever leaves must be covered by what is synced."""
        durable = self.ledger.states[self.ledger.synced]
        if message[0] == "A" and message[4]:
            base = self.store.indexes()[0] if self.store.indexes() else 0
            assert all(
                index in durable.entries or index <= base
                for index in range(message[2] - 1, self.engine.journal.first - 1, -1)
            )
        if message[0] == "R":
            assert (message[1], member) == (durable.term, durable.vote)
        if message[0] == "V":
            assert (message[1], self.engine.member_id) == (durable.term, durable.vote)
        self.sent.append((member, message))
        return True

    # -- the passage of time ---------------------------------------------------------------------------------------
    def run(self) -> None:
        """Ticks, syncs and jobs in any order, until nothing is left to do."""
        idle = 0
        while idle < 2:
            choices: list[Callable[[], object]] = [self._tick]
            choices += [self._callback] * bool(self.turns.callbacks) + [self._job] * bool(self.turns.jobs)
            choices += [self._worker] * bool(self.work)
            idle = idle + 1 if len(choices) == 1 else 0
            self.chance.choice(choices)()

    def _tick(self) -> None:
        self.engine.tick()
        for index, data in self._commands(self.engine.raftLastApplied):
            self.promises.applied[index] = data

    def _commands(self, through: int) -> Iterator[tuple[int, bytes]]:
        for data, index, _ in self.engine.journal.entries:
            if index <= through and data[:2] == APP:
                yield index, data[2:]

    def _callback(self) -> None:
        self.turns.callbacks.pop(0)()

    def _job(self) -> None:
        self.turns.jobs.pop(0)()

    def _worker(self) -> None:
        work, done = self.work.pop(0)
        outcome = work()
        indexes = self.store.indexes()
        self.promises.snapshot = indexes[0] if indexes else 0
        done(outcome)

    def hear(self, member: str, *messages: list[Any]) -> None:
        """Messages of a peer arrive, with whatever time between them."""
        for message in messages:
            self.engine.receive(member, message)
            if self.chance.random() < 0.7:
                self.run()

    def lead(self) -> None:
        """A single voter elects itself."""
        for _ in range(4):
            self.clock.time += 1.0
            self.run()
        assert self.engine.settled

    def propose(self, data: bytes) -> list[bool]:
        """The list gets the outcome."""
        outcome: list[bool] = []
        self.engine.propose(data, lambda result, known: outcome.append(known))
        return outcome

    def close(self) -> None:
        """Stop in an orderly way."""
        closing = self.wal.close()
        while True:
            try:
                closing.send(None)
            except StopIteration:
                return
            self.run()

    def meet(self, member_id: str, starts: int, nonce: str) -> None:
        """Note a process of a peer, as the peer book does in its thread."""
        book = self.data_dir.peer_book
        book._seen[member_id] = (starts, nonce, "")
        book._write({member: list(seen) for member, seen in book._seen.items()})
        self.promises.peers[member_id] = (starts, nonce)


def _fold(records: list[bytes]) -> Logged:
    logged = Logged()
    for record in records:
        logged = logged.after(record)
    return logged


def _raise(error: BaseException) -> None:
    raise error


def recovered(disk: MemoryDisk) -> Station:
    """The member after a crash: it must come up without complaint."""
    station = Station(disk, Promises(), random.Random(0))
    if station.data_dir.identity.genesis is not None:
        station.begin()
    return station


def kept(station: Station, promises: Promises) -> None:
    """Assert that a recovered member remembers every promise."""
    identity = station.data_dir.identity
    assert promises.incarnation in (None, identity.incarnation)
    assert identity.starts > promises.starts
    assert promises.cluster_id in (None, identity.cluster_id)
    book = station.data_dir.peer_book._seen
    assert all(book.get(member, (-1, "", ""))[0] >= seen[0] for member, seen in promises.peers.items())
    if identity.genesis is None:
        return
    engine = station.engine
    base: int = engine.raftLastApplied
    assert base >= promises.snapshot
    expected = [data for index, data in sorted(promises.applied.items()) if index <= base]
    assert expected == station.machine.applied
    journal = engine.journal
    found = {index: (data, term) for data, index, term in _above(journal.entries, base)}
    assert any(_alike(state, found, base, journal.term_at(base)) for state in promises.possible)
    oldest = promises.possible[0]
    assert journal.getCurrentTerm() >= oldest.term
    assert (journal.getCurrentTerm(), journal.getVotedForNodeId()) in {
        (state.term, state.vote) for state in promises.possible
    }


def _alike(state: Logged, found: dict[int, tuple[bytes, int]], base: int, base_term: int | None) -> bool:
    """Whether entries found above a snapshot are those of a log; a tail that contradicts the snapshot goes."""
    if base in state.entries and state.entries[base][1] != base_term:
        return not found
    return found == {index: entry for index, entry in state.entries.items() if index > base}


def _above(entries: list[Entry], base: int) -> list[Entry]:
    return [entry for entry in entries if entry[1] > base]
