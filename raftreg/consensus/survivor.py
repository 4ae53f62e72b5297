"""What the data directory of a stopped node holds, read as a start would read it, without changing a byte.

And what can be made of it when the majority of its cluster is lost for ever: a new cluster of one.
"""

import asyncio
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from raftreg.clock import Clock
from raftreg.consensus import StateMachine
from raftreg.consensus.changeover import FORMER, PREPARED, begin, finish
from raftreg.consensus.disk import Disk, RealDisk
from raftreg.consensus.engine import Engine, World
from raftreg.consensus.files import explained
from raftreg.consensus.identity import LOG_DIRECTORY, Identity, lock_data_dir, read_identity, write_identity
from raftreg.consensus.journal import Journal, Placed
from raftreg.consensus.members import APP, CONFIG, NO_OP, Members
from raftreg.consensus.recovery import recover
from raftreg.consensus.segments import Segments
from raftreg.consensus.snapshot import Snapshot, SnapshotStore
from raftreg.consensus.wal import Wal
from raftreg.errors import Damaged, NewerFormat, StartRefused

_SEGMENT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Survivor:
    """A data directory. `written_at`: wall clock, seconds, of the last write to its log or snapshots."""

    path: Path
    name: str
    member_id: str
    cluster_id: str
    members: Members
    last_index: int
    last_term: int  # of the last entry
    term: int  # the latest that the node took part in
    snapshot_index: int
    written_at: float
    outdated: str | None = None  # what a peer said that knew a newer process of it

    @property
    def place(self) -> tuple[int, int]:
        """How far the log is: of two of one cluster, the greater knows more (Raft's own rule)."""
        return self.last_term, self.last_index


class _Glance(RealDisk):
    """A disk on which nothing is changed: what would write does nothing."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """For reading only."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """Nothing."""

    def truncate(self, handle: int, size: int) -> None:
        """Nothing."""

    def fdatasync(self, handle: int) -> None:
        """Nothing."""

    def rename(self, source: Path, target: Path) -> None:
        """Nothing."""

    def unlink(self, path: Path) -> None:
        """Nothing."""

    def make_directory(self, path: Path) -> None:
        """Nothing."""

    def sync_directory(self, path: Path) -> None:
        """Nothing."""


class Opened:
    """A data directory that no node runs on meanwhile; a context manager that holds its lock."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        """`disk` is for what is written. Raises StartRefused if a node runs on it, or it is no data directory."""
        self.path = path
        self._disk = disk or RealDisk()
        if not path.is_dir():
            raise StartRefused(
                f"{path}: no such directory. Name the data directory of a node that has survived."
            )
        if not any((path / name).exists() for name in ("meta", "recovery")):
            raise StartRefused(f"{path}: not the data directory of a node: there is no meta file in it.")
        self._lock: int | None = lock_data_dir(path)
        try:
            finish(path, self._disk)
            self.identity = self._identity()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others have the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _identity(self) -> Identity:
        identity = read_identity(self.path)
        if identity.genesis is None or identity.cluster_id is None:
            raise StartRefused(
                f"{self.path}: {identity.name} never belonged to a cluster: there is nothing to recover."
            )
        log = self.path / LOG_DIRECTORY
        with explained(log, "read the log"):
            names = os.listdir(log) if log.is_dir() else []
        if not any(name.endswith(".wal") for name in names):
            raise StartRefused(f"{log}: the log is missing. Recover from another directory.")
        return identity

    def load(self, machine: StateMachine, clock: Clock) -> Survivor:
        """Bring the machine to the end of the log, whether or not that was ever committed. Raises Damaged."""
        identity = self.identity
        assert identity.genesis is not None
        assert identity.cluster_id is not None
        wal, engine = _engine_on(self.path, identity, machine, clock)
        try:
            journal = engine.journal
            for data, index, _ in list(journal.entries):
                if index > engine.raftLastApplied and data[:2] == APP:
                    machine.apply(index, data[2:])
                elif data[:2] not in (APP, CONFIG, NO_OP) or journal.newer:
                    raise NewerFormat(
                        f"{self.path}: the log has entries of a newer raftreg: recover with that"
                    )
            term = journal.term_at(journal.last)
            assert term is not None
            return Survivor(
                path=self.path,
                name=identity.name,
                member_id=identity.member_id,
                cluster_id=identity.cluster_id,
                members=journal.placed.members,
                last_index=journal.last,
                last_term=term,
                term=max(term, journal.getCurrentTerm()),
                snapshot_index=engine.serializer.durable_index,
                written_at=_written_at(self.path),
                outdated=identity.outdated,
            )
        finally:
            engine.close()
            asyncio.run(wal.close())

    def make_cluster(self, survivor: Survivor, machine: StateMachine, clock: Clock) -> tuple[Members, Path]:
        """Make the directory that of a new cluster, whose one voter is a new member of the same name. Blocks.

        `machine` is as `load` left it. Returns the new member set and where the old contents are.
        """
        disk, prepared = self._disk, self.path / PREPARED
        if prepared.exists():
            shutil.rmtree(prepared)  # What an earlier attempt left, that was never decided for.
        disk.make_directory(prepared)
        incarnation = clock.token(16).hex()
        member_id = f"{survivor.name}.{incarnation}"
        members = Members.genesis([member_id])
        snapshot = _first_snapshot(survivor, members, list(machine.freeze()()), machine.level())
        SnapshotStore(prepared, members.cluster_id, disk).save(snapshot)
        _write_log(prepared / LOG_DIRECTORY, members.cluster_id, member_id, snapshot, disk)
        identity = Identity(
            survivor.name,
            incarnation,
            0,
            members.cluster_id,
            members.encode(),
            log_begun=True,
            recovered=True,
        )
        write_identity(prepared, identity, disk)
        disk.sync_directory(prepared)
        former = f"{FORMER}{survivor.cluster_id}-{incarnation[:8]}"
        begin(self.path, former, disk)
        return members, self.path / former


def _engine_on(path: Path, identity: Identity, machine: StateMachine, clock: Clock) -> tuple[Wal, Engine]:
    """The member at its last entry, connected to nothing."""
    disk = _Glance()
    cluster_id, genesis = str(identity.cluster_id), identity.genesis or b""
    store = SnapshotStore(path, cluster_id, disk)
    world = World(
        outlet=lambda member, message: False,
        clock=clock,
        jobs=lambda work, done: None,
        want_tick=_nothing,
        want_sync=_nothing,
        on_change=_nothing,
        rest=_nothing,
    )

    def open_wal() -> Wal:
        return Wal(path / LOG_DIRECTORY, cluster_id, identity.member_id, disk=disk)

    def engine_on(wal: Wal, records: Iterator[bytes], lost: Damaged | None) -> Engine:
        return Engine(identity.member_id, genesis, wal, records, store, machine, world, lost=lost)

    return recover(open_wal, engine_on)


def _nothing() -> None:
    """Nobody is there to be told."""


def _first_snapshot(survivor: Survivor, members: Members, state: Iterable[bytes], level: int) -> Snapshot:
    """The state as it is, followed by an entry that names the members, in a term that is later than all others."""
    term, last = survivor.term + 1, survivor.last_index
    previous, newest = (NO_OP, last + 1, term), (members.encode(), last + 2, term)
    return Snapshot(newest, previous, Placed(term, last + 2, members), state, level)


class _Records:
    """The records of a log that is being made."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.seq = self.synced = 0

    def append(self, record: bytes, entry_index: int | None = None) -> int:
        """Keep it."""
        self.records.append(record)
        return len(self.records)

    def drop_through(self, entry_index: int) -> None:
        """Nothing is dropped."""


def _write_log(directory: Path, cluster_id: str, member_id: str, snapshot: Snapshot, disk: Disk) -> None:
    """A log that holds the term and the two entries of the snapshot, durable."""
    records = _Records()
    journal = Journal(records, [], snapshot.placed.members.encode(), None)
    journal.clear()
    journal.base = snapshot.placed
    journal.setCurrentTerm(snapshot.newest[2], None)
    for entry in (snapshot.previous, snapshot.newest):
        journal.add(*entry)
    segments = Segments(directory, cluster_id, member_id, _SEGMENT_BYTES, disk)
    if any(segments.recover()):
        raise StartRefused(f"{directory}: not empty, though it was just made.")
    segments.write(records.records, snapshot.index)
    segments.close(trim=True)


def _written_at(path: Path) -> float:
    names = [*path.glob("snapshot-*"), *(path / LOG_DIRECTORY).glob("*.wal")]
    return float(max(file.stat().st_mtime for file in names))
