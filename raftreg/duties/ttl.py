"""TTL checks on the leader: when each expires, and what it says then. Pure: time is an argument."""

from dataclasses import dataclass
from typing import Final

from raftreg.commands import CheckUpdate
from raftreg.duties.deadlines import Deadlines, Key
from raftreg.model import Check
from raftreg.state.changes import fold

OUTPUT_SYNC_S: Final = 300.0  # seconds until an output that changed alone is written to the log
RETRY_S: Final = 0.5
_EXPIRED: Final = "TTL expired"


@dataclass(slots=True)
class _Watched:
    """A check as it was last seen, and what heartbeats told since."""

    check: Check
    output: str
    output_due: float | None = None  # when the output, which is not in the log, is to be written


class TTLChecks:
    """The deadlines of all TTL checks."""

    def __init__(self) -> None:
        self._watched: dict[Key, _Watched] = {}
        self._deadlines = Deadlines()
        self._expiring: set[Key] = set()  # whose expiry is on its way into the log

    def clear(self) -> None:
        """Forget everything: this node does not lead."""
        self._watched.clear()
        self._deadlines.clear()
        self._expiring.clear()

    def see(self, check: Check, now: float) -> None:
        """A check is new or changed: it has a full TTL from now on, unless what changed it was its expiry."""
        key = key_of(check)
        if check.probe is None or check.probe.kind != "ttl":
            self.forget(key)
            return
        self._expiring.discard(key)
        self._watched[key] = _Watched(check, check.output)
        if check.status == "critical" and check.output.startswith(_EXPIRED):
            self._deadlines.drop(key)
        else:
            self._deadlines.set(key, now + check.probe.ttl_s)

    def forget(self, key: Key) -> None:
        """The check is gone."""
        self._watched.pop(key, None)
        self._deadlines.drop(key)
        self._expiring.discard(key)

    def refresh(self, check: Check, output: str, now: float) -> CheckUpdate | None:
        """A heartbeat that leaves the status as it is; the command that writes it, if it must be in the log.

        It must if its output is due there, or if an expiry is on its way: that would otherwise have the last word.
        """
        key = key_of(check)
        watched = self._watched.get(key)
        if watched is None or watched.check is not check:
            self.see(check, now)
            watched = self._watched.get(key)
        if watched is None or check.probe is None:
            return None
        self._deadlines.set(key, now + check.probe.ttl_s)
        watched.output = output
        if key in self._expiring:
            return CheckUpdate(check.node, check.id, check.status, output)
        if output == check.output:
            watched.output_due = None
        elif watched.output_due is None:
            watched.output_due = now + OUTPUT_SYNC_S
        elif watched.output_due <= now:
            watched.output_due = None
            return CheckUpdate(check.node, check.id, check.status, output, check.modify_index)
        return None

    def take_due(self, now: float) -> list[tuple[Key, CheckUpdate]]:
        """The checks whose time is over, as commands."""
        due: list[tuple[Key, CheckUpdate]] = []
        for key in self._deadlines.take_due(now):
            watched = self._watched[key]
            check = watched.check
            output = _expired(watched.output)
            due.append((key, CheckUpdate(check.node, check.id, "critical", output, check.modify_index)))
            self._expiring.add(key)
        return due

    def retry(self, key: Key, now: float) -> None:
        """The expiry could not be written; try again soon, unless a heartbeat came meanwhile."""
        self._expiring.discard(key)
        if key in self._watched and key not in self._deadlines:
            self._deadlines.set(key, now + RETRY_S)

    def next_due(self) -> float | None:
        """A time before which nothing expires."""
        return self._deadlines.next_due()


def key_of(check: Check) -> Key:
    """By what a check is known here."""
    return fold(check.node), check.id


def _expired(output: str) -> str:
    """The output of an expired check. An earlier expiry is not quoted."""
    if not output or output.startswith(_EXPIRED):
        return output or _EXPIRED
    return f"{_EXPIRED} (last output before timeout follows): {output}"
