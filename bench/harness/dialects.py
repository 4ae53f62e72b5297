"""How an operation is said over HTTP: Consul's API, which raftreg speaks too, and etcd's JSON gateway."""

import base64
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

LEADER, FOLLOWER = "leader", "follower"
DEFAULT, CONSISTENT, STALE = "default", "consistent", "stale"


@dataclass(frozen=True, slots=True)
class Call:
    """One request. In `path` and `body`, {n} stands for a number of nine digits, {k} for one of few, {b} and {c}
    for the same in base64."""

    method: str
    path: str
    body: str = ""

    def filled(self, number: int, keys: int = 1000) -> "Call":
        """The request with its numbers in place."""
        texts = {"{n}": f"{number:09d}", "{k}": f"{number % keys:09d}"}
        texts |= {"{b}": _base64(texts["{n}"]), "{c}": _base64(texts["{k}"])}
        path, body = self.path, self.body
        for token, text in texts.items():
            path, body = path.replace(token, text), body.replace(token, text)
        return Call(self.method, path, body)


class Dialect(ABC):
    """The operations. None stands for what a server does not offer."""

    @abstractmethod
    def put(self, size: int = 64, key: str = "key/") -> Call:
        """Store a fresh value of `size` bytes under one of a thousand keys."""

    @abstractmethod
    def put_one(self, key: str, value: str) -> Call:
        """Store this value under this key."""

    @abstractmethod
    def wait_for_key(self, key: str, index: int) -> Call:
        """A change of the copy of a key that a node has itself, as `wait_for`."""

    def probed(self, service: str, port: int, every: str) -> Call | None:
        """Register an instance on this machine that is probed by TCP."""
        return None

    @abstractmethod
    def get(self, mode: str) -> Call | None:
        """Read one of a thousand keys."""

    @abstractmethod
    def register(self, service: str) -> Call:
        """Register one of a thousand instances, changed each time."""

    @abstractmethod
    def find(self, service: str, mode: str) -> Call | None:
        """The healthy instances of a service."""

    def agent_register(self, service: str) -> Call | None:
        """Register through the agent of the node that is asked."""
        return None

    @abstractmethod
    def wait_for(self, service: str, mode: str, index: int) -> Call:
        """A long poll for a change of a service; the first with index 0 answers at once."""

    @abstractmethod
    def withdraw(self, service: str, number: int) -> Call:
        """Take an instance out."""

    @abstractmethod
    def count(self, answer: bytes) -> int:
        """How many instances an answer to `find` names."""


class ConsulDialect(Dialect):
    """Consul 1.8."""

    def put(self, size: int = 64, key: str = "key/") -> Call:
        """PUT /v1/kv."""
        return Call("PUT", f"/v1/kv/{key}{{k}}", "{n}" + "x" * (size - 9))

    def put_one(self, key: str, value: str) -> Call:
        """PUT /v1/kv."""
        return Call("PUT", f"/v1/kv/{key}", value)

    def wait_for_key(self, key: str, index: int) -> Call:
        """A long poll."""
        return Call("GET", f"/v1/kv/{key}?stale" + (f"&index={index}&wait=20s" if index else ""))

    def probed(self, service: str, port: int, every: str) -> Call | None:
        """PUT /v1/agent/service/register."""
        check = {"TCP": f"127.0.0.1:{port}", "Interval": every, "Timeout": "1s"}
        body = {"ID": service, "Name": service, "Address": "127.0.0.1", "Port": port, "Check": check}
        return Call("PUT", "/v1/agent/service/register", json.dumps(body))

    def get(self, mode: str) -> Call | None:
        """GET /v1/kv."""
        return Call("GET", "/v1/kv/key/{k}" + _mode(mode, "?"))

    def register(self, service: str) -> Call:
        """PUT /v1/catalog/register."""
        instance: dict[str, Any] = {
            "ID": service + "-{k}",
            "Service": service,
            "Address": "127.0.0.1",
            "Port": 8080,
            "Meta": {"version": "{n}"},
        }
        check = {
            "CheckID": service + "-{k}",
            "Name": "alive",
            "Status": "passing",
            "ServiceID": instance["ID"],
        }
        node = {"Node": "bench", "Address": "127.0.0.1", "SkipNodeUpdate": False}
        return Call("PUT", "/v1/catalog/register", json.dumps(node | {"Service": instance, "Check": check}))

    def agent_register(self, service: str) -> Call | None:
        """PUT /v1/agent/service/register."""
        body = {"ID": service + "-{k}", "Name": service, "Port": 8080, "Meta": {"version": "{n}"}}
        return Call("PUT", "/v1/agent/service/register", json.dumps(body))

    def find(self, service: str, mode: str) -> Call | None:
        """GET /v1/health/service."""
        return Call("GET", f"/v1/health/service/{service}?passing" + _mode(mode, "&"))

    def wait_for(self, service: str, mode: str, index: int) -> Call:
        """The same, blocking."""
        call = self.find(service, mode)
        assert call is not None
        return Call("GET", f"{call.path}&index={index}&wait=60s") if index else call

    def withdraw(self, service: str, number: int) -> Call:
        """PUT /v1/catalog/deregister."""
        body = {"Node": "bench", "ServiceID": f"{service}-{number:09d}"}
        return Call("PUT", "/v1/catalog/deregister", json.dumps(body))

    def count(self, answer: bytes) -> int:
        """The length of the list."""
        return len(json.loads(answer))


class EtcdDialect(Dialect):
    """etcd 3.4's gateway: gRPC messages as JSON. A service is a prefix, an instance a key with a JSON value."""

    def put(self, size: int = 64, key: str = "key/") -> Call:
        """kv/put. Texts around a number are padded to threes, so that base64 of the parts is that of the whole."""
        return self._put(padded(key), "x" * (size - 9))

    @staticmethod
    def _put(key: str, value: str) -> Call:
        body = f'{{"key":"{_base64(key)}{{c}}","value":"{{b}}{_base64(value)}"}}'
        return Call("POST", "/v3/kv/put", body)

    def put_one(self, key: str, value: str) -> Call:
        """kv/put."""
        return Call("POST", "/v3/kv/put", json.dumps({"key": _base64(key), "value": _base64(value)}))

    def wait_for_key(self, key: str, index: int) -> Call:
        """A watch at any member is of its own copy."""
        return Call("POST", "/v3/watch", json.dumps({"create_request": {"key": _base64(key)}}))

    def get(self, mode: str) -> Call | None:
        """kv/range; etcd's default is the linearizable read."""
        if mode == CONSISTENT:
            return None
        serializable = ',"serializable":true' if mode == STALE else ""
        return Call("POST", "/v3/kv/range", f'{{"key":"{_base64(padded("key/"))}{{c}}"{serializable}}}')

    def register(self, service: str) -> Call:
        """A put of what Consul's clients would send."""
        value = json.dumps({"Service": service, "Address": "127.0.0.1", "Port": 8080, "Status": "passing"})
        return self._put(padded(f"service/{service}/"), value)

    def find(self, service: str, mode: str) -> Call | None:
        """A range over the prefix."""
        if mode == CONSISTENT:
            return None
        serializable = ',"serializable":true' if mode == STALE else ""
        key, end = self._prefix(service)
        return Call("POST", "/v3/kv/range", f'{{"key":"{key}","range_end":"{end}"{serializable}}}')

    def wait_for(self, service: str, mode: str, index: int) -> Call:
        """A watch is a stream."""
        key, end = self._prefix(service)
        return Call("POST", "/v3/watch", f'{{"create_request":{{"key":"{key}","range_end":"{end}"}}}}')

    def withdraw(self, service: str, number: int) -> Call:
        """Delete the key."""
        key = _base64(padded(f"service/{service}/") + f"{number:09d}")
        return Call("POST", "/v3/kv/deleterange", f'{{"key":"{key}"}}')

    def count(self, answer: bytes) -> int:
        """etcd counts."""
        return int(json.loads(answer).get("count", 0))

    @staticmethod
    def _prefix(service: str) -> tuple[str, str]:
        prefix = padded(f"service/{service}/")
        return _base64(prefix), _base64(prefix[:-1] + chr(ord(prefix[-1]) + 1))


def _mode(mode: str, separator: str) -> str:
    return "" if mode == DEFAULT else separator + mode


def padded(text: str) -> str:
    """The text with slashes behind it, so that base64 of it ends where it ends."""
    return text + "/" * (-len(text) % 3)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
