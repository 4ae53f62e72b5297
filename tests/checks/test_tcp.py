"""TCP and UDP probes of real sockets."""

import asyncio
import socket
from typing import cast

import pytest

from raftreg.checks.outcome import Outcome
from tests.checks.targets import Target, probed, run


def test_a_taken_connection_passes_and_a_refused_one_is_critical() -> None:
    """The output of both is that of Consul."""

    async def scenario() -> None:
        async with Target(b"").listening() as target:
            text = f"127.0.0.1:{target.port}"
            assert Outcome("passing", f"TCP connect {text}: Success") == await probed("tcp", TCP=text)
        refused = f"dial tcp {text}: connect: connection refused"
        assert Outcome("critical", refused) == await probed("tcp", TCP=text)

    run(scenario)


def test_a_name_is_tried_at_all_its_addresses() -> None:
    """localhost may be ::1 first; a service on 127.0.0.1 alone is found."""

    async def scenario() -> None:
        async with Target(b"").listening() as target:
            assert "passing" == (await probed("tcp", TCP=f"localhost:{target.port}")).status

    run(scenario)


def test_a_full_backlog_is_a_timeout() -> None:
    """A target whose system does not answer is critical after the timeout."""

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            waiting = [asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
            fillers = [asyncio.ensure_future(one) for one in waiting]
            await asyncio.sleep(0.1)
            outcome = await probed("tcp", timeout_s=0.3, TCP=f"127.0.0.1:{port}")
            for filler in fillers:
                filler.cancel()
            for found in await asyncio.gather(*fillers, return_exceptions=True):
                if not isinstance(found, BaseException):
                    found[1].close()
        assert Outcome("critical", f"dial tcp 127.0.0.1:{port}: i/o timeout") == outcome

    run(scenario)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("web", "dial tcp: address web: missing port in address"),
        ("1:2:3", "dial tcp: address 1:2:3: too many colons in address"),
        ("127.0.0.1:no-such-service", "dial tcp: address tcp/no-such-service: unknown port"),
        ("web:70000", "dial tcp: address 70000: invalid port"),
        ("no-such-host.invalid:80", "dial tcp: lookup no-such-host.invalid: no such host"),
        ("[::1]:1", "dial tcp [::1]:1: connect: "),
        ("\ud800:1", "dial tcp: lookup \ud800: no such host"),
    ],
)
def test_what_cannot_be_connected_to_is_critical_and_says_why(target: str, said: str) -> None:
    """Nonsense in a definition is a result like any other."""

    async def scenario() -> None:
        outcome = await probed("tcp", TCP=target)
        assert "critical" == outcome.status
        assert outcome.output.startswith(said)

    run(scenario)


class Echo(asyncio.DatagramProtocol):
    """Answers datagrams."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer with a byte."""
        self.transport.sendto(b"!", addr)


def test_udp_passes_unless_it_is_refused() -> None:
    """An answer passes at once, silence after the timeout; a closed port is critical."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        text = "127.0.0.1:" + str(transport.get_extra_info("sockname")[1])
        passing = Outcome("passing", f"UDP connect {text}: Success")
        assert passing == await probed("udp", timeout_s=15, UDP=text)
        transport.close()
        await asyncio.sleep(0)
        refused = await probed("udp", timeout_s=15, UDP=text)
        assert "critical" == refused.status
        assert refused.output.endswith(f"->{text}: read: connection refused")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            text = f"127.0.0.1:{silent.getsockname()[1]}"
            quiet = await probed("udp", timeout_s=0.2, UDP=text)
        assert Outcome("passing", f"UDP connect {text}: Success") == quiet

    run(scenario)
