"""What is measured: a cluster of three servers, started here, or one that runs already."""

import json
import os
import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from bench.harness.client import BlockingClient
from bench.harness.dialects import Call, ConsulDialect, Dialect, EtcdDialect
from bench.harness.processes import ServerProcess
from tests.e2e.cluster import free_ports, wait_until

READY_TIMEOUT_S = 60.0
NODES = 3


class Target(ABC):
    """A cluster. `servers` are the processes, empty for a cluster that somebody else started."""

    name: str
    dialect: Dialect

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[ServerProcess] = []

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of the HTTP API of each node."""
        return [server.http for server in self.servers]

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


def _ask(address: tuple[str, int], call: Call) -> bytes:
    with BlockingClient(address, timeout_s=3.0) as client:
        status, body = client.send(call)
    if status != 200:
        raise OSError(f"{call.path} answers {status}")
    return body


class Raftreg(Target):
    """raftreg from this clone."""

    dialect = ConsulDialect()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.name = "raftreg"
        ports = free_ports(3 * NODES)
        names = [f"n{number + 1}" for number in range(NODES)]
        peers = ",".join(f"{name}=127.0.0.1:{ports[number]}" for number, name in enumerate(names))
        for number, name in enumerate(names):
            http = ("127.0.0.1", ports[NODES + number])
            flags = {
                "node": name,
                "data-dir": str(folder / name / "data"),
                "peers": peers,
                "raft": f"127.0.0.1:{ports[number]}",
                "http": f"{http[0]}:{http[1]}",
                "dns": f"127.0.0.1:{ports[2 * NODES + number]}",
            }
            arguments = [text for flag, value in flags.items() for text in (f"--{flag}", value)]
            command = [sys.executable, "-m", "raftreg", "agent", *arguments]
            environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
            self.servers.append(ServerProcess(name, http, command, folder / name, environ))

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By name."""
        leader = json.loads(_ask(address, Call("GET", "/v1/raftreg/status")))["Leader"]
        names = [server.name for server in self.servers]
        return names.index(leader) if leader in names else None

    def is_ready(self, number: int) -> bool:
        """As operators ask."""
        try:
            _ask(self.addresses[number], Call("GET", "/readyz"))
        except OSError:
            return False
        return True


class Consul(Target):
    """HashiCorp Consul 1.8, as shipped (but for the limit of connections per client), or with raft_multiplier 1."""

    dialect = ConsulDialect()

    def __init__(self, folder: Path, binary: str, *, fast: bool) -> None:
        super().__init__(folder)
        self.name = "consul-fast" if fast else "consul"
        ports = free_ports(4 * NODES)
        self._raft = ports[:NODES]
        serf = ports[2 * NODES : 3 * NODES]
        for number in range(NODES):
            http = ("127.0.0.1", ports[NODES + number])
            given = {"http": http[1], "server": ports[number], "serf_lan": serf[number]}
            off = {"dns": -1, "grpc": -1, "https": -1, "serf_wan": ports[3 * NODES + number]}
            hcl = "ports { " + " ".join(f"{key} = {value}" for key, value in (given | off).items()) + " }"
            hcl += " limits { http_max_conns_per_client = 16384 } disable_update_check = true"
            if fast:
                hcl += " performance { raft_multiplier = 1 }"
            name = f"n{number + 1}"
            command = [binary, "agent", "-server", "-bootstrap-expect=3", f"-node={name}", "-bind=127.0.0.1"]
            command += [f"-data-dir={folder / name / 'data'}", "-client=127.0.0.1", "-log-level=warn"]
            command += [f"-retry-join=127.0.0.1:{port}" for port in serf] + ["-hcl", hcl]
            self.servers.append(ServerProcess(name, http, command, folder / name))

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By the port of its Raft address."""
        leader = json.loads(_ask(address, Call("GET", "/v1/status/leader")))
        port = int(leader.rpartition(":")[2]) if leader else 0
        return self._raft.index(port) if port in self._raft else None


class Etcd(Target):
    """etcd 3.4 through its JSON gateway, as shipped, or with a heartbeat of 10 ms and elections of 100 ms."""

    dialect = EtcdDialect()

    def __init__(self, folder: Path, binary: str, *, fast: bool) -> None:
        super().__init__(folder)
        self.name = "etcd-fast" if fast else "etcd"
        ports = free_ports(2 * NODES)
        peers = [f"http://127.0.0.1:{port}" for port in ports[:NODES]]
        everybody = ",".join(f"n{number + 1}={url}" for number, url in enumerate(peers))
        for number in range(NODES):
            http = ("127.0.0.1", ports[NODES + number])
            name, client = f"n{number + 1}", f"http://127.0.0.1:{http[1]}"
            command = [binary, "--name", name, "--data-dir", str(folder / name / "data"), "--logger", "zap"]
            command += ["--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--listen-peer-urls", peers[number], "--initial-advertise-peer-urls", peers[number]]
            command += ["--initial-cluster", everybody, "--log-level", "error"]
            if fast:
                command += ["--heartbeat-interval", "10", "--election-timeout", "100"]
            self.servers.append(ServerProcess(name, http, command, folder / name))
        self._members: list[str] = []

    def start(self) -> None:
        """As others, and learn which member id is which node."""
        super().start()
        status = Call("POST", "/v3/maintenance/status", "{}")
        self._members = [
            json.loads(_ask(address, status))["header"]["member_id"] for address in self.addresses
        ]

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By member id."""
        status = json.loads(_ask(address, Call("POST", "/v3/maintenance/status", "{}")))
        leader = status.get("leader", "0")
        if not self._members:
            return 0 if leader != "0" else None
        return self._members.index(leader) if leader in self._members else None


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

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By asking each node whether its own Raft address is the leader's."""
        leader = json.loads(_ask(address, Call("GET", "/v1/status/leader")))
        for number, other in enumerate(self._addresses):
            config = json.loads(_ask(other, Call("GET", "/v1/agent/self")))
            if leader and leader.rpartition(":")[2] == str(_raft_port(config)):
                return number
        return None

    def stop(self) -> None:
        """It is not ours."""


def _raft_port(self_answer: dict[str, dict[str, object]]) -> object:
    """The Raft port in an answer of /v1/agent/self."""
    tags = self_answer.get("Member", {}).get("Tags", {})
    return tags.get("port") if isinstance(tags, dict) else None


def find_targets(names: Sequence[str], folder: Path, paths: dict[str, str]) -> tuple[list[Target], list[str]]:
    """The targets of those names, and one line for each that cannot be had."""
    targets: list[Target] = []
    missing = []
    for name in names:
        kind, _, tuned = name.partition("-")
        if kind == "raftreg":
            targets.append(Raftreg(folder / name))
            continue
        binary = shutil.which(paths.get(kind, kind))
        if binary is None:
            missing.append(f"{name}: no program {paths.get(kind, kind)!r} (--{kind} PATH names one)")
        elif kind == "consul":
            targets.append(Consul(folder / name, binary, fast=tuned == "fast"))
        else:
            targets.append(Etcd(folder / name, binary, fast=tuned == "fast"))
    return targets, missing
