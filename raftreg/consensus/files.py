"""Small files that are replaced whole or not at all, and errors of the file system told to operators.

A checked file is: magic (8 bytes), format version, length and CRC32C of the body (4 bytes each, little
endian), body in msgpack. It is small, read whole at start, and written by `write_atomically`.
"""

import errno
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import google_crc32c
import msgpack

from raftreg.consensus.disk import Disk, RealDisk
from raftreg.errors import Damaged, StartRefused

BRING_BACK = (
    "Bring back the right files, or the whole data directory as this node left it; an older copy will not do, since it "
    "has forgotten what the node promised. Meanwhile the other members go on without this node. If the files are lost, "
    "move the directory away, start on an empty one with --join, and let that in: raftreg operator raft replace NAME. "
    "If this is the only node, restore a backup"
)
"""The remedy for lost or damaged files of a member: what an operator can do today."""

NEW_DISK = "The disk is failing: copy the data directory to a good one while it can be read, and start there"
"""The remedy for a disk that does not do what it is told."""

LOST_AND_FOUND = "lost+found"
"""What the root of many a file system has in it: a data directory that is one is empty nevertheless."""

NEW = ".new"
"""Ends the name of a file that is being written: a crash may leave one."""

_PREFIX = struct.Struct("<8sIII")
_HINTS = {
    errno.EACCES: "Give the user that runs raftreg the right to write there, or choose another --data-dir",
    errno.EPERM: "Give the user that runs raftreg the right to write there, or choose another --data-dir",
    errno.EROFS: "The file system is mounted read-only: remount it, or choose another --data-dir",
    errno.ENOSPC: "The disk is full: make room and start again",
    errno.EDQUOT: "The disk quota is used up: make room and start again",
    errno.ENOTDIR: "Choose a --data-dir that is a directory",
    errno.EEXIST: "Choose a --data-dir that is a directory",
    errno.EMFILE: "The limit of open files is too low: raise it (ulimit -n)",
    errno.EIO: NEW_DISK,
}


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError of the block into one line for an operator

    StartRefused naming `path` and what to do.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        hint = _HINTS.get(number, "Mend that and start again")
        raise StartRefused(f"{path}: cannot {doing}: {error.strerror or error}. {hint}.") from error


def sync_directory(path: Path, *, disk: Disk | None = None) -> None:
    """Make the entries of a directory durable. Raises SyncFailed."""
    (disk or RealDisk()).sync_directory(path)


def write_atomically(path: Path, pieces: Iterable[bytes], *, disk: Disk | None = None) -> int:
    """Replace `path` by these, durably: a crash at any point leaves the old content or the new, never a mix.

    Returns how many bytes there are now.
    Raises StartRefused for what an operator can mend (no room, no right) with the old content untouched, and
    SyncFailed when the disk cannot be trusted any more.
    """
    disk = disk or RealDisk()
    fresh = path.with_name(path.name + NEW)
    with explained(path, "write"):
        try:
            handle = disk.open(fresh, create=True)
            try:
                size = 0
                for piece in pieces:
                    disk.write(handle, size, piece)
                    size += len(piece)
                disk.fdatasync(handle)
            finally:
                disk.close(handle)
            disk.rename(fresh, path)
        except OSError:
            with suppress(
                OSError
            ):  # The first error is the one to tell; a leftover is overwritten next time.
                disk.unlink(fresh)
            raise
    disk.sync_directory(path.parent)
    return size


def write_checked(path: Path, magic: bytes, version: int, value: object, *, disk: Disk | None = None) -> None:
    """Write a checked file

    `value` is anything that msgpack takes, `magic` 8 bytes that name the kind of file.
    """
    body: bytes = msgpack.packb(value)
    checksum = google_crc32c.extend(version, body)
    write_atomically(path, [_PREFIX.pack(magic, version, len(body), checksum) + body], disk=disk)


def read_checked(path: Path, magic: bytes, version: int, remedy: str, *, disk: Disk | None = None) -> object:
    """The value of a checked file. Raises Damaged (with `remedy`) or StartRefused

    FileNotFoundError if absent.
    """
    disk = disk or RealDisk()
    try:
        data = disk.read_file(path)
    except FileNotFoundError:
        raise
    except OSError:
        with explained(path, "read"):
            raise
    if len(data) < _PREFIX.size:
        raise Damaged(str(path), len(data), f"file ends after {len(data)} bytes", remedy)
    found_magic, found_version, length, checksum = _PREFIX.unpack_from(data)
    if found_magic != magic:
        raise Damaged(str(path), 0, "not the kind of file that belongs there", remedy)
    body = data[_PREFIX.size :]
    if length != len(body):
        raise Damaged(str(path), 12, f"{len(body)} bytes of content where {length} were written", remedy)
    if google_crc32c.extend(found_version, body) != checksum:
        raise Damaged(str(path), _PREFIX.size, "checksum does not match", remedy)
    if found_version > version:
        raise StartRefused(
            f"{path}: format version {found_version} is newer than this raftreg knows ({version}). "
            "Start it with the newer raftreg that wrote it."
        )
    try:
        return msgpack.unpackb(body)
    except ValueError as error:
        raise Damaged(str(path), _PREFIX.size, f"content does not decode ({error})", remedy) from error
