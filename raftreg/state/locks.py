"""What sessions may do, and what ends them.

A command either raises Refused before it has changed anything, or is carried out whole. Sessions that lost their node
or one of their checks end within the command that took it, so that no state shows the one without the other.
"""

from dataclasses import replace
from typing import Final

from raftreg.commands import KVLock, KVUnlock, LockDelaysEnd, SessionCreate, SessionDestroy, SessionExpire
from raftreg.errors import Refused
from raftreg.model import Session
from raftreg.state.changes import Changes
from raftreg.state.tables import Core
from raftreg.state.tombstones import as_name

LOCK_DELAY_NS_MAX: Final = 60 * 1_000_000_000
_UUID_LENGTH: Final = 36
_HEX: Final = frozenset("0123456789abcdefABCDEF")


def lookup_error(session_id: str) -> str | None:
    """What clients are told of an id that cannot be one, in the words that they know; None if it may be one."""
    said = None
    digits = session_id.replace("-", "")
    wrong = next((character for character in digits if character not in _HEX), None)
    if len(session_id.encode("utf-8", "surrogateescape")) != _UUID_LENGTH:
        said = "UUID must be 36 characters"
    elif session_id.count("-") > 4:
        said = f'UUID should have maximum of 4 "-"; got {session_id.count("-")}'
    elif len(digits) % 2:
        said = "Input (without hyphens) must be even length"
    elif wrong is not None:
        said = f"Invalid UUID: encoding/hex: invalid byte: U+{ord(wrong):04X} '{wrong}'"
    return None if said is None else f"failed session lookup: index error: {said}"


def create(core: Core, changes: Changes, command: SessionCreate) -> str:
    """Begin a session; its id. Refused without its node, or with a check that is missing or critical."""
    session = command.session
    if core.sessions.get(session.id) is not None:
        raise Refused(500, f'session id "{session.id}" is taken')
    host = core.catalog.host(session.node)
    if host is None:
        raise Refused(500, "Missing node registration")
    for check_id in session.check_ids():
        check = host.checks.get(check_id)
        if check is None:
            raise Refused(500, f"Missing check '{check_id}' registration")
        if check.status == "critical":
            raise Refused(500, f"Check '{check_id}' is in critical state")
    index = changes.index
    core.sessions.put(changes, replace(session, create_index=index, modify_index=index))
    return session.id


def destroy(core: Core, changes: Changes, command: SessionDestroy) -> bool:
    """End a session; one that is not there has ended already."""
    session = core.sessions.get(command.session)
    if session is not None:
        _end(core, changes, session)
    return True


def keep(core: Core, changes: Changes) -> int:
    """Expiries count only with this number from now on."""
    core.sessions.keeper = changes.index
    return changes.index


def expire(core: Core, changes: Changes, command: SessionExpire) -> bool:
    """End a session; False if it is not there, or if another keeper took over since the sender looked at its clock."""
    session = core.sessions.get(command.session)
    if session is None or command.keeper != core.sessions.keeper:
        return False
    _end(core, changes, session)
    return True


def end_bereft(core: Core, changes: Changes) -> None:
    """End the sessions that leaned on what was lost so far."""
    for node_name, check_id in changes.lost:
        for session in core.sessions.leaning_on(node_name, check_id):
            _end(core, changes, session)
    changes.lost.clear()


def lock(core: Core, changes: Changes, command: KVLock) -> bool:
    """Take a lock. False if it is held, or may not be taken yet; Refused without a session."""
    if as_name(command.key) in core.sessions.delays:
        return False
    if core.sessions.get(command.session) is None:
        raise Refused(500, f'invalid session "{command.session}"')
    return core.kv.lock(changes, command)


def unlock(core: Core, changes: Changes, command: KVUnlock) -> bool:
    """Give a lock back. False if the session does not hold it."""
    return core.kv.unlock(changes, command)


def end_delays(core: Core, changes: Changes, command: LockDelaysEnd) -> int:
    """Let keys be locked again, those aside whose delay began anew since; how many."""
    ended = 0
    for key, index in command.delays:
        name = as_name(key)
        delay = core.sessions.delays.get(name)
        if delay is not None and delay.index == index:
            core.sessions.end_delay(changes, name)
            ended += 1
    return ended


def _end(core: Core, changes: Changes, session: Session) -> None:
    """The session goes, and its locks and prepared queries with it."""
    core.sessions.drop(changes, session)
    core.prepared.end_session(changes, session.id)
    names = core.kv.end_locks(changes, session.id, delete=session.behavior == "delete")
    delay_ns = min(session.lock_delay_ns, LOCK_DELAY_NS_MAX)
    if delay_ns > 0:
        for name in names:
            core.sessions.begin_delay(changes, name, delay_ns)
