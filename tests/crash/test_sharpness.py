"""A test of the crash points: each rule of durability, taken away, is missed by them."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raftreg.consensus.journal import Entry, Journal
from raftreg.consensus.segments import Segments
from raftreg.consensus.serializer import Serializer
from raftreg.consensus.snapshot import SnapshotStore
from tests.crash.memory_disk import MemoryDisk
from tests.crash.test_crash_points import WORKLOADS, cut_everywhere

SEEDS = 4
Frozen = tuple[Any, Entry, Entry, Any]


class ForgetfulDisk(MemoryDisk):
    """Says that it synced, and did not, where `forgets` holds for the name of a file or directory."""

    def __init__(self, forgets: Callable[[str], bool]) -> None:
        super().__init__()
        self._forgets = forgets
        self._names: dict[int, str] = {}

    def open(self, path: Path, *, create: bool = False) -> int:
        """Remembers the name."""
        handle = super().open(path, create=create)
        self._names[handle] = path.name
        return handle

    def fdatasync(self, handle: int) -> None:
        """Perhaps."""
        if not self._forgets(self._names[handle]):
            super().fdatasync(handle)

    def sync_directory(self, path: Path) -> None:
        """Perhaps."""
        if not self._forgets(path.name + "/"):
            super().sync_directory(path)


def _found(make_disk: Callable[[], MemoryDisk]) -> bool:
    """Whether any of a few runs shows a broken promise."""
    for seed in range(SEEDS):
        for workload in WORKLOADS:
            try:
                cut_everywhere(workload, seed, make_disk())
            except AssertionError:
                return True
    return False


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("raftreg.consensus.segments.ALLOCATE_BYTES", 1024)


@pytest.mark.parametrize(
    "forgotten",
    [r"\d+\.new", r"\d+\.wal", r"meta\.new", r"snapshot-\d+\.new", "receiving", "peers.new", "log/", "data/"],
)
def test_a_sync_that_is_left_out_is_found(forgotten: str) -> None:
    """Every kind of file and directory has a sync that matters."""
    assert _found(lambda: ForgetfulDisk(lambda name: re.fullmatch(forgotten, name) is not None))


def _drop_all(journal: Journal, index: int) -> None:
    journal.log.drop_through(journal.last)


def _keep_nothing(journal: Journal, previous: object, newest: object) -> None:
    journal.entries.clear()


def _release_first(serializer: Serializer, data: Frozen, id_: int) -> None:
    serializer.engine.journal.release(data[1][1])
    _SERIALIZE(serializer, data, id_)


def _prune_first(store: SnapshotStore, snapshot: object) -> None:
    for index in store.indexes():
        store.disk.unlink(store.path(index))
    _SAVE(store, snapshot)


def _cut_silently(segments: Segments) -> None:
    _REOPEN(segments)
    assert segments._handle is not None
    segments._disk.truncate(segments._handle, segments._end - 40)


_SERIALIZE = Serializer.serialize
_REOPEN = Segments._reopen
_SAVE: Callable[[SnapshotStore, object], None] = SnapshotStore.save  # type: ignore[assignment]  # any snapshot
MUTANTS: dict[str, tuple[type, str, Callable[..., object]]] = {
    "the log goes further than the snapshot reaches": (Journal, "release", _drop_all),
    "the log is not aligned with the snapshot": (Journal, "align", _keep_nothing),
    "the log goes before the snapshot is durable": (Serializer, "serialize", _release_first),
    "the old snapshots go before the new one is durable": (SnapshotStore, "save", _prune_first),
    "recovery cuts too much": (Segments, "_reopen", _cut_silently),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_left_out_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order matters: first the new thing durable, then the old one away."""
    place, method, instead = MUTANTS[name]
    monkeypatch.setattr(place, method, instead)
    assert _found(MemoryDisk)
