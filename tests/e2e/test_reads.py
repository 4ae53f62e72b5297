"""What reads may and may not show, on any node, around failovers, pauses and the loss of the majority."""

import base64
import itertools
import signal
import time

import pytest

from tests.e2e.cluster import Cluster, Node, Reply, finish_get, start_get, wait_until

MODES = ["", "?consistent"]


def value_of(reply: Reply) -> str:
    """The value in the answer for one key."""
    assert reply.status == 200, f"{reply.status} {reply.text}"
    return base64.b64decode(reply.json()[0]["Value"]).decode()


def write(node: Node, key: str, value: str) -> None:
    """An acknowledged write."""
    reply = node.put(f"/v1/kv/{key}", value.encode())
    assert (200, "true") == (reply.status, reply.text.strip())


@pytest.mark.parametrize("mode", MODES)
def test_a_write_at_any_node_is_read_at_any_other(cluster: Cluster, mode: str) -> None:
    """Default and consistent reads see what was acknowledged anywhere before."""
    for number, (writer, reader) in enumerate(itertools.permutations(cluster.running(), 2)):
        write(writer, "key", str(number))
        assert str(number) == value_of(reader.get(f"/v1/kv/key{mode}"))


@pytest.mark.parametrize("mode", MODES)
def test_reads_right_after_a_failover_see_the_last_write(cluster: Cluster, mode: str) -> None:
    """The first reads after the leader was killed show what it had acknowledged, and the writes of its successor."""
    followers = cluster.followers()
    leader = cluster.leader()
    write(leader, "key", "before")
    leader.kill()
    for reader in followers:
        assert "before" == value_of(reader.get(f"/v1/kv/key{mode}"))
    for number, (writer, reader) in enumerate(itertools.permutations(followers, 2)):
        write(writer, "key", str(number))
        assert str(number) == value_of(reader.get(f"/v1/kv/key{mode}"))


@pytest.mark.parametrize("mode", MODES)
def test_a_paused_leader_does_not_answer_with_what_it_knew(cluster: Cluster, mode: str) -> None:
    """A leader that was stopped and goes on answers with what was written meanwhile, or not at all."""
    leader = cluster.leader()
    writer = cluster.followers()[0]
    write(leader, "key", "old")
    leader.signal(signal.SIGSTOP)
    cluster.leader(other_than=leader.name)
    write(writer, "key", "new")
    leader.signal(signal.SIGCONT)
    for _ in range(20):
        reply = leader.get(f"/v1/kv/key{mode}")
        assert reply.status == 500 or value_of(reply) == "new"
    assert "new" == value_of(leader.get(f"/v1/kv/key{mode}"))


def test_requests_that_wait_in_a_paused_leader_are_not_answered_from_its_past(cluster: Cluster) -> None:
    """A read that reached the paused leader before it woke up is answered with the present."""
    leader = cluster.leader()
    writer = cluster.followers()[0]
    write(leader, "key", "old")
    leader.signal(signal.SIGSTOP)
    waiting = [start_get(leader.http, f"/v1/kv/key{mode}") for mode in MODES]
    cluster.leader(other_than=leader.name)
    write(writer, "key", "new")
    leader.signal(signal.SIGCONT)
    for answer in waiting:
        text = finish_get(answer)
        assert " 500 " in text.splitlines()[0] or base64.b64encode(b"new").decode() in text


def test_stale_reads_are_answered_without_a_leader(cluster: Cluster) -> None:
    """A node that is left alone still answers ?stale, and says that it knows no leader."""
    survivor = cluster.followers()[0]
    write(survivor, "key", "value")
    for node in cluster.running():
        if node is not survivor:
            node.kill()
    wait_until("the survivor sees no leader", lambda: survivor.status()["Leader"] is None)
    began = time.monotonic()
    reply = survivor.get("/v1/kv/key?stale")
    assert "value" == value_of(reply)
    assert "false" == reply.headers["x-consul-knownleader"]
    assert time.monotonic() - began < 5.0


def test_without_a_majority_reads_and_writes_fail_in_time_and_come_back(stopped_cluster: Cluster) -> None:
    """Reads and writes end in 500 with a clear text after their timeouts, and work again afterwards."""
    for node in stopped_cluster.nodes.values():
        node.arguments += ["--write-timeout", "1s", "--read-timeout", "1s"]
    stopped_cluster.start()
    survivor = stopped_cluster.followers()[0]
    write(survivor, "key", "value")
    lost = [node for node in stopped_cluster.running() if node is not survivor]
    for node in lost:
        node.kill()
    wait_until("the survivor sees no leader", lambda: survivor.status()["Leader"] is None)
    for method, path, body in (
        ("GET", "/v1/kv/key", None),
        ("GET", "/v1/kv/key?consistent", None),
        ("GET", "/v1/health/service/web", None),
        ("PUT", "/v1/kv/key", b"other"),
        ("PUT", "/v1/agent/service/register", b'{"Name":"web"}'),
    ):
        reply = survivor.request(method, path, body, timeout_s=10.0)
        assert 500 == reply.status, path
        assert "leader" in reply.text.lower() or "rpc error" in reply.text, reply.text
    assert 503 == survivor.get("/readyz").status
    stopped_cluster.start(lost[0].name)
    write(survivor, "key", "again")
    assert "again" == value_of(lost[0].get("/v1/kv/key"))
