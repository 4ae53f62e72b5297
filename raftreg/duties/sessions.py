"""The duty of the leader for sessions: expiry of their TTLs, and the ends of lock delays.

Renewals are not in the log: the leader keeps deadlines in memory. A leader that was deposed and does not know it, or
that stood still for a while, would end sessions that were renewed at its successor. So a leader writes SessionsKeep
before it acknowledges the first renewal, its expiries name the number of that command, and the state drops those of all
others. From then on every session has one full TTL. A renewal is acknowledged only while the lease holds and that
command is the newest of its kind, so that nobody else can have begun to keep deadlines before.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from raftreg.commands import LockDelaysEnd, SessionExpire, SessionsKeep
from raftreg.duties.deadlines import Deadlines
from raftreg.duties.renewals import session_of
from raftreg.errors import NotLeader, RaftregError
from raftreg.model import Session
from raftreg.registry import EVERYTHING, Registry
from raftreg.state import Topic
from raftreg.state.queries import LockDelayOf, LockDelays, SessionById, Sessions

log = logging.getLogger(__name__)

# The client counts from when it is told, which is later than the leader counts from: by the way back, and by what a
# busy node takes. The rest of the tenth of a TTL that an expiry may be late is for the command.
SLACK_SHARE: Final = 0.02
SLACK_S_MAX: Final = 1.0
RETRY_S: Final = 0.1
AT_ONCE_MAX: Final = 512  # expiries, or ends of lock delays, on their way at the same time
_IDLE_S: Final = 5.0
_TTL, _DELAY = "ttl", "delay"  # kinds of deadlines


class SessionDuty:
    """Sees to all sessions of the cluster while this node leads."""

    name = "sessions"

    def __init__(self, registry: Registry, wake: Callable[[], None]) -> None:
        self._registry = registry
        self._clock = registry.clock
        self._wake = wake
        self._deadlines = Deadlines()
        self._sessions: dict[str, Session] = {}  # those that have a TTL
        self._delays: dict[str, int] = {}  # when each lock delay began, by key
        self._expiring: set[str] = set()
        self._leading = False
        self._keeper: int | None = None  # the number of the SessionsKeep that this node wrote
        self._dirty: set[str] = set()
        self._dirty_delays: set[str] = set()
        self._all_dirty = True
        self.expired = 0  # sessions that this node ended because their time was over

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Something changed in the state."""
        if not self._leading:
            return
        for topic in topics:
            if topic[0] == "session":
                self._dirty.add(topic[1])
            elif topic[0] == "lock-delay":
                self._dirty_delays.add(topic[1])
            elif topic == EVERYTHING:
                self._all_dirty = True
            else:
                continue
            self._wake()

    async def on_renewal(self, caller: str, payload: object) -> object:
        """A renewal that some node took: whether there is such a session; its deadline is put off."""
        session = (await self._registry.read(SessionById(session_of(payload)))).value
        if session is None or session.id in self._expiring:
            return False
        if not session.ttl_s:
            return True
        if not self._keeps():
            self._wake()
            raise NotLeader("this node does not keep the deadlines of sessions yet")
        self._watch(session, self._clock.now())
        if self._registry.consensus.read_index_now() is None:
            raise NotLeader("another node may lead by now")
        return True

    async def step(self) -> float:
        """Do what is due; seconds until there may be more to do."""
        if self._registry.consensus.status().role != "leader":
            self._rest()
            return _IDLE_S
        if not self._leading or (self._keeper is not None and not self._keeps()):
            self._rest()
            self._leading = self._all_dirty = True
        now = self._clock.now()
        self._look(now)
        if self._sessions and self._keeper is None:
            await self._keep()
        await self._end_what_is_due()
        due = self._deadlines.next_due()
        return _IDLE_S if due is None else min(max(due - self._clock.now(), 0.0), _IDLE_S)

    def _keeps(self) -> bool:
        """Whether expiries of this node count, as far as it knows."""
        return self._leading and self._keeper == self._registry.state.sessions.keeper

    def _rest(self) -> None:
        """Another node leads, or did: what this one knows of deadlines is of no use."""
        self._leading = False
        self._keeper = None
        self._deadlines.clear()
        for known in (self._sessions, self._delays, self._expiring, self._dirty, self._dirty_delays):
            known.clear()

    async def _keep(self) -> None:
        """Keep the deadlines from now on, and give each session one whole TTL."""
        written = await self._registry.write(SessionsKeep())
        self._keeper = written.index
        now = self._clock.now()
        for session in self._sessions.values():
            self._watch(session, now)

    def _look(self, now: float) -> None:
        """Take note of what changed."""
        if self._all_dirty:
            self._dirty.update(self._sessions)
            self._dirty.update(session.id for session in self._registry.local(Sessions()).value)
            self._dirty_delays.update(self._delays)
            self._dirty_delays.update(key for key, _, _ in self._registry.local(LockDelays()).value)
        dirty, self._dirty, self._all_dirty = self._dirty, set(), False
        for session_id in dirty:
            session = self._registry.local(SessionById(session_id)).value
            if session is None or not session.ttl_s:
                self._sessions.pop(session_id, None)
                self._deadlines.drop((_TTL, session_id))
                self._expiring.discard(session_id)
            elif session_id not in self._sessions:
                self._watch(session, now)
        delays, self._dirty_delays = self._dirty_delays, set()
        for key in delays:
            self._look_at_delay(key, now)

    def _look_at_delay(self, key: str, now: float) -> None:
        delay = self._registry.local(LockDelayOf(key)).value
        if delay is None:
            self._delays.pop(key, None)
            self._deadlines.drop((_DELAY, key))
        elif self._delays.get(key) != delay.index:
            self._delays[key] = delay.index
            self._deadlines.set((_DELAY, key), now + delay.delay_ns / 1e9)

    def _watch(self, session: Session, now: float) -> None:
        """The session has a full TTL from now on."""
        self._sessions[session.id] = session
        slack_s = min(session.ttl_s * SLACK_SHARE, SLACK_S_MAX)
        self._deadlines.set((_TTL, session.id), now + session.ttl_s + slack_s)

    async def _end_what_is_due(self) -> None:
        due = self._deadlines.take_due(self._clock.now(), AT_ONCE_MAX)
        sessions = [self._sessions[name] for kind, name in due if kind == _TTL]
        delays = [(name, self._delays[name]) for kind, name in due if kind == _DELAY]
        self._expiring.update(session.id for session in sessions)
        await asyncio.gather(*map(self._expire, sessions), *([self._end_delays(delays)] if delays else []))

    async def _expire(self, session: Session) -> None:
        """End a session whose time is over. If that may have failed, it is tried again soon."""
        assert self._keeper is not None, "deadlines are set by the keeper only"
        try:
            written = await self._registry.write(SessionExpire(session.id, self._keeper))
        except RaftregError as error:
            log.debug("the end of session %s is to be tried again: %s", session.id, error)
            self._again((_TTL, session.id), session.id in self._sessions)
        else:
            if written.value is True:
                self.expired += 1
                name = f'"{session.name}" ' if session.name else ""
                log.info(
                    "session %s%s of node %s expired after %s", name, session.id, session.node, session.ttl
                )

    async def _end_delays(self, delays: list[tuple[str, int]]) -> None:
        try:
            await self._registry.write(LockDelaysEnd(tuple(delays)))
        except RaftregError as error:
            log.debug("the end of %d lock delays is to be tried again: %s", len(delays), error)
            for key, _ in delays:
                self._again((_DELAY, key), key in self._delays)

    def _again(self, key: tuple[str, str], still_there: bool) -> None:
        if still_there and key not in self._deadlines:
            self._deadlines.set(key, self._clock.now() + RETRY_S)
