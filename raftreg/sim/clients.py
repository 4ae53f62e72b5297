"""Clients of the simulated cluster: each does one thing after the other, through the real registry of some host."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from raftreg.checkers.history import Operation, Sighting, Watch
from raftreg.cluster_commands import RestoreBegin, RestoreChunk, RestoreCommit
from raftreg.commands import Command, Deregister, KVDelete, KVSet, Register
from raftreg.errors import NotApplied, OutcomeUnknown, Refused
from raftreg.model import Check, Node, Service
from raftreg.registry import ReadOptions, Registry
from raftreg.registry.answers import ReadMode
from raftreg.sim.checks import WATCHED_KEYS
from raftreg.sim.overdue import TIMEOUT_S, in_time
from raftreg.state.queries import KVGet, KVList, ServiceHealth

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster
    from raftreg.sim.host import Host

PATIENCE_S = 6.0
REGISTERS = ("r0", "r1", "r2", "r3")
WATCH_S = 2.0
LARGE_BYTES = 600  # more than a slice of the log takes here
LARGE = 0.1  # of the writes to the ledger


class Client:
    """One sequential client. After a call that is not answered it goes on under another number, like a new process."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster, self.loop = cluster, cluster.loop
        self.chance = cluster.chance.stream("client", number)
        self.number = number
        self._seen: dict[str, int] = {}  # register -> index that it was last seen with
        self._told = 0  # index of its newest acknowledged write
        self._call = 0  # of the call under way
        self._count = 0
        self.probing = 0  # calls under way beside the one that counts
        kinds: list[tuple[Callable[[Host, Registry], Awaitable[None]], int]] = [
            (self._write, 5),
            (self._cas, 3),
            (self._read, 8),
            (self._ledger, 6),
            (self._register, 2),
            (self._delete, 1),
            (self._restore, cluster.profile.restores),
        ]
        self._kinds = [kind for kind, _ in kinds]
        self._weights = [weight for _, weight in kinds]
        self._pause()

    def _pause(self) -> None:
        delay = self.chance.expovariate(1.0 / self.cluster.profile.think_s)
        self.loop.at(self.loop.now + delay, self.loop.world, self._go)

    def _go(self) -> None:
        """Begin a call at some host; hosts that are down refuse the connection."""
        cluster = self.cluster
        if not cluster.busy:
            return
        host = cluster.hosts[self.chance.choice(cluster.doors)]
        if not host.up or host.registry is None:
            self._pause()
            return
        work = self.chance.choices(self._kinds, self._weights)[0]
        self._call += 1
        self.loop.soon(host.life, self._begin, work, host, host.registry, self._call)
        self.loop.at(self.loop.now + PATIENCE_S, self.loop.world, self._give_up, self._call)

    def _begin(self, work: Any, host: "Host", registry: Registry, call: int) -> None:
        self.loop.spawn(self._do(work, host, registry, call))

    async def _do(self, work: Any, host: "Host", registry: Registry, call: int) -> None:
        try:
            await work(host, registry)
        finally:
            if call == self._call and host.up:
                self._call += 1
                self._pause()

    def _give_up(self, call: int) -> None:
        if call == self._call:
            self._call += 1
            self.number += 1000
            self._pause()

    def write_now(self, host: "Host", registry: Registry) -> None:
        """A write beside the others: its outcome counts only if it is acknowledged."""
        self.loop.spawn(self._ledger(host, registry))

    def read_now(self, registry: Registry, mode: ReadMode) -> None:
        """A read beside the others."""
        self.probing += 1
        self.loop.spawn(self._look(registry, KVGet(REGISTERS[0]), mode)).add_done_callback(self._probed)

    def overwrite_now(self, host: "Host", registry: Registry) -> None:
        """A write that leaves no trace but its index."""
        self.probing += 1
        work = self._change(host, registry, "probe", "probe", None, KVSet("probe", self._value()))
        self.loop.spawn(work).add_done_callback(self._probed)

    def _probed(self, _: object) -> None:
        self.probing -= 1

    # -- calls ---------------------------------------------------------------------------------------------------------
    async def _change(
        self, host: "Host", registry: Registry, kind: str, key: str, argument: object, command: Command
    ) -> Any:
        """Write; what became of it is recorded. Returns the answer, None without one."""
        cluster, number, invoked = self.cluster, self.number, self.loop.now
        slot = cluster.open_call(Operation(number, kind, key, argument, None, invoked, None, None))
        try:
            answer = await in_time(cluster, registry, registry.write(command), TIMEOUT_S)
        except NotApplied:
            cluster.close_call(
                slot, Operation(number, kind, key, argument, None, invoked, self.loop.now, False)
            )
            return None
        except (OutcomeUnknown, Refused):
            return None
        result: object = answer.index
        if kind == "cas":
            result = (bool(answer.value), answer.index if answer.value else None)
        cluster.acknowledged += 1
        self._told = max(self._told, answer.index)
        if cluster.trapped == host.name:
            cluster.trapped = None
            self.loop.at(self.loop.now + self.chance.random() * 0.0006, self.loop.world, host.crash)
            self.loop.at(self.loop.now + 0.6, self.loop.world, host.start)
        cluster.checks.acked_index = max(cluster.checks.acked_index, answer.index)
        cluster.close_call(slot, Operation(number, kind, key, argument, result, invoked, self.loop.now, True))
        return answer

    def _value(self) -> bytes:
        self._count += 1
        return f"{self.number}-{self._count}".encode()

    async def _write(self, host: "Host", registry: Registry) -> None:
        key, value = self.chance.choice(REGISTERS), self._value()
        answer = await self._change(host, registry, "write", key, value, KVSet(key, value))
        if answer is not None:
            self._seen[key] = answer.index

    async def _cas(self, host: "Host", registry: Registry) -> None:
        key, value = self.chance.choice(REGISTERS), self._value()
        expected = self._seen.get(key, 0)
        answer = await self._change(
            host, registry, "cas", key, (expected, value), KVSet(key, value, cas=expected)
        )
        if answer is not None and answer.value:
            self._seen[key] = answer.index

    async def _delete(self, host: "Host", registry: Registry) -> None:
        key = REGISTERS[-1]
        await self._change(host, registry, "delete", key, None, KVDelete(key))

    async def _ledger(self, host: "Host", registry: Registry) -> None:
        """A key of its own, made once: False would mean that the write was applied twice."""
        cluster, key = self.cluster, f"ledger/{self.number}-{self._count}"
        self._count += 1
        slot = len(cluster.ledger)
        cluster.ledger.append((key, False))
        value = key.encode() + bytes(LARGE_BYTES if self.chance.random() < LARGE else 0)
        answer = await self._change(host, registry, "ledger", key, None, KVSet(key, value, cas=0))
        if answer is not None:
            if not answer.value:
                text = f"{key} was there already when it was made, by its only write"
                cluster.checks.violated("applied once", text)
            cluster.ledger[slot] = (key, True)

    async def _restore(self, host: "Host", registry: Registry) -> None:
        """Take an archive of a host, and a little later have all become it."""
        dump, number = b"".join(registry.state.freeze_archive()()), f"{self.number}-{self._count}"
        self._count += 1
        begin = RestoreBegin(number, registry.state.index)
        commit = RestoreCommit(number, sha256(dump[1:]).hexdigest())
        for step in (begin, RestoreChunk(number, 0, dump[1:]), commit):
            if await self._change(host, registry, "restore", "archive", None, step) is None:
                return

    async def _register(self, host: "Host", registry: Registry) -> None:
        """A registration or its end, through whatever host."""
        node = f"web-{self.chance.randrange(3)}"
        if self.chance.random() < 0.2:
            command: Command = Deregister(node, "web" if self.chance.random() < 0.5 else None)
        else:
            service = Service(node, "web", "web", port=self.chance.randrange(3))
            check = Check(
                node, "alive", "alive", self.chance.choice(("passing", "critical")), service_id="web"
            )
            command = Register(node, Node(node, "", "10.0.0.1"), service, (check,))
        await self._change(host, registry, "register", node, None, command)
        await self._look(registry, ServiceHealth("web"))

    async def _look(self, registry: Registry, query: Any, mode: ReadMode = "default") -> None:
        """A read whose answer must cover every acknowledged write."""
        needed = self.cluster.checks.acked_index
        try:
            await in_time(self.cluster, registry, registry.read(query, ReadOptions(mode)), TIMEOUT_S)
        except NotApplied:
            return
        self._check_fresh(registry, needed, mode)

    def _check_fresh(self, registry: Registry, needed: int, mode: str) -> None:
        self.cluster.reads += 1
        if registry.state.index < needed:
            at = registry.state.index
            text = f"{registry.node_name} answers a {mode} read at {at}; {needed} was acknowledged"
            self.cluster.checks.violated("stale read", text)

    def _check_own_writes(self, registry: Registry, least: int) -> None:
        """A stale read that names a write sees it, on whatever node."""
        if registry.state.index < least:
            text = f"{registry.node_name} answers at {registry.state.index} where {least} was asked for"
            self.cluster.checks.violated("own writes", text)

    async def _read(self, host: "Host", registry: Registry) -> None:
        key = self.chance.choice(REGISTERS)
        mode = self.chance.choice(("default", "default", "consistent", "stale"))
        cluster, number, invoked = self.cluster, self.number, self.loop.now
        needed, life = cluster.checks.acked_index, host.life
        least = self._told if mode == "stale" and self.chance.random() < 0.5 else 0
        try:
            options = ReadOptions(mode=mode, min_index=least)  # type: ignore[arg-type]  # one of three
            answer = await in_time(cluster, registry, registry.read(KVGet(key), options), TIMEOUT_S)
        except (NotApplied, Refused):
            return
        entry, now = answer.value, self.loop.now
        result = None if entry is None else (entry.value, entry.modify_index)
        if mode == "stale":
            self._check_own_writes(registry, least)
            place = f"{life.name}/{life.number}"  # A life begins again where its snapshot ends.
            cluster.sightings.append(Sighting(place, key, answer.index, result, invoked, now))
            return
        self._check_fresh(registry, needed, mode)
        if entry is not None:
            self._seen[key] = entry.modify_index
        slot = cluster.open_call(Operation(number, "read", key, None, result, invoked, now, True))
        cluster.close_call(slot, cluster.operations[slot])
        cluster.sightings.append(Sighting(life.name, key, answer.index, result, invoked, now))


class Watcher:
    """Holds blocking queries on one host after the other."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster, self.loop = cluster, cluster.loop
        self.chance = cluster.chance.stream("watcher", number)
        self._next()

    def _next(self) -> None:
        self.loop.at(self.loop.now + self.chance.uniform(0.1, 0.6), self.loop.world, self._go)

    def _go(self) -> None:
        cluster = self.cluster
        if not cluster.busy:
            return
        host = cluster.hosts[self.chance.choice(cluster.doors)]
        self._next()
        if host.up and host.registry is not None:
            self.loop.soon(host.life, self._begin, host, host.registry)

    def _begin(self, host: "Host", registry: Registry) -> None:
        work = self._watch if self.chance.random() < 0.7 else self._watch_prefix
        self.loop.spawn(work(host, registry))

    async def _watch(self, host: "Host", registry: Registry) -> None:
        """From the local copy, so that the answer is due at the moment of the change."""
        key, life = self.chance.choice(WATCHED_KEYS), f"{host.name}/{host.life.number}"
        first = registry.local(KVGet(key))
        if first.value is None:
            return
        after = first.index
        for _ in range(3):
            invoked = self.loop.now
            asked = registry.read(KVGet(key), ReadOptions("stale", after, WATCH_S))
            answer = await in_time(self.cluster, registry, asked, WATCH_S)
            if host.stopping or answer.value is None:
                return
            watch = Watch(life, key, after, WATCH_S, answer.index, answer.value.value, invoked, self.loop.now)
            self.cluster.watches.append(watch)
            after = max(after, answer.index)

    async def _watch_prefix(self, host: "Host", registry: Registry) -> None:
        """A blocking read that makes sure at its end: it must cover what was acknowledged when it began."""
        needed = self.cluster.checks.acked_index
        index = registry.local(KVList("ledger/")).index
        try:
            asked = registry.read(KVList("ledger/"), ReadOptions("default", index, WATCH_S))
            answer = await in_time(self.cluster, registry, asked, TIMEOUT_S + WATCH_S + TIMEOUT_S)
        except (NotApplied, asyncio.CancelledError):
            return
        if not host.stopping and answer.index < index:
            text = f"{host.name} answers index {answer.index} after {index}"
            self.cluster.checks.violated("steps back", text)
        if not host.stopping:
            self.cluster.reads += 1
            if registry.state.index < needed:
                text = (
                    f"{host.name} ends a blocking read at {registry.state.index}; {needed} was acknowledged"
                )
                self.cluster.checks.violated("stale blocking read", text)
