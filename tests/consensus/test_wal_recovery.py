"""What is on the disk after a crash or a fault, and what recovery makes of it: cut, refuse, never forget."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.consensus.disk import RealDisk, SyncFailed
from raftreg.consensus.segments import Segments, segment_name
from raftreg.consensus.wal import Wal
from raftreg.errors import Damaged, StartRefused
from tests.consensus.disks import CachedDisk, FaultyDisk

CLUSTER, MEMBER = "c0ffee", "n1.0123"
BATCHES = [
    [b"term 1"],
    [b"entry 1", b"entry 2" * 3],
    [b"", b"entry 3"],
    [b"entry 4" * 6, b"vote", b"entry 5"],
]


def written(directory: Path, batches: list[list[bytes]], *, mark: bool, segment_bytes: int = 1 << 20) -> None:
    """A log as a killed process leaves it: each batch durable, with or without the mark behind the last."""
    segments = Segments(directory, CLUSTER, MEMBER, segment_bytes, RealDisk())
    assert [] == list(segments.recover())
    for number, records in enumerate(batches):
        if segments.is_full(sum(map(len, records))):
            segments.begin(number)
        segments.write(records, number)
    if mark:
        segments.mark()
    segments.abandon()


def recovered(directory: Path) -> list[bytes]:
    """The records that a fresh process finds."""
    wal = Wal(directory, CLUSTER, MEMBER)
    try:
        return list(wal.recover())
    finally:
        wal._segments.abandon()


def recovered_or_refused(directory: Path) -> list[bytes] | None:
    """The records that a fresh process finds, None if it refuses to start."""
    try:
        return recovered(directory)
    except StartRefused:
        return None


def flat(batches: list[list[bytes]]) -> list[bytes]:
    """All records in order."""
    return [record for batch in batches for record in batch]


def end_of(path: Path) -> int:
    """The offset behind the last byte that is not zero."""
    return len(path.read_bytes().rstrip(b"\0"))


@contextmanager
def copy_of(directory: Path) -> Iterator[Path]:
    """A copy that may be spoilt."""
    with TemporaryDirectory() as temporary:
        target = Path(temporary) / "log"
        shutil.copytree(directory, target)
        yield target


def flip(path: Path, bit: int) -> None:
    """Turn one bit of a file."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of four batches, whose process was killed when idle."""
    written(tmp_path / "log", BATCHES, mark=True)
    return tmp_path / "log"


def test_records_come_back_in_order(log: Path) -> None:
    """A recovered log yields every record, empty ones too, again and again."""
    assert flat(BATCHES) == recovered(log)
    assert flat(BATCHES) == recovered(log)


def test_empty_directory_is_an_empty_log(tmp_path: Path) -> None:
    """The first start makes the directory and the first segment."""
    assert [] == recovered(tmp_path / "log")
    assert [segment_name(1)] == [path.name for path in (tmp_path / "log").iterdir()]


@pytest.mark.parametrize("rest", [b"", b"\0" * 5000], ids=["cut", "zeros"])
def test_crash_at_every_byte_of_the_last_batch(tmp_path: Path, rest: bytes) -> None:
    """A write that a crash interrupted at any byte leaves the batch whole or not at all, and all earlier ones."""
    written(tmp_path / "short", BATCHES[:-1], mark=False)
    written(tmp_path / "whole", BATCHES, mark=False)
    start, end = (end_of(tmp_path / name / segment_name(1)) for name in ("short", "whole"))
    data = (tmp_path / "whole" / segment_name(1)).read_bytes()[:end]
    for cut in range(start, end + 1):
        with copy_of(tmp_path / "short") as directory:
            (directory / segment_name(1)).write_bytes(data[:cut] + rest)
            assert flat(BATCHES if cut == end else BATCHES[:-1]) == recovered(directory)


@settings(max_examples=60, deadline=None)
@given(lost=st.sets(st.integers(0, 15), min_size=1), marked=st.booleans())
def test_crash_that_lost_sectors_of_the_last_batch(lost: set[int], marked: bool) -> None:
    """Whatever sectors of an unsynced batch reached the disk, recovery yields what was synced before it."""
    big = [bytes([number]) * 700 for number in range(1, 11)]
    with TemporaryDirectory() as temporary:
        log = Path(temporary)
        written(log, BATCHES, mark=marked)
        path = log / segment_name(1)
        before = path.read_bytes()[: len(path.read_bytes().rstrip(b"\0"))].ljust(16 * 512, b"\0")
        segments = Segments(log, CLUSTER, MEMBER, 1 << 20, RealDisk())
        list(segments.recover())
        segments.write(big, 9)
        segments.abandon()
        after = path.read_bytes()[: 16 * 512]
        sectors = [
            (before if number in lost else after)[number * 512 : number * 512 + 512] for number in range(16)
        ]
        path.write_bytes(b"".join(sectors))
        assert recovered(log) in (flat(BATCHES), flat([*BATCHES, big]))


def segments_on(directory: Path, disk: RealDisk) -> tuple[Segments, list[list[bytes]]]:
    """A fresh process's log, and the batches that it found."""
    segments = Segments(directory, CLUSTER, MEMBER, 1 << 20, disk)
    return segments, list(segments.recover())


@pytest.mark.parametrize("failures", [1, 3])
def test_what_a_failed_sync_left_is_written_again(tmp_path: Path, failures: int) -> None:
    """The page cache shows the batch to the next process, but a sync alone would not bring it to the disk."""
    log, disk = tmp_path / "log", CachedDisk()
    segments, _ = segments_on(log, disk)
    segments.write([b"first"], 1)
    segments.mark()
    disk.fails = True
    with pytest.raises(SyncFailed):
        segments.write([b"second"], 2)
    segments.abandon()
    for _ in range(failures - 1):
        disk.fails = True
        with pytest.raises(StartRefused):
            segments_on(log, disk)
    segments, batches = segments_on(log, disk)
    segments.abandon()
    assert [[b"first"], [b"second"]] == batches
    disk.cut_power(log / segment_name(1))
    assert [b"first", b"second"] == recovered(log)


@pytest.mark.parametrize(("mark", "writes"), [(True, 1), (False, 2)])
def test_only_a_batch_without_a_mark_is_written_again(tmp_path: Path, mark: bool, writes: int) -> None:
    """A mark is written when its batch is durable; with it a start writes nothing but another mark."""
    written(tmp_path, BATCHES, mark=mark)
    disk = FaultyDisk()
    segments, batches = segments_on(tmp_path, disk)
    segments.abandon()
    assert BATCHES == batches
    assert writes == disk.done.count("write")
    assert flat(BATCHES) == recovered(tmp_path)


def test_torn_tail_is_said_once(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cut is one warning that names file and offset; the next start has nothing to cut."""
    path = log / segment_name(1)
    end = end_of(path)
    path.write_bytes(path.read_bytes()[:end] + b"half a batch")
    with caplog.at_level(logging.WARNING):
        assert flat(BATCHES) == recovered(log)
        assert flat(BATCHES) == recovered(log)
    (warning,) = caplog.messages
    assert str(path) in warning
    assert "12 bytes" in warning


def test_no_flipped_bit_shortens_a_log_silently(log: Path) -> None:
    """With the mark in place, one flipped bit anywhere in the log is refused or does no harm."""
    path = log / segment_name(1)
    end = end_of(path)
    path.write_bytes(path.read_bytes()[: end + 8])
    harmless = 0
    for bit in range(8 * (end + 8)):
        with copy_of(log) as directory:
            flip(directory / segment_name(1), bit)
            found = recovered_or_refused(directory)
            assert found is None or flat(BATCHES) == found
            harmless += found is not None
    # Only the mark (36 bytes) and the zeros behind it may be flipped without harm.
    assert 8 * (36 + 8) == harmless


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_flipped_bit_shortens_a_log_of_segments(data: st.DataObject) -> None:
    """The same over several segments, the last batch of a closed one included."""
    batches = data.draw(
        st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=4), min_size=2, max_size=9)
    )
    with TemporaryDirectory() as temporary:
        log = Path(temporary)
        written(log, batches, mark=True, segment_bytes=200)
        path = data.draw(st.sampled_from(sorted(log.iterdir())))
        flip(path, data.draw(st.integers(0, 8 * end_of(path) - 1)))
        assert recovered_or_refused(log) in (None, flat(batches))


def test_damage_names_file_offset_and_remedy(log: Path) -> None:
    """A damaged batch before valid ones is refused with all that an operator needs."""
    flip(log / segment_name(1), 8 * (end_of(log / segment_name(1)) - 100))
    with pytest.raises(Damaged) as caught:
        recovered(log)
    assert str(log / segment_name(1)) == caught.value.path
    assert f"at offset {caught.value.offset}" in str(caught.value)
    assert "Bring back the right files, or the whole data directory" in str(caught.value)


def test_data_that_looks_like_a_log_does_not_confuse(tmp_path: Path, log: Path) -> None:
    """A torn batch whose record is itself a copy of a segment is still a torn batch."""
    written(tmp_path / "copy", [*BATCHES, [(log / segment_name(1)).read_bytes()[:2000], b"x"]], mark=False)
    path = tmp_path / "copy" / segment_name(1)
    path.write_bytes(path.read_bytes()[: end_of(path) - 1])
    assert flat(BATCHES) == recovered(tmp_path / "copy")


def test_missing_and_shortened_segments_are_damage(tmp_path: Path) -> None:
    """A gap in the numbers, and a closed segment that lost its end, are refused."""
    written(tmp_path / "log", [[b"x" * 100] for _ in range(6)], mark=True, segment_bytes=200)
    first, second = (tmp_path / "log" / segment_name(number) for number in (1, 2))
    with copy_of(tmp_path / "log") as directory:
        (directory / second.name).unlink()
        with pytest.raises(Damaged, match=f"{second.name}: segment is missing"):
            recovered(directory)
    for size in (first.stat().st_size - 1, 120, 10, 0):
        with copy_of(tmp_path / "log") as directory:
            (directory / first.name).write_bytes(first.read_bytes()[:size])
            with pytest.raises(Damaged, match=first.name):
                recovered(directory)


def test_segment_that_was_being_made_is_forgotten(log: Path) -> None:
    """A crash while a segment is made leaves a file that no record is in; it is removed."""
    (log / "00000000000000000002.new").write_bytes(b"RAFTR")
    assert flat(BATCHES) == recovered(log)
    assert [segment_name(1)] == [path.name for path in log.iterdir()]


@pytest.mark.parametrize(("cluster", "member"), [("decaf", MEMBER), (CLUSTER, "n2.4567")])
def test_segment_of_somebody_else_is_refused(log: Path, cluster: str, member: str) -> None:
    """The log of another member or cluster is refused, and both are named."""
    with pytest.raises(StartRefused) as caught:
        list(Wal(log, cluster, member).recover())
    assert f"belongs to member {MEMBER} of cluster {CLUSTER}" in str(caught.value)
    assert f"this is member {member} of cluster {cluster}" in str(caught.value)


def test_batch_of_another_place_does_not_validate(log: Path) -> None:
    """A batch that was copied behind the end is cut like any other nonsense."""
    path = log / segment_name(1)
    data = path.read_bytes()[: end_of(path)]
    path.write_bytes(data + data[60:])
    assert flat(BATCHES) == recovered(log)


def test_newer_format_is_refused(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of a newer program is not touched."""
    monkeypatch.setattr("raftreg.consensus.segment.FORMAT_VERSION", 2)
    written(log.parent / "new", [[b"x"]], mark=True)
    monkeypatch.undo()
    with pytest.raises(StartRefused, match="format version 2 is newer"):
        recovered(log.parent / "new")
