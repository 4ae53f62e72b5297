"""The replicated state: one method applies a command, the others copy and restore the whole."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import assert_never

from raftreg.cluster_commands import (
    AutopilotSet,
    ConfigDelete,
    ConfigSet,
    CoordinatesUpdate,
    FireEvent,
    LevelRaise,
    RestoreAbandon,
    RestoreBegin,
    RestoreChunk,
    RestoreCommit,
)
from raftreg.commands import (
    CheckUpdate,
    Command,
    Deregister,
    Failed,
    KVDelete,
    KVDeleteTree,
    KVLock,
    KVSet,
    KVUnlock,
    LockDelaysEnd,
    Ok,
    Register,
    Rehome,
    Request,
    Result,
    SessionCreate,
    SessionDestroy,
    SessionExpire,
    SessionsKeep,
    decode_batch,
    decode_request,
)
from raftreg.errors import NewerFormat, Refused
from raftreg.query_commands import QueryDelete, QueryPut
from raftreg.state import loading, locks, registration, snapshot, transactions
from raftreg.state.changes import EVERYTHING, Applied, Changes
from raftreg.state.events import Events
from raftreg.state.restore import RESERVE, Staged, check_current, staged_again
from raftreg.state.results import RESULTS_MAX, Results
from raftreg.state.tables import Core, Limits, Tables, empty
from raftreg.state.tombstones import TOMBSTONES_MAX
from raftreg.transactions import Transaction

SessionCommand = (
    KVLock | KVUnlock | SessionCreate | SessionDestroy | SessionsKeep | SessionExpire | LockDelaysEnd
)
REFUSAL_MAX = (
    2048  # characters of why something was refused: it quotes what came, and is remembered with many others
)
FORGOTTEN = (
    "rpc error: outcome unknown: the request is older than the memory of results, "
    "so it cannot be told whether it was applied before; nothing was applied now"
)


class State:
    """The whole state of the registry, changed by commands only. See the package for what is promised.

    `index` is the number of the last command applied, and the newest index that any query reports. The empty state
    counts as 1, so that a client that waits on an index that was reported never misses the first command.
    The limits are part of the format: all replicas must be given the same.
    """

    def __init__(self, *, results_max: int = RESULTS_MAX, tombstones_max: int = TOMBSTONES_MAX) -> None:
        self._limits = Limits(results_max, tombstones_max)
        self._take(empty(self._limits))

    def _take(self, tables: Tables) -> None:
        """Become the whole of a state that was dumped."""
        collected = tables.collected
        self.staged = None if collected is None else staged_again(collected, self._limits)
        self.level = tables.level
        self._results = tables.results
        self.events = tables.events
        self._take_restored(tables)

    def _take_restored(self, tables: Tables) -> None:
        """Become what a restore brings: all but the memory of results and the events."""
        self.index = tables.index
        self.kv = tables.kv
        self.catalog = tables.catalog
        self.sessions = tables.sessions
        self.core = Core(tables.kv, tables.catalog, tables.sessions, tables.prepared)
        self.config = tables.config
        self.coordinates = tables.coordinates
        self.autopilot = tables.autopilot
        self.prepared = tables.prepared

    def apply(self, request: Request) -> Applied:
        """Apply one command under the next number. Total: what cannot be done gives a Failed result.

        A request that was applied before gets its first result again and changes nothing.
        """
        self.index += 1
        found = self._results.find(request.id)
        if found is not None:
            return Applied(found)
        changes = Changes(self.index)
        result: Result
        if self._results.may_have_forgotten(request):
            result = Failed(self.index, 500, FORGOTTEN)
        else:
            try:
                value = self._carry_out(changes, request.command)
                if changes.lost:
                    locks.end_bereft(self.core, changes)
                for name in changes.gone:
                    if name not in self.catalog.hosts:
                        self.coordinates.forget(changes, name)
                result = Ok(self.index, value)
            except Refused as refused:
                assert not changes.topics, "a command that is refused changes nothing"
                result = Failed(self.index, refused.status, refused.text[:REFUSAL_MAX])
        self._results.remember(request.id, result)
        return Applied(result, tuple(changes.topics))

    def _carry_out(self, changes: Changes, command: Command) -> object:
        match command:
            case KVSet():
                return self.kv.set(changes, command)
            case KVDelete():
                return self.kv.delete(changes, command)
            case KVDeleteTree():
                return self.kv.delete_tree(changes, command)
            case Register():
                return registration.register(self.catalog, changes, command)
            case Deregister():
                return registration.deregister(self.catalog, changes, command)
            case CheckUpdate():
                return registration.update_check(self.catalog, changes, command)
            case Rehome():
                return registration.rehome(self.catalog, changes, command)
            case FireEvent():
                return self.events.fire(changes, command)
            case ConfigSet():
                return self.config.set(changes, command)
            case ConfigDelete():
                return self.config.delete(changes, command)
            case CoordinatesUpdate():
                return self.coordinates.update(changes, command, self.catalog.hosts)
            case AutopilotSet():
                return self.autopilot.set(changes, command)
            case LevelRaise():
                self.level = max(self.level, command.level)
                return self.level
            case QueryPut():
                return self.prepared.put(changes, command, self.sessions.sessions.keys())
            case QueryDelete():
                return self.prepared.delete(changes, command)
            case RestoreBegin() | RestoreChunk() | RestoreCommit() | RestoreAbandon():
                return self._restore(changes, command)
            case Transaction():
                return transactions.transact(self.core, changes, command)
            case _:
                return self._carry_out_session(changes, command)

    def _carry_out_session(self, changes: Changes, command: SessionCommand) -> object:
        match command:
            case KVLock():
                return locks.lock(self.core, changes, command)
            case KVUnlock():
                return locks.unlock(self.core, changes, command)
            case SessionCreate():
                return locks.create(self.core, changes, command)
            case SessionDestroy():
                return locks.destroy(self.core, changes, command)
            case SessionsKeep():
                return locks.keep(self.core, changes)
            case SessionExpire():
                return locks.expire(self.core, changes, command)
            case LockDelaysEnd():
                return locks.end_delays(self.core, changes, command)
            case _:
                assert_never(command)

    def _restore(
        self, changes: Changes, command: RestoreBegin | RestoreChunk | RestoreCommit | RestoreAbandon
    ) -> bool:
        """One step of a restore."""
        if isinstance(command, RestoreBegin):
            self.staged = Staged(command.id, max(self.index, command.index) + RESERVE, self._limits)
            return True
        if isinstance(command, RestoreAbandon):
            if self.staged is None or self.staged.id != command.id:
                return False
            self.staged = None
            return True
        staged = check_current(self.staged, command.id)
        if isinstance(command, RestoreChunk):
            if command.number != len(staged.chunks):
                raise Refused(500, f"part {command.number} of the restore is not the one that is to follow")
            try:
                staged.add(command)
            except ValueError as error:
                self.staged = None
                raise Refused(500, f"the restore failed: {error}") from None
            return True
        self.staged = None
        self._take_restored(staged.finish(command, self.index))
        changes.index = self.index
        changes.touch(EVERYTHING)
        return True

    def apply_entry(self, data: bytes) -> list[Applied]:
        """Apply one log entry: a batch of encoded requests (see `raftreg.commands`), in order.

        Bytes that cannot be decoded take a number and give a Failed result, like any other refusal. NewerFormat, and
        nothing is applied, if there is anything in it that a newer release wrote.
        """
        try:
            batch = decode_batch(data)
        except ValueError as error:
            return [self._undecodable(error)]
        requests = [_decoded(encoded) for encoded in batch]
        return [
            self.apply(request) if type(request) is Request else self._undecodable(request)
            for request in requests
        ]

    def _undecodable(self, error: object) -> Applied:
        self.index += 1
        return Applied(Failed(self.index, 500, f"malformed command: {error}"))

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        """Copy the tables (references only) and return the function that encodes the copy, in small pieces.

        That may go on in another thread while this state goes on changing.
        """
        return snapshot.freeze(self._tables())

    def freeze_archive(self) -> Callable[[], Iterator[bytes]]:
        """As `freeze`, without what a restore would not take: results, events, a restore under way, the level.

        Without the level it can be restored in a cluster of any: no level so far changes what is in the rest.
        """
        kept = replace(
            self._tables(),
            results=Results(self._limits.results_max),
            events=Events(),
            collected=None,
            level=1,
        )
        return snapshot.freeze(kept)

    def check_archive(self, data: bytes) -> int:
        """The index of a dump that could be restored; ValueError for other bytes. Changes nothing."""
        try:
            return loading.load(data, self._limits).index
        except NewerFormat as newer:
            raise ValueError(str(newer)) from None

    def dump(self) -> bytes:
        """The whole state as bytes. Equal states have equal bytes, whatever their history."""
        return b"".join(self.freeze()())

    def load(self, data: bytes) -> None:
        """Become the state that was dumped; no change, and ValueError, for bytes that are not such a dump.

        NewerFormat for that of a newer release.
        """
        self._take(loading.load(data, self._limits))

    def digest(self) -> str:
        """A fingerprint of the whole state, equal on replicas of one release that applied the same commands."""
        return hashlib.blake2b(self.dump(), digest_size=16).hexdigest()

    def _tables(self) -> Tables:
        return Tables(
            index=self.index,
            kv=self.kv,
            catalog=self.catalog,
            sessions=self.sessions,
            results=self._results,
            events=self.events,
            config=self.config,
            coordinates=self.coordinates,
            autopilot=self.autopilot,
            prepared=self.prepared,
            collected=None if self.staged is None else self.staged.collected(),
            level=self.level,
        )


def _decoded(data: bytes) -> Request | ValueError:
    try:
        return decode_request(data)
    except ValueError as error:
        return error
