"""/v1/snapshot: the whole state out and in again."""

import asyncio

from raftreg.api.http import Query, Request
from raftreg.api.snapshots import CHUNK_BYTES, chunks_of
from raftreg.commands import KVSet
from raftreg.state import State
from raftreg.state.queries import NodeServices
from tests.api.in_process import Node, run
from tests.api.local_api import until
from tests.state.restores import index_of
from tests.state.test_restore import apply_all


async def save(node: Node, query: str = "") -> tuple[int, dict[str, str], bytes]:
    """GET /v1/snapshot, whose body is no text."""
    response = await node.answer(Request("GET", "/v1/snapshot", "/v1/snapshot", Query.parse(query)))
    return response.status, response.headers, response.body


def test_restore_brings_back_what_was_saved() -> None:
    """Keys, services and configuration are those of the archive; what came later is gone; events stay."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/kv/a", b"before")
        await node.put("/v1/agent/service/register", {"Name": "web"})
        await node.put("/v1/config", {"Kind": "service-defaults", "Name": "web"})
        status, headers, body = await save(node)
        assert (200, "application/x-gzip") == (status, headers["Content-Type"])
        assert int(headers["X-Consul-Index"]) > 1
        await node.put("/v1/kv/a", b"after")
        await node.put("/v1/kv/b", b"new")
        await node.put("/v1/agent/service/deregister/web")
        await node.call("DELETE", "/v1/config/service-defaults/web")
        await node.put("/v1/event/fire/e")
        index = int((await node.put("/v1/kv/c", b"last")).headers["X-Consul-Index"])
        reply = await node.put("/v1/snapshot", body)
        assert (200, "") == (reply.status, reply.text)
        assert "before" == (await node.get("/v1/kv/a?raw")).text
        assert 404 == (await node.get("/v1/kv/b")).status
        assert 1 == len(await node.rows("/v1/catalog/service/web"))
        assert 1 == len(await node.rows("/v1/config/"))
        assert 1 == len(await node.rows("/v1/event/list"))
        for target in (
            "/v1/kv/a",
            "/v1/kv/b",
            "/v1/catalog/service/web",
            "/v1/health/state/any",
            "/v1/config/",
        ):
            assert int((await node.get(target)).headers["X-Consul-Index"]) > index

    run(scenario)


def test_restore_wakes_every_waiter() -> None:
    """Whoever waits for a change of a key, of a service or of a table gets the restored answer."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/kv/a", b"1")
        _, _, body = await save(node)
        await node.put("/v1/kv/a", b"2")
        targets = ("/v1/kv/a", "/v1/kv/none", "/v1/kv/?keys", "/v1/catalog/nodes", "/v1/health/service/none")
        blocked = []
        for target in targets:
            index = (await node.get(target)).headers["X-Consul-Index"]
            joined = f"{target}{'&' if '?' in target else '?'}index={index}&wait=60s"
            blocked.append(asyncio.create_task(node.get(joined)))
        await asyncio.sleep(0.05)
        await node.put("/v1/snapshot", body)
        done, pending = await asyncio.wait(blocked, timeout=10)
        assert not pending
        assert len(targets) == len(done)

    run(scenario)


def test_archive_of_another_cluster_brings_the_own_node_back() -> None:
    """A node that the archive does not know has registered itself before the restore is answered."""
    archives: list[bytes] = []

    async def other(node: Node) -> None:
        await node.call("PUT", "/v1/catalog/deregister", {"Node": "n1"})
        archives.append((await save(node))[2])

    async def scenario(node: Node) -> None:
        restoring = asyncio.create_task(node.put("/v1/snapshot", archives[0]))
        await until(lambda: node.registry.local(NodeServices("n1")).value is None)
        await node.register_itself()
        assert 200 == (await restoring).status
        assert ["serfHealth"] == [row["CheckID"] for row in await node.rows("/v1/health/node/n1")]

    run(other)
    run(scenario)


def test_wrong_archives_change_nothing() -> None:
    """Nothing of an archive that does not pass its checks is applied."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/kv/a", b"1")
        _, _, body = await save(node)
        before = node.registry.state.digest()
        for wrong in (b"", b"nope", body[:-20], body[: len(body) // 2]):
            reply = await node.put("/v1/snapshot", wrong)
            assert 500 == reply.status
            assert "snapshot" in reply.text
        assert before == node.registry.state.digest()
        assert 500 == (await node.put("/v1/snapshot?dc=x", body)).status
        assert 500 == (await save(node, "dc=x"))[0]
        assert 400 == (await save(node, "stale&consistent"))[0]

    run(scenario)


def test_parts_are_small_and_whole() -> None:
    """A dump is cut between its objects; a large object is cut between its rows."""
    state = State()
    apply_all(state, [KVSet(f"small/{number}", b"x" * 100) for number in range(3000)])
    apply_all(state, [KVSet(f"large/{number}", b"x" * 500_000) for number in range(3)])
    dump = b"".join(state.freeze_archive()())
    chunks = list(chunks_of(dump))
    assert dump[1:] == b"".join(chunks)
    assert len(chunks) > 3
    assert all(len(chunk) < CHUNK_BYTES + 600_000 for chunk in chunks)
    assert state.index == index_of(dump) == state.check_archive(dump)


def test_two_restores_at_once_leave_one_of_them() -> None:
    """The one that began last wins, the other is told; the state is that of one archive, never a mixture."""

    async def scenario(node: Node) -> None:
        bodies = []
        for value in (b"1", b"2"):
            for number in range(50):
                await node.put(f"/v1/kv/k{number}", value)
            bodies.append((await save(node))[2])
        replies = await asyncio.gather(*(node.put("/v1/snapshot", body) for body in bodies))
        assert {200} <= {reply.status for reply in replies} <= {200, 500}
        values = {(await node.get(f"/v1/kv/k{number}?raw")).text for number in range(50)}
        assert 1 == len(values)

    run(scenario)
