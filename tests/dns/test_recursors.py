"""Questions about other domains, with a name server of the test's own to ask."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from raftreg.dns import recursors
from tests.dev_node import DevNode
from tests.dns.messages import Message, encode_name, make_query, parse
from tests.e2e.cluster import request

Respond = Callable[[bytes], list[bytes]]


def _bind_both() -> tuple[socket.socket, socket.socket]:
    """A socket for datagrams and one for streams on the same port."""
    while True:
        stream = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(stream.getsockname())
        except OSError:
            udp.close()
            stream.close()
        else:
            return udp, stream


@contextmanager
def name_server(respond: Respond, *, tcp: bytes | None = None) -> Iterator[str]:
    """A server that answers each datagram with what `respond` makes of it, and each stream with `tcp`; its address."""
    udp, stream = _bind_both()
    port = udp.getsockname()[1]
    with udp, stream:

        def serve_datagrams() -> None:
            while True:
                query, client = udp.recvfrom(65535)
                if query == b"stop":
                    return
                for answer in respond(query):
                    udp.sendto(answer, client)

        def serve_streams() -> None:
            while tcp is not None:
                connection, _ = stream.accept()
                with connection:
                    query = connection.recv(65535)[2:]
                    if not query:
                        return
                    answer = query[:2] + tcp[2:]
                    connection.sendall(len(answer).to_bytes(2) + answer)

        threads = [threading.Thread(target=target) for target in (serve_datagrams, serve_streams)]
        for thread in threads:
            thread.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            udp.sendto(b"stop", ("127.0.0.1", port))
            socket.create_connection(("127.0.0.1", port)).close()
            for thread in threads:
                thread.join(20)


def _answer(query: bytes, address: str = "192.0.2.1", flags: bytes = b"\x81\x80") -> bytes:
    """An A record under the name that was asked, behind an alias."""
    end = query.index(b"\0", 12) + 5
    target = encode_name("real.example.com")
    records = b"\xc0\x0c\0\5\0\1\0\0\0\x09" + len(target).to_bytes(2) + target
    records += target + b"\0\1\0\1\0\0\0\x09\0\4" + socket.inet_aton(address)
    return query[:2] + flags + b"\0\1\0\2\0\0\0\0" + query[12:end] + records


def _ask(node: DevNode, name: str, kind: str = "A", *, tcp: bool = False) -> Message:
    query = make_query(name, kind)
    if tcp:
        with socket.create_connection(("127.0.0.1", node.dns_port), timeout=20) as stream:
            stream.sendall(len(query).to_bytes(2) + query)
            size = int.from_bytes(stream.recv(2, socket.MSG_WAITALL))
            return parse(stream.recv(size, socket.MSG_WAITALL))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.sendto(query, ("127.0.0.1", node.dns_port))
        return parse(sock.recv(65535))


FOUND = ["www.example.com. 9 CNAME real.example.com.", "real.example.com. 9 A 192.0.2.1"]


def test_other_domains_and_unknown_addresses_are_asked_for_elsewhere() -> None:
    """The answer comes as it is; the zone is still answered here, and says that there is recursion."""
    with name_server(lambda query: [_answer(query)]) as server, DevNode(**{"dns-recursors": server}) as node:
        assert FOUND == _ask(node, "www.example.com").answer
        assert FOUND == _ask(node, "www.example.com", tcp=True).answer
        assert 2 == len(_ask(node, "9.9.9.9.in-addr.arpa", "PTR").answer)
        own = _ask(node, "none.service.consul")
        assert ("NXDOMAIN", "qr aa rd ra") == (own.rcode, own.flags)


def test_a_host_name_is_resolved_for_those_who_cannot() -> None:
    """What the last name of an answer stands for elsewhere is added to it."""
    with name_server(lambda query: [_answer(query)]) as server, DevNode(**{"dns-recursors": server}) as node:
        body = b'{"Node": "n", "Address": "10.0.0.1", "Service": {"Service": "web", "Address": "www.example.com"}}'
        assert 200 == request(node.port, "PUT", "/v1/catalog/register", body).status
        expected = ["web.service.consul. 0 CNAME www.example.com.", *FOUND]
        assert expected == _ask(node, "web.service.consul").answer


def test_the_first_server_that_answers_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence, and answers to something else, are passed over; without any answer it is SERVFAIL."""
    monkeypatch.setattr(recursors, "TIMEOUT_S", 0.3)

    def forged(query: bytes) -> list[bytes]:
        wrong_number = bytes((query[0] ^ 1,)) + query[1:]
        return [_answer(wrong_number, "192.0.2.66"), _answer(make_query("x.example")), b"", query]

    with name_server(forged) as bad, name_server(lambda query: [_answer(query)]) as good:
        with DevNode(**{"dns-recursors": f"{bad},{good}"}) as node:
            assert FOUND == _ask(node, "www.example.com").answer
        with DevNode(**{"dns-recursors": bad}) as node:
            answer = _ask(node, "www.example.com")
            assert ("SERVFAIL", "qr rd ra") == (answer.rcode, answer.flags)


def test_an_answer_that_was_cut_off_is_fetched_over_tcp_for_tcp() -> None:
    """A client over UDP gets the cut one, with its flag, and asks again itself."""
    whole = _answer(make_query("www.example.com"))

    def cut(query: bytes) -> list[bytes]:
        return [query[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + query[12:]]

    with name_server(cut, tcp=whole) as server, DevNode(**{"dns-recursors": server}) as node:
        assert "qr tc rd ra" == _ask(node, "www.example.com").flags
        assert FOUND == _ask(node, "www.example.com", tcp=True).answer
