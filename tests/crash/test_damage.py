"""Damaged disks: every bit, every length, missing and foreign files. All is recovered, or the node refuses to start."""

import logging
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftreg.consensus.identity import LOG_DIRECTORY
from raftreg.errors import Damaged, StartRefused
from tests.crash import stations
from tests.crash.memory_disk import DIRECTORY, ROOT, Image, MemoryDisk
from tests.crash.stations import DATA, Promises, Station, kept, recovered

REMEDIES = (
    "Bring back the right files, or the whole data directory as this node left it",
    "delete the file and start again",
    "Put every node's data directory back in its place",
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A disk of few bytes, so that each can be tried; thousands of refusals are not worth a line each."""
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("raftreg.consensus.segments.ALLOCATE_BYTES", 64)
    monkeypatch.setattr(stations, "SEGMENT_BYTES", 400)
    monkeypatch.setattr(stations, "SNAPSHOT_ENTRIES", 6)


def used_disk(closed: bool, count: int = 22) -> tuple[Image, Promises]:
    """What a member leaves behind: stopped in an orderly way, or killed when idle."""
    disk, promises, chance = MemoryDisk(), Promises(), random.Random(5)
    station = Station(disk, promises, chance)
    station.join()
    station.lead()
    for number in range(count):
        station.propose(b"%d" % number)
        station.run()
    station.meet("n2.b", 3, "nonce")
    if closed:
        station.close()
    return disk.image, promises


def files(image: Image) -> Iterator[tuple[Path, int]]:
    """Paths and inodes, in order."""
    for directory in sorted(image.entries):
        for name, inode in sorted(image.entries[directory].items()):
            if inode != DIRECTORY:
                yield directory / name, inode


def newest_segment(image: Image) -> Path:
    """The segment that is written to."""
    return DATA / LOG_DIRECTORY / max(image.entries[DATA / LOG_DIRECTORY])


def started(image: Image) -> Station | StartRefused:
    """What becomes of a member on a damaged disk; nothing else may be raised."""
    try:
        return recovered(MemoryDisk(image.reachable(ROOT)))
    except StartRefused as refused:
        return refused


def outcome(image: Image, promises: Promises, path: Path) -> str:
    """Assert that the member has everything, or says in one line what is wrong where, and what to do."""
    station = started(image)
    if isinstance(station, Station):
        _kept_or_mended(station, promises)
        return "recovered"
    text = str(station)
    assert str(DATA) in text
    assert "\n" not in text
    assert any(remedy in text for remedy in REMEDIES), text
    assert not isinstance(station, Damaged) or f" at offset {station.offset}. " in text
    return "refused"


def _kept_or_mended(station: Station, promises: Promises) -> None:
    """Everything is there; it may stand in the log instead of the newest snapshot."""
    snapshot = promises.snapshot
    mended = any(name.startswith("damaged-") for name in station.disk.listdir(DATA))
    try:
        promises.snapshot = 0 if mended else snapshot
        kept(station, promises)
    finally:
        promises.snapshot = snapshot
    if mended:
        assert station.engine.journal.last >= snapshot


def with_content(image: Image, inode: int, content: bytes) -> Image:
    """The disk with another content of one file."""
    spoilt = image.copy()
    spoilt.contents[inode] = content
    return spoilt


@pytest.mark.parametrize("closed", [True, False], ids=["stopped", "killed"])
def test_every_flipped_bit_is_harmless_or_refused(closed: bool) -> None:
    """One bit of meta, peers, log or snapshots: nothing acknowledged is missing, or the file and a remedy are told."""
    image, promises = used_disk(closed)
    counts: Counter[str] = Counter()
    for path, inode in files(image):
        good = image.contents[inode]
        for bit in range(8 * len(good)):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            counts[outcome(with_content(image, inode, bytes(bad)), promises, path)] += 1
    print(f"{sum(counts.values())} flips: {dict(counts)}")
    assert counts["refused"] > 0
    assert counts["recovered"] > 0


def flipped(image: Image, path: Path, at: int) -> Image:
    """The disk with one bit of a file turned over."""
    inode = image.entries[path.parent][path.name]
    bad = bytearray(image.contents[inode])
    bad[at] ^= 1
    return with_content(image, inode, bytes(bad))


def closed_segments(image: Image) -> list[Path]:
    """All but the one that is written to, oldest first."""
    return [DATA / LOG_DIRECTORY / name for name in sorted(image.entries[DATA / LOG_DIRECTORY])[:-1]]


def test_a_damaged_segment_below_the_newest_snapshot_is_put_aside(caplog: pytest.LogCaptureFixture) -> None:
    """The node says which file, where and why that does no harm, and keeps it; the next start has no word of it."""
    caplog.set_level(logging.WARNING)
    image, promises = used_disk(closed=True)
    path = closed_segments(image)[0]
    station = started(flipped(image, path, 200))
    assert isinstance(station, Station)
    kept(station, promises)
    assert f"damaged-{path.name}" in station.disk.listdir(path.parent)
    told = [text for text in caplog.messages if text.startswith(f"{path}: batch ")]
    assert 1 == len(told)
    assert "went on from the newest snapshot and the log after it" in told[0]
    caplog.clear()
    kept(recovered(MemoryDisk(station.disk.image.reachable(ROOT))), promises)
    assert [] == caplog.messages


def test_a_damaged_segment_that_is_needed_is_not_put_aside() -> None:
    """Its entries are above the newest snapshot; a node that went on without them would have forgotten them."""
    image, promises = used_disk(closed=True)
    needed = closed_segments(image)[-1]
    spoilt = flipped(image, needed, 200)
    assert "refused" == outcome(spoilt, promises, needed)
    assert str(started(spoilt)).startswith(f"{needed}: batch ")
    assert needed.name in spoilt.entries[needed.parent]


@pytest.mark.parametrize("closed", [True, False], ids=["stopped", "killed"])
def test_every_truncation_but_of_the_newest_segment_is_harmless_or_refused(closed: bool) -> None:
    """Files cut to any length, to nothing among them."""
    image, promises = used_disk(closed)
    counts: Counter[str] = Counter()
    for path, inode in files(image):
        if path != newest_segment(image):
            for size in range(len(image.contents[inode])):
                spoilt = with_content(image, inode, image.contents[inode][:size])
                counts[outcome(spoilt, promises, path)] += 1
    print(f"{sum(counts.values())} truncations: {dict(counts)}")
    assert counts["refused"] > 0
    assert counts["recovered"] > 0


@pytest.mark.parametrize("closed", [True, False], ids=["stopped", "killed"])
def test_a_newest_segment_that_somebody_cut_is_an_earlier_log(closed: bool) -> None:
    """Its end cannot be told from a write that a crash interrupted; what is read is a beginning, never a wrong byte."""
    image, promises = used_disk(closed)
    path = newest_segment(image)
    inode = image.entries[path.parent][path.name]
    assert promises.ledger is not None
    everything = promises.ledger.states[promises.ledger.synced].entries
    for size in range(len(image.contents[inode])):
        station = started(with_content(image, inode, image.contents[inode][:size]))
        if isinstance(station, StartRefused):
            assert str(path) in str(station)
            continue
        found = {index: (data, term) for data, index, term in station.engine.journal.entries}
        assert found == {index: entry for index, entry in everything.items() if index in found}


@pytest.mark.parametrize("closed", [True, False], ids=["stopped", "killed"])
def test_every_missing_file_but_the_newest_segment_is_harmless_or_refused(closed: bool) -> None:
    """A file that somebody deleted, and the log as a whole."""
    image, promises = used_disk(closed)
    counts: Counter[str] = Counter()
    missing = [path for path, _ in files(image) if path not in (newest_segment(image), DATA / "peers")]
    for path in [*missing, DATA / LOG_DIRECTORY]:
        spoilt = image.copy()
        del spoilt.entries[path.parent][path.name]
        snapshot, promises.snapshot = promises.snapshot, 0  # The older one and the log have the same.
        counts[outcome(spoilt, promises, path)] += 1
        promises.snapshot = snapshot
    print(f"{sum(counts.values())} missing: {dict(counts)}")
    assert counts["refused"] > 0


def test_files_of_another_node_are_refused() -> None:
    """Any file in the place of ours that a node of another cluster wrote, but for the memory of peers."""
    image, promises = used_disk(closed=True)
    foreign, _ = used_disk(closed=True)
    theirs = dict(files(foreign))
    for path, inode in files(image):
        if path.name == "peers" or path not in theirs:
            continue
        spoilt = with_content(image, inode, foreign.contents[theirs[path]])
        expected = "recovered" if path.name.startswith("snapshot-") else "refused"
        assert expected == outcome(spoilt, promises, path), path
