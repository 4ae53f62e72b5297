"""A process acts as its member when everybody had the time to object, and only with those that act too."""

from collections.abc import Callable

from raftreg.consensus import messages as m
from raftreg.consensus.admission import Admission, others_in_force
from raftreg.consensus.hello import Hello
from raftreg.consensus.journal import Placed
from raftreg.consensus.members import Members
from tests.consensus.test_journal import journal
from tests.consensus.worlds import CLUSTER


class Process:
    """n1.a among the given voters. `done` is what it did, in order; `timers` what it wants to be called for."""

    def __init__(self, *voters: str, is_new: bool = True) -> None:
        self.done: list[str] = []
        self.timers: list[Callable[[], None]] = []
        self.members = Members("c", frozenset(voters))
        self.others: list[Members] = []
        self.admission = Admission(
            "n1.a",
            lambda: self.members,
            send=self._send,
            count_start=lambda: self.done.append("counted"),
            up=lambda member: self.done.append(f"up {member}"),
            later=self.timers.append,
            is_new=is_new,
            others=lambda: self.others,
        )

    def _send(self, member: str, message: list[object]) -> bool:
        assert [m.JOIN] == message
        self.done.append(f"join {member}")
        return True

    def meets(self, member: str, *, spoken: bool = True) -> None:
        name, _, incarnation = member.partition(".")
        self.admission.met(Hello(1, "c", name, incarnation, "nonce", 1, {}))
        if spoken:
            self.admission.spoke(member)


THREE = ("n1.a", "n2.b", "n3.c")


def test_it_acts_at_once_when_all_let_it_in() -> None:
    """Nobody is left who could object. The start is durable before anybody hears of it."""
    process = Process(*THREE)
    process.meets("n2.b")
    assert [] == process.done
    process.meets("n3.c")
    assert ["counted", "join n2.b", "join n3.c"] == process.done


def test_one_that_is_missing_is_waited_for_once() -> None:
    """A majority is enough after a while; less than one never is."""
    process = Process(*THREE)
    process.meets("n2.b")
    process.admission.lost("n2.b")
    process.meets("n2.b")
    assert 1 == len(process.timers)
    process.timers.pop()()
    assert ["counted", "join n2.b"] == process.done


def test_a_majority_that_is_gone_when_the_time_is_over_does_not_count() -> None:
    """It begins anew with the next one that it meets."""
    process = Process(*THREE)
    process.meets("n2.b")
    process.admission.lost("n2.b")
    process.timers.pop()()
    assert [] == process.done
    process.meets("n3.c")
    process.timers.pop()()
    assert ["counted", "join n3.c"] == process.done


def test_messages_pass_when_both_act() -> None:
    """Whoever joins first waits for the other; a new connection begins anew."""
    process = Process(*THREE)
    process.meets("n2.b")
    process.admission.joins("n2.b")
    process.meets("n3.c")
    assert ["counted", "join n2.b", "join n3.c", "up n2.b"] == process.done
    process.admission.joins("n3.c")
    assert "up n3.c" == process.done[-1]
    process.admission.lost("n3.c")
    process.meets("n3.c")
    assert "join n3.c" == process.done[-1]


def test_a_single_voter_needs_nobody() -> None:
    """It acts when it is asked to look."""
    process = Process("n1.a")
    process.admission.look()
    assert ["counted"] == process.done


def test_a_peer_counts_once_it_told_the_members_that_it_knows() -> None:
    """What it says may be that others are to be asked: an old copy is judged by the members of today."""
    process = Process("n1.a", "n2.b")
    process.meets("n2.b", spoken=False)
    assert [] == process.done
    process.members = Members("c", frozenset({"n1.a", "n2.b", "n4.d", "n5.e"}))
    process.admission.spoke("n2.b")
    assert [] == process.done + process.timers
    process.meets("n4.d")
    process.timers.pop()()
    assert ["counted", "join n2.b", "join n4.d"] == process.done


def test_a_node_whose_log_names_only_members_that_are_gone_acts() -> None:
    """It is let in by those of the set that it was told."""
    process = Process(*THREE)
    process.members = Members("c", frozenset({"n4.d", "n5.e"}), frozenset({"n1.a"}))
    process.meets("n4.d")
    process.meets("n5.e")
    assert ["counted", "join n4.d", "join n5.e"] == process.done


def test_a_stranger_has_no_voice_of_its_own() -> None:
    """One of two voters is not enough for it."""
    process = Process("n2.b", "n3.c")
    process.meets("n2.b")
    assert [] == process.done + process.timers
    process.meets("n3.c")
    assert ["counted", "join n2.b", "join n3.c"] == process.done


def test_a_single_voter_that_comes_back_lets_others_speak_first() -> None:
    """Its directory may be a copy of the days when it was alone."""
    process = Process("n1.a", is_new=False)
    process.admission.look()
    assert [] == process.done
    process.timers.pop()()
    assert ["counted"] == process.done


def test_a_set_that_a_peer_goes_by_is_as_good_in_the_end() -> None:
    """Of its own set too few are left for ever. In the set that one of them goes by the two are a majority; all had
    their time to object then."""
    process = Process("n2.b", "n9.gone")
    process.meets("n2.b")
    assert [] == process.timers
    process.others.append(Members("c", frozenset({"n1.a", "n2.b", "n9.gone"})))
    process.admission.look()
    assert [] == process.done
    process.timers.pop()()
    assert ["counted", "join n2.b"] == process.done


def test_which_sets_may_be_in_force_instead() -> None:
    """One that came after the newest known, and that before the latest of the own log while it is not known to be
    committed. Earlier ones are not: who went by them may be long gone, and not know the newer process of a copy."""
    log = journal()
    earlier, own, later = [Members("test", frozenset(voters)) for voters in ("ab", "a", "ac")]
    log.add(earlier.encode(), 2, 1)
    log.add(own.encode(), 3, 1)
    told = [Placed(0, 1, CLUSTER), Placed(1, 2, earlier), Placed(2, 3, later)]
    assert [later, earlier] == others_in_force(log.placed, log, 2, told)
    assert [later] == others_in_force(log.placed, log, 3, told)
    assert [] == others_in_force(told[2], log, 2, told)
    assert [] == others_in_force(journal().placed, journal(), 1, [])
