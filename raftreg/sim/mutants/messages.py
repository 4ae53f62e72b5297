"""Mends that concern what members say to each other about the log."""

from collections.abc import Callable
from typing import Any

from raftreg.consensus import messages as m
from raftreg.consensus.calls import Calls
from raftreg.consensus.guard import Guard
from raftreg.consensus.snapshot_transfer import SnapshotTransfers
from raftreg.sim.mutants.mutant import mutant
from raftreg.sim.patches import Patches


def _not_held(*kinds: str) -> Callable[..., bool]:
    original = Guard._hold

    def hold(guard: Guard, member: str | None, message: Any) -> bool:
        if member is not None and message[0] in kinds:
            return guard.engine.outlet(member, message)
        return original(guard, member, message)

    return hold


@mutant("votes-not-held", "votes")
def _votes_not_held(patches: Patches) -> None:
    """Votes and vote requests leave before they are on disk."""
    patches.put(Guard, "_hold", _not_held(m.VOTE, m.VOTE_ASK))


@mutant("acks-not-held", "power")
def _acks_not_held(patches: Patches) -> None:
    """Acks leave before what they acknowledge is on disk."""
    patches.put(Guard, "_hold", _not_held(m.ACK))


@mutant("stale-acks", "stale")
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


@mutant("matching-tail-truncated", "narrow")
def _matching_tail(patches: Patches) -> None:
    """An append that begins below the end of an equal log truncates it and adds it again."""
    patches.put(Guard, "_narrow", _whole_append)


@mutant("ack-cap", "long-tail")
def _ack_cap(patches: Patches) -> None:
    """An ack speaks for the whole log of a member, whatever its append verified."""
    original = Guard._narrow

    def narrow(guard: Guard, append: dict[str, Any], entries: list[Any], commit: int) -> None:
        original(guard, append, entries, commit)
        guard._ack_cap = None

    patches.put(Guard, "_narrow", narrow)


@mutant("commit-cap", "tails")
def _commit_cap(patches: Patches) -> None:
    """The leader's commit index is taken for entries that were not compared with the leader's."""
    original_append, original_commit = Guard._on_append, Guard._on_commit

    def on_append(guard: Guard, node: Any, message: list[Any]) -> None:
        original_append(guard, node, message)
        _, _, term, commit, *_ = message
        guard._verified = (term, 1 << 60)
        original_commit(guard, node, term, commit)

    patches.put(Guard, "_on_append", on_append)


@mutant("rejection-filter", "long-tail")
def _rejection_filter(patches: Patches) -> None:
    """Every late rejection sets the leader back."""
    original = Guard._on_ack

    def on_ack(guard: Guard, node: Any, message: list[Any]) -> None:
        guard._reset_stamp.clear()
        guard._acked.pop(node.id, None)
        original(guard, node, message)

    patches.put(Guard, "_on_ack", on_ack)


@mutant("questions-counted-from-one", "answer-to-the-dead")
def _questions_counted_from_one(patches: Patches) -> None:
    """Each process numbers what it asks its leader alike, and takes answers to an earlier one for its own."""
    original = Calls.__init__

    def init(calls: Calls, *parts: Any) -> None:
        original(calls, *parts)
        calls._number = 0

    patches.put(Calls, "__init__", init)


@mutant("snapshot-commits-tail", "tails")
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
