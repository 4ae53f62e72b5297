"""Names of hosts to addresses, in threads, because the C library blocks.

One lookup of a name serves all that ask meanwhile. Names that took long the last time have threads of their own, so
that a name server which does not answer for them does not keep the others waiting. The threads are daemons: one
that hangs in a lookup does not hold up the end of the process.
"""

import asyncio
import ipaddress
import queue
import socket
import threading
from collections.abc import Callable
from typing import Final

THREADS_MAX: Final = 8  # per lane
SLOW_S: Final = 1.0
SLOW_NAMES_MAX: Final = 10_000

Lookup = Callable[[str], list[str]]


def lookup(host: str) -> list[str]:
    """The addresses of a host, best first. OSError if there are none; blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Looks names up for all probes of a node."""

    def __init__(self, lookup: Lookup = lookup) -> None:
        self._lookup = lookup
        self._running: dict[str, asyncio.Future[list[str]]] = {}
        self._slow: dict[str, None] = {}
        self._lanes = (_Threads(), _Threads())

    async def addresses(self, host: str) -> list[str]:
        """The addresses of a host, at least one; of an address, itself. OSError for a name that has none."""
        if is_address(host):
            return [host]
        running = self._running.get(host)
        if running is None:
            running = self._running[host] = self._begin(host)
        # One that gives up must not take the lookup away from the others.
        return await asyncio.shield(running)

    def close(self) -> None:
        """Let the threads end with what they have begun."""
        for lane in self._lanes:
            lane.close()

    def _begin(self, host: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()
        began = loop.time()

        def tell(found: list[str] | None, error: OSError | None) -> None:
            self._running.pop(host, None)
            self._slow.pop(host, None)
            if loop.time() - began > SLOW_S:
                self._slow[host] = None
                if len(self._slow) > SLOW_NAMES_MAX:
                    del self._slow[next(iter(self._slow))]
            if error is None:
                future.set_result(found or [])
            else:
                future.set_exception(error)
                future.exception()  # seen, also when everybody has given up

        def work() -> None:
            found, failure = None, None
            try:
                found = self._lookup(host)
            except OSError as error:
                failure = error
            except UnicodeError:
                failure = socket.gaierror(socket.EAI_NONAME, "no such host")
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, found, failure)

        self._lanes[host in self._slow].do(work)
        return future


class _Threads:
    """Daemon threads that do what is put before them; started as they are needed."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._count = 0
        self._idle = 0
        self._lock = threading.Lock()

    def do(self, work: Callable[[], None]) -> None:
        """Have it done by the next thread that is free."""
        self._work.put(work)
        with self._lock:
            wanted = self._work.qsize() > self._idle and self._count < THREADS_MAX
            self._count += wanted
        if wanted:
            threading.Thread(target=self._run, name="lookup", daemon=True).start()

    def close(self) -> None:
        """Let the threads end."""
        for _ in range(self._count):
            self._work.put(None)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            work = self._work.get()
            with self._lock:
                self._idle -= 1
            if work is None:
                return
            try:
                work()
            except RuntimeError:  # the loop was closed meanwhile
                return


def is_address(host: str) -> bool:
    """Whether this is an IP address and no name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
