"""Snapshots that a running node, or one that starts, cannot read, open or list."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import msgpack
import pytest

from raftreg.consensus.disk import RealDisk
from raftreg.errors import StartRefused
from tests.consensus.snapshot_scenes import filled, follow, long_log, pump, spoil
from tests.consensus.worlds import FakeClock, Host, MemoryLog

BYTES_LEFT = {"a cut header": 22, "a cut body": 100, "an empty file": 0}


def ruin_newest(leader: Host, patch: pytest.MonkeyPatch, how: str) -> None:
    """The newest snapshot of a leader goes bad."""
    path = leader.store.path(leader.store.indexes()[0])
    if how == "a failing disk":
        fail_to_read(patch, leader, path)
    elif how == "a flipped bit in the head":
        spoil(path, 30)
    else:
        path.write_bytes(path.read_bytes()[: BYTES_LEFT[how]])


@pytest.mark.parametrize(
    "what", ["a flipped bit in the head", "a cut header", "an empty file", "a failing disk"]
)
def test_a_leader_that_cannot_read_its_snapshot_writes_it_anew(
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    """It finds that out when a member needs it, lives on, and sends the new one."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    leader.propose(b"more")
    leader.engine.tick()
    leader.sync()
    leader.ack("b")
    ruin_newest(leader, monkeypatch, what)
    catch_up(leader, member, 8.0)
    assert leader.machine.applied == member.machine.applied
    assert 1 == len([text for text in caplog.messages if "writing it anew from memory" in text])


def fail_to_read(patch: pytest.MonkeyPatch, host: Host, path: Path) -> None:
    """The disk under a host gives nothing back of one file."""
    disk, bad = host.store.disk, path.stat().st_ino
    read, read_file = disk.read, disk.read_file

    def failing_read(handle: int, offset: int, size: int) -> bytes:
        if os.fstat(handle).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return read(handle, offset, size)

    def failing_read_file(place: Path) -> bytes:
        if place.stat().st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return read_file(place)

    patch.setattr(disk, "read", failing_read)
    patch.setattr(disk, "read_file", failing_read_file)


@pytest.mark.parametrize("what", ["a cut body", "a failing disk"])
def test_a_snapshot_that_is_lost_on_its_way_is_written_anew(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A file that was cut, or cannot be read any more, while it is sent: the leader lives on, and does not spin."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    leader.engine.transfers.begin("c")
    assert "c" in leader.engine.transfers.active
    ruin_newest(leader, monkeypatch, what)
    catch_up(leader, member, 8.0)
    assert leader.machine.applied == member.machine.applied
    assert leader.store.newest() is not None


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_start_without_the_newest_snapshot(
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    """What the disk lost is mended from the older one and the log; what is no loss, such as a limit, is told."""
    host = filled(tmp_path / "a", clock)
    newest, older = host.store.indexes()
    whole = RealDisk.read_file

    def read_file(disk: RealDisk, path: Path) -> bytes:
        if path == host.store.path(newest):
            raise OSError(number, os.strerror(number))
        return whole(disk, path)

    monkeypatch.setattr(RealDisk, "read_file", read_file)
    log = MemoryLog(host.log.records)
    if number == errno.EMFILE:
        with pytest.raises(StartRefused, match="cannot read: Too many open files"):
            Host(tmp_path / "a", clock, log=log, snapshot_entries=10)
        assert [newest, older] == host.store.indexes()
        return
    again = Host(tmp_path / "a", clock, log=log, snapshot_entries=10)
    assert (older, host.engine.journal.last) == (again.engine.raftLastApplied, again.engine.journal.last)
    assert (
        f"{host.store.path(newest)}: cannot be read (Input/output error) at offset 0; went on" in caplog.text
    )
    records = [record for record in host.log.records if msgpack.unpackb(record)[1] < newest]
    host.store.path(newest).touch()
    with pytest.raises(
        StartRefused, match=r"cannot be read \(Input/output error\) at offset 0. The disk is failing"
    ):
        Host(tmp_path / "a", clock, log=MemoryLog(records))


def out_of_files(*_: object) -> NoReturn:
    raise OSError(errno.EMFILE, "Too many open files")


def catch_up(leader: Host, member: Host, seconds: float) -> None:
    """Time passes in which the leader ticks, and everything arrives."""
    for _ in range(round(seconds / 0.21)):
        pump(leader, member)
        leader.clock.time += 0.21
        leader.ack("b")
        leader.engine.tick()


def test_a_snapshot_that_cannot_be_opened_is_sent_later(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A leader without file descriptors goes on, says so now and then, and sends the member nothing meanwhile."""
    leader, member = long_log(tmp_path, clock, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(leader.store.disk, "open", out_of_files)
        catch_up(leader, member, 6.0)
        told = [line for line in caplog.messages if "cannot send a snapshot to c, next try in 5 s" in line]
        assert len(told) == 2
        leader.propose(b"more")
        leader.engine.tick()
        assert [] == [message for to, message in leader.sent if to == "c" and message[0] in "ES"]
    catch_up(leader, member, 6.0)
    leader.ack("b")
    catch_up(leader, member, 1.0)
    assert leader.machine.applied == member.machine.applied


def test_snapshots_that_cannot_be_listed_keep_the_log(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node without file descriptors goes on when a snapshot is complete; the next one lets the log go."""
    host = filled(tmp_path / "a", clock)
    kept, durable = host.log.dropped_through, host.engine.serializer.durable_index
    with monkeypatch.context() as patch:
        patch.setattr(host.store.disk, "listdir", out_of_files)
        host.engine.serializer.became_durable()
    assert (kept, durable) == (host.log.dropped_through, host.engine.serializer.durable_index)
    follow(host, [b"x"] * 12)
    assert host.engine.serializer.durable_index > durable
    assert host.log.dropped_through > kept
