"""Mends that concern who belongs to the cluster. Where two rules forbid the same, both are taken away.

Those that need a certain order of events, or cost liveness only for a while, name a schedule in the place of a profile.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from raftreg.consensus import MemberChange, circle, identity, peers
from raftreg.consensus.admission import Admission
from raftreg.consensus.boot import NOT_ADMITTED, Introduction, refusal_without_cluster
from raftreg.consensus.changes import Changes
from raftreg.consensus.circle import Circle
from raftreg.consensus.election import Election
from raftreg.consensus.engine import Committed, Engine
from raftreg.consensus.guard import Guard
from raftreg.consensus.journal import Journal
from raftreg.consensus.members import Members
from raftreg.consensus.node import RaftSettings
from raftreg.consensus.peer_book import PeerBook
from raftreg.errors import NotLeader, Refused
from raftreg.sim.host import Host
from raftreg.sim.mutants.mutant import mutant
from raftreg.sim.patches import Patches


@mutant("set-forgotten-at-restart", "members-three")
def _set_forgotten(patches: Patches) -> None:
    """A restart goes by the member set of the snapshot, or the first one, whatever the log says."""
    original = Journal._replay

    def replay(journal: Journal, *records: Any) -> None:
        original(journal, *records)
        del journal._placed[0 if journal.base is not None else 1 :]

    patches.put(Journal, "_replay", replay)


@mutant("set-not-in-snapshot", "members-few")
def _set_not_in_snapshot(patches: Patches) -> None:
    """Who gets a snapshot keeps the member set that it had."""
    original = Engine._load

    def load(engine: Engine, snapshot: Any, clear: bool) -> None:
        original(engine, replace(snapshot, placed=engine.journal.placed), clear)

    patches.put(Engine, "_load", load)


@mutant("set-not-taken-back", "members-three")
def _set_not_taken_back(patches: Patches) -> None:
    """A member set whose entry is truncated stays in use."""
    original = Journal.deleteEntriesFrom

    def delete_from(journal: Journal, position: int) -> None:
        placed = list(journal._placed)
        original(journal, position)
        journal._placed = placed
        journal._members_changed()

    patches.put(Journal, "deleteEntriesFrom", delete_from)


@mutant("learners-counted", "members-three")
def _learners_counted(patches: Patches) -> None:
    """What learners acknowledge counts for commits."""
    original = Engine._use_members

    def use_members(engine: Engine) -> None:
        original(engine)
        engine._SyncObj__otherNodes |= engine._SyncObj__readonlyNodes

    patches.put(Engine, "_use_members", use_members)


@mutant("learner-votes-counted", "members-three")
def _learner_votes_counted(patches: Patches) -> None:
    """Learners are asked for votes, and theirs count."""
    original = Guard.send

    def send(guard: Guard, node: Any, message: dict[str, Any]) -> bool:
        if message["type"] == "request_vote":
            for learner in sorted(guard.engine.members.learners - {guard.engine.member_id}):
                original(guard, guard.node(learner), message)
        return original(guard, node, message)

    def on_vote(guard: Guard, node: Any, term: int) -> None:
        if term == guard.engine.raftCurrentTerm and (term, node.id) not in guard.votes:
            guard.votes = {cast for cast in guard.votes if cast[0] == term} | {(term, node.id)}
            guard._onMessageReceived(node, {"type": "response_vote", "term": term})

    patches.put(Guard, "send", send)
    patches.put(Guard, "_on_vote", on_vote)


@mutant("learners-campaign", "members-three")
def _learners_campaign(patches: Patches) -> None:
    """A learner that hears no leader campaigns."""
    original = Election.tick

    def tick(election: Election) -> None:
        engine = election.engine
        real, me = engine.members, {engine.member_id}
        if me <= real.learners:
            engine.members = replace(
                real, voters=real.voters | me, learners=real.learners - me, standbys=real.standbys - me
            )
        original(election)
        engine.members = real

    patches.put(Election, "tick", tick)


@mutant("leader-writes-itself-out", "leader-goes")
def _leader_writes_itself_out(patches: Patches) -> None:
    """A leader appends the member set that it is not in, and leads on."""
    begin, use_members = Changes.begin, Engine._use_members

    def begin_anyhow(changes: Changes, change: MemberChange, committed: Committed) -> int:
        engine = changes.engine
        if change.kind == "promote" or engine.member_id not in (change.member, change.old):
            return begin(changes, change, committed)
        changes._check_moment()
        members = engine.members.step(change)
        changes._check_alive(members)
        return engine.append_members(members, committed)

    def use_anyhow(engine: Engine) -> None:
        role, engine.role_number = engine.role_number, 0
        use_members(engine)
        engine.role_number = role

    patches.put(Changes, "begin", begin_anyhow)
    patches.put(Engine, "_use_members", use_anyhow)


@mutant("two-changes-at-once", "two-at-once")
def _two_changes_at_once(patches: Patches) -> None:
    """A change is begun before the one before it is committed."""

    def check_moment(changes: Changes) -> None:
        if not changes.engine.leading or changes.engine.election.transfer is not None:
            raise NotLeader("this node does not lead")
        if not changes.engine.settled:
            raise Refused(409, "not yet")

    patches.put(Changes, "_check_moment", check_moment)


@mutant("voters-swapped", "swapped-at-once")
def _voters_swapped(patches: Patches) -> None:
    """Who comes in the place of a voter is a voter at once."""
    original = Members.step

    def step(members: Members, change: MemberChange) -> Members:
        after = original(members, change)
        if change.kind == "replace" and change.old in members.voters:
            one = {change.member}
            return replace(after, voters=after.voters | one, learners=after.learners - one)
        return after

    patches.put(Members, "step", step)


@mutant("change-before-first-commit", "flaw-of-2015")
def _change_before_first_commit(patches: Patches) -> None:
    """A leader that has committed nothing in its own term changes the members."""

    def check_moment(changes: Changes) -> None:
        if not changes.engine.leading:
            raise NotLeader("this node does not lead")

    patches.put(Changes, "_check_moment", check_moment)
    patches.put(Changes, "_check_alive", lambda changes, members: None)
    patches.put(Engine, "settled", property(lambda engine: engine.leading))


@mutant("promoted-without-catching-up", "promoted-in-vain")
def _promoted_without_catching_up(patches: Patches) -> None:
    """Any learner is promoted, whatever it has."""
    patches.put(Changes, "_check_caught_up", lambda changes, member: None)
    patches.put(Changes, "_check_alive", lambda changes, members: None)


@mutant("dead-majority", "two-dead-of-five")
def _dead_majority(patches: Patches) -> None:
    """A change is begun although most of the new voters are dead."""
    patches.put(Changes, "_check_alive", lambda changes, members: None)


@mutant("learners-refuse-votes", "one-to-two")
def _learners_refuse_votes(patches: Patches) -> None:
    """Who holds itself for a learner or a stranger answers nobody that campaigns."""
    vote, prevote = Guard._on_vote_ask, Election._on_prevote_ask

    def on_vote_ask(guard: Guard, node: Any, message: list[Any]) -> None:
        if guard.engine.member_id in guard.engine.members.voters:
            vote(guard, node, message)

    def on_prevote_ask(election: Election, member: str, message: list[Any]) -> None:
        if election.engine.member_id in election.engine.members.voters:
            prevote(election, member, message)

    patches.put(Guard, "_on_vote_ask", on_vote_ask)
    patches.put(Election, "_on_prevote_ask", on_prevote_ask)


@mutant("match-kept", "match-of-old")
def _match_kept(patches: Patches) -> None:
    """What a member acknowledged before it was removed counts when it comes back."""
    enter = Engine._enter

    def enter_again(engine: Engine, node: Any) -> None:
        match = engine._SyncObj__raftMatchIndex.get(node, 0)
        enter(engine, node)
        engine._SyncObj__raftMatchIndex[node] = match

    patches.put(Engine, "_enter", enter_again)
    patches.put(Engine, "_leave", lambda engine, node: None)
    patches.put(Changes, "_check_caught_up", lambda changes, member: None)


@mutant("old-notice-believed", "late-notice")
def _old_notice_believed(patches: Patches) -> None:
    """A node believes that it was removed whoever says so, and however long ago that was; no hearsay sets it right."""

    def told_members(engine: Engine, placed: Any) -> None:
        engine._told = placed

    patches.put(Engine, "told_members", told_members)
    patches.put(Engine, "told", property(lambda engine: engine._told))
    _no_hearsay(patches)


@mutant("acts-at-once", "members-copies")
def _acts_at_once(patches: Patches) -> None:
    """A process acts as its member before anybody can have objected."""

    def look(admission: Admission, *, in_time: bool = True) -> None:
        if not admission.acts:
            admission._act()

    patches.put(Admission, "look", look)


@mutant("starts-not-counted", "members-copies")
def _starts_not_counted(patches: Patches) -> None:
    """Nobody remembers how often a member was started."""
    patches.put(PeerBook, "judge", lambda book, hello: None)


@mutant("cluster-made-again", "members-one")
def _cluster_made_again(patches: Patches) -> None:
    """A node that made a cluster alone does so again when its disk is lost, as if told to at each start."""
    original = Host._settings

    def settings(host: Host) -> RaftSettings:
        disks, host._disks = host._disks, 1
        told = original(host)
        host._disks = disks
        return told

    patches.put(Host, "_settings", settings)


@mutant("member-without-memory", "members-slow")
def _member_without_memory(patches: Patches) -> None:
    """A member that lost its disk comes back as the member that it was, and nobody knows how it can be."""
    original = identity._read_or_make

    def read_or_make(*place: Any) -> Any:
        return replace(original(*place), incarnation="0")

    patches.put(identity, "_read_or_make", read_or_make)
    patches.put(Circle, "_forgot", lambda circle, hello: None)


@mutant("no-hearsay", "way-by-a-stranger")
def _no_hearsay(patches: Patches) -> None:
    """A node tells others of the member sets in its own log only."""
    patches.put(Circle, "committed", property(lambda circle: circle.driver.engine.committed_members))


@mutant("set-in-use-kept-quiet", "known-to-one")
def _set_in_use_kept_quiet(patches: Patches) -> None:
    """A node tells others only of what it knows to be committed."""
    patches.put(Circle, "_later_in_use", None)


@mutant("latest-set-or-none", "came-to-nothing")
def _latest_set_or_none(patches: Patches) -> None:
    """A process is let in by a majority of the latest set that it knows, and by no other."""
    patches.put(circle, "others_in_force", lambda newest, journal, commit, told: [])


@mutant("empty-node-ends-members", "expected-by-nobody")
def _empty_node_ends_members(patches: Patches) -> None:
    """A node without a cluster refuses for good whom it does not expect, members of a cluster among them."""

    def refusal(own_name: str, names: Iterable[str], hello: Introduction) -> str | None:
        why = refusal_without_cluster(own_name, names, hello)
        return NOT_ADMITTED + why if why is not None and hello.cluster_id is not None else why

    patches.put(peers, "refusal_without_cluster", refusal)
