"""Snapshots: aligned with the log after a crash, sent in chunks, refused when damaged."""

import errno
from pathlib import Path

import msgpack
import pytest

from raftreg.consensus import snapshot as snapshots
from raftreg.consensus.engine import Engine
from raftreg.errors import Damaged, StartRefused
from tests.consensus.snapshot_scenes import NO_OP, filled, long_log, pump, spoil
from tests.consensus.worlds import FakeClock, Host, MemoryLog, app


def test_a_snapshot_cuts_the_log_and_two_are_kept(tmp_path: Path, clock: FakeClock) -> None:
    """The log in memory stays short, the disk may forget what lies below the older of two snapshots."""
    host = filled(tmp_path / "a", clock)
    newest, older = host.store.indexes()
    assert len(host.engine.journal) <= 11
    assert host.log.dropped_through == older - 2
    assert newest == host.engine.serializer.durable_index


def test_a_restart_loads_snapshot_and_tail(tmp_path: Path, clock: FakeClock) -> None:
    """State up to the snapshot, entries above it from the log; nothing of the acked tail is dropped."""
    host = filled(tmp_path / "a", clock)
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=10)
    assert host.engine.journal.last == again.engine.journal.last
    assert again.machine.applied == host.machine.applied[: len(again.machine.applied)]
    assert again.engine.raftLastApplied == host.store.indexes()[0]


def test_a_crash_between_snapshot_and_cut_keeps_the_tail(tmp_path: Path, clock: FakeClock) -> None:
    """A durable snapshot with an uncut log is aligned, not thrown away with it (plain pysyncobj clears all)."""
    host = Host(tmp_path / "a", clock, snapshot_entries=10)
    body = [(NO_OP, 1)] + [(app(b"%d" % number), 1) for number in range(28)]
    host.append("b", 1, 1, 0, body[:12], commit=13)
    host.append("b", 1, 13, 1, body[12:], commit=13)
    host.engine.tick()
    host.sync()
    assert [13] == host.store.indexes()
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=10)
    assert (30, 13, 12) == (
        again.engine.journal.last,
        again.engine.raftLastApplied,
        again.engine.journal.first,
    )


def test_what_a_crash_left_of_a_snapshot_goes_at_the_start(tmp_path: Path, clock: FakeClock) -> None:
    """A file that was being written or received is of no use, as large as the state, and never overwritten."""
    host = filled(tmp_path / "a", clock)
    kept = sorted(path.name for path in (tmp_path / "a").iterdir())
    for name in ("snapshot-00000000000000000099.new", "receiving"):
        (tmp_path / "a" / name).write_bytes(b"half")
    (tmp_path / "a" / "meta.new").write_bytes(b"not ours")
    Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=10)
    assert sorted([*kept, "meta.new"]) == sorted(path.name for path in (tmp_path / "a").iterdir())


def test_a_member_without_the_entries_gets_a_snapshot(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lagging member ends with the leader's state and log, through the snapshot and the entries above it."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    pump(leader, member)
    assert leader.machine.applied == member.machine.applied
    assert leader.engine.journal.last == member.engine.journal.last
    assert {} == leader.engine.transfers.active


def test_a_transfer_survives_lost_chunks(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a stall the leader asks what the member has and goes on from there."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    pump(leader, member, loss=2)
    assert "c" in leader.engine.transfers.active
    for _ in range(6):
        clock.time += 0.21
        leader.ack("b")
        leader.engine.tick()
        pump(leader, member)
    assert leader.machine.applied == member.machine.applied


def test_a_member_that_went_away_keeps_no_old_snapshot_open(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transfer is resumed when it comes back, unless there is a newer one: a deleted file would stay for ever."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    pump(leader, member, loss=2)
    leader.engine.guard.peer_down("c")
    leader.engine.tick()
    assert "c" in leader.engine.transfers.active
    leader.engine.serializer.write_now()
    leader.engine.tick()
    assert {} == leader.engine.transfers.active
    leader.engine.guard.peer_up("c")
    for _ in range(3):
        pump(leader, member)
        clock.time += 0.21
        leader.ack("b")
        leader.engine.tick()
    assert leader.machine.applied == member.machine.applied


def test_a_needless_snapshot_is_confirmed_without_being_installed(tmp_path: Path, clock: FakeClock) -> None:
    """A member that has the entry already never goes back, and drops no matching tail."""
    host = filled(tmp_path / "a", clock)
    host.sent.clear()
    host.engine.receive("b", ["S", 1, 12, 1, 100, 0, 0, b""])
    host.sync()
    assert ["A", 1, 13, False, True, 0] == host.last("A")


def test_a_snapshot_chunk_commits_nothing(tmp_path: Path, clock: FakeClock) -> None:
    """A deposed leader with a stale tail applies none of it when a snapshot begins to arrive."""
    host = Host(tmp_path / "a", clock).lead().settle()
    outcome = host.propose(b"stale")
    host.engine.tick()
    before = list(host.machine.applied)
    host.engine.receive("c", ["S", 9, 1000, 9, 100, 0, 0, b""])
    host.engine.tick()
    assert (before, [(None, False)]) == (host.machine.applied, outcome)


@pytest.mark.parametrize("place", [0, 20, 60, -3])
def test_a_flipped_bit_is_found(tmp_path: Path, clock: FakeClock, place: int) -> None:
    """A damaged snapshot whose entries are gone from the log is refused with file and offset, and stays."""
    host = filled(tmp_path / "a", clock)
    path = host.store.path(host.store.indexes()[0])
    spoil(path, place)
    log = MemoryLog(_record(*entry) for entry in host.engine.journal.entries)
    with pytest.raises(Damaged, match=rf"{path}: .* at offset \d+\. Bring back the right files"):
        Host(tmp_path / "a", clock, log=log)
    assert path.exists()


@pytest.mark.parametrize("place", [0, 20, 60, -3])
def test_a_damaged_snapshot_is_mended_from_the_older_one(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture, place: int
) -> None:
    """Where the log has what was in it, the older snapshot takes its place, one line says so, the file goes aside."""
    host = filled(tmp_path / "a", clock)
    newest, older = host.store.indexes()
    spoil(host.store.path(newest), place)
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=10)
    assert (older, host.engine.journal.last) == (again.engine.raftLastApplied, again.engine.journal.last)
    assert again.machine.applied == host.machine.applied[: len(again.machine.applied)]
    (warning,) = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert str(host.store.path(newest)) in warning
    assert f"went on from snapshot {older}" in warning
    assert [older] == again.store.indexes()
    assert (tmp_path / "a" / f"damaged-snapshot-{newest:020}").exists()


def test_all_snapshots_damaged_and_the_log_whole(tmp_path: Path, clock: FakeClock) -> None:
    """A log that begins with the first entry needs no snapshot."""
    host = filled(tmp_path / "a", clock)
    for index in host.store.indexes():
        spoil(host.store.path(index), 30)
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=10)
    assert ([], host.engine.journal.last) == (again.store.indexes(), again.engine.journal.last)


def test_a_log_that_ends_below_a_damaged_snapshot_mends_nothing(tmp_path: Path, clock: FakeClock) -> None:
    """What only the damaged snapshot held, such as one from the leader, would be lost: the node refuses."""
    host = filled(tmp_path / "a", clock)
    newest, older = host.store.indexes()
    spoil(host.store.path(newest), 30)
    records = [record for record in host.log.records if msgpack.unpackb(record)[1] < newest]
    with pytest.raises(Damaged, match=str(host.store.path(newest))):
        Host(tmp_path / "a", clock, log=MemoryLog(records))
    assert [newest, older] == host.store.indexes()


def test_a_missing_snapshot_is_noticed(tmp_path: Path, clock: FakeClock) -> None:
    """A log that begins above the newest snapshot has a hole; such a node does not start."""
    host = filled(tmp_path / "a", clock)
    log = MemoryLog()
    engine: Engine = host.engine
    for data, index, term in engine.journal.entries:
        log.append(_record(data, index, term))
    for index in host.store.indexes():
        host.store.path(index).unlink()
    with pytest.raises(Damaged, match="the log begins at"):
        Host(tmp_path / "a", clock, log=log)


def test_a_log_without_the_two_entries_of_the_snapshot_is_noticed(tmp_path: Path, clock: FakeClock) -> None:
    """A log whose beginning was deleted is not aligned, which would drop what is above the snapshot: it is refused."""
    host = filled(tmp_path / "a", clock, count=36)
    newest = host.store.indexes()[0]
    entries = [entry for entry in host.engine.journal.entries if entry[1] >= newest]
    assert entries[-1][1] > newest
    with pytest.raises(Damaged, match=f"the log begins at entry {newest}"):
        Host(tmp_path / "a", clock, log=MemoryLog(_record(*entry) for entry in entries))


def _record(data: bytes, index: int, term: int) -> bytes:
    return bytes(msgpack.packb((0, index, term, data)))


def test_a_snapshot_of_another_cluster_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    """A file that was copied from elsewhere is not taken for our state."""
    host = filled(tmp_path / "a", clock)
    path = host.store.path(host.store.indexes()[0])
    with pytest.raises(Damaged, match="of cluster test, not other"):
        snapshots.decode(str(path), "other", path.read_bytes())


def test_a_restart_knows_that_a_snapshot_is_committed(tmp_path: Path, clock: FakeClock) -> None:
    """A leader after a restart of all does not count up from 1, which takes seconds when indexes are millions."""
    host = filled(tmp_path / "a", clock)
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=10)
    assert host.store.indexes()[0] == again.engine.raftCommitIndex


def test_a_damaged_snapshot_is_not_sent_for_ever(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that could not use what it got is sent the newest snapshot of then."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    damaged = leader.store.path(leader.store.indexes()[0])
    blob = bytearray(damaged.read_bytes())
    blob[-20] ^= 1
    damaged.write_bytes(blob)
    pump(leader, member)
    for number in range(14):
        leader.propose(b"more %d" % number)
        leader.engine.tick()
        leader.sync()
        leader.ack("b")
        leader.engine.tick()
    for _ in range(12):
        clock.time += 0.21
        leader.ack("b")
        leader.engine.tick()
        pump(leader, member)
    assert leader.machine.applied == member.machine.applied


def test_a_leader_whose_snapshot_was_spoilt_writes_it_anew(
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A member cannot use it, so the leader looks, says file and offset, and needs no new entries to mend it."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    damaged = leader.store.path(leader.store.indexes()[0])
    blob = bytearray(damaged.read_bytes())
    blob[-20] ^= 1
    damaged.write_bytes(blob)
    for _ in range(12):
        pump(leader, member)
        clock.time += 0.21
        leader.ack("b")
        leader.engine.tick()
    assert leader.machine.applied == member.machine.applied
    told = [text for text in caplog.messages if "writing it anew from memory" in text]
    assert 1 == len(told)
    assert f"{damaged}: a wrong checksum at offset" in told[0]
    assert leader.store.newest() is not None


def test_no_room_for_a_snapshot_that_arrives_is_waited_out(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that cannot even make the file goes on, and gets the snapshot when there is room."""
    leader, member = long_log(tmp_path, clock, monkeypatch)

    def full() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(member.store, "open_incoming", full)
        pump(leader, member)
    for _ in range(6):
        clock.time += 0.21
        leader.ack("b")
        leader.engine.tick()
        pump(leader, member)
    assert leader.machine.applied == member.machine.applied


def test_an_unreadable_snapshot_is_told_in_one_line(tmp_path: Path, clock: FakeClock) -> None:
    """What the file system says about the newest snapshot is said to the operator with its path."""
    host = filled(tmp_path / "a", clock)
    newest = host.store.path(host.store.indexes()[0])
    newest.unlink()
    newest.mkdir()
    with pytest.raises(StartRefused, match=f"{newest}: cannot read: Is a directory"):
        host.store.newest()


def test_a_member_catches_up_though_the_leader_goes_on(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a snapshot travels for longer than the next one takes to be due, the log waits for the member."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    for step in range(100):
        for source, target in ((leader, member), (member, leader)):
            messages, source.sent = source.sent, []
            for to, message in messages:
                if to == target.member:
                    target.engine.receive(source.member, message)
            target.sync()
        clock.time += 0.05
        for number in range(4):
            leader.propose(b"%d.%d" % (step, number))
            leader.engine.tick()
            leader.sync()
            leader.ack("b")
            leader.engine.tick()
        member.engine.tick()
        member.sync()
    assert {} == leader.engine.transfers.active
    assert leader.engine.raftCommitIndex - member.engine.raftLastApplied < 20
