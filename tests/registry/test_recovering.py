"""A new cluster from one data directory: nothing that is in it is lost, whenever the process is killed meanwhile."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from raftreg.clock import SystemClock
from raftreg.commands import KVSet
from raftreg.consensus.disk import RealDisk
from raftreg.consensus.founding import found_cluster
from raftreg.consensus.node import RaftNode, RaftSettings
from raftreg.errors import StartRefused
from raftreg.registry import Registry, Replica
from raftreg.registry.recovering import Remains
from raftreg.state import State
from raftreg.state.queries import KVGet
from tests.e2e.cluster import free_ports


class Cut(Exception):
    """The process ends here."""


class DyingDisk(RealDisk):
    """A disk under a process that is killed before its n-th change."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _change(self) -> None:
        if self.left == 0:
            raise Cut
        self.left -= 1

    def open(self, path: Path, *, create: bool = False) -> int:
        if create:
            self._change()
        return super().open(path, create=create)

    def write(self, handle: int, offset: int, data: bytes) -> None:
        self._change()
        super().write(handle, offset, data)

    def truncate(self, handle: int, size: int) -> None:
        self._change()
        super().truncate(handle, size)

    def fdatasync(self, handle: int) -> None:
        self._change()

    def rename(self, source: Path, target: Path) -> None:
        self._change()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._change()
        super().unlink(path)

    def make_directory(self, path: Path) -> None:
        self._change()
        super().make_directory(path)

    def sync_directory(self, path: Path) -> None:
        self._change()


def on_node(
    path: Path, scenario: Callable[[Registry], Awaitable[None]], *, snapshot_entries: int = 20_000
) -> str:
    """Run the one voter of a cluster, n1, on a directory; the id of its cluster."""

    async def main() -> str:
        clock, replica, port = SystemClock(), Replica(State()), free_ports(1)[0]

        def fatal(error: BaseException) -> None:
            raise error

        settings = RaftSettings(
            name="n1",
            data_dir=path,
            listen=("127.0.0.1", port),
            peers={"n1": ("127.0.0.1", port)},
            cluster_key=None,
            snapshot_entries=snapshot_entries,
        )
        node = RaftNode(settings, replica, clock, fatal)
        registry = Registry(node, replica, clock, node_name="n1", datacenter="dc1")
        await node.start()
        try:
            await asyncio.wait_for(scenario(registry), 20)
            return node.status().cluster_id
        finally:
            await node.stop()

    return asyncio.run(main())


async def write_some(registry: Registry) -> None:
    """Keys k0 to k29."""
    for number in range(30):
        await registry.write(KVSet(f"k{number}", f"v{number}".encode()))


async def read_all(registry: Registry) -> None:
    """They are all there, in a cluster that can write."""
    for number in range(30):
        found = (await registry.read(KVGet(f"k{number}"))).value
        assert found is not None
        assert f"v{number}".encode() == found.value
    await registry.write(KVSet("after", b"recovery"))


def contents(path: Path) -> dict[str, bytes]:
    """Every file below a directory but the lock."""
    files = (file for file in path.rglob("*") if file.is_file() and file.name != "lock")
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def test_what_belongs_to_the_file_system_stays(tmp_path: Path) -> None:
    """lost+found belongs to root, so it could not be moved, and nothing could be done with the directory any more."""
    on_node(tmp_path, write_some)
    (tmp_path / "lost+found").mkdir()
    with Remains(tmp_path, SystemClock()) as remains:
        _, former = remains.make_cluster()
    assert (tmp_path / "lost+found").is_dir()
    assert not (former / "lost+found").exists()


@pytest.mark.parametrize("snapshot_entries", [20_000, 10], ids=["log", "snapshots"])
def test_a_new_cluster_has_everything(tmp_path: Path, snapshot_entries: int) -> None:
    """Under another id, and it goes on from there; looking changes nothing, and the old files are kept as they were."""
    path = tmp_path / "n1"
    old = on_node(path, write_some, snapshot_entries=snapshot_entries)
    before = contents(path)
    with Remains(path, SystemClock()) as remains:
        assert before == contents(path)
        assert (30, ["n1"], old) == (remains.contents.keys, remains.members(), remains.survivor.cluster_id)
        new, former = remains.make_cluster()
    assert before == contents(former)
    assert new != old
    assert new == on_node(path, read_all)
    with Remains(path, SystemClock()) as again:
        assert (31, new) == (again.contents.keys, again.survivor.cluster_id)
        newer, _ = again.make_cluster()
    assert newer == on_node(path, read_all)


def test_a_node_that_runs_is_left_alone(tmp_path: Path) -> None:
    """As is what is no data directory of a member."""
    path = tmp_path / "n1"

    async def look(registry: Registry) -> None:
        with pytest.raises(StartRefused, match=f"in use by a running node .pid {os.getpid()}"):
            Remains(path, SystemClock())

    on_node(path, look)
    for wrong in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(StartRefused, match=r"no such directory|not the data directory"):
            Remains(wrong, SystemClock())


def test_a_directory_without_a_log_is_refused(tmp_path: Path) -> None:
    """Made by `raftreg init` and never started, or bereft of it."""
    found_cluster(tmp_path, "n1", "127.0.0.1:1", SystemClock())
    for _ in range(2):
        with pytest.raises(StartRefused, match="log: the log is missing"):
            Remains(tmp_path, SystemClock())
        (tmp_path / "log").mkdir(exist_ok=True)


def test_killed_anywhere_it_is_the_old_or_the_new(tmp_path: Path) -> None:
    """At each change of the disk: a start finds the one cluster or the other, whole. A second attempt ends well."""
    base = tmp_path / "base"
    old = on_node(base, write_some, snapshot_entries=10)
    found: list[str] = []
    for cut in range(1000):
        path = tmp_path / f"cut{cut}"
        shutil.copytree(base, path)
        died = _recover_until(path, cut)
        with Remains(path, SystemClock()) as remains:  # As a start does, this finishes what was decided.
            assert 30 == remains.contents.keys
            found.append("old" if remains.survivor.cluster_id == old else "new")
            if cut % 5 == 0:
                remains.make_cluster()
        if cut % 20 == 0 or not died:
            on_node(path, read_all)
        shutil.rmtree(path)
        if not died:
            break
    assert sorted(found, key=["old", "new"].index) == found, "the decision is one moment"
    assert {"old", "new"} == set(found)


def _recover_until(path: Path, changes: int) -> bool:
    """Make a new cluster and be killed before that many changes and one; False if it was done by then."""
    try:
        with Remains(path, SystemClock(), DyingDisk(changes)) as remains:
            remains.make_cluster()
    except Cut:
        return True
    return False
