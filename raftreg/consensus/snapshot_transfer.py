"""Sending snapshots to members whose entries are gone from the log: in chunks, resumable, with a window.

The leader sends an empty chunk first; the member answers how much of that snapshot it has, and so after each chunk. At
most WINDOW_BYTES are under way, so that a member that catches up starves nobody. The complete file is checked and made
durable in another thread before it replaces anything; what the member has already is confirmed without being sent.

A member that could not use what it got makes the leader check its own file, and so does a file that the leader cannot
read while it sends it: what the disk spoilt there is written anew from memory.
"""

import errno
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import google_crc32c

from raftreg.consensus import messages as m
from raftreg.consensus.disk import NO_HANDLE_ERRNOS
from raftreg.consensus.serializer import RETRY_S
from raftreg.consensus.snapshot import Snapshot, SnapshotStore
from raftreg.errors import Damaged, NewerFormat, StartRefused

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine
    from raftreg.consensus.guard import Message

_log = logging.getLogger(__name__)
CHUNK_BYTES = 256 << 10
WINDOW_BYTES = 1 << 20
STALLED_S = 1.0
SIZE_MAX = 1 << 40


@dataclass(slots=True)
class Sending:
    """A snapshot on its way to one member. The handle stays good when the file is pruned meanwhile."""

    handle: int
    index: int
    term: int
    size: int
    acked: int = 0
    sent: int = 0
    probed: bool = False
    progress_at: float = 0.0


@dataclass(slots=True)
class Receiving:
    """A snapshot that arrives. `complete` while it is being checked in the other thread."""

    handle: int
    index: int
    term: int
    size: int
    have: int = 0
    complete: bool = False

    def is_for(self, index: int, term: int, size: int) -> bool:
        """Whether a chunk belongs to this one."""
        return (self.index, self.term, self.size) == (index, term, size)


class SnapshotTransfers:
    """Both ends of all transfers of one node."""

    def __init__(self, engine: "Engine", store: SnapshotStore) -> None:
        self.engine = engine
        self.store = store
        self.active: dict[str, Sending] = {}
        self._put_off: dict[str, float] = {}  # members whose snapshot could not be read: when to try again
        self.receiving: Receiving | None = None
        self._ended_at = float("-inf")  # when a member had all of a snapshot
        self._examining = False

    # -- the leader's end ------------------------------------------------------------------------------------------
    def begin(self, member: str) -> None:
        """A member needs the newest snapshot; nothing happens if it is being sent already, or is put off."""
        if self.serves(member):
            return
        self.engine.feed.forget(
            member
        )  # What was held of the log is in the snapshot, or is found out after it.
        try:
            handle, index, term, size = self.store.open_newest()
        except (OSError, Damaged) as error:
            self._put_it_off(member, error)
            return
        _log.info("sending snapshot %d (%d KiB) to %s", index, size >> 10, member)
        sending = self.active[member] = Sending(handle, index, term, size, progress_at=self.engine.now())
        self._send(member, sending, b"")

    def _put_it_off(self, member: str, error: OSError | Damaged) -> None:
        """There is nothing to send. Until the next try the member gets no entries either, which it would refuse."""
        self.forget(member)
        self._put_off[member] = self.engine.now() + RETRY_S
        _log.error("cannot send a snapshot to %s, next try in %.0f s: %s", member, RETRY_S, error)
        if isinstance(error, Damaged) or error.errno not in NO_HANDLE_ERRNOS:
            self._examine()

    def serves(self, member: str) -> bool:
        """Whether a member gets a snapshot, or will, so that it has no use for entries now."""
        return member in self.active or member in self._put_off

    def _send(self, member: str, sending: Sending, data: bytes) -> bool:
        snapshot = (sending.index, sending.term, sending.size, sending.sent)
        message = [m.SNAPSHOT, self.engine.raftCurrentTerm, *snapshot, google_crc32c.value(data), data]
        return self.engine.outlet(member, message)

    def _pump(self, member: str, sending: Sending) -> None:
        while sending.sent < sending.size and sending.sent - sending.acked < WINDOW_BYTES:
            try:
                data = self.store.disk.read(sending.handle, sending.sent, CHUNK_BYTES)
                if not data:
                    raise OSError(
                        errno.EIO, f"snapshot {sending.index} ends at {sending.sent} of {sending.size} bytes"
                    )
            except OSError as error:
                self._put_it_off(member, error)
                return
            if not self._send(member, sending, data):
                return
            sending.sent += len(data)

    def acked(self, member: str, following: int) -> None:
        """A member acked entries below `following`: its transfer is done if the snapshot is among them."""
        sending = self.active.get(member)
        if sending is not None and following > sending.index:
            self._ended_at = self.engine.now()
            self.forget(member)
            self.engine.want_broadcast()

    def under_way(self) -> bool:
        """Whether a member that is connected gets a snapshot, or got one just now and the entries after it next."""
        return not self.active.keys().isdisjoint(self.engine.guard.up) or (
            self.engine.now() - self._ended_at < STALLED_S
        )

    def forget(self, member: str) -> None:
        """End the transfer to a member."""
        self._put_off.pop(member, None)
        sending = self.active.pop(member, None)
        if sending is not None:
            self.store.disk.close(sending.handle)

    def stop_sending(self) -> None:
        """This node leads no more."""
        for member in [*self.active, *self._put_off]:
            self.forget(member)

    def close(self) -> None:
        """This node ends."""
        self.stop_sending()
        self._discard()

    def tick(self) -> None:
        """Go back to what was acked where nothing moved for too long, and try again what was put off."""
        now = self.engine.now()
        for member in [name for name, due in self._put_off.items() if now >= due]:
            self.forget(member)
            self.engine.want_broadcast()
        for member in self._outdated():
            self.forget(member)
        for member, sending in self.active.items():
            if now - sending.progress_at > STALLED_S:
                sending.progress_at, sending.sent, sending.probed = now, sending.acked, False
                self._send(member, sending, b"")

    def _outdated(self) -> list[str]:
        """Members that went away while they got a snapshot that is not the newest any more: its file may be deleted."""
        up, newest = self.engine.guard.up, self.engine.serializer.durable_index
        return [name for name, sending in self.active.items() if name not in up and sending.index < newest]

    def _on_chunk_ack(self, member: str, message: "Message") -> None:
        _, term, index, index_term, have = message
        engine, sending = self.engine, self.active.get(member)
        if term != engine.raftCurrentTerm or not engine.leading:
            return
        if member in engine.members.all:
            engine.guard.heard(member)
        if sending is None or (sending.index, sending.term) != (index, index_term):
            return
        if (
            have < sending.acked
        ):  # It could not use what it got, or has started anew: there may be a newer one.
            self.forget(member)
            engine.want_broadcast()
            self._examine()
            return
        if have != sending.acked:
            sending.progress_at = engine.now()
        sending.acked = have
        if not sending.probed or sending.sent < have:
            sending.probed, sending.sent = True, have
        self._pump(member, sending)

    def _examine(self) -> None:
        """Check our own newest snapshot, in the other thread."""
        if not self._examining:
            self._examining = True
            self.engine.world.jobs(self.store.newest, self._examined)

    def _examined(self, outcome: object) -> None:
        self._examining = False
        if isinstance(outcome, Damaged):
            what = f"{outcome.path}: {outcome.what} at offset {outcome.offset}"
            _log.error("%s, so a member could not use it: writing it anew from memory", what)
            self.engine.serializer.write_now()
        elif isinstance(outcome, (StartRefused, OSError)):
            _log.error("cannot check the newest snapshot, writing it anew from memory: %s", outcome)
            self.engine.serializer.write_now()
        elif isinstance(outcome, BaseException):
            raise outcome

    # -- the member's end ------------------------------------------------------------------------------------------
    def receive(self, member: str, message: "Message") -> bool:
        """Chunks and their acks. Returns whether the kind was known here."""
        if message[0] == m.SNAPSHOT:
            self._on_chunk(member, message)
        elif message[0] == m.CHUNK_ACK:
            self._on_chunk_ack(member, message)
        else:
            return False
        return True

    def _on_chunk(self, member: str, message: "Message") -> None:
        _, term, index, index_term, size, offset, checksum, data = message
        engine = self.engine
        if term < engine.raftCurrentTerm:
            engine.outlet(member, [m.NEWER_TERM, engine.raftCurrentTerm])
            return
        if term > engine.raftCurrentTerm:
            engine.guard.step_down(engine.guard.node(member), term)
        engine.election.heard_leader()
        if not self._needed(index, index_term):
            engine.guard.confirm_snapshot(member, index)
            return
        if engine.newer.refuses(index, index_term):
            return  # The leader asks again now and then; there may be another one some time.
        receiving = self._receiving_of(index, index_term, size)
        if receiving is None:
            return
        if (
            data
            and offset == receiving.have
            and not receiving.complete
            and google_crc32c.value(data) == checksum
        ):
            self._store(receiving, data)
        engine.outlet(member, [m.CHUNK_ACK, term, index, index_term, receiving.have])

    def _needed(self, index: int, term: int) -> bool:
        return index > self.engine.raftLastApplied and self.engine.journal.term_at(index) != term

    def _receiving_of(self, index: int, term: int, size: int) -> Receiving | None:
        current = self.receiving
        if current is not None and current.is_for(index, term, size):
            return current
        if (current is not None and current.complete) or not 0 < size <= SIZE_MAX:
            return None
        self._discard()
        try:
            handle = self.store.open_incoming()
        except OSError as error:
            _log.error("cannot store a snapshot that arrives: %s", error)
            return None
        _log.info("receiving snapshot %d (%d KiB)", index, size >> 10)
        self.receiving = Receiving(handle, index, term, size)
        return self.receiving

    def _store(self, receiving: Receiving, data: bytes) -> None:
        try:
            self.store.disk.write(receiving.handle, receiving.have, data)
        except OSError as error:
            _log.error("cannot store a snapshot that arrives: %s", error)
            return
        receiving.have += len(data)
        if receiving.have >= receiving.size:
            receiving.complete = True
            self.engine.world.jobs(self.store.adopt, self._checked)

    def _checked(self, outcome: object) -> None:
        engine, receiving = self.engine, self.receiving
        self._discard()
        if isinstance(outcome, NewerFormat):
            if receiving is not None:
                engine.newer.refused(receiving.index, receiving.term, outcome)
        elif isinstance(outcome, (StartRefused, OSError)):
            _log.error("a received snapshot is unusable, it will be sent again: %s", outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
        elif isinstance(outcome, Snapshot) and self._needed(outcome.index, outcome.newest[2]):
            self._install(outcome)
        usable = isinstance(outcome, Snapshot) and not engine.newer.refuses(outcome.index, outcome.newest[2])
        if isinstance(outcome, Snapshot) and usable and engine.leader is not None and not engine.leading:
            engine.guard.confirm_snapshot(engine.leader, outcome.index)
        engine.want_tick()

    def _install(self, snapshot: Snapshot) -> None:
        try:
            self.engine.install(snapshot)
        except NewerFormat as newer:
            self.store.drop(snapshot.index)
            self.engine.newer.refused(snapshot.index, snapshot.newest[2], newer)
        else:
            _log.info("installed snapshot %d", snapshot.index)

    def _discard(self) -> None:
        if self.receiving is not None:
            self.store.disk.close(self.receiving.handle)
            self.receiving = None
