"""A data directory is an identity: one member of one cluster, used by one process at a time.

    lock                 flock of the running process; holds its pid
    meta                 name, incarnation, count of starts, cluster id, genesis (a checked file)
    peers                newest process seen of each member (`peer_book`)
    log/*.wal            the write-ahead log (`wal`)
    snapshot-<index>     snapshots
    damaged-snapshot-*   what a snapshot was that failed its checks, kept for people

The incarnation is 128 random bits, made with the directory and durable before anybody is told of it. An empty
directory is therefore a new member, never the old one, and has no promises to forget. A start is counted, durably,
before the process acts as its member for the first time (`admission`). A directory that a peer proved to be an old
copy is marked as such and never used again, however often it is started and whoever leads by then.
"""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from raftreg import versions
from raftreg.clock import Clock
from raftreg.consensus.changeover import finish
from raftreg.consensus.disk import Disk, RealDisk, SyncFailed
from raftreg.consensus.files import (
    BRING_BACK,
    LOST_AND_FOUND,
    NEW_DISK,
    explained,
    read_checked,
    write_checked,
)
from raftreg.consensus.hello import FEATURES, PROTOCOL, Hello
from raftreg.consensus.peer_book import PeerBook
from raftreg.errors import Damaged, StartRefused

META_MAGIC = b"RAFTRMET"
META_VERSION = 1
LOG_DIRECTORY = "log"
REMEDY = f"Without it this node does not know what it promised. {BRING_BACK}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is. `log_begun`: the log was there once, so it must be there now.

    `starts` is the number of this process, not durable before it acts. `outdated`: what a peer said that knows better.
    `recovered`: the cluster was made from what this directory held of another one.
    """

    name: str
    incarnation: str
    starts: int
    cluster_id: str | None = None
    genesis: bytes | None = None
    log_begun: bool = False
    outdated: str | None = None
    recovered: bool = False

    @property
    def member_id(self) -> str:
        """name.incarnation"""
        return f"{self.name}.{self.incarnation}"


@dataclass(slots=True)
class DataDir:
    """An open data directory. `nonce` names this process; `advertise` goes into its hellos."""

    path: Path
    identity: Identity
    nonce: str
    peer_book: PeerBook
    advertise: dict[str, str] = field(default_factory=dict)
    _disk: Disk = field(default_factory=RealDisk)
    _lock: int | None = None

    @property
    def log_path(self) -> Path:
        """The directory of the write-ahead log."""
        return self.path / LOG_DIRECTORY

    def hello(self) -> Hello:
        """How this process introduces itself, now."""
        identity = self.identity
        return Hello(
            versions.PROTOCOL_MIN,
            identity.cluster_id,
            identity.name,
            identity.incarnation,
            self.nonce,
            identity.starts,
            {**self.advertise, PROTOCOL: versions.protocols(), FEATURES: versions.levels()},
        )

    def judge_starts(self, hello: Hello) -> str | None:
        """A refusal if the peer runs on an old copy of its data directory. On the loop's thread only."""
        return self.peer_book.judge(hello)

    def count_start(self) -> None:
        """Make the number of this start durable, before anybody counts on this process. Blocks."""
        self._save(self.identity)

    def condemn(self, text: str) -> None:
        """A peer proved that this directory has forgotten promises: never use it again. Blocks."""
        self._save(replace(self.identity, outdated=text))

    def save_genesis(self, genesis: bytes, cluster_id: str) -> None:
        """Become a member of a cluster, durably. Blocks. A directory belongs to one cluster for ever."""
        if self.identity.cluster_id is not None:
            raise StartRefused(f"{self.path}: belongs to cluster {self.identity.cluster_id} already.")
        self._save(replace(self.identity, cluster_id=cluster_id, genesis=genesis))

    def log_begins(self) -> None:
        """From now on a missing log is damage. To be called when the log is open, before anything is promised."""
        if not self.identity.log_begun:
            self._save(replace(self.identity, log_begun=True))

    async def close(self) -> None:
        """Finish writing and let another process have the directory."""
        await self.peer_book.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _save(self, identity: Identity) -> None:
        _write_meta(self.path, identity, self._disk)
        self.identity = identity


def is_unused(path: Path, disk: Disk) -> bool:
    """Whether there is nothing at all in a data directory, or there is none. Blocks."""
    with explained(path, "read the data directory"):
        try:
            return set(disk.listdir(path)) <= {LOST_AND_FOUND}
        except FileNotFoundError:
            return True


def waits_for_a_cluster(path: Path, disk: Disk) -> bool:
    """Whether a node has run on a data directory and never came to belong to a cluster. Blocks. Raises Damaged."""
    try:
        return read_identity(path, disk).cluster_id is None
    except FileNotFoundError:
        return False


def open_data_dir(
    path: Path, name: str, clock: Clock, *, disk: Disk | None = None, exclusive: bool = True
) -> DataDir:
    """Make, lock and read the data directory of node `name`. Blocks.

    Raises StartRefused (Damaged among it) with one line that says what to do. `exclusive=False` takes no lock, for
    disks that are not real.
    """
    chosen = disk or RealDisk()
    _make(path, chosen)
    lock = lock_data_dir(path) if exclusive else None
    try:
        finish(path, chosen)
        identity = _read_or_make(path, name, clock, chosen)
        _write_meta(
            path, identity, chosen
        )  # A new one, or as it was: to see at once whether that is possible.
        identity = replace(identity, starts=identity.starts + 1)
        book = PeerBook(path / "peers", chosen)
    except SyncFailed as error:
        _unlock(lock)
        raise StartRefused(f"{path}: {error}. {NEW_DISK}.") from error
    except BaseException:
        _unlock(lock)
        raise
    return DataDir(path, identity, clock.token(16).hex(), book, _disk=chosen, _lock=lock)


def _make(path: Path, disk: Disk) -> None:
    with explained(path, "make the data directory"):
        if path.exists() and not path.is_dir():
            raise StartRefused(f"{path}: not a directory. Choose a --data-dir that is one.")
        disk.make_directory(path)
        with suppress(PermissionError):  # The parent may belong to somebody else, who made this directory.
            disk.sync_directory(path.parent)


def lock_data_dir(path: Path) -> int:
    """An open file that holds the lock as long as it is open. StartRefused if a process has it."""
    with explained(path, "write in the data directory"):
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
        os.close(handle)
        who = f"pid {holder}" if holder.isdigit() else "a process that is just starting"
        raise StartRefused(
            f"{path}: in use by a running node ({who}). Stop it, or choose another --data-dir."
        ) from None
    except OSError as error:
        os.close(handle)
        raise StartRefused(
            f"{path}: cannot be locked: {error.strerror}. Choose a --data-dir on a local file system."
        ) from error
    with explained(path / "lock", "write"):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _read_or_make(path: Path, name: str, clock: Clock, disk: Disk) -> Identity:
    """The identity before this start."""
    with explained(path, "read the data directory"):
        names = disk.listdir(path)
        log_names = disk.listdir(path / LOG_DIRECTORY) if LOG_DIRECTORY in names else []
    has_log = any(entry.endswith(".wal") for entry in log_names)
    meta = path / "meta"
    try:
        identity = _decode_meta(meta, disk)
    except FileNotFoundError:
        if has_log or "peers" in names or any(entry.startswith("snapshot-") for entry in names):
            raise StartRefused(
                f"{meta}: missing, though the node has run on this directory. {REMEDY}."
            ) from None
        return Identity(name, clock.token(16).hex(), 0)
    if identity.name != name:
        raise StartRefused(
            f"{path}: belongs to node {identity.name}, not {name}. Give every node its own --data-dir, "
            f"or start this one with --node {identity.name}."
        )
    if identity.outdated is not None:
        raise StartRefused(f"{path}: found to be an old copy and not used any more: {identity.outdated}")
    if identity.log_begun and not has_log:
        raise StartRefused(f"{path / LOG_DIRECTORY}: the log is missing, though the node had one. {REMEDY}.")
    if has_log and identity.cluster_id is None:
        raise StartRefused(f"{path / LOG_DIRECTORY}: a log that is not of this data directory. {REMEDY}.")
    return identity


def read_identity(path: Path, disk: Disk | None = None) -> Identity:
    """Who a data directory is. Raises Damaged or StartRefused, FileNotFoundError if it never was anybody."""
    return _decode_meta(path / "meta", disk or RealDisk())


def write_identity(path: Path, identity: Identity, disk: Disk) -> None:
    """Say, durably, who a data directory is. Blocks."""
    _write_meta(path, identity, disk)


def _decode_meta(path: Path, disk: Disk) -> Identity:
    value = read_checked(path, META_MAGIC, META_VERSION, REMEDY, disk=disk)
    match value:
        case {
            "name": str(name),
            "incarnation": str(incarnation),
            "starts": int(starts),
            "cluster_id": str() | None as cluster_id,
            "genesis": bytes() | None as genesis,
            "log_begun": bool(log_begun),
            "outdated": str() | None as outdated,
            **others,
        }:
            recovered = others.get("recovered") is True  # Former releases do not write it.
            return Identity(name, incarnation, starts, cluster_id, genesis, log_begun, outdated, recovered)
    raise Damaged(str(path), 0, "fields that do not belong there", REMEDY)


def _write_meta(path: Path, identity: Identity, disk: Disk) -> None:
    value = {
        "name": identity.name,
        "incarnation": identity.incarnation,
        "starts": identity.starts,
        "cluster_id": identity.cluster_id,
        "genesis": identity.genesis,
        "log_begun": identity.log_begun,
        "outdated": identity.outdated,
        "recovered": identity.recovered,
    }
    write_checked(path / "meta", META_MAGIC, META_VERSION, value, disk=disk)
