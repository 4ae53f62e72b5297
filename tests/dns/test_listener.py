"""DNS of a node over real sockets."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from raftreg.clock import SystemClock
from raftreg.config import load
from raftreg.dns import listener as listening
from raftreg.errors import StartRefused
from raftreg.server import Server
from tests.dev_node import DevNode
from tests.dns.messages import Message, make_query, parse
from tests.e2e.cluster import request, wait_until


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    """A node with a service."""
    with DevNode(node="n1") as node:
        _register(node)
        yield node


def _register(node: DevNode) -> None:
    body = b'{"Node": "web-1", "Address": "10.0.0.1", "Service": {"Service": "web", "Port": 80}}'
    assert 200 == request(node.port, "PUT", "/v1/catalog/register", body).status


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _framed(query: bytes) -> bytes:
    return len(query).to_bytes(2) + query


def _read(sock: socket.socket) -> bytes:
    """One answer from a stream; b"" at its end."""
    size = _read_exactly(sock, 2)
    return _read_exactly(sock, int.from_bytes(size)) if size else b""


def _read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            assert not data, "the stream ended within a message"
            return b""
        data += part
    return data


def ask_udp(port: int, query: bytes) -> Message:
    """The answer to one datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.sendto(query, ("127.0.0.1", port))
        return parse(sock.recv(65535))


def test_datagrams_and_streams_are_answered_on_one_port(node: DevNode) -> None:
    """With the same records; the metrics count both by code."""
    query = make_query("web.service.consul")
    assert ["web.service.consul. 0 A 10.0.0.1"] == ask_udp(node.dns_port, query).answer
    with _connect(node.dns_port) as sock:
        sock.sendall(_framed(query))
        assert ["web.service.consul. 0 A 10.0.0.1"] == parse(_read(sock)).answer
    metrics = request(node.port, "GET", "/v1/agent/metrics?format=prometheus").text
    for protocol in ("udp", "tcp"):
        assert f'raftreg_dns_questions_total{{protocol="{protocol}",rcode="NOERROR"}}' in metrics


def test_a_stream_carries_several_questions(node: DevNode) -> None:
    """Sent at once, and in pieces of one byte; they are answered in their order."""
    names = ("web.service.consul", "none.service.consul", "web-1.node.consul")
    stream = b"".join(_framed(make_query(name)) for name in names)
    for size in (len(stream), 1):
        with _connect(node.dns_port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(stream), size):
                sock.sendall(stream[at : at + size])
            assert ["NOERROR", "NXDOMAIN", "NOERROR"] == [parse(_read(sock)).rcode for _ in names]


def test_a_stream_with_something_else_in_it_does_no_harm(node: DevNode) -> None:
    """A malformed question is FORMERR and the next one is answered; scraps end the connection."""
    with _connect(node.dns_port) as sock:
        sock.sendall(_framed(b"\x12\x34\1\0" + b"\0" * 8) + _framed(make_query("web.service.consul")))
        assert ["FORMERR", "NOERROR"] == [parse(_read(sock)).rcode for _ in range(2)]
        sock.sendall(_framed(b"GET"))
        assert b"" == _read(sock)
    assert "NOERROR" == ask_udp(node.dns_port, make_query("web.service.consul")).rcode


def test_silent_streams_are_closed(node: DevNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that stop within a question; others are answered meanwhile."""
    monkeypatch.setattr(listening, "IDLE_S", 0.3)
    with _connect(node.dns_port) as silent, _connect(node.dns_port) as slow:
        slow.sendall(b"\0\x20\x12\x34")
        assert "NOERROR" == ask_udp(node.dns_port, make_query("web.service.consul")).rcode
        assert b"" == _read(silent)
        assert b"" == slow.recv(10)


def test_who_does_not_read_is_cut_off(node: DevNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are not taken fill no memory: their connection ends."""
    monkeypatch.setattr(listening, "WRITE_S", 0.3)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", node.dns_port))
        with pytest.raises(ConnectionError):
            _send_without_end(sock, _framed(make_query("consul", "SOA")) * 1000)
    assert "NOERROR" == ask_udp(node.dns_port, make_query("web.service.consul")).rcode


def _send_without_end(sock: socket.socket, data: bytes) -> None:
    while True:
        sock.sendall(data)


def test_streams_are_bounded_in_number(node: DevNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed at once, and there is room again when another one goes."""
    monkeypatch.setattr(listening, "CONNECTIONS_MAX", 2)
    query = _framed(make_query("web.service.consul"))
    with _connect(node.dns_port) as one, _connect(node.dns_port) as two:
        for sock in (one, two):
            sock.sendall(query)
            assert _read(sock)
        with _connect(node.dns_port) as three:
            assert _is_closed(three)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with _connect(node.dns_port) as sock:
            if not _is_closed(sock, query):
                return
    raise AssertionError("no room again")


def _is_closed(sock: socket.socket, query: bytes = b"") -> bool:
    try:
        sock.sendall(query)
        return not _read(sock)
    except ConnectionError:
        return True


def test_a_flood_of_datagrams_is_outlived(node: DevNode) -> None:
    """What a thousand questions cost leaves the API reachable, and the next question is answered.

    How many of the thousand are lost in the buffers of the kernel is nobody's promise.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect(("127.0.0.1", node.dns_port))
        sender = threading.Thread(
            target=lambda: [sock.send(make_query("web.service.consul")) for _ in range(1000)]
        )
        sender.start()
        assert 200 == request(node.port, "GET", "/livez").status
        assert len(sock.recv(65535)) > 12
        sender.join()
    assert wait_until("an answer after the flood", lambda: _asked_once(node.dns_port))


def _asked_once(port: int) -> bool:
    """Whether one question is answered within a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect(("127.0.0.1", port))
        sock.send(make_query("web.service.consul"))
        try:
            return len(sock.recv(65535)) > 12
        except TimeoutError:
            return False


def test_a_taken_port_is_refused_where_it_was_asked_for() -> None:
    """For streams as well as for datagrams; the line names setting and address."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as holder:
            holder.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                holder.listen()
            port = holder.getsockname()[1]
            said = rf"DNS \(--dns\): 127.0.0.1:{port} is taken"
            with pytest.raises(StartRefused, match=said), DevNode(dns=f"127.0.0.1:{port}"):
                pass


def test_a_node_goes_on_without_dns_that_nobody_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """Where the usual port is taken, a line in the log says so."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        flags = {"http": "127.0.0.1:0", "dns": f"127.0.0.1:{holder.getsockname()[1]}"}
        config = replace(load(flags, {}, in_dev=True), dns_is_given=False)

        async def dns_port() -> int:
            async with Server(config, SystemClock(), raise_it) as server:
                return server.dns_port

        assert 0 == asyncio.run(dns_port())
    assert "this node goes on without DNS" in caplog.text


def raise_it(error: BaseException) -> None:
    """For what must not happen."""
    raise error


def test_dns_may_be_off() -> None:
    """Then nothing listens, and all else works."""
    with DevNode(dns="off") as node:
        assert 0 == node.dns_port
        assert 200 == request(node.port, "GET", "/readyz").status
