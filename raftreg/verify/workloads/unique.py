"""A set: keys that are made once under one prefix, some removed again, and listings of the prefix."""

import itertools
import json
import sys
from collections import defaultdict

from raftreg.checkers.history import Operation
from raftreg.verify.caller import Caller, World
from raftreg.verify.verdict import Verdict, empty, failed, passed
from raftreg.verify.workloads.workload import FRESH_MODES, Workload, parameters, set_verdict

KEYS_PER_GROUP = 150
KINDS = ("add", "remove", "read")
WEIGHTS = (6, 1, 3)


class UniqueKeys(Workload):
    """Creation is by compare-and-set against absence, so a creation that is done twice refuses itself."""

    name = "set"
    share = 3

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._added = itertools.count()
        self._group = 0
        self._own: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)  # by client: group and key
        self.operations: list[Operation] = []
        self.refused: list[Operation] = []  # creations that found what only they can have made

    async def step(self, caller: Caller) -> None:
        """Add a key, remove one, or list a group."""
        kind = caller.chance.choices(KINDS, WEIGHTS)[0]
        if kind == "remove" and self._own[caller.number]:
            await self._remove(caller)
        elif kind == "read":
            # Now and then a group that nobody adds to any more.
            group = self._group if caller.chance.random() < 0.8 else caller.chance.randint(0, self._group)
            await self._list(caller, group, caller.chance.choice(FRESH_MODES))
        else:
            await self._add(caller)

    async def finish(self, caller: Caller) -> None:
        """List every group; the nodes take turns."""
        nodes = itertools.cycle(self.world.nodes)
        for group in range(self._group + 1):
            await self._list(caller, group, "consistent", next(nodes))

    def _prefix(self, group: int) -> str:
        return f"set/{group}/"

    def _path(self, key: str) -> str:
        return f"/v1/kv/{self.world.prefix}/{key}"

    async def _add(self, caller: Caller) -> None:
        self._group = next(self._added) // KEYS_PER_GROUP
        group, key, client = self._prefix(self._group), caller.value(), caller.number
        reply = await caller.write("PUT", f"{self._path(group + key)}?cas=0", key.encode())
        was_refused = reply.answer is not None and reply.answer.text != "true"
        operation = reply.operation("add", group, key, "refused" if was_refused else None)
        if was_refused:
            self.refused.append(operation)
        elif reply.ok:
            self._own[client].append((group, key))
        self.operations.append(operation)

    async def _remove(self, caller: Caller) -> None:
        group, key = self._own[caller.number].pop(0)
        reply = await caller.write("DELETE", self._path(group + key))
        self.operations.append(reply.operation("remove", group, key))

    async def _list(self, caller: Caller, group: int, mode: str, node: str | None = None) -> None:
        prefix = self._prefix(group)
        reply = await caller.read(f"{self._path(prefix)}{parameters(mode, 'keys')}", node)
        if reply.answer is not None:
            names = json.loads(reply.answer.body) if reply.answer.status == 200 else []
            # A name comes in many answers, and is kept once.
            keys = tuple(sys.intern(name.removeprefix(f"{self.world.prefix}/{prefix}")) for name in names)
            self.operations.append(reply.operation("read", prefix, mode, keys))

    def verdicts(self) -> list[Verdict]:
        """Nothing lost, nothing back, nothing done twice."""
        return [set_verdict("set: lost and resurrected keys", self.operations, "keys"), self._once()]

    def _once(self) -> Verdict:
        check = "set: written once"
        adds = [each for each in self.operations if each.kind == "add" and each.known]
        if self.refused:
            text = f"{self.refused[0].argument} was refused as if it was there, and nobody else makes it"
            return failed(check, text, self.refused[:1])
        if not adds:
            return empty(check, "no creation was answered")
        return passed(check, f"{len(adds):,} creations, none of which met itself")
