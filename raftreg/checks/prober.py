"""Probes the checks of this node: what the catalog says is to be probed, when it is due, as many at once as may be."""

import asyncio
import logging
import resource
from collections.abc import Sequence
from typing import Final, Protocol

from raftreg.checks.dialing import OWN_WANT, NotProbed, ProbeFailed
from raftreg.checks.kinds import KINDS, Ask
from raftreg.checks.outcome import Outcome
from raftreg.checks.reports import NoteOutput, Reports
from raftreg.checks.schedule import SLOW_S, Agenda, Slots, next_time
from raftreg.checks.thresholds import Thresholds
from raftreg.errors import NotApplied
from raftreg.model import Check, Probe, Status
from raftreg.registry import EVERYTHING, Registry
from raftreg.state import Topic
from raftreg.state.changes import fold
from raftreg.state.queries import NodeChecks

log = logging.getLogger(__name__)

INTERVAL_S_MIN: Final = 1.0
FIRST_PART: Final = 0.1  # a check that nobody knows the status of is probed within this part of its interval
PROMPT_S: Final = (
    0.5  # one that came from another node is probed within this, or 2 ms for each that came with it
)
_PROMPT_S_EACH: Final = 0.002
_LOOK_S_MIN: Final = 0.02  # seconds between two looks at what changed
_LOOK_FACTOR: Final = 20.0  # how many times longer than a look the pause after it is: it costs 5 % at most
_STARTS_MAX: Final = 16  # probes that are started before the loop may do something else
_TURN_S_MIN: Final = 0.005
_READY_PAUSE_S: Final = 0.2
_SLOTS_MAX: Final = 1024


class Observer(Protocol):
    """Whoever wants to know of each probe."""

    def count_probe(self, kind: str, status: Status, lateness_s: float) -> None:
        """A check of a kind was probed, so many seconds after it was due, and found to be so."""
        ...


class Maker(Protocol):
    """Makes probes; see `Kinds`."""

    def make(self, probe: Probe) -> Ask:
        """What to call for each probe of a check of that definition."""
        ...

    def close(self) -> None:
        """No more are made."""
        ...


class Watched:
    """One check that is probed here, from its registration, or the change of its definition, to its end."""

    __slots__ = ("ask", "check", "due", "interval_s", "is_slow", "spreads", "task", "thresholds", "wanted")

    def __init__(self, check: Check, probe: Probe, ask: Ask, *, settled: bool) -> None:
        self.check = check
        self.ask = ask
        self.interval_s = max(probe.interval_s, INTERVAL_S_MIN)
        self.thresholds = Thresholds(probe, settled=settled)
        self.due = 0.0
        self.spreads = (
            False  # after a prompt first probe, the second finds a place of its own in the interval
        )
        self.is_slow = True  # until it answers quickly: targets that never do must not delay those that did
        self.wanted = True
        self.task: asyncio.Task[None] | None = None


class Prober:
    """Follows the checks of this node. Costs nothing while there are none."""

    def __init__(
        self,
        registry: Registry,
        note: NoteOutput,
        kinds: Maker,
        observer: Observer | None = None,
    ) -> None:
        """`note` takes the output of a check whose status did not change; `kinds` makes probes of definitions."""
        self._registry = registry
        self._clock = registry.clock
        self._node = fold(registry.node_name)
        self._kinds = kinds
        self._reports = Reports(registry, note)
        self._observer = observer
        self._watched: dict[str, Watched] = {}  # by check id
        self._agenda: Agenda[Watched] = Agenda()
        self._slots: Slots[Watched] = Slots(_slots_max())
        self._first_look = True
        self._dirty = False
        self._next_look = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._running = False
        self._beginning: asyncio.Task[None] | None = None
        registry.on_topics(self._on_topics)

    def __len__(self) -> int:
        """How many checks are probed here."""
        return len(self._watched)

    async def start(self) -> None:
        """Begin, once this node has caught up: what it knew before may be another node's by now."""
        self._beginning = asyncio.create_task(self._begin(), name="prober")

    async def stop(self) -> None:
        """Give up all probes that run."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        tasks = [watched.task for watched in self._watched.values() if watched.task is not None]
        if self._beginning is not None:
            tasks.append(self._beginning)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._reports.stop()
        self._kinds.close()

    async def _begin(self) -> None:
        while True:
            try:
                await self._registry.check_ready()
                break
            except NotApplied as error:
                log.debug("checks are not probed yet: %s", error)
                await asyncio.sleep(_READY_PAUSE_S)
        self._running = True
        self._dirty = True
        self.turn()

    def _on_topics(self, topics: Sequence[Topic]) -> None:
        """Something changed in the state."""
        if self._dirty or not self._running:
            return
        for topic in topics:
            if (topic[0] == "node" and topic[1] == self._node) or topic == EVERYTHING:
                self._dirty = True
                self._wake_at(self._next_look)
                return

    def turn(self) -> None:
        """Look at what changed, start what is due, and set the alarm for the next time."""
        self._timer = None
        now = self._clock.now()
        try:
            if self._dirty and now >= self._next_look:
                self._look(now)
                self._next_look = now + max(_LOOK_S_MIN, (self._clock.now() - now) * _LOOK_FACTOR)
            self._start_due(now)
        except Exception:
            log.exception("checks: a turn failed; trying again in %.1f s", INTERVAL_S_MIN)
            self._next_look = now + INTERVAL_S_MIN
            self._dirty = True
        due = self._agenda.next_due()
        if due is not None:
            self._wake_at(due)
        if self._dirty:
            self._wake_at(self._next_look)

    def _wake_at(self, time: float) -> None:
        """Have a turn at that time of the clock, if there is none before."""
        if not self._running:
            return
        if self._timer is not None:
            if self._wakes_at <= time:
                return
            self._timer.cancel()
        self._wakes_at = time
        delay_s = max(time - self._clock.now(), _TURN_S_MIN)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self.turn)

    # Which checks there are.

    def _look(self, now: float) -> None:
        """Take note of new, changed and gone checks of this node."""
        self._dirty = False
        gone = self._watched
        self._watched = {}
        fresh: list[Check] = []
        for _, check in self._registry.local(NodeChecks(self._node)).value:
            if check.probe is None or check.probe.kind not in KINDS:
                continue
            watched = gone.get(check.id)
            # Records are replaced as a whole when they change, so that the same object is the same check.
            if watched is not None and (watched.check is check or watched.check.probe == check.probe):
                watched.check = check
                self._watched[check.id] = gone.pop(check.id)
            else:
                fresh.append(check)
        for watched in gone.values():
            watched.wanted = False
            if watched.task is not None:
                watched.task.cancel()
        moved = sum(_has_moved(check) for check in fresh)
        for check in fresh:
            self._watch(check, now, changed=check.id in gone, moved=moved)
        if len(self._agenda) > 2 * len(self._watched) + _STARTS_MAX:
            self._agenda.purge(set(self._watched.values()))
        self._first_look = False

    def _watch(self, check: Check, now: float, *, changed: bool, moved: int) -> None:
        """Begin to probe a check. Not all that come together are probed together.

        At the start of this node, and where a status is known because the registrar gave one, the whole interval
        is used, as in Consul. A check of which nothing is known yet has no time to lose, nor has one whose
        probing was broken off with the node that it comes from.
        """
        probe = check.probe
        assert probe is not None
        moves = _has_moved(check) and not changed
        settled = moves or (self._first_look and check.status != "critical")
        watched = Watched(check, probe, self._kinds.make(probe), settled=settled)
        span_s = watched.interval_s
        if moves and not self._first_look:
            span_s = min(span_s, max(PROMPT_S, moved * _PROMPT_S_EACH))
            watched.spreads = True
        elif check.status == "critical" and not check.output and not self._first_look:
            span_s *= FIRST_PART
            watched.spreads = True
        watched.due = now + self._clock.uniform(0.0, span_s)
        self._watched[check.id] = watched
        self._agenda.add(watched, watched.due)

    # Probing them.

    def _start_due(self, now: float) -> None:
        """Start probes that are due, but not too many in one turn."""
        started = 0
        while started < _STARTS_MAX and (watched := self._agenda.take(now)) is not None:
            if watched.wanted:
                started += 1
                if self._slots.enter(watched, slow=watched.is_slow):
                    self._start(watched, slow=watched.is_slow)

    def _start(self, watched: Watched, *, slow: bool) -> None:
        loop = asyncio.get_running_loop()
        watched.task = loop.create_task(self._probe(watched))
        watched.task.add_done_callback(lambda _: self._ended(watched, slow=slow))

    def _ended(self, watched: Watched, *, slow: bool) -> None:
        """A probe is over: its place is free, and the check is due again in its time."""
        watched.task = None
        if self._running and watched.wanted:
            now = self._clock.now()
            interval_s = watched.interval_s
            due = next_time(watched.due, interval_s, now)
            if watched.spreads:
                watched.spreads = False
                due += self._clock.uniform(
                    max(-0.5 * interval_s, INTERVAL_S_MIN - interval_s), 0.5 * interval_s
                )
            watched.due = max(due, now)
            self._agenda.add(watched, watched.due)
            self._wake_at(watched.due)
        freed = self._slots.leave(slow=slow)
        while freed is not None and not freed[0].wanted:
            freed = self._slots.leave(slow=freed[1])
        if freed is not None and self._running:
            self._start(freed[0], slow=freed[1])

    async def _probe(self, watched: Watched) -> None:
        """Ask once, and report what counts."""
        began = self._clock.now()
        outcome = await self._outcome(watched)
        if outcome is None:
            return
        ended = self._clock.now()
        watched.is_slow = ended - began > SLOW_S
        probe = watched.check.probe
        assert probe is not None
        if self._observer is not None:
            self._observer.count_probe(probe.kind, outcome.status, began - watched.due)
        if watched.wanted and watched.thresholds.count(outcome.status):
            self._reports.report(watched.check.id, probe, outcome)

    async def _outcome(self, watched: Watched) -> Outcome | None:
        """What is found out; None if it is this node that cannot ask."""
        try:
            return await watched.ask()
        except ProbeFailed as error:
            return Outcome("critical", str(error))
        except Exception as error:
            if isinstance(error, NotProbed) or (isinstance(error, OSError) and error.errno in OWN_WANT):
                log.warning("check %s could not be probed: %s", watched.check.id, error)
                return None
            log.exception("the probe of check %s failed unexpectedly", watched.check.id)
            return Outcome("critical", f"internal error: {type(error).__name__}")


def _has_moved(check: Check) -> bool:
    """Whether the record is older than its present form: it was on another node, or had another definition."""
    return check.create_index < check.modify_index


def _slots_max() -> int:
    """How many probes may hold a file at once: a quarter of what this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _SLOTS_MAX if soft == resource.RLIM_INFINITY else max(64, min(_SLOTS_MAX, soft // 4))
