"""Disks for tests: real files, with failures on demand and a list of what was done."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from raftreg.consensus.disk import RealDisk, SyncFailed


class FaultyDisk(RealDisk):
    """Does what the real one does, until told to fail. `done` lists writes, syncs, renames and deletions in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.room: int | None = None  # bytes that still fit; None for no limit
        self.write_error: int | None = None
        self.open_error: int | None = None  # of files, and of directories that are synced
        self.sync_error = False
        self.listener: Callable[[], object] | None = None

    def _did(self, what: str) -> None:
        self.done.append(what)
        if self.listener is not None:
            self.listener()

    def _opens(self) -> None:
        if self.open_error is not None:
            raise OSError(self.open_error, "Too many open files")

    def open(self, path: Path, *, create: bool = False) -> int:
        """Fails on demand."""
        self._opens()
        return super().open(path, create=create)

    def allocate(self, handle: int, offset: int, length: int) -> bool:
        """Fails like a full disk when there is no room for `length` bytes; allocation uses none of it."""
        if self.room is not None and length > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().allocate(handle, offset, length)

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """Writes a part of the data before it fails for want of room."""
        if self.write_error is not None:
            raise OSError(self.write_error, "failing")
        if self.room is not None and len(data) > self.room:
            super().write(handle, offset, data[: self.room])
            raise OSError(errno.ENOSPC, "No space left on device")
        self._did("write")
        super().write(handle, offset, data)

    def fdatasync(self, handle: int) -> None:
        """Fails on demand."""
        self._did("sync")
        if self.sync_error:
            raise SyncFailed("fdatasync failed: Input/output error")
        super().fdatasync(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Notes the target."""
        self._did(f"rename {target.name}")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        """Notes the name."""
        self._did(f"unlink {path.name}")
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        """Notes the name; fails as an open does."""
        self._opens()
        self._did(f"sync {path.name}/")
        super().sync_directory(path)


class CachedDisk(RealDisk):
    """Knows what a power cut would leave of each file. What a failed sync did not write is no longer dirty: Linux keeps
    it readable, and no later sync writes it. `fails` makes the next sync fail."""

    def __init__(self) -> None:
        self.fails = False
        self._dirty: dict[
            int, list[tuple[int, bytes | None]]
        ] = {}  # inode -> (offset, data), or a size alone
        self._safe: dict[int, bytearray] = {}

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """Makes it dirty."""
        super().write(handle, offset, data)
        self._dirty.setdefault(os.fstat(handle).st_ino, []).append((offset, bytes(data)))

    def truncate(self, handle: int, size: int) -> None:
        """Likewise."""
        super().truncate(handle, size)
        self._dirty.setdefault(os.fstat(handle).st_ino, []).append((size, None))

    def fdatasync(self, handle: int) -> None:
        """Nothing is dirty after it, whether it was written or not."""
        inode = os.fstat(handle).st_ino
        dirty = self._dirty.pop(inode, [])
        if self.fails:
            self.fails = False
            raise SyncFailed("fdatasync failed: Input/output error")
        safe = self._safe.setdefault(inode, bytearray())
        for offset, data in dirty:
            safe.extend(bytes(max(0, offset + len(data or b"") - len(safe))))
            if data is None:
                del safe[offset:]
            else:
                safe[offset : offset + len(data)] = data

    def cut_power(self, path: Path) -> None:
        """Leave of a file what is safe."""
        path.write_bytes(self._safe[path.stat().st_ino])
