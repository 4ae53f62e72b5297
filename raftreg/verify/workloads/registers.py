"""Registers: a few keys at a time, read in every mode, written and compared-and-set by everybody."""

import base64
import itertools
import json
from collections import defaultdict
from collections.abc import Hashable

from raftreg.checkers.history import Operation, Sighting
from raftreg.verify.caller import Caller, Reply, World
from raftreg.verify.staleness import Staleness, measure
from raftreg.verify.verdict import Verdict, empty, failed, passed
from raftreg.verify.workloads.workload import FRESH_MODES, Workload, linear_verdict, parameters

ACTIVE_KEYS = 4
CALLS_PER_KEY = 300  # then another key takes its place: long histories of one key are costly to judge
KINDS = ("write", "cas", "default", "consistent", "stale", "own")
WEIGHTS = (5, 5, 5, 4, 3, 2)
Seen = tuple[str, int] | None


def shown(reply: Reply) -> Seen:
    """The value and the ModifyIndex of an answered read of one key, None if it is absent."""
    assert reply.answer is not None
    if reply.answer.status != 200:
        return None
    (entry,) = json.loads(reply.answer.body)
    return base64.b64decode(entry["Value"] or "").decode(), int(entry["ModifyIndex"])


class Registers(Workload):
    """One history per mode of reading, over the same writes."""

    name = "registers"
    share = 5

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._calls = itertools.count()
        self._seen: defaultdict[tuple[int, str], int] = defaultdict(int)  # by client and key: last index
        self.changes: list[Operation] = []
        self.reads: dict[str, list[Operation]] = {mode: [] for mode in (*FRESH_MODES, "stale")}
        self.sightings: list[Sighting] = []
        self.own: list[
            tuple[Operation, int]
        ] = []  # reads with min-index, and the index of the client's own write

    def _key(self, caller: Caller) -> str:
        generation = next(self._calls) // (ACTIVE_KEYS * CALLS_PER_KEY)
        return f"register/{generation}-{caller.chance.randrange(ACTIVE_KEYS)}"

    def _path(self, key: str) -> str:
        return f"/v1/kv/{self.world.prefix}/{key}"

    async def step(self, caller: Caller) -> None:
        """One call on one of the keys."""
        key = self._key(caller)
        kind = caller.chance.choices(KINDS, WEIGHTS)[0]
        if kind == "write":
            await self._write(caller, key)
        elif kind == "cas":
            await self._cas(caller, key)
        elif kind == "own":
            await self._read_own(caller, key)
        elif kind == "stale":
            if caller.chance.random() < 0.5:
                # Right behind a write, where a copy that lags shows its age.
                await self._write(caller, key)
            await self._read(caller, key, kind, self._some_node(caller))
        else:
            await self._read(caller, key, kind)

    async def finish(self, caller: Caller) -> None:
        """Read the last keys at every node, in every fresh mode."""
        generation = next(self._calls) // (ACTIVE_KEYS * CALLS_PER_KEY)
        for number, node, mode in itertools.product(range(ACTIVE_KEYS), self.world.nodes, FRESH_MODES):
            key = f"register/{generation}-{number}"
            await self._read(caller, key, mode, node)

    async def _write(self, caller: Caller, key: str) -> int | None:
        value = caller.value()
        reply = await caller.write("PUT", self._path(key), value.encode())
        index = self._told(reply)
        self.changes.append(reply.operation("write", key, value, index))
        return index

    async def _cas(self, caller: Caller, key: str) -> None:
        expected, value = self._seen[caller.number, key], caller.value()
        reply = await caller.write("PUT", f"{self._path(key)}?cas={expected}", value.encode())
        done = reply.answer is not None and reply.answer.text == "true"
        result = (done, self._told(reply) if done else None)
        self.changes.append(reply.operation("cas", key, (expected, value), result))

    def _told(self, reply: Reply) -> int | None:
        """The index of a change, which raftreg tells with its answer."""
        return reply.answer.index if reply.answer is not None and self.world.is_raftreg else None

    async def _read(self, caller: Caller, key: str, mode: str, node: str | None = None) -> None:
        client = caller.number
        reply = await caller.read(f"{self._path(key)}{parameters(mode)}", node)
        if reply.answer is None:
            return
        seen = shown(reply)
        self.reads[mode].append(reply.operation("read", key, None, seen))
        self._saw(reply, key, mode, seen)
        if seen is not None:
            self._seen[client, key] = seen[1]

    def _saw(self, reply: Reply, key: str, mode: str, value: Hashable) -> None:
        assert reply.answer is not None
        # A node of raftreg answers every read from its own copy; others forward some to the leader.
        place = reply.life if self.world.is_raftreg else f"{reply.life} {mode}"
        index = reply.answer.index or 0
        self.sightings.append(Sighting(place, key, index, value, reply.invoked_s, reply.returned_s))

    def _some_node(self, caller: Caller) -> str:
        """Any node, for a read that is about the copies of others."""
        return caller.chance.choice(list(self.world.nodes))

    async def _read_own(self, caller: Caller, key: str) -> None:
        """Write, then read what was written from the copy of any node."""
        index = await self._write(caller, key)
        if index is None:
            return
        reply = await caller.read(f"{self._path(key)}?stale&min-index={index}", self._some_node(caller))
        if reply.answer is not None:
            seen = shown(reply)
            self.own.append((reply.operation("read", key, None, seen), index))
            self._saw(reply, key, "stale", seen)

    def verdicts(self) -> list[Verdict]:
        """Linearizability by mode, own writes."""
        default = self.changes + self.reads["default"] + self.reads["consistent"]
        found = [
            linear_verdict("registers: ?consistent reads", self.changes + self.reads["consistent"]),
            linear_verdict("registers: default reads", default),
        ]
        return found + ([self._own_verdict()] if self.world.is_raftreg else [])

    def _own_verdict(self) -> Verdict:
        check = "registers: own writes (min-index)"
        for read, index in self.own:
            if not isinstance(read.result, tuple) or read.result[1] < index:
                writes = [each for each in self.changes if each.key == read.key and each.result == index]
                return failed(check, f"index {index} was asked for, {read.result} was shown", [*writes, read])
        if not self.own:
            return empty(check, "no such read was answered")
        return passed(check, f"{len(self.own):,} reads of a client's own write at any node")

    def staleness(self) -> Staleness:
        """How old what ?stale showed was."""
        return measure(self.changes, self.reads)
