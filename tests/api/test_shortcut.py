"""Requests that pass by aiohttp are answered as aiohttp answers them, whatever comes, in whatever pieces."""

import asyncio
import re
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.api import connection
from raftreg.api.dispatch import body_limit
from raftreg.api.heads import HEADS_MAX
from raftreg.api.http import Request, Response
from raftreg.api.listener import Listener
from raftreg.api.render import text_response
from raftreg.api.routes import EAGER, EAGER_BODY_MAX, ROUTES
from raftreg.api.whole import one_piece
from tests.api.local_api import start_api, until
from tests.api.test_listener import Client, get, put, serve

DATE = re.compile(rb"Date: [^\r]+\r\n")
EVERYTHING = ("/",)
TURNS = 12  # of the loop, in which whatever does not wait is answered


class Wire(asyncio.Transport):
    """The client's side of a connection in memory."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.answers = b""
        self.closed = self.paused = self.is_slow = False
        self._protocol = protocol
        self._unread: deque[bytes] = deque()
        protocol.connection_made(self)

    def say(self, data: bytes) -> None:
        """What the client sends, delivered while the server reads."""
        self._unread.append(data)
        self._deliver()

    def hang_up(self) -> None:
        """The client goes."""
        self.closed = True
        self._protocol.connection_lost(None)

    def _deliver(self) -> None:
        while self._unread and not self.paused and not self.closed:
            self._protocol.data_received(self._unread.popleft())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self.answers += bytes(data)

    def get_write_buffer_size(self) -> int:
        return int(self.is_slow)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        asyncio.get_running_loop().call_soon(self._deliver)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def echo(request: Request) -> Response:
    """What arrived; a path with `wait` in it takes some turns of the loop."""
    if "wait" in request.path:
        for _ in range(3):
            await asyncio.sleep(0)
    shown = [request.method, request.path, request.query.text, sorted(request.headers.items()), request.body]
    return text_response(200, repr(shown))


async def listening(eager: tuple[str, ...], answer: object = echo) -> Listener:
    """A listener with this answer to everything."""
    listener = Listener(answer, body_limit(), "127.0.0.1", 0, eager=eager)  # type: ignore[arg-type]
    await listener.start()
    return listener


async def turns(count: int = TURNS) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def conversation(
    eager: tuple[str, ...], clients: list[list[tuple[bytes, int]]]
) -> list[tuple[bytes, bool]]:
    """What each client in turn hears, and whether it was sent away; they say pieces and pause for some turns."""
    listener = await listening(eager)
    heard = []
    for pieces in clients:
        wire = Wire(listener.connect())
        await turns()
        for data, pause in pieces:
            wire.say(data)
            await turns(pause)
        await turns(200)
        heard.append((DATE.sub(b"", wire.answers), wire.closed))
        wire.hang_up()
    await listener.stop(1.0)
    return heard


def said(
    method: bytes, target: bytes, *lines: bytes, body: bytes | None = None, version: bytes = b"1.1"
) -> bytes:
    """A request."""
    length = () if body is None else (b"Content-Length: %d" % len(body),)
    return b"\r\n".join((b"%s %s HTTP/%s" % (method, target, version), *lines, *length, b"", b"")) + (
        body or b""
    )


HOST = b"Host: a"
USUAL = (
    said(b"GET", b"/a", HOST),
    said(b"GET", b"/wait?index=1", HOST),
    said(b"PUT", b"/a", HOST, body=b"abc"),
    said(b"PUT", b"/wait", HOST, body=b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
    said(b"DELETE", b"/%61//b/../%", HOST, b"Connection: keep-alive"),
    said(b"POST", b"/a", HOST, b"Accept-Encoding: gzip", body=bytes(300)),
)
UNUSUAL = (
    said(b"GET", b"/a", HOST, b"Connection: close"),
    said(b"GET", b"/wait", HOST, b"Connection: close"),
    said(b"GET", b"/a", HOST, b"Connection: Upgrade", b"Upgrade: h2c"),
    said(b"PUT", b"/a", HOST, b"Expect: 100-continue", body=b"abc"),
    said(b"PUT", b"/a", HOST, b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    said(b"GET", b"/a", HOST, version=b"1.0"),
    said(b"GET", b"/a", HOST, b"Connection: keep-alive", version=b"1.0"),
    said(b"HEAD", b"/a", HOST),
    said(b"OPTIONS", b"*", HOST),
    said(b"GET", b"http://h/a", HOST),
    said(b"GET", b"/a#f", HOST),
    said(b"GET", b"/\xc3\xa4", HOST),
    said(b"GET", b"/a", HOST, b"X: \xc3\xa4"),
    said(b"GET", b"/a", HOST, b"X: 1", b" folded"),
    said(b"GET", b"/a", b"X: 1"),
    said(b"GOT", b"/a", HOST),
    said(b"PUT", b"/a", HOST, b"Content-Length: 3", body=b"abc"),
    b"\r\n" + USUAL[0],
    USUAL[0].replace(b"\r\n", b"\n"),
    b"garbage\r\n\r\n",
)


@st.composite
def sayings(draw: st.DrawFn) -> list[tuple[bytes, int]]:
    """Requests, one in a piece, several in one, or cut anywhere; with pauses."""
    chosen = draw(st.lists(st.sampled_from(USUAL * 5 + UNUSUAL), min_size=1, max_size=5))
    pieces: list[bytes] = [b""]
    for request in chosen:
        how = draw(st.sampled_from(["alone", "alone", "joined", "cut", "joined and cut"]))
        cut = draw(st.integers(1, len(request) - 1)) if "cut" in how else len(request)
        if "joined" in how:
            pieces[-1] += request[:cut]
        else:
            pieces.append(request[:cut])
        pieces += [request[cut:]] if cut < len(request) else []
    return [(piece, draw(st.sampled_from([0, 0, 1, 4, TURNS, TURNS]))) for piece in pieces if piece]


@given(st.lists(sayings(), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_the_shortcut_answers_as_the_long_way(clients: list[list[tuple[bytes, int]]]) -> None:
    """Byte for byte the same, Date aside, in the same order, and the same clients are sent away."""
    taught = [[(request, TURNS)] for request in USUAL + UNUSUAL]
    expected = asyncio.run(conversation((), clients))
    assert expected == asyncio.run(conversation(EVERYTHING, taught + clients))[len(taught) :]


PART = b"PUT /a HTTP/1.1\r\nX: "  # the next header, Host, is that of whatever follows
FRESH = said(b"PUT", b"/a", HOST, b"X: fresh", body=USUAL[0])


@pytest.mark.parametrize(
    "pieces",
    [
        [(PART, TURNS), (USUAL[0], TURNS), (USUAL[0], TURNS)],
        [(USUAL[0] + PART, TURNS), (USUAL[0], TURNS), (USUAL[0], TURNS)],
        [(USUAL[0] + PART, TURNS), (USUAL[2], TURNS), (USUAL[0], TURNS)],
        [(FRESH, 0), (USUAL[0], TURNS)],
        [(FRESH[: -len(USUAL[0])], TURNS), (USUAL[0], TURNS), (USUAL[0], TURNS)],
        [(FRESH[: -len(USUAL[0])], TURNS), (USUAL[0] * 2, TURNS), (USUAL[0], TURNS)],
    ],
)
def test_what_looks_like_a_request_within_another_is_none(pieces: list[tuple[bytes, int]]) -> None:
    """Bytes that are a known request mean nothing while the parser stands in the middle of another one."""
    taught = [[(request, TURNS)] for request in USUAL]
    clients = [pieces, [(USUAL[0], TURNS)], [(USUAL[2], TURNS)]]
    expected = asyncio.run(conversation((), clients))
    assert expected == asyncio.run(conversation(EVERYTHING, taught + clients))[len(taught) :]


async def known(listener: Listener, *sent: bytes) -> Wire:
    """A client whose requests are known by now; what it heard is forgotten."""
    wire = Wire(listener.connect())
    await turns()
    for data in sent:
        wire.say(data)
        await turns()
    wire.answers = b""
    return wire


def test_what_need_not_wait_is_answered_at_once() -> None:
    """The answer is written before the loop turns, on any connection, once the head was seen on one of them."""

    async def main() -> None:
        listener = await listening(EVERYTHING)
        await known(listener, *USUAL)
        other = Wire(listener.connect())
        await turns()
        for request in USUAL:
            heard = len(other.answers)
            other.say(request)
            assert (b" /wait" not in request) == (len(other.answers) > heard)
            await turns()
        await listener.stop(1.0)

    asyncio.run(main())


@pytest.mark.parametrize("why", ["slow", "not eager", "too large", "unknown aiohttp"])
def test_what_is_not_surely_simple_goes_the_long_way(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow clients, other routes, large bodies, and all requests if aiohttp is not the one that is known."""
    if why == "unknown aiohttp":
        monkeypatch.setattr(connection, "_START", connection._UNKNOWN)
    body = b"x" * (EAGER_BODY_MAX + (why == "too large"))
    request = said(b"PUT", b"/a", HOST, body=body)

    async def main() -> None:
        listener = await listening(("/b",) if why == "not eager" else EVERYTHING)
        wire = await known(listener, request)
        wire.is_slow = why == "slow"
        wire.say(request)
        assert b"" == wire.answers
        await turns()
        assert wire.answers.startswith(b"HTTP/1.1 200 OK\r\n")
        await listener.stop(1.0)

    asyncio.run(main())


def test_client_that_goes_away_cancels_what_waits() -> None:
    """As on the long way, nobody works for a client that closed its connection."""
    begun, cancelled = 0, 0

    async def answer(request: Request) -> Response:
        nonlocal begun, cancelled
        begun += 1
        try:
            await asyncio.sleep(60.0 if begun > 1 else 0.0)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return text_response(200, "")

    async def main() -> None:
        listener = await listening(EVERYTHING, answer)
        for pause in (0, TURNS):
            wire = await known(listener, USUAL[0]) if begun == 0 else Wire(listener.connect())
            await turns()
            wire.say(USUAL[0])
            await turns(pause)
            wire.hang_up()
            await turns()
            assert b"" == wire.answers
        await listener.stop(1.0)

    asyncio.run(main())
    # Whoever goes before its task's first step ends as well: what is not run on is closed.
    assert (3, 1) == (begun, cancelled)


@pytest.mark.parametrize("ends", [True, False])
def test_a_stop_gives_the_requests_in_hand_their_time(ends: bool) -> None:
    """What ends within the grace is answered, then the connection is closed; what does not is cancelled."""
    go_on = asyncio.Event()
    seen = []

    async def answer(request: Request) -> Response:
        seen.append(request)
        if len(seen) > 1:
            await go_on.wait()
        return text_response(200, "done")

    async def main() -> None:
        listener = await listening(EVERYTHING, answer)
        wire = await known(listener, USUAL[0])
        wire.say(USUAL[0])
        stopping = asyncio.ensure_future(listener.stop(20.0 if ends else 0.05))
        await asyncio.sleep(0.1)
        assert not ends or not stopping.done()
        if ends:
            go_on.set()
        await asyncio.wait_for(stopping, 20)
        assert (ends, True) == (wire.answers.endswith(b"done"), wire.closed)

    asyncio.run(main())


def test_only_idle_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an idle connection begins with the last answer; one whose request waits is not idle."""
    release = asyncio.Event()

    async def answer(request: Request) -> Response:
        if request.path == "/wait":
            await release.wait()
        return text_response(200, "done")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        later = 0.0
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + later)
        listener = await listening(EVERYTHING, answer)
        wire = await known(listener, USUAL[0])
        for _ in range(4):
            later += 100.0
            await turns()
            wire.say(USUAL[0])
        assert not wire.closed
        wire.say(USUAL[1])
        for _ in range(4):
            later += 100.0
            await turns()
        assert not wire.closed
        release.set()
        await until(lambda: wire.answers.count(b"done") == 5)
        for _ in range(4):
            later += 100.0
            await turns()
        assert wire.closed
        await listener.stop(1.0)

    asyncio.run(main())


def test_client_that_does_not_wait_is_read_no_further() -> None:
    """Behind a request that waits only so much is taken; when it is answered the rest is, too."""
    release = asyncio.Event()

    async def answer(request: Request) -> Response:
        if request.path == "/wait":
            await release.wait()
        return text_response(200, "done")

    async def main() -> None:
        listener = await listening(EVERYTHING, answer)
        release.set()
        wire = await known(listener, *USUAL)
        release.clear()
        wire.say(USUAL[1])
        for _ in range(100):
            wire.say(USUAL[0])
        assert wire.paused
        await turns()
        assert b"" == wire.answers
        release.set()
        await until(lambda: wire.answers.count(b"done") == 101)
        assert not wire.paused
        await listener.stop(1.0)

    asyncio.run(main())


def test_answer_that_fails_costs_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """What answers requests raises nothing; should it, the client is sent away and the log says why."""

    async def answer(request: Request) -> Response:
        if request.path == "/wait":
            await asyncio.sleep(0)
        if request.body == b"abc":
            raise RuntimeError("a bug")
        return text_response(200, "done")

    async def main() -> None:
        listener = await listening(EVERYTHING, answer)
        taught = [said(b"PUT", target, HOST, body=b"xyz") for target in (b"/a", b"/wait")]
        for request in taught:
            wire = await known(listener, *taught)
            wire.say(request.replace(b"xyz", b"abc"))
            await turns()
            assert (b"", True) == (wire.answers, wire.closed)
        await listener.stop(1.0)

    asyncio.run(main())
    assert ["a request failed unexpectedly"] * 2 == [record.getMessage() for record in caplog.records]


def test_kept_heads_are_bounded() -> None:
    """Clients that never send the same head twice make it forget, not grow."""

    async def main() -> None:
        listener = await listening(EVERYTHING)
        wire = await known(
            listener, *(said(b"GET", b"/a", HOST, b"X: %d" % number) for number in range(HEADS_MAX + 1))
        )
        wire.say(said(b"GET", b"/a", HOST, b"X: %d" % HEADS_MAX))
        assert b"" != wire.answers
        wire.answers = b""
        wire.say(said(b"GET", b"/a", HOST, b"X: 0"))
        assert b"" == wire.answers
        await turns()
        assert b"" != wire.answers
        await listener.stop(1.0)

    asyncio.run(main())


def test_eager_routes_take_what_the_shortcut_takes() -> None:
    """No route that is answered eagerly has a smaller limit for its body, and each prefix names some route."""
    for prefix in EAGER:
        below = [route for route in ROUTES if route.path.startswith(prefix)]
        assert below
        assert all(route.body_max >= EAGER_BODY_MAX for route in below)


def test_the_whole_api_takes_the_shortcut() -> None:
    """Writes, reads and blocking queries over a real socket, twice each: the second time past aiohttp."""

    async def scenario(client: Client) -> None:
        for number in range(1, 4):
            assert b"true" == (await client.ask(put("/v1/kv/a", b"%d" % number)))[2]
            status, headers, body = await client.ask(get("/v1/kv/a?raw"))
            assert (200, b"%d" % number) == (status, body)
            index = headers["x-consul-index"]
            assert b"%d" % number == (await client.ask(get(f"/v1/kv/a?raw&index={index}&wait=10ms")))[2]
            assert 404 == (await client.ask(get("/v1/kv/none")))[0]
            assert 200 == (await client.ask(get("/v1/health/service/none")))[0]
            assert 400 == (await client.ask(get("/v1/kv/")))[0]
            assert 301 == (await client.ask(get("/v1/kv//a")))[0]

    serve(scenario)


def test_watchers_past_aiohttp_are_woken() -> None:
    """A blocking query that waits is answered when its key changes."""

    async def main() -> None:
        api = await start_api()
        listener = Listener(api.answer, body_limit(), "127.0.0.1", 0, eager=EAGER)
        await listener.start()
        wire = await known(listener, get("/v1/kv/a"))
        index = (await api.call("GET", "/v1/kv/a")).headers["X-Consul-Index"]
        wire.say(get(f"/v1/kv/a?raw&index={index}&wait=60s"))
        await until(lambda: len(api.watch) == 1)
        await api.call("PUT", "/v1/kv/a", b"new")
        await until(lambda: wire.answers.endswith(b"new"))
        assert 0 == len(api.watch)
        await listener.stop(1.0)

    asyncio.run(main())


@pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A": "b\nC: d"}, {"A\r\nC": "d"}])
def test_headers_cannot_bring_others_with_them(headers: dict[str, str]) -> None:
    """A line break in a header is a bug that is found, not an answer with more headers."""
    assert one_piece(200, {}, b"").endswith(b"GMT\r\nContent-Length: 0\r\n\r\n")
    assert one_piece(200, {"A": "b"}, b"").startswith(b"HTTP/1.1 200 OK\r\nA: b\r\nDate: ")
    with pytest.raises(ValueError, match="line break"):
        one_piece(200, headers, b"")
