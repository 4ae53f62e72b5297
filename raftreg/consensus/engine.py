"""One node's Raft, without IO: pysyncobj's SyncObj driven by our tick, behind our guard, over our journal.

The driver (`raftreg.consensus.node`) calls `receive`, `synced` and `tick`; whatever leaves goes through
`outlet`. Nothing here waits, opens a socket, starts a thread or reads a clock other than the one it was given.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pysyncobj import SyncObj
from pysyncobj.node import Node

from raftreg.consensus import StateMachine, seams
from raftreg.consensus.catch_up import CatchUp
from raftreg.consensus.changes import Changes, described
from raftreg.consensus.disk_watch import DiskWatch
from raftreg.consensus.election import Election
from raftreg.consensus.feed import Feed
from raftreg.consensus.files import BRING_BACK
from raftreg.consensus.guard import Guard, Message
from raftreg.consensus.journal import Entry, Journal, Log, Placed
from raftreg.consensus.members import APP, CONFIG, NO_OP, Members
from raftreg.consensus.newer import Newer
from raftreg.consensus.reads import Reads
from raftreg.consensus.serializer import Serializer
from raftreg.consensus.snapshot import Snapshot, SnapshotStore
from raftreg.consensus.snapshot_transfer import SnapshotTransfers
from raftreg.consensus.world import Timing, World
from raftreg.errors import Damaged, Fatal, NewerFormat, NotLeader, Overloaded

__all__ = ["Committed", "Engine", "Timing", "World"]

_log = logging.getLogger(__name__)
PENDING_BYTES = 64 << 20
_PAST_DUE_S = 0.001  # pysyncobj sends its heartbeats when their time is over, not when it comes
_LEADER = 2  # pysyncobj's number for the role

Committed = Callable[[object, bool], None]
"""Called once per proposal: (what apply returned, True), or (None, False) when the outcome is unknown."""


class Engine(SyncObj):  # type: ignore[misc]  # pysyncobj is untyped
    """Member ids are strings throughout; pysyncobj's Node objects stay in here and in the guard."""

    def __init__(
        self,
        member_id: str,
        genesis: bytes,
        log: Log,
        records: Iterable[bytes],
        store: SnapshotStore,
        machine: StateMachine,
        world: World,
        timing: Timing | None = None,
        snapshot_entries: int = 20_000,
        lost: Damaged | None = None,
    ) -> None:
        """Recover: newest snapshot, then the log above it. Raises Damaged or Fatal; nothing is sent yet.

        `lost`: what is wrong with the beginning of the log, which `records` leave out; raised if it is needed.
        """
        timing = timing or Timing()
        self.member_id, self.machine, self.world, self.timing = member_id, machine, world, timing
        self.outlet, self.now = world.outlet, world.clock.now
        self.want_tick, self.want_sync = world.want_tick, world.want_sync
        # A single voter's disk: votes and acks like a peer, once durable.
        self.shadow = seams.Peer(member_id + "~disk")
        self.pending: dict[int, tuple[int, int, Committed]] = {}  # index -> (term, bytes, callback)
        self.pending_bytes = 0
        self._broadcast_last = self._commit_sent = -1
        self.disk = DiskWatch(self)
        self._told_leader: str | None = None
        self.role_number = 0  # pysyncobj's: follower, candidate, leader
        self.newer = Newer(self)
        self._level = machine.level()  # that was told of
        self._told: Placed | None = None  # newest committed member set that another node told of
        store.clear()
        snapshot, damages = store.newest_whole()
        placed, covered = (snapshot.placed, snapshot.previous[1]) if snapshot else (None, 0)
        self.journal = Journal(log, records, genesis, placed, covered)
        if lost is not None and (damages or not self._covers_all_that_is_left(snapshot)):
            raise lost
        self._check_no_gap(store, snapshot, damages)
        if snapshot is not None:
            self.journal.committed = snapshot.index
        self.members = self.journal.placed.members
        self.reads, self.election = Reads(self), Election(self)
        self.transfers, self.feed = SnapshotTransfers(self, store), Feed(self)
        self.catch_up, self.changes = CatchUp(self), Changes(self)
        others = [seams.Peer(other) for other in sorted(self.members.voters - {member_id})]
        conf = seams.configuration(
            self.journal,
            heartbeat_s=timing.heartbeat_s,
            quorum_timeout_s=timing.election_max_s,
            entries=snapshot_entries,
            onStateChanged=self._role_changed,
        )
        super().__init__(seams.Peer(member_id), others, conf, transportClass=self._make_guard)
        self._poller = seams.NullPoller()
        self.serializer = self._SyncObj__serializer = Serializer(self, store, world.jobs)
        self.journal.on_members = self._use_members
        self._use_members()
        if snapshot is not None:
            try:
                self._load(snapshot, clear=False)
            except NewerFormat as newer:
                raise NewerFormat(f"{store.path(snapshot.index)}: {newer}. Start the newer raftreg") from None
            self.serializer.durable_index = snapshot.index
        self.guard._onNodeConnected(self.shadow)

    def __dir__(self) -> list[str]:
        """pysyncobj looks at each name for methods to replicate, of which there are none, and so calls properties."""
        return []

    def _make_guard(self, engine: Any, self_node: Node, others: list[Node]) -> Guard:
        self.guard = Guard(self, self_node, others)
        return self.guard

    def _covers_all_that_is_left(self, snapshot: Snapshot | None) -> bool:
        """Whether the log has entries, the two of the snapshot among them, so that no earlier one is needed."""
        journal = self.journal
        return snapshot is not None and journal.durable > 0 and journal.first <= snapshot.previous[1]

    def _check_no_gap(
        self, store: SnapshotStore, snapshot: Snapshot | None, damages: Sequence[Damaged]
    ) -> None:
        """Snapshot and log together are all there was; damaged snapshots do no harm if the log has what was in them.

        The log below the older of two snapshots goes, never that between them. A log that goes on above a snapshot has
        the snapshot's own two entries as well: without them pysyncobj would drop it.
        """
        covered = snapshot.index if snapshot else 0
        journal, newest = self.journal, max(store.indexes(), default=0)
        needed = snapshot.previous[1] if snapshot and journal.last > covered else covered + 1
        if damages and (journal.first > needed or journal.durable < newest):
            raise damages[0]
        if journal.first > needed:
            what = f"files are missing: the log begins at entry {journal.first}, the newest snapshot ends at {covered}"
            raise Damaged(str(store.directory), 0, what, BRING_BACK)
        for damage, index in zip(damages, store.indexes(), strict=False):
            aside = store.put_aside(index)
            where = (damage.path, damage.what, damage.offset, covered, aside)
            _log.warning(
                "%s: %s at offset %d; went on from snapshot %d and the log, which has the rest; see %s",
                *where,
            )

    # -- view ------------------------------------------------------------------------------------------------------
    @property
    def leading(self) -> bool:
        """Whether this node holds itself for the leader."""
        return self.role_number == _LEADER

    @property
    def leader(self) -> str | None:
        """Member id of the leader that this node follows (itself if it leads)."""
        node = self._SyncObj__raftLeader
        return None if node is None else node.id

    @property
    def settled(self) -> bool:
        """Whether this leader committed an entry of its own term, so that its commit index is all there is."""
        return self.leading and self.journal.term_at(self.raftCommitIndex) == self.raftCurrentTerm

    @property
    def alone(self) -> bool:
        """Whether this node is the only voter, so that its disk is the only one that counts."""
        return self.members.voters == {self.member_id}

    def next_index(self, node: Node) -> int:
        """The next entry that pysyncobj will send to a member."""
        return int(self._SyncObj__raftNextIndex.get(node, 0))

    def match_index(self, member: str) -> int | None:
        """The newest entry that a member is known to have; None if this node does not lead."""
        if not self.leading:
            return None
        if member == self.member_id:
            return self.journal.last
        return int(self._SyncObj__raftMatchIndex.get(self.guard.node(member), 0))

    def set_next_index(self, node: Node, index: int) -> None:
        """Make pysyncobj go on elsewhere."""
        self._SyncObj__raftNextIndex[node] = index

    def resume_at_match(self, member: str) -> None:
        """A member reconnected: what was in flight is lost, so go on behind what it is known to have."""
        node = self.guard.node(member)
        if self.leading and node in self._SyncObj__raftMatchIndex:
            match = self._SyncObj__raftMatchIndex[node]
            self.set_next_index(node, match + 1 if match else self.journal.last + 1)
            self.want_broadcast()

    def want_broadcast(self) -> None:
        """Send appends at the next tick, new entries or not."""
        self._broadcast_last = -1
        self.want_tick()

    # -- proposals -------------------------------------------------------------------------------------------------
    def propose(self, data: bytes, committed: Committed) -> None:
        """Append an entry for the state machine. Raises NotLeader or Overloaded; nothing is appended then."""
        if not self.leading or self.election.transfer is not None or self.newer.stopped:
            raise NotLeader("this node does not lead")
        if self.pending_bytes + len(data) > PENDING_BYTES:
            raise Overloaded(f"{self.pending_bytes >> 20} MiB of writes wait for the disks of a majority")
        index, term = self.journal.last + 1, self.raftCurrentTerm
        self.journal.add(APP + data, index, term)
        self.pending[index] = (term, len(data), committed)
        self.pending_bytes += len(data)
        self.want_tick()

    def append_members(self, members: Members, committed: Committed) -> int:
        """Append a member set, which holds from now on. `changes` has checked that it may."""
        index = int(self.journal.last) + 1
        self.journal.add(members.encode(), index, self.raftCurrentTerm)
        self.pending[index] = (self.raftCurrentTerm, 0, committed)
        self.want_tick()
        return index

    def _SyncObj__doApplyCommand(self, command: bytes) -> None:  # pysyncobj's name
        """Apply one committed entry. An exception in the state machine stops the process; no entry is skipped."""
        index = self.raftLastApplied + 1
        result: object = None
        if command[:2] == APP:
            try:
                result = self.machine.apply(index, command[2:])
            except NewerFormat:
                raise  # `newer` sees to it; nothing was applied.
            except Exception as error:
                raise Fatal(f"applying entry {index} failed: {error!r}") from error
        elif command[:2] == CONFIG:
            self.newer.check_members(index)
            _log.info("entry %d is committed: %s", index, described(self.journal.placed_at(index).members))
            self.world.on_members()
        elif command != NO_OP:
            raise NewerFormat(f"an entry of kind {command[:2].hex()}")
        waiting = self.pending.pop(index, None)
        if waiting is not None:
            term, size, committed = waiting
            self.pending_bytes -= size
            mine = self.journal.term_at(index) == term
            committed(result if mine else None, mine)

    def _SyncObj__getCurrentLogIndex(self) -> int:  # pysyncobj's name
        return self.journal.entries[-1][1]

    def _SyncObj__getEntries(
        self, start: int | None, count: int | None = None, size: int | None = None
    ) -> Sequence[Entry]:  # pysyncobj's name
        """Entries from an index on, a slice of bounded size: `size` is larger than that (`seams.configuration`)."""
        entries = self.journal.entries
        if start is None or start < entries[0][1]:
            return []
        position = start - entries[0][1]
        bounded: Sequence[Entry] = self.journal[position : None if count is None else position + count]
        return bounded

    def _SyncObj__applyLogEntries(self) -> bool:  # pysyncobj's name
        """Apply what is committed, up to the first entry that a newer release wrote."""
        if self._SyncObj__raftCommitIndex == self._SyncObj__raftLastApplied:
            return False
        applied = self.newer.guarded(super()._SyncObj__applyLogEntries)
        if (level := self.machine.level()) != self._level:
            self._level = level
            self.world.on_members()  # Who does not know that level is let go.
        return applied

    def _checkCommandsToApply(self) -> None:  # pysyncobj's name
        """Its queue of commands is empty for ever: proposals go straight into the log."""

    def _SyncObj__tryLogCompaction(self) -> None:  # pysyncobj's name
        """At each tick; most find a log that is short enough and no snapshot that has just been written."""
        if self.serializer.is_due():
            self.forceLogCompaction()
        if self._SyncObj__forceLogCompaction or self.serializer.has_ended:
            super()._SyncObj__tryLogCompaction()

    def _role_changed(self, old: int, new: int) -> None:
        """pysyncobj calls this in the middle of its work: note it, and raise nothing."""
        self.role_number = new
        self.catch_up.clear()
        self.feed.clear()
        if new == _LEADER:
            self.reads.begin_term()
            self.election.won()
        if old == _LEADER:
            self._give_up_pending()
            self.transfers.stop_sending()
            self.reads.give_up()
        self.world.on_change()

    def _give_up_pending(self) -> None:
        """Leadership is lost: these entries may still be committed by the next leader, or not."""
        waiting, self.pending, self.pending_bytes = self.pending, {}, 0
        for _, _, committed in waiting.values():
            committed(None, False)

    # -- members ---------------------------------------------------------------------------------------------------
    def _use_members(self) -> None:
        """The latest member set in the log is another one: show pysyncobj the two sets that follow from it."""
        members, me, guard = self.journal.placed.members, self.member_id, self.guard
        known: set[Node] = self._SyncObj__otherNodes | self._SyncObj__readonlyNodes  # type: ignore[has-type]  # untyped
        before = {node.id for node in known} - {self.shadow.id}
        self.members = members
        if self.leading and me not in members.voters:
            raise Fatal("a leader outside its own member set")
        self._SyncObj__otherNodes = {guard.node(voter) for voter in members.voters - {me}} or {self.shadow}
        self._SyncObj__readonlyNodes = {guard.node(learner) for learner in members.learners - {me}}
        self._enter(self.shadow)
        for member in members.all - {me} - before:
            self._forget(member)  # What an earlier membership left behind is never taken over.
            self._enter(guard.node(member))
        for member in before - members.all:
            self._forget(member)
            self._leave(guard.node(member))
        for voter in members.voters & before:
            self.feed.release(voter)
        self.serializer.use(members)
        self.world.on_members()

    @property
    def committed_members(self) -> Placed:
        """The newest member set that this node knows to be committed."""
        return self.journal.placed_at(self.raftCommitIndex)

    def notice_outsider(self, member: str) -> None:
        """Somebody asks for votes. If the committed set is without it, it should be told that set."""
        if member not in self.committed_members.members.all:
            self.world.on_outsider(member)

    def told_members(self, placed: Placed) -> None:
        """Another node told of a committed member set. It is believed for nothing but whether this node is removed."""
        if self._told is None or self._told.place < placed.place:
            self._told = placed
            self.want_tick()

    @property
    def told(self) -> Placed | None:
        """The newest committed member set that this node was told of, if that is newer than its own latest."""
        told = self._told
        return told if told is not None and told.place > self.journal.placed.place else None

    @property
    def removed(self) -> bool:
        """Whether a committed member set, newer than this node's own, is without it: then it does not campaign."""
        told = self.told
        return told is not None and self.member_id not in told.members.all

    def _forget(self, member: str) -> None:
        for part in (self.guard, self.reads, self.transfers, self.catch_up, self.feed):
            part.forget(member)

    def _enter(self, node: Node) -> None:
        self._SyncObj__raftNextIndex[node] = self.journal.last + 1
        self._SyncObj__raftMatchIndex[node] = 0
        self._SyncObj__lastResponseTime[node] = seams.monotonic()

    def _leave(self, node: Node) -> None:
        tables = (
            self._SyncObj__raftNextIndex,
            self._SyncObj__raftMatchIndex,
            self._SyncObj__lastResponseTime,
        )
        for table in tables:
            table.pop(node, None)

    # -- snapshots -------------------------------------------------------------------------------------------------
    def install(self, snapshot: Snapshot) -> None:
        """A snapshot from the leader is durable here: it replaces state and log."""
        self._load(snapshot, clear=True)
        self.serializer.became_durable()
        self.world.on_change()

    def _load(self, snapshot: Snapshot, clear: bool) -> None:
        state = b"".join(snapshot.state)
        self.machine.load(state)
        self.newer.went_past(snapshot.index)
        self.journal.base = snapshot.placed
        if not clear:
            self.journal.align(snapshot.previous, snapshot.newest)
        self.serializer.loading = (snapshot.newest, snapshot.previous)
        self.serializer.stands_for(len(state))
        self._SyncObj__loadDumpFile(clear)
        if self.raftLastApplied != snapshot.index:
            raise Fatal("pysyncobj did not take the snapshot")
        self._use_members()

    # -- driven from outside ---------------------------------------------------------------------------------------
    def receive(self, member: str, message: Message) -> bool:
        """A message of a member or of another node of this cluster. Returns False if its kind is not the engine's."""
        return (
            self.guard.receive(member, message)
            or self.election.receive(member, message)
            or self.reads.receive(member, message)
            or self.transfers.receive(member, message)
        )

    def synced(self, seq: int) -> None:
        """The log is durable up to record number `seq`."""
        self.disk.moved()
        self.journal.on_synced(seq)
        self.guard.on_synced(seq)

    def tick(self) -> None:
        """Do what is due. Call it after messages, proposals and syncs, and at the latest at `next_deadline`."""
        if self.alone:
            self._SyncObj__raftMatchIndex[self.shadow] = self.journal.durable
            self._SyncObj__lastResponseTime[self.shadow] = seams.monotonic()
        self.disk.look()
        self.election.tick()
        if self.leading or self._has_work:
            self._onTick(0)
        self.guard.forced = False
        if self.leading:
            self._broadcast()
            self.reads.flush()
            self.transfers.tick()
            self.feed.tick()
        if self.journal.log.seq > self.journal.log.synced:
            self.want_sync()
        if self.leader != self._told_leader:
            self._told_leader = self.leader
            self.world.on_change()
        if self.raftLastApplied < self.raftCommitIndex and not self.newer.stopped:
            self.want_tick()  # pysyncobj applies one bounded slice per tick

    @property
    def _has_work(self) -> bool:
        """Whether pysyncobj's tick would do anything while this node does not lead; mostly it would not."""
        campaigns = self._SyncObj__raftElectionDeadline < 0.0  # see `start_election`
        applies = self._SyncObj__raftCommitIndex > self._SyncObj__raftLastApplied
        return campaigns or applies or self._compaction_due

    @property
    def _compaction_due(self) -> bool:
        serializer = self.serializer
        return bool(self._SyncObj__forceLogCompaction or serializer.has_ended or serializer.is_due())

    def close(self) -> None:
        """There will be no tick any more: whoever waits is told so, and open files are closed."""
        self._give_up_pending()
        self.reads.give_up()
        self.transfers.close()

    def _broadcast(self) -> None:
        """New entries go out at once; a commit index that moved alone goes out without asking for an ack."""
        if self.journal.last != self._broadcast_last:
            self._broadcast_last = self.journal.last
            self._SyncObj__sendAppendEntries()
            self._commit_sent = self.raftCommitIndex
        elif self.raftCommitIndex > self._commit_sent:
            self._commit_sent = self.raftCommitIndex
            self.reads.announce_commit(self.raftCommitIndex)

    def start_election(self) -> None:
        """Let pysyncobj campaign at this tick."""
        self._SyncObj__raftElectionDeadline = -1.0

    def cancel_election(self) -> None:
        """Do not campaign at this tick after all."""
        self._SyncObj__raftElectionDeadline = float("inf")

    def next_deadline(self) -> float:
        """When `tick` must be called at the latest, on the engine's clock."""
        if not self.leading:
            return self.election.deadline
        now, heartbeat_s = self.now(), self.timing.heartbeat_s
        due = self.guard.appended_at + heartbeat_s + _PAST_DUE_S
        return due if due > now + _PAST_DUE_S else now + heartbeat_s / 2

    @property
    def at_rest(self) -> bool:
        """Whether a tick would find nothing to do before `next_deadline`: all is applied and told."""
        commit = self._SyncObj__raftCommitIndex
        if self.leader != self._told_leader:
            return False
        if self._SyncObj__raftLastApplied != commit and not self.newer.stopped:
            return False
        if not self.election.at_rest:
            return False
        if self.role_number != _LEADER:
            return True  # What it was sent is on its way to the disk already, and answered when it is there.
        last, log = self.journal.last, self.journal.log
        told = self._broadcast_last == last == commit and self._commit_sent == last
        if log.seq != log.synced:
            return False
        return told and self.reads.at_rest and not self.transfers.active and not self.guard.congested
