"""Read index and lease: when a leader may say that nothing newer exists."""

from pathlib import Path

from tests.consensus.worlds import CLUSTER, FakeClock, Host


def asked(host: Host, confirm: bool = False) -> list[int | None]:
    """Ask for a read index; the list gets the answer."""
    answers: list[int | None] = []
    host.engine.reads.ask(answers.append, confirm)
    return answers


def test_a_follower_has_no_read_index(host: Host) -> None:
    """Only a leader answers."""
    assert [None] == asked(host)


def test_a_new_leader_waits_for_its_no_op(host: Host) -> None:
    """Before an entry of its own term is committed, a leader does not know what is committed."""
    host.lead()
    assert [None] == asked(host)


def test_a_round_of_pings_confirms(host: Host) -> None:
    """A consistent read waits for one answer more than half, and takes the index of when it was asked."""
    host.lead().settle()
    index = host.engine.raftCommitIndex
    answers = asked(host, confirm=True)
    host.engine.tick()
    ping = host.last("Q")
    assert [] == answers
    host.engine.receive("b", ["q", *ping[1:]])
    assert [index] == answers


def test_concurrent_reads_share_one_round(host: Host) -> None:
    """All reads of one turn are confirmed by one ping to each voter."""
    host.lead().settle()
    host.sent.clear()
    answers = [asked(host, confirm=True) for _ in range(50)]
    host.engine.tick()
    assert 2 == host.kinds().count("Q")
    host.engine.receive("c", ["q", *host.last("Q")[1:]])
    assert [[host.engine.raftCommitIndex]] * 50 == answers


def test_an_answer_to_an_older_message_confirms_nothing(host: Host) -> None:
    """Being heard before the read was asked says nothing about now."""
    host.lead().settle()
    early = host.engine.reads.ping()
    answers = asked(host, confirm=True)
    host.engine.tick()
    host.engine.receive("b", ["q", *early[1:]])
    assert [] == answers


def test_a_pong_of_another_term_confirms_nothing(host: Host) -> None:
    """Only members of the leader's own term count."""
    host.lead().settle()
    answers = asked(host, confirm=True)
    host.engine.tick()
    _, term, stamp = host.last("Q")
    host.engine.receive("b", ["q", term - 1, stamp])
    assert [] == answers


def test_the_lease_answers_at_once_and_ends(host: Host) -> None:
    """Within the lease no ping is needed; after it one is, whatever was answered before."""
    host.lead().settle()
    host.ack("b")
    assert [host.engine.raftCommitIndex] == asked(host)
    host.clock.time += 0.025
    assert [] == asked(host)


def test_a_pause_ends_the_lease(host: Host) -> None:
    """A leader that slept finds its lease over, also when answers from before the pause are read only now."""
    host.lead().settle()
    host.engine.tick()
    stamp = host.engine.reads.stamp()
    host.clock.time += 5
    host.engine.receive("b", ["A", host.engine.raftCurrentTerm, 2, False, True, stamp])
    assert not host.engine.reads.lease_holds()


def test_no_lease_while_leadership_is_handed_over(host: Host) -> None:
    """The heir's votes ignore the lease, so the leader may not trust it any more once the heir is told."""
    host.lead().settle()
    assert host.engine.reads.lease_holds()
    assert "b" == host.engine.election.hand_over()
    host.engine.tick()
    assert "X" in host.kinds()
    assert not host.engine.reads.lease_holds()


def test_the_lease_outlives_a_hand_over_of_which_nothing_comes(host: Host) -> None:
    """As long as no heir has caught up none is told, and nobody votes past the lease: it holds when that is over."""
    host.lead().settle()
    committed = host.engine.journal.last
    host.propose(b"x")
    assert "b" == host.engine.election.hand_over()
    while host.engine.election.transfer is not None:
        host.clock.time += 0.02
        host.engine.tick()
        host.ack("b", committed)
    assert host.engine.leading
    assert "X" not in host.kinds()
    host.engine.reads.ask(lambda index: None, True)
    host.engine.tick()
    host.ack("b")
    assert host.engine.reads.lease_holds()


def test_reads_of_a_deposed_leader_fail(host: Host) -> None:
    """What waits for a majority is told that this node leads no more."""
    host.lead().settle()
    answers = asked(host, confirm=True)
    host.append("c", 9, 2, 1, [(b"\x01", 9)])
    assert [None] == answers


def test_learners_do_not_confirm(tmp_path: Path, clock: FakeClock) -> None:
    """Only voters make a majority."""
    members = type(CLUSTER)("test", frozenset("abc"), frozenset("l"))
    host = Host(tmp_path / "a", clock, members=members).lead().settle()
    answers = asked(host, confirm=True)
    host.engine.tick()
    host.engine.receive("l", ["q", *host.last("Q")[1:]])
    assert [] == answers
