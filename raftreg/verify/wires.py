"""TCP proxies between the nodes of a cluster, one for each pair and direction of dialing, to be cut and slowed."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType

Pair = tuple[str, str]
READ_BYTES = 64 << 10
PATIENCE_S = 10.0  # for the thread of the proxies to do what it is told


class Gate:
    """What happens to bytes from one node to another: pass, wait, or pass late. On the loop of the wires only."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.delay_s = 0.0

    def set_open(self, is_open: bool) -> None:
        """Let bytes pass, or hold them; what was held arrives late, as after lost packets."""
        self.is_open.set() if is_open else self.is_open.clear()


class Wires:
    """Connections between nodes lead through here where `lead` says so; faults come from any thread.

    A context manager, inside which the proxies run, in a thread of their own.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires")
        self._gates: defaultdict[Pair, Gate] = defaultdict(Gate)
        self._closed: set[Pair] = set()
        self._writers: defaultdict[Pair, set[asyncio.StreamWriter]] = defaultdict(set)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def __enter__(self) -> "Wires":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lead(self, dialing: str, dialed: str, port: int) -> int:
        """A port on loopback by which `dialing` reaches the `port` of `dialed`. To be asked for in both directions."""
        return self.lead_all(dialed, port, lambda _: dialing)

    def lead_all(self, dialed: str, port: int, dialer: Callable[[int], str]) -> int:
        """A port on loopback by which everybody reaches the `port` of `dialed`; `dialer` says who dials from which."""
        begun = asyncio.run_coroutine_threadsafe(self._listen(dialer, dialed, port), self._loop)
        return begun.result(PATIENCE_S)

    # Faults. `pairs` are ordered: (from, to).

    def hold(self, pairs: Iterable[Pair]) -> None:
        """Bytes in these directions do not arrive until `heal`; connections stay."""
        self._each(pairs, lambda pair: self._gates[pair].set_open(False))

    def close(self, pairs: Iterable[Pair]) -> None:
        """Connections that lead from one to the other end, and no new one comes about until `heal`."""
        self._each(pairs, self._close)

    def slow(self, pairs: Iterable[Pair], delay_s: float) -> None:
        """Each piece of data in these directions takes so long, one after the other, until `heal`."""
        self._each(pairs, lambda pair: setattr(self._gates[pair], "delay_s", delay_s))

    def heal(self) -> None:
        """Everything passes again; what was held arrives now."""
        self._each(list(self._gates), self._heal)

    # On the loop.

    def _each(self, pairs: Iterable[Pair], act: Callable[[Pair], None]) -> None:
        async def act_on_all() -> None:
            for pair in pairs:
                act(pair)

        asyncio.run_coroutine_threadsafe(act_on_all(), self._loop).result(PATIENCE_S)

    def _close(self, pair: Pair) -> None:
        self._closed.add(pair)
        for writer in self._writers[pair]:
            writer.transport.abort()

    def _heal(self, pair: Pair) -> None:
        self._closed.discard(pair)
        self._gates[pair].delay_s = 0.0
        self._gates[pair].set_open(True)

    async def _listen(self, dialer: Callable[[int], str], dialed: str, port: int) -> int:
        """Begin to listen for those who mean `dialed`; the port."""

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            pair = (dialer(writer.get_extra_info("peername")[1]), dialed)
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await self._carry(pair, port, reader, writer)
            except asyncio.CancelledError:
                # The end of the wires, and of this task. Python 3.11's streams take a cancelled one for a bug.
                if not self._stopping:
                    raise
            finally:
                self._tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self._servers.append(server)
        chosen: int = server.sockets[0].getsockname()[1]
        return chosen

    async def _carry(
        self, pair: Pair, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection, until either side closes it or it is cut."""
        if pair in self._closed:
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return
        both = {writer, far_writer}
        self._writers[pair] |= both
        there, back = self._gates[pair], self._gates[pair[1], pair[0]]
        pumps = [
            asyncio.ensure_future(_pump(reader, far_writer, there)),
            asyncio.ensure_future(_pump(far_reader, writer, back)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers[pair] -= both
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            far_writer.transport.abort()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        self._stopping = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: Gate) -> None:
    """Carry bytes one way until the connection ends."""
    with suppress(OSError):
        while data := await reader.read(READ_BYTES):
            if gate.delay_s:
                await asyncio.sleep(gate.delay_s)
            await gate.is_open.wait()
            writer.write(data)
            await writer.drain()
