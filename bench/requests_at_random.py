"""Requests at random for every route there is: mostly well-formed, often wrong in one place, sometimes garbage.

From a seed alone, so that a request that fails can be made again.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from raftreg.api.routes import ROUTES, Route

# What never ends by itself, or would end the test.
LEFT_OUT = frozenset({"/v1/agent/monitor", "/v1/agent/leave"})
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH")
NAMES = (
    "web",
    "n1",
    "n2",
    "a/b",
    "x y",
    "ä€",
    "%",
    "..",
    "a//b",
    "'\"",
    "\x00",
    "1",
    "x" * 300,
    "",
    "service:web",
)
UUIDS = ("11111111-2222-3333-4444-555555555555", "8f246b77-f3e1-ff88-5b48-8ec93abf3e05", "not-a-uuid", "")
NUMBERS = ("0", "1", "-1", "99999999999999999999", "2.5", "abc", "", "18446744073709551615", "0x10")
DURATIONS = ("10s", "0", "-5s", "1.5h", "99999999h", "abc", "5", "")
FILTERS = (
    "Node == n1",
    "Tags contains a",
    "Meta.x is empty",
    "((",
    "ServiceName matches `(`",
    "not not not",
    "a" * 50,
)
VALUES: dict[str, Sequence[str]] = {
    "dc": ("dc1", "", "elsewhere"),
    "stale": ("",),
    "consistent": ("",),
    "cached": ("",),
    "max_stale": DURATIONS,
    "pretty": ("",),
    "index": NUMBERS,
    "wait": ("1ms", "5ms", "0s", "abc", "-1s"),
    "min-index": ("0", "1", "abc"),
    "filter": FILTERS,
    "near": ("_agent", *NAMES),
    "node-meta": ("a:b", "a", ":", "a:b:c"),
    "tag": NAMES,
    "node": NAMES,
    "service": ("web", ".*", "("),
    "name": NAMES,
    "passing": ("", "1", "false", "x"),
    "recurse": ("",),
    "keys": ("",),
    "raw": ("",),
    "separator": ("/", "", "ä", "ab"),
    "flags": NUMBERS,
    "cas": NUMBERS,
    "acquire": UUIDS,
    "release": UUIDS,
    "enable": ("true", "false", "x", ""),
    "reason": NAMES,
    "note": NAMES,
    "format": ("text", "prometheus", "x"),
    "replace-existing-checks": ("", "true"),
    "id": NAMES,
    "address": ("127.0.0.1:8300", "x"),
    "limit": NUMBERS,
    "segment": ("", "x"),
    "hash": ("x",),
    "token": ("t",),
    "wan": ("",),
}
SCALARS: Sequence[object] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**63,
        2**64,
        1.5,
        1e300,
        "",
        "x",
        "10s",
        "5m",
        "passing",
        "web",
        "n1",
        "ä",
        "\ud800",
    ),
    *([], {}, [[]], {"a": {"b": [1]}}, ["a", None], "127.0.0.1", "http://127.0.0.1:1/", *UUIDS),
)
_FIELD_NAMES = """
Node Address ID Service Name Tags Port Meta NodeMeta TaggedAddresses Weights Passing Warning Check
Checks CheckID ServiceID ServiceName ServiceTags Status Notes Output TTL HTTP Method Header Body TCP
Interval Timeout Args GRPC AliasNode AliasService DeregisterCriticalServiceAfter
SuccessBeforePassing FailuresBeforeCritical Definition Kind Proxy Connect SkipNodeUpdate
EnableTagOverride Datacenter Protocol MeshGateway Mode Expose Paths Config Routes Splits Weight
Subsets Redirect Failover ConnectTimeout Listeners Services TLS Coord Vec Error Adjustment Height
Segment LockDelay Behavior Session NodeChecks ServiceChecks KV Verb Key Value Index Flags Query
Template Type Regexp OnlyPassing Near DNS Token CleanupDeadServers LastContactThreshold
MaxTrailingLogs bogus tags_ check_id
"""
FIELDS = _FIELD_NAMES.split()
VERBS = (
    "set",
    "get",
    "cas",
    "delete",
    "get-tree",
    "delete-tree",
    "check-index",
    "lock",
    "unlock",
    "check-not-exists",
    "x",
)
KINDS = (
    "service-defaults",
    "proxy-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "ingress-gateway",
    "terminating-gateway",
    "nonsense",
)


@dataclass(frozen=True, slots=True)
class Made:
    """One request: method, target as it stands in the request line, headers, body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Requests:
    """An endless row of requests that follows from the seed."""

    def __init__(self, seed: int, routes: Sequence[Route] = ROUTES) -> None:
        self._random = random.Random(seed)
        self._routes = [route for route in routes if route.path not in LEFT_OUT]

    def one(self) -> Made:
        """The next request."""
        chance = self._random
        route = chance.choice(self._routes)
        known = chance.choice(tuple(route.methods))
        method = known if chance.random() < 0.95 else chance.choice(METHODS)
        path, brace, rest = route.path.partition("{")
        if brace:
            path += quote(chance.choice((*NAMES, *UUIDS, *KINDS)), safe=chance.choice(("", "/")))
            path += rest.partition("}")[2]
        headers = {"Idempotency-Key": str(chance.randrange(50))} if chance.random() < 0.02 else {}
        if chance.random() < 0.05:
            headers["Accept-Encoding"] = chance.choice(("gzip", "gzip;q=0", "*", ";;", "deflate, gzip;q=0.1"))
        body = self._body(path) if method in ("PUT", "POST", "PATCH") else b""
        return Made(method, path + self._query(), headers, body)

    def _query(self) -> str:
        chance = self._random
        names = [name for name in VALUES if chance.random() < 0.06]
        if "index" in names or "hash" in names:
            names = [*names, "wait"]  # the default is five minutes
        pairs = [f"{name}={quote(chance.choice(VALUES[name]))}" for name in names]
        if "wait" in names:
            pairs = [pair for pair in pairs if not pair.startswith("wait=")] + [
                f"wait={chance.randrange(1, 9)}ms"
            ]
        if chance.random() < 0.02:
            pairs.append(chance.choice(("%zz", "&&", "=", "a=%", "x;y", "stale=%00")))
        return "?" + "&".join(pairs) if pairs else ""

    def _body(self, path: str) -> bytes:
        chance = self._random
        draw = chance.random()
        if draw < 0.08:
            return chance.randbytes(chance.randrange(40))
        if draw < 0.12:
            return chance.choice(
                (b"", b"null", b"[", b"{}", b"[]", b"1", b'"x"', b"[" * 2000, b'{"a":' * 2000)
            )
        value = self._transaction() if path.endswith("/txn") else self._object(0)
        text = json.dumps(value)
        if chance.random() < 0.05:
            cut = chance.randrange(len(text))
            text = text[:cut] + chance.choice(("", "}", '"', "\x01", "nul")) + text[cut + 1 :]
        return text.encode()

    def _object(self, depth: int) -> dict[str, object]:
        chance = self._random
        made = {name: self._value(depth + 1) for name in chance.sample(FIELDS, chance.randrange(0, 7))}
        if depth == 0:  # often enough of what is needed to get further
            likely: dict[str, object] = {"Node": "n2", "Address": "10.0.0.1", "Name": "web", "Service": "web"}
            likely |= {"Kind": chance.choice(KINDS), "TTL": "10s", "ID": "web"}
            made |= {name: value for name, value in likely.items() if chance.random() < 0.35}
        return made

    def _value(self, depth: int) -> object:
        chance = self._random
        draw = chance.random()
        if depth > 3 or draw < 0.7:
            return chance.choice(SCALARS)
        if draw < 0.9:
            return self._object(depth)
        return [self._value(depth + 1) for _ in range(chance.randrange(3))]

    def _transaction(self) -> list[object]:
        chance = self._random
        operations: list[object] = []
        for _ in range(chance.randrange(4)):
            kv: dict[str, object] = {
                "Verb": chance.choice(VERBS),
                "Key": chance.choice(NAMES),
                "Value": chance.choice(("eA==", "!", None)),
            }
            kv |= {"Index": chance.choice((0, 1, -1, "x")), "Session": chance.choice(UUIDS)}
            given = {name: value for name, value in kv.items() if chance.random() < 0.8}
            operations.append({chance.choice(("KV", "KV", "Node", "Service", "Check", "X")): given})
        return operations
