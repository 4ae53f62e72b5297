"""What is measured: a cluster of three servers, started here, or one that runs already."""

import json
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench.harness.client import BlockingClient
from bench.harness.dialects import Call, ConsulDialect, Dialect
from bench.harness.links import Links
from bench.harness.processes import ServerProcess
from raftreg.verify.wires import Wires
from tests.e2e.cluster import wait_until

READY_TIMEOUT_S = 60.0
NODES = 3


class NotThere(Exception):
    """The cluster that was named cannot be measured; the message is for the user."""


class Target(ABC):
    """A cluster. `servers` are the processes, empty for a cluster that somebody else started."""

    name: str
    dialect: Dialect
    # Why there is no `linked` cluster, where there is none.
    unlinked = ""
    # The name under which it is measured over gRPC, where it speaks that.
    over_grpc = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[ServerProcess] = []
        # Set where the connections between the nodes lead through proxies.
        self.links: Links | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of the HTTP API of each node."""
        return [server.http for server in self.servers]

    @abstractmethod
    def version(self) -> str:
        """Of the program; empty if nobody says."""

    def linked(self, wires: Wires) -> "Target | None":
        """Another cluster of this kind, not started, whose `links` lead through `wires`; None if it cannot be had."""
        return None

    @property
    def is_ours(self) -> bool:
        """Whether its processes may be killed and looked at."""
        return bool(self.servers)

    @abstractmethod
    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """The number of the node that leads, as one node sees it; None for none. OSError if it does not answer."""

    def is_ready(self, number: int) -> bool:
        """Whether a node answers and knows a leader."""
        try:
            return self.leader_seen_by(self.addresses[number]) is not None
        except (OSError, ValueError):
            return False

    def start(self) -> None:
        """Start all nodes and wait until each is ready."""
        for server in self.servers:
            server.start()
        self.wait_ready(*range(len(self.servers)))

    def wait_ready(self, *numbers: int) -> None:
        """Wait until these nodes are ready."""
        for number in numbers:
            wait_until(
                f"{self.name}: node {number} is ready", partial(self.is_ready, number), READY_TIMEOUT_S
            )

    def leader(self) -> int:
        """The number of the leader; waits for one on which a majority agrees."""
        return wait_until(f"{self.name}: a leader", self._leader, READY_TIMEOUT_S) - 1

    def _leader(self) -> int | None:
        votes = []
        for number, address in enumerate(self.addresses):
            if self.servers and self.servers[number].process is None:
                continue
            try:
                votes.append(self.leader_seen_by(address))
            except (OSError, ValueError):
                continue
        agreed = [vote for vote in set(votes) if vote is not None and votes.count(vote) > NODES // 2]
        return agreed[0] + 1 if agreed else None

    def follower(self) -> int:
        """The number of a node that does not lead."""
        return (self.leader() + 1) % len(self.addresses)

    def restart(self, number: int) -> None:
        """Start a node that was ended, and wait until it is ready."""
        self.servers[number].start()
        self.wait_ready(number)

    def pids(self) -> list[int]:
        """The pids of the running nodes."""
        return [server.pid for server in self.servers if server.process is not None]

    def stop(self) -> None:
        """End all processes and forget the data."""
        for server in self.servers:
            if server.process is not None:
                server.send(signal.SIGCONT)
                server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def ask(address: tuple[str, int], call: Call) -> bytes:
    """The body of an answer 200. OSError if there is none."""
    with BlockingClient(address, timeout_s=3.0) as client:
        status, body = client.send(call)
    if status != 200:
        raise OSError(f"{call.path} answers {status}")
    return body


class Running(Target):
    """A cluster that speaks Consul's API and was started by somebody else: no faults, and no look at its processes."""

    dialect = ConsulDialect()

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(Path())
        self.name = "running"
        self._addresses = [(split.hostname or "", split.port or 80) for split in map(urlsplit, urls)]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """As given."""
        return self._addresses

    def start(self) -> None:
        """It runs already. NotThere if a node of it does not."""
        for host, port in self._addresses:
            try:
                ask((host, port), Call("GET", "/v1/status/leader"))
            except (OSError, ValueError) as error:
                raise NotThere(f"http://{host}:{port} does not answer as Consul would: {error}") from None

    def version(self) -> str:
        """As the first node says."""
        config = json.loads(ask(self._addresses[0], Call("GET", "/v1/agent/self"))).get("Config", {})
        return str(config.get("Version", ""))

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By asking each node whether its own Raft address is the leader's."""
        leader = json.loads(ask(address, Call("GET", "/v1/status/leader")))
        for number, other in enumerate(self._addresses):
            config = json.loads(ask(other, Call("GET", "/v1/agent/self")))
            if leader and leader.rpartition(":")[2] == str(_raft_port(config)):
                return number
        return None

    def stop(self) -> None:
        """It is not ours."""


def _raft_port(self_answer: dict[str, dict[str, object]]) -> object:
    """The Raft port in an answer of /v1/agent/self."""
    tags = self_answer.get("Member", {}).get("Tags", {})
    return tags.get("port") if isinstance(tags, dict) else None
