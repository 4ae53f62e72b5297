"""gRPC probes of a health server that speaks HTTP/2 by h2, as the probe does, and of what is none."""

import asyncio
import ssl

import h2.config
import h2.connection
import h2.events
import pytest

from raftreg.checks import grpc
from raftreg.checks.kinds import ProbeSettings
from raftreg.checks.outcome import Outcome
from tests.checks.targets import CERTIFICATE, Target, answer, probed, run

# By name: the status of the response, or the code and message of a failure.
SERVICES = {"": 1, "web": 1, "down": 2, "odd": (5, "unknown%20service"), "silent": None}


class HealthServer(asyncio.Protocol):
    """Answers Check for the service it is asked for: its status, or an error."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak HTTP/2."""
        self.transport = transport
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Send what waits."""
        self.transport.write(self.connection.data_to_send())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Answer a whole request."""
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                body = bytes(event.data or b"")
                assert len(body) == 5 + int.from_bytes(body[1:5])
                self.answer(event.stream_id, body[7:].decode())
        self.flush()

    def answer(self, stream: int, service: str) -> None:
        """What is known of the service."""
        known = SERVICES[service]
        if known is None:
            return
        self.connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        code, message = known if isinstance(known, tuple) else (0, "")
        if isinstance(known, int):
            self.connection.send_data(stream, b"\x00\x00\x00\x00\x02\x08" + bytes((known,)))
        trailers = [("grpc-status", str(code)), ("grpc-message", message)]
        self.connection.send_headers(stream, trailers, end_stream=True)


@pytest.mark.parametrize(
    ("service", "status", "output"),
    [
        ("", "passing", "gRPC check {}: success"),
        ("/web", "passing", "gRPC check {}: success"),
        ("/down", "critical", "gRPC application didn't report service healthy"),
        ("/odd", "critical", "rpc error: code = NotFound desc = unknown service"),
        ("/silent", "critical", "rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
    ],
)
def test_serving_passes_and_all_else_is_critical(service: str, status: str, output: str) -> None:
    """The service after the slash is asked for; errors are in the words of gRPC."""

    async def scenario() -> None:
        server = await asyncio.get_running_loop().create_server(HealthServer, "127.0.0.1", 0)
        async with server:
            target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}{service}"
            timeout_s = 0.5 if service == "/silent" else 15.0
            outcome = await probed("grpc", timeout_s=timeout_s, GRPC=target)
        assert (status, output.format(target)) == (outcome.status, outcome.output)

    run(scenario)


def test_grpc_over_tls() -> None:
    """GRPCUseTLS verifies as HTTPS does."""

    async def scenario() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
        context.set_alpn_protocols(["h2"])
        server = await asyncio.get_running_loop().create_server(HealthServer, "127.0.0.1", 0, ssl=context)
        async with server:
            target = f"localhost:{server.sockets[0].getsockname()[1]}"
            unknown = await probed("grpc", GRPC=target, GRPCUseTLS=True)
            assert "x509: certificate signed by unknown authority" in unknown.output
            trusting = ProbeSettings(ca_file=CERTIFICATE, environ={})
            known = await probed("grpc", settings=trusting, GRPC=target, GRPCUseTLS=True)
        assert Outcome("passing", f"gRPC check {target}: success") == known

    run(scenario)


def test_what_is_no_grpc_server_is_critical() -> None:
    """Nobody, and a server of HTTP/1."""

    async def scenario() -> None:
        async with Target(answer("200 OK")).listening() as target:
            place = f"127.0.0.1:{target.port}"
            outcome = await probed("grpc", timeout_s=15, GRPC=place)
        assert outcome.output.startswith(
            "rpc error: code = Unavailable desc = the server does not speak HTTP/2"
        )
        outcome = await probed("grpc", GRPC=place)
        said = f"Error while dialing dial tcp {place}: connect: connection refused"
        expected = f'rpc error: code = Unavailable desc = connection error: desc = "transport: {said}"'
        assert Outcome("critical", expected) == outcome

    run(scenario)


def test_without_the_library_the_check_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that moved to a node without the extra is critical, with the remedy."""
    monkeypatch.setattr(grpc, "is_available", lambda: False)

    async def scenario() -> None:
        assert Outcome("critical", grpc.MISSING) == await probed("grpc", GRPC="127.0.0.1:1")

    run(scenario)
