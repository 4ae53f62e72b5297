"""The mends of the consensus adapter, each taken away by name: a test of the tests.

A mutant replaces methods for the time of a run, from here; the product knows nothing of it. `profile` is the mix of
faults that finds it soonest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raftreg.consensus import messages as m
from raftreg.consensus import seams
from raftreg.consensus.election import Election
from raftreg.consensus.engine import Engine
from raftreg.consensus.guard import Guard
from raftreg.consensus.journal import Journal
from raftreg.consensus.node import RaftNode
from raftreg.consensus.reads import Reads
from raftreg.consensus.snapshot_transfer import SnapshotTransfers
from raftreg.sim.patches import Patches
from raftreg.state import State


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mend that is missing."""

    name: str
    what: str
    profile: str
    apply: Callable[[Patches], None]


MUTANTS: dict[str, Mutant] = {}


def _mutant(name: str, profile: str) -> Callable[[Callable[[Patches], None]], Callable[[Patches], None]]:
    def register(apply: Callable[[Patches], None]) -> Callable[[Patches], None]:
        MUTANTS[name] = Mutant(name, (apply.__doc__ or "").rstrip("."), profile, apply)
        return apply

    return register


def _not_held(*kinds: str) -> Callable[..., bool]:
    original = Guard._hold

    def hold(guard: Guard, member: str | None, message: Any) -> bool:
        if member is not None and message[0] in kinds:
            return guard.engine.outlet(member, message)
        return original(guard, member, message)

    return hold


@_mutant("votes-not-held", "power")
def _votes_not_held(patches: Patches) -> None:
    """Votes and vote requests leave before they are on disk."""
    patches.put(Guard, "_hold", _not_held(m.VOTE, m.VOTE_ASK))


@_mutant("acks-not-held", "power")
def _acks_not_held(patches: Patches) -> None:
    """Acks leave before what they acknowledge is on disk."""
    patches.put(Guard, "_hold", _not_held(m.ACK))


@_mutant("stale-acks", "stale")
def _stale_acks(patches: Patches) -> None:
    """An ack of an earlier term counts."""
    original = Guard._on_ack

    def on_ack(guard: Guard, node: Any, message: list[Any]) -> None:
        kind, term, *rest = message
        original(guard, node, [kind, max(term, guard.engine.raftCurrentTerm), *rest])

    patches.put(Guard, "_on_ack", on_ack)


def _whole_append(guard: Guard, append: dict[str, Any], entries: list[Any], commit: int) -> None:
    append.update(entries=entries, commit_index=commit)
    guard._ack_cap = append["prevLogIdx"] + len(entries) + 1


@_mutant("matching-tail-truncated", "narrow")
def _matching_tail(patches: Patches) -> None:
    """An append that begins below the end of an equal log truncates it and adds it again."""
    patches.put(Guard, "_narrow", _whole_append)


@_mutant("ack-cap", "long-tail")
def _ack_cap(patches: Patches) -> None:
    """An ack speaks for the whole log of a member, whatever its append verified."""
    original = Guard._narrow

    def narrow(guard: Guard, append: dict[str, Any], entries: list[Any], commit: int) -> None:
        original(guard, append, entries, commit)
        guard._ack_cap = None

    patches.put(Guard, "_narrow", narrow)


@_mutant("commit-cap", "tails")
def _commit_cap(patches: Patches) -> None:
    """The leader's commit index is taken for entries that were not compared with the leader's."""
    original_append, original_commit = Guard._on_append, Guard._on_commit

    def on_append(guard: Guard, node: Any, message: list[Any]) -> None:
        original_append(guard, node, message)
        _, _, term, commit, *_ = message
        guard._verified = (term, 1 << 60)
        original_commit(guard, node, term, commit)

    patches.put(Guard, "_on_append", on_append)


@_mutant("rejection-filter", "long-tail")
def _rejection_filter(patches: Patches) -> None:
    """Every late rejection sets the leader back."""
    original = Guard._on_ack

    def on_ack(guard: Guard, node: Any, message: list[Any]) -> None:
        guard._reset_stamp.clear()
        guard._acked.pop(node.id, None)
        original(guard, node, message)

    patches.put(Guard, "_on_ack", on_ack)


@_mutant("reads-without-quorum", "partition")
def _reads_without_quorum(patches: Patches) -> None:
    """A leader answers reads without asking anybody."""

    def ask(reads: Reads, answer: Callable[[int | None], None], confirm: bool) -> None:
        answer(reads.engine.raftCommitIndex if reads.engine.leading else None)

    patches.put(Reads, "ask", ask)
    patches.put(Reads, "lease_holds", lambda reads: reads.engine.settled)


@_mutant("reads-before-first-commit", "unsaid")
def _reads_before_first_commit(patches: Patches) -> None:
    """A new leader answers reads before it knows what was committed."""
    patches.put(Engine, "settled", property(lambda engine: engine.leading))


@_mutant("lease-through-pause", "pause")
def _lease_through_pause(patches: Patches) -> None:
    """The lease is measured on a clock that stands still while the machine is suspended."""

    def lease_holds(reads: Reads) -> bool:
        engine = reads.engine
        if reads._lease_distrusted or not engine.settled:
            return False
        behind = (
            engine.now()
            - seams.monotonic()
            - reads.__dict__.setdefault("_ahead", engine.now() - seams.monotonic())
        )
        return bool(engine.now() - behind < reads._quorum_stamp() / 1e6 + engine.timing.lease_s * 0.8)

    patches.put(Reads, "lease_holds", lease_holds)


@_mutant("lease-ignored", "deaf")
def _lease_ignored(patches: Patches) -> None:
    """Who loses the connection to the leader votes for another at once, while the leader trusts its lease."""
    original = Election.peer_down

    def peer_down(election: Election, member: str) -> None:
        original(election, member)
        if election.leader_lost:
            election.deadline = min(election.deadline, election.engine.now() + 0.001)

    def sticky(election: Election) -> bool:
        waited = election.engine.now() - election.leader_contact
        return not election.leader_lost and waited < election.engine.timing.election_min_s

    patches.put(Election, "peer_down", peer_down)
    patches.put(Election, "sticky", sticky)


@_mutant("double-votes", "duplicates")
def _double_votes(patches: Patches) -> None:
    """A vote that arrives twice counts twice."""
    original = Guard._on_vote

    def on_vote(guard: Guard, node: Any, term: int) -> None:
        guard.votes.clear()
        original(guard, node, term)

    patches.put(Guard, "_on_vote", on_vote)


@_mutant("no-alignment", "crash")
def _no_alignment(patches: Patches) -> None:
    """The journal is not aligned with the snapshot at a restart, so pysyncobj drops all of it."""
    patches.put(Journal, "align", lambda journal, previous, newest: None)


@_mutant("snapshot-commits-tail", "tails")
def _snapshot_commits_tail(patches: Patches) -> None:
    """A snapshot's message moves the commit index of a member over its own unverified tail."""
    original = SnapshotTransfers._on_chunk

    def on_chunk(transfers: SnapshotTransfers, member: str, message: list[Any]) -> None:
        original(transfers, member, message)
        engine, term, index = transfers.engine, message[1], message[2]
        if term == engine.raftCurrentTerm and not engine.leading:
            engine.guard._verified = (term, 1 << 60)
            engine.guard._on_commit(engine.guard.node(member), term, index)

    patches.put(SnapshotTransfers, "_on_chunk", on_chunk)


@_mutant("leader-counts-undurable", "slow-disk")
def _leader_counts_undurable(patches: Patches) -> None:
    """Acks count on the leader for entries that are not on its own disk."""
    original = Guard._release_acks

    def release(guard: Guard, only: str | None = None) -> None:
        journal = guard.engine.journal
        durable, journal.durable = journal.durable, journal.last
        original(guard, only)
        journal.durable = durable

    patches.put(Guard, "_release_acks", release)


@_mutant("request-ids-forgotten", "crash")
def _request_ids_forgotten(patches: Patches) -> None:
    """A snapshot does not hold the results by request id."""
    original = State.load

    def load(state: State, data: bytes) -> None:
        original(state, data)
        state._results._results.clear()
        state._results._ids.clear()

    patches.put(State, "load", load)


@_mutant("single-voter-undurable", "single")
def _single_voter(patches: Patches) -> None:
    """A node alone commits what is not on its disk yet."""
    original = Engine.tick

    def tick(engine: Engine) -> None:
        journal = engine.journal
        durable, journal.durable = journal.durable, journal.last
        original(engine)
        journal.durable = durable

    patches.put(Engine, "tick", tick)


@_mutant("single-voter-votes-early", "single")
def _single_voter_votes_early(patches: Patches) -> None:
    """A node alone leads before its vote is on disk."""
    original = Guard._hold

    def hold(guard: Guard, member: str | None, message: Any) -> bool:
        if member is None:
            vote = {"type": "response_vote", "term": message}
            guard.engine.world.jobs(
                lambda: None, lambda _: guard._onMessageReceived(guard.engine.shadow, vote)
            )
            return True
        return original(guard, member, message)

    patches.put(Guard, "_hold", hold)


@_mutant("no-stickiness", "flap")
def _no_stickiness(patches: Patches) -> None:
    """Members vote while their leader is fresh, so its lease says nothing."""
    patches.put(Election, "sticky", lambda election: False)
    patches.put(Election, "heard_leader", _heard_without_rest)


def _heard_without_rest(election: Election) -> None:
    election.leader_contact = election.engine.now()
    election.leader_lost = False


@_mutant("lease-after-hand-over", "deaf")
def _lease_after_hand_over(patches: Patches) -> None:
    """A leader that hands over goes on trusting its lease, though the heir's votes ignore it."""
    patches.put(Reads, "distrust_lease", lambda reads: None)


@_mutant("follower-answers-early", "narrow")
def _follower_answers_early(patches: Patches) -> None:
    """A node answers before it has applied what the leader told it."""

    async def at_once(node: RaftNode, index: int) -> None:
        return None

    patches.put(RaftNode, "wait_applied", at_once)


@_mutant("pending-by-index-alone", "tails")
def _pending_by_index(patches: Patches) -> None:
    """A proposal is answered when its index is applied, whatever entry is there."""

    def give_up(engine: Engine) -> None:
        return None

    patches.put(Engine, "_give_up_pending", give_up)
    patches.put(Engine, "_SyncObj__doApplyCommand", _apply_by_index)


def _apply_by_index(engine: Engine, command: bytes) -> None:
    index = engine.raftLastApplied + 1
    result: object = engine.machine.apply(index, command[2:]) if command[:2] == b"\x00\x00" else []
    waiting = engine.pending.pop(index, None)
    if waiting is not None:
        waiting[2](result, True)
