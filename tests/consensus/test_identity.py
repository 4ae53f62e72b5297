"""A data directory is an identity: made once, used by one process, never taken for another."""

import os
import stat
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from raftreg.clock import SystemClock
from raftreg.consensus.disk import RealDisk
from raftreg.consensus.files import write_atomically, write_checked
from raftreg.consensus.hello import Hello
from raftreg.consensus.identity import META_MAGIC, META_VERSION, DataDir, open_data_dir
from raftreg.consensus.peer_book import MAGIC, VERSION, PeerBook
from raftreg.errors import Damaged, StartRefused
from tests.consensus.disks import FaultyDisk
from tests.consensus.loops import on_loop

CLOCK = SystemClock()


def reopened(data_dir: DataDir) -> DataDir:
    """The same directory, opened by the next process."""
    assert data_dir._lock is not None
    os.close(data_dir._lock)
    return open_data_dir(data_dir.path, data_dir.identity.name, CLOCK)


def refusal(path: Path, name: str = "n1") -> str:
    """What an operator is told."""
    with pytest.raises(StartRefused) as caught:
        open_data_dir(path, name, CLOCK)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    """A fresh directory of n1, in use."""
    return open_data_dir(tmp_path / "deep" / "data", "n1", CLOCK)


def test_fresh_directory_is_a_new_member(data_dir: DataDir, tmp_path: Path) -> None:
    """The incarnation is 128 random bits, and nobody else may read the directory."""
    other = open_data_dir(tmp_path / "other", "n1", CLOCK)
    assert 32 == len(data_dir.identity.incarnation)
    assert data_dir.identity.incarnation != other.identity.incarnation
    assert f"n1.{data_dir.identity.incarnation}" == data_dir.identity.member_id
    assert (1, None, None) == (
        data_dir.identity.starts,
        data_dir.identity.cluster_id,
        data_dir.identity.genesis,
    )
    assert 0o700 == stat.S_IMODE(data_dir.path.stat().st_mode)


def test_starts_are_counted_and_the_identity_stays(data_dir: DataDir) -> None:
    """Each start has a number of its own and a fresh nonce; name, incarnation and cluster stay."""
    data_dir.save_genesis(b"genesis \x00", "c0ffee")
    data_dir.count_start()
    later = reopened(data_dir)
    assert 2 == later.identity.starts
    assert data_dir.identity.member_id == later.identity.member_id
    assert ("c0ffee", b"genesis \x00") == (later.identity.cluster_id, later.identity.genesis)
    assert data_dir.nonce != later.nonce
    hello = later.hello()
    assert ("n1", "c0ffee", 2, later.nonce) == (hello.name, hello.cluster_id, hello.starts, hello.nonce)


def test_a_directory_of_a_former_release_was_not_recovered(data_dir: DataDir) -> None:
    """Its meta says nothing of that."""
    identity = {name: value for name, value in asdict(data_dir.identity).items() if name != "recovered"}
    write_checked(data_dir.path / "meta", META_MAGIC, META_VERSION, identity, disk=RealDisk())
    assert replace(data_dir.identity, starts=2) == reopened(data_dir).identity
    assert not data_dir.identity.recovered


def test_directory_belongs_to_one_cluster(data_dir: DataDir) -> None:
    """A second genesis is refused."""
    data_dir.save_genesis(b"genesis", "c0ffee")
    with pytest.raises(StartRefused, match="belongs to cluster c0ffee already"):
        data_dir.save_genesis(b"other", "decaf")


def test_running_node_is_named(data_dir: DataDir) -> None:
    """A directory in use is refused with the pid of its holder, also from another process."""
    assert f"in use by a running node (pid {os.getpid()})" in refusal(data_dir.path)
    program = (
        "import sys, pathlib, raftreg.clock, raftreg.consensus.identity as i\n"
        "i.open_data_dir(pathlib.Path(sys.argv[1]), 'n1', raftreg.clock.SystemClock())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(data_dir.path)], capture_output=True, text=True
    )
    assert f"in use by a running node (pid {os.getpid()})" in ended.stderr


def test_directory_of_another_node_is_refused(data_dir: DataDir) -> None:
    """Both names are told."""
    assert data_dir._lock is not None
    os.close(data_dir._lock)
    assert "belongs to node n1, not n2" in refusal(data_dir.path, "n2")


def test_file_and_unwritable_place_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no directory, or may not be written, is one line."""
    (tmp_path / "file").write_text("x")
    assert "not a directory" in refusal(tmp_path / "file")
    assert "Choose a --data-dir that is a directory" in refusal(tmp_path / "file" / "data")

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("raftreg.consensus.disk.RealDisk.make_directory", forbidden)
    assert "Permission denied. Give the user that runs raftreg the right" in refusal(tmp_path / "data")


def test_every_flipped_bit_of_meta_is_noticed(data_dir: DataDir) -> None:
    """No damaged meta is taken for a good one."""
    assert data_dir._lock is not None
    os.close(data_dir._lock)
    meta = data_dir.path / "meta"
    good = meta.read_bytes()
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        meta.write_bytes(bad)
        with pytest.raises(Damaged, match="offset"):
            open_data_dir(data_dir.path, "n1", CLOCK)
    for size in range(len(good)):
        meta.write_bytes(good[:size])
        with pytest.raises(Damaged, match="offset"):
            open_data_dir(data_dir.path, "n1", CLOCK)


@pytest.mark.parametrize("trace", ["log/00000000000000000001.wal", "snapshot-00000000000000000009", "peers"])
def test_used_directory_without_meta_is_refused(tmp_path: Path, trace: str) -> None:
    """Where a node has run, a missing meta is not taken for an empty directory."""
    (tmp_path / trace).parent.mkdir(exist_ok=True)
    (tmp_path / trace).write_bytes(b"x")
    assert "meta: missing, though the node has run" in refusal(tmp_path)


def test_log_that_was_there_must_be_there(data_dir: DataDir) -> None:
    """Once the log has begun its loss is refused; before that its absence is a crash in time."""
    data_dir.save_genesis(b"genesis", "c0ffee")
    data_dir = reopened(data_dir)
    data_dir.log_begins()
    assert data_dir._lock is not None
    os.close(data_dir._lock)
    assert "the log is missing" in refusal(data_dir.path)


def test_log_of_somebody_else_is_refused(data_dir: DataDir) -> None:
    """A log beside a meta that knows no cluster was put there."""
    assert data_dir._lock is not None
    os.close(data_dir._lock)
    data_dir.log_path.mkdir()
    (data_dir.log_path / "00000000000000000001.wal").write_bytes(b"x")
    assert "a log that is not of this data directory" in refusal(data_dir.path)


def test_full_disk_at_start_is_one_line(tmp_path: Path) -> None:
    """No room for meta is told, the lock is given back, and a start with room works."""
    disk = FaultyDisk()
    disk.room = 3
    with pytest.raises(StartRefused, match=r"No space left on device\. The disk is full"):
        open_data_dir(tmp_path, "n1", CLOCK, disk=disk)
    assert 1 == open_data_dir(tmp_path, "n1", CLOCK).identity.starts


def test_failing_disk_at_start_is_one_line(tmp_path: Path) -> None:
    """A sync that fails is told."""
    disk = FaultyDisk()
    disk.sync_error = True
    with pytest.raises(StartRefused, match="The disk is failing"):
        open_data_dir(tmp_path, "n1", CLOCK, disk=disk)


def test_atomic_write_order(tmp_path: Path) -> None:
    """New content is durable before it takes the name, and the name before the call returns."""
    disk = FaultyDisk()
    write_atomically(tmp_path / "file", [b"new"], disk=disk)
    assert ["write", "sync", "rename file", f"sync {tmp_path.name}/"] == disk.done
    assert b"new" == (tmp_path / "file").read_bytes()


def test_atomic_write_without_room_keeps_the_old(tmp_path: Path) -> None:
    """An attempt that fails leaves the old content and nothing else."""
    disk = FaultyDisk()
    write_atomically(tmp_path / "file", [b"old"], disk=disk)
    disk.room = 2
    with pytest.raises(StartRefused, match="No space left"):
        write_atomically(tmp_path / "file", [b"newer"], disk=disk)
    assert b"old" == (tmp_path / "file").read_bytes()
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


def hello(starts: int, nonce: str) -> Hello:
    """A hello of n2."""
    return Hello(1, "c0ffee", "n2", "22" * 16, nonce, starts, {})


@on_loop
async def test_old_copy_of_a_data_directory_is_recognised(tmp_path: Path) -> None:
    """A lower count of starts, or the same with another nonce, is refused, also by a later process."""
    data_dir = open_data_dir(tmp_path, "n1", CLOCK)
    for starts, nonce in ((3, "a"), (3, "a"), (4, "b"), (6, "c")):
        assert data_dir.judge_starts(hello(starts, nonce)) is None
        data_dir.peer_book.note(hello(starts, nonce))
    await data_dir.close()
    later = open_data_dir(tmp_path, "n1", CLOCK)
    for starts, nonce in ((3, "a"), (5, "d"), (6, "d")):
        refused = later.judge_starts(hello(starts, nonce)) or ""
        assert f"it says start {starts}, but start 6 was seen already" in refused
    assert later.judge_starts(hello(6, "c")) is None
    assert later.judge_starts(hello(7, "e")) is None
    await later.close()


@on_loop
async def test_where_a_process_was_reached_last_is_remembered(tmp_path: Path) -> None:
    """By a later process, which may find all others moved; a book of a version that kept no addresses is read."""
    path = tmp_path / "peers"
    write_checked(path, MAGIC, VERSION, {"n2.x": [3, "a"]})
    book = PeerBook(path)
    assert {} == book.addresses
    book.note(replace(hello(4, "b"), advertise={"raft": "h:1"}))
    book.note(replace(hello(5, "c"), advertise={"raft": "h:2"}))
    await book.close()
    assert {"n2." + "22" * 16: "h:2"} == PeerBook(path).addresses


@on_loop
async def test_who_is_in_no_set_any_more_is_forgotten(tmp_path: Path) -> None:
    """Also on disk: what is kept of processes is bounded by who can come to count."""
    data_dir = open_data_dir(tmp_path, "n1", CLOCK)
    data_dir.peer_book.note(hello(3, "a"))
    data_dir.peer_book.keep({"n2." + "22" * 16})
    assert data_dir.judge_starts(hello(2, "b")) is not None
    data_dir.peer_book.keep({"n3.x"})
    assert data_dir.judge_starts(hello(2, "b")) is None
    await data_dir.close()
    later = open_data_dir(tmp_path, "n1", CLOCK)
    assert later.judge_starts(hello(2, "b")) is None
    await later.close()


def test_a_start_that_never_acted_is_not_counted(data_dir: DataDir) -> None:
    """A copy that its peers refuse cannot climb over the count of the newer directory by being started again."""
    for _ in range(3):
        data_dir = reopened(data_dir)
        assert 1 == data_dir.identity.starts
    data_dir.count_start()
    assert 2 == reopened(data_dir).identity.starts


def test_a_condemned_directory_is_never_used_again(data_dir: DataDir) -> None:
    """What a peer said is told at each start."""
    data_dir.condemn("n2 refused this node: an old copy")
    assert data_dir._lock is not None
    os.close(data_dir._lock)
    for _ in range(2):
        text = refusal(data_dir.path)
        assert "not used any more: n2 refused this node: an old copy" in text


@on_loop
async def test_close_gives_the_directory_back(tmp_path: Path) -> None:
    """After close another process may open it."""
    data_dir = open_data_dir(tmp_path, "n1", CLOCK)
    data_dir.count_start()
    await data_dir.close()
    later = open_data_dir(tmp_path, "n1", CLOCK)
    assert 2 == later.identity.starts
    await later.close()
