"""Services that were critical for too long, and asked to be deregistered then. Pure: time is an argument."""

from raftreg.commands import Deregister
from raftreg.duties.deadlines import Deadlines, Key
from raftreg.duties.ttl import RETRY_S, key_of
from raftreg.model import Check


class Reaping:
    """When each critical check takes its service along. The time counts from when this leader first saw it critical."""

    def __init__(self) -> None:
        self._deadlines = Deadlines()
        self._checks: dict[Key, Check] = {}

    def clear(self) -> None:
        """Forget everything: this node does not lead."""
        self._deadlines.clear()
        self._checks.clear()

    def see(self, check: Check, now: float) -> None:
        """A check is new or changed."""
        key = key_of(check)
        after_s = 0.0 if check.probe is None else check.probe.deregister_after_s
        if not after_s or not check.service_id or check.status != "critical":
            self.forget(key)
            return
        self._checks[key] = check
        if key not in self._deadlines:
            self._deadlines.set(key, now + after_s)

    def forget(self, key: Key) -> None:
        """The check is gone, or does no longer fail."""
        self._checks.pop(key, None)
        self._deadlines.drop(key)

    def take_due(self, now: float) -> list[tuple[Key, Deregister]]:
        """The services whose time is over, as commands."""
        due = []
        for key in self._deadlines.take_due(now):
            check = self._checks[key]
            command = Deregister(
                check.node,
                service_id=check.service_id,
                cause=check.id,
                expected_modify_index=check.modify_index,
            )
            due.append((key, command))
        return due

    def retry(self, key: Key, now: float) -> None:
        """It could not be written; try again soon."""
        if key in self._checks:
            self._deadlines.set(key, now + RETRY_S)

    def next_due(self) -> float | None:
        """A time before which nothing is reaped."""
        return self._deadlines.next_due()
