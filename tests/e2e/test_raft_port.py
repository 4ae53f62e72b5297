"""What strangers send to the Raft port closes their connection and does nothing else."""

import pickle
import random
import socket
import struct
from collections.abc import Callable

import pytest

from tests.e2e.cluster import Cluster, Node


class Explosion:
    """Makes the process that unpickles it write a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self._path, "w")


def talk(node: Node, data: bytes) -> None:
    """Send bytes to the Raft port, and read until the node closes the connection."""
    with socket.create_connection(("127.0.0.1", node.raft), timeout=20) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except (ConnectionResetError, BrokenPipeError):
            return


def resident_kib(node: Node) -> int:
    """The memory of the process."""
    assert node.process is not None
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.fixture
def messages(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Bytes that no node would send."""
    chance = random.Random(7)
    bomb = pickle.dumps(Explosion(str(tmp_path_factory.mktemp("bomb") / "exploded")))
    lengths = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    return [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bomb,
        *(struct.pack(order, length) + bomb for order in ("<I", ">I") for length in (len(bomb), *lengths)),
        *(chance.randbytes(size) for size in (1, 3, 4, 5, 16, 100, 1000, 70_000)),
    ]


def test_strangers_bytes_close_their_connection_only(
    cluster: Cluster, messages: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random bytes, wrong lengths and a pickle change neither leader nor term, run nothing and take no memory."""
    node = cluster.leader()
    memory = resident_kib(node)
    # On a machine that is busy a leader may be lost for other reasons, now and then.
    assert any(undisturbed(cluster.leader(), messages) for _ in range(3))
    assert [] == list(tmp_path_factory.getbasetemp().rglob("exploded"))
    assert resident_kib(node) - memory < 20_000
    assert 200 == node.put("/v1/kv/key", b"value").status


def undisturbed(leader: Node, messages: list[bytes]) -> bool:
    """Whether leader, term and connections are as they were after all of these messages."""
    before = leader.status()
    for data in messages:
        talk(leader, data)
    after = leader.status()
    same = (before["Leader"], before["Term"]) == (after["Leader"], after["Term"])
    return same and all(peer["Connected"] for peer in after["Peers"])
