"""/v1/txn: as clients see it."""

import base64
from typing import Any

import pytest

from tests.api.in_process import NODE, Node, Reply, run


def kv(verb: str, key: str, value: str = "", **fields: object) -> dict[str, object]:
    """An operation on a key."""
    operand: dict[str, object] = {"Verb": verb, "Key": key} | fields
    if value:
        operand["Value"] = base64.b64encode(value.encode()).decode()
    return {"KV": operand}


async def txn(node: Node, *operations: object, query: str = "") -> Reply:
    """A transaction of these operations."""
    return await node.put(f"/v1/txn{query}", list(operations))


def body(reply: Reply) -> dict[str, Any]:
    """The object that a transaction answers with."""
    shown = reply.json
    assert isinstance(shown, dict)
    return shown


def whats(reply: Reply) -> list[tuple[int, str]]:
    """Place and text of each error of a failed transaction."""
    shown = body(reply)
    assert (409, None) == (reply.status, shown["Results"])
    return [(error["OpIndex"], error["What"]) for error in shown["Errors"]]


def test_writes_and_reads_share_one_index() -> None:
    """Entries come back in order, those of writes without a value, all of one index, which the header tells too."""

    async def scenario(node: Node) -> None:
        reply = await txn(node, kv("set", "a", "one", Flags=2**64 - 1), kv("get", "a"), kv("delete", "b"))
        index = int(reply.headers["X-Consul-Index"])
        entry = {"LockIndex": 0, "Key": "a", "Flags": 2**64 - 1, "CreateIndex": index, "ModifyIndex": index}
        first, second = {"KV": entry | {"Value": None}}, {"KV": entry | {"Value": "b25l"}}
        assert {"Results": [first, second], "Errors": None} == body(reply)
        assert "X-Consul-KnownLeader" not in reply.headers

    run(scenario)


def test_reads_tell_of_consistency_and_take_its_modes() -> None:
    """What only reads is a read: no index, but leader and contact; modes count, `index` and `wait` do not."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/kv/a", b"1")
        index = node.registry.state.index
        for query in ("", "?consistent", "?stale", "?index=9999&wait=60s"):
            reply = await txn(node, kv("get", "a"), kv("get-tree", "none"), query=query)
            shown = body(reply)
            assert (200, 1, True) == (reply.status, len(shown["Results"]), shown["KnownLeader"])
            assert {"Index": 0, "LastContact": 0, "ConsistencyLevel": ""}.items() <= shown.items()
            assert "X-Consul-Index" not in reply.headers
            assert "true" == reply.headers["X-Consul-KnownLeader"]
        assert index == node.registry.state.index
        reply = await txn(node, kv("get", "a"), query="?stale&consistent")
        assert 400 == reply.status
        assert {"Index", "LastContact", "KnownLeader", "ConsistencyLevel"} <= body(
            await txn(node, kv("get", "none"))
        ).keys()

    run(scenario)


@pytest.mark.parametrize("given", [[], [{}], [{"KV": None}], None], ids=str)
def test_nothing_to_do_is_a_read_of_nothing(given: object) -> None:
    """No operation, or objects that name none, give empty results."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/txn", b"null" if given is None else given)
        assert (200, [], None) == (reply.status, body(reply)["Results"], body(reply)["Errors"])

    run(scenario)


def test_failure_changes_nothing_and_names_each_operation() -> None:
    """Every failing operation is reported with its place and its words, and nothing is stored."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/kv/a", b"1")
        reply = await txn(
            node,
            kv("set", "new", "x"),
            kv("get", "none"),
            kv("cas", "a", "2", Index=1),
            kv("check-not-exists", "a"),
            kv("delete-cas", "a", Index=1),
            kv("lock", "new", "y"),
            kv("lock", "new", "y", Session="nope"),
            kv("unlock", "new", "y", Session="11111111-1111-1111-1111-111111111111"),
        )
        assert {"Results", "Errors"} == body(reply).keys()
        assert [
            (1, 'key "none" doesn\'t exist'),
            (2, 'failed to set key "a", index is stale'),
            (3, 'key "a" exists'),
            (4, 'failed to delete key "a", index is stale'),
            (5, "missing session"),
            (6, "failed session lookup: index error: UUID must be 36 characters"),
            (7, 'failed to unlock key "new", lock isn\'t held, or is held by another session'),
        ] == whats(reply)
        assert 404 == (await node.get("/v1/kv/new")).status

    run(scenario)


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        (kv("set", ""), "Must provide key"),
        (kv("get-tree", ""), "Must provide key"),
        (kv("frob", "a"), 'unknown KV verb "frob"'),
        ({"KV": {"Key": "a"}}, 'unknown KV verb ""'),
        ({"Node": {"Verb": "set", "Node": {"Address": "10.0.0.1"}}}, "Must provide node"),
        (
            {"Node": {"Verb": "set", "Node": {"Node": "n", "ID": "x"}}},
            "Bad node ID: uuid string is wrong length",
        ),
        ({"Node": {"Verb": "frob", "Node": {"Node": "n"}}}, 'unknown Node verb "frob"'),
        (
            {"Service": {"Verb": "set", "Node": "n", "Service": {"ID": "x"}}},
            "Must provide service name with ID",
        ),
        (
            {"Service": {"Verb": "set", "Node": NODE, "Service": {"Service": "x", "Address": "0.0.0.0"}}},
            "Invalid service address",
        ),
        (
            {"Service": {"Verb": "set", "Node": "none", "Service": {"Service": "x"}}},
            "Missing node registration",
        ),
        (
            {"Service": {"Verb": "get", "Node": NODE, "Service": {"ID": "x"}}},
            f'service "x" on node "{NODE}" doesn\'t exist',
        ),
        (
            {"Service": {"Verb": "delete", "Node": NODE, "Service": {"ID": "x"}}},
            "Must provide service name with ID",
        ),
        (
            {"Service": {"Verb": "set", "Node": NODE, "Service": {}}},
            "failed inserting service: object missing primary index",
        ),
        ({"Service": {}}, 'unknown Service verb ""'),
        ({"Check": {}}, 'unknown Check verb ""'),
        (kv("get", 'q"\n'), 'key "q\\"\\n" doesn\'t exist'),
        (kv("check-index", "none"), 'failed to check index, key "none" doesn\'t exist'),
        (
            {"Check": {"Verb": "get", "Check": {"Node": NODE, "Name": "serfHealth"}}},
            f'check "" on node "{NODE}" doesn\'t exist',
        ),
        (
            {"Check": {"Verb": "set", "Check": {"Node": NODE}}},
            "failed inserting check: object missing primary index",
        ),
        ({"Check": {"Verb": "set", "Check": {"Node": "none", "CheckID": "c"}}}, "Missing node registration"),
        (
            {"Check": {"Verb": "set", "Check": {"Node": NODE, "CheckID": "c", "ServiceID": "none"}}},
            "Missing service registration",
        ),
        (
            {"Check": {"Verb": "delete-cas", "Check": {"Node": NODE, "CheckID": "c", "ModifyIndex": -1}}},
            f'failed to delete check "c" on node "{NODE}", index is stale',
        ),
    ],
    ids=str,
)
def test_operations_that_fail(operation: dict[str, object], what: str) -> None:
    """Each mistake in an operation has the words that clients know, at its place."""

    async def scenario(node: Node) -> None:
        assert [(0, what)] == whats(await txn(node, operation))
        assert (1, what) in whats(await txn(node, {}, kv("set", "a", "1"), operation))
        assert 404 == (await node.get("/v1/kv/a")).status

    run(scenario)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
        (b"", "EOF"),
        (b"{}", "json: cannot unmarshal object into Go value of type api.TxnOps"),
        (b'[{"Bogus": {}}]', 'json: unknown field "Bogus"'),
        (b'[{"KV": {"Bogus": 1}}]', 'json: unknown field "Bogus"'),
        (b'[{"KV": {"Value": "!!"}}]', "illegal base64 data at input byte 0"),
        (b'[{"KV": {"Value": "YWJ"}}]', "illegal base64 data at input byte 0"),
        (b"[1]", "json: cannot unmarshal number into Go value of type api.TxnOp"),
        (b'[{"KV": {"Flags": -1}}]', None),
        (b'[{"KV": {"Index": 1.5}}]', None),
        (b'[{"KV": {"Flags": 18446744073709551616}}]', None),
        (b'[{"KV": []}]', None),
    ],
)
def test_bodies_that_do_not_fit_are_refused(given: bytes, text: str | None) -> None:
    """What cannot be read is refused as a whole."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/txn", given)
        assert reply.status == 400
        assert reply.text.startswith("Failed to parse body: ")
        if text is not None:
            assert f"Failed to parse body: {text}" == reply.text

    run(scenario)


def test_limits() -> None:
    """64 operations are done, 65 are refused; another datacenter is not known."""

    async def scenario(node: Node) -> None:
        steps = [kv("set", f"k{number}", "x") for number in range(65)]
        reply = await txn(node, *steps)
        text = "Transaction contains too many operations (65 > 64)"
        assert (413, text) == (reply.status, reply.text)
        assert 200 == (await txn(node, *steps[:64])).status
        for step in (kv("get", "k1"), kv("set", "k1")):
            reply = await txn(node, step, query="?dc=nowhere")
            assert (500, "No path to datacenter") == (reply.status, reply.text)

    run(scenario)


def test_catalog_operations_show_what_they_did() -> None:
    """Nodes, services and checks are registered, read, replaced at their index and removed, with their own shapes."""

    async def scenario(node: Node) -> None:
        web = {"ID": "web1", "Service": "web", "Port": 80}
        reply = await txn(
            node,
            {"Node": {"Verb": "set", "Node": {"Node": "n9", "Address": "10.9.9.9", "Meta": {"rack": "1"}}}},
            {"Service": {"Verb": "set", "Node": "n9", "Service": web}},
            {
                "Check": {
                    "Verb": "set",
                    "Check": {"Node": "n9", "Name": "c1", "Status": "passing", "ServiceID": "web1"},
                }
            },
        )
        shown = body(reply)["Results"]
        index = int(reply.headers["X-Consul-Index"])
        assert ["Node", "Service", "Check"] == [key for row in shown for key in row]
        assert ("n9", "10.9.9.9", {"rack": "1"}) == tuple(
            shown[0]["Node"][key] for key in ("Node", "Address", "Meta")
        )
        assert ("web1", "web", 80) == tuple(shown[1]["Service"][key] for key in ("ID", "Service", "Port"))
        assert ("c1", "web", index) == tuple(
            shown[2]["Check"][key] for key in ("CheckID", "ServiceName", "ModifyIndex")
        )
        get_all = (
            {"Node": {"Verb": "get", "Node": {"Node": "n9"}}},
            {"Service": {"Verb": "get", "Node": "n9", "Service": {"ID": "web1"}}},
            {"Check": {"Verb": "get", "Check": {"Node": "n9", "CheckID": "c1"}}},
        )
        assert shown == body(await txn(node, *get_all))["Results"]
        stale = {"Service": {"Verb": "cas", "Node": "n9", "Service": web | {"ModifyIndex": 1}}}
        assert [(0, 'failed to set service "web1" on node "n9", index is stale')] == whats(
            await txn(node, stale)
        )
        current = {
            "Service": {"Verb": "cas", "Node": "n9", "Service": web | {"Port": 81, "ModifyIndex": index}}
        }
        assert 81 == body(await txn(node, current))["Results"][0]["Service"]["Port"]
        nothing = await txn(
            node,
            {"Service": {"Verb": "delete", "Node": "n9", "Service": {}}},
            {"Check": {"Verb": "delete", "Check": {"Node": "n9"}}},
        )
        assert (200, []) == (nothing.status, body(nothing)["Results"])
        gone = await txn(node, {"Node": {"Verb": "delete", "Node": {"Node": "n9"}}})
        assert (200, []) == (gone.status, body(gone)["Results"])
        assert [] == await node.rows("/v1/catalog/service/web")

    run(scenario)


def test_lock_within_a_transaction() -> None:
    """A lock and its check, in lower-case fields; whoever is late is told; a lock delay is named."""

    async def scenario(node: Node) -> None:
        sessions = []
        for _ in range(2):
            created = (await node.put("/v1/session/create", {})).json
            assert isinstance(created, dict)
            sessions.append(str(created["ID"]))
        one, two = sessions
        lower = {"kv": {"verb": "lock", "key": "a", "value": "eA==", "session": one.upper()}}
        shown = body(await txn(node, lower))["Results"][0]["KV"]
        assert (one, 1, None) == (shown["Session"], shown["LockIndex"], shown["Value"])
        late = await txn(node, kv("lock", "a", Session=two), kv("check-session", "a", Session=two))
        assert [
            (0, 'failed to lock key "a", lock is already held'),
            (1, f'failed session check for key "a", current session "{one}" != "{two}"'),
        ] == whats(late)
        await node.put(f"/v1/session/destroy/{one}")
        delayed = await txn(node, kv("lock", "a", Session=two))
        assert [(0, 'failed to lock key "a" due to lock delay')] == whats(delayed)
        more = await txn(node, kv("get", "none"), kv("lock", "a", Session=two), kv("lock", "b", Session=two))
        assert [(1, 'failed to lock key "a" due to lock delay')] == whats(more)

    run(scenario)
