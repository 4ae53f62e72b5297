"""/v1/kv as clients of Consul 1.8 know it."""

import asyncio
import json

import pytest

from raftreg.api.http import Response
from tests.api.local_api import LocalApi, run

UNKNOWN_SESSION = "00000000-0000-0000-0000-000000000000"


def told(response: Response) -> tuple[int, str]:
    """Status and text of a response."""
    return response.status, response.body.decode()


def test_entry_has_the_fields_and_headers_that_clients_know() -> None:
    """An entry shows value in base64, indexes and flags, and no session; the headers name the index."""

    async def scenario(api: LocalApi) -> None:
        assert await api.put("/v1/kv/a?flags=7", b"hello") is True
        response = await api.call("GET", "/v1/kv/a")
        index = int(response.headers["X-Consul-Index"])
        entry = {"LockIndex": 0, "Key": "a", "Flags": 7, "Value": "aGVsbG8="}
        assert json.loads(response.body) == [{**entry, "CreateIndex": index, "ModifyIndex": index}]
        assert response.headers == {
            "Content-Type": "application/json",
            "X-Consul-Index": str(index),
            "X-Consul-KnownLeader": "true",
            "X-Consul-LastContact": "0",
        }

    run(scenario)


def test_write_tells_its_index() -> None:
    """The answer to a write names the index to ask any node for with min-index."""

    async def scenario(api: LocalApi) -> None:
        written = await api.call("PUT", "/v1/kv/a", b"1")
        index = written.headers["X-Consul-Index"]
        headers = {"X-Raftreg-Min-Index": index}
        assert (await api.call("GET", "/v1/kv/a?stale&raw", headers=headers)).body == b"1"
        assert (await api.call("GET", f"/v1/kv/a?stale&raw&min-index={index}")).body == b"1"
        late = await api.call("GET", f"/v1/kv/a?stale&min-index={int(index) + 1}")
        assert late.status == 500

    run(scenario)


@pytest.mark.parametrize("form", ["", "?recurse", "?keys", "?raw"])
def test_absent_is_404_without_body_and_with_index(form: str) -> None:
    """What is not there is 404 in every form, with an index to wait for."""

    async def scenario(api: LocalApi) -> None:
        response = await api.call("GET", f"/v1/kv/none{form}")
        assert told(response) == (404, "")
        assert int(response.headers["X-Consul-Index"]) >= 1

    run(scenario)


def test_lists_are_by_string_prefix_in_bytewise_order() -> None:
    """recurse and keys take a prefix of the text; keys wins over recurse and raw; a separator folds."""

    async def scenario(api: LocalApi) -> None:
        for key in ("b", "a/x", "a", "a%2Fy", "B"):
            await api.put(f"/v1/kv/{key}", b"1")
        entries = await api.get("/v1/kv/a?recurse")
        assert isinstance(entries, list)
        assert [entry["Key"] for entry in entries] == ["a", "a/x", "a/y"]
        assert await api.get("/v1/kv/?keys&recurse&raw") == ["B", "a", "a/x", "a/y", "b"]
        assert await api.get("/v1/kv/?keys&separator=/") == ["B", "a", "a/", "b"]

    run(scenario)


def test_raw_gives_the_bytes() -> None:
    """A raw read is the value itself, whatever it is, as plain text; an empty value is null in JSON."""

    async def scenario(api: LocalApi) -> None:
        await api.put("/v1/kv/a", b"\x00\xff")
        response = await api.call("GET", "/v1/kv/a?raw")
        assert (response.body, response.headers["Content-Type"]) == (b"\x00\xff", "text/plain")
        await api.put("/v1/kv/a")
        entries = await api.get("/v1/kv/a")
        assert isinstance(entries, list)
        assert entries[0]["Value"] is None

    run(scenario)


def test_key_of_any_bytes() -> None:
    """A key that is no UTF-8 is stored and found again; JSON shows it with a replacement character."""

    async def scenario(api: LocalApi) -> None:
        await api.put("/v1/kv/%FF%20", b"1")
        assert (await api.call("GET", "/v1/kv/%FF%20?raw")).body == b"1"
        assert (await api.call("GET", "/v1/kv/%FE%20?raw")).status == 404
        assert await api.get("/v1/kv/?keys") == ["\ufffd "]

    run(scenario)


def test_cas_and_delete() -> None:
    """cas writes and deletes only what it names; deleting what is not there succeeds."""

    async def scenario(api: LocalApi) -> None:
        assert await api.put("/v1/kv/a?cas=0", b"1") is True
        assert await api.put("/v1/kv/a?cas=0", b"2") is False
        entries = await api.get("/v1/kv/a")
        assert isinstance(entries, list)
        index = entries[0]["ModifyIndex"]
        assert told(await api.call("DELETE", "/v1/kv/a?cas=0")) == (200, "false")
        assert told(await api.call("DELETE", f"/v1/kv/a?cas={index}")) == (200, "true")
        assert told(await api.call("DELETE", "/v1/kv/a")) == (200, "true")
        await api.put("/v1/kv/b/1")
        assert told(await api.call("DELETE", "/v1/kv/?recurse")) == (200, "true")
        assert (await api.call("GET", "/v1/kv/?keys")).status == 404

    run(scenario)


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("PUT", "/v1/kv/", 400, "Missing key name"),
        ("DELETE", "/v1/kv/", 400, "Missing key name"),
        ("GET", "/v1/kv/?raw", 400, "Missing key name"),
        ("PUT", "/v1/kv/a?flags=abc", 500, 'strconv.ParseUint: parsing "abc": invalid syntax'),
        ("PUT", "/v1/kv/a?flags=-1", 500, 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("PUT", "/v1/kv/a?cas=", 500, 'strconv.ParseUint: parsing "": invalid syntax'),
        ("PUT", f"/v1/kv/a?cas={2**64}", 500, f'strconv.ParseUint: parsing "{2**64}": value out of range'),
        ("DELETE", "/v1/kv/a?cas=x", 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
        ("PUT", "/v1/kv/a?release=b&acquire=a", 400, "Conflicting flags: acquire=a&release=b"),
        ("DELETE", "/v1/kv/a?recurse&cas=5", 400, "Conflicting flags: cas=5&recurse="),
        ("PUT", "/v1/kv/a?acquire=", 500, "missing session"),
        ("PUT", "/v1/kv/a?release=", 500, "missing session"),
        ("PUT", "/v1/kv/a?acquire=x", 500, "failed session lookup: index error: UUID must be 36 characters"),
        ("PUT", f"/v1/kv/a?acquire={UNKNOWN_SESSION}", 500, f'invalid session "{UNKNOWN_SESSION}"'),
        ("PUT", f"/v1/kv/a?release={UNKNOWN_SESSION}", 200, "false"),
        ("PUT", "/v1/kv/a?dc=nowhere", 500, "No path to datacenter"),
        ("GET", "/v1/kv/a?dc=nowhere", 500, "No path to datacenter"),
        ("PUT", "/v1/kv/a?dc=DC1", 500, "No path to datacenter"),
    ],
)
def test_refusals_have_the_known_texts(method: str, target: str, status: int, text: str) -> None:
    """Each mistake has the status and the words that clients know, and stores nothing."""

    async def scenario(api: LocalApi) -> None:
        response = await api.call(method, target, b"x")
        assert told(response) == (status, text)
        if status != 200:
            assert (await api.call("GET", "/v1/kv/?keys")).status == 404
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    run(scenario)


def test_idempotency_key_makes_a_repeated_request_harmless() -> None:
    """The same request under the same key is done once; another request under that key is another one."""

    async def scenario(api: LocalApi) -> None:
        headers = {"Idempotency-Key": "one"}
        first = await api.call("PUT", "/v1/kv/a?cas=0", b"1", headers)
        again = await api.call("PUT", "/v1/kv/a?cas=0", b"1", headers)
        assert told(first) == told(again) == (200, "true")
        assert told(await api.call("PUT", "/v1/kv/a?cas=0", b"2", headers)) == (200, "false")
        assert told(await api.call("PUT", "/v1/kv/a?cas=0", b"1")) == (200, "false")

    run(scenario)


def test_blocking_get_wakes_for_its_prefix_only() -> None:
    """A blocked list ignores what happens elsewhere and returns with a higher index."""

    async def scenario(api: LocalApi) -> None:
        await api.put("/v1/kv/d/a", b"1")
        index = (await api.call("GET", "/v1/kv/d/?keys")).headers["X-Consul-Index"]
        blocked = asyncio.ensure_future(api.call("GET", f"/v1/kv/d/?keys&index={index}&wait=60s"))
        await api.put("/v1/kv/e", b"1")
        assert not blocked.done()
        await api.put("/v1/kv/d/b", b"1")
        response = await blocked
        assert json.loads(response.body) == ["d/a", "d/b"]
        assert int(response.headers["X-Consul-Index"]) > int(index)

    run(scenario)
