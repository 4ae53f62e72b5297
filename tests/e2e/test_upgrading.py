"""Real nodes of a former release and of this one in one cluster, and data that a former release left."""

import asyncio
import signal
import tarfile
import threading
import time
from pathlib import Path

from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.load import Record, Writer

FORMER, NEXT = {"RELEASE": "former"}, {"RELEASE": "3"}
DATA = Path(__file__).with_name("former.tar.gz")


def as_release(node: Node, environ: dict[str, str] | None) -> None:
    """From its next start on the node runs another release; None is this one."""
    node.module = "raftreg" if environ is None else "tests.e2e.former"
    node.environ = environ or {}


def level_of(node: Node) -> int:
    """The feature level that a node knows of."""
    level: int = node.status()["FeatureLevel"]
    return level


def restart(node: Node, environ: dict[str, str] | None) -> None:
    """Stop a node in an orderly way and start it as another release."""
    node.signal(signal.SIGTERM)
    assert 0 == node.wait()
    as_release(node, environ)
    node.start()


def refusal(node: Node, part: str) -> str | None:
    """Why a node is not ready, if that is for the reason that is expected."""
    assert node.process is not None
    assert node.process.poll() is None, node.tail()
    try:
        answer = node.get("/readyz", timeout_s=5.0)
    except OSError:
        return None
    return answer.text if answer.status == 503 and part in answer.text else None


class Load:
    """Two writers that go on while the block runs."""

    def __init__(self, cluster: Cluster) -> None:
        self.record = Record()
        self._until = time.monotonic() + 300.0
        ports = [node.http for node in cluster.nodes.values()]
        self._writers = [Writer(number, ports, self.record) for number in range(2)]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()))
        self._stop = threading.Event()

    async def _write(self) -> None:
        async with asyncio.TaskGroup() as group:
            for writer in self._writers:
                group.create_task(writer.run(self._until, self._stop.is_set))

    def __enter__(self) -> Record:
        self._thread.start()
        return self.record

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(120)


def test_nodes_are_upgraded_one_by_one_under_writes(tmp_path: Path) -> None:
    """Nothing is lost; the level rises with the last node; an older release is then told why it may not come."""
    with (cluster := Cluster(tmp_path)):
        for node in cluster.nodes.values():
            as_release(node, FORMER)
        cluster.start()
        with Load(cluster) as record:
            for node in cluster.nodes.values():
                assert {1} == {level_of(other) for other in cluster.nodes.values()}
                restart(node, None)
                wait_until(f"{node.name} is ready", node.is_ready)
            wait_until("the level", lambda: {2} == {level_of(node) for node in cluster.nodes.values()})
        assert [] == record.errors
        assert len(record.acknowledged) > 5
        n1, n2, n3 = cluster.nodes.values()
        for key, value in record.acknowledged.items():
            assert str(value) == n1.get(f"/v1/kv/{key}?raw").text

        restart(n3, FORMER)
        why = wait_until("a refusal", lambda: refusal(n3, "feature level 2"))
        assert "upgrade raftreg on" in why
        assert "feature level 2" in n3.status()["TooOld"]
        wait_until(
            "n3 is told", lambda: "n3 knows levels 1 to 1: upgrade raftreg on n3" in n3.log.read_text()
        )
        assert 200 == n1.put("/v1/kv/more", b"x").status
        restart(n3, None)
        wait_until("n3 is ready", n3.is_ready)
        assert "x" == n3.get("/v1/kv/more?raw&consistent").text
        assert 2 == level_of(n2)


def test_newer_node_in_an_older_cluster_waits_for_the_others(tmp_path: Path) -> None:
    """It is a member like them; the level stays, and whoever asks is told what it waits for."""
    with (cluster := Cluster(tmp_path)):
        n1, n2, n3 = cluster.nodes.values()
        as_release(n3, NEXT)
        cluster.start()
        wait_until("level 2", lambda: {2} == {level_of(node) for node in cluster.nodes.values()})
        n3.signal(signal.SIGTERM)
        n3.wait()
        restart(n2, NEXT)
        cluster.start("n3")
        advice = "feature level 3 waits for all members: n1 knows 2"
        wait_until("advice", lambda: advice in n3.status()["Advice"])
        assert {2} == {level_of(node) for node in (n1, n2, n3)}
        restart(n1, NEXT)
        wait_until("level 3", lambda: {3} == {level_of(node) for node in (n2, n3)})


def test_data_of_the_first_release_is_read(tmp_path: Path) -> None:
    """A data directory that its process left behind when it was killed: snapshots, log, identity."""
    with (cluster := Cluster(tmp_path, size=1)):
        node = cluster["n1"]
        with tarfile.open(DATA) as archive:
            archive.extractall(node.data, filter="data")
        cluster.start()
        wait_until("level 2", lambda: level_of(node) == 2)
        values = {f"k{number % 40}": f"v{number}" for number in range(1, 261)}
        assert values == {key: node.get(f"/v1/kv/{key}?raw").text for key in values}
        (lock,) = node.get("/v1/kv/lock").json()
        assert (200, "bG9ja2Vk") == (node.get(f"/v1/session/info/{lock['Session']}").status, lock["Value"])
        assert [80] == [row["ServicePort"] for row in node.get("/v1/catalog/service/web").json()]
