"""The power fails after every operation on the disk, and every state that may be left recovers to what was promised."""

import logging
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import msgpack
import pytest

from raftreg.consensus.snapshot import Snapshot, encode
from raftreg.errors import RaftregError
from tests.consensus.worlds import app
from tests.crash.memory_disk import Image, MemoryDisk, Op
from tests.crash.power_cuts import Settling
from tests.crash.stations import Promises, Station, kept, recovered

POINTS_AT_LEAST = {"single voter": 240, "follower": 120}
NO_OP = b"\x01"


class Crashes:
    """Tries all crash points of a disk as they pass. `points` are operations, `states` the disks tried."""

    def __init__(self, promises: Promises, seed: int, **limits: int) -> None:
        self.promises, self.chance = promises, random.Random(seed)
        self.points = self.states = self.twice = 0
        self.kinds: Counter[str] = Counter()  # operations before which the power failed
        self.settling = Settling(None, **limits)
        self._seen: set[tuple[object, ...]] = set()

    def before(self, op: Op | None) -> None:
        """The power fails before an operation; then it is done."""
        self.points += 1
        for image in self.settling.states(self.chance):
            if self._is_new(image):
                self._try(image)
        if op is not None:
            self.kinds[_kind(op)] += 1
            self.settling.then(op)

    def _is_new(self, image: Image) -> bool:
        possible = tuple(map(id, self.promises.possible))
        key = (
            self.promises.starts,
            self.promises.cluster_id,
            self.promises.snapshot,
            possible,
            tuple(sorted(image.contents.items())),
            tuple((path, tuple(sorted(names.items()))) for path, names in sorted(image.entries.items())),
        )
        fresh = key not in self._seen
        self._seen.add(key)
        return fresh

    def _try(self, image: Image) -> None:
        self.states += 1
        disk = MemoryDisk(image.copy())
        self._recover(disk)
        if self.states % 16 == 0:
            self._again(image, disk.ops)

    def _again(self, image: Image, ops: list[Op]) -> None:
        """The power fails once more, at some point of the recovery."""
        settling = Settling(image)
        for op in ops[: self.chance.randrange(len(ops) + 1)]:
            settling.then(op)
        for later in settling.states(self.chance):
            self.twice += 1
            self._recover(MemoryDisk(later))

    def _recover(self, disk: MemoryDisk) -> None:
        try:
            kept(recovered(disk), self.promises)
        except RaftregError as refused:
            raise AssertionError(f"a mere crash was taken for damage: {refused}") from refused


def _kind(op: Op) -> str:
    """What people call it."""
    if isinstance(op.place, Path):
        if op.kind == "link":
            return "rename" if op.old else "new name"
        return "sync of a directory" if op.kind == "sync" else op.kind
    return "sync of a file" if op.kind == "sync" else op.kind


def single_voter(start: Callable[[], Station], chance: random.Random) -> None:
    """Two lives of a member that is alone: writes of all sizes, snapshots, segments that come and go."""
    station = start()
    station.join()
    for life in range(2):
        station.lead()
        for number in range(18):
            station.propose(b"%d.%d " % (life, number) + b"x" * chance.choice([1, 30, 400, 1300]))
            if chance.random() < 0.6:
                station.run()
        station.meet("n2.b", life + 1, "nonce")
        station.run()
        if life == 0:
            station.close()
            station = start()
            station.begin()


def follower(start: Callable[[], Station], chance: random.Random) -> None:
    """A member of three: entries, a tail that another leader replaces, votes, a snapshot from the leader, restarts."""
    station = start()
    station.join("n2.b", "n3.c")
    station.run()
    entry = [app(b"%d " % number + b"y" * chance.choice([1, 40, 500])) for number in range(60)]
    first: list[tuple[bytes, int]] = [(NO_OP, 1)] + [(data, 1) for data in entry[:9]]
    station.hear("n2.b", *appends(1, 1, 0, first, commit=7))
    station.hear("n3.c", ["V", 2, 11, 1, True])
    station.meet("n3.c", 1, "nonce")
    second = [(NO_OP, 2)] + [(data, 2) for data in entry[20:30]]
    station.hear("n3.c", *appends(2, 8, 1, second, commit=17))
    station.run()
    station.close()
    station = start()
    station.begin()
    station.hear("n3.c", *appends(2, 19, 2, [(data, 2) for data in entry[30:36]], commit=18))
    station.hear("n2.b", ["V", 4, 40, 3, True])
    station.run()
    arrives = snapshot_from_leader(station, index=chance.choice([22, 33]), entries=entry)
    station.hear("n2.b", ["S", 4, *arrives])
    station.run()
    last = station.engine.raftLastApplied
    station.hear("n2.b", *appends(4, last, 3, [(data, 4) for data in entry[50:60]], commit=last + 10))
    station.run()


def appends(
    term: int, prev: int, prev_term: int, body: list[tuple[bytes, int]], commit: int
) -> list[list[object]]:
    """Messages of a leader with three entries each; the last one says what is committed."""
    messages: list[list[object]] = []
    for start in range(0, len(body), 3):
        part = [list(entry) for entry in body[start : start + 3]]
        before = body[start - 1][1] if start else prev_term
        messages.append(["E", 7, term, min(commit, prev + start + len(part)), prev + start, before, part])
    return messages


def snapshot_from_leader(station: Station, index: int, entries: list[bytes]) -> list[object]:
    """A whole snapshot in one chunk, beyond what the member has applied: it holds other entries than its tail."""
    promises, engine = station.promises, station.engine
    applied = {at: data for at, data in promises.applied.items() if at <= engine.raftLastApplied}
    for at in range(engine.raftLastApplied + 1, index + 1):
        applied[at] = entries[at][2:]
    commands = [data for _, data in sorted(applied.items())]
    newest, previous = (entries[index], index, 3), (entries[index - 1], index - 1, 3)
    members = engine.journal.placed_at(1)
    state = bytes(msgpack.packb(commands))
    blob = b"".join(encode(station.store.cluster_id, Snapshot(newest, previous, members, [state])))
    promises.applied.update(applied)
    return [index, 3, len(blob), 0, google_crc32c.value(blob), blob]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Steps of allocation in proportion to the segments; thousands of torn tails are not worth a line each."""
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("raftreg.consensus.segments.ALLOCATE_BYTES", 1024)


WORKLOADS = {"single voter": single_voter, "follower": follower}


def cut_everywhere(workload: str, seed: int, disk: MemoryDisk | None = None, **limits: int) -> Crashes:
    """Let a member work and the power fail at every operation. `limits` are those of `Settling`."""
    promises = Promises()
    crashes = Crashes(promises, seed, **limits)
    chance = random.Random(seed)
    disk = disk or MemoryDisk()
    disk.before = crashes.before
    WORKLOADS[workload](lambda: Station(disk, promises, chance), chance)
    crashes.before(None)
    print(
        f"{workload}, seed {seed}: {crashes.points} crash points, {crashes.states} disks, {crashes.twice} twice"
    )
    return crashes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_crash_is_survived(workload: str, seed: int) -> None:
    """Identity, term, vote, entries, snapshots and the memory of peers are there after a power cut at any point."""
    assert cut_everywhere(workload, seed).points > POINTS_AT_LEAST[workload]
