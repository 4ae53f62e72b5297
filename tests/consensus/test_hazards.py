"""Each way in which plain pysyncobj loses or repeats a write, as a schedule that must do no harm."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from raftreg.errors import Fatal, NewerFormat, NotLeader, Overloaded
from tests.consensus.worlds import CLUSTER, FakeClock, Host, MemoryLog, app

NO_OP = b"\x01"
TEN = [(NO_OP, 1)] + [(app(b"%d" % number), 1) for number in range(3, 13)]


def test_an_ack_waits_for_the_disk(host: Host) -> None:
    """A member acks an append only when it is durable."""
    host.append("b", 1, 1, 0, TEN)
    assert "A" not in host.kinds()
    host.sync()
    assert ["A", 1, 13, False, True, 7] == host.last("A")


def test_a_vote_waits_for_the_disk(host: Host) -> None:
    """A vote leaves only when it is durable, so that a restart cannot vote again."""
    host.clock.time += 1
    host.engine.receive("b", ["V", 5, 10, 0, False])
    assert "R" not in host.kinds()
    host.sync()
    assert ["R", 5] == host.last("R")


def test_a_vote_request_waits_for_the_disk(host: Host) -> None:
    """A candidate asks for votes only when its own vote is durable."""
    host.clock.time += 1
    host.engine.tick()
    host.engine.receive("b", ["p", host.engine.election.round])
    host.engine.tick()
    assert "V" not in host.kinds()
    host.sync()
    assert "V" in host.kinds()


def test_an_older_duplicate_does_not_truncate(host: Host) -> None:
    """A matching append that ends below the log's end leaves the tail alone, and acks only what it verified."""
    host.append("b", 1, 1, 0, TEN)
    host.append("b", 1, 1, 0, TEN[:3])
    host.sync()
    assert 12 == host.engine.journal.last
    assert 5 == host.last("A")[2]


def test_the_commit_index_is_capped_by_what_was_verified(host: Host) -> None:
    """A new leader's empty append commits no more than the prefix that it matched."""
    host.append("b", 1, 1, 0, TEN)
    host.append("c", 2, 4, 1, [], commit=12)
    assert 4 == host.engine.raftCommitIndex
    host.sync()
    assert [2, 5] == host.last("A")[1:3]


def test_a_conflict_truncates(host: Host) -> None:
    """An entry of another term at the same index replaces the tail."""
    host.append("b", 1, 1, 0, TEN)
    host.append("c", 2, 4, 1, [(NO_OP, 2)], commit=5)
    assert (5, 2) == (host.engine.journal.last, host.engine.journal.term_at(5))


def test_a_conflict_truncates_behind_a_large_entry(host: Host) -> None:
    """Also where the entry before the conflict and the one after it are more than a slice of the log holds."""
    large = app(bytes(3 << 19))
    host.append("b", 1, 1, 0, [(NO_OP, 1), (large, 1), (large, 1), (large, 1)])
    host.append("c", 2, 3, 1, [(NO_OP, 2)])
    assert (4, 2) == (host.engine.journal.last, host.engine.journal.term_at(4))


def test_a_conflict_below_the_commit_index_stops_the_process(host: Host) -> None:
    """A leader that contradicts what is committed proves that a promise was broken: nothing may go on."""
    host.append("b", 1, 1, 0, TEN, commit=12)
    with pytest.raises(Fatal, match="conflicts with ours at 5"):
        host.append("c", 2, 4, 1, [(NO_OP, 2)])


def test_a_stale_ack_does_not_commit(host: Host) -> None:
    """An ack made in another term is dropped."""
    host.lead()
    before = host.engine.raftCommitIndex
    host.ack("b", term=host.engine.raftCurrentTerm - 1)
    host.engine.tick()
    assert before == host.engine.raftCommitIndex


def test_an_entry_that_the_leader_has_not_on_disk_is_not_committed(host: Host) -> None:
    """An ack counts up to the leader's own durable index only."""
    host.lead().settle()
    outcome = host.propose(b"x")
    host.ack("b")
    host.engine.tick()
    assert [] == outcome
    host.sync()
    host.engine.tick()
    assert [(1, True)] == outcome


def test_a_single_voter_commits_only_what_is_durable(tmp_path: Path, clock: FakeClock) -> None:
    """Alone, a node neither leads nor commits before its own disk said so."""
    host = Host(tmp_path / "a", clock, members=type(CLUSTER)("test", frozenset({"a"})))
    clock.time += 1
    host.engine.tick()
    host.engine.tick()
    assert not host.engine.leading
    host.sync()
    host.engine.tick()
    assert host.engine.leading
    outcome = host.propose(b"x")
    host.engine.tick()
    assert [] == outcome
    host.sync()
    host.engine.tick()
    assert [(1, True)] == outcome


def test_a_bug_in_apply_stops_the_process(host: Host) -> None:
    """An entry that cannot be applied is never skipped and never retried."""
    host.lead().settle()
    host.propose(b"BOOM")
    host.engine.tick()
    host.sync()
    host.ack("b")
    with pytest.raises(Fatal, match="boom"):
        host.engine.tick()


def test_a_live_leader_ignores_vote_requests(host: Host) -> None:
    """A node that was cut off and comes back with a high term does not depose a leader."""
    host.lead().settle()
    host.engine.receive("c", ["V", 99, 1, 0, False])
    assert host.engine.leading


def test_a_follower_of_a_fresh_leader_ignores_vote_requests(host: Host) -> None:
    """Stickiness: no vote within the shortest election timeout of having heard the leader."""
    host.append("b", 1, 1, 0, TEN)
    host.clock.time += 0.1
    host.engine.receive("c", ["V", 9, 99, 9, False])
    host.sync()
    assert "R" not in host.kinds()
    host.clock.time += 0.1
    host.engine.receive("c", ["V", 9, 99, 9, False])
    host.sync()
    assert ["R", 9] == host.last("R")


def test_a_broken_connection_does_not_cut_the_lease_short(host: Host) -> None:
    """Losing the connection to the leader frees the vote only after the lease that the leader may rely on."""
    host.append("b", 1, 1, 0, TEN)
    host.engine.guard.peer_down("b")
    host.clock.time += 0.02
    host.engine.receive("c", ["V", 9, 99, 9, False])
    host.sync()
    assert "R" not in host.kinds()
    host.clock.time += 0.02
    host.engine.receive("c", ["V", 9, 99, 9, False])
    host.sync()
    assert ["R", 9] == host.last("R")


def test_a_leader_that_nobody_answers_steps_down(host: Host) -> None:
    """Check-quorum: a deaf leader stops leading within the longest election timeout."""
    host.lead().settle()
    host.clock.time += 0.35
    host.engine.tick()
    assert not host.engine.leading


def test_the_same_vote_counts_once(tmp_path: Path, clock: FakeClock) -> None:
    """Three copies of one vote do not elect a leader of five."""
    host = Host(tmp_path / "a", clock, members=type(CLUSTER)("test", frozenset("abcde")))
    clock.time += 1
    host.engine.tick()
    for voter in "bc":
        host.engine.receive(voter, ["p", host.engine.election.round])
    host.engine.tick()
    host.sync()
    for _ in range(3):
        host.engine.receive("b", ["R", host.engine.raftCurrentTerm])
    host.engine.tick()
    assert not host.engine.leading


def test_a_strangers_vote_does_not_count(host: Host) -> None:
    """Votes and acks of ids outside the member set are dropped."""
    host.clock.time += 1
    host.engine.tick()
    host.engine.receive("b", ["p", host.engine.election.round])
    host.engine.tick()
    host.sync()
    host.engine.receive("z", ["R", host.engine.raftCurrentTerm])
    host.engine.tick()
    assert not host.engine.leading


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.abort, ())


def test_nothing_from_the_network_is_unpickled(host: Host) -> None:
    """Entries that plain pysyncobj would unpickle are of a kind that is not known: nothing is applied from there on."""
    bomb = pickle.dumps(_Bomb())
    kinds = (b"\x00", b"\x02", b"\x03")
    host.append("b", 1, 1, 0, [(NO_OP, 1)] + [(kind + bomb, 1) for kind in kinds], commit=5)
    host.engine.tick()
    assert (2, []) == (host.engine.raftLastApplied, host.machine.applied)
    for kind in kinds:
        with pytest.raises(NewerFormat, match="an entry of kind"):
            host.engine._SyncObj__doApplyCommand(kind + bomb)


def test_pending_proposals_of_a_deposed_leader_end_as_unknown(host: Host) -> None:
    """A proposer is told that the outcome is unknown, at once, and the table is empty then."""
    host.lead().settle()
    outcome = host.propose(b"x")
    host.append("c", 9, 2, 1, [(NO_OP, 9)])
    assert [(None, False)] == outcome
    assert (0, {}) == (host.engine.pending_bytes, host.engine.pending)


def test_a_follower_takes_no_proposals(host: Host) -> None:
    """Only a leader appends."""
    with pytest.raises(NotLeader):
        host.propose(b"x")


def test_too_many_bytes_in_flight_are_refused(host: Host) -> None:
    """Back pressure: a leader whose followers are slow does not grow without bound."""
    host.lead().settle()
    for _ in range(16):
        host.propose(bytes(4 << 20))
    with pytest.raises(Overloaded):
        host.propose(bytes(4 << 20))


def test_a_rejection_goes_back_one_term_per_round_trip(host: Host) -> None:
    """A conflicting append is answered with the beginning of the conflicting term, not with one entry less."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.append("b", 2, 2, 1, [(app(b"%d" % number), 2) for number in range(50)])
    host.append("c", 3, 40, 3, [])
    host.sync()
    assert ["A", 3, 3, True, False, 7] == host.last("A")


def test_a_stale_rejection_is_ignored(host: Host) -> None:
    """A rejection of something sent before the last reset moves nothing."""
    host.lead().settle()
    node = host.engine.guard.node("c")
    stamp = host.engine.reads.last_stamp
    host.engine.receive("c", ["A", host.engine.raftCurrentTerm, 2, True, False, stamp])
    host.engine.tick()
    after = host.engine.next_index(node)
    host.engine.receive("c", ["A", host.engine.raftCurrentTerm, 1, True, False, stamp])
    assert after == host.engine.next_index(node)


def test_an_ack_never_moves_the_next_index_back(host: Host) -> None:
    """What was sent ahead is not sent again because an earlier ack arrives."""
    host.lead().settle()
    for number in range(5):
        host.propose(b"%d" % number)
    host.engine.tick()
    node = host.engine.guard.node("b")
    before = host.engine.next_index(node)
    host.ack("b", index=3)
    assert before == host.engine.next_index(node)


def test_a_full_send_buffer_is_resumed_where_it_stopped(host: Host) -> None:
    """Entries that did not fit are sent once there is room, and none is skipped."""
    host.lead().settle()
    host.refusing = {"b"}
    first = host.engine.journal.last + 1
    for number in range(3):
        host.propose(b"%d" % number)
    host.engine.tick()
    host.refusing = set()
    host.sent.clear()
    host.engine.guard.relieve({"b"})
    host.engine.tick()
    sent = next(message for member, message in host.sent if member == "b" and message[0] == "E")
    assert (first - 1, 3) == (sent[4], len(sent[6]))


def test_a_commit_notice_commits_only_what_this_leader_verified(host: Host) -> None:
    """A stale tail of our own is not committed by a leader's commit index."""
    host.append("b", 1, 1, 0, TEN)
    host.append("c", 2, 4, 1, [])
    host.engine.receive("c", ["C", 2, 12])
    assert 4 == host.engine.raftCommitIndex


def test_the_log_survives_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    """Entries, term and vote come back from the records of the log."""
    host = Host(tmp_path / "a", clock)
    host.append("b", 3, 1, 0, TEN)
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records))
    assert (12, 3) == (again.engine.journal.last, again.engine.raftCurrentTerm)


def test_a_member_votes_once_per_term_across_restarts(tmp_path: Path, clock: FakeClock) -> None:
    """The vote is recorded; after a restart the same term's vote is not given to another."""
    host = Host(tmp_path / "a", clock)
    clock.time += 1
    host.engine.receive("b", ["V", 5, 10, 0, False])
    host.sync()
    again = Host(tmp_path / "a", clock, log=MemoryLog(host.log.records))
    clock.time += 1
    again.engine.receive("c", ["V", 5, 10, 0, False])
    again.sync()
    assert "R" not in again.kinds()


def test_a_member_with_a_slow_disk_tells_its_leader_that_it_is_there(host: Host) -> None:
    """Its ack waits for the disk; without a word from it for so long its leader would make way."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    assert [] == host.kinds()  # It may be done in a moment.
    host.clock.time += 2 * host.engine.timing.heartbeat_s
    host.append("b", 1, 2, 1, [])
    assert [("b", ["q", 1, 7])] == host.sent
    host.sync()
    assert ["A", 1, 3, False, True, 7] == host.last("A")
    host.append("b", 1, 2, 1, [])
    assert ["q", "A", "A"] == host.kinds()


def test_a_member_that_was_idle_has_no_slow_disk(host: Host) -> None:
    """What comes after a pause has not waited yet."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    host.sync()
    host.sent.clear()
    host.clock.time += 2 * host.engine.timing.heartbeat_s
    host.append("b", 1, 2, 1, [(app(b"x"), 1)])
    assert [] == host.kinds()


def test_a_restarted_member_keeps_the_promise_of_its_lease(tmp_path: Path, clock: FakeClock) -> None:
    """Right after its start a member votes for nobody: it may have promised a leader not to."""
    host = Host(tmp_path / "a", clock)
    host.engine.receive("b", ["V", 5, 10, 0, False])
    host.sync()
    assert "R" not in host.kinds()


def test_acks_do_not_pile_up_behind_a_full_disk(host: Host) -> None:
    """While nothing becomes durable, the ack of each heartbeat takes the place of the one before."""
    host.append("b", 1, 1, 0, [(NO_OP, 1)])
    for stamp in range(100, 200):
        host.engine.receive("b", ["E", stamp, 1, 1, 2, 1, []])
    assert 1 == len(host.engine.guard._held)
    host.sync()
    assert [["A", 1, 3, False, True, 199]] == [message for _, message in host.sent if message[0] == "A"]


def test_a_rejection_of_a_longer_log_is_followed_within_ours(host: Host) -> None:
    """A member whose tail is longer than the leader's log is sent what exists, never an append without a place."""
    host.lead().settle()
    engine = host.engine
    engine.receive("c", ["A", engine.raftCurrentTerm, 50, True, False, engine.reads.last_stamp])
    host.sent.clear()
    engine.tick()
    append = next(message for member, message in host.sent if member == "c" and message[0] == "E")
    assert [engine.journal.last, engine.raftCurrentTerm] == append[4:6]


def test_a_fresh_rejection_below_an_ack_resumes_at_the_ack(host: Host) -> None:
    """A conflicting term may begin below what the member acked in this term; ignored, it would be kept out for good."""
    host.lead().settle()
    for number in range(6):
        host.propose(b"%d" % number)
    host.engine.tick()
    host.sync()
    host.ack("c", index=4)
    host.engine.receive("c", ["A", host.engine.raftCurrentTerm, 2, True, False, host.engine.reads.last_stamp])
    assert 5 == host.engine.next_index(host.engine.guard.node("c"))
