"""Elections: pre-vote, quick reaction to a dead leader, hand-over."""

from pathlib import Path

import pytest

from raftreg.consensus.members import Members
from tests.consensus.worlds import FakeClock, Host, app

NO_OP = b"\x01"


def test_no_term_is_spent_without_a_majority_of_pre_votes(host: Host) -> None:
    """A node that is cut off asks for ever without raising its term."""
    for _ in range(20):
        host.clock.time += 1
        host.engine.tick()
    assert 0 == host.engine.raftCurrentTerm


def test_a_pre_vote_is_refused_to_a_shorter_log(host: Host) -> None:
    """Who lacks an entry of ours would not get our vote."""
    host.append("b", 1, 1, 0, [(NO_OP, 1), (app(b"x"), 1)])
    host.clock.time += 1
    host.sent.clear()
    host.engine.receive("c", ["P", 1, 2, 2, 1])
    assert [] == host.kinds()
    host.engine.receive("c", ["P", 2, 2, 3, 1])
    assert ["p", 2] == host.last("p")


def test_a_pre_vote_is_refused_while_the_leader_is_fresh(host: Host) -> None:
    """A node that lost its own connection to the leader does not find a majority."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.engine.receive("c", ["P", 1, 2, 99, 1])
    assert "p" not in host.kinds()


def test_a_pre_vote_asker_of_an_old_term_is_told(host: Host) -> None:
    """It learns the newer term and can ask again with it."""
    host.append("b", 5, 1, 0, [(NO_OP, 5)])
    host.engine.receive("c", ["P", 1, 5, 99, 4])
    assert ["T", 5] == host.last("T")


def test_a_dead_leader_is_replaced_soon(host: Host) -> None:
    """A closed connection to the leader brings the next election forward, past the lease."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.clock.time += 0.05
    host.engine.guard.peer_down("b")
    assert host.engine.election.deadline - host.clock.time < 0.02


def test_losing_another_follower_changes_nothing(host: Host) -> None:
    """Only the leader's connection matters."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    before = host.engine.election.deadline
    host.engine.guard.peer_down("c")
    assert before == host.engine.election.deadline


def test_a_barred_node_does_not_campaign(host: Host) -> None:
    """A node that cannot write its own vote leaves the election to others."""
    host.engine.election.barred = True
    host.clock.time += 1
    host.engine.tick()
    assert "P" not in host.kinds()


def test_a_hand_over_waits_until_the_heir_has_everything(host: Host) -> None:
    """The heir is told to take over only when it acked the last entry; nothing is proposed meanwhile."""
    host.lead().settle()
    host.propose(b"x")
    host.engine.tick()
    host.sync()
    assert "b" == host.engine.election.hand_over()
    host.engine.tick()
    assert "X" not in host.kinds()
    host.ack("b")
    host.engine.tick()
    assert ("b", ["X", host.engine.raftCurrentTerm]) == next(sent for sent in host.sent if sent[1][0] == "X")


def test_the_heir_campaigns_at_once(host: Host) -> None:
    """Past pre-vote and stickiness, with vote requests that say so."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.engine.receive("b", ["X", 1])
    host.engine.tick()
    host.sync()
    assert ["V", 2, 2, 1, True] == host.last("V")


def test_only_the_leader_can_hand_over(host: Host) -> None:
    """A hand-over from another member, or of another term, is ignored."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.engine.receive("c", ["X", 1])
    host.engine.receive("b", ["X", 0])
    host.engine.tick()
    assert 1 == host.engine.raftCurrentTerm


def test_a_hand_over_without_an_heir_is_none(host: Host) -> None:
    """A leader whose followers are all behind keeps the lead."""
    host.lead()
    assert host.engine.election.hand_over() is None


def test_a_hand_over_that_fails_is_given_up(host: Host, clock: FakeClock) -> None:
    """After an election timeout the leader takes commands again."""
    host.lead().settle()
    host.propose(b"x")
    host.engine.election.hand_over()
    for _ in range(8):
        clock.time += 0.05
        host.ack("c", index=2)
        host.engine.tick()
    assert host.engine.election.transfer is None
    assert host.propose(b"y") == []


def test_nothing_that_the_leader_says_after_it_takes_a_hand_over_back(host: Host) -> None:
    """Under load a commit notice comes in the same read as the order to take over; the heir campaigns all the same."""
    host.append("b", 1, 1, 0, [(NO_OP, 1), (app(b"x"), 1)])
    host.engine.receive("b", ["X", 1])
    host.engine.receive("b", ["C", 1, 3])
    host.engine.receive("b", ["E", 8, 1, 3, 3, 1, []])
    host.engine.tick()
    host.sync()
    assert ["V", 2, 3, 1, True] == host.last("V")


def test_a_hand_over_ends_with_its_term(host: Host) -> None:
    """Stickiness to the leader of a newer term is not broken by an order that came from the one before it."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.engine.receive("b", ["X", 1])
    host.engine.receive("c", ["T", 2])
    host.engine.tick()
    assert 2 == host.engine.raftCurrentTerm


def test_a_barred_node_does_not_take_over(host: Host) -> None:
    """Its own vote would never be on disk, and its term would only depose the leader."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.engine.election.barred = True
    host.engine.receive("b", ["X", 1])
    host.engine.tick()
    assert 1 == host.engine.raftCurrentTerm


def test_a_barred_leader_hands_over_as_soon_as_there_is_an_heir(host: Host) -> None:
    """A leader whose disk is full while nobody can take over tries again, since nothing is committed under it."""
    host.lead()
    host.engine.election.barred = True
    host.engine.tick()
    assert host.engine.election.transfer is None
    host.ack("b")
    host.engine.tick()
    host.engine.tick()
    assert ("b", ["X", host.engine.raftCurrentTerm]) == next(sent for sent in host.sent if sent[1][0] == "X")


def test_a_leader_that_is_heard_in_time_ends_a_campaign(host: Host) -> None:
    """Who answers a leader's ping promises it its lease, and must not campaign on pre-votes that came before."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.sync()
    host.clock.time += 1
    host.engine.tick()
    host.sent.clear()
    host.engine.receive("c", ["p", host.engine.election.round])
    host.engine.receive("b", ["Q", 1, 77])
    host.engine.tick()
    host.sync()
    assert ["q"] == host.kinds()


def test_a_leader_whose_disk_hangs_hands_over(host: Host) -> None:
    """Nothing counts as committed that the leader has not on disk, so one whose sync never returns must not stay."""
    host.lead().settle()
    host.propose(b"x")
    host.sent.clear()
    for _ in range(50):
        host.clock.time += 0.05
        host.engine.tick()
        host.ack("b")
        host.ack("c")
    assert "X" in host.kinds()


def test_a_slow_disk_alone_is_no_reason_to_hand_over(host: Host) -> None:
    """A leader whose syncs take a second each keeps the lead, and an idle one too."""
    host.lead().settle()
    for step in range(200):
        host.clock.time += 0.05
        if step < 100:
            host.propose(b"x")
        if step % 20 == 0:
            host.sync()
        host.engine.tick()
        host.ack("b")
    assert "X" not in host.kinds()


def test_a_hand_over_ends_when_the_heir_goes_away(host: Host) -> None:
    """The next attempt may choose another heir at once."""
    host.lead().settle()
    host.ack("c")
    heir = host.engine.election.hand_over()
    assert heir == "c"
    host.engine.guard.peer_down("c")
    host.engine.tick()
    assert "b" == host.engine.election.hand_over()


def test_the_greater_of_two_candidates_goes_first(host: Host) -> None:
    """Who is asked for a pre-vote while asking itself stands back for the greater id: the votes are not split."""
    host.clock.time += 1
    host.engine.tick()
    round_ = host.engine.election.round
    host.engine.receive("c", ["P", 1, 1, 1, 0])
    host.engine.receive("b", ["p", round_])
    host.engine.tick()
    assert ["p", 1] == host.last("p")
    assert 0 == host.engine.raftCurrentTerm


def test_who_votes_for_another_does_not_campaign(host: Host) -> None:
    """A pre-vote majority that came before the other's vote request counts no more."""
    host.clock.time += 1
    host.engine.tick()
    host.engine.receive("b", ["p", host.engine.election.round])
    host.engine.receive("c", ["V", 1, 1, 0, False])
    host.engine.tick()
    host.sync()
    assert 1 == host.engine.raftCurrentTerm
    assert "V" not in host.kinds()


def test_a_leader_is_at_rest_only_when_everybody_was_told(host: Host) -> None:
    """A turn is skipped only if a tick would do nothing: not while something waits for disk, majority or members."""
    host.lead().settle()
    host.engine.tick()
    assert host.engine.at_rest
    host.propose(b"x")
    assert not host.engine.at_rest
    host.engine.tick()
    host.sync()
    assert not host.engine.at_rest
    host.ack("b")
    assert not host.engine.at_rest
    host.engine.tick()
    assert host.engine.at_rest
    host.engine.reads.ask(lambda index: None, True)
    assert not host.engine.at_rest


def campaign_unsynced(host: Host) -> None:
    """Campaign with a pre-vote of b's; the disk is not done with the vote."""
    host.clock.time += 1
    host.engine.tick()
    host.engine.receive("b", ["p", host.engine.election.round])
    host.engine.tick()


def test_a_candidate_waits_for_its_own_vote(host: Host) -> None:
    """However long the disk takes, its vote is still one of this term; after that the voters have their own time."""
    campaign_unsynced(host)
    host.sent.clear()
    for _ in range(50):
        host.clock.time += 0.1
        host.engine.tick()
    assert (1, []) == (host.engine.raftCurrentTerm, host.kinds())
    host.sync()
    assert ["V", "V"] == host.kinds()
    host.clock.time += 0.9 * host.engine.timing.election_min_s
    host.engine.tick()
    assert "P" not in host.kinds()
    host.clock.time += host.engine.timing.election_max_s
    host.engine.tick()
    assert "P" in host.kinds()


def test_a_fast_disk_does_not_make_a_candidate_wait_longer(host: Host) -> None:
    """When a vote is on disk at once, the next attempt comes as soon as after a leader's death."""
    campaign_unsynced(host)
    host.clock.time += 0.001
    host.sync()
    assert host.engine.election.deadline - host.clock.time <= 0.05


def test_who_waits_for_its_vote_takes_part_in_no_other_election(host: Host) -> None:
    """Neither as a candidate nor with a pre-vote: another vote would leave no sooner, and void the first."""
    host.clock.time += 1
    host.engine.receive("c", ["V", 1, 1, 0, False])
    for _ in range(50):
        host.clock.time += 0.1
        host.engine.tick()
    host.engine.receive("b", ["P", 1, 2, 1, 0])
    assert [] == host.kinds()
    host.sync()
    host.engine.receive("b", ["P", 2, 2, 1, 0])
    assert ["R", "p"] == host.kinds()
    assert host.engine.election.deadline - host.clock.time > 0.99 * host.engine.timing.election_min_s


@pytest.mark.parametrize("sync_s", [0.2, 0.31, 1.0])
def test_a_single_voter_leads_however_slow_its_disk_is(
    tmp_path: Path, clock: FakeClock, sync_s: float
) -> None:
    """It votes once, and leads when that is on disk."""
    host = Host(tmp_path / "a", clock, members=Members("test", frozenset({"a"})))
    steps = 0
    while not host.engine.leading and steps < 400:
        steps += 1
        clock.time += 0.01
        host.engine.tick()
        if steps % round(sync_s / 0.01) == 0:
            host.sync()
    assert host.engine.leading
    assert 1 == host.engine.raftCurrentTerm
