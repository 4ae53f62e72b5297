"""User events: fired anywhere, seen at the nodes that their filters mean."""

import asyncio

import pytest

from tests.api.in_process import Node, run


def test_fired_event_is_told_and_listed() -> None:
    """The answer has the event without a time; the list has it with one, in the order of firing."""

    async def scenario(node: Node) -> None:
        fired = (await node.put("/v1/event/fire/deploy?node=.*", b"payload")).json
        assert isinstance(fired, dict)
        assert ("deploy", "cGF5bG9hZA==", ".*", 1, 0) == tuple(
            fired[name] for name in ("Name", "Payload", "NodeFilter", "Version", "LTime")
        )
        await node.put("/v1/event/fire/a/b")
        rows = await node.rows("/v1/event/list")
        assert [fired | {"LTime": 1}, ("a/b", None, 2)] == [
            rows[0],
            (rows[1]["Name"], rows[1]["Payload"], rows[1]["LTime"]),
        ]
        assert ["a/b"] == [row["Name"] for row in await node.rows("/v1/event/list?name=a/b")]

    run(scenario)


def test_index_is_made_of_the_last_id() -> None:
    """The index of a list is the two halves of its last event's id, one over the other, and 1 without an event."""

    async def scenario(node: Node) -> None:
        assert "1" == (await node.get("/v1/event/list")).headers["X-Consul-Index"]
        reply = await node.put("/v1/event/fire/e")
        assert isinstance(reply.json, dict)
        digits = str(reply.json["ID"]).replace("-", "")
        index = int(digits[:16], 16) ^ int(digits[16:], 16)
        assert str(index) == (await node.get("/v1/event/list")).headers["X-Consul-Index"]
        assert "1" == (await node.get("/v1/event/list?name=none")).headers["X-Consul-Index"]

    run(scenario)


def test_list_blocks_until_its_last_event_is_another_one() -> None:
    """An event of another name wakes nobody who asked for one; any other index than the current one returns at once."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/event/fire/e")
        index = (await node.get("/v1/event/list?name=e")).headers["X-Consul-Index"]
        assert 1 == len(await node.rows("/v1/event/list?name=e&index=7&wait=10s"))
        blocked = asyncio.create_task(node.rows(f"/v1/event/list?name=e&index={index}&wait=10s"))
        await asyncio.sleep(0.05)
        await node.put("/v1/event/fire/other")
        await asyncio.sleep(0.05)
        assert not blocked.done()
        await node.put("/v1/event/fire/e")
        assert 2 == len(await blocked)

    run(scenario)


def test_wait_of_a_list_runs_out() -> None:
    """After the wait the same list comes, with the same index."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/event/fire/e")
        index = (await node.get("/v1/event/list")).headers["X-Consul-Index"]
        reply = await node.get(f"/v1/event/list?index={index}&wait=20ms")
        assert (200, index) == (reply.status, reply.headers["X-Consul-Index"])

    run(scenario)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("node=n", True),
        ("node=n2", False),
        ("service=web", True),
        ("service=we", True),
        ("service=web%24&tag=prod", True),
        ("service=web&tag=test", False),
        ("service=db", False),
        ("node=n1&service=web&tag=p.*d", True),
    ],
)
def test_filters_decide_where_an_event_is_seen(query: str, shown: bool) -> None:
    """Filters are regular expressions on the name of the node and on services that are registered through it."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/service/register", {"Name": "web", "Tags": ["prod"]})
        await node.put(f"/v1/event/fire/e?{query}")
        assert shown == bool(await node.rows("/v1/event/list"))

    run(scenario)


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/v1/event/fire/", 400, "Missing name"),
        ("/v1/event/fire/x?tag=y", 500, "Cannot provide tag filter without service filter"),
        ("/v1/event/fire/x?node=(", 500, "Invalid node filter: error parsing regexp: missing closing ): `(`"),
        ("/v1/event/fire/x?service=(", 500, "Invalid service filter: "),
        ("/v1/event/fire/x?service=a&tag=(", 500, "Invalid tag filter: "),
        ("/v1/event/fire/x?dc=nowhere", 500, "No path to datacenter"),
    ],
)
def test_refusals(target: str, status: int, text: str) -> None:
    """What is wrong with an event is told in the words that clients know."""

    async def scenario(node: Node) -> None:
        reply = await node.put(target)
        assert status == reply.status
        assert reply.text.startswith(text)

    run(scenario)


@pytest.mark.parametrize(("name", "most"), [("b", 414), ("big", 410), ("b?service=abc&tag=de&node=fgh", 394)])
def test_size_is_that_of_gossip(name: str, most: int) -> None:
    """An event may be as large as Consul's gossip carries it, its name and filters counted, and no larger."""

    async def scenario(node: Node) -> None:
        assert 200 == (await node.put(f"/v1/event/fire/{name}", b"x" * most)).status
        reply = await node.put(f"/v1/event/fire/{name}", b"x" * (most + 1))
        assert 500 == reply.status
        assert "user event exceeds configured limit of 512 bytes before encoding" in reply.text

    run(scenario)


def test_the_last_256_events_are_kept() -> None:
    """Older ones go."""

    async def scenario(node: Node) -> None:
        for number in range(260):
            await node.put(f"/v1/event/fire/e{number}")
        rows = await node.rows("/v1/event/list")
        assert (256, "e4", "e259") == (len(rows), rows[0]["Name"], rows[-1]["Name"])

    run(scenario)
