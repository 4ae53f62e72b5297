"""The machine under a node: disk, threads and sockets. The simulation brings one of its own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raftreg.clock import Clock
from raftreg.consensus.disk import Disk, RealDisk
from raftreg.consensus.target import Target
from raftreg.consensus.transport import Delegate, Transport
from raftreg.consensus.writer import ThreadWriter, Writer

Address = tuple[str, int]


class Wires(Protocol):
    """What the node uses of a transport; see `raftreg.consensus.transport.Transport`."""

    async def start(self) -> None:
        """Listen and dial."""
        ...

    async def stop(self) -> None:
        """Close everything."""
        ...

    def send(self, member_id: str, message: Sequence[Any]) -> bool:
        """False if not connected, or if too much waits."""
        ...

    def has_room(self, member_id: str) -> bool:
        """Whether at most half of its send buffer is filled."""
        ...

    def connected(self) -> set[str]:
        """Members with a live connection."""
        ...

    def last_heard(self, member_id: str) -> float | None:
        """When something came from a member."""
        ...

    def aim(self, targets: Iterable[Target]) -> None:
        """Dial these from now on, and nobody else."""
        ...

    def reset(self, member_id: str) -> None:
        """Close the connection to a member; a new one is tried at once."""
        ...


MakeWires = Callable[[Delegate, Clock, str, Address, bytes], Wires]
"""(delegate, clock, own name, address to listen on, cluster key) -> transport, not started."""


def _sockets(
    delegate: Delegate,
    clock: Clock,
    name: str,
    listen: Address,
    key: bytes,
) -> Wires:
    return Transport(delegate, clock, name=name, listen=listen, key=key)


@dataclass(frozen=True, slots=True)
class Machinery:
    """`writer` makes a worker for blocking disk work, by the name of its thread. `exclusive`: take the lock file."""

    disk: Disk
    writer: Callable[[str], Writer]
    wires: MakeWires
    exclusive: bool = True


def real_machinery() -> Machinery:
    """This machine's file systems, threads and sockets."""
    return Machinery(RealDisk(), ThreadWriter, _sockets)
