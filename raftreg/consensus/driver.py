"""Runs an engine on the event loop: its log and worker thread, one tick a turn, one timer.

Messages, proposals, syncs and timers mark the engine; it is ticked once, at the end of the loop's turn. An
exception inside a turn is a broken invariant: the process must end (`on_fatal`), it is never logged and gone
on.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raftreg.clock import Clock
from raftreg.consensus import MemberChange, StateMachine
from raftreg.consensus import messages as m
from raftreg.consensus.applied import AppliedWaiters
from raftreg.consensus.calls import Calls
from raftreg.consensus.disk import NO_HANDLE_ERRNOS
from raftreg.consensus.engine import Engine, World
from raftreg.consensus.identity import LOG_DIRECTORY
from raftreg.consensus.jobs import Worker
from raftreg.consensus.machinery import Machinery
from raftreg.consensus.members import Members, name_of
from raftreg.consensus.operations import Operations
from raftreg.consensus.recovery import recover
from raftreg.consensus.settings import RaftSettings
from raftreg.consensus.snapshot import SnapshotStore
from raftreg.consensus.wal import Wal
from raftreg.errors import Damaged, Fatal, OutcomeUnknown, Overloaded
from raftreg.versions import Range

_log = logging.getLogger(__name__)
BACKLOG_BYTES = 64 << 20
_NO_HANDLES = (
    "out of file descriptors: %s acknowledges nothing until it can open the next file of its log in %s (%s); raise the "
    "limit (ulimit -n, LimitNOFILE= of systemd; fs.file-max if the whole machine has run out)"
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the driver is given."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    machinery: Machinery
    send: Callable[[str, list[Any]], bool]
    has_room: Callable[[str], bool]
    guarded: Callable[[Callable[[], object]], None]  # runs a piece of work; what it raises ends the process
    on_fatal: Callable[[BaseException], None]
    on_change: Callable[[], None]
    # The member set in use, the committed one, or the feature level is another one.
    on_members: Callable[[], None] = lambda: None
    # A member that is not in the committed set asks for votes.
    on_outsider: Callable[[str], None] = lambda member: None
    # Member id -> host:port, as far as this node knows them.
    addresses: Callable[[], Mapping[str, str]] = dict
    # The feature levels that a connected process knows, None if it is not connected.
    levels_of: Callable[[str], Range | None] = lambda member: None


class Driver:
    """A member at work. Made when the genesis is known; recovers in its constructor."""

    def __init__(
        self,
        settings: RaftSettings,
        member_id: str,
        genesis: bytes,
        machine: StateMachine,
        around: Surroundings,
    ) -> None:
        members = Members.decode(genesis)
        if members is None:
            raise Fatal("the genesis entry is not a member set")
        self.settings, self.around = settings, around
        self.applied = AppliedWaiters()
        self.disk_full, self._lack = False, ""  # why nothing can be made durable, for people
        self._ticking = self._closed = False
        self._seen: tuple[int, str | None] = (0, None)
        self._timer: asyncio.Handle | None = None
        self._timer_due_s = 0.0  # on the loop's clock
        self._unknown: set[tuple[str, str]] = set()  # (member, kind) of messages that were told of
        machinery = around.machinery
        self._jobs = Worker(around.loop, machinery.writer("raftreg-snapshot"), around.guarded)
        self.wal, self.engine = self._recovered(members, member_id, genesis, machine)
        wal = self.wal
        self.calls = Calls(around.loop, self.engine)
        self.operations = Operations(around.loop, self.engine, around.on_fatal)
        wal.start(around.loop, self._synced, self.engine.journal.preamble, around.on_fatal, self._disk_filled)
        wal.kick()
        self.want_tick()
        ends = self.engine.journal.last, self.engine.serializer.durable_index
        _log.info(
            "%s in cluster %s: log up to entry %d, snapshot up to %d", member_id, members.cluster_id, *ends
        )

    def _recovered(
        self, members: Members, member_id: str, genesis: bytes, machine: StateMachine
    ) -> tuple[Wal, Engine]:
        """Log and engine, from what is on the disk."""
        settings, around, machinery = self.settings, self.around, self.around.machinery
        directory, cluster_id = settings.data_dir, members.cluster_id
        writer = machinery.writer("raftreg-wal")
        store = SnapshotStore(directory, cluster_id, machinery.disk)

        def open_wal() -> Wal:
            return Wal(directory / LOG_DIRECTORY, cluster_id, member_id, disk=machinery.disk, writer=writer)

        def engine_on(wal: Wal, records: Iterator[bytes], lost: Damaged | None) -> Engine:
            world = World(
                outlet=around.send,
                clock=around.clock,
                jobs=self._jobs.run,
                rest=self._jobs.rest,
                want_tick=self.want_tick,
                want_sync=wal.kick,
                on_change=lambda: _later(around.loop, around.guarded, self._changed),
                on_members=lambda: _later(around.loop, around.guarded, around.on_members),
                on_outsider=around.on_outsider,
                addresses=around.addresses,
                levels_of=around.levels_of,
            )
            timing, entries = settings.timing, settings.snapshot_entries
            return Engine(member_id, genesis, wal, records, store, machine, world, timing, entries, lost)

        return recover(open_wal, engine_on)

    # -- the turn --------------------------------------------------------------------------------------------------
    def want_tick(self) -> None:
        """Tick at the end of this turn of the loop."""
        if not self._ticking:
            self._ticking = True
            self.around.loop.call_soon(self.around.guarded, self._turn)

    def _turn(self) -> None:
        self._ticking = False
        if self._closed:
            return
        engine = self.engine
        engine.tick()
        self.applied.reached(engine.raftLastApplied)
        if engine.guard.congested:
            engine.guard.relieve(
                {member for member in engine.guard.congested if self.around.has_room(member)}
            )
        self._set_timer(engine.next_deadline())

    def _set_timer(self, deadline: float) -> None:
        """Keep one timer; an earlier one that is set already may fire and find nothing due."""
        loop = self.around.loop
        when = loop.time() + max(0.001, deadline - self.around.clock.now())
        if self._timer is not None:
            if self._timer_due_s <= when + 0.001:
                return
            self._timer.cancel()
        # The handle is not asked when it is due: uvloop gives one that knows no time if that has come meanwhile.
        self._timer, self._timer_due_s = loop.call_at(when, self._timer_fired), when

    def _timer_fired(self) -> None:
        self._timer = None
        self.want_tick()

    def _synced(self, seq: int) -> None:
        self.around.guarded(lambda: self.engine.synced(seq))
        if not self.engine.at_rest:
            self.want_tick()

    def _changed(self) -> None:
        engine = self.engine
        self.operations.moved()
        self.calls.leader_moved(engine.leader)
        seen = (engine.raftCurrentTerm, engine.leader)
        if seen != self._seen:
            self._seen = seen
            _log.info("term %d: %s", seen[0], _leadership(engine))
        self.around.on_change()

    def _disk_filled(self, error: OSError | None) -> None:
        """Without room nothing can be made durable here: neither acks nor votes, so somebody else should lead."""
        self.disk_full = self.engine.election.barred = error is not None
        name, place = self.settings.name, self.settings.data_dir
        if error is None:
            _log.warning("the log can be written again: %s goes on", name)
            self.want_tick()
            return
        if error.errno in NO_HANDLE_ERRNOS:
            self._lack = f"{name} may open no more files"
            _log.error(_NO_HANDLES, name, place, error.strerror)
        else:
            self._lack = f"the disk of {name} is full"
            _log.error("disk full: %s acknowledges nothing until there is room in %s", name, place)
        self.around.guarded(self.engine.election.hand_over)

    # -- from the peers --------------------------------------------------------------------------------------------
    def receive(self, member: str, message: list[Any]) -> None:
        """One message of a member."""
        if self._closed:
            return  # The log takes nothing more.
        engine = self.engine
        if message[0] == m.APPEND and self.wal.backlog_bytes > BACKLOG_BYTES:
            engine.election.heard_leader()  # The disk does not keep up: what is dropped here will be sent again.
        elif not (engine.receive(member, message) or self.calls.receive(member, message)):
            unknown = (member, str(message[0])[:8])
            if unknown not in self._unknown:
                self._unknown.add(unknown)
                _log.warning("%s sent a message of unknown kind %s; is it a newer raftreg?", *unknown)

    def peer_up(self, member: str) -> None:
        """A member is connected."""
        self.engine.guard.peer_up(member)
        self.want_tick()

    def peer_down(self, member: str) -> None:
        """A member is not connected any more."""
        if member in self.engine.guard.up:
            self.engine.guard.peer_down(member)
            self.calls.peer_down(member)
            self.want_tick()

    # -- proposals -------------------------------------------------------------------------------------------------
    async def propose(self, data: bytes) -> tuple[int, object]:
        """See `Consensus.propose`."""
        self._check_disk()
        future: asyncio.Future[tuple[int, object]] = self.around.loop.create_future()
        index = self.engine.journal.last + 1

        def committed(result: object, known: bool) -> None:
            if future.done():
                return
            if known:
                future.set_result((index, result))
            else:
                future.set_exception(OutcomeUnknown("leadership was lost before the write was committed"))

        try:
            self.engine.propose(data, committed)
        except Fatal as error:
            self.around.on_fatal(error)
            raise
        return await future

    async def change_members(self, change: MemberChange) -> int:
        """See `Consensus.change_members`."""
        self._check_disk()
        return await self.operations.change_members(change)

    def _check_disk(self) -> None:
        if self.disk_full and (self.engine.leading or self.wal.backlog_bytes > BACKLOG_BYTES):
            raise Overloaded(f"{self._lack}, nothing can be made durable there")

    # -- the end ---------------------------------------------------------------------------------------------------
    async def close(self) -> None:
        """Answer nobody any more, flush the log, end the threads."""
        self._closed = True
        self.operations.close()
        await self.calls.stop()
        if self._timer is not None:
            self._timer.cancel()
        await self.wal.close()
        await self._jobs.stop()
        self.engine.close()


def _leadership(engine: Engine) -> str:
    """Who leads, for people."""
    if engine.leading:
        return f"{name_of(engine.member_id)} (this node) leads"
    return "no leader" if engine.leader is None else f"{name_of(engine.leader)} leads"


def _later(
    loop: asyncio.AbstractEventLoop,
    guarded: Callable[[Callable[[], object]], None],
    work: Callable[[], object],
) -> None:
    loop.call_soon(guarded, work)
