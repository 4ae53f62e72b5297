"""The journal: bounded slices, the member set that follows from the log, and what a restart makes of the records."""

import msgpack
import pytest

from raftreg.consensus.journal import APPLIED_BYTES, SLICE_BYTES, SLICE_ENTRIES, Journal, Placed
from raftreg.consensus.members import Members
from raftreg.errors import Fatal, StartRefused
from tests.consensus.worlds import CLUSTER, Host, MemoryLog, app

GENESIS = CLUSTER.encode()


def journal(log: MemoryLog | None = None, base: Placed | None = None) -> Journal:
    """A journal over the records of a log."""
    log = log or MemoryLog()
    return Journal(log, list(log.records), GENESIS, base)


def test_an_empty_log_begins_with_the_genesis() -> None:
    """Index 1, term 0, the same bytes on every member; pysyncobj adds nothing of its own."""
    fresh = journal()
    assert (1, 0, GENESIS) == (fresh.last, fresh.term_at(1), fresh.entries[0][0])
    assert CLUSTER == fresh.placed.members


def test_an_open_slice_is_bounded_by_entries() -> None:
    """A member far behind is sent a part at a time, without copying the whole tail for each."""
    long = journal()
    for index in range(2, SLICE_ENTRIES + 100):
        long.add(b"x", index, 1)
    assert SLICE_ENTRIES == len(long[5:])
    assert SLICE_ENTRIES == len(long[0:99_999])


def test_an_open_slice_is_bounded_by_bytes_but_never_empty() -> None:
    """Large entries go in small numbers, and one that alone is above the bound goes by itself."""
    heavy = journal()
    for index in range(2, 8):
        heavy.add(bytes(SLICE_BYTES // 2), index, 1)
    assert 2 == len(heavy[1:])
    heavy.add(bytes(SLICE_BYTES * 2), 8, 1)
    assert 1 == len(heavy[7:])


def test_what_is_applied_in_one_turn_is_bounded_by_bytes() -> None:
    """Entries may hold many commands: between two such slices a leader that has just started says that it is there."""
    long = journal()
    for index in range(2, 100):
        long.add(bytes(APPLIED_BYTES // 10), index, 1)
    assert 10 == len(long[1:99])
    assert 2 == len(long[1:3])


def test_entries_above_the_bound_reach_the_members(host: Host) -> None:
    """An entry larger than a slice is sent whole, in one append."""
    host.lead().settle()
    data = bytes(2 * SLICE_BYTES)
    host.propose(data)
    host.engine.tick()
    sent = host.last("E")
    assert app(data) == sent[6][0][0]


def test_a_replay_keeps_little_of_what_a_snapshot_covers() -> None:
    """Memory after a restart is that of what is above the snapshot; the end of the log is what it was."""
    log = MemoryLog()
    before = journal(log)
    for index in range(2, 5001):
        before.add(b"x", index, 1)
    for position, end in (
        (3990, 5001),
        (4500, 4600),
    ):  # An unfinished tail is replaced, below and above the snapshot.
        before.deleteEntriesFrom(position - before.first)
        for index in range(position, end):
            before.add(b"y", index, 2)
    whole = journal(log)
    for covered in (4000, 4599, 9000):
        after = Journal(log, list(log.records), GENESIS, None, covered)
        assert len(after) <= 2 * 1024
        assert (whole.last, whole.durable, whole.entries[-len(after) :]) == (
            after.last,
            after.durable,
            after.entries,
        )
        assert after.first <= min(covered, after.last)


def test_entries_must_follow_each_other() -> None:
    """A gap is a bug that must not reach the disk."""
    with pytest.raises(Fatal, match="append at index 3 after 1"):
        journal().add(b"x", 3, 1)


def test_a_member_set_counts_when_appended_and_is_taken_back_when_truncated() -> None:
    """Committed or not, the latest set of the log is the one in use."""
    changes: list[frozenset[str]] = []
    log = journal()
    log.on_members = lambda: changes.append(log.placed.members.voters)
    fewer = Members("test", frozenset("ab"))
    log.add(fewer.encode(), 2, 1)
    log.deleteEntriesFrom(1)
    assert [frozenset("ab"), frozenset("abc")] == changes


def test_the_member_set_of_a_dropped_prefix_becomes_the_base() -> None:
    """Compaction forgets entries, never who belongs to the cluster."""
    log = journal()
    fewer = Members("test", frozenset("ab"))
    log.add(fewer.encode(), 2, 1)
    for index in range(3, 9):
        log.add(b"x", index, 1)
    log.deleteEntriesTo(5)
    assert (2, fewer) == (log.placed.index, log.placed.members)


def test_former_members_are_known_from_the_log() -> None:
    """Those of the snapshot's set and of later ones that the set in use is without; a truncation takes that back."""
    log = journal()
    assert frozenset() == log.former
    fewer = Members(CLUSTER.cluster_id, frozenset({"a.1", "b.1"}))
    log.add(fewer.encode(), 2, 1)
    assert CLUSTER.all - fewer.all == log.former != frozenset()
    log.deleteEntriesTo(1)
    assert CLUSTER.all - fewer.all == log.former
    log.deleteEntriesFrom(0)
    assert frozenset() == log.former


def test_a_restart_replays_appends_truncations_and_votes() -> None:
    """The records alone give entries, durable index, term and vote."""
    log = MemoryLog()
    first = journal(log)
    for index in range(2, 6):
        first.add(b"%d" % index, index, 1)
    first.deleteEntriesFrom(3)
    first.add(b"other", 4, 2)
    first.setCurrentTerm(2, "b")
    again = journal(MemoryLog(log.records))
    assert first.entries == again.entries
    assert (4, 2, "b") == (again.durable, again.getCurrentTerm(), again.getVotedForNodeId())


def test_a_clear_forgets_what_came_before_but_not_the_vote() -> None:
    """After a snapshot was installed the log begins anew; term and vote stay."""
    log = MemoryLog()
    first = journal(log)
    first.setCurrentTerm(7, "c")
    first.base = first.placed
    first.clear()
    first.add(b"e0", 50, 6)
    first.add(b"e1", 51, 6)
    again = journal(MemoryLog(log.records), first.base)
    assert (50, 51, 7, "c") == (again.first, again.last, again.getCurrentTerm(), again.getVotedForNodeId())


def test_segments_begin_with_term_and_vote() -> None:
    """What a new segment begins with makes older segments dispensable."""
    log = journal()
    log.setCurrentTerm(4, "a")
    again = journal(MemoryLog(log.preamble()))
    assert (4, "a") == (again.getCurrentTerm(), again.getVotedForNodeId())


def test_a_gap_in_the_records_is_noticed() -> None:
    """Segments that do not belong together are not taken for a log."""
    records = [msgpack.packb((0, index, 1, b"x")) for index in (5, 6, 8)]
    with pytest.raises(StartRefused, match="gap"):
        journal(MemoryLog(records))


def test_a_record_of_a_newer_raftreg_is_refused() -> None:
    """An unknown kind of record is not skipped."""
    with pytest.raises(StartRefused, match="unknown kind 9"):
        journal(MemoryLog([msgpack.packb((9,))]))


def test_a_release_keeps_the_two_entries_of_the_snapshot() -> None:
    """A restart aligns the log with the snapshot by its last two entries, so the disk keeps them."""
    log = MemoryLog()
    journal(log).release(100)
    assert 98 == log.dropped_through
