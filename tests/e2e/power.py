"""Power cuts: a file system that loses what was not synced, under a running node.

A node keeps its data on an ext4 file system of its own on a loop device. At the cut the file system is shut down
without flushing (EXT4_IOC_SHUTDOWN): no page that was not synced reaches the device any more, every later write and
sync fails. The node is killed, the file system unmounted and mounted again, which replays its journal, as after a
power cut. What the disk itself might lose of what it called synced is not tried.
"""

import fcntl
import os
import struct
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from tests.e2e.cluster import Cluster

IMAGE_BYTES = 512 << 20
_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), linux/fs/ext4/ext4.h
_WITHOUT_FLUSHING_THE_LOG = 2


class LossyDisk:
    """A directory whose power can be cut; an ordinary one, that loses nothing, where this user may not mount any."""

    def __init__(self, folder: Path) -> None:
        """Nothing is mounted yet; `close` may be called all the same."""
        self.folder = folder
        self._image = folder.with_name(f"{folder.name}.img")
        self.is_mounted = False

    def open(self) -> None:
        """Make the file system and mount it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.is_mounted = os.geteuid() == 0 and self._make() and self._mount()

    def cut(self) -> None:
        """From this moment nothing gets to the disk."""
        if self.is_mounted:
            handle = os.open(self.folder, os.O_RDONLY)
            try:
                fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING_THE_LOG))
            finally:
                os.close(handle)

    def restore(self) -> None:
        """Power is back. To be called when no process uses the directory any more."""
        if self.is_mounted:
            subprocess.run(["umount", str(self.folder)], check=True, capture_output=True)
            assert self._mount(), f"{self._image} cannot be mounted any more"

    def close(self) -> None:
        """Unmount for good, also if `open` or `restore` were interrupted."""
        _runs("umount", "--lazy", str(self.folder))
        self._image.unlink(missing_ok=True)
        assert not os.path.ismount(self.folder), f"{self.folder} cannot be unmounted"

    def _make(self) -> bool:
        with self._image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        return _runs("mkfs.ext4", "-q", "-F", str(self._image))

    def _mount(self) -> bool:
        return _runs("mount", "-t", "ext4", "-o", "loop", str(self._image), str(self.folder))


class LossyDisks:
    """One for each node of a cluster, whose directories are not there yet; a context manager."""

    def __init__(self, cluster: Cluster) -> None:
        """Mounts nothing yet."""
        self._disks = {name: LossyDisk(node.data) for name, node in cluster.nodes.items()}
        self._mounted = ExitStack()

    def __enter__(self) -> "LossyDisks":
        with ExitStack() as mounted:
            for disk in self._disks.values():
                mounted.callback(disk.close)
                disk.open()
            self._mounted = mounted.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mounted.close()

    def __getitem__(self, name: str) -> LossyDisk:
        return self._disks[name]

    @property
    def are_mounted(self) -> bool:
        """Whether a cut loses anything."""
        return all(disk.is_mounted for disk in self._disks.values())


def _runs(*command: str) -> bool:
    """Whether a command exists and succeeds."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
