"""The last user events, oldest first."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from raftreg.cluster_commands import FireEvent
from raftreg.model import Event
from raftreg.state.changes import EVENTS, Changes

EVENTS_MAX = 256


class Events:
    """What was fired lately. `fired` counts all events there ever were, `changed` numbers the last command of one."""

    def __init__(self, fired: int = 0, changed: int = 1, rows: Iterable[Event] = ()) -> None:
        self.fired = fired
        self.changed = changed
        self.rows = deque(rows, maxlen=EVENTS_MAX)

    def fire(self, changes: Changes, command: FireEvent) -> int:
        """Append an event; its time on the clock of the events."""
        self.fired += 1
        self.changed = changes.index
        self.rows.append(replace(command.event, ltime=self.fired))
        changes.touch(EVENTS)
        return self.fired
