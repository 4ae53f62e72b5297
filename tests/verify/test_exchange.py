"""Every request is sent once, and what became of it is told apart."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftreg.addresses import Address
from raftreg.verify.exchange import Connection, NotSent, Unanswered

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(serve: Server, work: Callable[[Connection], Awaitable[None]], timeout_s: float = 5.0) -> None:
    """Run `work` on a connection to a server."""

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            connection = Connection(Address("127.0.0.1", server.sockets[0].getsockname()[1]), timeout_s)
            try:
                await work(connection)
            finally:
                connection.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*serving)  # The other end notices.

    asyncio.run(run())


def answering(*answers: bytes) -> tuple[Server, list[bytes]]:
    """A server that gives these answers, then hangs up; what it was asked."""
    asked: list[bytes] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while left:
                asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
                writer.write(left.pop(0))
        except EOFError:
            pass
        writer.close()

    return serve, asked


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Consul-Index: 7\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


def test_answers_come_with_a_length_or_in_chunks_on_one_connection() -> None:
    """Status, body and index are read; the connection is kept."""
    serve, asked = answering(OK, CHUNKED)

    async def work(connection: Connection) -> None:
        first = await connection.request("GET", "/a")
        second = await connection.request("PUT", "/b", b"")
        assert (200, "hi", 7) == (first.status, first.text, first.index)
        assert (404, b"abc", None) == (second.status, second.body, second.index)

    against(serve, work)
    assert [b"GET /a HTTP/1.1", b"PUT /b HTTP/1.1"] == asked


def test_a_connection_that_ended_at_rest_is_replaced_before_anything_is_sent() -> None:
    """That is no outcome: nothing was asked."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        writer.close()
        ended.set()

    async def work(connection: Connection) -> None:
        assert (await connection.request("GET", "/")).status == 200
        await ended.wait()
        await asyncio.sleep(0.05)
        assert (await connection.request("GET", "/")).status == 200

    against(serve, work)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"]
)
def test_an_answer_that_breaks_off_leaves_the_outcome_open(answer: bytes) -> None:
    """And the request is not sent again by itself."""
    serve, asked = answering(answer)

    async def work(connection: Connection) -> None:
        with pytest.raises(Unanswered):
            await connection.request("PUT", "/v1/kv/a", b"")

    against(serve, work)
    assert 1 == len(asked)


def test_silence_leaves_the_outcome_open() -> None:
    """After the time that the client grants."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def work(connection: Connection) -> None:
        with pytest.raises(Unanswered, match="timeout"):
            await connection.request("PUT", "/", b"")

    against(serve, work, timeout_s=0.1)


def test_without_a_connection_nothing_happened() -> None:
    """A refused connection is a definite outcome."""

    async def run() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(NotSent):
            await Connection(Address("127.0.0.1", port), 5.0).request("GET", "/")

    asyncio.run(run())
