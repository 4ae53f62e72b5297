"""Mends that concern what is on disk, and what is only believed to be there."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from raftreg.consensus import identity, snapshot
from raftreg.consensus.circle import Circle
from raftreg.consensus.disk import Disk
from raftreg.consensus.engine import Engine
from raftreg.consensus.guard import Guard
from raftreg.consensus.journal import Entry, Journal
from raftreg.consensus.segment import SegmentReader
from raftreg.consensus.serializer import Serializer
from raftreg.sim.disk import SimDisk
from raftreg.sim.mutants.mutant import mutant
from raftreg.sim.patches import Patches


@mutant("no-alignment", "crash")
def _no_alignment(patches: Patches) -> None:
    """The journal is not aligned with the snapshot at a restart, so pysyncobj drops all of it."""
    patches.put(Journal, "align", lambda journal, previous, newest: None)


@mutant("leader-counts-undurable", "slow-disk")
def _leader_counts_undurable(patches: Patches) -> None:
    """Acks count on the leader for entries that are not on its own disk."""
    original = Guard._release_acks

    def release(guard: Guard, only: str | None = None) -> None:
        journal = guard.engine.journal
        durable, journal.durable = journal.durable, journal.last
        original(guard, only)
        journal.durable = durable

    patches.put(Guard, "_release_acks", release)


@mutant("single-voter-undurable", "single")
def _single_voter(patches: Patches) -> None:
    """A node alone commits what is not on its disk yet."""
    original = Engine.tick

    def tick(engine: Engine) -> None:
        journal = engine.journal
        durable, journal.durable = journal.durable, journal.last
        original(engine)
        journal.durable = durable

    patches.put(Engine, "tick", tick)


@mutant("single-voter-votes-early", "single")
def _single_voter_votes_early(patches: Patches) -> None:
    """A node alone leads before its vote is on disk."""
    original = Guard._hold

    def hold(guard: Guard, member: str | None, message: Any) -> bool:
        if member is None:
            vote = {"type": "response_vote", "term": message}
            guard.engine.world.jobs(
                lambda: None, lambda _: guard._onMessageReceived(guard.engine.shadow, vote)
            )
            return True
        return original(guard, member, message)

    patches.put(Guard, "_hold", hold)


@mutant("nothing-synced", "power")
def _nothing_synced(patches: Patches) -> None:
    """Files are written and never synced."""
    patches.put(SimDisk, "fdatasync", _count_sync)


@mutant("names-not-synced", "power")
def _names_not_synced(patches: Patches) -> None:
    """Directories are changed and never synced."""
    patches.put(SimDisk, "sync_directory", _count_sync)


def _count_sync(disk: SimDisk, _: object) -> None:
    disk.syncs += 1


@mutant("failed-sync-trusted", "single")
def _failed_sync_trusted(patches: Patches) -> None:
    """After a sync that failed, the next process takes what it can read for what it can sync."""
    patches.put(SegmentReader, "unproved", lambda reader: b"")


@mutant("snapshot-not-synced", "snapshots")
def _snapshot_not_synced(patches: Patches) -> None:
    """A snapshot gets its name before its content is on disk."""

    def write(path: Path, pieces: Iterable[bytes], *, disk: Disk) -> int:
        fresh = path.with_name(path.name + ".new")
        handle = disk.open(fresh, create=True)
        data = b"".join(pieces)
        disk.write(handle, 0, data)
        disk.close(handle)
        disk.rename(fresh, path)
        disk.sync_directory(path.parent)
        return len(data)

    patches.put(snapshot, "write_atomically", write)


@mutant("log-cut-before-snapshot", "snapshots")
def _log_cut_before_snapshot(patches: Patches) -> None:
    """Segments go when a snapshot begins, not when it is durable."""
    original = Serializer.serialize

    def serialize(serializer: Serializer, data: Any, id_: int) -> None:
        original(serializer, data, id_)
        serializer.engine.journal.release(data[1][1])

    patches.put(Serializer, "serialize", serialize)


@mutant("log-cut-under-members", "never-the-end")
def _log_cut_under_members(patches: Patches) -> None:
    """The log is cut while a member gets a snapshot, so that what it needs next is gone when it has it."""
    patches.put(Serializer, "_must_wait", lambda serializer: False)


@mutant("segments-without-preamble", "power")
def _segments_without_preamble(patches: Patches) -> None:
    """A new segment does not begin with term and vote, so they go with the old ones."""
    patches.put(Journal, "preamble", lambda journal: [])


@mutant("one-entry-slices", "tails")
def _one_entry_slices(patches: Patches) -> None:
    """A slice of the log ends after one large entry: pysyncobj takes it for the last, and cuts no conflicting tail."""

    def bounded(journal: Journal, start: int, stop: int, size_max: int) -> list[Entry]:
        entries = journal.entries[start:stop]
        size = 0
        for position, entry in enumerate(entries):
            size += len(entry[0])
            if size > size_max and position:
                return entries[:position]
        return entries

    patches.put(Journal, "_bounded", bounded)


@mutant("lost-disk-readmitted", "wipe")
def _lost_disk_readmitted(patches: Patches) -> None:
    """A node that lost its disk comes back as the member that it was."""
    original = identity._read_or_make

    def read_or_make(*place: Any) -> Any:
        return replace(original(*place), incarnation="0")

    patches.put(identity, "_read_or_make", read_or_make)
    patches.put(Circle, "_shortened", lambda *_: None)
    patches.put(identity.DataDir, "judge_starts", lambda *_: None)
