"""The write-ahead log: opaque records, durable in the order of their appending.

What is guaranteed
    * A record is durable when `synced` has reached its number; nothing is said before.
    * Recovery yields every durable record, in order, and perhaps some later ones: a prefix of what was
      appended.
    * A torn tail is cut; anything else that is wrong raises Damaged, with file and offset. (`segment` says
      how the two are told apart.)
    * A failed sync is never tried again: `on_failure` is called once and the log does nothing any more.
    * A full disk is not a failure: what was not synced stays in memory and is tried until there is room (to start, a
      full file system that copies on write needs some: the last batch is written again over itself). Nor is a
      process that may open no more files, which a new segment needs.
What is not
    * A log whose newest segment was removed or cut at the end of a batch by somebody looks like a shorter
      log.

One data flow: append -> buffer -> kick -> writer thread: one write, one fdatasync per batch -> on_synced on
the loop.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from raftreg.consensus.disk import FULL_ERRNOS, NO_HANDLE_ERRNOS, Disk, RealDisk, SyncFailed
from raftreg.consensus.segment import BATCH_HEADER_BYTES, MAX_RECORD_BYTES, RECORD_OVERHEAD_BYTES
from raftreg.consensus.segments import Segments
from raftreg.consensus.writer import ThreadWriter, Writer

logger = logging.getLogger(__name__)

BATCH_BYTES = 8 << 20
FULL_RETRY_S = 0.2
_WAITED_FOR = FULL_ERRNOS | NO_HANDLE_ERRNOS


@dataclass(slots=True)
class _Batch:
    """What goes to the disk together. `seq` is the number of its last record."""

    records: list[bytes]
    seq: int
    size: int
    first_entry_index: int
    top: int
    preamble: list[bytes] | None  # set: a new segment begins with these


class Wal:
    """A segmented log in one directory. All methods belong to the loop's thread."""

    def __init__(
        self,
        directory: Path,
        cluster_id: str,
        member_id: str,
        *,
        segment_bytes: int = 64 << 20,
        disk: Disk | None = None,
        writer: Writer | None = None,
    ) -> None:
        """`directory` is made if absent. `writer` runs the blocking work; by default a thread of its own."""
        self.seq = 0
        self.synced = 0
        self.backlog_bytes = 0
        self._segments = Segments(directory, cluster_id, member_id, segment_bytes, disk or RealDisk())
        self._writer: Writer = writer or ThreadWriter("raftreg-wal")
        self._buffer: list[tuple[bytes, int]] = []
        self._flight: _Batch | None = None
        self._drop_to = -1
        self._full = False
        self._failed = False
        self._closed: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_synced: Callable[[int], None]
        self._preamble: Callable[[], list[bytes]]
        self._on_failure: Callable[[BaseException], None]
        self._on_full: Callable[[OSError | None], None]

    @property
    def directory(self) -> Path:
        """Where the segments are."""
        return self._segments.directory

    def closed_segment(self, path: Path) -> int | None:
        """The number of a segment by its path, if it is one and not the newest."""
        return self._segments.closed_segment(path)

    def put_aside_through(self, number: int) -> None:
        """Rename all segments up to that number, which `recover` left out, so that nobody reads them. Blocks."""
        self._segments.put_aside_through(number)

    def recover(self, after: int = 0) -> Iterator[bytes]:
        """Every record, in order, of the segments above number `after`; to be exhausted before `start`.

        Cuts a torn tail (and logs it), makes the first segment if there is none, and syncs what it found.
        Raises Damaged or StartRefused, possibly after some records.
        """
        for records in self._segments.recover(after):
            self.seq += len(records)
            yield from records
        self.synced = self.seq

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        on_synced: Callable[[int], None],
        preamble: Callable[[], list[bytes]],
        on_failure: Callable[[BaseException], None],
        on_full: Callable[[OSError | None], None],
    ) -> None:
        """Begin to write. All four are called on the loop and must not raise.

        on_synced(seq): records up to `seq` are durable. preamble(): records that open each new segment, so
        that older ones can go; they are not counted in `seq`, and stand before records that may be older than
        they are.
        on_failure(error): the disk failed, nothing will be written any more. on_full(error): no room, or no more
        files may be opened; on_full(None): that is over.
        """
        self._loop = loop
        self._on_synced, self._preamble = on_synced, preamble
        self._on_failure, self._on_full = on_failure, on_full
        self._writer.start(loop)

    def append(self, record: bytes, entry_index: int | None = None) -> int:
        """Put a record into the buffer and return its number.

        `entry_index` is that of the Raft entry in it.
        """
        if len(record) > MAX_RECORD_BYTES:
            raise ValueError(f"record of {len(record)} bytes, at most {MAX_RECORD_BYTES} fit")
        self._buffer.append((record, entry_index or 0))
        self.backlog_bytes += len(record) + RECORD_OVERHEAD_BYTES
        self.seq += 1
        return self.seq

    def kick(self) -> None:
        """Write and sync what is buffered, unless that is going on: then it goes on by itself."""
        if self._flight is None and self._buffer and self._loop is not None and not self._failed:
            self._flight = self._take()
            self._submit()

    def drop_through(self, entry_index: int) -> None:
        """Delete closed segments, oldest first, while no entry in them is above `entry_index`."""
        if entry_index > self._drop_to and not self._failed and self._closed is None:
            self._drop_to = entry_index
            self._writer.submit(self._drop)

    async def close(self) -> None:
        """Flush what is buffered and stop. On a full disk the rest is given up: it was never acknowledged."""
        if self._loop is None or self._closed is not None:
            self._segments.abandon()
            return
        self._closed = self._loop.create_future()
        if self._flight is None or self._failed:
            self._close_if_idle()
        await self._closed
        await self._writer.stop()

    # On the loop.

    def _take(self) -> _Batch:
        """The next batch: all that is buffered, up to a bound, but one record at least."""
        count = 0
        size = 0
        for record, _ in self._buffer:
            size += len(record) + RECORD_OVERHEAD_BYTES
            if size > BATCH_BYTES and count:
                size -= len(record) + RECORD_OVERHEAD_BYTES
                break
            count += 1
        taken = self._buffer[:count]
        del self._buffer[:count]
        indexes = [index for _, index in taken if index]
        return _Batch(
            records=[record for record, _ in taken],
            seq=self.seq - len(self._buffer),
            size=size,
            first_entry_index=indexes[0] if indexes else 0,
            top=max(indexes, default=0),
            preamble=self._preamble() if self._segments.is_full(size + BATCH_HEADER_BYTES) else None,
        )

    def _submit(self) -> None:
        self._writer.submit(self._write)

    def _finished(self, error: BaseException | None) -> None:
        """The writer is done with the batch in flight."""
        batch = self._flight
        assert batch is not None
        assert self._loop is not None
        if self._failed:
            return
        if isinstance(error, OSError) and error.errno in _WAITED_FOR:
            self._wait_for_room(error)
            return
        if error is not None:
            self._fail(error)
            return
        self._flight = None
        self.synced = batch.seq
        self.backlog_bytes -= batch.size
        if self._full:
            self._full = False
            self._on_full(None)
        self._on_synced(batch.seq)
        self.kick()
        if self._flight is None:
            self._close_if_idle()

    def _wait_for_room(self, error: OSError) -> None:
        assert self._loop is not None
        if not self._full:
            self._full = True
            self._on_full(error)
        if self._closed is not None:
            self._submit_close()
            return
        self._loop.call_later(FULL_RETRY_S, self._retry)

    def _retry(self) -> None:
        if self._closed is not None:
            self._submit_close()
        elif not self._failed:
            self._submit()

    def _fail(self, error: BaseException) -> None:
        if self._failed:
            return
        self._failed = True
        logger.critical("%s: the log cannot be written: %s", self._segments.directory, error)
        self._on_failure(error)
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        """Carry out a `close` that waited for the batch in flight."""
        if self._closed is not None and not self._closed.done():
            if self._buffer and not self._failed:
                self.kick()
            else:
                self._submit_close()

    def _submit_close(self) -> None:
        self._writer.submit(self._shut)

    def _shut_done(self) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    # In the writer's thread. One job at a time; only these touch the segments after the start.

    def _write(self) -> None:
        batch = self._flight
        assert batch is not None
        assert self._loop is not None
        segments = self._segments
        try:
            if batch.preamble is not None:
                segments.begin(batch.first_entry_index)
                batch.records[:0] = batch.preamble
                batch.preamble = None  # Another attempt finds it among the records.
            segments.write(batch.records, batch.top)
        except BaseException as error:  # Whatever it is, the loop has to know, and the process to stop.
            failure: BaseException | None = error
            if isinstance(error, OSError) and error.errno in _WAITED_FOR:
                failure = segments.cut_back() or error
            self._loop.call_soon_threadsafe(self._finished, failure)
            return
        self._loop.call_soon_threadsafe(self._finished, None)
        if not self._buffer:
            # The mark is a help for recovery only; a disk that is full or failing shows itself at the next
            # batch.
            with suppress(OSError):
                segments.mark()

    def _drop(self) -> None:
        assert self._loop is not None
        try:
            self._segments.drop_through(self._drop_to)
        except OSError as error:
            logger.warning("cannot delete an old segment of the log: %s", error)
        except BaseException as error:  # A failed sync, or a bug.
            self._loop.call_soon_threadsafe(self._fail, error)

    def _shut(self) -> None:
        assert self._loop is not None
        try:
            self._segments.close(trim=not self._failed)
        except (OSError, SyncFailed) as error:
            logger.warning("%s: closing the log: %s", self._segments.directory, error)
        self._loop.call_soon_threadsafe(self._shut_done)
