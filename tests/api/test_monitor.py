"""/v1/agent/monitor, over a real socket."""

import asyncio
import logging

import pytest

from raftreg.api.dispatch import body_limit
from raftreg.api.listener import Listener
from tests.api.local_api import start_api, until
from tests.api.test_listener import get

log = logging.getLogger("raftreg.monitored")


async def _head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = int(await reader.readline(), 16)
    data = await reader.readexactly(size)
    await reader.readline()
    return data


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["info", "warning"]),
        ("?loglevel=debug", ["debug", "info", "warning"]),
        ("?loglevel=WARN", ["warning"]),
        ("?loglevel=trace&logjson", ["debug", "info", "warning"]),
    ],
)
def test_log_is_streamed_until_the_client_goes(query: str, shown: list[str]) -> None:
    """Lines come as they are logged, from the asked level up; afterwards the logs are as they were before."""

    async def main() -> list[str]:
        listener = Listener((await start_api()).answer, body_limit(), "127.0.0.1", 0)
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(get(f"/v1/agent/monitor{query}"))
        head = await _head(reader)
        assert b" 200 " in head
        assert b"chunked" in head
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            log.log(level, "this is %s", logging.getLevelName(level).lower())
        lines = [(await _chunk(reader)).decode() for _ in shown]
        writer.close()
        await until(lambda: len(logging.getLogger().handlers) == handlers)
        await listener.stop(1.0)
        return lines

    root = logging.getLogger()
    handlers, level = len(root.handlers), root.level
    root.setLevel(logging.INFO)
    try:
        lines = asyncio.run(main())
        assert logging.INFO == root.level
    finally:
        root.setLevel(level)
    assert shown == [line.rpartition("this is ")[2].strip().strip('"}') for line in lines]
    assert ("logjson" in query) == lines[0].startswith("{")


def test_unknown_level_is_refused() -> None:
    """A level that there is not is 400."""

    async def main() -> tuple[int, bytes]:
        api = await start_api()
        response = await api.call("GET", "/v1/agent/monitor?loglevel=nope")
        return response.status, response.body

    assert (400, b"Bad request: Unknown log level: nope") == asyncio.run(main())


def test_a_stop_ends_the_stream() -> None:
    """A node that stops does not wait for those who listen to its log."""

    async def main() -> bytes:
        listener = Listener((await start_api()).answer, body_limit(), "127.0.0.1", 0)
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(get("/v1/agent/monitor"))
        await _head(reader)
        await asyncio.wait_for(listener.stop(60.0), 20)
        rest = await reader.read()
        writer.close()
        return rest

    assert b"this is" not in asyncio.run(main())


def test_old_clients_get_a_stream_without_chunks() -> None:
    """HTTP/1.0 knows no chunks: the end of the connection is the end of the answer."""

    async def main() -> bytes:
        listener = Listener((await start_api()).answer, body_limit(), "127.0.0.1", 0)
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET /v1/agent/monitor?loglevel=warn HTTP/1.0\r\n\r\n")
        head = await _head(reader)
        assert b"chunked" not in head
        log.warning("one line")
        line = await reader.readline()
        writer.close()
        await listener.stop(1.0)
        return line

    assert asyncio.run(main()).endswith(b"one line\n")
