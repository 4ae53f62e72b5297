"""Services: instances are registered and deregistered, checks change, and readers ask who is there and how they are."""

import itertools
import json
from collections import defaultdict
from typing import Any

from raftreg.checkers.history import Operation
from raftreg.verify.caller import Caller, World
from raftreg.verify.verdict import Verdict
from raftreg.verify.workloads.workload import (
    FRESH_MODES,
    Workload,
    linear_verdict,
    parameters,
    set_verdict,
)

INSTANCES_PER_SERVICE = 100
LASTING = 3  # instances that stay, whose checks change
COMPARED = 20  # nodes, the newest ones, of which the copies of all nodes are compared in the end
CALLS_PER_CHECK = 300  # then another check takes its place
STATES = ("passing", "warning", "critical")
KINDS = ("register", "deregister", "list", "change", "look")
WEIGHTS = (5, 2, 4, 4, 5)


class Services(Workload):
    """In the catalog, under nodes of the run's own; elsewhere, registrations through an agent may take their time."""

    name = "services"
    share = 2

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._name = world.prefix.replace("/", "-")
        self._checks_node = f"{self._name}-checks"
        self._counts = itertools.count()
        self._changes = itertools.count()
        self._own: defaultdict[int, list[tuple[str, str]]] = defaultdict(
            list
        )  # by client: service and instance
        self.instances: list[Operation] = []
        self.checks: list[Operation] = []

    async def prepare(self, caller: Caller) -> None:
        """Register the node."""
        reply = await caller.write("PUT", "/v1/catalog/register", _body(self._checks_node, {}))
        if reply.answer is None or reply.answer.status != 200:
            self.missing = "the server takes no registrations"

    async def step(self, caller: Caller) -> None:
        """One call."""
        kind = caller.chance.choices(KINDS, WEIGHTS)[0]
        if kind == "deregister" and self._own[caller.number]:
            await self._deregister(caller)
        elif kind == "list":
            await self._list(caller, self._service(), caller.chance.choice(FRESH_MODES))
        elif kind == "change":
            await self._change(caller, self._check(caller))
        elif kind == "look":
            await self._look(caller, self._check(caller), caller.chance.choice(FRESH_MODES))
        else:
            await self._register(caller)

    async def finish(self, caller: Caller) -> None:
        """List every service and look at every check of the last generation at every node."""
        services = sorted({each.key for each in self.instances})
        for service, node in zip(services, itertools.cycle(self.world.nodes), strict=False):
            await self._list(caller, service, "consistent", node)
        checks = sorted({each.key for each in self.checks})
        for check, node in itertools.product(checks[-LASTING:], self.world.nodes):
            await self._look(caller, check, "default", node)

    async def clean(self, caller: Caller) -> None:
        """Deregister the nodes, and with them everything on them."""
        for node in self._nodes():
            await caller.write("PUT", "/v1/catalog/deregister", json.dumps({"Node": node}).encode())

    def copies(self) -> list[str]:
        """The checks that change, and the services that were added to last."""
        return [f"/v1/health/node/{node}?stale" for node in self._nodes()[-COMPARED:]]

    def _nodes(self) -> list[str]:
        """The nodes of the services, then that of the checks that change."""
        return [*sorted({each.key for each in self.instances}), self._checks_node]

    def _service(self) -> str:
        """The service that instances are added to now, on a node of the same name."""
        return f"{self._name}-{next(self._counts) // (INSTANCES_PER_SERVICE * 3):04}"

    def _check(self, caller: Caller) -> str:
        generation = next(self._changes) // (LASTING * CALLS_PER_CHECK)
        return f"check-{generation:04}-{caller.chance.randrange(LASTING)}"

    async def _register(self, caller: Caller) -> None:
        service, client, instance = self._service(), caller.number, caller.value()
        check = {"CheckID": f"alive-{instance}", "Name": "alive", "Status": "passing", "ServiceID": instance}
        body = _body(
            service, {"Service": {"ID": instance, "Service": service, "Port": 80}, "Checks": [check]}
        )
        reply = await caller.write("PUT", "/v1/catalog/register", body)
        self.instances.append(reply.operation("add", service, instance))
        if reply.ok:
            self._own[client].append((service, instance))

    async def _deregister(self, caller: Caller) -> None:
        service, instance = self._own[caller.number].pop(0)
        body = json.dumps({"Node": service, "ServiceID": instance}).encode()
        reply = await caller.write("PUT", "/v1/catalog/deregister", body)
        self.instances.append(reply.operation("remove", service, instance))

    async def _list(self, caller: Caller, service: str, mode: str, node: str | None = None) -> None:
        reply = await caller.read(f"/v1/health/service/{service}{parameters(mode)}", node)
        if reply.answer is not None and reply.answer.status == 200:
            rows = json.loads(reply.answer.body)
            # An instance whose check is not there yet, or not any more, was seen half registered.
            whole = [
                row["Service"]["ID"]
                for row in rows
                if any(check["CheckID"] == f"alive-{row['Service']['ID']}" for check in row["Checks"])
            ]
            self.instances.append(reply.operation("read", service, mode, tuple(whole)))

    async def _change(self, caller: Caller, check: str) -> None:
        """A check of the node gets another status, with an output that nobody else writes."""
        status, output = caller.chance.choice(STATES), caller.value()
        document = {"CheckID": check, "Name": check, "Status": status, "Output": output}
        reply = await caller.write(
            "PUT", "/v1/catalog/register", _body(self._checks_node, {"Check": document})
        )
        self.checks.append(reply.operation("write", check, f"{status} {output}"))

    async def _look(self, caller: Caller, check: str, mode: str, node: str | None = None) -> None:
        reply = await caller.read(f"/v1/health/node/{self._checks_node}{parameters(mode)}", node)
        if reply.answer is None or reply.answer.status != 200:
            return
        rows = [row for row in json.loads(reply.answer.body) if row["CheckID"] == check]
        seen = (f"{rows[0]['Status']} {rows[0]['Output']}", None) if rows else None
        self.checks.append(reply.operation("read", check, None, seen))

    def verdicts(self) -> list[Verdict]:
        """Registrations as a set, checks as registers."""
        return [
            set_verdict("services: registrations", self.instances, "instances"),
            linear_verdict("services: status of checks", self.checks),
        ]


def _body(node: str, what: dict[str, Any]) -> bytes:
    return json.dumps({"Node": node, "Address": "192.0.2.1", **what}).encode()
