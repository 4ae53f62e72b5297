"""The write-ahead log at work: batches, segments, a disk that is full, a disk that fails."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from raftreg.consensus.disk import RealDisk, SyncFailed
from raftreg.consensus.segments import Segments, segment_name
from raftreg.consensus.wal import BATCH_BYTES, Wal
from tests.consensus.disks import FaultyDisk
from tests.consensus.loops import on_loop

T = TypeVar("T")
LARGE = b"x" * (5 << 20)  # More than is allocated ahead.


class Journal:
    """What stands above the log: remembers what it was told, and lets a test wait for it."""

    def __init__(self, directory: Path, disk: FaultyDisk | None = None, **settings: int) -> None:
        self.disk = disk or FaultyDisk()
        self.wal = Wal(directory, "c0ffee", "n1.0123", disk=self.disk, **settings)  # type: ignore[arg-type]
        self.recovered = list(self.wal.recover())
        self.disk.done.clear()
        self.synced: list[int] = []
        self.failures: list[BaseException] = []
        self.full: list[bool] = []
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.disk.listener = lambda: loop.call_soon_threadsafe(self._changed.set)
        note_full = self._note(self.full)
        self.wal.start(
            loop,
            self._note(self.synced),
            lambda: [b"preamble"],
            self._note(self.failures),
            lambda error: note_full(error is not None),
        )

    def _note(self, target: list[T]) -> Callable[[T], None]:
        def note(value: T) -> None:
            target.append(value)
            self._changed.set()

        return note

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to be told, or done by the disk."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def write(self, *records: bytes, index: int | None = None) -> None:
        """Append, kick, and wait until it is durable."""
        for record in records:
            self.wal.append(record, index)
        self.wal.kick()
        await self.until(lambda: self.wal.synced == self.wal.seq)


@on_loop
async def test_numbers_say_what_is_durable(tmp_path: Path) -> None:
    """Appending counts at once, syncing when the disk said so; a later process finds it all."""
    journal = Journal(tmp_path)
    assert 1 == journal.wal.append(b"a")
    assert 2 == journal.wal.append(b"b")
    assert (2, 0) == (journal.wal.seq, journal.wal.synced)
    assert journal.wal.backlog_bytes > 0
    journal.wal.kick()
    await journal.until(lambda: bool(journal.synced))
    assert ([2], 2, 0) == (journal.synced, journal.wal.synced, journal.wal.backlog_bytes)
    await journal.write(b"c")
    await journal.wal.close()
    later = Journal(tmp_path)
    assert [b"a", b"b", b"c"] == later.recovered
    assert (3, 3) == (later.wal.seq, later.wal.synced)
    assert 4 == later.wal.append(b"d")
    await later.wal.close()


@on_loop
async def test_one_write_and_one_sync_for_a_batch(tmp_path: Path) -> None:
    """What was appended before the kick goes to the disk with one write and one sync; then comes the mark."""
    journal = Journal(tmp_path)
    await journal.write(*[b"record"] * 100)
    await journal.wal.close()
    assert ["write", "sync"] == journal.disk.done[:2]
    assert 1 == len(journal.synced)


@on_loop
async def test_goes_on_by_itself(tmp_path: Path) -> None:
    """What is appended while a batch is on its way is the next batch, without another kick."""
    journal = Journal(tmp_path)
    journal.wal.append(b"a")
    journal.wal.kick()
    journal.wal.append(b"b")
    journal.wal.append(b"c")
    await journal.until(lambda: journal.wal.synced == 3)
    assert [1, 3] == journal.synced
    await journal.wal.close()


@on_loop
async def test_batches_are_bounded(tmp_path: Path) -> None:
    """A large backlog becomes several batches; a record that is larger than a batch is one alone."""
    journal = Journal(tmp_path)
    for size in (BATCH_BYTES // 2, BATCH_BYTES // 2 - 100, 1, BATCH_BYTES + 1, 1):
        journal.wal.append(b"x" * size)
    journal.wal.kick()
    await journal.until(lambda: journal.wal.synced == 5)
    assert [3, 4, 5] == journal.synced
    await journal.wal.close()


@on_loop
async def test_close_writes_what_is_buffered(tmp_path: Path) -> None:
    """Closing loses nothing that was appended."""
    journal = Journal(tmp_path)
    journal.wal.append(b"a")
    journal.wal.kick()
    journal.wal.append(b"b")
    await journal.wal.close()
    assert 2 == journal.wal.synced
    later = Journal(tmp_path)
    assert [b"a", b"b"] == later.recovered
    await later.wal.close()


@on_loop
async def test_record_above_the_limit_is_refused(tmp_path: Path) -> None:
    """A record that recovery would not read is not taken."""
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="at most"):
        journal.wal.append(bytes((64 << 20) + 1))
    await journal.wal.close()


@on_loop
async def test_new_segment_begins_with_the_preamble(tmp_path: Path) -> None:
    """A full segment is followed by one that opens with the preamble and is durable before it is written to."""
    journal = Journal(tmp_path, segment_bytes=300)
    await journal.write(b"a" * 200, index=1)
    journal.disk.done.clear()
    await journal.write(b"b" * 200, index=2)
    expected = ["write", "sync", f"rename {segment_name(2)}", f"sync {tmp_path.name}/", "write", "sync"]
    done = journal.disk.done
    begun = done.index("sync") - 1  # The mark of the first batch may come late, before all this.
    assert expected == done[begun : begun + 6]
    assert 2 == journal.wal.seq
    await journal.wal.close()
    later = Journal(tmp_path)
    assert [b"a" * 200, b"preamble", b"b" * 200] == later.recovered
    await later.wal.close()


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@on_loop
async def test_old_segments_go_when_their_entries_are_covered(tmp_path: Path, restart: bool) -> None:
    """Segments go oldest first, one durable deletion at a time, while no entry in them is above the index."""
    journal = Journal(tmp_path, segment_bytes=300)
    for index in (5, 9, 7, 8):
        await journal.write(b"x" * 200, index=index)
    if restart:
        await journal.wal.close()
        journal = Journal(tmp_path, segment_bytes=300)
    journal.disk.done.clear()
    journal.wal.drop_through(8)
    await journal.write(b"y")
    done = [
        what for what in journal.disk.done if what != "write"
    ]  # The mark of the last batch may come late.
    assert [f"unlink {segment_name(1)}", f"sync {tmp_path.name}/"] == done[:2]
    assert f"unlink {segment_name(2)}" not in journal.disk.done
    journal.wal.drop_through(100)
    await journal.wal.close()
    assert [segment_name(5)] == journal.disk.listdir(tmp_path)
    later = Journal(tmp_path)
    assert [b"preamble", b"y"] == later.recovered
    await later.wal.close()


@on_loop
async def test_full_disk_is_waited_for(tmp_path: Path) -> None:
    """Without room nothing is acknowledged and nothing is lost; with room it goes on by itself."""
    journal = Journal(tmp_path)
    await journal.write(b"before")
    journal.disk.room = 10
    journal.wal.append(LARGE)
    journal.wal.kick()
    await journal.until(lambda: bool(journal.full))
    journal.wal.append(b"waits too")
    journal.wal.kick()
    assert ([True], [], 1) == (journal.full, journal.failures, journal.wal.synced)
    journal.disk.room = None
    await journal.until(lambda: journal.wal.synced == 3)
    assert [True, False] == journal.full
    await journal.wal.close()
    later = Journal(tmp_path)
    assert [b"before", LARGE, b"waits too"] == later.recovered
    await later.wal.close()


@on_loop
async def test_no_room_for_a_new_segment(tmp_path: Path) -> None:
    """A disk that fills up just when a segment begins is waited for as well, and the preamble stands once."""
    journal = Journal(tmp_path, segment_bytes=300)
    await journal.write(b"a" * 200)
    journal.disk.room = 10
    journal.wal.append(b"b" * 200)
    journal.wal.kick()
    await journal.until(lambda: bool(journal.full))
    journal.disk.room = 100  # Enough for the header of a segment, not for the batch.
    await journal.until(lambda: f"rename {segment_name(2)}" in journal.disk.done)
    journal.disk.room = None
    await journal.until(lambda: journal.wal.synced == 2)
    await journal.wal.close()
    later = Journal(tmp_path)
    assert [b"a" * 200, b"preamble", b"b" * 200] == later.recovered
    await later.wal.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("late", [False, True], ids=["file", "directory"])
@on_loop
async def test_no_more_files_may_be_opened(tmp_path: Path, number: int, late: bool) -> None:
    """Where a segment cannot be made, or its directory not synced, for want of descriptors, the log waits for one."""
    journal = Journal(tmp_path, segment_bytes=300)
    await journal.write(b"a" * 200)

    def run_out() -> None:
        if journal.disk.done[-1:] == [f"rename {segment_name(2)}"]:
            journal.disk.open_error = number

    if late:
        listener, journal.disk.listener = journal.disk.listener, run_out
    else:
        journal.disk.open_error = number
    journal.wal.append(b"b" * 200)
    journal.wal.kick()
    await journal.until(lambda: bool(journal.full))
    assert ([True], [], 1) == (journal.full, journal.failures, journal.wal.synced)
    if late:
        journal.disk.listener = listener
    journal.disk.open_error = None
    await journal.until(lambda: journal.wal.synced == 2)
    assert ([True, False], []) == (journal.full, journal.failures)
    await journal.wal.close()
    later = Journal(tmp_path)
    assert [b"a" * 200, b"preamble", b"b" * 200] == later.recovered
    await later.wal.close()


@on_loop
async def test_close_on_a_full_disk_gives_up(tmp_path: Path) -> None:
    """A process can be stopped while the disk is full; what was not acknowledged is gone."""
    journal = Journal(tmp_path)
    await journal.write(b"before")
    journal.disk.room = 10
    journal.wal.append(LARGE)
    journal.wal.kick()
    await journal.until(lambda: bool(journal.full))
    await journal.wal.close()
    assert 1 == journal.wal.synced
    later = Journal(tmp_path)
    assert [b"before"] == later.recovered
    await later.wal.close()


@pytest.mark.parametrize("fault", ["sync", "write"])
@on_loop
async def test_failing_disk_is_the_end(tmp_path: Path, fault: str) -> None:
    """A failed sync or write is reported once, is never tried again, and nothing is acknowledged after it."""
    journal = Journal(tmp_path)
    await journal.write(b"before")
    if fault == "sync":
        journal.disk.sync_error = True
    else:
        journal.disk.write_error = errno.EIO
    journal.wal.append(b"lost")
    journal.wal.kick()
    await journal.until(lambda: bool(journal.failures))
    journal.disk.sync_error, journal.disk.write_error = False, None
    syncs = journal.disk.done.count("sync")
    journal.wal.append(b"too late")
    journal.wal.kick()
    await journal.wal.close()
    (failure,) = journal.failures
    assert (SyncFailed if fault == "sync" else OSError) is type(failure)
    assert ([1], syncs) == (journal.synced, journal.disk.done.count("sync"))


@on_loop
async def test_bug_in_the_writer_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in the thread reaches the loop."""
    journal = Journal(tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(journal.wal._segments, "write", broken)
    journal.wal.append(b"a")
    journal.wal.kick()
    await journal.until(lambda: bool(journal.failures))
    assert "a bug" == str(journal.failures[0])
    await journal.wal.close()


@on_loop
async def test_preamble_follows_into_a_segment_that_a_crash_left_empty(tmp_path: Path) -> None:
    """Term and vote stand in the new segment even if the process that opened it died before its first batch."""
    journal = Journal(tmp_path, segment_bytes=300)
    await journal.write(b"a" * 200, index=1)
    await journal.wal.close()
    segments = Segments(tmp_path, "c0ffee", "n1.0123", 300, RealDisk())
    assert [[b"a" * 200]] == list(segments.recover())
    segments.begin(2)
    segments.abandon()
    journal = Journal(tmp_path, segment_bytes=300)
    await journal.write(b"b", index=2)
    journal.wal.drop_through(1)
    await journal.wal.close()
    later = Journal(tmp_path)
    assert [b"preamble", b"b"] == later.recovered
    await later.wal.close()
