"""When a snapshot is written, and what goes on meanwhile."""

from itertools import pairwise
from pathlib import Path

import msgpack
import pytest
from pysyncobj.config import SERIALIZER_STATE

from tests.consensus.snapshot_scenes import NO_OP, follow, long_log
from tests.consensus.worlds import PIECE_BYTES, FakeClock, Host, MemoryLog, app


def test_a_snapshot_is_due_by_the_commands_in_the_entries(tmp_path: Path, clock: FakeClock) -> None:
    """Eleven entries of a hundred commands take a restart as long as a thousand entries of one."""
    host = Host(tmp_path / "a", clock, snapshot_entries=1000)
    host.machine.effort_each = 100
    host.append("b", 1, 1, 0, [(NO_OP, 1)], commit=2)
    follow(host, [b"many"] * 10)
    assert [] == host.store.indexes()
    follow(host, [b"many"])
    assert [13] == host.store.indexes()
    follow(host, [b"many"] * 10)
    assert [13] == host.store.indexes()


@pytest.mark.parametrize("effort_each", [0, 2], ids=["by entries", "by commands"])
def test_members_take_turns_to_write_their_snapshots(
    tmp_path: Path, clock: FakeClock, effort_each: int
) -> None:
    """All have the same entries, and what one of them is busy with shall not keep the others busy as well."""
    written: dict[str, list[int]] = {}
    for member in "abc":
        leader = "b" if member == "a" else "a"
        host = Host(tmp_path / member, clock, member=member, snapshot_entries=60)
        host.machine.effort_each = effort_each
        seen = written[member] = []
        host.append(leader, 1, 1, 0, [(NO_OP, 1)], commit=2)
        for number in range(300):
            follow(host, [b"%d" % number], leader)
            host.machine.applied.clear()  # or else it counts that little was logged beside a large state
            seen += [index for index in host.store.indexes()[:1] if index not in seen]
    turns = sorted((index, member) for member, indexes in written.items() for index in indexes)
    assert {"a", "b", "c"} == {member for _, member in turns[:3]}
    assert 5 <= min(later - sooner for (sooner, _), (later, _) in pairwise(turns))


def test_a_snapshot_is_written_with_rests(tmp_path: Path, clock: FakeClock) -> None:
    """After each encoded piece the thread leaves the interpreter to the event loop; nothing is lost by that."""
    host = Host(tmp_path / "a", clock)
    host.append("b", 1, 1, 0, [(NO_OP, 1)], commit=2)
    for _ in range(10):
        follow(host, [b"x" * 300_000])
    host.engine.serializer.write_now()
    snapshot = host.store.newest()
    assert snapshot is not None
    assert [b"x" * 300_000] * 10 == msgpack.unpackb(b"".join(snapshot.state))
    assert 3_000_000 < host.rests * PIECE_BYTES


def test_a_large_state_is_not_written_for_little(tmp_path: Path, clock: FakeClock) -> None:
    """After a snapshot, and after a restart with one, the log comes to half of it before the next."""
    host = Host(tmp_path / "a", clock, snapshot_entries=1000)
    host.machine.effort_each = 100
    host.append("b", 1, 1, 0, [(NO_OP, 1)], commit=2)
    follow(host, [b"x" * 4000] * 11)
    assert [13] == host.store.indexes()
    follow(host, [b"little"] * 20)
    assert [13] == host.store.indexes()
    follow(host, [b"x" * 24_000])
    assert [34, 13] == host.store.indexes()
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=1000)
    again.machine.effort_each = 100
    follow(again, [b"little"] * 20)
    assert [34, 13] == again.store.indexes()
    follow(again, [b"x" * 36_000])
    assert [55, 34] == again.store.indexes()


@pytest.mark.parametrize(("entries", "effort_each"), [(5000, 100), (700, 0)], ids=["commands", "entries"])
def test_a_restart_goes_through_its_log_before_it_writes_a_snapshot(
    tmp_path: Path, clock: FakeClock, entries: int, effort_each: int
) -> None:
    """What a snapshot costs is not added to the time until the node serves."""
    host = Host(tmp_path / "a", clock, snapshot_entries=entries)
    host.machine.effort_each = effort_each
    body = [(app(b"%d" % number), 1) for number in range(2000)]
    for start in range(0, len(body), 500):
        host.append("b", 1, 1 + start, 1 if start else 0, body[start : start + 500], commit=1)
    host.append("b", 1, 2001, 1, [], commit=2001)
    host.engine.tick()
    assert host.engine.raftLastApplied < host.engine.raftCommitIndex
    assert [] == host.store.indexes()
    while host.engine.raftLastApplied < host.engine.raftCommitIndex:
        host.engine.tick()
    assert [2001] == host.store.indexes()


def test_the_loop_does_not_wait_for_a_snapshot(tmp_path: Path, clock: FakeClock) -> None:
    """While the other thread writes, the node goes on applying and begins no second snapshot."""
    host = Host(tmp_path / "a", clock, snapshot_entries=10)
    host.hold_jobs = True
    body = [(NO_OP, 1)] + [(app(b"%d" % number), 1) for number in range(20)]
    host.append("b", 1, 1, 0, body, commit=22)
    host.engine.tick()
    host.append("b", 1, 22, 1, [(app(b"later"), 1)], commit=23)
    host.engine.tick()
    assert (1, [], b"later") == (len(host.jobs), host.store.indexes(), host.machine.applied[-1])
    host.run_jobs()
    host.engine.tick()
    assert [22] == host.store.indexes()
    snapshot = host.store.newest()
    assert snapshot is not None
    assert b"later" not in b"".join(snapshot.state)


def test_few_large_entries_make_a_snapshot_due(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log holds in memory is bounded in bytes too, not only in entries; members take turns there as well."""
    monkeypatch.setattr("raftreg.consensus.serializer.LOG_BYTES", 4500)
    first = {}
    for member, leader in (("a", "b"), ("b", "a"), ("c", "a")):
        host = Host(tmp_path / member, clock, member=member, snapshot_entries=1000)
        host.append(leader, 1, 1, 0, [(NO_OP, 1)], commit=2)
        for index in range(2, 40):
            follow(host, [b"x" * 500], leader)
            if member not in first and host.store.indexes():
                first[member] = index
        assert host.engine.journal.size_bytes < 6000
        assert sum(len(data) for data, _, _ in host.engine.journal.entries) == host.engine.journal.size_bytes
    assert first["c"] < first["b"] < first["a"]


def test_a_member_that_catches_up_does_not_make_the_log_boundless(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is connected and never takes its snapshot keeps twice the bytes in memory, not any number of them."""
    leader, _ = long_log(tmp_path, clock, monkeypatch)
    leader.engine.transfers.begin("c")
    monkeypatch.setattr("raftreg.consensus.serializer.LOG_BYTES", 5000)
    leader.engine.conf.logCompactionMinEntries = 1000
    largest = 0
    for _ in range(100):
        clock.time += 0.01
        leader.propose(b"x" * 500)
        largest = max(largest, leader.engine.journal.size_bytes)
        leader.sync()
        leader.ack("b")
        leader.engine.tick()
        leader.engine.tick()
    assert leader.engine.transfers.under_way()
    assert 2 * 5000 < largest < 3 * 5000


def test_members_take_turns_where_the_size_of_the_state_decides(tmp_path: Path, clock: FakeClock) -> None:
    """A state beside which the commands are little is written by one member after the other as well."""
    written: list[tuple[int, str]] = []
    for member in "abc":
        leader = "b" if member == "a" else "a"
        host = Host(tmp_path / member, clock, member=member, snapshot_entries=600)
        host.append(leader, 1, 1, 0, [(NO_OP, 1)], commit=2)
        follow(host, [b"x" * 60_000], leader)
        follow(host, [b"y", b"y"], leader)
        host.engine.serializer.write_now()
        host.engine.tick()
        host.machine.effort_each = 60
        seen = set(host.store.indexes())
        for _ in range(250):
            follow(host, [b"y" * 1000], leader)
            del host.machine.applied[1:]
            written += [(index, member) for index in host.store.indexes()[:1] if index not in seen]
            seen.update(host.store.indexes())
    written.sort()
    assert 12 <= len(written)
    assert all(3 <= sum(one == member for _, one in written) for member in "abc")
    assert 2 <= min(later - sooner for (sooner, _), (later, _) in pairwise(written))


def test_a_restart_does_not_write_what_it_loaded(tmp_path: Path, clock: FakeClock) -> None:
    """A long log above the newest snapshot makes a snapshot due when it has been gone through, and not before."""
    host = Host(tmp_path / "a", clock)
    host.append("b", 1, 1, 0, [(NO_OP, 1)], commit=2)
    follow(host, [b"first"] * 8)
    host.engine.serializer.write_now()
    follow(host, [b"more"] * 30)
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records), snapshot_entries=10)
    again.hold_jobs = True
    for _ in range(3):
        again.engine.tick()
    assert ([], [10]) == (again.jobs, again.store.indexes())
    again.hold_jobs = False
    again.append("b", 2, again.engine.journal.last, 1, [(NO_OP, 2)], commit=41)
    again.engine.tick()
    again.sync()
    again.engine.tick()
    assert [41, 10] == again.store.indexes()


def test_a_large_log_is_cut_by_one_snapshot(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is written the log stays large, which is no reason for a second one right after it."""
    monkeypatch.setattr("raftreg.consensus.serializer.LOG_BYTES", 3000)
    host = Host(tmp_path / "a", clock)
    host.hold_jobs = True
    host.append("b", 1, 1, 0, [(NO_OP, 1)], commit=2)
    follow(host, [b"x" * 500] * 8)
    follow(host, [b"little"])
    host.run_jobs()
    host.engine.tick()
    first = host.store.indexes()
    follow(host, [b"little"])
    host.run_jobs()
    assert ([], first) == (host.jobs, host.store.indexes())


def test_a_snapshot_that_ends_while_a_member_catches_up_cuts_nothing_yet(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member gets an older one and needs the entries above that, so it would be sent the new one all over."""
    leader, _ = long_log(tmp_path, clock, monkeypatch)
    leader.propose(b"more")
    leader.sync()
    leader.ack("b")
    leader.engine.tick()
    leader.hold_jobs = True
    leader.engine.serializer.write_now()
    leader.engine.transfers.begin("c")
    (sent,) = [sending.index for sending in leader.engine.transfers.active.values()]
    leader.run_jobs()
    assert sent < leader.store.indexes()[0]
    leader.engine.tick()
    assert leader.engine.journal.first <= sent
    assert leader.engine.serializer.under_way
    leader.engine.transfers.forget("c")
    clock.time += 5.0
    leader.engine.tick()
    assert leader.engine.journal.first > sent
    assert (SERIALIZER_STATE.NOT_SERIALIZING, None) == leader.engine.serializer.checkSerializing()
