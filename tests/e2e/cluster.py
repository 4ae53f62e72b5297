"""A real cluster: one process per node, in a directory of its own, on free ports of this machine."""

import http.client
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from raftreg.verify import ports

T = TypeVar("T")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


def request(
    port: int, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 30.0, **headers: str
) -> Reply:
    """One request on a connection of its own. OSError if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body=body, headers=named)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, response.read())
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def start_get(port: int, path: str) -> socket.socket:
    """Send a GET without waiting for its answer, which `finish_get` then reads."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: raftreg\r\nConnection: close\r\n\r\n".encode())
    return connection


def start_put(port: int, path: str, body: bytes) -> socket.socket:
    """Send a PUT without waiting for its answer."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"PUT {path} HTTP/1.1\r\nHost: raftreg\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def finish_get(connection: socket.socket) -> str:
    """The whole answer of a GET that was sent, beginning with its status line."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


_given_ports: deque[int] = deque(maxlen=200)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens now, and that were not given lately to others who do not listen yet.

    Tests that run side by side choose from shares of their own.
    """
    worker, workers = (
        os.environ.get("PYTEST_XDIST_WORKER", "gw0"),
        os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"),
    )
    share = ports.PORTS[int(worker.removeprefix("gw")) :: int(workers)]
    found = ports.free_ports(count, random.Random(), [port for port in share if port not in _given_ports])
    _given_ports.extend(found)
    return found


def wait_until(what: str, probe: Callable[[], T | None], timeout_s: float = START_TIMEOUT_S) -> T:
    """The first answer of `probe` that is neither None nor False. AssertionError with `what` after the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.02)


@dataclass(slots=True)
class Node:
    """One node; `process` is None while it does not run."""

    name: str
    http: int
    raft: int
    data: Path
    log: Path
    arguments: list[str]
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    module: str = "raftreg"
    open_files_max: int | None = None
    log_bytes: int = 0  # how long its log was when it was last started

    def start(self) -> None:
        """Start the process; it is not ready yet when this returns."""
        assert self.process is None
        command = [sys.executable, "-m", self.module, "agent", *self.arguments]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)} | self.environ
        with self.log.open("ab") as log:
            self.log_bytes = log.tell()
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
            )
        if self.open_files_max is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (self.open_files_max,) * 2)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the end of the process and give its exit code."""
        assert self.process is not None
        code = self.process.wait(timeout_s)
        self.process = None
        return code

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.wait()

    def request(self, method: str, path: str, body: bytes | None = None, **options: Any) -> Reply:
        """One HTTP request to this node."""
        return request(self.http, method, path, body, **options)

    def get(self, path: str, **options: Any) -> Reply:
        """One GET."""
        return self.request("GET", path, **options)

    def put(self, path: str, body: bytes = b"", **options: Any) -> Reply:
        """One PUT."""
        return self.request("PUT", path, body, **options)

    def is_ready(self) -> bool:
        """Whether /readyz says 200; AssertionError with the log if the process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (
            f"{self.name} ended with {self.process.returncode}:\n{self.tail()}"
        )
        try:
            return self.get("/readyz", timeout_s=5.0).status == 200
        except OSError:
            return False

    def status(self, parameters: str = "") -> Any:
        """Its own view of the cluster, /v1/raftreg/status."""
        return self.get(f"/v1/raftreg/status{parameters}").json()

    def resident_mib(self) -> float:
        """Resident memory of the process (Linux)."""
        assert self.process is not None
        pages = Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def open_files(self) -> int:
        """How many file descriptors the process holds (Linux)."""
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def said(self) -> str:
        """What its log got since it was last started."""
        return self.log.read_bytes()[self.log_bytes :].decode("utf-8", "replace")

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


class Cluster:
    """Some nodes that know each other. As a context manager it ends all processes that it started."""

    def __init__(self, folder: Path, size: int = 3, **settings: str) -> None:
        """Nothing is started. `settings` are more flags for every node, such as timing="wan"."""
        folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(2 * size)
        names = [f"n{number}" for number in range(1, size + 1)]
        self.peers = ",".join(f"{name}=127.0.0.1:{port}" for name, port in zip(names, ports, strict=False))
        self.nodes: dict[str, Node] = {}
        self.guests: list[Node] = []  # further processes, which are no members of their own right
        for name, raft, http_port in zip(names, ports, ports[size:], strict=False):
            data = folder / name
            flags = {
                "node": name,
                "data-dir": str(data),
                "peers": self.peers,
                "http": f"127.0.0.1:{http_port}",
                "raft": f"127.0.0.1:{raft}",
                "dns": "off",
            } | {key.replace("_", "-"): value for key, value in settings.items()}
            arguments = [text for key, value in flags.items() for text in (f"--{key}", value)]
            self.nodes[name] = Node(name, http_port, raft, data, folder / f"{name}.log", arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started = self.running() + [guest for guest in self.guests if guest.process is not None]
        for node in started:
            node.signal(signal.SIGCONT)
            node.signal(signal.SIGKILL)
        for node in started:
            node.wait()
        if error is not None:
            self.show_logs()

    def show_logs(self) -> None:
        """The last lines of every node, to standard error."""
        for node in (*self.nodes.values(), *self.guests):
            sys.stderr.write(f"--- the last lines of {node.name}\n{node.tail()}\n")

    def guest(self, name: str, label: str, **settings: str) -> Node:
        """Another process under the name of a node, on ports and in a data directory of its own; not started."""
        node, (http_port, raft) = self.nodes[name], free_ports(2)
        data = node.data.with_name(label)
        flags = {
            "data-dir": str(data),
            "http": f"127.0.0.1:{http_port}",
            "raft": f"127.0.0.1:{raft}",
        } | settings
        more = [text for key, value in flags.items() for text in (f"--{key.replace('_', '-')}", value)]
        guest = Node(name, http_port, raft, data, data.with_suffix(".log"), node.arguments + more)
        self.guests.append(guest)
        return guest

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def running(self) -> list[Node]:
        """The nodes with a process."""
        return [node for node in self.nodes.values() if node.process is not None]

    def start(self, *names: str) -> None:
        """Start these nodes (all if none is named) and wait until each is ready."""
        chosen = [self.nodes[name] for name in names] or list(self.nodes.values())
        for node in chosen:
            node.start()
        for node in chosen:
            wait_until(f"{node.name} is ready", node.is_ready)

    def leader(self, *, other_than: str = "") -> Node:
        """The node that leads, as a majority of those that answer sees it; waits for one."""
        return wait_until("a leader", lambda: self._leader(other_than))

    def _leader(self, other_than: str) -> Node | None:
        votes: list[str] = []
        for node in self.running():
            if node.name == other_than:
                continue
            try:
                votes.append(node.get("/v1/raftreg/status", timeout_s=2.0).json()["Leader"] or "")
            except OSError:
                continue
        for name in set(votes) - {"", other_than}:
            if votes.count(name) > len(self.nodes) // 2:
                return self.nodes[name]
        return None

    def followers(self) -> list[Node]:
        """The running nodes that do not lead."""
        leader = self.leader()
        return [node for node in self.running() if node is not leader]
