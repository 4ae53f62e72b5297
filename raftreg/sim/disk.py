"""A disk that forgets what was not synced, in every way that a real one may.

Two models are kept. The *view* is what the process sees: the page cache, changed at once. The *media* follows it: the
operations of a writer's job reach it when the job ends (`settle`), or up to any point of it when the host crashes
meanwhile. On the media a write or a change of size waits until the file is synced, a change of a directory until the
directory is. A power cut keeps any subset of what waits, writes torn at sectors; a killed process loses nothing of it.
After a sync that failed, what it should have written does not wait any more: it is readable until a power cut.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from raftreg.chance import Stream
from raftreg.consensus.disk import SyncFailed

SECTOR_BYTES = 512
Op = Callable[[], None]
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class File:
    """An inode: what the process sees, what the next one would see, what is safe, and what waits for a sync: (offset,
    data), or a size alone."""

    view: bytearray = field(default_factory=bytearray)
    cache: bytearray = field(default_factory=bytearray)
    safe: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Directory:
    """Names to files, likewise."""

    view: dict[str, File] = field(default_factory=dict)
    safe: dict[str, File] = field(default_factory=dict)
    waiting: list[dict[str, File | None]] = field(default_factory=list)


def _put(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        if offset < len(content):
            del content[offset:]
        else:
            content.extend(bytes(offset - len(content)))
        return
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _rename(names: dict[str, File], change: dict[str, File | None]) -> None:
    for name, file in change.items():
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


class SimDisk:
    """The file systems of one host; implements `raftreg.consensus.disk.Disk`."""

    def __init__(self, chance: Stream, preallocates: bool) -> None:
        self._chance = chance
        self._preallocates = preallocates
        self._directories: dict[str, Directory] = {}
        self._handles: dict[int, File] = {}
        self._next_handle = 3
        self._job: list[Op] | None = None
        self._jobs: list[list[Op]] = []  # of jobs that run, oldest first
        self.full = False
        self.failing = False  # the next sync fails
        self.syncs = 0
        self.torn = 0

    # -- jobs ----------------------------------------------------------------------------------------------------------
    def begin_job(self) -> list[Op]:
        """From here on operations reach the media only when the job is settled."""
        self._job = []
        self._jobs.append(self._job)
        return self._job

    def end_job(self) -> None:
        """The job has issued all of its operations."""
        self._job = None

    def settle(self, job: list[Op]) -> None:
        """The job is done."""
        self._jobs.remove(job)
        for op in job:
            op()

    def _do(self, op: Op) -> None:
        if self._job is None:
            op()
        else:
            self._job.append(op)

    def crash(self, power: bool) -> None:
        """The process dies; with `power` the machine loses its current, and what was not synced with it."""
        for job in self._jobs:
            for op in job[: self._chance.randint(0, len(job))]:
                op()
        self._jobs.clear()
        self._job = None
        self._handles.clear()
        self.full = self.failing = False
        mode = self._chance.choice(("nothing", "prefix", "subset", "all")) if power else "all"
        for directory in self._directories.values():
            self._settle_names(directory, mode)
            for file in {id(file): file for file in directory.safe.values()}.values():
                self._settle_bytes(file, mode, power)
            directory.view = dict(directory.safe)

    def _settle_names(self, directory: Directory, mode: str) -> None:
        for change in self._survivors(directory.waiting, mode):
            _rename(directory.safe, change)
        directory.waiting.clear()

    def _settle_bytes(self, file: File, mode: str, power: bool) -> None:
        for offset, data in self._survivors(file.waiting, mode):
            if data is None or not power or self._chance.random() < 0.5:
                _put(file.safe, offset, data)
                continue
            self.torn += 1
            start = 0
            while start < len(data):
                end = start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES
                if self._chance.random() < 0.5:
                    _put(file.safe, offset + start, data[start:end])
                start = end
        file.waiting.clear()
        if power:
            file.cache = bytearray(file.safe)
        file.view = bytearray(file.cache)

    def _survivors(self, waiting: list[T], mode: str) -> list[T]:
        if mode == "all":
            return waiting
        if mode == "nothing":
            return []
        if mode == "prefix":
            return waiting[: self._chance.randint(0, len(waiting))]
        return [change for change in waiting if self._chance.random() < 0.5]

    # -- Disk ----------------------------------------------------------------------------------------------------------
    def _directory(self, path: Path) -> Directory:
        directory = self._directories.get(str(path))
        if directory is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return directory

    def _file(self, path: Path) -> File:
        file = self._directory(path.parent).view.get(path.name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return file

    def _need_room(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open(self, path: Path, *, create: bool = False) -> int:
        """See Disk."""
        if create:
            self._need_room()
            file = File()
            self._change(path.parent, {path.name: file})
        else:
            file = self._file(path)
        self._next_handle += 1
        self._handles[self._next_handle] = file
        return self._next_handle

    def close(self, handle: int) -> None:
        """See Disk."""
        del self._handles[handle]

    def read_file(self, path: Path) -> bytes:
        """See Disk."""
        return bytes(self._file(path).view)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """See Disk."""
        return bytes(self._handles[handle].view[offset : offset + size])

    def size(self, handle: int) -> int:
        """See Disk."""
        return len(self._handles[handle].view)

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """See Disk. What is written over itself needs no room."""
        file = self._handles[handle]
        if file.view[offset : offset + len(data)] != data:
            self._need_room()
        self._change_bytes(file, offset, data)

    def _change_bytes(self, file: File, offset: int, data: bytes | None) -> None:
        _put(file.view, offset, data)

        def change() -> None:
            _put(file.cache, offset, data)
            file.waiting.append((offset, data))

        self._do(change)

    def allocate(self, handle: int, offset: int, length: int) -> bool:
        """See Disk."""
        if not self._preallocates:
            return False
        self._need_room()
        if offset + length > len(self._handles[handle].view):
            self.truncate(handle, offset + length)
        return True

    def truncate(self, handle: int, size: int) -> None:
        """See Disk."""
        self._change_bytes(self._handles[handle], size, None)

    def fdatasync(self, handle: int) -> None:
        """See Disk."""
        self.syncs += 1
        file = self._handles[handle]
        if self.failing:
            self._do(file.waiting.clear)
            raise SyncFailed("fdatasync failed: Input/output error")

        def sync() -> None:
            for offset, data in file.waiting:
                _put(file.safe, offset, data)
            file.waiting.clear()

        self._do(sync)

    def _change(self, path: Path, change: dict[str, File | None]) -> None:
        directory = self._directory(path)
        _rename(directory.view, change)
        self._do(lambda: directory.waiting.append(change))

    def rename(self, source: Path, target: Path) -> None:
        """See Disk."""
        self._change(source.parent, {source.name: None, target.name: self._file(source)})

    def unlink(self, path: Path) -> None:
        """See Disk."""
        self._file(path)
        self._change(path.parent, {path.name: None})

    def listdir(self, path: Path) -> list[str]:
        """See Disk."""
        below = f"{path}/"
        folders = [name[len(below) :] for name in self._directories if name.startswith(below)]
        return sorted([*self._directory(path).view, *(name for name in folders if "/" not in name)])

    def make_directory(self, path: Path) -> None:
        """See Disk. A new directory is durable at once."""
        self._directories.setdefault(str(path), Directory())

    def sync_directory(self, path: Path) -> None:
        """See Disk."""
        self.syncs += 1
        if self.failing:
            raise SyncFailed(f"fsync of directory {path} failed: Input/output error")
        directory = self._directories.get(str(path))
        if directory is None:
            return

        def sync() -> None:
            for change in directory.waiting:
                _rename(directory.safe, change)
            directory.waiting.clear()

        self._do(sync)
