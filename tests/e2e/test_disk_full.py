"""A node whose disk is full acknowledges nothing, says so, and goes on when there is room."""

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, Node, wait_until

SMALL_DISK_BYTES = 24 << 20
VALUE = b"x" * (256 << 10)


class SmallDisk:
    """A directory with little room: a file system of its own where this user may mount one, else a limit on files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(folder)]
        self.is_mounted = (
            os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        )
        self._filler = folder / "filler"

    def fill(self, node: Node) -> None:
        """Leave no room for what `node` is going to write."""
        if self.is_mounted:
            with self._filler.open("wb", buffering=0) as filler:
                while self._write_some(filler.fileno()):
                    pass
            return
        assert node.process is not None
        sizes = [path.stat().st_size for path in node.data.rglob("*") if path.is_file()]
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (max(sizes), hard))

    def make_room(self, node: Node) -> None:
        """Undo `fill`."""
        if self.is_mounted:
            self._filler.unlink()
            return
        assert node.process is not None
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def close(self) -> None:
        """Unmount."""
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True, capture_output=True)

    @staticmethod
    def _write_some(handle: int) -> bool:
        """Write until the disk is full; whether there was still room."""
        for size in (1 << 20, 4096, 1):
            try:
                return os.write(handle, bytes(size)) > 0
            except OSError:
                continue
        return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk, unmounted after the test."""
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.close()


def test_a_full_disk_stops_acknowledgements_until_there_is_room(small_disk: SmallDisk) -> None:
    """Writes fail with a clear text while the disk is full, and none that was acknowledged is lost."""
    with Cluster(small_disk.folder, 1, write_timeout="2s") as cluster:
        cluster.start()
        node = cluster["n1"]
        small_disk.fill(node)
        acknowledged = []
        refusal = ""
        for number in range(400):
            reply = node.put(f"/v1/kv/key/{number}", VALUE, timeout_s=20.0)
            if reply.status != 200:
                refusal = f"{reply.status} {reply.text}"
                break
            acknowledged.append(f"key/{number}")
        assert refusal.startswith(("503", "500")), refusal
        assert 1 <= node.log.read_text().count("disk full")
        assert 200 == node.get("/v1/kv/?keys&stale").status or not acknowledged

        small_disk.make_room(node)
        wait_until("writes work again", lambda: node.put("/v1/kv/after", b"1", timeout_s=20.0).status == 200)
        node.kill()
        cluster.start()
        held = node.get("/v1/kv/?keys").json()
        assert set() == {*acknowledged, "after"} - set(held)
