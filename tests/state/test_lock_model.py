"""Sessions and locks against a model that looks at everything after every command."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

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
    Register,
    Request,
    SessionCreate,
    SessionDestroy,
    SessionExpire,
    SessionsKeep,
)
from raftreg.model import Session
from raftreg.state import State, queries
from tests.state.strategies import kv_commands, session_commands
from tests.state.test_model import SimpleCatalog, plain_commands

Entry = tuple[bytes, int, int, str | None]  # value, flags, lock index, holder
REFUSED = object()


@dataclass(slots=True)
class SimpleLocks:
    """A dict of entries, one of sessions, the keys that may not be locked; the catalog is the other simple model's."""

    catalog: SimpleCatalog = field(default_factory=SimpleCatalog)
    entries: dict[str, Entry] = field(default_factory=dict)
    indexes: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    delays: dict[str, int] = field(default_factory=dict)
    keeper: int = 0

    def apply(self, index: int, command: Command) -> object:
        """Apply one command; its result, or REFUSED."""
        match command:
            case Register() | Deregister() | CheckUpdate():
                result = self.catalog.apply(command)
                if result is None:
                    return REFUSED
                self._end_lost(index, command)
                return result
            case SessionCreate(session):
                if session.id in self.sessions or not self._fit(session):
                    return REFUSED
                self.sessions[session.id] = session
                return session.id
            case SessionDestroy(session_id):
                self._end(index, session_id)
                return True
            case SessionsKeep():
                self.keeper = index
                return index
            case SessionExpire(session_id, keeper):
                there = session_id in self.sessions and keeper == self.keeper
                return there and self._end(index, session_id)
            case LockDelaysEnd(pairs):
                ended = [key for key, at in pairs if self.delays.get(key) == at and self.delays.pop(key)]
                return len(ended)
        return self._apply_to_key(index, command)

    def _apply_to_key(self, index: int, command: Command) -> object:
        match command:
            case KVSet(key, value, flags, cas):
                old = self.entries.get(key)
                if cas is not None and cas != self.indexes.get(key, 0):
                    return False
                self._put(index, key, (value, flags, old[2] if old else 0, old[3] if old else None))
            case KVLock(key, value, flags, session_id):
                _, _, lock_index, holder = self.entries.get(key, (b"", 0, 0, None))
                if key in self.delays:
                    return False
                if session_id not in self.sessions:
                    return REFUSED
                if holder not in (None, session_id):
                    return False
                self._put(index, key, (value, flags, lock_index + (holder is None), session_id))
            case KVUnlock(key, value, flags, session_id):
                _, _, lock_index, holder = self.entries.get(key, (b"", 0, 0, None))
                if holder is None or holder != session_id:
                    return False
                self._put(index, key, (value, flags, lock_index, None))
            case KVDelete(key, cas):
                if cas is not None and cas != self.indexes.get(key, cas):
                    return False
                self._drop(key)
            case KVDeleteTree(prefix):
                for key in [key for key in self.entries if _under(key, prefix)]:
                    self._drop(key)
        return True

    def _put(self, index: int, key: str, entry: Entry) -> None:
        if self.entries.get(key) != entry:
            self.entries[key] = entry
            self.indexes[key] = index

    def _drop(self, key: str) -> None:
        self.entries.pop(key, None)
        self.indexes.pop(key, None)

    def _fit(self, session: Session) -> bool:
        place = session.node.lower()
        checks = [self.catalog.checks.get((place, check_id)) for check_id in session.check_ids()]
        return place in self.catalog.nodes and all(check and check[0] != "critical" for check in checks)

    def _end_lost(self, index: int, command: Command) -> None:
        """End what does not fit any more, or did not for a moment: a registration may name a check twice."""
        shortly: set[str] = set()
        if isinstance(command, Register):
            shortly = {check.id for check in command.checks if check.status == "critical"}
        for session in list(self.sessions.values()):
            here = isinstance(command, Register) and session.node.lower() == command.node_name.lower()
            if not self._fit(session) or (here and shortly & set(session.check_ids())):
                self._end(index, session.id)

    def _end(self, index: int, session_id: str) -> bool:
        session = self.sessions.pop(session_id, None)
        for key, (value, flags, lock_index, holder) in list(self.entries.items()):
            if session is not None and holder == session_id:
                if session.behavior == "delete":
                    self._drop(key)
                else:
                    self._put(index, key, (value, flags, lock_index, None))
                if session.lock_delay_ns > 0:
                    self.delays[key] = index
        return True


def _under(key: str, prefix: str) -> bool:
    return key.encode("utf-8", "surrogateescape").startswith(prefix.encode("utf-8", "surrogateescape"))


@given(st.lists(session_commands | session_commands | kv_commands | plain_commands, min_size=15, max_size=40))
def test_locks_are_as_simple_as_they_look(sequence: list[Command]) -> None:
    """Results, entries, holders, sessions and delays are those of plain dicts; nobody holds what nobody may hold."""
    state, simple = State(), SimpleLocks()
    for number, command in enumerate(sequence):
        result = state.apply(Request(b"%d" % number, 0, command)).result
        expected = simple.apply(state.index, command)
        assert expected == (REFUSED if isinstance(result, Failed) else result.value)
        found = queries.KVList("").run(state).value
        assert simple.indexes == {entry.key: entry.modify_index for entry in found}
        assert simple.entries == {
            entry.key: (entry.value, entry.flags, entry.lock_index, entry.session) for entry in found
        }
        assert sorted(simple.sessions) == [session.id for session in queries.Sessions().run(state).value]
        for session in simple.sessions.values():
            assert session.id in [one.id for one in queries.NodeSessions(session.node).run(state).value]
        assert simple.delays == {key: index for key, _, index in queries.LockDelays().run(state).value}
        for key, index in simple.delays.items():
            delay = queries.LockDelayOf(key).run(state).value
            assert delay is not None
            assert index == delay.index
        assert not simple.delays.keys() & {key for key, entry in simple.entries.items() if entry[3]}
