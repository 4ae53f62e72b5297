"""/v1/session, and the locks of /v1/kv: as clients see them."""

import asyncio

import pytest

from tests.api.in_process import NODE, Node, Reply, run

UNKNOWN = "11111111-2222-3333-4444-555555555555"
DEFAULTS: dict[str, object] = {
    "Name": "",
    "Node": NODE,
    "LockDelay": 15_000_000_000,
    "Behavior": "release",
    "TTL": "",
    "NodeChecks": ["serfHealth"],
    "ServiceChecks": None,
}


async def create(node: Node, **body: object) -> str:
    """A session; its id."""
    reply = await node.put("/v1/session/create", body)
    assert reply.status == 200, reply
    assert isinstance(reply.json, dict)
    assert ["ID"] == list(reply.json)
    return str(reply.json["ID"])


async def info(node: Node, session_id: str) -> dict[str, object]:
    """The one session of that id, without its id and indexes."""
    (shown,) = await node.rows(f"/v1/session/info/{session_id}")
    return {key: value for key, value in shown.items() if key not in ("ID", "CreateIndex", "ModifyIndex")}


async def entry(node: Node, key: str) -> dict[str, object]:
    """The entry of a key that is there."""
    (shown,) = await node.rows(f"/v1/kv/{key}")
    return shown


def told(reply: Reply) -> tuple[int, str]:
    """Status and text."""
    return reply.status, reply.text


def test_session_without_a_body_has_the_defaults() -> None:
    """All fields are optional, and so is the body; the index of the answer is that of the session."""

    async def scenario(node: Node) -> None:
        reply = await node.call("PUT", "/v1/session/create")
        assert isinstance(reply.json, dict)
        session_id = reply.json["ID"]
        read = await node.get(f"/v1/session/info/{session_id}")
        assert isinstance(read.json, list)
        index = int(read.headers["X-Consul-Index"])
        assert [{"ID": session_id, **DEFAULTS, "CreateIndex": index, "ModifyIndex": index}] == read.json
        assert "X-Consul-Effective-Consistency" not in read.headers
        assert DEFAULTS == await info(node, await create(node, Bogus=1, ID=UNKNOWN))
        assert [] == await node.rows(f"/v1/session/info/{UNKNOWN}")

    run(scenario)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"lockdelay": "0.001s", "ttl": "10.0s", "checks": []}, {"LockDelay": 10**6, "TTL": "10.0s", "NodeChecks": []}),
        ({"LOCKDELAY": 5, "Name": "x"}, {"LockDelay": 5 * 10**9, "Name": "x"}),
        ({"LockDelay": 5_000_000_000}, {"LockDelay": 5 * 10**9}),
        ({"LockDelay": 2.5e9}, {"LockDelay": 2_500_000_000}),
        ({"LockDelay": 0}, {"LockDelay": 0}),
        ({"LockDelay": None, "TTL": None, "Name": None, "Node": None}, {}),
        ({"LockDelay": "61s"}, {"LockDelay": 61 * 10**9}),
        ({"Behavior": ""}, {}),
        ({"Behavior": "delete", "TTL": "24h"}, {"Behavior": "delete", "TTL": "24h"}),
        ({"TTL": "0s"}, {"TTL": "0s"}),
        ({"NodeChecks": []}, {"NodeChecks": []}),
        ({"NodeChecks": [], "Checks": ["serfHealth"]}, {"NodeChecks": []}),
        ({"Checks": ["serfHealth"]}, {}),
        ({"Checks": ["serfHealth"], "NodeChecks": ["c1"]}, {"NodeChecks": ["c1"]}),
        ({"Checks": ["serfHealth", "c1"]}, {"Checks": ["serfHealth", "c1"]}),
        ({"Node": NODE.upper()}, {"Node": NODE.upper()}),
        ({"ServiceChecks": [{"ID": "c1"}]}, {"ServiceChecks": [{"ID": "c1", "Namespace": ""}]}),
        ({"ServiceChecks": [{"id": "c1", "namespace": "n"}]}, {"ServiceChecks": [{"ID": "c1", "Namespace": "n"}]}),
    ],
    ids=str,
)  # fmt: skip
def test_fields_of_a_session(body: dict[str, object], shown: dict[str, object]) -> None:
    """Names match without regard to case, durations come as texts and numbers, and answers show what was given."""

    async def scenario(node: Node) -> None:
        check = {"Node": NODE, "CheckID": "c1", "Name": "c1", "Status": "passing"}
        await node.put("/v1/catalog/register", {"Node": NODE, "SkipNodeUpdate": True, "Check": check})
        assert DEFAULTS | shown == await info(node, await create(node, **body))

    run(scenario)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"TTL": "9s"}, 500, "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]"),
        ({"TTL": "86401s"}, 500, "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"),
        ({"TTL": "-10s"}, 500, "Invalid Session TTL '-10000000000', must be between [10s=24h0m0s]"),
        ({"TTL": "abc"}, 500, "Session TTL 'abc' invalid: time: invalid duration \"abc\""),
        ({"TTL": "10"}, 500, "Session TTL '10' invalid: time: missing unit in duration \"10\""),
        ({"Behavior": "explode"}, 500, "Invalid Behavior setting 'explode'"),
        ({"Behavior": "Release"}, 500, "Invalid Behavior setting 'Release'"),
        ({"Node": ""}, 500, "Must provide Node"),
        ({"Node": "none"}, 500, "Missing node registration"),
        ({"Checks": ["none"]}, 500, "Missing check 'none' registration"),
        ({"NodeChecks": ["none"]}, 500, "Missing check 'none' registration"),
        ({"ServiceChecks": [{"ID": "none"}]}, 500, "Missing check 'none' registration"),
        ({"Checks": ["bad"]}, 500, "Check 'bad' is in critical state"),
        ({"Node": "other"}, 500, "Missing check 'serfHealth' registration"),
        ({"LockDelay": "abc"}, 400, 'Request decode failed: time: invalid duration "abc"'),
    ],
    ids=str,
)
def test_creations_that_are_refused(body: dict[str, object], status: int, text: str) -> None:
    """Each mistake has the status and the words that clients know, and there is no session."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/catalog/register", {"Node": "other", "Address": "10.0.0.9"})
        check = {"Node": NODE, "CheckID": "bad", "Name": "bad", "Status": "critical"}
        await node.put("/v1/catalog/register", {"Node": NODE, "SkipNodeUpdate": True, "Check": check})
        assert (status, text) == told(await node.put("/v1/session/create", body))
        assert [] == await node.rows("/v1/session/list")

    run(scenario)


@pytest.mark.parametrize("body", [b"nope", b"[]", b"{", b'{"TTL": 10}', b'{"Checks": "x"}'])
def test_bodies_that_do_not_fit_are_refused(body: bytes) -> None:
    """What is no JSON object of these fields is refused as a whole."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/session/create", body)
        assert reply.status == 400
        assert reply.text.startswith("Request decode failed: ")

    run(scenario)


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "info/", 400, "Missing session"),
        ("PUT", "renew/", 400, "Missing session"),
        ("PUT", "destroy/", 400, "Missing session"),
        ("GET", "node/", 400, "Missing node name"),
        ("GET", "info/nope", 500, "failed session lookup: index error: UUID must be 36 characters"),
        ("PUT", "renew/nope", 500, "failed session lookup: index error: UUID must be 36 characters"),
        ("PUT", "destroy/nope", 500, "failed session lookup: index error: UUID must be 36 characters"),
        ("PUT", f"renew/{UNKNOWN}", 404, f"Session id '{UNKNOWN}' not found"),
        ("PUT", f"destroy/{UNKNOWN}", 200, "true"),
        ("GET", f"info/{UNKNOWN}", 200, "[]"),
        ("GET", "node/none", 200, "[]"),
        ("PUT", "create?dc=nowhere", 500, "No path to datacenter"),
        ("PUT", f"renew/{UNKNOWN}?dc=nowhere", 500, "No path to datacenter"),
        ("PUT", f"destroy/{UNKNOWN}?dc=nowhere", 500, "No path to datacenter"),
        ("GET", "info/nope?dc=nowhere", 500, "No path to datacenter"),
        ("GET", "list?dc=nowhere", 500, "No path to datacenter"),
        (
            "GET",
            "list?stale&consistent",
            400,
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        ("GET", "create", 405, "method GET not allowed"),
        ("PUT", "list", 405, "method PUT not allowed"),
    ],
)
def test_answers_without_a_session(method: str, path: str, status: int, text: str) -> None:
    """What is not there, not named, or no id at all."""

    async def scenario(node: Node) -> None:
        reply = await node.call(method, f"/v1/session/{path}")
        assert (status, text) == told(reply)
        if method == "GET" and status == 500:
            assert ("false", "0") == tuple(
                reply.headers[f"X-Consul-{name}"] for name in ("KnownLeader", "LastContact")
            )

    run(scenario)


@pytest.mark.parametrize(
    ("session_id", "text"),
    [
        ("g" * 36, "Invalid UUID: encoding/hex: invalid byte: U+0067 'g'"),
        ("-" * 36, 'UUID should have maximum of 4 "-"; got 36'),
        ("a" * 33 + "---", "Input (without hyphens) must be even length"),
        ("a" * 35, "UUID must be 36 characters"),
    ],
)
def test_ids_that_cannot_be_one(session_id: str, text: str) -> None:
    """The refusal says what is wrong with an id, at sessions and at locks."""

    async def scenario(node: Node) -> None:
        expected = (500, f"failed session lookup: index error: {text}")
        assert expected == told(await node.get(f"/v1/session/info/{session_id}"))
        assert expected == told(await node.put(f"/v1/kv/a?acquire={session_id}", b"x"))
        assert 404 == (await node.get("/v1/kv/a")).status

    run(scenario)


def test_renewal_answers_with_the_session() -> None:
    """Any spelling of the id finds it; a session that ended cannot be renewed."""

    async def scenario(node: Node) -> None:
        session_id = await create(node, TTL="15s", Name="mine")
        await node.sessions.step()
        reply = await node.put(f"/v1/session/renew/{session_id.upper()}")
        assert reply.json == await node.rows(f"/v1/session/info/{session_id}")
        assert (200, "true") == told(await node.put(f"/v1/session/destroy/{session_id.upper()}"))
        reply = await node.put(f"/v1/session/renew/{session_id}")
        assert (404, f"Session id '{session_id}' not found") == told(reply)

    run(scenario)


def test_lists_of_sessions() -> None:
    """All sessions by id, and those of one node whatever the spelling of its name."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/catalog/register", {"Node": "other", "Address": "10.0.0.9"})
        ids = sorted([await create(node, Node="other", Checks=[]) for _ in range(3)])
        ids = sorted([*ids, await create(node)])
        assert ids == [row["ID"] for row in await node.rows("/v1/session/list")]
        assert 3 == len(await node.rows("/v1/session/node/OTHER"))
        assert 1 == len(await node.rows(f"/v1/session/node/{NODE}"))

    run(scenario)


def test_blocked_info_wakes_when_its_session_ends() -> None:
    """A blocked read of one session ignores other sessions and returns with a higher index when that one goes."""

    async def scenario(node: Node) -> None:
        session_id = await create(node)
        index = int((await node.get(f"/v1/session/info/{session_id}")).headers["X-Consul-Index"])
        target = f"/v1/session/info/{session_id}?index={index}&wait=60s"
        blocked = asyncio.ensure_future(node.get(target))
        other = await create(node)
        await node.put(f"/v1/session/destroy/{other}")
        await asyncio.sleep(0)
        assert not blocked.done()
        await node.put(f"/v1/session/destroy/{session_id}")
        reply = await blocked
        assert (200, "[]") == told(reply)
        assert int(reply.headers["X-Consul-Index"]) > index

    run(scenario)


def test_blocked_lists_wake_for_any_session() -> None:
    """A list of sessions wakes when one begins or ends."""

    async def scenario(node: Node) -> None:
        for path in ("list", f"node/{NODE}"):
            index = (await node.get(f"/v1/session/{path}")).headers["X-Consul-Index"]
            blocked = asyncio.ensure_future(node.get(f"/v1/session/{path}?index={index}&wait=60s"))
            await asyncio.sleep(0)
            session_id = await create(node)
            reply = await blocked
            assert session_id in reply.text
            assert int(reply.headers["X-Consul-Index"]) > int(index)

    run(scenario)


def test_lock_is_taken_held_and_given_back() -> None:
    """A lock is one session's at a time; each acquisition counts, until a plain write."""

    async def scenario(node: Node) -> None:
        one, two = await create(node, LockDelay="0s"), await create(node, LockDelay="0s")
        assert (200, "true") == told(await node.put(f"/v1/kv/a?acquire={one.upper()}&flags=7", b"x"))
        assert (200, "false") == told(await node.put(f"/v1/kv/a?acquire={two}", b"y"))
        assert (200, "false") == told(await node.put(f"/v1/kv/a?release={two}", b"y"))
        shown = await entry(node, "a")
        assert (one, 1, 7, "eA==") == tuple(
            shown[name] for name in ("Session", "LockIndex", "Flags", "Value")
        )
        assert (200, "true") == told(await node.put(f"/v1/kv/a?cas={shown['ModifyIndex']}", b"z"))
        assert (200, "true") == told(await node.put(f"/v1/kv/a?release={one}", b"bye"))
        shown = await entry(node, "a")
        assert ("Session" not in shown, 0, "Ynll") == (True, shown["LockIndex"], shown["Value"])
        assert (200, "true") == told(await node.put(f"/v1/kv/a?acquire={two}"))
        assert 1 == (await entry(node, "a"))["LockIndex"]

    run(scenario)


def test_failed_acquire_wakes_nobody() -> None:
    """Who waits for the key sleeps on when somebody else tries in vain, and wakes when it is free."""

    async def scenario(node: Node) -> None:
        one, two = await create(node), await create(node)
        await node.put(f"/v1/kv/a?acquire={one}", b"x")
        index = (await node.get("/v1/kv/a")).headers["X-Consul-Index"]
        blocked = asyncio.ensure_future(node.get(f"/v1/kv/a?index={index}&wait=60s"))
        await asyncio.sleep(0)
        await node.put(f"/v1/kv/a?acquire={two}", b"y")
        await node.put(f"/v1/kv/a?acquire={one}", b"x")
        await asyncio.sleep(0)
        assert not blocked.done()
        await node.put(f"/v1/session/destroy/{one}")
        assert "Session" not in (await blocked).text

    run(scenario)


def test_lock_delay_holds_off_whoever_comes_next() -> None:
    """After its session ended, a key cannot be locked for the lock delay; plain writes and other keys are free."""

    async def scenario(node: Node) -> None:
        one, two = await create(node, LockDelay="300ms"), await create(node)
        for key in ("a", "b"):
            await node.put(f"/v1/kv/{key}?acquire={one}", b"x")
        await node.put(f"/v1/kv/b?release={one}", b"x")
        await node.sessions.step()
        await node.put(f"/v1/session/destroy/{one}")
        wait_s = await node.sessions.step()
        assert 0.0 < wait_s <= 0.3
        assert (200, "false") == told(await node.put(f"/v1/kv/a?acquire={two}", b"y"))
        assert (200, "true") == told(await node.put("/v1/kv/a", b"plain"))
        assert (200, "true") == told(await node.put(f"/v1/kv/b?acquire={two}", b"y"))
        await asyncio.sleep(wait_s + 0.01)
        await node.sessions.step()
        assert (200, "true") == told(await node.put(f"/v1/kv/a?acquire={two}", b"y"))

    run(scenario)


def test_session_goes_with_its_service_check() -> None:
    """A session that names a check of a service ends when that fails, and when the service goes; its key is deleted."""

    async def scenario(node: Node) -> None:
        web = {"Name": "web", "Port": 80, "Check": {"TTL": "60s", "Status": "passing"}}
        fields = {"ServiceChecks": [{"ID": "service:web"}], "Behavior": "delete", "LockDelay": "0s"}
        for act in ("check/fail/service:web", "service/deregister/web"):
            await node.put("/v1/agent/service/register", web)
            await node.put("/v1/agent/check/pass/service:web")
            session_id = await create(node, **fields)
            await node.put(f"/v1/kv/a?acquire={session_id}", b"x")
            await node.put(f"/v1/agent/{act}")
            assert [] == await node.rows(f"/v1/session/info/{session_id}")
            assert 404 == (await node.get("/v1/kv/a")).status
            await node.put("/v1/agent/service/deregister/web")

    run(scenario)
