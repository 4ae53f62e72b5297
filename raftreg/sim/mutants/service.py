"""Mends that concern what clients are told."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from itertools import count
from typing import Any

from raftreg.commands import KVLock, Result, decode_request, encode_batch, encode_request
from raftreg.consensus.engine import Engine
from raftreg.consensus.members import APP
from raftreg.consensus.node import RaftNode
from raftreg.registry.reads import Reader
from raftreg.registry.replica import Replica
from raftreg.registry.writes import Attempts
from raftreg.sim.mutants.mutant import mutant
from raftreg.sim.patches import Patches
from raftreg.state import EVERYTHING, State, loading, restore
from raftreg.state.changes import Changes
from raftreg.state.kv import KVTable
from raftreg.state.results import Results
from raftreg.watch import Waiter, Watch


@mutant("request-ids-forgotten", "crash")
def _request_ids_forgotten(patches: Patches) -> None:
    """A snapshot does not hold the results by request id."""
    original = State.load

    def load(state: State, data: bytes) -> None:
        original(state, data)
        state._results._results.clear()
        state._results._ids.clear()

    patches.put(State, "load", load)


@mutant("follower-answers-early", "narrow")
def _follower_answers_early(patches: Patches) -> None:
    """A node answers before it has applied what the leader told it."""

    async def at_once(node: RaftNode, index: int) -> None:
        return None

    patches.put(RaftNode, "wait_applied", at_once)


@mutant("pending-by-index-alone", "tails")
def _pending_by_index(patches: Patches) -> None:
    """A proposal is answered when its index is applied, whatever entry is there."""

    def give_up(engine: Engine) -> None:
        return None

    succeed = Attempts.succeed

    def succeed_with_any(attempts: Attempts, index: int, results: Sequence[Result]) -> None:
        succeed(attempts, index, [results[turn % len(results)] for turn in range(len(attempts.open))])

    patches.put(Attempts, "succeed", succeed_with_any)
    patches.put(Engine, "_give_up_pending", give_up)
    patches.put(Engine, "_SyncObj__doApplyCommand", _apply_by_index)


def _apply_by_index(engine: Engine, command: bytes) -> None:
    index = engine.raftLastApplied + 1
    result = engine.machine.apply(index, command[2:]) if command[:2] == APP else None
    waiting = engine.pending.pop(index, None)
    if waiting is not None and result is not None:
        engine.pending_bytes -= waiting[1]
        waiting[2](result, True)


@mutant("requests-applied-twice", "crash")
def _requests_applied_twice(patches: Patches) -> None:
    """A request that was applied before is applied again."""
    patches.put(Results, "find", lambda results, request_id: None)


@mutant("new-id-for-each-attempt", "crash")
def _new_id_for_each_attempt(patches: Patches) -> None:
    """A write that is tried again gets another request id."""
    attempt = count()

    def encode(attempts: Attempts) -> bytes:
        requests = [decode_request(write.data) for write in attempts.open]
        fresh = [replace(request, id=next(attempt).to_bytes(16)) for request in requests]
        return encode_batch([encode_request(request) for request in fresh])

    patches.put(Attempts, "encode", encode)


@mutant("woken-for-nothing", "calm")
def _woken_for_nothing(patches: Patches) -> None:
    """Whatever changes ends every blocking query."""

    async def woken(reader: Reader, waiter: Waiter, deadline: float) -> bool:
        await original_woken(reader, waiter, deadline)
        return False

    original_woken = Reader._woken
    patches.put(Reader, "_woken", woken)
    patches.put(Watch, "notify", lambda watch, topics: watch.notify_all())


@mutant("waits-without-end", "calm")
def _waits_without_end(patches: Patches) -> None:
    """A blocking query whose time is over waits on."""

    async def woken(reader: Reader, waiter: Waiter, deadline: float) -> bool:
        await waiter.future
        return True

    patches.put(Reader, "_woken", woken)


@mutant("snapshot-wakes-nobody", "tails")
def _snapshot_wakes_nobody(patches: Patches) -> None:
    """A blocking query sleeps on when a snapshot from the leader changed what it waits for."""

    def load(replica: Replica, data: bytes) -> None:
        replica.state.load(data)
        replica._tell((EVERYTHING,))

    patches.put(Replica, "load", load)


@mutant("waits-without-making-sure", "partition")
def _waits_without_making_sure(patches: Patches) -> None:
    """A blocking query whose time is over is answered without asking whether the copy is still fresh."""
    blocked: ContextVar[bool] = ContextVar("blocked", default=False)
    original_block, original_catch_up = Reader._block, Reader._catch_up

    async def block(reader: Reader, *query: Any) -> Any:
        blocked.set(True)
        return await original_block(reader, *query)

    async def catch_up(reader: Reader, confirm: bool) -> bool:
        if blocked.get():
            blocked.set(False)
            return False
        return await original_catch_up(reader, confirm)

    patches.put(Reader, "_block", block)
    patches.put(Reader, "_catch_up", catch_up)


@mutant("deletions-forgotten", "crash")
def _deletions_forgotten(patches: Patches) -> None:
    """A snapshot does not hold when keys were deleted, so their index goes back."""
    original = loading.load

    def load(data: bytes, limits: Any) -> Any:
        tables = original(data, limits)
        for name, _ in tables.kv.gone.rows():
            tables.kv.gone.forget(name)
        return tables

    patches.put(loading, "load", load)


@mutant("minimum-ignored", "partition")
def _minimum_ignored(patches: Patches) -> None:
    """A stale read does not wait for the index that the client asked for."""

    async def at_once(reader: Reader, index: int) -> None:
        return None

    patches.put(Reader, "_wait_for_index", at_once)


@mutant("restore-without-bump", "restores")
def _restore_without_bump(patches: Patches) -> None:
    """A restored state has the indexes that it had when it was dumped."""
    patches.put(restore, "Loader", lambda limits, lift: loading.Loader(limits))


@mutant("lock-for-everybody", "locks")
def _lock_for_everybody(patches: Patches) -> None:
    """A lock that another session holds is given away."""
    original = KVTable.lock

    def lock(table: KVTable, changes: Changes, command: KVLock) -> bool:
        return original(table, changes, command) or True

    patches.put(KVTable, "lock", lock)
