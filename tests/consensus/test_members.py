"""The member set: what bytes it has, what changes there are, and that it is a function of snapshot and log."""

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.consensus import ChangeKind, MemberChange
from raftreg.consensus.journal import Journal, Placed
from raftreg.consensus.members import CONFIG, Members
from raftreg.errors import NewerFormat, Refused
from tests.consensus.worlds import MemoryLog, app

FIVE = Members("c", frozenset("abc"), frozenset("lm"), (("a", "h:1"), ("l", "h:2")), frozenset("m"))


# -- bytes ---------------------------------------------------------------------------------------------------------
def test_a_set_without_standbys_has_the_bytes_of_the_first_format() -> None:
    """A cluster that was made by the first version goes on with the same genesis, and older nodes can read it."""
    plain = Members("c", frozenset("ab"), frozenset("l"), (("a", "h:1"),))
    written = CONFIG + msgpack.packb([1, "c", ["a", "b"], ["l"], [["a", "h:1"]]])
    assert written == plain.encode()
    assert plain == Members.decode(written)


def test_a_set_with_standbys_comes_back_whole() -> None:
    """They take a second format, which is used for nothing else."""
    assert 2 == msgpack.unpackb(FIVE.encode()[2:])[0]
    assert FIVE == Members.decode(FIVE.encode())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([0, "c", ["a"], [], []], "no format version"),
        ([1, "c", ["a"], [], [], []], "malformed"),
        ([2, "c", ["a"], [], []], "malformed"),
        ([2, "c", ["a"], ["l"], [], ["x"]], "a standby has to be a learner"),
        ([2, "c", ["a"], ["l"], [], 7], "malformed"),
        ([1], "malformed"),
        ([1, "c", [], [], []], "needs voters"),
        ([], "malformed"),
        (7, "malformed"),
    ],
)
def test_what_is_no_member_set_is_refused(body: Any, why: str) -> None:
    """Damage is no set."""
    with pytest.raises(ValueError, match=why):
        Members.decode(CONFIG + msgpack.packb(body))


def test_set_of_a_newer_release_is_told_apart_from_damage() -> None:
    """It may hold what this one knows nothing of."""
    with pytest.raises(NewerFormat, match="format 3; this release knows formats 1 and 2"):
        Members.decode(CONFIG + msgpack.packb([3, "c", ["a"], [], [], {"new": 1}]))


# -- changes -------------------------------------------------------------------------------------------------------
def _after(kind: ChangeKind, member: str, old: str = "", *, standby: bool = False) -> tuple[set[str], ...]:
    members = FIVE.step(MemberChange(kind, member, old, standby))
    hinted = {hint for hint, _ in members.addresses}
    return set(members.voters), set(members.learners), set(members.standbys), hinted


def test_each_change_and_what_it_leaves_alone() -> None:
    """Who comes is a learner; at most one voter goes or comes; the address of who goes goes too."""
    abc, both = set("abc"), set("al")
    assert (abc, set("lmx"), set("m"), both) == _after("add", "x")
    assert (abc, set("lmx"), set("mx"), both) == _after("add", "x", standby=True)
    assert (set("abcl"), set("m"), set("m"), both) == _after("promote", "l")
    assert (set("abcm"), set("l"), set(), both) == _after("promote", "m")
    assert (set("bc"), set("lm"), set("m"), {"l"}) == _after("remove", "a")
    assert (abc, set("m"), set("m"), {"a"}) == _after("remove", "l")
    assert (set("ab"), set("lmx"), set("m"), both) == _after("replace", "x", "c")
    assert (abc, set("mx"), set("mx"), {"a"}) == _after("replace", "x", "l", standby=True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (MemberChange("add", "a"), "a is a member already"),
        (MemberChange("add", "m"), "m is a member already"),
        (MemberChange("promote", "a"), "a is a voter already"),
        (MemberChange("promote", "x"), "x is no member: add it first, as a learner"),
        (MemberChange("remove", "x"), "x is no member"),
        (MemberChange("remove", "a", standby=True), "cannot be a standby"),
        (MemberChange("replace", "x", "y"), "y is no member"),
        (MemberChange("replace", "x"), "nobody is no member"),
        (MemberChange("replace", "a", "a"), "a is a member already"),
        (MemberChange("replace", "l", "a"), "l is a member already"),
    ],
)
def test_what_is_no_change_is_refused_with_the_reason(change: MemberChange, why: str) -> None:
    """Nothing is done then; the text is for an operator."""
    with pytest.raises(Refused, match=why) as caught:
        FIVE.step(change)
    assert 409 == caught.value.status


def test_known_addresses_replace_hints_and_others_stay() -> None:
    """Only members have hints, and an address that is not known does not erase one."""
    known = {"a": "h:9", "b": "h:8", "l": "", "x": "h:7"}
    assert (("a", "h:9"), ("b", "h:8"), ("l", "h:2")) == FIVE.with_addresses(known).addresses


# -- a function of snapshot and log --------------------------------------------------------------------------------
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("app"), st.integers(1, 5)),
        st.tuples(st.just("config"), st.integers(0, 30)),
        st.tuples(st.sampled_from(["truncate", "compact", "snapshot", "restart"]), st.floats(0, 1)),
    ),
    max_size=40,
)


class Model:
    """All that was ever in the log, by index; a snapshot covers what is at or below `covered`."""

    def __init__(self) -> None:
        self.sets: list[Members | None] = [None, Members("c", frozenset("abc"))]  # entry 1 is the genesis
        self.covered = 0
        self.log = MemoryLog()
        self.journal = self.opened()

    @property
    def last(self) -> int:
        return len(self.sets) - 1

    def placed(self, index: int) -> tuple[int, Members]:
        """Recomputed from the beginning."""
        where = max(place for place, members in enumerate(self.sets[: index + 1]) if members is not None)
        members = self.sets[where]
        assert members is not None
        return where, members

    def base(self) -> Placed | None:
        """What the snapshot says."""
        return Placed(0, *self.placed(self.covered)) if self.covered else None

    def opened(self) -> Journal:
        """A journal after a restart, aligned with the snapshot as the engine does it."""
        genesis = self.sets[1]
        assert genesis is not None
        covered = max(0, self.covered - 1)
        journal = Journal(self.log, list(self.log.records), genesis.encode(), self.base(), covered)
        if self.covered > 1 and journal.first < covered:
            journal.deleteEntriesTo(covered - journal.first)
        return journal

    def do(self, kind: str, much: float) -> None:
        """One thing that happens to a log."""
        journal, first = self.journal, self.journal.first
        somewhere = first + 1 + int(much * (self.last - first))  # in the log, never its first entry
        if kind == "app":
            for _ in range(int(much)):
                self.sets.append(None)
                journal.add(app(b"x"), self.last, 0)
        elif kind == "config":
            members = Members("c", frozenset("abc"), frozenset({f"l{int(much)}"}))
            self.sets.append(members)
            journal.add(members.encode(), self.last, 0)
        elif kind == "truncate" and self.covered < somewhere <= self.last:
            del self.sets[somewhere:]
            journal.deleteEntriesFrom(somewhere - first)
        elif kind == "compact" and somewhere <= self.last:
            self.covered = max(self.covered, somewhere)
            journal.deleteEntriesTo(self.covered - 1 - first)
        elif kind == "snapshot":  # One that is ahead of the log replaces it.
            self.sets += [None, self.sets[1], None]
            self.covered = self.last
            journal.base = self.base()
            journal.clear()
            for index in (self.last - 1, self.last):
                known = self.sets[index]
                journal.add(known.encode() if known is not None else app(b"x"), index, 0)
        elif kind == "restart":
            self.journal = self.opened()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_set_in_use_follows_from_snapshot_and_log(steps: list[tuple[str, float]]) -> None:
    """After any appends, truncations, compactions, snapshots and restarts it is what a look through them all finds."""
    model = Model()
    for kind, much in steps:
        model.do(kind, much)
        journal = model.journal
        assert model.last == journal.last
        assert model.placed(model.last) == (journal.placed.index, journal.placed.members)
        for index in range(max(model.covered, journal.first), model.last + 1):
            placed = journal.placed_at(index)
            assert model.placed(index) == (placed.index, placed.members)
