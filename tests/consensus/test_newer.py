"""What a node does that meets something which a newer release wrote: it says so and waits, and skips nothing."""

from pathlib import Path
from typing import Any

import msgpack
import pytest

from raftreg import versions
from raftreg.consensus import ChangeKind, MemberChange
from raftreg.consensus.engine import Engine
from raftreg.consensus.journal import Placed
from raftreg.consensus.members import CONFIG, Members
from raftreg.consensus.snapshot import Snapshot, SnapshotStore, decode, encode
from raftreg.errors import Damaged, NewerFormat, Refused
from tests.consensus.nets import Net
from tests.consensus.worlds import FakeClock

MEMBERS = Members("test", frozenset("abc"))
OLD, NEW = "b", "c"


@pytest.fixture
def trio(tmp_path: Path, clock: FakeClock) -> Net:
    """a leads b and c; b does not know the command NEWER."""
    net = Net(tmp_path, clock, "abc").led_by("a")
    net.machines[OLD].unknown.add(b"NEWER")
    return net


def _write(net: Net, *commands: bytes) -> None:
    leader = next(engine for engine in net.engines.values() if engine.leading)
    for command in commands:
        leader.propose(command, lambda result, known: None)
    net.run(0.05)


def test_a_command_of_a_newer_release_is_neither_applied_nor_skipped(
    trio: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """What follows waits too, and is acknowledged all the same; it is said once."""
    _write(trio, b"1", b"NEWER", b"2")
    _write(trio, b"3")
    engine = trio.engines[OLD]
    assert ([b"1"], [b"1", b"NEWER", b"2", b"3"]) == (trio.machines[OLD].applied, trio.machines[NEW].applied)
    assert trio.engines["a"].guard.acked_index(OLD) == trio.engines["a"].journal.last == engine.journal.last
    assert "entry 4 of the log: a command of the future; upgrade raftreg on this node" in engine.newer.text
    assert 1 == sum("command of the future" in record.message for record in caplog.records)
    assert engine.at_rest  # No tick after the other while it waits.


def test_a_node_that_cannot_apply_votes_and_its_ack_makes_a_majority(trio: Net) -> None:
    """With the third member gone the two go on."""
    _write(trio, b"NEWER")
    trio.kill(NEW)
    _write(trio, b"2")
    assert [b"NEWER", b"2"] == trio.machines["a"].applied
    trio.start(NEW)
    trio.run(0.1)
    trio.kill("a")
    assert trio.elect(NEW)


def test_a_node_that_cannot_apply_does_not_lead(trio: Net) -> None:
    """It does not campaign, and takes over from nobody."""
    _write(trio, b"NEWER")
    assert not trio.elect(OLD)
    trio.elect(NEW)
    leader = trio.engines[NEW]
    trio.run(0.2)
    assert leader.election.hand_over(OLD) == OLD
    trio.run(0.5)
    assert leader.leading


def test_a_leader_that_cannot_apply_gives_the_lead_away(trio: Net) -> None:
    """The command was in its log before it led, so that it learns of it only now."""
    trio.machines["a"].unknown.add(b"NEWER")
    _write(trio, b"NEWER")
    for _ in range(100):
        trio.run(0.05)
        if trio.engines[NEW].leading:
            break
        for engine in trio.engines.values():
            engine.election.deadline = min(engine.election.deadline, trio.clock.time + 0.2)
    assert [NEW] == [name for name, engine in trio.engines.items() if engine.leading]


def test_after_an_upgrade_a_node_goes_on_from_its_log(trio: Net) -> None:
    """The same data directory, started by a release that knows the command."""
    _write(trio, b"1", b"NEWER", b"2")
    trio.kill(OLD)
    engine = trio.start(OLD)
    trio.run(0.2)
    assert [b"1", b"NEWER", b"2"] == trio.machines[OLD].applied
    assert engine.newer.text == ""


@pytest.mark.parametrize(
    "entry", [CONFIG + msgpack.packb([9, "test", {"of": "the future"}]), b"\x00\x07x", b"\x09"]
)
def test_an_entry_of_a_newer_kind_stops_what_follows(trio: Net, entry: bytes) -> None:
    """A member set of a newer format as well: the set before it stays in use, and this node does not campaign."""
    old = trio.engines[OLD]
    last = old.journal.last
    term = old.raftCurrentTerm
    append = ["E", 1, term, last + 2, last, term, [(entry, term), (b"\x00\x00x", term)]]
    trio.engines[OLD].receive("a", append)
    old.tick()
    assert (last, last + 2) == (old.raftLastApplied, old.journal.last)
    assert f"entry {last + 1} of the log" in old.newer.text
    assert frozenset("abc") == old.members.voters


def test_a_member_set_of_a_newer_release_that_is_taken_back_is_no_matter(trio: Net) -> None:
    """It was not committed, and the next leader wrote something else there."""
    old = trio.engines[OLD]
    last, term = old.journal.last, old.raftCurrentTerm
    newer = CONFIG + msgpack.packb([9, "test"])
    old.receive("a", ["E", 1, term, last, last, term, [(newer, term)]])
    assert "a member set of format 9" in old.newer.text
    old.receive(NEW, ["E", 1, term + 1, last, last, term, [(b"\x01", term + 1), (b"\x01", term + 1)]])
    assert old.newer.text == ""


# -- snapshots -----------------------------------------------------------------------------------------------------
def _snapshot(level: int = 1) -> Snapshot:
    return Snapshot((b"\x01", 9, 2), (b"\x01", 8, 2), Placed(1, 1, MEMBERS), [msgpack.packb([b"s"])], level)


def _blob(level: int = 1) -> bytes:
    return b"".join(encode("test", _snapshot(level)))


FORMER_SNAPSHOT = bytes.fromhex(
    "726166747265672d736e617073686f74010a"  # the magic
)


def _with_version(version: int) -> bytes:
    """A snapshot whose head has another version, with a checksum that is right."""
    import google_crc32c

    head = msgpack.packb([version, "test", {"of": "the future"}])
    parts = [len(head).to_bytes(4, "little"), google_crc32c.value(head).to_bytes(4, "little"), head, bytes(8)]
    return FORMER_SNAPSHOT + b"".join(parts)


def test_the_first_format_of_snapshots_is_written_at_the_first_level() -> None:
    """Its bytes, as they were: so releases that know no levels can read it."""
    blob = _blob()
    head = msgpack.unpackb(blob[26 : 26 + int.from_bytes(blob[18:22], "little")])
    assert [1, "test", [b"\x01", 9, 2], [b"\x01", 8, 2], [1, 1, MEMBERS.encode()]] == head
    assert _snapshot() == decode("s", "test", blob)
    assert _snapshot(2) == decode("s", "test", _blob(2))


def test_a_snapshot_of_a_newer_release_is_no_damaged_one() -> None:
    """By its version, or by the feature level; the file and the remedy are named."""
    for blob, what in (
        (_with_version(3), "format version 3 is newer than this raftreg knows"),
        (
            _blob(versions.LEVEL_MAX + 1),
            "feature level 3 is newer than this raftreg knows",
        ),
    ):
        with pytest.raises(NewerFormat, match=what) as refused:
            decode("dir/snapshot-9", "test", blob)
        assert str(refused.value).startswith("dir/snapshot-9: ")
        assert "Start the newer raftreg that wrote it" in str(refused.value)
    with pytest.raises(Damaged, match="a head of format 0"):
        decode("s", "test", _with_version(0))


def test_a_node_does_not_start_on_the_snapshot_of_a_newer_release(tmp_path: Path, clock: FakeClock) -> None:
    """Nor on an older one beside it; nothing is put aside or removed."""
    net = Net(tmp_path, clock, "abc")
    net.kill(OLD)
    store = SnapshotStore(tmp_path / OLD, "test")
    store.save(_snapshot(versions.LEVEL_MAX + 1))
    with pytest.raises(NewerFormat, match="snapshot-00000000000000000009: feature level 3 is newer"):
        net.start(OLD)
    assert [9] == store.indexes()


def test_a_newer_snapshot_of_the_leader_is_refused_once(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node keeps what it has, says what it needs, and is not sent the same again and again."""
    net = Net(tmp_path, clock, "abc", entries=5).led_by("a")
    net.kill(OLD)
    for number in range(30):
        _write(net, b"%d" % number)
    snapshots: list[Any] = []
    adopt = SnapshotStore.adopt

    def newer(store: SnapshotStore) -> Snapshot:
        snapshots.append(1)
        raise NewerFormat("of a newer release")

    monkeypatch.setattr(SnapshotStore, "adopt", newer)
    monkeypatch.setattr(net, "_start_jobs", None, raising=False)
    engine = _start_catching(net)
    net.run(4.0)
    assert snapshots == [1]
    assert "of the leader: of a newer release; upgrade raftreg on this node" in engine.newer.text
    assert [] == net.machines[OLD].applied
    monkeypatch.setattr(SnapshotStore, "adopt", adopt)
    net.kill(OLD)
    engine = net.start(OLD)
    net.run(2.0)
    assert (net.machines["a"].applied, "") == (net.machines[OLD].applied, engine.newer.text)


def _start_catching(net: Net) -> Engine:
    """Start OLD where jobs give back what they raise, as the worker thread does."""
    engine = net.start(OLD)

    def jobs(work: Any, done: Any) -> None:
        try:
            outcome = work()
        except NewerFormat as error:
            outcome = error
        done(outcome)

    object.__setattr__(engine.world, "jobs", jobs)
    return engine


@pytest.mark.parametrize("kind", ["add", "promote", "replace"])
@pytest.mark.parametrize(
    ("known", "why"),
    [
        ((1, 1), "the cluster is at feature level 2, and e knows levels 1 to 1: upgrade raftreg on e"),
        (
            (3, 4),
            "the cluster is at feature level 2, and e knows levels 3 to 4: start a release there that knows",
        ),
    ],
)
def test_who_does_not_know_the_level_in_force_does_not_come(
    kind: ChangeKind, known: tuple[int, int], why: str, trio: Net
) -> None:
    """It could not read what is written; and it is told what to do."""
    if kind == "promote":
        trio.join("a", "e")
    levels = {"e": known}
    object.__setattr__(trio.engines["a"].world, "levels_of", levels.get)
    change = "a", kind, "e", "c" if kind == "replace" else ""
    (refused,) = trio.change(*change)
    assert str(refused).startswith(why)
    levels["e"] = (1, 2)
    outcome = trio.change(*change)
    trio.run(0.2)
    assert [True] == outcome


def test_a_level_that_was_raised_is_told_when_it_is_applied(trio: Net) -> None:
    """Once, and not for entries that leave it as it is: then those are let go that do not know it."""
    engine, told = trio.engines["a"], []
    object.__setattr__(engine.world, "on_members", lambda: told.append(engine.raftLastApplied))
    trio.put("a", b"x")
    trio.run(0.1)
    assert [] == told
    trio.machines["a"].feature_level = 3
    trio.put("a", b"y")
    trio.put("a", b"z")
    trio.run(0.1)
    assert [engine.raftLastApplied] == told


# -- the gate ------------------------------------------------------------------------------------------------------
def test_a_standby_waits_for_the_level_at_which_all_can_read_it(trio: Net) -> None:
    """Its member set has a format that former releases do not know."""
    trio.machines["a"].feature_level = 1
    with pytest.raises(Refused, match="a standby needs feature level 2, and the cluster is at 1"):
        trio.engines["a"].changes.begin(MemberChange("add", "d", standby=True), lambda result, known: None)
    trio.machines["a"].feature_level = 2
    trio.engines["a"].changes.begin(MemberChange("add", "d", standby=True), lambda result, known: None)
    assert frozenset("d") == trio.engines["a"].members.standbys
