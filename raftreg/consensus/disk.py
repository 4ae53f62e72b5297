"""The few disk operations that durability rests on, behind one seam.

Everything under a data directory is written through a `Disk`, so that the simulation can supply one that
loses what was not synced, tears writes and fills up. Paths are absolute or relative to the process; handles
are small ints.

What is assumed of a disk: after `fdatasync` returned, the bytes written before it survive a power cut; a
write changes no byte outside its range, and each sector within it holds what it held before or what was
written, even when the power fails in the middle of it; a directory's entries
are durable after `sync_directory`. A sync that failed says nothing about what is on the disk, and is never
tried again: what it should have written may be readable until the power fails, and no later sync writes it.
"""

import errno
import os
from pathlib import Path
from typing import Protocol

from raftreg.errors import RaftregError

FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_HANDLE_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE})  # of the process, of the machine
_NO_PREALLOCATION = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV})


class SyncFailed(RaftregError):
    """A sync failed: what the page cache holds may never reach the disk. The process has to stop."""


class Disk(Protocol):
    """Blocking file operations. Errors are OSError as the system gives them, but for the syncs

    SyncFailed.
    """

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open for reading and writing; with `create` a new and empty file (an old one is cut to nothing)."""
        ...

    def close(self, handle: int) -> None:
        """Close without syncing."""
        ...

    def read_file(self, path: Path) -> bytes:
        """The whole content."""
        ...

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""
        ...

    def size(self, handle: int) -> int:
        """Bytes in the file."""
        ...

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`. After an error any part of it may have been written."""
        ...

    def allocate(self, handle: int, offset: int, length: int) -> bool:
        """Make the file at least `offset + length` long, durable zeros from `offset` on; False where not supported."""
        ...

    def truncate(self, handle: int, size: int) -> None:
        """Set the size; bytes gained are zeros."""
        ...

    def fdatasync(self, handle: int) -> None:
        """Return when content and size are durable, else raise SyncFailed."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Rename within one file system, replacing the target at once."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        ...

    def listdir(self, path: Path) -> list[str]:
        """Names in a directory, in any order."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make a directory for this user alone, with its parents; an existing one is fine."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return when the entries of the directory are durable, else raise SyncFailed."""
        ...


class RealDisk:
    """The machine's own file systems. It has no state: any thread may use it."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open read-write, not inherited by child processes; new files are readable by their owner only."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if create else 0)
        return os.open(path, flags, 0o600)

    def close(self, handle: int) -> None:
        """Close the descriptor."""
        os.close(handle)

    def read_file(self, path: Path) -> bytes:
        """Read it whole."""
        return path.read_bytes()

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """A positioned read."""
        return os.pread(handle, size, offset)

    def size(self, handle: int) -> int:
        """fstat."""
        return os.fstat(handle).st_size

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """Positioned writes until all of it is written."""
        written = os.pwrite(handle, data, offset)
        if written == len(data):
            return
        view = memoryview(data)
        while written < len(data):
            written += os.pwrite(handle, view[written:], offset + written)

    def allocate(self, handle: int, offset: int, length: int) -> bool:
        """posix_fallocate, where the platform and the file system have it, and then zeros, synced.

        Space that was never written is only marked as written after the data went there. Measured on ext4 (Linux 6.18):
        when the file system is shut down meanwhile, as by an error of its journal, fdatasync returns 0 and that mark is
        lost, and the data with it. Over written zeros nothing is left to mark.
        """
        if not hasattr(os, "posix_fallocate"):
            return False
        try:
            os.posix_fallocate(handle, offset, length)
        except OSError as error:
            if error.errno in _NO_PREALLOCATION:
                return False
            raise
        self.write(handle, offset, bytes(length))
        self.fdatasync(handle)
        return True

    def truncate(self, handle: int, size: int) -> None:
        """ftruncate."""
        os.ftruncate(handle, size)

    def fdatasync(self, handle: int) -> None:
        """fdatasync, or fsync where there is none."""
        try:
            getattr(os, "fdatasync", os.fsync)(handle)
        except OSError as error:
            raise SyncFailed(f"fdatasync failed: {error.strerror}") from error

    def rename(self, source: Path, target: Path) -> None:
        """os.replace."""
        os.replace(source, target)

    def unlink(self, path: Path) -> None:
        """os.unlink."""
        os.unlink(path)

    def listdir(self, path: Path) -> list[str]:
        """os.listdir."""
        return os.listdir(path)

    def make_directory(self, path: Path) -> None:
        """mkdir -p with mode 0700 for the last one."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def sync_directory(self, path: Path) -> None:
        """fsync on a descriptor of the directory."""
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        except OSError as error:
            raise SyncFailed(f"fsync of directory {path} failed: {error.strerror}") from error
        finally:
            os.close(handle)
