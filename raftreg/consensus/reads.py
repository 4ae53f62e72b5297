"""Linearizable reads without the log: read index, confirmed by a round of pings or by a lease (Ongaro 2014,
section 6.4).

Everything that a leader sends carries a stamp, its send time in microseconds, which the answer gives back. A
member that answered in this term had heard this leader after that time. So "a majority was heard since the read
was asked" confirms the read, whichever message it was; and since a member that heard its leader votes for
nobody else within `lease_s`, the leader may answer without asking until that long, less a margin for drifting
clocks, after the stamps of a majority.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from raftreg.consensus import messages as m
from raftreg.consensus.members import Members

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine
    from raftreg.consensus.guard import Message

_TRUST = 0.8  # the part of the lease that the leader relies on
_MICRO = 1_000_000

ReadAnswer = Callable[[int | None], None]


class Reads:
    """On the leader: who was heard when, and the reads that wait for a majority."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.last_stamp = 0
        # Member -> stamp of the newest message that it answered in this term.
        self._contact: dict[str, int] = {}
        # (stamp to be beaten, read index, answer).
        self._waiting: deque[tuple[int, int, ReadAnswer]] = deque()
        self._want_ping = False
        self._lease_distrusted = False
        # `_quorum_stamp`, and the member set for which it was found; None when somebody was heard since.
        self._counted: tuple[Members, int] | None = None

    @property
    def at_rest(self) -> bool:
        """Whether no read waits."""
        return not self._waiting and not self._want_ping

    def stamp(self) -> int:
        """A number for a message that leaves now: its time in microseconds, strictly increasing."""
        self.last_stamp = max(self.last_stamp + 1, int(self.engine.now() * _MICRO))
        return self.last_stamp

    def ping(self) -> "Message":
        """A message that asks for nothing but an answer."""
        return [m.PING, self.engine.raftCurrentTerm, self.stamp()]

    def begin_term(self) -> None:
        """This node became leader: nobody was heard in this term yet."""
        self._contact.clear()
        self._counted = None
        self._lease_distrusted = False

    def distrust_lease(self) -> None:
        """An heir is told to take over: votes that ignore the lease may be under way until the term ends."""
        self._lease_distrusted = True

    def forget(self, member: str) -> None:
        """A member left."""
        self._contact.pop(member, None)
        self._counted = None

    def heard_within(self, member: str, seconds: float) -> bool:
        """Whether a member answered, in this term, something that left no longer ago than that."""
        return self._contact.get(member, 0) / _MICRO > self.engine.now() - seconds

    def _quorum_stamp(self) -> int:
        """The newest stamp that a majority, this node included, has answered."""
        engine = self.engine
        members = engine.members
        if self._counted is not None and self._counted[0] is members:
            return self._counted[1]
        voters = members.voters
        needed = len(voters) // 2  # of the others
        if not needed:
            return int(engine.now() * _MICRO)
        stamps = [self._contact.get(voter, 0) for voter in voters if voter != engine.member_id]
        stamps.sort(reverse=True)
        self._counted = members, stamps[needed - 1]
        return stamps[needed - 1]

    def lease_holds(self) -> bool:
        """Whether no other leader can exist now, by the clocks."""
        if self._lease_distrusted or not self.engine.settled:
            return False
        trusted = self._quorum_stamp() / _MICRO + self.engine.timing.lease_s * _TRUST
        return self.engine.now() < trusted

    def ask(self, answer: ReadAnswer, confirm: bool) -> None:
        """Answer with the commit index of now once this node is sure to lead (still), else with None."""
        engine = self.engine
        if not engine.settled:
            answer(None)
        elif not confirm and self.lease_holds():
            answer(engine.raftCommitIndex)
        else:
            self._waiting.append((self.stamp(), engine.raftCommitIndex, answer))
            self._want_ping = True
            engine.want_tick()

    def flush(self) -> None:
        """One ping to each voter serves all reads that were asked since the last tick."""
        if not self._want_ping:
            return
        self._want_ping = False
        ping = self.ping()
        for voter in self.engine.members.voters - {self.engine.member_id}:
            self.engine.outlet(voter, ping)
        self._answer_confirmed()

    def heard(self, member: str, stamp: int) -> None:
        """A member answered a message of this term that left at `stamp`."""
        if stamp > self._contact.get(member, 0):
            self._contact[member] = stamp
            self._counted = None
            if self._waiting:
                self._answer_confirmed()

    def _answer_confirmed(self) -> None:
        confirmed = self._quorum_stamp()
        while self._waiting and self._waiting[0][0] <= confirmed:
            _, index, answer = self._waiting.popleft()
            answer(index)

    def give_up(self) -> None:
        """This node leads no more."""
        self._want_ping = False
        while self._waiting:
            self._waiting.popleft()[2](None)

    def announce_commit(self, commit: int) -> None:
        """Tell the members the commit index; it asks for no answer."""
        engine = self.engine
        message = [m.COMMIT, engine.raftCurrentTerm, commit]
        for member in engine.members.all - {engine.member_id}:
            engine.outlet(member, message)

    def receive(self, member: str, message: "Message") -> bool:
        """Pings and their answers. Returns whether the kind was known here."""
        kind, engine = message[0], self.engine
        if kind == m.PING:
            _, term, stamp = message
            if term < engine.raftCurrentTerm:
                engine.outlet(member, [m.NEWER_TERM, engine.raftCurrentTerm])
            elif term == engine.raftCurrentTerm and not engine.leading:
                engine.election.heard_leader()
                engine.outlet(member, [m.PONG, term, stamp])
        elif kind == m.PONG:
            _, term, stamp = message
            if term == engine.raftCurrentTerm and engine.leading and member in engine.members.all:
                self.heard(member, stamp)
                engine.guard.heard(member)
        else:
            return False
        return True
