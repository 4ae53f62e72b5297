"""Disturbs the cluster: fault after fault, in an order and for durations that follow from the seed."""

import asyncio
from collections.abc import Callable, Iterator

from raftreg.chance import Chance, Stream
from raftreg.verify.faults import KINDS, Fault, Stage
from raftreg.verify.record import FaultEvent
from raftreg.verify.target import CannotAct

REST_S = (0.4, 1.2)
LASTS_S = (0.8, 2.4)
LONG_S = (2.4, 6.0)
LONG_SHARE = 0.15  # of the faults, once every kind has had its turn
PAIR_SHARE = 0.3  # likewise: two faults at the same time, one of them of the network
CALM_TIMEOUT_S = 6.0  # then the next fault comes though the cluster has not come to rest
SECONDS_PER_FAULT = 4.5  # what one takes in all; in a shorter run everything lasts less


class Nemesis:
    """One run of faults. What could not be done is noted, and not tried again."""

    def __init__(
        self,
        stage: Stage,
        chance: Chance,
        kinds: tuple[str, ...],
        seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self._stage, self._chance, self._tell = stage, chance, tell
        self._kinds = [KINDS[name] for name in kinds if KINDS[name].needs in stage.target.abilities]
        done = {kind.name for kind in self._kinds}
        self._left_out = tuple(name for name in kinds if name not in done)
        # In the first round every kind has its slot, so that each has its turn in a short run too.
        self._slot_s = seconds / (len(self._kinds) + 0.5)
        self._pace = min(1.0, self._slot_s / SECONDS_PER_FAULT)
        self._events: list[FaultEvent] = []  # that last
        self._over = asyncio.Event()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Kinds that were asked for and that the target cannot do."""
        return self._left_out

    def end(self) -> None:
        """Let `run` undo what lasts, and return."""
        self._over.set()

    async def run(self) -> None:
        """Fault after fault, until `end`."""
        began_s = self._stage.world.clock.now()
        for number, kind in enumerate(self._order()):
            if kind not in self._kinds:
                continue
            chance = self._chance.stream("fault", number)
            first_round = number < len(self._kinds)
            rest_s = chance.uniform(*REST_S) * self._pace
            is_long = not first_round and chance.random() < LONG_SHARE
            lasts_s = chance.uniform(*(LONG_S if is_long else LASTS_S)) * self._pace
            others = [other for other in self._kinds if other.is_of_network != kind.is_of_network]
            is_pair = not first_round and chance.random() < PAIR_SHARE and others
            pair = [kind, chance.choice(others)] if is_pair else [kind]
            if await self._is_over_after(rest_s):
                return
            for each in pair:
                await self._begin(each, chance)
            is_over = await self._is_over_after(lasts_s)
            await self._undo()
            left_s = began_s + (number + 1) * self._slot_s - self._stage.world.clock.now()
            if is_over or await self._is_over_once_calm(left_s if first_round else CALM_TIMEOUT_S):
                return

    def _order(self) -> Iterator[Fault]:
        """Every kind once, in an order of its own, again and again; nothing if there is none."""
        decks = self._chance.stream("order of faults")
        while self._kinds:
            yield from decks.sample(self._kinds, len(self._kinds))

    async def _begin(self, kind: Fault, chance: Stream) -> None:
        stage = self._stage
        event = FaultEvent(kind.name, kind.name, (), stage.world.clock.now())
        stage.world.record.faults.append(event)
        self._events.append(event)
        try:
            event.text, event.nodes = await kind.begin(stage, chance)
        except CannotAct as error:
            event.problem = str(error)
            self._kinds = [each for each in self._kinds if each is not kind]
            self._left_out = (*self._left_out, kind.name)
        self._tell(event.text)

    async def _undo(self) -> None:
        try:
            await self._stage.heal()
        except CannotAct as error:
            for event in self._events:
                event.problem = event.problem or str(error)
        for event in self._events:
            event.until_s = self._stage.world.clock.now()
        self._events.clear()
        self._tell("")

    async def _is_over_after(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _is_over_once_calm(self, patience_s: float) -> bool:
        """Wait until every node answers and one leads, but not too long."""
        clock = self._stage.world.clock
        give_up = clock.now() + patience_s
        while not self._stage.monitor.is_calm and clock.now() < give_up:
            if await self._is_over_after(0.1):
                return True
        return self._over.is_set()
