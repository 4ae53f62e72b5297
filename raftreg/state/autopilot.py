"""What operators set for the health of servers: one record."""

from dataclasses import replace

from raftreg.cluster_commands import AutopilotSet
from raftreg.model import Autopilot
from raftreg.state.changes import AUTOPILOT, Changes


class AutopilotTable:
    """The record, as it is by default until somebody sets it."""

    def __init__(self, record: Autopilot | None = None) -> None:
        if record is None:
            record = Autopilot()
        elif (
            record.create_index == record.modify_index
        ):  # Nobody has set it, so it is what is the default now.
            record = replace(Autopilot(), create_index=record.create_index, modify_index=record.modify_index)
        self.record = record

    def set(self, changes: Changes, command: AutopilotSet) -> bool:
        """Replace the record, or answer False because `cas` does not match."""
        old = self.record
        if command.cas is not None and command.cas != old.modify_index:
            return False
        self.record = replace(command.autopilot, create_index=old.create_index, modify_index=changes.index)
        changes.touch(AUTOPILOT)
        return True
