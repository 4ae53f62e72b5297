"""A disk in memory that writes down every operation that changes it."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

DIRECTORY = 0  # the "inode" of every directory; what is in it is found by its path


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. `place` is a file's inode for content (and syncs of it), else the directory that changed.

    write: offset, data. truncate, grow: offset is the new size (the least one). link: name -> inode.
    unlink: name. sync: nothing more.
    A rename is one operation on its directory: `name` takes the place of `old`.
    """

    kind: str
    place: int | Path
    offset: int = 0
    data: bytes = b""
    name: str = ""
    inode: int = 0
    old: str = ""


@dataclass(slots=True)
class Image:
    """What is on a disk: contents by inode, entries by directory."""

    contents: dict[int, bytes] = field(default_factory=dict)
    entries: dict[Path, dict[str, int]] = field(default_factory=dict)

    def copy(self) -> "Image":
        """Another one that changes alone."""
        return Image(dict(self.contents), {path: dict(names) for path, names in self.entries.items()})

    def apply(self, op: Op) -> None:
        """Carry an operation out; a sync changes nothing here."""
        if op.kind == "sync":
            return
        if isinstance(op.place, Path):
            names = self.entries.setdefault(op.place, {})
            if op.kind == "unlink":
                names.pop(op.name, None)
            else:
                names.pop(op.old, None)
                names[op.name] = op.inode
        elif op.kind == "truncate":
            content = self.contents.get(op.place, b"")
            self.contents[op.place] = content[: op.offset].ljust(op.offset, b"\0")
        elif op.kind == "grow":
            self.contents[op.place] = self.contents.get(op.place, b"").ljust(op.offset, b"\0")
        elif op.kind == "write":
            content = self.contents.get(op.place, b"").ljust(op.offset, b"\0")
            self.contents[op.place] = content[: op.offset] + op.data + content[op.offset + len(op.data) :]

    def reachable(self, root: Path) -> "Image":
        """Only what can be found from the root; the rest is gone."""
        found = Image()
        waiting = [root]
        while waiting:
            path = waiting.pop()
            names = found.entries[path] = dict(self.entries.get(path, {}))
            for name, inode in names.items():
                if inode == DIRECTORY:
                    waiting.append(path / name)
                else:
                    found.contents[inode] = self.contents.get(inode, b"")
        return found


ROOT = Path("/disk")


class MemoryDisk:
    """Fulfils `raftreg.consensus.disk.Disk` for files below ROOT. `ops` is what was done, in order."""

    def __init__(self, image: Image | None = None) -> None:
        self.image = image or Image(entries={ROOT: {}})
        self.ops: list[Op] = []
        self.before: Callable[[Op], object] = lambda op: None
        self._handles: dict[int, int] = {}
        self._last_handle = 0
        self._last_inode = max(self.image.contents, default=0)

    def _do(self, op: Op) -> None:
        self.before(op)
        self.ops.append(op)
        self.image.apply(op)

    def _inode(self, path: Path) -> int:
        inode = self.image.entries.get(path.parent, {}).get(path.name)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return inode

    def open(self, path: Path, *, create: bool = False) -> int:
        """See Disk."""
        if create and path.name not in self.image.entries[path.parent]:
            self._last_inode += 1
            self._do(Op("link", path.parent, name=path.name, inode=self._last_inode))
        elif create:
            self._do(Op("truncate", self._inode(path)))
        self._last_handle += 1
        self._handles[self._last_handle] = self._inode(path)
        return self._last_handle

    def close(self, handle: int) -> None:
        """See Disk."""
        del self._handles[handle]

    def read_file(self, path: Path) -> bytes:
        """See Disk."""
        return self.image.contents.get(self._inode(path), b"")

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """See Disk."""
        return self.image.contents.get(self._handles[handle], b"")[offset : offset + size]

    def size(self, handle: int) -> int:
        """See Disk."""
        return len(self.image.contents.get(self._handles[handle], b""))

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """See Disk."""
        self._do(Op("write", self._handles[handle], offset, bytes(data)))

    def allocate(self, handle: int, offset: int, length: int) -> bool:
        """See Disk."""
        if self.size(handle) < offset + length:
            self._do(Op("truncate", self._handles[handle], offset + length))
        return True

    def truncate(self, handle: int, size: int) -> None:
        """See Disk."""
        self._do(Op("truncate", self._handles[handle], size))

    def fdatasync(self, handle: int) -> None:
        """See Disk."""
        self._do(Op("sync", self._handles[handle]))

    def rename(self, source: Path, target: Path) -> None:
        """See Disk."""
        self._do(Op("link", target.parent, name=target.name, inode=self._inode(source), old=source.name))

    def unlink(self, path: Path) -> None:
        """See Disk."""
        self._inode(path)
        self._do(Op("unlink", path.parent, name=path.name))

    def listdir(self, path: Path) -> list[str]:
        """See Disk."""
        if path not in self.image.entries:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return list(self.image.entries[path])

    def make_directory(self, path: Path) -> None:
        """See Disk."""
        if path not in self.image.entries:
            self.make_directory(path.parent)
            self._do(Op("link", path.parent, name=path.name, inode=DIRECTORY))
            self.image.entries.setdefault(path, {})

    def sync_directory(self, path: Path) -> None:
        """See Disk."""
        self._do(Op("sync", path))
