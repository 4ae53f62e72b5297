"""Keeps trying to reach one target until there is a connection; and again when it is gone."""

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

from raftreg.consensus.link import Link
from raftreg.consensus.target import Target

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 1.0
DELAY_GROWTH = 1.5
SAID_FROM_DELAY_S = 0.3  # half a second of tries: peers that start or stop together are no news
CONNECT_TIMEOUT_S = 3.0
LESSER_WAITS_S = 1.0
LESSER_WAITS_AT_START_S = 0.2


class Switchboard(Protocol):
    """What a dialer needs of the transport."""

    def is_up(self, target: Target) -> bool:
        """Whether a live link leads to that target."""
        ...

    def jitter(self) -> float:
        """A factor around 1, so that nodes do not dial in step."""
        ...

    def dial_failed(self, target: Target, text: str) -> None:
        """No connection came about. To be logged once."""
        ...


class Dialer:
    """The greater of two names dials at once; the lesser gives the other time, then dials too (one-way NAT)."""

    def __init__(
        self,
        switchboard: Switchboard,
        target: Target,
        factory: Callable[[Target], Callable[[], Link]],
        *,
        lesser: bool,
    ) -> None:
        """`factory` gives what makes the link of a connection to the target of now."""
        self.target = target
        self._switchboard = switchboard
        self._factory = factory
        self._lesser = lesser
        self._changed = asyncio.Event()
        self._delay_s = FIRST_DELAY_S

    def changed(self) -> None:
        """A link to the name came or went, the address is another one, or somebody wants a try right now."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        if self._lesser:
            await self._pause(LESSER_WAITS_AT_START_S)
        while True:
            if not self._switchboard.is_up(self.target) and not await self._attempt():
                await self._back_off()
            elif await self._wait_until_down() < LONGEST_DELAY_S:
                await self._back_off()  # What breaks at once would break at once again.
            else:
                self._delay_s = FIRST_DELAY_S
                if self._lesser:
                    await self._pause(LESSER_WAITS_S)

    async def _back_off(self) -> None:
        delay_s = self._delay_s * self._switchboard.jitter()
        self._delay_s = min(self._delay_s * DELAY_GROWTH, LONGEST_DELAY_S)
        await self._pause(delay_s)

    async def _wait_until_down(self) -> float:
        """Returns how long the connection lasted, in seconds."""
        now = asyncio.get_running_loop().time
        since = now()
        while self._switchboard.is_up(self.target):
            self._changed.clear()
            await self._changed.wait()
        return now() - since

    async def _pause(self, delay_s: float) -> None:
        """Wait, but not beyond a change."""
        self._changed.clear()
        try:
            async with asyncio.timeout(delay_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _attempt(self) -> bool:
        """One connection and its handshake. The address is resolved anew, in a thread of the loop's executor."""
        loop, target = asyncio.get_running_loop(), self.target
        link: Link | None = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, link = await loop.create_connection(self._factory(target), *target.address)
        except TimeoutError:
            self._switchboard.dial_failed(target, f"no answer within {CONNECT_TIMEOUT_S:g} s")
            return False
        except UnicodeError as error:  # What the resolver raises for a name that cannot be one.
            self._refused(f"not the name of a host: {error}")
            return False
        except OSError as error:
            known = error.errno is not None and error.errno > 0  # Negative ones are the resolver's.
            text = os.strerror(error.errno or 0) if known else error.strerror or str(error)
            self._refused(text)
            return False
        try:
            return await asyncio.shield(link.settled)
        except asyncio.CancelledError:
            if not link.live:  # One that counts is not the dialer's any more.
                link.drop()
            raise

    def _refused(self, text: str) -> None:
        if self._delay_s >= SAID_FROM_DELAY_S:
            self._switchboard.dial_failed(self.target, text)
