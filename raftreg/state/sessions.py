"""The table of sessions, and of the keys that nobody may lock yet. What may be written is decided in `locks`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from raftreg.model import Session
from raftreg.state.changes import LOCK_DELAYS, SESSIONS, Changes, fold
from raftreg.state.tombstones import as_text

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class LockDelay:
    """A key whose lock belonged to a session that ended with command `index`: nobody may take it for that long."""

    delay_ns: int
    index: int


class SessionTable:
    """Sessions by id, and whom they lean on.

    `changed` and `delays_changed` number the last change of each table; `keeper` is the number of the newest
    SessionsKeep. Delays are by name of the key, which need not be there any more.
    """

    def __init__(
        self,
        changed: int = 1,
        keeper: int = 0,
        delays_changed: int = 1,
        sessions: Iterable[Session] = (),
        delays: Iterable[tuple[bytes, LockDelay]] = (),
    ) -> None:
        self.changed = changed
        self.keeper = keeper
        self.delays_changed = delays_changed
        self.sessions: dict[str, Session] = {}
        self.delays = dict(delays)
        self._on_node: dict[str, set[str]] = {}
        self._on_check: dict[tuple[str, str], set[str]] = {}
        for session in sessions:
            self._add(session)

    def get(self, session_id: str) -> Session | None:
        """The session, or None."""
        return self.sessions.get(session_id)

    def all(self) -> tuple[Session, ...]:
        """All sessions, ordered by id."""
        return tuple(self.sessions[session_id] for session_id in sorted(self.sessions))

    def on_node(self, node_name: str) -> tuple[Session, ...]:
        """The sessions of a node, ordered by id."""
        return self._of(self._on_node.get(fold(node_name), ()))

    def leaning_on(self, node_name: str, check_id: str | None) -> tuple[Session, ...]:
        """The sessions that end with this check, or with the node itself (None), ordered by id."""
        if check_id is None:
            return self.on_node(node_name)
        return self._of(self._on_check.get((fold(node_name), check_id), ()))

    def put(self, changes: Changes, session: Session) -> None:
        """Add a session that is not there yet."""
        self._add(session)
        self._touch(changes, session.id)

    def drop(self, changes: Changes, session: Session) -> None:
        """Remove a session."""
        del self.sessions[session.id]
        place = fold(session.node)
        _discard(self._on_node, place, session.id)
        for check_id in set(session.check_ids()):
            _discard(self._on_check, (place, check_id), session.id)
        self._touch(changes, session.id)

    def begin_delay(self, changes: Changes, name: bytes, delay_ns: int) -> None:
        """Nobody may lock the key from now on."""
        self.delays[name] = LockDelay(delay_ns, changes.index)
        self._touch_delay(changes, name)

    def end_delay(self, changes: Changes, name: bytes) -> None:
        """The key, which has a delay, may be locked again."""
        del self.delays[name]
        self._touch_delay(changes, name)

    def _of(self, session_ids: Iterable[str]) -> tuple[Session, ...]:
        return tuple(self.sessions[session_id] for session_id in sorted(session_ids))

    def _add(self, session: Session) -> None:
        self.sessions[session.id] = session
        place = fold(session.node)
        self._on_node.setdefault(place, set()).add(session.id)
        for check_id in session.check_ids():
            self._on_check.setdefault((place, check_id), set()).add(session.id)

    def _touch(self, changes: Changes, session_id: str) -> None:
        self.changed = changes.index
        changes.touch(SESSIONS)
        changes.touch(("session", session_id))

    def _touch_delay(self, changes: Changes, name: bytes) -> None:
        self.delays_changed = changes.index
        changes.touch(LOCK_DELAYS)
        changes.touch(("lock-delay", as_text(name)))


def _discard(ids_of: dict[Key, set[str]], key: Key, session_id: str) -> None:
    ids = ids_of[key]
    ids.remove(session_id)
    if not ids:
        del ids_of[key]
