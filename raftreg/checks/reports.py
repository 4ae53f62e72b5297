"""From results to the registry: a change of status is written, one of the output alone is shown by this node only."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from raftreg.checks.outcome import Outcome
from raftreg.commands import CheckUpdate
from raftreg.errors import NotApplied, OutcomeUnknown, RaftregError
from raftreg.model import Check, Probe
from raftreg.registry import Registry
from raftreg.state.queries import CheckById

log = logging.getLogger(__name__)

RETRY_S: Final = 0.5
NoteOutput = Callable[[Check, str], None]


class Reports:
    """At most one write per check is on its way; a newer result replaces one that is not written yet."""

    def __init__(self, registry: Registry, note: NoteOutput) -> None:
        """`note` shows an output that does not go into the log."""
        self._registry = registry
        self._note = note
        self._newest: dict[str, tuple[Probe, Outcome]] = {}  # of checks with a write on its way
        self._tasks: set[asyncio.Task[None]] = set()

    def report(self, check_id: str, probe: Probe, outcome: Outcome) -> None:
        """This is the status of the check now, as long as its definition is that one."""
        if check_id in self._newest:
            self._newest[check_id] = (probe, outcome)
        elif not self._is_said(check_id, probe, outcome):
            self._newest[check_id] = (probe, outcome)
            task = asyncio.get_running_loop().create_task(self._write(check_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is on its way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _find(self, check_id: str, probe: Probe) -> Check | None:
        """The check, if it is still that of this node with that definition."""
        check = self._registry.local(CheckById(self._registry.node_name, check_id)).value
        return check if check is not None and check.probe == probe else None

    def _is_said(self, check_id: str, probe: Probe, outcome: Outcome) -> bool:
        """Whether there is nothing to write: the check has that status, or is no longer this node's.

        A check that fails from its registration on was critical all the time. Every node shall know why, so the
        first reason is written; it is the one output that is written without a change of status.
        """
        check = self._find(check_id, probe)
        if check is None:
            return True
        if check.status != outcome.status or (
            not check.output and outcome.status != "passing" and outcome.output
        ):
            return False
        self._note(check, outcome.output)
        return True

    async def _write(self, check_id: str) -> None:
        """Write the newest result until the registry says the same."""
        try:
            while not self._is_said(check_id, *self._newest[check_id]):
                probe, outcome = self._newest[check_id]
                check = self._find(check_id, probe)
                assert check is not None, "looked at a moment ago"
                # What changed meanwhile, by a registration or a move, is looked at again instead of overwritten.
                update = CheckUpdate(check.node, check.id, outcome.status, outcome.output, check.modify_index)
                try:
                    await self._registry.write(update)
                except (NotApplied, OutcomeUnknown) as error:
                    log.debug("the status of check %s is to be written again: %s", check_id, error)
                    await asyncio.sleep(RETRY_S)
        except RaftregError as error:
            log.warning("the status of check %s could not be written: %s", check_id, error)
        finally:
            del self._newest[check_id]
