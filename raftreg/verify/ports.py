"""Ports of this machine for nodes that have to find them again after a restart."""

import socket
from collections.abc import Sequence

from raftreg.chance import Stream

# Below the range from which the kernel takes ports for outgoing connections.
PORTS = range(20_000, 30_000)


def free_ports(count: int, chance: Stream, among: Sequence[int] = PORTS) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens now, neither by TCP nor by UDP."""
    found: list[int] = []
    for port in chance.sample(among, len(among)):
        if len(found) == count:
            break
        if not _answers(port) and _can_bind(port, socket.SOCK_STREAM) and _can_bind(port, socket.SOCK_DGRAM):
            found.append(port)
    return found


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _can_bind(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
