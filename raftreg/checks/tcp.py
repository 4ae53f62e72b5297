"""TCP and UDP: a target that takes a connection, or a datagram, is well."""

import asyncio
import socket
from typing import Final

from raftreg.addresses import Address
from raftreg.checks.dialing import ProbeFailed, dial, split_target, system_text
from raftreg.checks.names import Resolver
from raftreg.checks.outcome import Outcome
from raftreg.model import Probe

TIMEOUT_S: Final = 10.0


class TCPProbe:
    """Connects and closes the connection again."""

    def __init__(self, probe: Probe, resolver: Resolver) -> None:
        self._text = str((probe.options or {}).get("TCP", ""))
        self._timeout_s = probe.timeout_s or TIMEOUT_S
        self._resolver = resolver

    async def __call__(self) -> Outcome:
        """Passing if the connection is taken in time."""
        target = split_target("tcp", self._text)

        async def connect(address: str) -> None:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.setblocking(False)
                await asyncio.get_running_loop().sock_connect(connection, (address, target.port))

        await dial(self._resolver, "tcp", target, self._timeout_s, connect)
        return Outcome("passing", f"TCP connect {self._text}: Success")


class UDPProbe:
    """Sends an empty datagram. Silence is well: only a target that says that nobody is there is not."""

    def __init__(self, probe: Probe, resolver: Resolver) -> None:
        self._text = str((probe.options or {}).get("UDP", ""))
        self._timeout_s = probe.timeout_s or TIMEOUT_S
        self._resolver = resolver

    async def __call__(self) -> Outcome:
        """Passing unless the datagram is refused within the timeout."""
        target = split_target("udp", self._text)
        loop = asyncio.get_running_loop()

        async def ask(address: str) -> None:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as connection:
                connection.setblocking(False)
                connection.connect((address, target.port))
                try:
                    connection.send(b"")
                    async with asyncio.timeout(self._timeout_s):
                        await loop.sock_recv(connection, 1)
                except TimeoutError:
                    pass  # Most services do not answer an empty datagram.
                except OSError as error:
                    here, there = connection.getsockname(), connection.getpeername()
                    pair = f"{Address(*here[:2])}->{Address(*there[:2])}"
                    raise ProbeFailed(f"read udp {pair}: read: {system_text(error)}") from None

        # The time for looking the name up comes on top of that for the answer.
        await dial(self._resolver, "udp", target, 2 * self._timeout_s + 1.0, ask)
        return Outcome("passing", f"UDP connect {self._text}: Success")
