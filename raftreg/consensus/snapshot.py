"""Snapshots on disk: one checksummed file each, written beside the log by another thread; two are kept.

    snapshot-<index, 20 digits>  magic, then chunks: length (4 bytes) + CRC32C (4 bytes) + data; an empty one ends it
    first chunk                  msgpack [version, cluster id, newest entry, previous entry, [term, index, members]]
                                 and with version 2 the feature level of the cluster
    the others                   the state machine's bytes, about 1 MiB each

The file holds nothing that is special to the node that wrote it, so it is sent to other members as it is. A
snapshot without a member set is refused. Damage is never papered over: it is reported with file and offset, and
the older snapshot takes the place of a damaged one only if the log has the rest (`engine`).
"""

import errno
import logging
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import msgpack

from raftreg import versions
from raftreg.consensus.disk import Disk, RealDisk
from raftreg.consensus.files import BRING_BACK, NEW, NEW_DISK, explained, write_atomically
from raftreg.consensus.journal import Entry, Placed
from raftreg.consensus.members import Members
from raftreg.errors import Damaged, NewerFormat, StartRefused

_log = logging.getLogger(__name__)
_MAGIC = b"raftreg-snapshot\x01\n"  # stays: the version is in the head, where a checksum tells it from damage
_CHUNK_HEADER = struct.Struct("<II")
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES_MAX = 16 << 20  # two log entries and a member set
# The first format is written whenever it can say what there is; the second has the feature level, if that is not 1.
_PLAIN, _WITH_LEVEL = 1, 2
_PREFIX = "snapshot-"
_ASIDE = "damaged-snapshot-"
KEPT = 2
# How a disk, and a file system over it, says that what is in a file is gone.
_LOST_ERRNOS = frozenset({errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)})
_UPGRADE = "Start the newer raftreg that wrote it; nothing in the data directory was changed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after `newest` was applied, in pieces, which may be there for going through once.

    `previous` is the entry before it, `placed` the member set at `newest`.
    """

    newest: Entry
    previous: Entry
    placed: Placed
    state: Iterable[bytes]
    level: int = 1  # the feature level, which says what may be in `state`

    @property
    def index(self) -> int:
        """Raft index of the last entry that is in the state."""
        return self.newest[1]


def encode(cluster_id: str, snapshot: Snapshot) -> Iterator[bytes]:
    """The bytes of a snapshot file, a chunk at a time."""
    placed = snapshot.placed
    head: list[object] = [
        _PLAIN if snapshot.level == 1 else _WITH_LEVEL,
        cluster_id,
        list(snapshot.newest),
        list(snapshot.previous),
        [placed.term, placed.index, placed.members.encode()],
    ]
    if snapshot.level != 1:
        head.append(snapshot.level)
    yield _MAGIC + _chunk(msgpack.packb(head))
    for data in _gathered(snapshot.state):
        yield _chunk(data)
    yield _chunk(b"")


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at least a chunk's size, but for the last."""
    waiting, size = [], 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def _chunk(data: bytes) -> bytes:
    return _CHUNK_HEADER.pack(len(data), google_crc32c.value(data)) + data


def decode(path: str, cluster_id: str, blob: bytes) -> Snapshot:
    """The snapshot in a file's bytes. Raises Damaged with the offset of what is wrong, NewerFormat if it is newer."""
    chunks = list(_chunks(path, blob))
    if not chunks:
        raise Damaged(path, len(_MAGIC), "a snapshot without a head", BRING_BACK)
    try:
        version, *fields = msgpack.unpackb(chunks[0])
        _check_version(path, version)
        cluster, newest, previous, (term, index, members), *more = fields
        (level,) = more if version == _WITH_LEVEL else (1, *more)
        _check_level(path, level)
        decoded = Members.decode(members)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Damaged(path, len(_MAGIC), f"an unreadable head ({error})", BRING_BACK) from error
    except NewerFormat as newer:
        raise NewerFormat(f"{path}: {newer}. {_UPGRADE}") from None
    if decoded is None:
        raise Damaged(path, len(_MAGIC), "a head without a member set", BRING_BACK)
    if cluster != cluster_id:
        raise Damaged(path, len(_MAGIC), f"a snapshot of cluster {cluster}, not {cluster_id}", BRING_BACK)
    return Snapshot(
        tuple(newest), tuple(previous), Placed(term, index, decoded), [b"".join(chunks[1:])], level
    )


def _check_version(path: str, version: object) -> None:
    if type(version) is not int or version < 1:
        raise Damaged(path, len(_MAGIC), f"a head of format {version}", BRING_BACK)
    if version > _WITH_LEVEL:
        raise NewerFormat(f"format version {version} is newer than this raftreg knows ({_WITH_LEVEL})")


def _check_level(path: str, level: object) -> None:
    if type(level) is not int or level < 1:
        raise Damaged(path, len(_MAGIC), f"a head with feature level {level}", BRING_BACK)
    if level > versions.LEVEL_MAX:
        raise NewerFormat(f"feature level {level} is newer than this raftreg knows ({versions.LEVEL_MAX})")


def _chunks(path: str, blob: bytes) -> Iterator[bytes]:
    if blob[: len(_MAGIC)] != _MAGIC:
        raise Damaged(path, 0, "not the beginning of a snapshot", BRING_BACK)
    offset, view = len(_MAGIC), memoryview(blob)
    while True:
        if offset + _CHUNK_HEADER.size > len(blob):
            raise Damaged(path, offset, "the file ends too early", BRING_BACK)
        length, checksum = _CHUNK_HEADER.unpack_from(blob, offset)
        data = bytes(view[offset + _CHUNK_HEADER.size : offset + _CHUNK_HEADER.size + length])
        if len(data) != length or google_crc32c.value(data) != checksum:
            raise Damaged(path, offset, "a wrong checksum", BRING_BACK)
        offset += _CHUNK_HEADER.size + length
        if not length:
            break
        yield data
    if offset != len(blob):
        raise Damaged(path, offset, "bytes after the end", BRING_BACK)


class SnapshotStore:
    """The snapshots of one data directory. Methods that write are called in a worker thread, one at a time."""

    def __init__(self, directory: Path, cluster_id: str, disk: Disk | None = None) -> None:
        self.directory = directory
        self.cluster_id = cluster_id
        self.disk = disk or RealDisk()

    def clear(self) -> None:
        """At a start: remove what a crash left of snapshots that were being written or received."""
        for name in self.disk.listdir(self.directory):
            if name == self._incoming.name or (name.startswith(_PREFIX) and name.endswith(NEW)):
                try:
                    self.disk.unlink(self.directory / name)
                except OSError as error:
                    _log.warning("cannot remove %s, which a crash left: %s", self.directory / name, error)

    def indexes(self) -> list[int]:
        """Raft indexes of the snapshots on disk, newest first."""
        numbers = (
            name[len(_PREFIX) :] for name in self.disk.listdir(self.directory) if name.startswith(_PREFIX)
        )
        return sorted((int(number) for number in numbers if number.isdigit()), reverse=True)

    def path(self, index: int) -> Path:
        """Where the snapshot at a Raft index is."""
        return self.directory / f"{_PREFIX}{index:020d}"

    def newest(self) -> Snapshot | None:
        """The newest snapshot, checked; None if there is none. Raises Damaged."""
        indexes = self.indexes()
        return self._read(indexes[0]) if indexes else None

    def newest_whole(self) -> tuple[Snapshot | None, list[Damaged]]:
        """The newest snapshot that is whole, and what is wrong with the newer ones, newest first.

        What a failing disk does not give back is as good as damaged; any other error is one to mend, and raised.
        """
        damages: list[Damaged] = []
        for index in self.indexes():
            try:
                return self._read(index), damages
            except Damaged as damage:
                damages.append(damage)
            except StartRefused as refused:
                error = refused.__cause__
                if not isinstance(error, OSError) or error.errno not in _LOST_ERRNOS:
                    raise
                what = f"cannot be read ({error.strerror or error})"
                damages.append(Damaged(str(self.path(index)), 0, what, NEW_DISK))
        return None, damages

    def _read(self, index: int) -> Snapshot:
        path = self.path(index)
        with explained(path, "read"):
            blob = self.disk.read_file(path)
        snapshot = decode(str(path), self.cluster_id, blob)
        if snapshot.index != index:
            raise Damaged(str(path), len(_MAGIC), f"holds snapshot {snapshot.index}", BRING_BACK)
        return snapshot

    def drop(self, index: int) -> None:
        """Remove a snapshot that is of no use here."""
        self.disk.unlink(self.path(index))

    def put_aside(self, index: int) -> Path:
        """Rename a damaged snapshot, durably, so that nobody takes it for one; it is kept for people."""
        aside = self.directory / f"{_ASIDE}{index:020d}"
        with explained(self.path(index), "rename"):
            self.disk.rename(self.path(index), aside)
            self.disk.sync_directory(self.directory)
        return aside

    def save(self, snapshot: Snapshot) -> int:
        """Make a snapshot durable under its name, then drop all but the newest two. Returns its bytes on disk."""
        size = write_atomically(self.path(snapshot.index), encode(self.cluster_id, snapshot), disk=self.disk)
        self._prune()
        return size

    # -- sending and receiving -------------------------------------------------------------------------------------
    def open_newest(self) -> tuple[int, int, int, int]:
        """(handle, Raft index, its term, bytes) of the newest snapshot, to be read and closed by the caller."""
        index = self.indexes()[0]
        handle = self.disk.open(self.path(index))
        try:
            return handle, index, self._term(handle, str(self.path(index))), self.disk.size(handle)
        except BaseException:
            self.disk.close(handle)
            raise

    def _term(self, handle: int, path: str) -> int:
        """Term of the newest entry in a snapshot, from its first chunk."""
        header = self.disk.read(handle, len(_MAGIC), _CHUNK_HEADER.size)
        if len(header) < _CHUNK_HEADER.size:
            raise Damaged(path, len(_MAGIC), "the file ends too early", BRING_BACK)
        length, checksum = _CHUNK_HEADER.unpack(header)
        head = self.disk.read(handle, len(_MAGIC) + _CHUNK_HEADER.size, min(length, _HEAD_BYTES_MAX))
        if google_crc32c.value(head) != checksum:
            raise Damaged(path, len(_MAGIC), "a wrong checksum", BRING_BACK)
        return int(msgpack.unpackb(head)[2][2])

    def open_incoming(self) -> int:
        """A handle to an empty file for a snapshot that arrives."""
        return self.disk.open(self._incoming, create=True)

    def adopt(self) -> Snapshot:
        """Check the file that arrived, make it durable and give it its name. Raises Damaged."""
        incoming = self._incoming
        snapshot = decode(str(incoming), self.cluster_id, self.disk.read_file(incoming))
        handle = self.disk.open(incoming)
        try:
            self.disk.fdatasync(handle)
        finally:
            self.disk.close(handle)
        self.disk.rename(incoming, self.path(snapshot.index))
        self.disk.sync_directory(self.directory)
        self._prune()
        return snapshot

    @property
    def _incoming(self) -> Path:
        return self.directory / "receiving"

    def _prune(self) -> None:
        for index in self.indexes()[KEPT:]:
            self.disk.unlink(self.path(index))


Jobs = Callable[[Callable[[], object], Callable[[object], None]], None]
"""Runs work in another thread and calls back on the loop with its result, or with the exception that it raised."""
