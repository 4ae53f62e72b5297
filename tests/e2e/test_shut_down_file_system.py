"""A file system that is shut down under a running log: what the log called durable is there afterwards."""

import random
import threading
import time
from pathlib import Path

from raftreg.consensus.disk import RealDisk, SyncFailed
from raftreg.consensus.segments import Segments
from tests.e2e.power import LossyDisk

ROUNDS = 60  # of which several fail where a sync of space that was never written may be wrong


def test_what_was_durable_outlives_the_file_system(tmp_path: Path) -> None:
    """A batch is written again and again while the file system is shut down: each one that returned is read back.

    So a node whose disk dies while it runs has acknowledged nothing that is not there. Where no file system can be
    mounted, which needs root, nothing is shut down, and all is there as well.
    """
    disk = LossyDisk(tmp_path / "disk")
    dice = random.Random(7)
    try:
        disk.open()
        lost = [number for number in range(ROUNDS) if not outlives_a_cut(disk, f"log{number}", dice)]
    finally:
        disk.close()
    assert [] == lost


def outlives_a_cut(disk: LossyDisk, name: str, dice: random.Random) -> bool:
    """Whether all batches that were written before the cut can be read after it."""
    written: list[bytes] = []
    segments = opened(disk.folder / name)
    assert [] == list(segments.recover())
    over = threading.Event()
    writer = threading.Thread(target=write_on, args=(segments, written, dice, over))
    writer.start()
    time.sleep(dice.uniform(0.002, 0.02))
    disk.cut()
    over.set()
    writer.join()
    segments.abandon()
    disk.restore()
    again = opened(disk.folder / name)
    found = [record for batch in again.recover() for record in batch]
    again.abandon()
    return written == found[: len(written)]


def opened(directory: Path) -> Segments:
    """The log of one member, before its recovery."""
    return Segments(directory, "cluster", "n1.1", 64 << 20, RealDisk())


def write_on(segments: Segments, written: list[bytes], dice: random.Random, over: threading.Event) -> None:
    """Until the disk is gone, or it is over."""
    try:
        while not over.is_set():
            record = dice.randbytes(dice.randint(3000, 9000))
            segments.write([record], len(written) + 1)
            written.append(record)
    except (OSError, SyncFailed):
        return
