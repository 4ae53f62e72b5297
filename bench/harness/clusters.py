"""The clusters that the harness starts: raftreg from this clone, and its peers, three servers each."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import raftreg
from bench.harness.dialects import Call, ConsulDialect, EtcdDialect
from bench.harness.links import Links, dialer
from bench.harness.processes import ServerProcess
from bench.harness.targets import NODES, Target, ask
from raftreg.verify.wires import Wires
from tests.e2e.cluster import free_ports


class Raftreg(Target):
    """raftreg from this clone."""

    dialect = ConsulDialect()

    def __init__(self, folder: Path, wires: Wires | None = None) -> None:
        super().__init__(folder)
        self.name = "raftreg"
        ports = free_ports(3 * NODES)
        names = [f"n{number + 1}" for number in range(NODES)]
        self.links = Links(wires, names) if wires else None
        for number, name in enumerate(names):
            http = ("127.0.0.1", ports[NODES + number])
            reached = [
                wires.lead(name, other, port) if wires and other != name else port
                for other, port in zip(names, ports, strict=False)
            ]
            peers = ",".join(f"{other}=127.0.0.1:{port}" for other, port in zip(names, reached, strict=True))
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

    def version(self) -> str:
        """With the commit, in a clone."""
        commit = _said("git", "-C", str(Path(raftreg.__file__).parent), "describe", "--always", "--dirty")
        return raftreg.__version__ + (f" ({commit})" if commit else "")

    def linked(self, wires: Wires) -> Target | None:
        """The peers are told the addresses of the proxies."""
        return Raftreg(self.folder.with_name(f"{self.name}-linked"), wires)

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By name."""
        leader = json.loads(ask(address, Call("GET", "/v1/raftreg/status")))["Leader"]
        names = [server.name for server in self.servers]
        return names.index(leader) if leader in names else None

    def is_ready(self, number: int) -> bool:
        """As operators ask."""
        try:
            ask(self.addresses[number], Call("GET", "/readyz"))
        except OSError:
            return False
        return True


class Consul(Target):
    """HashiCorp Consul 1.8, as shipped (but for the limit of connections per client), or with raft_multiplier 1."""

    dialect = ConsulDialect()
    unlinked = (
        "its servers find each other by gossip over UDP, which the proxies between the nodes do not carry"
    )

    def __init__(self, folder: Path, binary: str, *, fast: bool) -> None:
        super().__init__(folder)
        self.name = "consul-fast" if fast else "consul"
        self._binary = binary
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

    def version(self) -> str:
        """As it says."""
        return _said(self._binary, "version").partition(" v")[2].partition("\n")[0]

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By the port of its Raft address."""
        leader = json.loads(ask(address, Call("GET", "/v1/status/leader")))
        port = int(leader.rpartition(":")[2]) if leader else 0
        return self._raft.index(port) if port in self._raft else None


class Etcd(Target):
    """etcd 3.4, as shipped, or with a heartbeat of 10 ms and elections of 100 ms.

    Through its JSON gateway, and over gRPC where a workload does that.
    """

    dialect = EtcdDialect()

    def __init__(self, folder: Path, binary: str, *, fast: bool, wires: Wires | None = None) -> None:
        super().__init__(folder)
        self.name = "etcd-fast" if fast else "etcd"
        self.over_grpc = f"{self.name}-grpc"
        self._binary, self._fast = binary, fast
        ports = free_ports(2 * NODES)
        names = [f"n{number + 1}" for number in range(NODES)]
        reached = [
            wires.lead_all(name, port, self._dialer) if wires else port
            for name, port in zip(names, ports, strict=False)
        ]
        self.links = Links(wires, names) if wires else None
        peers = [f"http://127.0.0.1:{port}" for port in reached]
        everybody = ",".join(f"n{number + 1}={url}" for number, url in enumerate(peers))
        for number in range(NODES):
            http = ("127.0.0.1", ports[NODES + number])
            name, client = names[number], f"http://127.0.0.1:{http[1]}"
            command = [binary, "--name", name, "--data-dir", str(folder / name / "data"), "--logger", "zap"]
            command += ["--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--listen-peer-urls", f"http://127.0.0.1:{ports[number]}"]
            command += ["--initial-advertise-peer-urls", peers[number]]
            command += ["--initial-cluster", everybody, "--log-level", "error"]
            if fast:
                command += ["--heartbeat-interval", "10", "--election-timeout", "100"]
            self.servers.append(ServerProcess(name, http, command, folder / name))
        self._members: list[str] = []

    def version(self) -> str:
        """As it says."""
        return _said(self._binary, "--version").partition(": ")[2].partition("\n")[0]

    def linked(self, wires: Wires) -> Target | None:
        """The members know each other by the addresses of the proxies."""
        folder = self.folder.with_name(f"{self.name}-linked")
        return Etcd(folder, self._binary, fast=self._fast, wires=wires)

    def _dialer(self, port: int) -> str:
        """Which member dials from a port of this machine: all know the same address of each, so it must be asked."""
        running = {server.name: server.pid for server in self.servers if server.process is not None}
        return dialer(port, running)

    def start(self) -> None:
        """As others, and learn which member id is which node."""
        super().start()
        status = Call("POST", "/v3/maintenance/status", "{}")
        self._members = [
            json.loads(ask(address, status))["header"]["member_id"] for address in self.addresses
        ]

    def leader_seen_by(self, address: tuple[str, int]) -> int | None:
        """By member id."""
        status = json.loads(ask(address, Call("POST", "/v3/maintenance/status", "{}")))
        leader = status.get("leader", "0")
        if not self._members:
            return 0 if leader != "0" else None
        return self._members.index(leader) if leader in self._members else None


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


def _said(*command: str) -> str:
    """What a command says; nothing if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return (done.stdout if done.returncode == 0 else "").strip()
