"""A node in memory inside the test's process: its event loop runs in a thread, its HTTP API on a free port."""

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType

from raftreg.clock import SystemClock
from raftreg.config import load
from raftreg.server import Server


class DevNode:
    """What `raftreg dev` runs, as a context manager."""

    def __init__(self, **flags: str) -> None:
        """`flags` are settings by name, such as node="n1"."""
        self._flags = {"http": "127.0.0.1:0", "dns": "127.0.0.1:0"} | flags
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name="dev node")
        self.port = 0
        self.dns_port = 0
        self.fatal: list[BaseException] = []

    @property
    def address(self) -> str:
        """host:port of its HTTP API."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "DevNode":
        self._thread.start()
        try:
            self.port = self._port.result(timeout=20)
        except BaseException:
            self._thread.join()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._port.done():
                    raise
                self._port.set_exception(error)

    async def _serve(self) -> None:
        config = load(self._flags, {}, in_dev=True)
        async with Server(config, SystemClock(), self.fatal.append) as server:
            self.dns_port = server.dns_port
            self._port.set_result(server.http_port)
            await self._stop.wait()
