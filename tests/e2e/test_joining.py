"""A cluster of real processes that begins with one node and grows, by what an operator would type."""

import shutil
from pathlib import Path

from tests.e2e.cluster import wait_until
from tests.e2e.fleet import Fleet, readiness, run

STABLE_SOON = b'{"ServerStabilizationTime": "200ms"}'


def test_init_join_join_and_a_lost_disk(tmp_path: Path) -> None:
    """One node becomes three that survive the first; what lost its disk says what to run, and comes back so."""
    with (cluster := Fleet(tmp_path)):
        n1 = cluster.joining("n1")
        n1.start()
        assert 1 == n1.wait()
        assert "To make one of several nodes" in n1.log.read_text()
        assert "made cluster" in run("init", *n1.arguments[:6])
        cluster.start("n1")
        assert 200 == n1.put("/v1/kv/key", b"value").status
        assert 200 == n1.put("/v1/operator/autopilot/configuration", STABLE_SOON).status
        at = ("--http-addr", f"127.0.0.1:{n1.http}")
        for name, through in (("n2", n1), ("n3", n1)):
            node = cluster.joining(name, through)
            node.start()
            wait_until("it says what to run", lambda node=node: f"raft add {node.name}" in readiness(node))  # type: ignore[misc]  # a default of its own
            run("operator", "raft", "add", name, *at)
            wait_until(f"{name} is ready", node.is_ready)
        n1.kill()
        leader = cluster.leader(other_than="n1")
        assert b"value" == leader.get("/v1/kv/key?raw").body
        cluster.start("n1")

        lost = cluster.followers()[0]
        lost.kill()
        shutil.rmtree(lost.data)
        other = next(node for node in cluster.running() if node is not lost)
        if "--join" not in lost.arguments:
            lost.arguments += ["--join", f"127.0.0.1:{other.raft}"]
        lost.start()
        wait_until("it says what to run", lambda: f"raft replace {lost.name}" in readiness(lost))
        run("operator", "raft", "replace", lost.name, "--http-addr", f"127.0.0.1:{other.http}")
        wait_until(f"{lost.name} is ready", lost.is_ready)
        assert b"value" == lost.get("/v1/kv/key?raw&stale").body
        assert 3 == sum(peer["Voter"] for peer in other.status()["Peers"])
