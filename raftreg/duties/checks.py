"""The duty of the leader for checks: expiry of TTLs, reaping of what failed too long, and alias checks."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from raftreg.commands import CheckUpdate, Command, Deregister
from raftreg.duties.aliases import Aliases
from raftreg.duties.heartbeats import Heartbeat, no_ttl
from raftreg.duties.reaping import Reaping
from raftreg.duties.seen import ChecksSeen
from raftreg.duties.ttl import TTLChecks
from raftreg.errors import NotLeader, RaftregError, Refused
from raftreg.registry import Registry
from raftreg.state import Topic
from raftreg.state.queries import CheckById, NodeChecks, NodeServices

log = logging.getLogger(__name__)

_PAUSE_S_MIN: Final = 0.02  # seconds between two looks at what changed
_PAUSE_FACTOR: Final = 20.0  # how many times longer than a look the pause after it is: it costs 5 % at most
_IDLE_S: Final = 5.0

Action = tuple[Command, Callable[[], None]]  # what to write, and what to do if that has to be tried again


class CheckDuty:
    """Sees to all checks of the cluster while this node leads."""

    name = "checks"

    def __init__(self, registry: Registry, wake: Callable[[], None]) -> None:
        self._registry = registry
        self._clock = registry.clock
        self._wake = wake
        self._ttl = TTLChecks()
        self._reaping = Reaping()
        self._aliases = Aliases()
        self._seen = ChecksSeen(registry)
        self._leading = False
        self._next_look = 0.0

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Something changed in the state."""
        waits_already = self._seen.pending
        self._seen.on_topics(topics)
        if self._leading and self._seen.pending and not waits_already:
            self._wake()

    async def on_heartbeat(self, caller: str, payload: object) -> object:
        """A heartbeat that some node took: put the deadline off; the log is for what changes the status."""
        heartbeat = Heartbeat.parse(payload)
        query = CheckById(heartbeat.node, heartbeat.check_id)
        # A leader that does not know yet that it was deposed must not take what its successor will not know of.
        check = (await self._registry.read(query)).value
        if self._registry.consensus.status().role != "leader":
            raise NotLeader("this node does not lead any more")
        if check is None or check.probe is None or check.probe.kind != "ttl":
            raise no_ttl(heartbeat.check_id)
        update: CheckUpdate | None
        if check.status != heartbeat.status:
            update = CheckUpdate(heartbeat.node, heartbeat.check_id, heartbeat.status, heartbeat.output)
        else:
            update = self._ttl.refresh(check, heartbeat.output, self._clock.now())
        if update is not None:
            written = await self._registry.write(update)
            if written.value is False and update.expected_modify_index is None:
                raise no_ttl(heartbeat.check_id)
        return True

    async def step(self) -> float:
        """Do what is due; seconds until there may be more to do."""
        if self._registry.consensus.status().role != "leader":
            self._rest()
            return _IDLE_S
        now = self._clock.now()
        if not self._leading:
            self._leading = True
            self._seen.forget()
            self._next_look = now
        actions: list[Action] = []
        if now >= self._next_look:
            actions.extend(self._look(now))
            self._next_look = now + max(_PAUSE_S_MIN, (self._clock.now() - now) * _PAUSE_FACTOR)
        actions.extend(self._expiries(now))
        if actions:
            await asyncio.gather(*(self._carry_out(command, again) for command, again in actions))
        return self._pause_s()

    def _rest(self) -> None:
        """Another node leads: deadlines are its business."""
        if self._leading:
            self._leading = False
            self._ttl.clear()
            self._reaping.clear()
            self._aliases.clear()
            self._seen.forget()

    def _look(self, now: float) -> list[Action]:
        """Take note of what changed; the updates of alias checks that follow from it."""
        found = self._seen.differences()
        targets = set(found.nodes)
        for key in found.gone:
            for part in (self._ttl, self._reaping, self._aliases):
                part.forget(key)
        for check in found.changed:
            self._ttl.see(check, now)
            self._reaping.see(check, now)
            target = self._aliases.see(check)
            if target is not None:
                targets.add(target)
        return [
            (update, partial(self._seen.note, node))
            for node in sorted(targets)
            if self._aliases.looks_at(node)
            for update in self._alias_updates(node)
        ]

    def _alias_updates(self, node: str) -> list[CheckUpdate]:
        checks = [check for _, check in self._registry.local(NodeChecks(node)).value]
        services = self._registry.local(NodeServices(node)).value
        ids = frozenset(service.id for service in services[1]) if services is not None else frozenset[str]()
        return self._aliases.updates(node, checks, ids)

    def _expiries(self, now: float) -> list[Action]:
        """What is due."""
        actions: list[Action] = []
        for key, update in self._ttl.take_due(now):
            actions.append((update, partial(self._ttl.retry, key, now)))
        for key, deregister in self._reaping.take_due(now):
            actions.append((deregister, partial(self._reaping.retry, key, now)))
        return actions

    async def _carry_out(self, command: Command, again: Callable[[], None]) -> None:
        """Write a command; see to it that it is looked at again if it may not have happened, or came too late."""
        try:
            written = await self._registry.write(command, as_leader=True)
        except RaftregError as error:
            level = logging.WARNING if isinstance(error, Refused) else logging.DEBUG
            log.log(level, "%s is to be tried again: %s", type(command).__name__, error)
            again()
        else:
            if written.value is False:
                again()
            elif isinstance(command, Deregister):
                log.info("service %s of %s failed for too long and went", command.service_id, command.node)

    def _pause_s(self) -> float:
        """Seconds until something is due, or until what changed may be looked at."""
        now = self._clock.now()
        times = [now + _IDLE_S]
        times.extend(time for time in (self._ttl.next_due(), self._reaping.next_due()) if time is not None)
        if self._seen.pending:
            times.append(self._next_look)
        return max(min(times) - now, 0.0)
