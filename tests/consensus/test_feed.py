"""Flow control towards learners: how much is under way, and that all of it arrives."""

from pathlib import Path
from typing import Any

import pytest

from raftreg.consensus.feed import WINDOW_BYTES, WINDOW_ENTRIES
from tests.consensus.nets import Net
from tests.consensus.worlds import FakeClock

COUNT = 5 * WINDOW_ENTRIES


@pytest.fixture
def net(tmp_path: Path, clock: FakeClock) -> Net:
    """a leads b and c, and has written much."""
    net = Net(tmp_path, clock, "abc", entries=100 * COUNT).led_by("a")
    for number in range(COUNT):
        net.put("a", b"%d" % number)
    net.run(0.1)
    assert COUNT == len(net.machines["b"].applied)
    return net


class Watched:
    """Counts the entries that are sent to a member, and may lose them."""

    def __init__(self, net: Net, member: str) -> None:
        self.net, self.member = net, member
        self.sent = self.burst = 0
        self.losing = False
        net.loses = self._see

    def _see(self, source: str, target: str, message: list[Any]) -> bool:
        if target != self.member or message[0] != "E":
            return False
        self.sent += len(message[6])
        return self.losing and bool(message[6])

    def run(self, seconds: float) -> None:
        """Let time pass; `burst` is the most that was sent between two rounds of messages."""
        for _ in range(int(seconds * 100)):
            for _ in range(4):
                before = self.sent
                self.net.step()
                self.burst = max(self.burst, self.sent - before)
            self.net.clock.time += 0.01


def test_a_learner_far_behind_gets_a_window_at_a_time(net: Net) -> None:
    """Never more than that is on its way, and it catches up nevertheless."""
    net.start("l")
    outcome = net.change("a", "add", "l")
    watched = Watched(net, "l")
    watched.run(0.5)
    assert [True] == outcome
    assert WINDOW_ENTRIES // 2 < watched.burst < 2 * WINDOW_ENTRIES
    assert COUNT <= watched.sent < COUNT + WINDOW_ENTRIES
    assert net.engines["a"].journal.last == net.engines["l"].journal.last
    net.run(0.2)
    assert net.machines["a"].applied == net.machines["l"].applied
    assert net.engines["a"].catch_up.done("l")


def test_the_voters_do_not_wait_behind_a_learner(net: Net) -> None:
    """While a learner catches up, and while it acks nothing, writes are committed and reach the voters."""
    net.start("l")
    watched = Watched(net, "l")
    net.change("a", "add", "l")
    watched.run(0.01)
    assert watched.sent
    net.unsynced.add("l")
    net.run(0.1)
    written = net.put("a", b"meanwhile")
    net.run(0.02)
    assert [(COUNT + 1, True)] == written
    assert not net.engines["a"].catch_up.done("l")
    assert net.engines["l"].journal.last < 4 * WINDOW_ENTRIES
    assert net.engines["a"].serializer._must_wait()  # The log is not cut under its feet.
    net.unsynced.clear()
    net.run(0.5)
    assert net.machines["a"].applied == net.machines["l"].applied


def test_a_learner_that_holds_on_hears_its_leader(net: Net) -> None:
    """Between slices it gets pings, so it knows who leads and is known to be alive."""
    net.start("l")
    net.change("a", "add", "l")
    net.run(0.0)
    net.unsynced.add("l")
    net.run(0.5)
    assert net.clock.time - net.engines["l"].election.leader_contact < 0.2
    assert net.engines["a"].reads.heard_within("l", 0.2)


def test_a_slice_that_was_dropped_is_sent_again(net: Net) -> None:
    """A learner whose disk does not keep up drops appends: after a while they come again, behind its last ack."""
    net.start("l")
    net.change("a", "add", "l")
    watched = Watched(net, "l")
    watched.losing = True
    watched.run(0.5)
    assert WINDOW_ENTRIES <= watched.sent < 2 * WINDOW_ENTRIES
    watched.losing = False
    watched.run(0.3)
    assert net.engines["l"].journal.last < COUNT
    net.run(1.0)
    assert net.engines["a"].journal.last == net.engines["l"].journal.last


def test_a_learner_that_reconnects_goes_on_behind_its_last_ack(net: Net) -> None:
    """What was under way on the old connection does not fill the window of the new one."""
    net.start("l")
    net.change("a", "add", "l")
    net.run(0.0)
    net.unsynced.add("l")
    net.run(0.1)
    net.kill("l")
    net.unsynced.clear()
    assert net.start("l").journal.last < COUNT
    net.run(0.5)
    assert net.engines["a"].journal.last == net.engines["l"].journal.last


def test_large_entries_fill_the_window_by_their_bytes(tmp_path: Path, clock: FakeClock) -> None:
    """A few of them are as much as many small ones."""
    net = Net(tmp_path, clock, "abc").led_by("a")
    for _ in range(20):
        net.put("a", bytes(WINDOW_BYTES // 2))
    net.run(0.1)
    net.start("l")
    net.change("a", "add", "l")
    watched = Watched(net, "l")
    watched.run(0.5)
    assert 2 <= watched.burst <= 4
    assert net.engines["a"].journal.last == net.engines["l"].journal.last


def test_a_learner_that_keeps_up_is_not_held_back(net: Net) -> None:
    """Writes go to it as they go to the voters, without waiting for its acks."""
    net.join("a", "l")
    net.unsynced.add("l")
    for number in range(20):
        net.put("a", b"y%d" % number)
        net.step()
    net.run(0.0)
    assert net.engines["a"].journal.last == net.engines["l"].journal.last


def test_a_learner_removed_while_it_gets_a_snapshot_gets_no_more_of_it(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The transfer ends with the membership; added again, it catches up from the beginning."""
    net = Net(tmp_path, clock, "abc", entries=10).led_by("a")
    for number in range(40):
        net.put("a", bytes(100_000) + b"%d" % number)
        net.run(0.02)
    net.start("l")
    net.isolate("l")
    net.change("a", "add", "l")
    net.run(0.1)
    net.cut.clear()
    for _ in range(100):
        if "l" in net.engines["a"].transfers.active:
            break
        net.clock.time += 0.01
        net.step()
    assert "l" in net.engines["a"].transfers.active
    outcome = net.change("a", "remove", "l")
    assert {} == net.engines["a"].transfers.active
    net.run(0.2)
    assert [True] == outcome
    assert net.engines["l"].raftLastApplied < 10
    net.change("a", "add", "l")
    net.run(0.5)
    assert net.machines["a"].applied == net.machines["l"].applied
