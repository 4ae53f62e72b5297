"""Changes of the member set, one voter at a time (Ongaro 2014, sections 4.1 to 4.4), checked by the leader.

A change is checked and its entry appended in one turn, so that no second one can pass the checks in between. It holds
from the append on; whoever asked hears of it when the entry is committed. The rules:

    * Nothing before an entry of this leader's own term is committed, and one change at a time. Without the first,
      two leaders in turn may commit by majorities that do not meet
      (https://groups.google.com/g/raft-dev/c/t4xj6dJTP6E, the flaw that Ongaro found in 2015).
    * Nobody becomes a voter before it has caught up (`catch_up`).
    * A leader never writes a set without itself: it hands over, and the next leader does it.
    * Most of the new voters were heard just now. Else the change, and all that follows, might never be committed.
    * Nobody comes whose release does not know the feature level in force.
    * Never the last voter (`Members.step`).
"""

import logging
from typing import TYPE_CHECKING

from raftreg import versions
from raftreg.consensus import MemberChange
from raftreg.consensus.members import Members, name_of
from raftreg.errors import HandingOver, NotLeader, Refused

if TYPE_CHECKING:
    from raftreg.consensus.engine import Committed, Engine

_log = logging.getLogger(__name__)
_CONFLICT = 409


class Changes:
    """On the leader: refuses a change, or appends it."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine

    def begin(self, change: MemberChange, committed: "Committed") -> int:
        """Append one change. Returns its index; `committed` is told (None, True), or (None, False) if that is unknown.

        Raises NotLeader, HandingOver or Refused; nothing is appended then.
        """
        engine = self.engine
        self._check_moment()
        if change.standby and (level := engine.machine.level()) < versions.STANDBYS:
            raise Refused(_CONFLICT, versions.closed_text("a standby", versions.STANDBYS, level))
        if change.kind != "remove":
            self._check_level(change.member)
        before = len(engine.members.voters)
        members = engine.members.step(change)
        if engine.member_id not in members.voters:
            raise self._hand_over()
        if change.kind == "promote":
            self._check_caught_up(change.member)
        self._check_alive(members)
        members = members.with_addresses(engine.world.addresses())
        index = engine.append_members(members, committed)
        _log.info("%s, entry %d: %s", _in_words(change), index, described(members))
        if len(members.voters) != before:
            _warn(engine.member_id, len(members.voters))
        return index

    def _check_moment(self) -> None:
        engine = self.engine
        if not engine.leading:
            raise NotLeader("this node does not lead")
        if engine.election.transfer is not None:
            raise HandingOver("leadership is being handed over: ask the next leader")
        if not engine.settled:
            why = "this leader has not committed an entry of its own term yet: try again in a moment"
            raise Refused(_CONFLICT, why)
        under_way = engine.journal.placed.index
        if under_way > engine.raftCommitIndex:
            why = f"another change of members (entry {under_way}) is not committed yet: try again when it is"
            raise Refused(_CONFLICT, why)

    def _check_level(self, member: str) -> None:
        """Nobody comes who cannot read what the cluster writes; who is not connected is judged when it is."""
        level, known = self.engine.machine.level(), self.engine.world.levels_of(member)
        why = None if known is None else versions.misfit_text(name_of(member), known, level)
        if why is not None:
            raise Refused(_CONFLICT, why)

    def _hand_over(self) -> HandingOver | Refused:
        election = self.engine.election
        heir = election.hand_over()
        if heir is None:
            why = "it leads, so it has to hand over before it can go, and no other voter can take over"
            return Refused(_CONFLICT, f"{self.engine.member_id} cannot go: {why}; {election.no_heir()}")
        _log.info("this node is to go: handing leadership over to %s", name_of(heir))
        return HandingOver(f"this leader has to go: it hands over to {heir}, ask there")

    def _check_caught_up(self, member: str) -> None:
        engine = self.engine
        if not engine.catch_up.done(member):
            acked, last = engine.guard.acked_index(member), engine.journal.last
            how_far = f"it acknowledged entry {acked} of {last}" if acked else "it acknowledged nothing yet"
            where = "" if member in engine.guard.up else ", and it is not connected: start it first"
            raise Refused(_CONFLICT, f"{member} has not caught up: {how_far}{where}; try again when it has")

    def _check_alive(self, members: Members) -> None:
        engine, within_s = self.engine, self.engine.timing.election_max_s
        silent = {
            voter
            for voter in members.voters - {engine.member_id}
            if not engine.reads.heard_within(voter, within_s)
        }
        if not members.majority(members.voters - silent):
            names = ", ".join(sorted(silent))
            why = f"of {len(members.voters)} voters then too few would be alive; not heard from: {names}"
            raise Refused(_CONFLICT, f"{why}. Bring them back, or remove one of these first")


def described(members: Members) -> str:
    """A member set for people."""
    names = [f"voters {_names(members.voters)}"]
    learners = members.learners - members.standbys
    if learners:
        names.append(f"learners {_names(learners)}")
    if members.standbys:
        names.append(f"standbys {_names(members.standbys)}")
    return "; ".join(names)


def _names(ids: frozenset[str]) -> str:
    return ", ".join(sorted(name_of(member) for member in ids))


def _in_words(change: MemberChange) -> str:
    role = "a standby" if change.standby else "a learner"
    if change.kind == "replace":
        return f"replacing {change.old} by {change.member} as {role}"
    if change.kind == "add":
        return f"adding {change.member} as {role}"
    return f"{'promoting' if change.kind == 'promote' else 'removing'} {change.member}"


def _warn(leader: str, voters: int) -> None:
    if voters == 2:
        text = "with 2 voters both are needed for every write: promote a third soon (leader: %s)"
        _log.warning(text, name_of(leader))
    elif voters % 2 == 0:
        spare = voters // 2 - 1
        _log.warning("%d voters outlive the loss of %d, no more than %d do", voters, spare, voters - 1)
