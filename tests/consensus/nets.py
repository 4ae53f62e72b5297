"""Engines that talk to each other through a queue, on disks and by timers that a test holds in its hands."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from raftreg.consensus import ChangeKind, MemberChange
from raftreg.consensus.engine import Engine, Timing, World
from raftreg.consensus.members import Members
from raftreg.consensus.snapshot import SnapshotStore
from raftreg.errors import HandingOver, NotLeader, Refused
from tests.consensus.worlds import FakeClock, ListMachine, MemoryLog

NEVER = 1e18
LONG_AGO = -1e9
Outcomes = list[bool | str]  # True: committed. False: unknown. A text: refused, nothing was done


class Net:
    """Messages wait in `queue` until `run`. `cut` holds pairs that do not talk, though both think they are connected;
    the disks of `unsynced` stand still. Member sets that engines are told of by others are delivered at once."""

    def __init__(self, directory: Path, clock: FakeClock, voters: Iterable[str], entries: int = 1000) -> None:
        self.directory, self.clock, self.entries = directory, clock, entries
        self.genesis = Members("test", frozenset(voters))
        self.queue: list[tuple[str, str, list[Any]]] = []
        self.cut: set[frozenset[str]] = set()
        self.unsynced: set[str] = set()
        self.disks: dict[str, list[bytes]] = {}
        self.logs: dict[str, MemoryLog] = {}
        self.engines: dict[str, Engine] = {}
        self.machines: dict[str, ListMachine] = {}
        self.addresses: dict[str, str] = {}
        # Whether a message (source, target, message) is lost.
        self.loses: Callable[[str, str, list[Any]], bool] = lambda source, target, message: False
        for voter in sorted(voters):
            self.start(voter)

    # -- processes -------------------------------------------------------------------------------------------------
    def start(self, member: str, *, directory: str | None = None) -> Engine:
        """Start a process with what its disk holds; who never ran begins with the genesis alone."""
        place = self.directory / (directory or member)
        place.mkdir(exist_ok=True, parents=True)
        log = self.logs[member] = MemoryLog(self.disks.get(member, ()))
        machine = self.machines[member] = ListMachine()
        world = World(
            outlet=lambda to, message: self._send(member, to, message),
            clock=self.clock,
            jobs=lambda work, done: done(work()),
            want_tick=lambda: None,
            want_sync=lambda: None,
            on_change=lambda: None,
            rest=lambda: None,
            on_outsider=lambda outsider: self._tell(member, outsider),
            addresses=lambda: self.addresses,
        )
        store = SnapshotStore(place, self.genesis.cluster_id)
        records, genesis = list(log.records), self.genesis.encode()
        engine = Engine(
            member, genesis, log, records, store, machine, world, Timing(), snapshot_entries=self.entries
        )
        self.engines[member] = engine
        self.sync(member)
        for other in self.engines.keys() - {member}:
            engine.guard.peer_up(other)
            self.engines[other].guard.peer_up(member)
        self.hold()
        return engine

    def kill(self, member: str) -> None:
        """End a process at once: what its disk had not synced is lost."""
        del self.engines[member]
        log = self.logs[member]
        self.disks[member] = log.records[: log.synced]
        self.queue = [item for item in self.queue if member not in item[:2]]
        for engine in self.engines.values():
            engine.guard.peer_down(member)

    def sync(self, member: str) -> None:
        """The disk of a member caught up."""
        log = self.logs[member]
        log.synced = log.seq
        self.engines[member].synced(log.seq)

    # -- network ---------------------------------------------------------------------------------------------------
    def _send(self, source: str, target: str, message: list[Any]) -> bool:
        if target not in self.engines:
            return False
        if not self.loses(source, target, message):
            self.queue.append((source, target, message))
        return True

    def _tell(self, source: str, target: str) -> None:
        if frozenset((source, target)) not in self.cut:
            self.engines[target].told_members(self.engines[source].committed_members)

    def isolate(self, member: str) -> None:
        """Nothing passes between a member and all others."""
        self.cut |= {frozenset((member, other)) for other in self.engines if other != member}

    def cut_off(self, *pairs: str) -> None:
        """Nothing passes between the two of each pair, such as "ab"."""
        self.cut |= {frozenset(pair) for pair in pairs}

    def mend(self, *pairs: str) -> None:
        """These pairs talk again."""
        self.cut -= {frozenset(pair) for pair in pairs}

    # -- time ------------------------------------------------------------------------------------------------------
    def step(self) -> None:
        """Everybody ticks and syncs, then what is in the queue arrives."""
        for member, engine in list(self.engines.items()):
            engine.tick()
            if member not in self.unsynced:
                self.sync(member)
                engine.tick()
        queue, self.queue = self.queue, []
        for source, target, message in queue:
            if (
                source in self.engines
                and target in self.engines
                and frozenset((source, target)) not in self.cut
            ):
                self.engines[target].receive(source, message)

    def run(self, seconds: float = 0.0, until: Callable[[], bool] | None = None) -> None:
        """Let time pass, in steps of 10 ms with several message rounds each."""
        end = self.clock.time + seconds
        while True:
            for _ in range(4):
                self.step()
            if self.clock.time >= end or (until is not None and until()):
                return
            self.clock.time += 0.01

    def hold(self) -> None:
        """Nobody's election timer fires before the next word of a leader."""
        for engine in self.engines.values():
            engine.election.deadline = NEVER

    def forget_leader(self, *members: str) -> None:
        """These stand by no leader any more."""
        for member in members:
            self.engines[member].election.leader_contact = LONG_AGO

    def elect(self, member: str) -> bool:
        """The timer of one member fires, and nobody else's. Returns whether it leads then."""
        self.hold()
        self.forget_leader(*self.engines)
        self.engines[member].election.deadline = 0.0
        for _ in range(12):
            self.step()
        self.hold()
        return self.engines[member].leading

    def led_by(self, member: str) -> "Net":
        """Elect a member and let it commit its first entry."""
        assert self.elect(member)
        self.run(0.1)
        return self

    # -- what operators and clients do -----------------------------------------------------------------------------
    def change(
        self, at: str, kind: ChangeKind, member: str, old: str = "", *, standby: bool = False
    ) -> Outcomes:
        """Ask a member for a change; the list gets the outcome."""
        outcome: Outcomes = []
        try:
            change = MemberChange(kind, member, old, standby)
            self.engines[at].changes.begin(change, lambda _, known: outcome.append(known))
        except Refused as error:
            outcome.append(error.text)
        except (HandingOver, NotLeader) as error:
            outcome.append(f"{type(error).__name__}: {error}")
        return outcome

    def join(self, at: str, member: str) -> None:
        """Start a new process and make it a learner that has caught up."""
        self.start(member)
        outcome = self.change(at, "add", member)
        self.run(0.3)
        assert [True] == outcome

    def grow(self, at: str, member: str) -> None:
        """Start a new process and make it a voter."""
        self.join(at, member)
        outcome = self.change(at, "promote", member)
        self.run(0.3)
        assert [True] == outcome

    def put(self, at: str, data: bytes) -> list[tuple[object, bool]]:
        """Propose; the list gets the outcome."""
        outcome: list[tuple[object, bool]] = []
        self.engines[at].propose(data, lambda result, known: outcome.append((result, known)))
        return outcome

    # -- view ------------------------------------------------------------------------------------------------------
    def voters(self, member: str) -> set[str]:
        """Voters of a member's latest set."""
        return set(self.engines[member].members.voters)

    def leaders(self) -> list[str]:
        """Who holds itself for the leader."""
        return [member for member, engine in self.engines.items() if engine.leading]
