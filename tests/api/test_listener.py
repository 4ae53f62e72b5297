"""The aiohttp shell, spoken to over real sockets."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from raftreg.api.dispatch import body_limit
from raftreg.api.http import Request, Response
from raftreg.api.listener import Listener
from raftreg.api.render import text_response
from raftreg.api.routes import EAGER
from tests.api.local_api import start_api


class Client:
    """One connection; bytes in, bytes out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Write without waiting."""
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next response: status, headers with lower-case names, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send and wait for the response."""
        self.send(data)
        return await self.answer()


Answer = Callable[[Request], Awaitable[Response]]


def serve(scenario: Callable[[Client], Awaitable[None]], answer: Answer | None = None) -> None:
    """Run a scenario against a listener on a free port, over the API of a fresh node or over `answer`."""

    async def main() -> None:
        listener = Listener(answer or (await start_api()).answer, body_limit(), "127.0.0.1", 0, eager=EAGER)
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        try:
            await asyncio.wait_for(scenario(Client(reader, writer)), 20)
        finally:
            writer.close()
            await listener.stop(1.0)

    asyncio.run(main())


def put(path: str, body: bytes) -> bytes:
    """A PUT with a Content-Length."""
    return b"PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)


def get(path: str, *headers: str) -> bytes:
    """A GET."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "", "")).encode()


def test_connection_is_kept_and_pipelined() -> None:
    """Several requests may be sent at once on one connection; the answers come in order."""

    async def scenario(client: Client) -> None:
        client.send(put("/v1/kv/a%2Fb", b"1") + get("/v1/kv/a/b?raw") + get("/nope"))
        assert (await client.answer())[2] == b"true"
        status, headers, body = await client.answer()
        assert (status, body, headers["content-type"]) == (200, b"1", "text/plain")
        assert (await client.answer())[0] == 404

    serve(scenario)


def test_chunked_body_is_taken() -> None:
    """A body without a length is put together from its chunks."""

    async def scenario(client: Client) -> None:
        head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await client.ask(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))[2] == b"true"
        assert (await client.ask(get("/v1/kv/a?raw")))[2] == b"abcde"

    serve(scenario)


def test_expect_continue_is_answered() -> None:
    """A client that waits for permission to send its body gets it."""

    async def scenario(client: Client) -> None:
        head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        assert (await client.ask(head))[0] == 100
        assert (await client.ask(b"x"))[2] == b"true"

    serve(scenario)


def test_declared_body_that_is_too_large_is_refused_unread() -> None:
    """A Content-Length beyond the limit is 413 at once, before permission to send is given."""

    async def scenario(client: Client) -> None:
        head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 524289\r\nExpect: 100-continue\r\n\r\n"
        status, _, body = await client.ask(head)
        assert status == 413
        assert body.startswith(b"Request body(524289 bytes) too large, max size: 524288 bytes. See ")
        assert body.endswith(b"kv_max_value_size.")

    serve(scenario)


def test_chunked_body_that_is_too_large_is_refused_on_the_way() -> None:
    """Without a declared length the limit holds all the same."""

    async def scenario(client: Client) -> None:
        chunk = b"40000\r\n" + bytes(0x40000) + b"\r\n"
        head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        status, _, _ = await client.ask(head + 3 * chunk + b"0\r\n\r\n")
        assert status == 413

    serve(scenario)


def test_largest_value_is_stored() -> None:
    """A value of exactly the limit passes."""

    async def scenario(client: Client) -> None:
        assert (await client.ask(put("/v1/kv/a", bytes(524288))))[2] == b"true"
        assert len((await client.ask(get("/v1/kv/a?raw")))[2]) == 524288

    serve(scenario)


def test_gzip_on_request_only() -> None:
    """Larger answers are compressed for clients that ask for it, and for nobody else."""

    async def scenario(client: Client) -> None:
        await client.ask(put("/v1/kv/a", b"x" * 1000))
        status, headers, body = await client.ask(get("/v1/kv/a?raw", "Accept-Encoding: deflate, gzip;q=0.5"))
        assert (status, headers["content-encoding"]) == (200, "gzip")
        assert gzip.decompress(body) == b"x" * 1000
        for header in ("Accept-Encoding: identity", "Accept-Encoding: gzip;q=0", "X-Nothing: 1"):
            _, headers, body = await client.ask(get("/v1/kv/a?raw", header))
            assert "content-encoding" not in headers
            assert body == b"x" * 1000

    serve(scenario)


def test_head_is_405() -> None:
    """HEAD is not implied by GET."""

    async def scenario(client: Client) -> None:
        client.send(b"HEAD /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 ")
        assert b"Allow: OPTIONS,GET,PUT,DELETE" in head

    serve(scenario)


@pytest.mark.parametrize("target", ["http://x/v1/kv/a?raw", "/v1/kv/a?raw#f", "/v1/kv/%61?raw"])
def test_forms_of_the_target(target: str) -> None:
    """The absolute form of a proxy's client, a fragment and superfluous escapes mean the same request."""

    async def scenario(client: Client) -> None:
        await client.ask(put("/v1/kv/a", b"1"))
        assert (await client.ask(get(target)))[2] == b"1"

    serve(scenario)


def test_long_keys_pass() -> None:
    """A request line may be much longer than the library's own limit."""

    async def scenario(client: Client) -> None:
        key = "k" * 20_000
        assert (await client.ask(put(f"/v1/kv/{key}", b"1")))[2] == b"true"
        assert (await client.ask(get(f"/v1/kv/{key}?raw")))[2] == b"1"

    serve(scenario)


def test_empty_answer_has_no_content_type() -> None:
    """A response without a body does not claim a type."""

    async def scenario(client: Client) -> None:
        status, headers, body = await client.ask(get("/v1/kv/none"))
        assert (status, body, headers["content-length"]) == (404, b"", "0")
        assert "content-type" not in headers
        assert headers["server"] == "raftreg"

    serve(scenario)


def test_client_that_goes_away_cancels_its_request() -> None:
    """Nobody works for a client that closed its connection."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return text_response(200, "never")

    async def scenario(client: Client) -> None:
        client.send(get("/"))
        await begun.wait()
        client.writer.close()
        await cancelled.wait()
        assert cancelled.is_set()

    serve(scenario, answer)


def test_garbage_is_400_and_harms_nobody() -> None:
    """What is no HTTP gets 400 and a closed connection; the next client is served."""

    async def scenario(client: Client) -> None:
        client.send(b"\x16\x03\x01garbage\r\n\r\n")
        head = await client.reader.read()
        assert head.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        host, port = client.writer.get_extra_info("peername")[:2]
        reader, writer = await asyncio.open_connection(host, port)
        assert (await Client(reader, writer).ask(get("/livez")))[2] == b"ok"
        writer.close()

    serve(scenario)


def test_compressed_value_is_stored_as_sent() -> None:
    """A body with a Content-Encoding is not unpacked, so that it cannot be wrong, or grow beyond the limits."""

    async def scenario(client: Client) -> None:
        head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
        assert (await client.ask(head + b"abc"))[2] == b"true"
        assert (await client.ask(get("/v1/kv/a?raw")))[2] == b"abc"

    serve(scenario)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"GET /v1/kv/\xff HTTP/1.1\r\n\r\n",
        b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n",
    ],
)
def test_what_is_no_http_fills_no_log(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A request that cannot be parsed gets a 400; it is the business of its sender and leaves no traceback."""

    async def scenario(client: Client) -> None:
        assert (await client.ask(data))[0] == 400

    serve(scenario)
    assert [] == caplog.records


def test_what_many_clients_get_is_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same body for another client costs no second compression; a very large one is not kept for that."""
    sizes: list[int] = []
    compress = gzip.compress

    def counted(body: bytes, level: int, *, mtime: float) -> bytes:
        sizes.append(len(body))
        return compress(body, level, mtime=mtime)

    monkeypatch.setattr("raftreg.api.listener.gzip.compress", counted)
    bodies = {"/small": b"0123456789" * 1000, "/large": b"0123456789" * 100_000}

    async def answer(request: Request) -> Response:
        return Response(200, {}, bodies[request.path])

    async def scenario(client: Client) -> None:
        for path, body in bodies.items():
            for _ in range(3):
                _, _, packed = await client.ask(get(path, "Accept-Encoding: gzip"))
                assert gzip.decompress(packed) == body

    serve(scenario, answer)
    assert [10_000, 1_000_000, 1_000_000, 1_000_000] == sizes


@pytest.mark.parametrize(
    "sent", [b"", b"PUT /v1/kv/k HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\nhalf of it"]
)
def test_a_stop_does_not_wait_for_clients_that_say_nothing(sent: bytes) -> None:
    """Idle connections, and such with half a request, are closed at once, however long the grace."""

    async def main() -> bytes:
        listener = Listener((await start_api()).answer, body_limit(), "127.0.0.1", 0, eager=EAGER)
        await listener.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        client = Client(reader, writer)
        assert 200 == (await client.ask(b"GET /livez HTTP/1.1\r\nHost: r\r\n\r\n"))[0]
        client.send(sent)
        await asyncio.sleep(0.05)
        await asyncio.wait_for(listener.stop(60.0), 20)
        rest = await reader.read()
        writer.close()
        return rest

    assert b"" == asyncio.run(main())
