"""Elections of our own timing: pre-vote, stickiness, quick reaction to a leader that died, and hand-over.

pysyncobj's timer is off; it campaigns when `start_election` says so, which happens after a majority of the
voters said in a pre-vote that they would vote for this node (Ongaro 2014, section 9.6), or when the leader
hands over (section 3.10).

A closed connection to the leader usually means that its process died, so the wait is cut short then. It may
also be a mere network fault, so the leader's lease is respected even so: nobody votes within `lease_s` of
having heard the leader.

A vote, and a request for votes, leave when they are on this node's disk. Until then it takes part in no other
election: a newer term would make them void, and where a sync takes longer than the wait between two elections, that
would go on for ever. The wait begins when they leave, so that whoever was asked has all of it for its own disk.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raftreg.consensus import messages as m

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine
    from raftreg.consensus.guard import Message

_QUICK_SPREAD_S = 0.015  # voters that lose the leader at once should not campaign at once
_RETRIES_QUICK = 4


@dataclass(slots=True)
class Transfer:
    """Leadership on its way to `heir`; given up at `deadline`."""

    heir: str
    deadline: float
    told: bool = False


class Election:
    """When to campaign, whom to grant a pre-vote, and handing over."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.transfer: Transfer | None = None
        self.barred = False  # the disk is full: this node could not even record its own vote
        self.leader_contact = engine.now()  # a restart forgets what it promised: promise it again
        self.leader_lost = True
        self.round = 0
        self.granted: set[str] | None = None
        self._called_up: int | None = None  # the term in which the leader told us to take over
        self._tries = 0
        self._vote_seq = 0  # number of the record with the vote that waits for the disk; 0 if none does
        self._rest_s = self.deadline = 0.0
        self._rest()

    def _rest(self, seconds: float | None = None) -> None:
        timing, clock = self.engine.timing, self.engine.world.clock
        if seconds is None:
            seconds = clock.uniform(timing.election_min_s, timing.election_max_s)
        self._rest_s = seconds
        self.deadline = self.engine.now() + seconds

    @property
    def at_rest(self) -> bool:
        """Whether no election and no hand-over is under way."""
        return self.granted is None and self.transfer is None and self._called_up is None

    def heard_leader(self) -> None:
        """The leader of the current term spoke: who answers it stands by it, so nothing is left of a pre-vote."""
        self.leader_contact = self.engine.now()
        self.leader_lost = False
        self.granted = None
        self.engine.cancel_election()
        self._tries = self._vote_seq = 0
        self._rest()

    def sticky(self) -> bool:
        """Whether this node still stands by a leader that it heard."""
        timing = self.engine.timing
        loyal_s = timing.lease_s if self.leader_lost else timing.election_min_s
        return self.engine.now() - self.leader_contact < loyal_s

    def peer_down(self, member: str) -> None:
        """A connection was closed; if it was the leader's, its process has most likely died."""
        engine = self.engine
        if engine.leader != member or engine.leading:
            return
        self.leader_lost = True
        soonest = max(engine.now(), self.leader_contact + engine.timing.lease_s)
        quick = soonest + engine.world.clock.uniform(0.001, _QUICK_SPREAD_S)
        self.deadline = min(self.deadline, quick)
        engine.want_tick()

    def won(self) -> None:
        """This node became leader."""
        self.transfer, self.granted = None, None
        self.leader_contact = self.engine.now()

    # -- the vote of this node -------------------------------------------------------------------------------------
    @property
    def vote_waits(self) -> bool:
        """Whether a vote of this node, for itself or another, is still on its way to the disk."""
        return self._vote_seq > self.engine.journal.log.synced

    def voted(self) -> None:
        """A vote was put into the log; what says so leaves when it is durable."""
        self._vote_seq = self.engine.journal.log.seq

    def on_synced(self, seq: int) -> None:
        """The log is durable up to record `seq`: the wait for what comes of a vote begins when that leaves."""
        if 0 < self._vote_seq <= seq:
            self._vote_seq = 0
            self._rest(self._rest_s)

    # -- campaigning -----------------------------------------------------------------------------------------------
    def tick(self) -> None:
        """Begin a pre-vote when nobody leads for too long; watch over a hand-over."""
        engine = self.engine
        if engine.leading:
            self._watch_transfer()
            if self.barred or engine.disk.hangs or engine.newer.text:
                self.hand_over()  # Again and again: here nothing can be committed any more.
            return
        self.transfer = None
        if self._take_over():
            return
        if engine.now() < self.deadline:
            return
        self._rest()
        if self.vote_waits:
            return
        if self.leader_lost and self._tries < _RETRIES_QUICK:
            self._tries += 1
            self._rest(engine.world.clock.uniform(0.02, 0.05) * self._tries)
        if engine.newer.text:
            engine.newer.say()
            return
        if self.barred or engine.removed or engine.member_id not in engine.members.voters:
            return
        self.round += 1
        self.granted = {engine.member_id}
        journal = engine.journal
        ask = [
            m.PREVOTE_ASK,
            self.round,
            engine.raftCurrentTerm + 1,
            journal.last,
            journal.term_at(journal.last),
        ]
        for voter in sorted(engine.members.voters - {engine.member_id}):
            engine.outlet(voter, ask)
        self._count()

    def _count(self) -> None:
        if self.granted is not None and self.engine.members.majority(self.granted):
            self.granted = None
            self.engine.start_election()
            self.engine.want_tick()

    def receive(self, member: str, message: "Message") -> bool:
        """Pre-votes and hand-over. Returns whether the kind was known here."""
        kind = message[0]
        if kind == m.PREVOTE_ASK:
            self._on_prevote_ask(member, message)
        elif kind == m.PREVOTE:
            if self.granted is not None and message[1] == self.round:
                self.granted.add(member)
                self._count()
        elif kind == m.TAKE_OVER:
            self._on_take_over(member, message[1])
        else:
            return False
        return True

    def _on_prevote_ask(self, member: str, message: "Message") -> None:
        """Whoever is asked answers by log and term, also a learner: it may have been promoted by an entry it lacks."""
        engine, journal = self.engine, self.engine.journal
        _, round_, term, last_index, last_term = message
        engine.notice_outsider(member)
        if term <= engine.raftCurrentTerm:
            engine.outlet(member, [m.NEWER_TERM, engine.raftCurrentTerm])
        elif engine.leading or self.sticky() or self.vote_waits:
            return
        elif (last_term, last_index) >= (journal.term_at(journal.last), journal.last):
            if self.granted is not None and member > engine.member_id:
                self.stand_back()  # Both ask at once: the greater id goes first, so that they do not split the votes.
            engine.outlet(member, [m.PREVOTE, round_])

    def stand_back(self) -> None:
        """Leave this election to another candidate; try again if nothing comes of it."""
        self.granted = None
        self.engine.cancel_election()
        self._rest()

    def _on_take_over(self, member: str, term: int) -> None:
        """The leader hands over to us: campaign at once, past everybody's stickiness."""
        engine = self.engine
        chosen = term == engine.raftCurrentTerm and engine.leader == member and not engine.leading
        may_lead = not self.barred and not engine.newer.text
        if chosen and engine.member_id in engine.members.voters and may_lead:
            self._called_up = term
            engine.want_tick()

    def _take_over(self) -> bool:
        """Campaign if the leader of this term said so, whatever else it said after that."""
        engine, term, self._called_up = self.engine, self._called_up, None
        if term != engine.raftCurrentTerm:
            return False
        engine.guard.forced = True
        engine.start_election()
        self._rest()
        return True

    # -- hand-over -------------------------------------------------------------------------------------------------
    def hand_over(self, to: str | None = None) -> str | None:
        """Begin to hand leadership to the most advanced voter that answers, or to `to`. Returns it, or None.

        No command is taken meanwhile. Once the heir is told, no lease is trusted for the rest of this term, which its
        votes ignore.
        """
        engine = self.engine
        if not engine.leading or self.transfer is not None:
            return None
        heirs = [
            voter
            for voter in engine.members.voters - {engine.member_id}
            if to in (None, voter) and self._obstacle(voter) is None
        ]
        if not heirs:
            return None
        heir = max(heirs, key=lambda voter: (engine.guard.acked_index(voter), voter))
        self.transfer = Transfer(heir, engine.now() + engine.timing.election_max_s)
        engine.want_tick()
        return heir

    def _obstacle(self, voter: str) -> str | None:
        """Why a voter cannot take over now, None if it can."""
        guard, commit = self.engine.guard, self.engine.raftCommitIndex
        if voter not in guard.up:
            return f"{voter} is not connected"
        if not guard.caught_up(voter, commit):
            return f"{voter} has not acknowledged what is committed (entry {commit})"
        return None

    def no_heir(self, to: str | None = None) -> str:
        """Why there is no heir, for an operator."""
        engine = self.engine
        others = sorted(engine.members.voters - {engine.member_id})
        if to is not None and to not in others:
            return f"{to} is no voter" + (": promote it first" if to in engine.members.learners else "")
        obstacles = [self._obstacle(voter) for voter in others if to in (None, voter)]
        return "; ".join(obstacle for obstacle in obstacles if obstacle) or "there is no other voter"

    def _watch_transfer(self) -> None:
        transfer, engine = self.transfer, self.engine
        if transfer is None:
            return
        gone = transfer.heir not in engine.members.voters or transfer.heir not in engine.guard.up
        if gone or engine.now() > transfer.deadline:
            self.transfer = None
            if engine.newer.stopped:
                engine.newer.resign()
        elif not transfer.told and engine.guard.caught_up(transfer.heir, engine.journal.last):
            engine.reads.distrust_lease()
            transfer.told = engine.outlet(transfer.heir, [m.TAKE_OVER, engine.raftCurrentTerm])
