"""A cluster of real processes whose members come and go, by what an operator would do."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Cluster, Node, free_ports, wait_until

CHANGE_TIMEOUT_S = 60.0
AGAIN_S = 0.05
# Refused for now, or nobody to ask: the next attempt, perhaps at another node, may succeed.
TRY_AGAIN = (404, 409, 500, 503)


def run(*arguments: str) -> str:
    """What `raftreg` says on a command that succeeds."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "raftreg", *arguments],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def readiness(node: Node) -> str:
    """What /readyz says; "" before it answers."""
    try:
        return node.get("/readyz").text
    except OSError:
        return ""


class Fleet(Cluster):
    """Nodes that come and go. `size` of them know each other as peers from the beginning; the rest joins.

    `hands` is held while processes are started or ended, by whoever does it.
    """

    def __init__(self, folder: Path, size: int = 0, **settings: str) -> None:
        super().__init__(folder, size, **settings)
        self.folder, self.settings = folder, settings
        self.hands = threading.RLock()

    def joining(self, name: str, *join: Node) -> Node:
        """A node that joins through others, not started."""
        node = Node(name, 0, 0, self.folder / name, self.folder / f"{name}.log", [])
        self.nodes[name] = node
        self.settle(node, *join)
        return node

    def settle(self, node: Node, *join: Node) -> None:
        """Give a node that does not run addresses that it did not have, and others to join through."""
        node.http, node.raft = free_ports(2)
        flags = {
            "node": node.name,
            "data-dir": str(node.data),
            "raft": f"127.0.0.1:{node.raft}",
            "http": f"127.0.0.1:{node.http}",
            "dns": "off",
        } | {key.replace("_", "-"): value for key, value in self.settings.items()}
        if join:
            flags["join"] = ",".join(f"127.0.0.1:{other.raft}" for other in join)
        node.arguments = [text for key, value in flags.items() for text in (f"--{key}", value)]

    def found(self, name: str) -> Node:
        """Make a cluster of one node, and start it."""
        node = self.joining(name)
        assert "made cluster" in run("init", *node.arguments[:6])
        self.start(name)
        return node

    def ask(self, kind: str, *, done: int = 200, **body: str) -> dict[str, Any]:
        """Change the members, at any node, as often as it takes; the answer. `done`: a status that says so too."""
        said: dict[str, str] = {}
        deadline = time.monotonic() + CHANGE_TIMEOUT_S
        while True:
            for node in self.running():
                try:
                    path = f"/v1/raftreg/members/{kind}"
                    reply = node.request("POST", path, json.dumps(body).encode(), timeout_s=CHANGE_TIMEOUT_S)
                except OSError as error:
                    said[node.name] = str(error)
                    continue
                said[node.name] = f"{reply.status} {reply.text.strip()}"
                if reply.status in (200, done):
                    answer: dict[str, Any] = reply.json() if reply.status == 200 else {}
                    return answer
                assert reply.status in TRY_AGAIN, f"{kind} {body}: {said[node.name]}"
            assert time.monotonic() < deadline, f"{kind} {body}: {said}"
            time.sleep(AGAIN_S)

    def join(self, name: str, *through: Node) -> Node:
        """Start a node and have it added and promoted; returns once it is a voter and ready."""
        with self.hands:
            node = self.joining(name, *(through or self.running()))
            node.start()
        member = self.ask("add", Member=name)["Member"]
        self.promote(member)
        wait_until(f"{name} is ready", lambda: node.process is not None and node.is_ready())
        return node

    def promote(self, member: str) -> None:
        """Make a learner a voter once it has caught up."""
        self.ask("promote", Member=member)

    def part(self, name: str) -> None:
        """Remove a member, and stop its process for good."""
        self.ask("remove", Member=name, done=404)  # An attempt of unknown outcome may have removed it.
        with self.hands:
            node = self.nodes.pop(name)
            if node.process is not None:
                node.signal(signal.SIGTERM)
                # One that is still being started takes the signal by dying of it.
                code = node.wait()
                assert code in (0, -signal.SIGTERM), f"{name} ended with {code}"

    def wipe(self, node: Node) -> None:
        """Take away the data of a node that does not run."""
        assert node.process is None
        shutil.rmtree(node.data, ignore_errors=True)

    def voters(self) -> list[str]:
        """The names of the voters that are connected, as the leader sees it; none if nobody knows."""
        for node in self.running():
            try:
                reply = node.get("/v1/raftreg/members", timeout_s=20.0)
            except OSError:
                continue
            if reply.status == 200:
                rows = reply.json()["Members"]
                return sorted(row["Name"] for row in rows if row["Role"] == "voter" and row["Connected"])
        return []
