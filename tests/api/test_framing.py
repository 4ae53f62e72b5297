"""Where a request begins and ends, and how long and large it may be: the listener over real sockets."""

import asyncio
import gzip

import pytest

from raftreg.api import connection
from raftreg.api import listener as listener_module
from raftreg.api.dispatch import body_limit
from raftreg.api.listener import Listener
from raftreg.api.routes import EAGER
from tests.api.local_api import start_api, until
from tests.api.test_listener import Client, get, put, serve


async def status_of(client: Client, data: bytes) -> int:
    """The status of the answer to these bytes; 0 if the connection closes without one."""
    client.send(data)
    line = await client.reader.readline()
    return int(line.split()[1]) if line else 0


def put_with(*lines: str, body: bytes = b"") -> bytes:
    """A PUT with these header lines."""
    return "\r\n".join(("PUT /v1/kv/z HTTP/1.1", "Host: x", *lines, "", "")).encode() + body


CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        # What two programs in a row could read as two different requests.
        (put_with("Content-Length: 5", CHUNKED, body=b"1\r\na\r\n0\r\n\r\n"), 400),
        (put_with(CHUNKED, "Content-Length: 5", body=b"1\r\na\r\n0\r\n\r\n"), 400),
        (put_with("Content-Length: 1", "Content-Length: 2", body=b"ab"), 400),
        (put_with("Content-Length: 1, 1", body=b"a"), 400),
        (put_with("Content-Length: +1", body=b"a"), 400),
        (put_with("Content-Length: 0x1", body=b"a"), 400),
        (put_with("Content-Length: -1"), 400),
        (put_with("Content-Length: 99999999999999999999999"), 400),
        (put_with("Transfer-Encoding : chunked", body=b"1\r\na\r\n0\r\n\r\n"), 400),
        (put_with("Transfer-Encoding: gzip, chunked", body=b"1\r\na\r\n0\r\n\r\n"), 501),
        (put_with("Transfer-Encoding: chunked, gzip", body=b"1\r\na\r\n0\r\n\r\n"), 400),
        (put_with("Transfer-Encoding: xchunked", body=b"1\r\na\r\n0\r\n\r\n"), 400),
        (put_with(CHUNKED, "Transfer-Encoding: identity", body=b"1\r\na\r\n0\r\n\r\n"), 400),
        (b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n", 400),
        (b"GET /v1/kv/a HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /v1/kv/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /v1/kv/a HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400),
        (b"GET /v1/kv/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        # Chunks that are none.
        (put_with(CHUNKED, body=b"-1\r\na"), 400),
        (put_with(CHUNKED, body=b"fffffffffffffffff\r\na"), 400),
        (put_with(CHUNKED, body=b"1\r\nabc\r\n0\r\n\r\n"), 400),
        (put_with(CHUNKED, body=b"1\na\n0\n\n"), 400),
        # And what is well-formed, if rare.
        (put_with(CHUNKED, body=b'1;a="b;c"\r\na\r\n0;x\r\n\r\n'), 200),
        (put_with(CHUNKED, "Trailer: X-A", body=b"1\r\na\r\n0\r\nX-A: b\r\n\r\n"), 200),
        (put_with("Transfer-Encoding: Chunked", body=b"1\r\na\r\n0\r\n\r\n"), 200),
        (put_with("Expect: 100-Continue", "Content-Length: 1"), 100),
        (put_with("Expect: a-cup-of-tea", "Content-Length: 1", body=b"a"), 417),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"CONNECT h:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/1.0\r\n\r\n", 200),
        (b"GET http://h/livez HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("PUT /v1/kv/ä HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode(), 200),
        (b"PUT /v1/kv/\xff HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n\xff", 200),
        (b"\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ],
)
def test_framing(data: bytes, status: int) -> None:
    """What is ambiguous or malformed is refused, what is merely rare is done."""

    async def scenario(client: Client) -> None:
        assert status == await status_of(client, data)

    serve(scenario)


def test_key_beyond_ascii_is_taken_as_it_comes() -> None:
    """A path that is sent as it is means the same as one with its bytes escaped, as curl and others send it."""

    async def scenario(client: Client) -> None:
        head = "PUT /v1/kv/ä HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n".encode()
        assert b"true" == (await client.ask(head + b"\xff\xfe"))[2]
        assert b"\xff\xfe" == (await client.ask(get("/v1/kv/%C3%A4?raw")))[2]

    serve(scenario)


def test_upgrade_is_declined_and_harms_no_later_request() -> None:
    """Nobody changes to another protocol: the request is answered, and the client is told to connect anew."""

    async def scenario(client: Client) -> None:
        headers = (
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        )
        status, answered, _ = await client.ask(get("/livez", *headers))
        assert (200, "close") == (status, answered["connection"].lower())
        assert b"" == await client.reader.read()

    serve(scenario)


def test_old_client_may_keep_its_connection() -> None:
    """HTTP/1.0 closes after the answer, unless the client asks for something else."""

    async def scenario(client: Client) -> None:
        head = b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        for _ in range(2):
            assert (200, b"ok") == ((answer := await client.ask(head))[0], answer[2])
        assert b"ok" == (await client.ask(b"GET /livez HTTP/1.0\r\n\r\n"))[2]
        assert b"" == await client.reader.read()

    serve(scenario)


def test_slow_head_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that does not come to its end is 408 after a while; one that is slow within a request that is, is not."""
    monkeypatch.setattr(connection, "HEAD_S", 0.1)

    async def scenario(client: Client) -> None:
        assert 200 == (await client.ask(get("/livez")))[0]
        client.send(b"GET /livez HTTP/1.1\r\n")
        assert b"HTTP/1.1 408 Request Timeout" in await client.reader.read()

    serve(scenario)


def test_slow_body_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that stops coming is 408; one that keeps coming, however slowly, is taken."""
    monkeypatch.setattr(listener_module, "BODY_PAUSE_S", 0.3)

    async def scenario(client: Client) -> None:
        client.send(put("/v1/kv/a", b"12345678")[:-4])
        for byte in b"5678":
            await asyncio.sleep(0.1)
            client.send(bytes((byte,)))
        assert b"true" == (await client.answer())[2]
        client.send(put("/v1/kv/a", b"12345678")[:-4])
        assert 408 == (await client.answer())[0]

    serve(scenario)


def test_head_is_bounded() -> None:
    """One header, their number, and all together have a limit; none of it is kept."""

    async def scenario(client: Client) -> None:
        data = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"".join(
            b"X-%d: %s\r\n" % (n, b"a" * 60_000) for n in range(50)
        )
        assert 431 == await status_of(client, data)

    async def one(client: Client) -> None:
        assert 400 == await status_of(client, get("/livez", "X: " + "a" * 100_000))

    async def many(client: Client) -> None:
        assert 400 == await status_of(client, get("/livez", *(f"X-{n}: a" for n in range(500))))

    for scenario_ in (scenario, one, many):
        serve(scenario_)


def test_archives_are_not_compressed_again() -> None:
    """What is gzip already goes as it is, also to clients that would take it compressed."""

    async def scenario(client: Client) -> None:
        await client.ask(put("/v1/kv/a", b"x" * 2000))
        status, headers, body = await client.ask(get("/v1/snapshot", "Accept-Encoding: gzip"))
        assert (200, "application/x-gzip") == (status, headers["content-type"])
        assert "content-encoding" not in headers
        assert b"raftreg state" in gzip.decompress(body)

    serve(scenario)


def test_waiters_of_clients_that_went_are_gone() -> None:
    """Blocking queries of clients that closed their connections hold nothing any more."""

    async def main() -> tuple[int, int]:
        api = await start_api()
        listener = Listener(api.answer, body_limit(), "127.0.0.1", 0, eager=EAGER)
        await listener.start()
        index = (await api.call("GET", "/v1/kv/a")).headers["X-Consul-Index"]
        clients = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(50)]
        for _, writer in clients:
            writer.write(get(f"/v1/kv/a?index={index}&wait=60s"))
        await until(lambda: len(api.watch) == 1)
        for _, writer in clients:
            writer.close()
        await until(lambda: len(api.watch) == 0)
        await listener.stop(1.0)
        return len(clients), len(api.watch)

    assert (50, 0) == asyncio.run(main())


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
def test_bodies_of_any_bytes_in_any_pieces_are_kept(pause_s: float) -> None:
    """Whatever is in a body, and wherever it is cut, it is stored as it was sent: also what looks like a request."""
    line = "GET /v1/kv/ä HTTP/1.1\r\n".encode()
    value = (line + bytes(range(256)) + b"\r\n") * 200

    async def scenario(client: Client) -> None:
        head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(value)
        client.send(head)
        for at in range(0, len(value), 9973):
            await asyncio.sleep(pause_s)
            client.send(value[at : at + 9973])
            await client.writer.drain()
        assert b"true" == (await client.answer())[2]
        assert value == (await client.ask(get("/v1/kv/a?raw")))[2]

    serve(scenario)


def test_more_requests_than_are_read_ahead_are_all_answered() -> None:
    """Hundreds of requests may be sent at once; they are answered one after the other."""

    async def scenario(client: Client) -> None:
        client.send(get("/livez") * 500)
        for _ in range(500):
            assert b"ok" == (await client.answer())[2]

    serve(scenario)
