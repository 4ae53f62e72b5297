"""The newest outputs of checks that this node was told and that are not in the log.

A heartbeat that changes nothing but the output does not go through the log: the leader notes it, and writes it with the
next change of status or after minutes. Who asks the agent wants to see it at once; this node remembers it until then.
"""

from dataclasses import replace
from typing import Final

from raftreg.model import Check

REMEMBERED_MAX: Final = 20_000  # outputs; beyond it the oldest are forgotten, and the log's are shown


class CheckOutputs:
    """Outputs by node and check id; each counts only as long as the check is as it was then."""

    def __init__(self) -> None:
        self._outputs: dict[tuple[str, str], tuple[int, str]] = {}

    def note(self, check: Check, output: str) -> None:
        """Remember the output of a check that otherwise stays as it is."""
        key = (check.node, check.id)
        self._outputs.pop(key, None)
        if output == check.output:
            return
        self._outputs[key] = (check.modify_index, output)
        if len(self._outputs) > REMEMBERED_MAX:
            del self._outputs[next(iter(self._outputs))]

    def newest(self, check: Check) -> Check:
        """The check with the newest output that this node knows of."""
        noted = self._outputs.get((check.node, check.id))
        if noted is None:
            return check
        if noted[0] != check.modify_index:
            del self._outputs[(check.node, check.id)]
            return check
        return replace(check, output=noted[1])
