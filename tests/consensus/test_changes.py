"""Changes of the member set, as schedules of several engines: what is refused, what is committed, what survives."""

import logging
from pathlib import Path
from typing import Any

import pytest

from raftreg.consensus import MemberChange
from raftreg.consensus.engine import Engine
from raftreg.consensus.journal import Placed
from tests.consensus.nets import Net
from tests.consensus.worlds import FakeClock


@pytest.fixture
def trio(tmp_path: Path, clock: FakeClock) -> Net:
    """a leads b and c."""
    return Net(tmp_path, clock, "abc").led_by("a")


# -- nothing before an entry of the own term: the flaw of 2015 -----------------------------------------------------
def _schedule_of_2015(tmp_path: Path, clock: FakeClock) -> tuple[Net, list[bool | str], bool]:
    """An uncommitted promotion of an older term, then a removal by a leader that committed nothing in its own term.

    Returns what the removal gave at 2, and whether 1 can be elected afterwards by the voters of the promotion.
    """
    net = Net(tmp_path, clock, "1234").led_by("1")
    net.join("1", "5")
    net.cut_off("12", "13", "14", "52", "53", "54")
    net.change("1", "promote", "5")
    net.run(0.05)
    net.hold()
    net.forget_leader("2", "3", "4")
    net.engines["2"].election.deadline = 0.0
    while not net.engines["2"].leading:
        net.step()
        net.queue = [item for item in net.queue if item[2][0] != "E"]  # Its first entry reaches nobody.
    net.cut_off("24", "34", "23")
    net.queue.clear()
    net.mend("23")
    heard = net.engines["2"].reads  # 3 voted for it just now, so 2 knows that it is alive.
    heard.heard("3", heard.stamp())
    heard.heard("4", heard.stamp())
    outcome = net.change("2", "remove", "1")
    net.hold()
    net.run(0.05)
    net.isolate("2")
    net.isolate("3")
    net.mend("14", "54", "15")
    net.kill("1")
    net.start("1")
    return net, outcome, net.elect("1") or net.elect("1")


def test_a_leader_that_committed_nothing_in_its_term_changes_nothing(
    tmp_path: Path, clock: FakeClock
) -> None:
    """With the rule, 2 may not remove 1 before its own first entry is committed."""
    net, outcome, _ = _schedule_of_2015(tmp_path, clock)
    assert 1 == len(outcome)
    assert "has not committed an entry of its own term" in str(outcome[0])
    assert {"1", "2", "3", "4"} == net.voters("2")


def test_without_that_rule_two_majorities_do_not_meet(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule proves something: without the rule {2, 3} commit the removal of 1, and {1, 4, 5} elect 1."""
    monkeypatch.setattr(Engine, "settled", property(lambda engine: engine.leading))
    net, outcome, won = _schedule_of_2015(tmp_path, clock)
    assert [True] == outcome
    assert won
    assert set("12345") == net.voters("1")


# -- removal -------------------------------------------------------------------------------------------------------
def test_a_removed_member_is_sent_nothing_any_more(trio: Net) -> None:
    """Not even the entry that removes it."""
    outcome = trio.change("a", "remove", "c")
    trio.run(0.1)
    assert [True] == outcome
    assert set("ab") == trio.voters("a") == trio.voters("b")
    assert set("abc") == trio.voters("c")


def test_a_removed_member_disturbs_nobody_and_learns_that_it_is_out(trio: Net) -> None:
    """Its pre-votes raise no term; it is told the committed set and rests, also when the leader dies."""
    trio.change("a", "remove", "c")
    trio.run(0.1)
    term = trio.engines["a"].raftCurrentTerm
    trio.hold()
    trio.engines["c"].election.deadline = 0.0
    trio.run(2)
    assert ["a"] == trio.leaders()
    assert term == trio.engines["a"].raftCurrentTerm
    assert trio.engines["c"].removed
    trio.kill("a")
    trio.forget_leader("b")
    trio.engines["c"].election.deadline = 0.0
    trio.run(1, until=lambda: False)
    assert not trio.engines["c"].leading
    assert term == trio.engines["c"].raftCurrentTerm


def test_only_a_voter_that_is_not_removed_asks_for_votes(trio: Net) -> None:
    """A learner, a stranger and who was told of its removal are silent however long nobody leads."""
    trio.join("a", "l")
    trio.start("s")
    asked: set[str] = set()

    def note(source: str, target: str, message: list[Any]) -> bool:
        asked.update({source} if message[0] in ("P", "V") else ())
        return True

    engine = trio.engines["b"]
    engine.told_members(Placed(1, 99, engine.members.step(_removal("b"))))
    trio.loses = note
    for member in "bcls":
        trio.engines[member].election.deadline = 0.0
    trio.run(1)
    assert {"c"} <= asked <= {"a", "c"}


def test_a_removal_that_is_older_than_the_own_set_is_not_believed(trio: Net) -> None:
    """What a deposed leader or a late message says is harmless."""
    engine = trio.engines["b"]
    without = engine.members.step(_removal("b"))
    engine.told_members(Placed(0, 0, without))
    assert not engine.removed
    engine.told_members(Placed(0, 2, without))
    assert engine.removed


def test_a_later_set_with_it_ends_a_removal(trio: Net) -> None:
    """The newest told set counts, and the own log when it is newer still."""
    engine = trio.engines["b"]
    without, placed = engine.members.step(_removal("b")), engine.committed_members
    engine.told_members(Placed(0, 2, without))
    engine.told_members(Placed(0, 3, placed.members))
    assert not engine.removed
    engine.told_members(Placed(0, 4, without))
    assert engine.removed
    trio.start("d")
    outcome = trio.change("a", "add", "d")
    trio.run(0.1)
    assert [True] == outcome
    assert not engine.removed


def _removal(member: str) -> MemberChange:
    return MemberChange("remove", member)


def test_a_member_that_is_removed_and_added_again_begins_with_nothing(trio: Net) -> None:
    """What it acked in its former membership does not count."""
    trio.change("a", "remove", "c")
    trio.run(0.1)
    trio.isolate("c")
    outcome = trio.change("a", "add", "c")
    trio.run(0.1)
    assert [True] == outcome
    assert 0 == trio.engines["a"].match_index("c")
    assert "has not caught up" in str(trio.change("a", "promote", "c"))


def test_the_removal_of_the_leader_begins_a_hand_over(trio: Net) -> None:
    """It writes no set without itself: the next leader, there without an election timeout, does it."""
    outcome = trio.change("a", "remove", "a")
    assert str(outcome[0]).startswith("HandingOver: this leader has to go")
    assert str(trio.change("a", "remove", "b")[0]).startswith("HandingOver: ")  # Not until that is over.
    trio.run(0.1)
    (leader,) = trio.leaders()
    assert leader != "a"
    assert set("abc") == trio.voters("a")
    outcome = trio.change(leader, "remove", "a")
    trio.run(0.1)
    assert [True] == outcome
    assert "a" not in trio.voters(leader)


def test_a_leader_without_an_heir_is_not_removed(tmp_path: Path, clock: FakeClock) -> None:
    """Nobody could do it, so it is refused, with the reason."""
    net = Net(tmp_path, clock, "ab").led_by("a")
    net.kill("b")
    (refusal,) = net.change("a", "remove", "a")
    assert "no other voter can take over; b is not connected" in str(refusal)
    net.run(0.1)
    assert set("ab") == net.voters("a")


def test_the_last_voter_cannot_be_removed(tmp_path: Path, clock: FakeClock) -> None:
    """A cluster without voters could never do anything again."""
    net = Net(tmp_path, clock, "a").led_by("a")
    (refusal,) = net.change("a", "remove", "a")
    assert "a is the last voter: add another node and promote it first" == refusal
    net.start("b")
    (refusal,) = net.change("a", "replace", "b", "a")
    assert "the last voter" in str(refusal)


def test_a_removal_that_would_leave_too_few_alive_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    """5 voters of which 2 are dead: without a third of the living, 2 of 4 are no majority."""
    net = Net(tmp_path, clock, "abcde").led_by("a")
    net.kill("d")
    net.kill("e")
    net.run(0.4)
    (refusal,) = net.change("a", "remove", "c")
    assert "of 4 voters then too few would be alive; not heard from: d, e" in str(refusal)
    outcome = net.change("a", "remove", "d")
    net.run(0.1)
    assert [True] == outcome


# -- one at a time, rollback, restarts -----------------------------------------------------------------------------
def test_one_change_at_a_time(trio: Net) -> None:
    """Until one is committed the next is refused; nothing is queued."""
    trio.unsynced |= {"b", "c"}
    outcome = trio.change("a", "remove", "c")
    trio.run(0.02)
    (refusal,) = trio.change("a", "remove", "b")
    assert "another change of members (entry 3) is not committed yet" in str(refusal)
    assert [] == outcome
    trio.unsynced.clear()
    trio.run(0.1)
    assert [True] == outcome


def test_a_follower_refuses_changes(trio: Net) -> None:
    """Only a leader knows."""
    assert ["NotLeader: this node does not lead"] == trio.change("b", "remove", "c")


def test_a_deposed_leader_takes_its_set_back(trio: Net) -> None:
    """The set goes with the truncated entry; who asked hears that the outcome is unknown."""
    trio.isolate("a")
    outcome = trio.change("a", "remove", "c")
    trio.run(0.02)
    assert set("ab") == trio.voters("a")
    trio.forget_leader("a")
    assert trio.elect("b")
    trio.put("b", b"z")
    trio.run(0.1)
    trio.cut.clear()
    trio.run(0.3)
    assert [False] == outcome
    assert set("abc") == trio.voters("a")
    assert 1 == trio.engines["a"].journal.placed.index
    trio.run(0.3)
    assert [b"z"] == trio.machines["a"].applied


def test_an_uncommitted_set_survives_a_restart(trio: Net) -> None:
    """The set in use is that of the log on the disk, on leader and follower."""
    trio.join("a", "d")
    trio.isolate("c")
    trio.isolate("d")
    outcome = trio.change("a", "promote", "d")
    trio.run(0.02)
    for member in ("b", "a"):
        before = trio.engines[member].members
        assert set("abcd") == before.voters
        trio.kill(member)
        assert before == trio.start(member).members
        assert trio.engines[member].raftCommitIndex < trio.engines[member].journal.placed.index
    assert True not in outcome


def test_after_compaction_the_set_comes_from_the_snapshot(tmp_path: Path, clock: FakeClock) -> None:
    """On a restart, and on a new node that gets the snapshot and becomes a voter."""
    net = Net(tmp_path, clock, "abc", entries=10).led_by("a")
    net.grow("a", "d")
    for number in range(40):
        net.put("a", b"%d" % number)
        net.run(0.02)
    net.kill("b")
    engine = net.start("b")
    assert engine.journal.first > 10
    assert set("abcd") == net.voters("b")
    net.grow("a", "e")
    net.run(0.3)
    assert set("abcde") == net.voters("e")
    assert net.machines["a"].applied == net.machines["e"].applied
    assert net.elect("e")


# -- learners ------------------------------------------------------------------------------------------------------
def test_a_learner_counts_for_nothing(trio: Net) -> None:
    """Its acks commit nothing, its answers keep no leader alive and confirm no read, and it does not campaign."""
    trio.join("a", "l")
    trio.isolate("b")
    trio.isolate("c")
    leader = trio.engines["a"]
    committed, outcome, read = leader.raftCommitIndex, trio.put("a", b"x"), []  # type: ignore[var-annotated]  # ints
    leader.reads.ask(read.append, confirm=True)
    trio.run(0.1)
    assert trio.engines["l"].journal.last == leader.journal.last > committed
    assert leader.journal.last == leader.match_index("l")
    assert committed == leader.raftCommitIndex
    assert ([], []) == (outcome, read)
    trio.run(0.5)
    assert not leader.leading
    assert [None] == read
    trio.engines["l"].election.deadline = 0.0
    trio.run(1)
    assert not trio.engines["l"].leading
    assert leader.raftCurrentTerm == trio.engines["l"].raftCurrentTerm


def test_a_learner_that_has_not_caught_up_is_not_promoted(trio: Net) -> None:
    """The refusal says how far it is, and what to do."""
    trio.start("l")
    trio.isolate("l")
    trio.change("a", "add", "l")
    trio.run(0.1)
    assert ["l has not caught up: it acknowledged nothing yet; try again when it has"] == trio.change(
        "a", "promote", "l"
    )
    trio.cut.clear()
    trio.run(0.3)
    assert trio.engines["a"].catch_up.done("l")
    outcome = trio.change("a", "promote", "l")
    trio.run(0.1)
    assert [True] == outcome


def test_a_learner_that_fell_silent_has_not_caught_up(trio: Net) -> None:
    """What it once acked says nothing about now."""
    trio.join("a", "l")
    assert trio.engines["a"].catch_up.done("l")
    trio.isolate("l")
    trio.run(0.4)
    assert not trio.engines["a"].catch_up.done("l")


def test_a_round_that_takes_too_long_is_not_enough(trio: Net) -> None:
    """A learner that acks, but always late, does not keep up; when its disk is quick again it does."""
    trio.join("a", "l")
    trio.unsynced.add("l")
    for _ in range(4):
        trio.put("a", b"x")
        trio.run(0.4)
        trio.put("a", b"x")
        trio.run(0.01)
        trio.sync("l")
        trio.put("a", b"x")
        trio.run(0.01)
        assert not trio.engines["a"].catch_up.done("l")
    trio.unsynced.clear()
    trio.run(0.2)
    assert trio.engines["a"].catch_up.done("l")


def test_the_new_second_voter_votes_before_its_log_makes_it_one(tmp_path: Path, clock: FakeClock) -> None:
    """1 -> 2 needs both; a leader that restarts in between is elected by one that holds itself for a learner."""
    net = Net(tmp_path, clock, "a").led_by("a")
    net.join("a", "l")
    net.isolate("l")
    outcome = net.change("a", "promote", "l")
    net.run(0.02)
    assert [] == outcome
    assert net.engines["a"].raftCommitIndex < net.engines["a"].journal.last
    assert {"a"} == net.voters("l")
    net.kill("a")
    net.cut.clear()
    net.start("a")
    assert net.elect("a")
    net.run(0.3)
    assert set("al") == net.voters("l")
    assert net.engines["a"].raftCommitIndex == net.engines["a"].journal.last


def test_a_promoted_learner_keeps_what_it_acked(trio: Net) -> None:
    """Its match index counts at once, so that the first commit does not wait for a round trip more."""
    trio.join("a", "l")
    before = trio.engines["a"].match_index("l")
    trio.change("a", "promote", "l")
    assert before == trio.engines["a"].match_index("l") == trio.engines["a"].journal.last - 1


# -- one and two voters --------------------------------------------------------------------------------------------
def test_two_voters_remove_a_dead_one_when_the_other_has_it_on_disk(tmp_path: Path, clock: FakeClock) -> None:
    """The removal needs only the one that stays, but on its disk; it goes on alone."""
    net = Net(tmp_path, clock, "ab").led_by("a")
    net.kill("b")
    net.unsynced.add("a")
    outcome = net.change("a", "remove", "b")
    net.run(0.05)
    assert [] == outcome
    assert ["a"] == net.leaders()
    net.unsynced.clear()
    net.run(0.05)
    assert [True] == outcome
    written = net.put("a", b"y")
    net.run(0.05)
    assert [(1, True)] == written


def test_a_single_voter_with_learners_commits_by_its_own_disk(tmp_path: Path, clock: FakeClock) -> None:
    """Learners that ack do not replace the disk, and learners that are away do not hold it up."""
    net = Net(tmp_path, clock, "a").led_by("a")
    net.join("a", "l")
    net.unsynced.add("a")
    written = net.put("a", b"x")
    net.run(0.05)
    assert [] == written
    net.unsynced.clear()
    net.kill("l")
    net.run(0.05)
    assert [(1, True)] == written


def test_a_vote_of_the_own_disk_counts_only_alone(tmp_path: Path, clock: FakeClock) -> None:
    """A candidate of two voters does not win by its own disk, as it did when it was alone."""
    net = Net(tmp_path, clock, "a").led_by("a")
    net.grow("a", "b")
    net.kill("a")
    net.start("a")
    net.isolate("a")
    assert not net.elect("a")
    net.cut.clear()
    assert net.elect("a")


# -- replacing -----------------------------------------------------------------------------------------------------
def _amnesia(tmp_path: Path, clock: FakeClock, newcomer: str) -> tuple[Net, bool]:
    """a and c committed x, b lags, c loses its disk, a is cut off. Returns whether b can be elected then."""
    net = Net(tmp_path, clock, ["a.1", "b.1", "c.1"]).led_by("a.1")
    net.isolate("b.1")
    written = net.put("a.1", b"x")
    net.run(0.1)
    assert [(1, True)] == written
    net.kill("c.1")
    net.disks.pop("c.1")
    net.cut.clear()
    net.start(newcomer, directory="wiped")
    net.isolate("a.1")
    return net, net.elect("b.1")


def test_a_wiped_member_under_its_old_id_would_lose_a_write(tmp_path: Path, clock: FakeClock) -> None:
    """The schedule proves something: that is why a new directory is a new id."""
    net, won = _amnesia(tmp_path, clock, "c.1")
    assert won
    net.run(0.1)
    assert [] == net.machines["b.1"].applied


def test_a_wiped_member_is_a_stranger_until_it_replaces_itself(tmp_path: Path, clock: FakeClock) -> None:
    """It helps nobody to be elected; as a learner it catches up, and votes again when promoted."""
    net, won = _amnesia(tmp_path, clock, "c.2")
    assert not won
    assert not net.elect("c.2")
    net.cut.clear()
    net.led_by("a.1").run(0.2)
    outcome = net.change("a.1", "replace", "c.2", "c.1")
    net.run(0.3)
    assert [True] == outcome
    assert frozenset({"c.2"}) == net.engines["b.1"].members.learners
    outcome = net.change("a.1", "promote", "c.2")
    net.run(0.2)
    assert [True] == outcome
    assert [b"x"] == net.machines["c.2"].applied
    assert {"a.1", "b.1", "c.2"} == net.voters("b.1")


# -- what an operator sees -----------------------------------------------------------------------------------------
def test_the_leader_writes_the_addresses_that_it_knows(trio: Net) -> None:
    """Each change carries them, newest first; what was known of others stays, and what has gone goes."""
    trio.addresses = {"a": "10.0.0.1:1", "c": "10.0.0.3:1", "x": "10.0.0.9:1"}
    trio.start("d")
    trio.change("a", "add", "d")
    trio.run(0.2)
    assert (("a", "10.0.0.1:1"), ("c", "10.0.0.3:1")) == trio.engines["b"].members.addresses
    trio.addresses = {"d": "10.0.0.4:1", "a": "10.0.0.1:2"}
    trio.change("a", "remove", "c")
    trio.run(0.2)
    assert (("a", "10.0.0.1:2"), ("d", "10.0.0.4:1")) == trio.engines["b"].members.addresses


def test_changes_are_told_to_operators(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each change when it is appended and, on every node, when it is committed; warnings where voters are even."""
    caplog.set_level(logging.INFO)
    net = Net(tmp_path, clock, ["a.1"]).led_by("a.1")
    net.start("b.1")
    net.change("a.1", "add", "b.1", standby=True)
    net.run(0.3)
    net.change("a.1", "promote", "b.1")
    net.run(0.3)
    said = caplog.messages
    assert "adding b.1 as a standby, entry 3: voters a; standbys b" in said
    assert 2 == said.count("entry 4 is committed: voters a, b")
    assert "with 2 voters both are needed for every write: promote a third soon (leader: a)" in said
