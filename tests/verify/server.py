"""A cluster of several ports over one store, in which a bug can be planted; it speaks what the verifier speaks."""

import asyncio
import json
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from raftreg.addresses import Address
from raftreg.verify.remote import Remote
from tests.verify.store import Store

Reply = tuple[int, Any]


class Cluster(Remote):
    """A target whose nodes run in the verifier's own loop. `raftreg`: it says that it is one."""

    def __init__(self, bug: str = "", *, nodes: int = 3, raftreg: bool = True) -> None:
        super().__init__({})
        self.store, self.raftreg = Store(bug), raftreg
        self._count = nodes
        self._servers: list[asyncio.Server] = []
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen."""
        found = {}
        for number in range(1, self._count + 1):
            name = f"n{number}"
            server = await asyncio.start_server(partial(self._serve, name), "127.0.0.1", 0)
            self._servers.append(server)
            found[name] = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        self.urls = found

    async def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split(" ", 2)
                length = int(head.lower().partition("content-length:")[2].split("\r\n")[0] or 0)
                body = await reader.readexactly(length)
                await asyncio.sleep(0)
                parts = urlsplit(target)
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                status, answer = self.answer(node, method, unquote(parts.path), query, body)
                rendered = self._rendered(method, parts.path, status, answer)
                await asyncio.sleep(0.001)
                writer.write(rendered)
        writer.transport.abort()

    def _rendered(self, method: str, path: str, status: int, answer: Any) -> bytes:
        text = b"" if answer is None else json.dumps(answer).encode()
        index = self.store.index
        if "/register/" in path and method == "GET" and isinstance(answer, list):
            index = answer[0]["ModifyIndex"] - (3 if self.store.strikes("index-steps-back") else 0)
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(text)}\r\nX-Consul-Index: {index}\r\n\r\n"
        return head.encode() + text

    def answer(self, node: str, method: str, path: str, query: dict[str, str], body: bytes) -> Reply:
        """One request."""
        store = self.store
        if path.startswith("/v1/kv/"):
            return self._key(node, method, path.removeprefix("/v1/kv/"), query, body)
        words = path.removeprefix("/v1/").split("/")
        match words:
            case ["txn"]:
                rows = store.transact(json.loads(body))
                return (200, {"Results": rows}) if rows is not None else (409, {"Results": None})
            case ["session", "create"]:
                return 200, {"ID": store.create_session()}
            case ["session", "destroy", session]:
                store.destroy_session(session)
                return 200, True
            case ["session", "renew", session]:
                return (200, [{"ID": session}]) if session in store.sessions else (404, None)
            case ["catalog", "register" | "deregister" as action]:
                (store.register if action == "register" else store.deregister)(json.loads(body))
                return 200, True
            case ["health", "service", name]:
                return 200, store.instances(name)
            case ["health", "node", node]:
                return 200, [check for check in store.checks.values() if check["Node"] == node]
        return self._status(node, words)

    def _status(self, node: str, words: list[str]) -> Reply:
        leads = node == "n1"
        if words == ["raftreg", "status"] and self.raftreg:
            digest = {"StateIndex": self.store.index, "StateDigest": "same"}
            return 200, {"Role": "leader" if leads else "follower", "Term": 1} | digest
        if words == ["agent", "self"]:
            return 200, {"Stats": {"raft": {"state": "Leader" if leads else "Follower", "term": "1"}}}
        if words == ["status", "leader"]:
            return 200, "127.0.0.1:8300"
        return 404, None

    def _key(self, node: str, method: str, key: str, query: dict[str, str], body: bytes) -> Reply:
        store = self.store
        if method == "PUT":
            return 200, store.put(key, body, query)
        if method == "DELETE":
            store.delete(key, recurse="recurse" in query)
            return 200, True
        if "keys" in query or "recurse" in query:
            names = sorted(name for name in store.keys if name.startswith(key))
            rows = [store.keys[name].row(name) for name in names]
            if rows and node == "n2" and "stale" in query and store.bug == "nodes-differ":
                rows[0] = rows[0] | {"Value": "b3RoZXI="}
            found: list[Any] = names if "keys" in query else rows
            return (200, found) if found else (404, None)
        entry = store.read(key, query)
        return (200, [entry.row(key)]) if entry is not None else (404, None)
