"""The segment files of a write-ahead log: recovery, writing, rolling over, deletion. Every method may block.

A segment is made under another name, with its header, and renamed when that is durable: a file `*.wal` always
has a whole header. Segments are numbered without gaps; the oldest are deleted one by one, each deletion
durable before the next, so a gap is damage. Space is allocated ahead in steps and filled with zeros: a batch
that fits into it changes no metadata of the file, so its sync is cheaper and has nothing to be wrong about, and
a disk that is full shows itself before anything is written.
"""

import itertools
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from raftreg.consensus.disk import FULL_ERRNOS, Disk, SyncFailed
from raftreg.consensus.files import BRING_BACK, NEW_DISK, explained
from raftreg.consensus.segment import (
    BadSegment,
    NewerFormat,
    SegmentHeader,
    SegmentReader,
    decode_header,
    encode_batch,
)
from raftreg.errors import Damaged, StartRefused

logger = logging.getLogger(__name__)

ALLOCATE_BYTES = 512 << 10
ASIDE = "damaged-"
REMEDY = f"Do not cut the file: acknowledged writes are in it. {BRING_BACK}"


@dataclass(slots=True)
class _Closed:
    """A segment that is not written to any more."""

    number: int
    top: int


def segment_name(number: int) -> str:
    """The file name of a segment."""
    return f"{number:020}.wal"


class Segments:
    """The files of one log. `end` is the offset behind the last durable batch of the newest segment."""

    def __init__(
        self, directory: Path, cluster_id: str, member_id: str, segment_bytes: int, disk: Disk
    ) -> None:
        self.directory = directory
        self._cluster_id = cluster_id
        self._member_id = member_id
        self._segment_bytes = segment_bytes
        self._disk = disk
        self._older: list[_Closed] = []
        self._handle: int | None = None
        self._number = 0
        self._seed = 0
        self._next_batch = 1
        self._batches = 0  # in the newest segment
        self._top = 0  # likewise
        self._end = 0
        self._allocated = 0
        self._preallocates = True
        self._marked = False
        self._unproved = b""  # the last batch that was recovered, if nothing says that it is on the disk

    # Recovery.

    def recover(self, after: int = 0) -> Iterator[list[bytes]]:
        """The records of each batch, in order. See Wal.recover."""
        with explained(self.directory, "read the log"):
            self._disk.make_directory(self.directory)
            numbers = self._list(after)
        for position, number in enumerate(numbers):
            yield from self._recover_segment(number, position == len(numbers) - 1)
        try:
            with explained(self.directory, "write the log"):
                if numbers:
                    self._reopen()
                else:
                    self._disk.sync_directory(self.directory.parent)
                    self._create(1, 0)
                self._disk.sync_directory(self.directory)
        except SyncFailed as failed:
            raise StartRefused(f"{self.directory}: {failed}. {NEW_DISK}.") from failed

    def closed_segment(self, path: Path) -> int | None:
        """See Wal.closed_segment."""
        if path.parent != self.directory or path.suffix != ".wal" or not path.stem.isdigit():
            return None
        number = int(path.stem)
        return number if number < max(self._numbers(), default=0) else None

    def put_aside_through(self, number: int) -> None:
        """See Wal.put_aside_through. The oldest goes first, so that none is missing in the middle after a crash."""
        with explained(self.directory, "rename a segment of the log"):
            for old in sorted(self._numbers()):
                if old <= number:
                    path = self.directory / segment_name(old)
                    self._disk.rename(path, path.with_name(f"{ASIDE}{path.name}"))
                    self._disk.sync_directory(self.directory)

    def _numbers(self) -> list[int]:
        stems = (
            name.removesuffix(".wal") for name in self._disk.listdir(self.directory) if name.endswith(".wal")
        )
        return [int(stem) for stem in stems if stem.isdigit()]

    def _list(self, after: int) -> list[int]:
        """The numbers of the segments above `after`. Removes what a crash left of one that was being made."""
        for name in self._disk.listdir(self.directory):
            if name.endswith(".new"):
                self._disk.unlink(self.directory / name)
        numbers = sorted(number for number in self._numbers() if number > after)
        for number, follower in itertools.pairwise(numbers):
            if follower != number + 1:
                missing = str(self.directory / segment_name(number + 1))
                raise Damaged(missing, 0, "segment is missing", REMEDY)
        return numbers

    def _recover_segment(self, number: int, newest: bool) -> Iterator[list[bytes]]:
        path = self.directory / segment_name(number)
        with explained(path, "read"):
            data = self._disk.read_file(path)
        try:
            header, offset = decode_header(data)
            self._check_header(path, header, number)
            reader = SegmentReader(data, offset, header.seed(), header.first_batch)
            yield from reader.batches()
        except BadSegment as bad:
            raise Damaged(str(path), bad.offset, bad.what, REMEDY) from None
        except NewerFormat as newer:
            raise StartRefused(f"{path}: {newer}. Start it with the newer raftreg that wrote it.") from None
        proof = reader.later_proof()
        if proof is not None:
            what = f"batch {reader.next_batch} is damaged (it was durable, as offset {proof} shows), first bad byte"
            raise Damaged(str(path), reader.end, what, REMEDY)
        self._adopt(number, header, reader)
        if newest and (torn := reader.torn_bytes()):
            what = "a write that a crash interrupted, never acknowledged"
            logger.warning("%s: cut a torn tail of %d bytes at offset %d: %s", path, torn, reader.end, what)

    def _check_header(self, path: Path, header: SegmentHeader, number: int) -> None:
        mine = (self._cluster_id, self._member_id)
        if (header.cluster_id, header.member_id) != mine:
            raise StartRefused(
                f"{path}: belongs to member {header.member_id} of cluster {header.cluster_id}, but this is member "
                f"{self._member_id} of cluster {self._cluster_id}. Put every node's data directory back in its place."
            )
        if header.number != number:
            raise Damaged(str(path), 0, f"holds segment {header.number}", REMEDY)
        if self._number and header.first_batch != self._next_batch:
            previous = self.directory / segment_name(number - 1)
            what = f"ends with batch {self._next_batch - 1} where {header.first_batch - 1} was durable,"
            raise Damaged(str(previous), self._end, what, REMEDY)

    def _adopt(self, number: int, header: SegmentHeader, reader: SegmentReader) -> None:
        """What was read becomes the newest segment; the one before it is closed."""
        if self._number:
            self._older.append(_Closed(self._number, self._top))
        self._number = number
        self._seed = header.seed()
        self._batches = reader.next_batch - header.first_batch
        self._next_batch = reader.next_batch
        self._top = reader.top
        self._end = self._allocated = reader.end
        self._unproved = reader.unproved()

    def _reopen(self) -> None:
        """Cut the newest segment behind its last good batch, and make sure of what a killed process left
        unsynced.

        Only after that the mark may say that the last batch was durable. It is written again, over itself: when a sync
        fails, Linux keeps what it did not write, readable and no longer dirty, so another sync of it would do nothing.
        """
        self._handle = self._disk.open(self.directory / segment_name(self._number))
        self._disk.truncate(self._handle, self._end)
        if self._unproved:
            self._disk.write(self._handle, self._end - len(self._unproved), self._unproved)
            self._unproved = b""
        self._disk.fdatasync(self._handle)
        self._mark_durably(self._handle)

    def _mark_durably(self, handle: int) -> None:
        """A durable mark, unless the disk is full."""
        try:
            self._marked = False
            self.mark()
        except OSError as error:
            if error.errno not in FULL_ERRNOS:
                raise
        self._disk.fdatasync(handle)

    # Writing.

    def is_full(self, size: int) -> bool:
        """Whether a batch of `size` bytes should open a new segment, or is the first of one that a crash left empty."""
        return self._end + size > self._segment_bytes if self._batches else bool(self._older)

    def begin(self, first_entry_index: int) -> bool:
        """Open a new segment; False if the newest has no batch yet (an earlier attempt or process got that far)."""
        if not self._batches:
            return False
        old, old_end = self._handle, self._end
        self._create(self._number + 1, first_entry_index)
        if old is not None:
            with suppress(OSError):  # Only gives back what was allocated ahead.
                self._disk.truncate(old, old_end)
            self._disk.close(old)
        return True

    def _create(self, number: int, first_entry_index: int) -> None:
        header = SegmentHeader(self._cluster_id, self._member_id, number, self._next_batch, first_entry_index)
        encoded = header.encode()
        path = self.directory / segment_name(number)
        fresh = path.with_suffix(".new")
        handle = self._disk.open(fresh, create=True)
        try:
            self._disk.write(handle, 0, encoded)
            self._disk.fdatasync(handle)
            self._disk.rename(fresh, path)
            self._disk.sync_directory(self.directory)
        except BaseException:
            self._disk.close(handle)
            raise
        if self._number:
            self._older.append(_Closed(self._number, self._top))
        self._handle, self._number, self._seed = handle, number, header.seed()
        self._batches = self._top = 0
        self._end = self._allocated = len(encoded)
        self._marked = False

    def write(self, records: list[bytes], top: int) -> None:
        """Write and sync one batch. After an OSError call `cut_back`; after SyncFailed stop."""
        assert self._handle is not None
        data = encode_batch(self._seed, self._end, self._next_batch, top, records)
        end = self._end + len(data)
        self._allocate(end)
        self._marked = False
        self._disk.write(self._handle, self._end, data)
        self._disk.fdatasync(self._handle)
        self._end = end
        self._next_batch += 1
        self._batches += 1
        if top > self._top:
            self._top = top

    def _allocate(self, end: int) -> None:
        """Make sure of room up to `end`; a step ahead if there is that much."""
        if end <= self._allocated or not self._preallocates:
            return
        assert self._handle is not None
        need = end - self._allocated
        try:
            self._preallocates = self._disk.allocate(self._handle, self._allocated, max(need, ALLOCATE_BYTES))
        except OSError as error:
            if error.errno not in FULL_ERRNOS:
                raise
            self._disk.truncate(self._handle, self._allocated)
            self._disk.allocate(self._handle, self._allocated, need)
            self._allocated = end
            return
        self._allocated += max(need, ALLOCATE_BYTES)

    def mark(self) -> None:
        """Prove the last batch durable, for recovery. Not synced."""
        assert self._handle is not None
        if self._batches and not self._marked:
            self._disk.write(
                self._handle, self._end, encode_batch(self._seed, self._end, self._next_batch, 0, [])
            )
            self._marked = True

    def cut_back(self) -> BaseException | None:
        """Forget what a failed write may have left behind the last durable batch.

        Returns an error that is fatal.
        """
        try:
            if self._handle is not None:
                self._disk.truncate(self._handle, self._end)
            self._allocated = self._end
            self._marked = False
        except OSError as error:
            return SyncFailed(f"cannot cut the log back: {error.strerror}")
        return None

    def drop_through(self, entry_index: int) -> None:
        """See Wal.drop_through. The newest closed one stays until the newest segment has a durable batch."""
        while self._older and self._older[0].top <= entry_index:
            if len(self._older) == 1 and not self._batches:
                return
            self._disk.unlink(self.directory / segment_name(self._older[0].number))
            del self._older[0]
            self._disk.sync_directory(self.directory)

    def close(self, *, trim: bool) -> None:
        """Close the newest segment; with `trim` give back allocated space and leave a durable mark."""
        if self._handle is None:
            return
        handle = self._handle
        try:
            if trim:
                self._disk.truncate(handle, self._end)
                self._mark_durably(handle)
        finally:
            self._handle = None
            self._disk.close(handle)

    def abandon(self) -> None:
        """Close without writing anything."""
        if self._handle is not None:
            self._disk.close(self._handle)
            self._handle = None
