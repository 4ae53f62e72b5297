"""The death of the node through which services were registered: what lives elsewhere goes on, as if nothing were."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.checks.application import application
from tests.e2e.cluster import Cluster, Node, Reply, request, wait_until

POLL_S = 0.02
# What is promised is measured and shown; a busy machine may be this much slower before a test fails for it.
PATIENCE = 8.0


def put(node: Node, path: str, document: object = None) -> Reply:
    """One PUT that succeeds."""
    reply = node.put(path, b"" if document is None else json.dumps(document).encode())
    assert 200 == reply.status, reply.text
    return reply


def register(node: Node, name: str, *, address: str = "", check: dict[str, Any]) -> None:
    """Register a service with a check at a node."""
    document = {"Name": name, "Port": 80, "Address": address, "Check": check}
    put(node, "/v1/agent/service/register", document)


def places(node: Node, name: str, query: str = "?passing") -> list[str]:
    """On which nodes the instances of a service are."""
    return [row["Node"]["Node"] for row in node.get(f"/v1/health/service/{name}{query}").json()]


def is_lost(node: Node, name: str) -> bool:
    """Whether the one instance of a service is there, and does not pass."""
    return ([], 1) == (places(node, name), len(places(node, name, "")))


class Watcher:
    """Asks one node every 20 ms for the passing instances of a service, and keeps what was not all of them."""

    def __init__(self, node: Node, name: str, instances: int) -> None:
        self.path = f"/v1/health/service/{name}?passing"
        self.port = node.http
        self.instances = instances
        self.answers = 0
        self.gaps: list[str] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self.over.wait(POLL_S):
            reply = request(self.port, "GET", self.path)
            self.answers += 1
            if reply.status != 200 or len(reply.json()) != self.instances:
                self.gaps.append(f"{time.monotonic():.3f}: {reply.status} {reply.text}")


@contextmanager
def watched(nodes: list[Node], **instances: int) -> Iterator[list[Watcher]]:
    """Watch services at nodes meanwhile, each with so many instances."""
    watchers = [Watcher(node, name, number) for node in nodes for name, number in instances.items()]
    for watcher in watchers:
        watcher.thread.start()
    try:
        yield watchers
    finally:
        for watcher in watchers:
            watcher.over.set()
        for watcher in watchers:
            watcher.thread.join()


def seconds_until(what: str, since: float, probe: Callable[[], bool]) -> float:
    """How long after `since` it is so."""
    wait_until(what, probe)
    return time.monotonic() - since


@pytest.mark.parametrize("leads", [False, True], ids=["follower", "leader"])
def test_what_a_lost_node_registered_goes_on_elsewhere(
    cluster: Cluster, leads: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an address of its own a service passes without a gap and is probed on; without one it fails with the node.

    The node that comes back gets nothing back, and probes nothing that is another's now.
    """
    lost = cluster.leader() if leads else cluster.followers()[0]
    others = [node for node in cluster.running() if node is not lost]
    with application() as app:
        url = f"http://127.0.0.1:{app.server_port}"
        register(lost, "probed", address="10.0.0.9", check={"HTTP": f"{url}/one", "Interval": "1s"})
        register(lost, "beating", address="10.0.0.8", check={"TTL": "60s", "Status": "passing"})
        register(lost, "here", check={"TTL": "60s", "Status": "passing"})
        for number, node in enumerate(cluster.running()):
            address = f"10.0.1.{number}"
            register(node, "many", address=address, check={"HTTP": f"{url}/many", "Interval": "1s"})
        wait_until("all pass", lambda: len(places(others[0], "many")) == 3)
        wait_until(
            "all pass", lambda: places(others[0], "probed") == places(others[1], "here") == [lost.name]
        )
        with watched(others, probed=1, beating=1, many=3) as watchers:
            lost.kill()
            killed = time.monotonic()
            times = app.times["/one"]
            asked = len(times)
            critical_s = [
                seconds_until("what was on it fails", killed, lambda node=node: is_lost(node, "here"))  # type: ignore[misc]
                for node in others
            ]
            wait_until("it is probed on", lambda: len(times) > asked)
            probed_s = times[asked] - killed
            (home,) = places(others[0], "probed")
            lost.start()
            wait_until("it is back", lost.is_ready)
            wait_until("its host is well again", lambda: places(others[0], "here") == [lost.name])
            asked, since = len(times), time.monotonic()
            wait_until("it is probed on", lambda: len(times) >= asked + 3)
            interval_s = (times[-1] - since) / (len(times) - asked)
        with capsys.disabled():
            print(f"\ncritical after {max(critical_s):.2f} s, probed on after {probed_s:.2f} s", end=" ")
        assert [] == [gap for watcher in watchers for gap in watcher.gaps]
        assert all(watcher.answers > 20 for watcher in watchers)
        assert max(critical_s) < 1.5 + PATIENCE
        assert probed_s < 2.0 + PATIENCE
        assert home != lost.name
        for node in cluster.running():
            assert [home] == places(node, "probed"), "nothing is stolen or doubled"
            assert 3 == len(places(node, "many"))
        assert "probed" not in lost.get("/v1/agent/services").json()
        assert interval_s > 0.6, "one node probes it, not two"


def test_an_id_means_the_same_at_every_node(cluster: Cluster) -> None:
    """Heartbeats, updates and deregistrations go to any node; an instance registered again elsewhere moves."""
    first, second, third = cluster.running()
    register(first, "web", address="10.0.0.9", check={"TTL": "60s"})
    put(second, "/v1/agent/check/pass/service:web?note=well")
    assert [first.name] == places(third, "web")
    put(third, "/v1/agent/check/update/service:web", {"Status": "warning", "Output": "hm"})
    assert [] == places(first, "web")
    register(second, "web", address="10.0.0.9", check={"TTL": "60s"})
    assert ([second.name], {}) == (places(third, "web", ""), first.get("/v1/agent/services").json())
    (row,) = third.get("/v1/health/checks/web").json()
    assert ("warning", "hm") == (row["Status"], row["Output"])
    register(third, "web", address="10.0.0.7", check={"TTL": "60s"})
    assert [second.name, third.name] == sorted(places(first, "web", "")), (
        "another address is another instance"
    )
    put(third, "/v1/agent/service/deregister/web")
    put(first, "/v1/agent/service/deregister/web")
    assert [] == places(third, "web", "")
